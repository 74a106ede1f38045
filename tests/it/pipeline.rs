//! From OTLP to what the API shows.

use serde_json::json;

use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::support::product::{Product, engine_is_there};

#[tokio::test]
async fn an_inference_its_label_and_an_error_are_found() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let time = now_ns();
    let served = inference(
        "spam",
        "1",
        "r1",
        time,
        vec![
            text("ml.prediction.label", "ham"),
            number("ml.feature.length", 12.0),
            text("ml.feature.lang", "de"),
        ],
    );
    let mut failed = inference("spam", "1", "r2", time, vec![text("error.type", "ShapeMismatch")]);
    failed.severity_number = 17;
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(vec![served, failed])).await;
    assert_eq!(status, Some(200));
    let label = json!({"model": "spam", "request_id": "r1", "kind": "label", "label": "spam"});
    assert_eq!(
        product.post("/outcomes", &label).await,
        (200, json!({"accepted": 1, "rejected": []}))
    );

    let probe = async || {
        product
            .get("/models/spam/inferences")
            .await
            .filter(|page| page["total"] == 2 && page["items"].to_string().contains("\"label\""))
    };
    let page = eventually("both inferences and the label are stored", probe).await;
    let item = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["request_id"] == "r1")
        .unwrap();
    assert_eq!(item["prediction_label"], "ham");
    assert_eq!(item["features"], json!({"length": 12.0, "lang": "de"}));
    assert_eq!(item["outcomes"][0]["value"], "spam");

    let found = eventually("the error is found", async || {
        product
            .get("/search?q=error_type:ShapeMismatch")
            .await
            .filter(|found| found["total"] == 1)
    })
    .await;
    assert_eq!(found["hits"][0]["model"], "spam");
    eventually("the model is listed with both", async || {
        let models = product.get("/models").await?;
        let first = &models["models"][0];
        (first["name"] == "spam" && first["inferences"] == 2).then_some(())
    })
    .await;
    product.stop().await;
}

#[tokio::test]
async fn both_ports_take_requests_before_the_engine_is_up_and_nothing_is_lost() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let request = logs_request(
        (0..50)
            .map(|i| inference("early", "1", &format!("e{i}"), now_ns(), vec![]))
            .collect(),
    );
    assert_eq!(
        post_logs(&product.client, &product.otlp_http, &request).await,
        Some(200),
        "the log takes requests at once"
    );
    eventually("all early inferences are stored", async || {
        product.get("/models/early/inferences").await.filter(|page| page["total"] == 50)
    })
    .await;
}

#[tokio::test]
async fn a_request_sent_again_is_stored_once_also_after_a_restart() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let request = logs_request(vec![inference("again", "1", "same", now_ns(), vec![number("ml.latency_ms", 5.0)])]);
    for _ in 0..3 {
        assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
    }
    product.kill();
    product.start_again().await;
    assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
    eventually("it is stored", async || {
        product.get("/models/again/inferences").await.filter(|page| page["total"] == 1)
    })
    .await;
    let raw = eventually("the log is drained", async || {
        product.get("/status").await.filter(|status| status["drain"]["backlog_bytes"] == 0)
    })
    .await;
    assert_eq!(raw["collector"]["refused"], json!([]));
    assert_eq!(product.stored_ids("again").await.unwrap().get("same"), Some(&1));
}
