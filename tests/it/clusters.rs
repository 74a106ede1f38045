//! Clusters of embeddings, from OTLP to segments that nobody declared; and what else takes inferences side by side: whether a model
//! tells the window from its reference, how far vectors lie apart, what is repeated, the map.

use std::sync::LazyLock;
use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value, json};

use crate::support::otlp::{embedding, inference, logs_request, now_ns, number, post_logs, text};
use crate::support::product::{Product, engine_is_there};
use crate::support::{eventually, eventually_within};

const HOUR_NS: u64 = 3_600_000_000_000;
const DIMENSIONS: usize = 16;
const CONFIGURATION: &str = r#"
[drift]
segments = 5

[[models]]
name = "tickets"
clusters = "embeddings"
"#;

/// A vector near the axis of its topic.
fn vector(topic: u64, seed: u64) -> Vec<f64> {
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 2_000) as f64 / 10_000.0 - 0.1
    };
    (0..DIMENSIONS)
        .map(|i| noise() + if i as u64 == topic { 1.0 } else { 0.0 })
        .collect()
}

/// The start of the hour so many hours before the one in which the tests began, in Unix nanoseconds.
fn start_of(hours: u64) -> u64 {
    static THIS_HOUR: LazyLock<u64> = LazyLock::new(|| now_ns() / HOUR_NS * HOUR_NS);
    *THIS_HOUR - hours * HOUR_NS
}

