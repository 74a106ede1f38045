//! Bad input over the wire: each gets its clear error or is counted, and the records beside it are kept.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::support::product::{Product, engine_is_there};

struct Answer {
    status: u16,
    body: Vec<u8>,
}

async fn send(product: &Product, path: &str, content_type: &str, encoding: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = product
        .client
        .post(format!("http://{}{path}", product.otlp_http))
        .header("content-type", content_type)
        .body(body);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let response = request.send().await.expect("an answer");
    Answer {
        status: response.status().as_u16(),
        body: response.bytes().await.expect("a body").to_vec(),
    }
}

#[tokio::test]
async fn each_bad_request_gets_its_class_of_answer_and_good_ones_are_kept() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let good = logs_request(vec![inference("kept", "1", "good", now_ns(), vec![])]).encode_to_vec();
    let mut cut_gzip = GzEncoder::new(Vec::new(), Compression::fast());
    cut_gzip.write_all(&good).unwrap();
    let mut cut_gzip = cut_gzip.finish().unwrap();
    cut_gzip.truncate(cut_gzip.len() / 2);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..70 {
        bomb.write_all(&vec![0; 1024 * 1024]).unwrap();
    }
    let protobuf = "application/x-protobuf";
    for (what, path, content_type, encoding, body, status) in [
        (
            "malformed protobuf",
            "/v1/logs",
            protobuf,
            None,
            b"\xff\xff\xff not protobuf".to_vec(),
            400,
        ),
        ("a cut message", "/v1/logs", protobuf, None, good[..good.len() - 3].to_vec(), 400),
        (
            "malformed JSON",
            "/v1/logs",
            "application/json",
            None,
            b"{\"resourceLogs\": [".to_vec(),
            400,
        ),
        (
            "JSON of another shape",
            "/v1/logs",
            "application/json",
            None,
            b"[1, 2]".to_vec(),
            400,
        ),
        ("an unknown content type", "/v1/logs", "text/plain", None, good.clone(), 415),
        ("an unknown path", "/v1/nothing", protobuf, None, good.clone(), 404),
        ("a broken gzip", "/v1/logs", protobuf, Some("gzip"), cut_gzip, 400),
        ("what is not gzip", "/v1/logs", protobuf, Some("gzip"), good.clone(), 400),
        ("a bomb", "/v1/logs", protobuf, Some("gzip"), bomb.finish().unwrap(), 413),
        (
            "a request that is too large",
            "/v1/logs",
            protobuf,
            None,
            vec![0; 65 * 1024 * 1024],
            413,
        ),
        ("an empty request", "/v1/logs", protobuf, None, Vec::new(), 200),
        ("a good request", "/v1/logs", protobuf, None, good.clone(), 200),
    ] {
        let answer = send(&product, path, content_type, encoding, body).await;
        assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.body));
        if status >= 400 {
            assert!(!answer.body.is_empty(), "{what}: an error says what is wrong");
        }
    }
    eventually("the good record is stored", async || {
        product.get("/models/kept/inferences").await.filter(|page| page["total"] == 1)
    })
    .await;
    let status = product.get("/status").await.unwrap();
    assert!(
        status["collector"]["refused"].as_array().is_some_and(|refused| !refused.is_empty()),
        "refusals are shown: {status}"
    );
    product.stop().await;
}

#[tokio::test]
async fn odd_records_are_kept_beside_good_ones() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let now = now_ns();
    let list = AnyValue {
        value: Some(any_value::Value::ArrayValue(Default::default())),
    };
    let wrong_type = KeyValue {
        key: "ml.latency_ms".to_owned(),
        value: Some(list),
        ..Default::default()
    };
    let records = vec![
        inference("odd", "1", "good", now, vec![number("ml.feature.x", 1.0)]),
        inference(
            "odd",
            "1",
            "nan",
            now,
            vec![number("ml.feature.x", f64::NAN), number("ml.feature.y", f64::INFINITY)],
        ),
        inference("odd", "1", "wrong-type", now, vec![wrong_type]),
        inference("odd", "1", "time-0", 0, vec![number("ml.feature.x", 2.0)]),
        inference(
            "odd",
            "1",
            "far-future",
            now + 86_400 * 365 * 1_000_000_000,
            vec![number("ml.feature.x", 3.0)],
        ),
        inference(
            "odd",
            "<img src=x onerror=alert(1)>",
            "html",
            now,
            vec![text("ml.segment", "'; DROP TABLE inferences; --")],
        ),
    ];
    assert_eq!(
        post_logs(&product.client, &product.otlp_http, &logs_request(records)).await,
        Some(200)
    );
    // A time of 0 means "not stated": the record counts at its receive time. The far future is set aside, and counted.
    let page = eventually("what can be judged is stored", async || {
        // What is counted may already be more than what is listed.
        let is_whole = |page: &Value| page["total"] == 5 && page["items"].as_array().is_some_and(|items| items.len() == 5);
        product.get("/models/odd/inferences").await.filter(is_whole)
    })
    .await;
    let ids: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["request_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        !ids.contains(&"far-future".to_owned()) && ids.contains(&"time-0".to_owned()),
        "{ids:?}"
    );
    eventually("what is set aside is counted", async || {
        product.get("/status").await.filter(|status| status["drain"]["set_aside"] == 1)
    })
    .await;
}

#[tokio::test]
async fn the_api_says_what_to_do() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let (status, answer) = product
        .post(
            "/outcomes",
            &json!([
                {"model": "m", "request_id": "unknown", "kind": "label", "label": "1"},
                {"model": "m", "kind": "label", "label": "1"},
                {"model": "m", "request_id": "r", "kind": "guess"},
            ]),
        )
        .await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(1)), "{answer}");
    let rejected: Vec<_> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rejected| rejected["index"].as_u64().unwrap())
        .collect();
    assert_eq!(rejected, [1, 2]);

    let unlabelled = json!({"examples": [{"id": "a", "input": {"x": 1}}]});
    let response = product
        .client
        .put(product.url("/models/m/control"))
        .json(&unlabelled)
        .send()
        .await
        .unwrap();
    assert_problem(response, 422, "expected").await;
    let response = product
        .client
        .post(product.url("/deployments"))
        .body("{")
        .header("content-type", "application/json")
        .send()
        .await
        .unwrap();
    assert_problem(response, 400, "").await;
    let response = product.client.get(product.url("/search?q=message:(")).send().await.unwrap();
    assert_problem(response, 400, "").await;
    let response = product
        .client
        .get(product.url("/models/nobody/versions/1/verdict"))
        .send()
        .await
        .unwrap();
    assert_problem(response, 404, "").await;
    let response = product.client.get(product.url("/nothing")).send().await.unwrap();
    assert_problem(response, 404, "").await;
}

async fn assert_problem(response: reqwest::Response, status: u16, mentions: &str) {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
    assert!(problem.to_string().contains(mentions), "{problem}");
}

#[test]
fn a_rule_file_with_an_error_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("rules.toml"),
        "[[rules]]\nname = \"r\"\nsignal = \"no_such_signal\"\nabove = 1.0\nseverity = \"warning\"\nwhy = \"because\"\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("driftlead.toml"), "[rules]\npaths = [\"rules.toml\"]\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_driftlead"))
        .args(["check-config", "--config"])
        .arg(folder.path().join("driftlead.toml"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("no_such_signal") && error.contains("rules.toml"), "{error}");
}
