//! Alert rules about a search: made in the page or written in a file, they fire when errors match and end when they do not.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::otlp::{logs_request, now_ns, post_logs};
use crate::support::product::{Product, engine_is_there};

fn error(message: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: now_ns(),
        severity_number: 17,
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(message.to_owned())),
        }),
        ..LogRecord::default()
    }
}

async fn send(product: &Product, messages: &[&str]) {
    let records = messages.iter().map(|message| error(message)).collect();
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

async fn alert_of(product: &Product, rule: &str) -> Option<Value> {
    let alerts = product.get("/alerts").await?;
    alerts["alerts"].as_array()?.iter().find(|alert| alert["rule"] == rule).cloned()
}

#[tokio::test]
async fn a_rule_made_from_a_search_fires_outlives_a_crash_and_ends_with_it() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let of_file = "[[rules]]\nname = \"any-cuda\"\nsignal = \"matching_errors\"\nsearch = \"message:cuda\"\nwindow = \"1m\"\nabove = 0\n\
                   environments = [\"production\"]\nseverity = \"info\"\nwhy = \"A GPU failed.\"\n";
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, of_file).unwrap();
    let mut product = Product::start(&format!("[rules]\npaths = [{path:?}]")).await;
    let rule = json!({
        "name": "gpu-memory", "query": "message:\"out of memory\" -message:host", "above": 2, "window_s": 3600, "severity": "critical",
    });
    let (status, made) = product.post("/search/rules", &rule).await;
    assert_eq!((status, &made["query"], &made["notify"]), (201, &rule["query"], &Value::Null));
    assert_eq!(product.post("/search/rules", &rule).await.0, 409);
    for (field, wrong) in [
        ("name", json!("a b")),
        ("name", json!("rules-invalid")),
        ("query", json!("message:(a")),
        ("query", json!("")),
        ("window_s", json!(5)),
        ("notify", json!(["nobody"])),
        ("severity", json!("loud")),
    ] {
        let mut rule = rule.clone();
        rule["name"] = json!("another");
        rule[field] = wrong;
        let (status, problem) = product.post("/search/rules", &rule).await;
        assert!((400..500).contains(&status), "{field}: {status} {problem}");
    }
    send(&product, &["CUDA: out of memory", "host is out of memory", "out of memory again"]).await;
    eventually("the file's rule fires", async || {
        alert_of(&product, "any-cuda").await.filter(|alert| alert["state"] == "firing")
    })
    .await;
    assert!(alert_of(&product, "gpu-memory").await.is_none(), "two are not above two");

    product.kill();
    product.start_again().await;
    send(&product, &["out of memory"]).await;
    let alert = eventually("the rule that was made fires after the crash", async || {
        alert_of(&product, "gpu-memory").await.filter(|alert| alert["state"] == "firing")
    })
    .await;
    assert_eq!(
        (&alert["value"], &alert["threshold"], &alert["query"]),
        (&json!(3.0), &json!(2.0), &rule["query"])
    );
    assert_eq!(
        alert["why"],
        "More than 2 errors within 1h match: message:\"out of memory\" -message:host"
    );
    let listed = product.get("/search/rules").await.unwrap();
    assert_eq!(
        (&listed["rules"][0]["state"], &listed["rules"][0]["matching"]),
        (&json!("firing"), &json!(3))
    );

    let forget = async || {
        let address = product.url("/search/rules/gpu-memory");
        product.client.delete(address).send().await.unwrap().status().as_u16()
    };
    assert_eq!((forget().await, forget().await), (200, 404));
    eventually("its alert ends with it", async || {
        alert_of(&product, "gpu-memory").await.filter(|alert| alert["state"] == "resolved")
    })
    .await;
    assert_eq!(product.get("/search/rules").await.unwrap()["rules"], json!([]));
    let alert = eventually("the alert ends a minute after its last error", async || {
        alert_of(&product, "any-cuda").await.filter(|alert| alert["state"] == "resolved")
    })
    .await;
    assert_eq!(alert["value"], 0.0, "because none was counted");
    product.stop().await;
}
