//! Stock clients of Elasticsearch 7.17, 8 and 9 read errors under `/es`, without a key and with one in their own ways.

use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::json;

use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::support::packages::environment;
use crate::support::product::{Product, engine_is_there};

fn failed(version: &str, error_type: &str, route: &str, n: u32, message: String) -> LogRecord {
    let attributes = vec![
        text("error.type", error_type),
        text("http.route", route),
        number("ml.latency_ms", f64::from(n) * 10.0),
    ];
    LogRecord {
        severity_number: 17,
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(message)),
        }),
        ..inference("spam", version, &format!("{version}-{n}"), now_ns(), attributes)
    }
}

fn read(interpreter: &Path, arguments: &[String]) -> String {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elasticsearch/read.py");
    let output = Command::new(interpreter).arg(program).args(arguments).output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_clients_of_elasticsearch_read_errors() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let address = |path: &str| format!("http://{}/es{path}", product.web);
    let mut records: Vec<LogRecord> = (0..25)
        .map(|n| failed("1.0", "TimeoutError", "/predict", n, format!("connection to db-{n} timed out")))
        .collect();
    records.extend((0..15).map(|n| failed("1.1", "ValueError", "/score", n, format!("value {n} is no number"))));
    // One after the other, so that the last one is the newest.
    for record in records {
        let status = post_logs(&product.client, &product.otlp_http, &logs_request(vec![record])).await;
        assert_eq!(status, Some(200));
    }
    eventually("all errors are found", async || {
        let answer = product.client.get(address("/errors/_count")).send().await.ok()?;
        let found: serde_json::Value = answer.json().await.ok()?;
        (found["count"] == 40).then_some(())
    })
    .await;
    let url = address("");
    read_by_all(vec![url.clone()]).await;

    // What clients look at before they read a body.
    let asked = product
        .client
        .post(address("/errors/_search"))
        .header("accept", "application/vnd.elasticsearch+json; compatible-with=8")
        .header("content-type", "application/vnd.elasticsearch+json; compatible-with=8")
        .body(json!({"size": 0, "unheard_of": 1}).to_string());
    let answer = asked.send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-elastic-product"), "Elasticsearch");
    assert_eq!(header("content-type"), "application/vnd.elasticsearch+json; compatible-with=8");
    assert!(header("warning").contains("unheard_of"));
    let refused = product.client.put(address("/errors/_doc/1")).body("{}").send().await.unwrap();
    assert_eq!(refused.headers()["x-elastic-product"], "Elasticsearch");
    assert_eq!(refused.status(), 400);
    let refused: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["root_cause"][0]["type"], "illegal_argument_exception");

    // Where there are keys, nothing is read without one, and each client has its own way to send it.
    let made = Command::new(env!("CARGO_BIN_EXE_driftlead"))
        .args(["key", "new", "--scope", "read", "--data"])
        .arg(product.data())
        .output()
        .unwrap();
    let key = String::from_utf8(made.stdout).unwrap();
    let key = key.split_whitespace().find(|word| word.starts_with("dl_")).unwrap().to_owned();
    let refused = eventually("a key is needed", async || {
        let answer = product.client.get(address("/errors/_count")).send().await.ok()?;
        (answer.status() == 401).then_some(answer)
    })
    .await;
    assert_eq!(
        refused.json::<serde_json::Value>().await.unwrap()["error"]["type"],
        "security_exception"
    );
    read_by_all(vec![url, key]).await;
}

async fn read_by_all(arguments: Vec<String>) {
    let told = tokio::task::spawn_blocking(move || {
        let read = |version: &str| {
            let requirements = format!("tests/elasticsearch/requirements-{version}.txt");
            read(&environment(&format!("elasticsearch-{version}"), &requirements), &arguments)
        };
        ["7", "8", "9"].map(read)
    });
    for text in told.await.unwrap() {
        assert!(text.contains("all read"), "{text}");
    }
}
