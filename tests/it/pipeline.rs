//! From OTLP to what the API shows.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, post_traces, text, traces_request};
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

/// A span of the GenAI conventions without a request id, 250 ms long.
fn chat_span(trace: u8, span: u8, time: u64) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![span; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: time,
        end_time_unix_nano: time + 250_000_000,
        attributes: vec![text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "writer")],
        ..Default::default()
    }
}

fn within(trace: u8, span: u8, record: LogRecord) -> LogRecord {
    LogRecord {
        trace_id: vec![trace; 16],
        span_id: vec![span; 8],
        ..record
    }
}

#[tokio::test]
async fn a_span_and_the_record_told_in_it_are_one_inference_that_an_evaluation_finds() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let time = now_ns();
    let logs = async |product: &Product, records| post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    let spans = async |product: &Product, spans| post_traces(&product.client, &product.otlp_http, &traces_request(spans)).await;
    let count = async |product: &Product, total: u64| {
        eventually("the inferences are counted", async || {
            let page = product.get("/models/writer/inferences").await?;
            let status = product.get("/status").await?;
            (page["total"] == total && status["drain"]["backlog_bytes"] == 0).then_some(page)
        })
        .await
    };
    // The record first, its span after a restart; a span first, its record later.
    let named = |trace, id| within(trace, 7, inference("writer", "1", id, time, vec![]));
    assert_eq!(logs(&product, vec![named(1, "record-first")]).await, Some(200));
    assert_eq!(spans(&product, vec![chat_span(2, 7, time)]).await, Some(200));
    count(&product, 2).await;
    product.kill();
    product.start_again().await;
    assert_eq!(spans(&product, vec![chat_span(1, 7, time)]).await, Some(200));
    assert_eq!(logs(&product, vec![named(2, "span-first")]).await, Some(200));
    // Evaluations name the span, and no model.
    let evaluation = || LogRecord {
        time_unix_nano: time,
        event_name: "gen_ai.evaluation.result".to_owned(),
        attributes: vec![
            text("gen_ai.evaluation.name", "Relevance"),
            text("gen_ai.evaluation.score.label", "pass"),
        ],
        ..Default::default()
    };
    let evaluations = [1, 2].map(|trace| within(trace, 7, evaluation()));
    assert_eq!(logs(&product, evaluations.to_vec()).await, Some(200));

    let item = |page: &serde_json::Value, id: &str| page["items"].as_array()?.iter().find(|item| item["request_id"] == id).cloned();
    eventually("both are named, one has its span, both their verdict", async || {
        let page = product.get("/models/writer/inferences").await?;
        let (first, second) = (item(&page, "record-first")?, item(&page, "span-first")?);
        let is_judged = |item: &serde_json::Value| item["outcomes"][0]["kind"] == "verdict";
        (page["total"] == 2 && first["latency_ms"] == 250.0 && is_judged(&first) && is_judged(&second)).then_some(())
    })
    .await;
    product.stop().await;
}

#[tokio::test]
async fn an_answer_that_streams_is_one_inference_of_its_session() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let time = now_ns();
    // Each piece in a request of its own, the counts growing, the end known last; between them the product dies.
    let piece = |number_of: u64, more: Vec<_>| {
        let mut attributes = vec![
            number("gen_ai.usage.output_tokens", 10.0 * number_of as f64),
            number("ml.latency_ms", 100.0 * number_of as f64),
            text("gen_ai.conversation.id", "talk-1"),
        ];
        attributes.extend(more);
        inference("teller", "1", "answer-1", time + number_of * 100_000_000, attributes)
    };
    for number_of in 1..=5 {
        let more = match number_of {
            1 => vec![number("gen_ai.response.time_to_first_chunk", 0.1)],
            5 => vec![text("ml.prediction.label", "done"), text("gen_ai.response.finish_reasons", "stop")],
            _ => vec![],
        };
        let request = logs_request(vec![piece(number_of, more)]);
        assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
        if number_of == 3 {
            eventually("its beginning is stored", async || {
                product.get("/models/teller/inferences").await.filter(|page| page["total"] == 1)
            })
            .await;
            product.kill();
            product.start_again().await;
        }
    }
    let other = inference("teller", "1", "answer-2", time, vec![text("session.id", "talk-2")]);
    assert_eq!(
        post_logs(&product.client, &product.otlp_http, &logs_request(vec![other])).await,
        Some(200)
    );
    let page = eventually("the answer is whole", async || {
        let page = product.get("/models/teller/inferences?session=talk-1").await?;
        (page["total"] == 1 && page["items"][0]["prediction_label"] == "done").then_some(page)
    })
    .await;
    let answer = &page["items"][0];
    assert_eq!(
        (&answer["request_id"], &answer["session_id"]),
        (&json!("answer-1"), &json!("talk-1"))
    );
    assert_eq!(answer["latency_ms"], 500.0, "of the last piece");
    assert_eq!(
        answer["features"],
        json!({
            "gen_ai.usage.output_tokens": 50.0,
            "gen_ai.response.time_to_first_chunk": 0.1,
            "gen_ai.response.finish_reasons": "stop",
        })
    );
    let all = eventually("both sessions are stored", async || {
        product.get("/models/teller/inferences").await.filter(|page| page["total"] == 2)
    })
    .await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    product.stop().await;
}
