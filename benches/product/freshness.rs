//! Seconds from a record to what comes of it: acknowledged, stored, found, in its signal, in its alert.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::quantile::{median, quantile};
use crate::measuring::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::measuring::support::product::Product;
use crate::measuring::wait;

/// Repetitions, spread over the ten seconds of a bucket so that none is lucky.
const REPETITIONS: u64 = 9;
/// Length of the buckets that service signals are made of.
const BUCKET_SECONDS: f64 = 10.0;
/// How long the service window stays behind the clock, for what exporters hold back: with the bucket's end the least
/// that a signal can take.
const WINDOW_DELAY_SECONDS: f64 = 5.0;
/// How often each thing is asked for: the figures are no finer.
const INTERVAL: Duration = Duration::from_millis(20);
/// Records of one repetition, half of them failed: surely more than 2 %.
const RECORDS: u64 = 50;

const RULES: &str = r#"
[[rules]]
name = "errors"
signal = "error_ratio"
above = 0.02
for = "0s"
severity = "critical"
actions = ["notify"]
why = "More than 2 % of the requests fail."
"#;

/// When the first alert of each model came.
type Alerts = Arc<Mutex<HashMap<String, Instant>>>;

/// Seconds of one repetition, each from before the request was sent.
struct Repetition {
    acknowledged: f64,
    stored: f64,
    found: f64,
    signal: f64,
    alert: f64,
    /// The least that `signal` can be.
    window: f64,
}

/// Measures one record's way several times.
pub async fn measure() -> Scene {
    let mut scene = Scene::new("freshness");
    let alerts = Alerts::default();
    let receiver = receive(alerts.clone()).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, RULES).expect("the rules are written");
    let configuration =
        format!("[rules]\npaths = [{rules:?}]\n[[receivers]]\nname = \"bench\"\nwebhook = {{ url = \"http://{receiver}/\" }}\n");
    let mut product = Product::start(&configuration).await;
    wait::until_up(&product).await;
    let mut repetitions = Vec::new();
    for number in 0..REPETITIONS {
        wait_for_phase(number as f64 * BUCKET_SECONDS / REPETITIONS as f64).await;
        repetitions.push(repeat(&product, &format!("fresh-{number}"), &alerts).await);
    }
    product.stop().await;
    let all = |of: fn(&Repetition) -> f64| repetitions.iter().map(of).collect::<Vec<_>>();
    let acknowledged = all(|r| r.acknowledged);
    let (window, signal) = (all(|r| r.window), all(|r| r.signal));
    for (name, seconds, beside, limit) in [
        ("acknowledged", &acknowledged, "", None),
        (
            "stored, in /inferences",
            &all(|r| r.stored),
            "acknowledged",
            Some(median(&acknowledged)),
        ),
        ("found by /search", &all(|r| r.found), "acknowledged", Some(median(&acknowledged))),
        (
            "in its signal error_ratio",
            &signal,
            "end of its bucket and 5 s",
            Some(median(&window)),
        ),
        ("its alert at a webhook", &all(|r| r.alert), "in its signal", Some(median(&signal))),
    ] {
        scene.add(Figure::new(format!("from a record to: {name}, median"), median(seconds), "s").beside(beside, limit));
        scene.add(Figure::new(
            format!("from a record to: {name}, slowest"),
            quantile(seconds, 1.0),
            "s",
        ));
    }
    scene.note(format!(
        "{REPETITIONS} repetitions of {RECORDS} records, on a product that is otherwise idle, spread over the {BUCKET_SECONDS} s of a \
         bucket, asked for every {} ms.",
        INTERVAL.as_millis()
    ));
    scene
}

/// Waits until the clock is so many seconds into a bucket.
async fn wait_for_phase(phase: f64) {
    let seconds = now_ns() as f64 / 1e9;
    let wait = (phase - seconds).rem_euclid(BUCKET_SECONDS);
    tokio::time::sleep(Duration::from_secs_f64(wait)).await;
}

async fn repeat(product: &Product, model: &str, alerts: &Alerts) -> Repetition {
    let now = now_ns();
    let records = (0..RECORDS).map(|index| {
        let mut attributes = vec![number("ml.latency_ms", 3.0)];
        if index % 2 == 0 {
            attributes.push(text("error.type", "ShapeMismatch"));
        }
        inference(model, "1.0", &format!("{model}-{index}"), now, attributes)
    });
    let request = logs_request(records.collect());
    let began = Instant::now();
    assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
    let acknowledged = began.elapsed().as_secs_f64();
    let when = |what: &'static str, path: String, is_there: fn(&Value) -> bool| async move {
        wait::until(what, INTERVAL, async || product.get(&path).await.filter(is_there)).await;
        began.elapsed().as_secs_f64()
    };
    let alert = async {
        let arrived = wait::until("the alert arrives", INTERVAL, async || {
            alerts.lock().unwrap_or_else(PoisonError::into_inner).get(model).copied()
        });
        (arrived.await - began).as_secs_f64()
    };
    let (stored, found, signal, alert) = tokio::join!(
        when("the records are stored", format!("/models/{model}/inferences?limit=1"), |page| page
            ["total"]
            == RECORDS),
        when(
            "the errors are found",
            format!("/search?limit=1&q=model:{model}"),
            |found| found["total"] == RECORDS / 2
        ),
        when(
            "the signal is there",
            format!("/models/{model}/signals?name=error_ratio"),
            has_value
        ),
        alert,
    );
    let into_bucket = (now as f64 / 1e9).rem_euclid(BUCKET_SECONDS);
    Repetition {
        acknowledged,
        stored,
        found,
        signal,
        alert,
        window: BUCKET_SECONDS - into_bucket + WINDOW_DELAY_SECONDS,
    }
}

fn has_value(answer: &Value) -> bool {
    let series = answer["signals"].as_array().into_iter().flatten();
    series
        .flat_map(|series| series["points"].as_array().into_iter().flatten())
        .any(|point| point["value"].as_f64().is_some_and(|value| value > 0.0))
}

/// A receiver of alerts on a port of its own.
async fn receive(alerts: Alerts) -> std::net::SocketAddr {
    let router = Router::new().route("/", post(alert)).with_state(alerts);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn alert(State(alerts): State<Alerts>, Json(message): Json<Value>) -> StatusCode {
    if let (Some("alert.firing"), Some(model)) = (message["type"].as_str(), message["data"]["model"].as_str()) {
        let mut alerts = alerts.lock().unwrap_or_else(PoisonError::into_inner);
        alerts.entry(model.to_owned()).or_insert_with(Instant::now);
    }
    StatusCode::NO_CONTENT
}