/// An hour whose topics follow each other as given; `age` is what the feature is.
async fn send_hour(product: &Product, model: &str, hours: u64, topics: &[u64], n: u64, age: impl Fn(u64) -> f64) {
    let record = |i: u64| {
        let topic = topics[i as usize % topics.len()];
        let more = vec![
            embedding(vector(topic, hours * 1_000_000 + i)),
            text("ml.embedding.model", "minilm"),
            text("ml.feature.queue", &format!("queue {topic}")),
            number("ml.feature.age", age(i)),
        ];
        inference(model, "1", &format!("{hours}-{i}"), start_of(hours) + i * 1_000_000_000, more)
    };
    let records: Vec<LogRecord> = (0..n).map(record).collect();
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

async fn send_now(product: &Product, model: &str) {
    let records = vec![inference(model, "1", "now", now_ns(), vec![])];
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

/// The point of a signal of the hour that began so many hours ago.
async fn point(product: &Product, model: &str, name: &str, hours: u64) -> Option<Value> {
    let signals = product
        .get(&format!("/models/{model}/signals?name={name}&window=1h&from=2020-01-01"))
        .await?;
    let end = UnixNanos(i64::try_from(start_of(hours) + HOUR_NS).unwrap()).to_string();
    let series = signals["signals"].as_array()?.iter();
    let mut points = series.flat_map(|series| series["points"].as_array().unwrap().clone());
    points.find(|point| point["end"] == end.as_str() && point["value"].is_number())
}

async fn expect(product: &Product, model: &str, name: &str, hours: u64) -> Value {
    let what = format!("{name} of the hour {hours} hours ago");
    eventually_within(Duration::from_secs(150), &what, async || point(product, model, name, hours).await).await
}

fn of(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test]
async fn clusters_are_segments_and_a_new_one_is_seen_and_keeps_its_number() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start(CONFIGURATION).await;
    let clusters = async |product: &Product| {
        let report = product.get("/models/tickets/clusters").await?;
        report["fitted_at"].is_string().then_some(report)
    };
    let none = product.get("/models/other/clusters").await.unwrap();
    assert_eq!((&none["of"], &none["unknown"]), (&Value::Null, &json!("not_switched_on")));
    // Three topics, half, three tenths and a fifth of the tickets.
    let topics = [0, 1, 0, 2, 0, 1, 0, 2, 0, 1];
    send_hour(&product, "tickets", 4, &topics, 2_000, |i| (i % 10) as f64).await;
    let found = eventually_within(Duration::from_secs(90), "clusters are found", async || clusters(&product).await).await;
    let sizes: Vec<f64> = found["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| of(cluster, "share"))
        .collect();
    assert_eq!(sizes.len(), 3, "{found}");
    assert!((sizes[0] - 0.5).abs() < 0.01 && (sizes[1] - 0.3).abs() < 0.01, "{found}");
    assert_eq!(
        (
            &found["encoder"],
            &found["dimensions"],
            &found["clusters"][1]["typical"][0]["value"]
        ),
        (&json!("minilm"), &json!(DIMENSIONS), &json!("queue 1")),
        "{found}"
    );

    // What comes from now on belongs to them; after a crash too.
    product.kill();
    product.start_again().await;
    send_hour(&product, "tickets", 2, &topics, 2_000, |i| (i % 10) as f64).await;
    let with_new = [topics.as_slice(), &[7]].concat();
    send_hour(&product, "tickets", 1, &with_new, 2_200, |i| (i % 10) as f64).await;
    send_now(&product, "tickets").await;
    let usual = expect(&product, "tickets", "new_cluster_ratio", 2).await;
    assert_eq!((of(&usual, "value"), &usual["n"]), (0.0, &json!(2_000)), "{usual}");
    let new = expect(&product, "tickets", "new_cluster_ratio", 1).await;
    assert!((of(&new, "value") - 1.0 / 11.0).abs() < 0.01 && of(&new, "lower") > 0.05, "{new}");
    let after = clusters(&product).await.unwrap();
    let numbers: Vec<&Value> = after["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| &cluster["number"])
        .collect();
    assert_eq!(numbers, [&json!(1), &json!(2), &json!(3), &json!(4)], "{after}");
    assert_eq!(
        (&after["clusters"][3]["is_new"], &after["clusters"][3]["typical"][0]["value"]),
        (&json!(true), &json!("queue 7"))
    );

    // A cluster is a segment: it has drift of its own.
    let path = format!(
        "/models/tickets/drift?segment=cluster%201&from={}&to={}",
        start_of(2) / 1_000_000_000,
        start_of(1) / 1_000_000_000
    );
    let drift = eventually("the first cluster is profiled", async || {
        let drift = product.get(&path).await?;
        (drift["n"] == 1_000).then_some(drift)
    })
    .await;
    assert_eq!(drift["segment"], "cluster 1", "{drift}");

    let (status, anew) = product.post("/models/tickets/clusters", &json!({})).await;
    assert_eq!(status, 200, "{anew}");
    let typical = |number: u64| {
        let all = anew["clusters"].as_array().unwrap().iter();
        all.filter(|cluster| cluster["number"] == number)
            .map(|cluster| cluster["typical"][0]["value"].clone())
            .collect::<Vec<Value>>()
    };
    for (number, queue) in [(1, "queue 0"), (2, "queue 1"), (3, "queue 2"), (4, "queue 7")] {
        assert_eq!(typical(number), [json!(queue)], "{anew}");
    }
    product.stop().await;
}

#[tokio::test]
async fn what_tells_a_window_from_its_reference_how_far_vectors_moved_and_what_is_repeated() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    // No two tickets are alike, but in the last hour every fifth repeats the one before; a third is of another topic, and older.
    send_hour(&product, "moved", 2, &[0, 1], 1_500, |i| 20.0 + i as f64 / 1_000.0).await;
    send_hour(&product, "moved", 1, &[0, 1, 5], 1_500, |i| {
        let i = if i % 15 == 3 { i - 3 } else { i };
        (if i % 3 == 2 { 60.0 } else { 20.0 }) + i as f64 / 1_000.0
    })
    .await;
    send_now(&product, "moved").await;

    let told = expect(&product, "moved", "domain_auc", 1).await;
    assert!((0.6..0.95).contains(&of(&told, "value")) && of(&told, "lower") > 0.55, "{told}");
    assert_eq!((&told["n"], &told["reference_n"]), (&json!(1_500), &json!(1_500)), "{told}");
    let apart = expect(&product, "moved", "mmd", 1).await;
    assert!(of(&apart, "value") > 0.02 && apart["n"] == 1_000, "{apart}");
    let repeated = expect(&product, "moved", "duplicate_ratio", 1).await;
    assert!(
        (of(&repeated, "value") - 1.0 / 15.0).abs() < 1e-9 && repeated["n"] == 1_500,
        "{repeated}"
    );
    assert_eq!(of(&expect(&product, "moved", "duplicate_ratio", 2).await, "value"), 0.0);

    let path = format!(
        "/models/moved/drift/embeddings?from={}&to={}",
        start_of(1) / 1_000_000_000,
        start_of(0) / 1_000_000_000
    );
    let map = product.get(&path).await.unwrap();
    assert_eq!(
        (&map["encoder"], &map["n"], &map["reference_n"]),
        (&json!("minilm"), &json!(1_000), &json!(1_000))
    );
    let points = map["points"].as_array().unwrap();
    assert_eq!(points.len(), 2_000);
    assert!(points.iter().all(|point| point["x"].is_number() && point["request_id"].is_string()));
    let explained = map["explained_variance"].as_array().unwrap();
    assert!(explained[0].as_f64().unwrap() > explained[1].as_f64().unwrap(), "{explained:?}");
    let none = product.get("/models/nobody/drift/embeddings").await.unwrap();
    assert_eq!(none["unknown"], "no_data", "{none}");
    product.stop().await;
}
