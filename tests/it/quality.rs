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

/// The parameters of the hour that begins at `start`.
fn hour_of(start: u64) -> String {
    format!("from={}&to={}", start / 1_000_000_000, (start + HOUR_NS) / 1_000_000_000)
}

#[tokio::test]
async fn what_became_known_of_a_range_is_shown_with_its_bounds_and_corrected_once() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start(CONFIGURATION).await;
    let start = hours_ago(2);
    let is_positive = |i: u64| ((i / SCORES.len() as u64) % 10) < (SCORES[i as usize % SCORES.len()] * 10.0).round() as u64;
    let record = |i: u64| {
        let score = SCORES[i as usize % SCORES.len()];
        let predicted = text("ml.prediction.label", if score > 0.5 { "1" } else { "0" });
        let segment = text("ml.segment", if i < 100 { "web" } else { "" });
        let more = vec![predicted, number("ml.prediction.score", score), segment];
        inference("spam", "1", &format!("k{i}"), start + i * 1_000_000_000, more)
    };
    send(&product, (0..N).map(record).collect()).await;
    let label = |i: u64, label: &str| json!({"model": "spam", "request_id": format!("k{i}"), "kind": "label", "label": label});
    let of_truth = |i: u64| label(i, if is_positive(i) { "1" } else { "0" });
    // Of the first 800; the fourth, which is positive, is labelled wrongly at first.
    let wrongly = |i: u64| if i == 3 { label(i, "0") } else { of_truth(i) };
    tell(&product, (0..800).map(wrongly).collect()).await;
    let path = format!("/models/spam/quality?{}", hour_of(start));
    let quality = async |counts: Value| {
        eventually("the labels are counted", async || {
            let quality = product.get(&path).await?;
            (quality["confusion"]["counts"] == counts && quality["inferences"] == N).then_some(quality)
        })
        .await
    };
    // Rows are what is true: of each score 200, of which the share that it promises is positive.
    let before = quality(json!([[320, 81], [80, 319]])).await;
    tell(&product, vec![of_truth(3)]).await;
    let after = quality(json!([[320, 80], [80, 320]])).await;
    for of in [&before, &after] {
        assert_eq!((&of["labelled"], &of["confusion"]["n"]), (&json!(800), &json!(800)), "{of}");
        assert_eq!(
            (&of["version"], &of["unknown"], &of["is_shortened"]),
            (&json!("1"), &Value::Null, &json!(false))
        );
        assert_eq!(of["versions"], json!([{"version": "1", "inferences": N, "labelled": 800}]));
    }
    let classes = after["confusion"]["classes"].as_array().unwrap();
    for (class, name) in classes.iter().zip(["0", "1"]) {
        assert_eq!(
            (&class["class"], &class["n"], &class["predicted"]),
            (&json!(name), &json!(400), &json!(400))
        );
        for measure in ["precision", "recall", "f1"] {
            let of = |bound: &str| class[measure][bound].as_f64().unwrap();
            assert!((of("value") - 0.8).abs() < 1e-9, "{measure} {class}");
            assert!(
                of("lower") < 0.8 && of("lower") > 0.7 && of("upper") > 0.8 && of("upper") < 0.9,
                "{measure} {class}"
            );
        }
    }
    let bins = after["calibration"]["bins"].as_array().unwrap();
    assert_eq!(bins.len(), SCORES.len(), "{}", after["calibration"]);
    for (bin, score) in bins.iter().zip(SCORES) {
        let share = &bin["positive_share"];
        assert_eq!((&bin["n"], share["value"].as_f64().unwrap()), (&json!(200), score), "{bin}");
        assert!((bin["mean_score"].as_f64().unwrap() - score).abs() < 0.005 * score, "{bin}");
        assert!(
            share["lower"].as_f64().unwrap() < score && share["upper"].as_f64().unwrap() > score,
            "{bin}"
        );
    }
    let of_segment = product.get(&format!("{path}&segment=web")).await.unwrap();
    assert_eq!(
        (&of_segment["inferences"], &of_segment["labelled"]),
        (&json!(100), &json!(100)),
        "{of_segment}"
    );
    let measured = eventually("the hour is measured", async || {
        let quality = product.get(&path).await?;
        let lines = quality["signals"]["lines"].as_array()?;
        let f1 = lines.iter().find(|line| line["signal"] == "f1")?;
        f1["value"][0].as_f64().filter(|value| (value - 0.8).abs() < 1e-9)
    });
    measured.await;

    // Without labels nothing is 0, and what cannot be read is said.
    let none = product
        .get(&format!("/models/spam/quality?{}", hour_of(hours_ago(9))))
        .await
        .unwrap();
    assert_eq!(
        (&none["unknown"], &none["confusion"], &none["labelled"]),
        (&json!("no_data"), &Value::Null, &json!(0))
    );
    for (query, said) in [
        ("quality?from=yesterday", "from is not an instant"),
        ("quality?from=200&to=100", "from must lie before to"),
        ("signals?subjects=0", "from 1 to 1000"),
    ] {
        let response = product
            .client
            .get(product.url(&format!("/models/spam/{query}")))
            .send()
            .await
            .unwrap();
        let (status, problem) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
        assert!(
            status == 400 && problem["detail"].as_str().unwrap().contains(said),
            "{query}: {problem}"
        );
    }
    product.stop().await;
}

