//! Quality and data quality, from OTLP and outcomes to the signals of the API.

use serde_json::{Value, json};

use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::support::product::{Product, engine_is_there};
use crate::support::{eventually, eventually_within};

const HOUR_NS: u64 = 3_600_000_000_000;
/// Inferences of an hour.
const N: u64 = 1_000;
const SCORES: [f64; 4] = [0.1, 0.3, 0.7, 0.9];
const CONFIGURATION: &str = r#"
[quality]
recompute_interval = "1s"

[[models]]
name = "spam"
positive_class = "1"
label_delay = "0s"
ranges = { age = [0, 100] }

[[models]]
name = "price"
label_delay = "0s"
"#;

/// Start of the hour so many hours before this one.
fn hours_ago(hours: u64) -> u64 {
    now_ns() / HOUR_NS * HOUR_NS - hours * HOUR_NS
}

async fn send(product: &Product, records: Vec<opentelemetry_proto::tonic::logs::v1::LogRecord>) {
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

async fn tell(product: &Product, outcomes: Vec<Value>) {
    let (status, answer) = product.post("/outcomes", &Value::Array(outcomes)).await;
    assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{answer}");
}

/// The last point of a signal's only series with a value.
async fn value(product: &Product, model: &str, name: &str) -> Option<Value> {
    let signals = product
        .get(&format!("/models/{model}/signals?name={name}&window=1h&from=2020-01-01"))
        .await?;
    let mut points = signals["signals"]
        .as_array()?
        .iter()
        .flat_map(|series| series["points"].as_array().unwrap());
    points.rfind(|point| point["value"].is_number()).cloned()
}

async fn expect(product: &Product, model: &str, name: &str, expected: f64, tolerance: f64) -> Value {
    let point = eventually(&format!("{name} has a value"), async || value(product, model, name).await).await;
    let found = point["value"].as_f64().unwrap();
    assert!((found - expected).abs() <= tolerance, "{name}: {found} {expected}");
    point
}

#[tokio::test]
async fn scores_are_measured_by_labels_and_then_say_what_to_expect_without_them() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start(CONFIGURATION).await;
    // Each score has the share of positives that it promises. Of the ages a tenth is out of range, a twentieth no number.
    for hours in [3, 2] {
        let mut records = Vec::new();
        let mut labels = Vec::new();
        for i in 0..N {
            let score = SCORES[i as usize % SCORES.len()];
            let is_positive = ((i / SCORES.len() as u64) % 10) < (score * 10.0).round() as u64;
            let id = format!("{hours}-{i}");
            let age = match i % 20 {
                0 => text("ml.feature.age", "unknown"),
                1 | 2 => number("ml.feature.age", 150.0),
                _ => number("ml.feature.age", 30.0),
            };
            let predicted = text("ml.prediction.label", if score > 0.5 { "1" } else { "0" });
            let more = vec![predicted, number("ml.prediction.score", score), age];
            records.push(inference("spam", "1", &id, hours_ago(hours) + i * 1_000_000_000, more));
            labels.push(json!({"model": "spam", "request_id": id, "kind": "label", "label": if is_positive { "1" } else { "0" }}));
        }
        send(&product, records).await;
        tell(&product, labels).await;
    }
    expect(&product, "spam", "accuracy", 0.8, 1e-9).await;
    let brier = expect(&product, "spam", "brier", 0.15, 1e-9).await;
    assert_eq!(brier["n"], N);
    assert!(brier["lower"].as_f64() < brier["value"].as_f64() && brier["value"].as_f64() < brier["upper"].as_f64());
    let loss: f64 = SCORES.iter().map(|p| -(p * p.ln() + (1.0 - p) * (1.0 - p).ln())).sum::<f64>() / 4.0;
    expect(&product, "spam", "log_loss", loss, 1e-9).await;
    // Positives are 1, 3, 7 and 9 of ten, negatives the rest: pairs in order, and ties by half.
    let (positives, negatives) = ([1.0, 3.0, 7.0, 9.0], [9.0, 7.0, 3.0, 1.0]);
    let ranked = |i: usize| positives[i] * (negatives[..i].iter().sum::<f64>() + negatives[i] / 2.0);
    expect(&product, "spam", "roc_auc", (0..4).map(ranked).sum::<f64>() / 400.0, 1e-9).await;
    expect(&product, "spam", "ece", 0.0, 0.005).await;
    assert!(value(&product, "spam", "pr_auc").await.is_some());
    expect(&product, "spam", "type_mismatch_ratio", 0.05, 1e-9).await;
    expect(&product, "spam", "out_of_range_ratio", 0.1 / 0.95, 1e-9).await;
    eventually("the scores of both hours are kept", async || {
        let signals = product.get("/models/spam/signals?name=roc_auc&window=1h&from=2020-01-01").await?;
        (signals["signals"][0]["points"].as_array()?.len() == 2).then_some(())
    })
    .await;

    // The hour after has only sure scores, and no labels yet.
    let records = (0..400).map(|i| {
        let (predicted, score) = if i % 2 == 0 { ("1", 0.9) } else { ("0", 0.1) };
        let more = vec![text("ml.prediction.label", predicted), number("ml.prediction.score", score)];
        inference("spam", "1", &format!("later-{i}"), hours_ago(1) + i * 1_000_000_000, more)
    });
    // One of now: until event times pass the end of an hour, it may go on.
    let now = inference("spam", "1", "now", now_ns(), vec![number("ml.prediction.score", 0.9)]);
    send(&product, records.chain([now]).collect()).await;
    let expected = eventually_within(
        std::time::Duration::from_secs(150),
        "the quality of the last hour is estimated",
        async || {
            value(&product, "spam", "estimated_accuracy")
                .await
                .filter(|point| point["n"] == 400)
        },
    )
    .await;
    assert!((expected["value"].as_f64().unwrap() - 0.9).abs() < 0.03, "{expected}");
    assert_eq!(expected["reference_n"], 2 * N);
    product.stop().await;
}

