//! Embeddings, from OTLP to signals: what moved, how old they are, of which length and by which encoder.

use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value, json};

use crate::support::otlp::{embedding, inference, logs_request, now_ns, post_logs, text};
use crate::support::product::{Product, engine_is_there};
use crate::support::{eventually, eventually_within};

const SECOND_NS: u64 = 1_000_000_000;
const HOUR_NS: u64 = 3_600 * SECOND_NS;
const DAY_NS: u64 = 24 * HOUR_NS;
const DIMENSIONS: usize = 64;

/// A vector of a topic: its half of the coordinates stands out of noise that every vector has of its own.
fn vector(topic: usize, seed: u64, dimensions: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 2_000) as f64 / 1_000.0 - 1.0
    };
    (0..dimensions).map(|i| noise() + if i % 2 == topic { 1.5 } else { 0.0 }).collect()
}

fn created_at(time_ns: u64) -> KeyValue {
    KeyValue {
        key: "ml.embedding.created_at".to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::IntValue(time_ns as i64)),
        }),
        ..Default::default()
    }
}

/// `n` inferences of a model in the hour from `start`, evenly spread, with these attributes.
fn hour_of(model: &str, start: u64, n: u64, attributes: impl Fn(u64, u64) -> Vec<KeyValue>) -> Vec<LogRecord> {
    let at = |i: u64| start + i * (HOUR_NS / n);
    (0..n)
        .map(|i| inference(model, "1", &format!("{model}-{start}-{i}"), at(i), attributes(i, at(i))))
        .collect()
}

