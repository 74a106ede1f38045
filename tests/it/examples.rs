//! `examples/`: services with nothing but the stock OpenTelemetry SDK show up, over HTTP and over gRPC.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::packages::{node, python};
use crate::support::product::{Product, engine_is_there};

const REQUESTS: u64 = 200;

#[tokio::test]
async fn the_examples_show_up() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let (http, grpc) = (product.otlp_http.clone(), product.otlp_grpc.clone());
    let services = tokio::task::spawn_blocking(move || {
        let (python, node) = (python(), node("examples/node", "service.mjs"));
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python/service.py");
        let python_service = |protocol: &str, address: &str| {
            let mut command = Command::new(&python);
            command.arg(&program).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
            (protocol.to_owned(), address.to_owned(), command)
        };
        let mut node_service = Command::new("node");
        node_service.arg(node);
        vec![
            python_service("http/protobuf", &http),
            python_service("grpc", &grpc),
            ("node".to_owned(), http.clone(), node_service),
        ]
    });
    for (round, (what, address, mut service)) in (1..).zip(services.await.unwrap()) {
        service
            .arg(REQUESTS.to_string())
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
        let ended = tokio::task::spawn_blocking(move || service.status().unwrap()).await.unwrap();
        assert!(ended.success(), "{what}");
        // The prediction comes by a log, its latency by a span, in either order. Timers of Node.js may end at once.
        let is_whole = |item: &Value| {
            let is_timed = item["latency_ms"].as_f64().is_some_and(|latency_ms| latency_ms > 0.0);
            is_timed && (item["prediction_label"].is_string() || item["error_type"] == "ValueError")
        };
        eventually(&format!("all inferences of {what} are stored with both halves"), async || {
            let page = product.get("/models/credit/inferences?limit=1000").await?;
            let items = page["items"].as_array()?;
            (page["total"] == json!(round * REQUESTS) && items.iter().all(is_whole)).then_some(())
        })
        .await;
    }
    let models = product.get("/models").await.unwrap();
    assert_eq!(
        (&models["models"][0]["name"], &models["models"][0]["live"]["version"]),
        (&json!("credit"), &json!("1.0")),
        "{models}"
    );
}
