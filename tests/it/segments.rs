//! Segments of users, from OTLP and outcomes to signals of their own.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::support::product::{Product, engine_is_there};
use crate::support::{eventually, eventually_within};

const HOUR_NS: u64 = 3_600_000_000_000;
/// Inferences of a segment in an hour.
const N: u64 = 1_500;
const CONFIGURATION: &str = r#"
[quality]
recompute_interval = "1s"

[drift]
segments = 2

[[models]]
name = "credit"
label_delay = "0s"
"#;

fn hours_ago(hours: u64) -> u64 {
    now_ns() / HOUR_NS * HOUR_NS - hours * HOUR_NS
}

async fn send(product: &Product, records: Vec<opentelemetry_proto::tonic::logs::v1::LogRecord>) {
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

/// An hour of a segment: ages of ten values each as frequent, but for a share that is 70 instead.
async fn send_hour(product: &Product, segment: &str, hours: u64, n: u64, old: u64) {
    let record = |i: u64| {
        let age = if i % 10 < old { 70.0 } else { 20.0 + (i / 10 % 10) as f64 };
        let more = vec![
            number("ml.feature.age", age),
            text("ml.prediction.label", "yes"),
            text("ml.segment", segment),
        ];
        let id = format!("{segment}-{hours}-{i}");
        inference("credit", "1", &id, hours_ago(hours) + i * 1_000_000_000, more)
    };
    send(product, (0..n).map(record).collect()).await;
}

/// The points with a value of a signal about a segment.
async fn points(product: &Product, name: &str, segment: &str) -> Option<Vec<Value>> {
    let path = format!("/models/credit/signals?name={name}&segment={segment}&window=1h&from=2020-01-01");
    let signals = product.get(&path).await?;
    let series = signals["signals"].as_array()?.iter();
    let points = series.flat_map(|series| series["points"].as_array().unwrap().clone());
    Some(points.filter(|point| point["value"].is_number()).collect())
}

#[tokio::test]
async fn a_segment_that_moves_or_errs_is_told_from_the_others_also_after_a_crash() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start(CONFIGURATION).await;
    for segment in ["mobile", "web"] {
        send_hour(&product, segment, 3, N, 0).await;
        send_hour(&product, segment, 2, N, if segment == "mobile" { 4 } else { 0 }).await;
    }
    // Too little traffic for signals, and beyond the two segments that have some.
    send_hour(&product, "kiosk", 2, 500, 9).await;
    let label = |segment: &str, i: u64| {
        let is_right = segment == "web" || !i.is_multiple_of(5);
        let id = format!("{segment}-2-{i}");
        json!({"model": "credit", "request_id": id, "kind": "label", "label": if is_right { "yes" } else { "no" }})
    };
    let labels = ["mobile", "web"].map(|segment| (0..N).map(move |i| label(segment, i)).collect::<Vec<Value>>());
    for of_segment in labels {
        let (status, answer) = product.post("/outcomes", &Value::Array(of_segment)).await;
        assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{answer}");
    }
    let accuracy = |segment: &'static str, expected: f64| {
        let product = &product;
        async move {
            let what = format!("{segment} is labelled");
            let point = eventually(&what, async || {
                let last = points(product, "accuracy", segment).await?.pop()?;
                (last["n"] == N).then_some(last)
            })
            .await;
            assert!((point["value"].as_f64().unwrap() - expected).abs() < 1e-9, "{segment}: {point}");
        }
    };
    accuracy("mobile", 0.8).await;
    accuracy("web", 1.0).await;

    product.kill();
    product.start_again().await;
    send(
        &product,
        vec![inference("credit", "1", "now", now_ns(), vec![number("ml.feature.age", 20.0)])],
    )
    .await;
    let moved = eventually_within(Duration::from_secs(150), "mobile moved", async || {
        points(&product, "feature_shift", "mobile").await?.pop()
    })
    .await;
    assert!((moved["value"].as_f64().unwrap() - 0.4).abs() < 0.02, "{moved}");
    assert_eq!((&moved["n"], &moved["reference_n"]), (&json!(N), &json!(N)));
    let still = points(&product, "feature_shift", "web").await.unwrap().pop().unwrap();
    assert!(still["value"].as_f64().unwrap() < 0.02 && still["reference_n"] == N, "{still}");
    let all = points(&product, "feature_shift", "").await.unwrap().pop().unwrap();
    assert!(all["value"].as_f64().unwrap() < 0.35, "{all}");
    assert_eq!(points(&product, "feature_shift", "kiosk").await.unwrap(), Vec::<Value>::new());

    let model = product.get("/models/credit").await.unwrap();
    assert_eq!(model["segments"], json!(["mobile", "web"]));
    let window = format!("from={}&to={}", seconds(hours_ago(2)), seconds(hours_ago(1)));
    for (segment, n, expected) in [("mobile", N, 0.4), ("web", N, 0.0), ("kiosk", 500, f64::NAN)] {
        let drift = product
            .get(&format!("/models/credit/drift?segment={segment}&{window}"))
            .await
            .unwrap();
        assert_eq!((&drift["segment"], &drift["n"]), (&json!(segment), &json!(n)), "{drift}");
        let shift = drift["features"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|feature| feature["feature"] == "age");
        match shift {
            Some(age) => assert!(
                (age["shift"]["value"].as_f64().unwrap() - expected).abs() < 0.02,
                "{segment}: {age}"
            ),
            // The reference has none of this segment.
            None => assert!(expected.is_nan() && drift["unknown"] == "no_reference", "{drift}"),
        }
    }
    product.stop().await;
}

fn seconds(nanoseconds: u64) -> String {
    driftlead_store::clock::UnixNanos(i64::try_from(nanoseconds).unwrap()).to_string()
}