async fn send(product: &Product, records: Vec<LogRecord>) {
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

/// The point of a signal's hour that was computed from `n` records.
async fn point(product: &Product, model: &str, name: &str, n: u64) -> Option<Value> {
    let signals = product
        .get(&format!("/models/{model}/signals?name={name}&window=1h&from=2020-01-01"))
        .await?;
    let points = signals["signals"]
        .as_array()?
        .iter()
        .flat_map(|series| series["points"].as_array().unwrap());
    points.into_iter().find(|point| point["n"] == n).cloned()
}

async fn expect(product: &Product, model: &str, name: &str, n: u64) -> Value {
    let what = format!("{name} of {model} over {n} is there");
    eventually_within(Duration::from_secs(150), &what, async || {
        point(product, model, name, n).await.filter(|point| point["value"].is_number())
    })
    .await
}

fn number(point: &Value, name: &str) -> f64 {
    point[name].as_f64().unwrap_or_else(|| panic!("{name} in {point}"))
}

/// What `GET drift` says of the embeddings of the hour from `start` against a reference; empty: that which applies.
async fn drift(product: &Product, model: &str, start: u64, reference: &str) -> Option<Value> {
    let (from, to) = (start / SECOND_NS, (start + HOUR_NS) / SECOND_NS);
    let path = format!("/models/{model}/drift?from={from}&to={to}&reference={reference}");
    let report = product.get(&path).await?;
    Some(report["embedding"].clone()).filter(|embedding| !embedding.is_null())
}

#[tokio::test]
async fn embeddings_that_moved_grew_old_or_changed_are_seen() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let this_hour = now_ns() / HOUR_NS * HOUR_NS;
    let [first, second, last] = [3, 2, 1].map(|hours| this_hour - hours * HOUR_NS);
    // Two hours of one topic, then one with 30 % of another. All are two days old, in the last hour a tenth is thirty.
    let usual = |hours: u64| {
        move |i: u64, at: u64| {
            let vector = vector(0, hours * 1_000_000 + i, DIMENSIONS);
            vec![embedding(vector), text("ml.embedding.model", "minilm"), created_at(at - 2 * DAY_NS)]
        }
    };
    let moved = |i: u64, at: u64| {
        let age = if i % 10 == 3 { 30 } else { 2 };
        let vector = vector(usize::from(i % 10 < 3), i, DIMENSIONS);
        vec![
            embedding(vector),
            text("ml.embedding.model", "minilm"),
            created_at(at - age * DAY_NS),
        ]
    };
    send(&product, hour_of("rag", first, 1_600, usual(3))).await;
    send(&product, hour_of("rag", second, 1_400, usual(2))).await;
    send(&product, hour_of("rag", last, 1_500, moved)).await;

    // One in ten is half as long, one in twenty is zeros, which point nowhere.
    let mixed = |i: u64, _: u64| {
        let vector = match i % 20 {
            0 | 1 => vector(0, i, DIMENSIONS / 2),
            2 => vec![0.0; DIMENSIONS],
            _ => vector(0, i, DIMENSIONS),
        };
        vec![embedding(vector)]
    };
    send(
        &product,
        hour_of("mixed", second, 1_200, |i, _| vec![embedding(vector(0, i + 7_000_000, DIMENSIONS))]),
    )
    .await;
    send(&product, hour_of("mixed", last, 2_000, mixed)).await;

    let by = |encoder: &'static str| move |i: u64, _: u64| vec![embedding(vector(0, i, DIMENSIONS)), text("ml.embedding.model", encoder)];
    send(&product, hour_of("renewed", second, 1_200, by("one"))).await;
    send(&product, hour_of("renewed", last, 1_300, by("two"))).await;
    // Ones of now: until event times pass the end of an hour, it may go on.
    for model in ["rag", "mixed", "renewed"] {
        send(&product, vec![inference(model, "1", "now", now_ns(), vec![])]).await;
    }

    let same = expect(&product, "rag", "embedding_shift", 1_400).await;
    assert!(number(&same, "lower") < 0.02 && number(&same, "value") < 0.06, "{same}");
    let shift = expect(&product, "rag", "embedding_shift", 1_500).await;
    assert!(number(&shift, "lower") > 0.2 && number(&shift, "lower") <= 0.3, "{shift}");
    // The best of 64 directions tells nearly all of what moved.
    assert!((0.2..0.34).contains(&number(&shift, "value")), "{shift}");
    assert_eq!(
        shift["reference_n"].as_u64().map(|n| n == 3_000 || n == 1_600),
        Some(true),
        "{shift}"
    );

    // Buckets are at most 0.8 % wide.
    let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 0.005, "{found} {expected}");
    close(number(&expect(&product, "rag", "embedding_age_days", 1_400).await, "value"), 2.0);
    close(number(&expect(&product, "rag", "embedding_age_days", 1_500).await, "value"), 30.0);

    let lengths = expect(&product, "mixed", "shape_mismatch_ratio", 2_000).await;
    assert!((number(&lengths, "value") - 0.1).abs() < 1e-9, "{lengths}");
    let compared = expect(&product, "mixed", "embedding_shift", 1_700).await;
    assert!(number(&compared, "lower") < 0.02, "{compared}");

    let changed = eventually("the change of the encoder is told", async || {
        drift(&product, "renewed", last, "")
            .await
            .filter(|embedding| embedding["unknown"] == "encoder_mismatch")
    })
    .await;
    let reason = changed["reason"].as_str().unwrap();
    assert!(reason.contains("\"two\"") && reason.contains("\"one\""), "{reason}");
    assert_eq!(changed["shift"]["value"], Value::Null);
    let unknown = eventually("the signal has no value either", async || {
        point(&product, "renewed", "embedding_shift", 1_300).await
    })
    .await;
    assert_eq!(
        (&unknown["state"], &unknown["value"]),
        (&"insufficient".into(), &Value::Null),
        "{unknown}"
    );

    // A stretch that is profiled once, and read again after a crash, says the same.
    let instant = |time_ns: u64| UnixNanos(time_ns as i64).to_string();
    let stretch = json!({ "from": instant(first), "to": instant(last) });
    let named = product
        .client
        .put(product.url("/models/rag/references/calm"))
        .json(&stretch)
        .send()
        .await
        .unwrap();
    assert!(named.status().is_success(), "{}", named.status());
    let against_calm = async |product: &Product| {
        let found = drift(product, "rag", last, "calm").await?;
        (found["reference_n"] == 3_000).then_some(found)
    };
    let before = eventually("the stretch is profiled", async || against_calm(&product).await).await;
    assert_eq!(
        (&before["encoder"], &before["dimensions"], &before["left_out"]),
        (&"minilm".into(), &DIMENSIONS.into(), &0.into())
    );
    assert!(number(&before["shift"], "lower") > 0.2, "{before}");
    product.kill();
    product.start_again().await;
    let after = eventually("the engine answers again", async || against_calm(&product).await).await;
    assert_eq!(after, before);
    assert_eq!(expect(&product, "rag", "embedding_shift", 1_500).await["lower"], shift["lower"]);
    product.stop().await;
}
