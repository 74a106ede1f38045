//! `examples/python`: a stock OpenTelemetry SDK service shows up, over HTTP and over gRPC.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::product::{Product, engine_is_there, target_folder};

const REQUESTS: u64 = 200;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python")
}

/// The interpreter of a virtual environment with what the example needs; made once.
fn python() -> PathBuf {
    let environment = target_folder().join("python-example");
    let requirements = example().join("requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let installed = environment.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return environment.join("bin/python");
    }
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    run(Command::new(environment.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&requirements));
    std::fs::write(&installed, wanted).unwrap();
    environment.join("bin/python")
}

#[tokio::test]
async fn the_example_shows_up_over_http_and_over_grpc() {
    if !engine_is_there() {
        return;
    }
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let product = Product::start("").await;
    for (round, protocol, address) in [(1, "http/protobuf", &product.otlp_http), (2, "grpc", &product.otlp_grpc)] {
        let mut service = Command::new(&python);
        service
            .arg(example().join("service.py"))
            .arg(REQUESTS.to_string())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
        let ended = tokio::task::spawn_blocking(move || service.status().unwrap()).await.unwrap();
        assert!(ended.success(), "{protocol}");
        // The prediction comes by a log, its latency by a span, in either order.
        let is_whole = |item: &Value| {
            let is_timed = item["latency_ms"].as_f64().is_some_and(|latency_ms| latency_ms >= 1.0);
            is_timed && (item["prediction_label"].is_string() || item["error_type"] == "ValueError")
        };
        eventually("all its inferences are stored with both halves", async || {
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