#[tokio::test]
async fn numbers_have_errors_and_answers_are_judged() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start(CONFIGURATION).await;
    let start = hours_ago(2);
    let of = |i: u64| {
        inference(
            "price",
            "7",
            &format!("p{i}"),
            start + i * 1_000_000_000,
            vec![number("ml.prediction.value", i as f64)],
        )
    };
    send(&product, (0..100).map(of).collect()).await;
    // Half of them are 1 too high, half 3 too low; the last four are judged incorrect, 36 correct.
    let label = |i: u64| {
        let truth = if i.is_multiple_of(2) { i as f64 - 1.0 } else { i as f64 + 3.0 };
        json!({"model": "price", "request_id": format!("p{i}"), "kind": "label", "label": truth.to_string()})
    };
    tell(&product, (0..100).map(label).collect()).await;
    let verdict = |i: u64| json!({"model": "price", "request_id": format!("p{i}"), "kind": "verdict", "verdict": i < 96});
    tell(&product, (60..100).map(verdict).collect()).await;
    let mae = expect(&product, "price", "mae", 2.0, 1e-9).await;
    assert_eq!(mae["n"], 100);
    expect(&product, "price", "rmse", 5.0_f64.sqrt(), 1e-9).await;
    expect(&product, "price", "incorrect_ratio", 0.1, 1e-9).await;
    product.stop().await;
}

#[tokio::test]
async fn how_long_labels_take_is_learnt_where_nobody_says_it() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    // Served an hour and a half ago, labelled now.
    let start = now_ns() - HOUR_NS * 3 / 2;
    let of = |i: u64| inference("slow", "1", &format!("s{i}"), start + i, vec![text("ml.prediction.label", "a")]);
    send(&product, (0..200).map(of).collect()).await;
    let label = |i: u64| json!({"model": "slow", "request_id": format!("s{i}"), "kind": "label", "label": "a"});
    tell(&product, (0..200).map(label).collect()).await;
    expect(&product, "slow", "accuracy", 1.0, 1e-9).await;
    let delay = async |product: &Product| product.get("/models/slow").await?["settings"]["label_delay_s"].as_u64();
    assert_eq!(delay(&product).await, Some(86_400), "it is learnt once an hour, and at the start");

    product.kill();
    product.start_again().await;
    let learnt = eventually("the delay is learnt", async || {
        delay(&product).await.filter(|&delay| delay != 86_400)
    })
    .await;
    assert!((5_400..6_000).contains(&learnt), "{learnt}");
    product.stop().await;
}