#[tokio::test]
async fn scores_of_three_classes_are_ranked_and_cost() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start(CONFIGURATION).await;
    // The true class has 0.6 or, of every third inference, 0.2; the scores of the last are not brought to 1 by their sender.
    let classes = ["cat", "dog", "bird"];
    let (mut records, mut labels) = (Vec::new(), Vec::new());
    for i in 0..300_usize {
        let truth = classes[i % 3];
        let of_truth = if i / 3 % 3 == 0 { 0.2 } else { 0.6 };
        let scale = if i >= 150 { 10.0 } else { 1.0 };
        let scores = classes.map(|class| {
            let score = if class == truth { of_truth } else { (1.0 - of_truth) / 2.0 };
            number(&format!("ml.prediction.scores.{class}"), score * scale)
        });
        let more = scores.into_iter().chain([text("ml.prediction.label", truth)]).collect();
        let id = format!("three-{i}");
        records.push(inference("animals", "1", &id, hours_ago(2) + i as u64 * 1_000_000_000, more));
        labels.push(json!({"model": "animals", "request_id": id, "kind": "label", "label": truth}));
    }
    send(&product, records).await;
    tell(&product, labels).await;
    let of = |cost: fn(f64) -> f64| (cost(0.2) * 102.0 + cost(0.6) * 198.0) / 300.0;
    let loss = expect(&product, "animals", "log_loss", of(|p| -p.ln()), 1e-9).await;
    assert!(loss["n"] == 300 && loss["lower"].as_f64() < loss["value"].as_f64(), "{loss}");
    expect(
        &product,
        "animals",
        "brier",
        of(|p| (1.0 - p).powi(2) + 2.0 * ((1.0 - p) / 2.0).powi(2)),
        1e-9,
    )
    .await;
    // 0.6 lies above all scores of the others, 0.2 beside two thirds of them.
    expect(&product, "animals", "roc_auc", 0.66 + 0.34 * 0.66 / 2.0, 1e-9).await;
    assert!(value(&product, "animals", "ece").await.is_none());
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
    let quality = product.get(&format!("/models/price/quality?{}", hour_of(start))).await.unwrap();
    let numbers = &quality["numbers"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    assert_eq!((&numbers["n"], number(&numbers["mae"]["value"])), (&json!(100), 2.0), "{quality}");
    assert!((number(&numbers["mean_error"]) + 1.0).abs() < 1e-9, "{numbers}");
    assert!(
        quality["confusion"].is_null() && quality["calibration"]["undefined"].is_string(),
        "{quality}"
    );
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
