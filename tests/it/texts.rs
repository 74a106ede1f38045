//! Texts, from OTLP to signals: stored embeddings that are not what the encoder makes now, and words that were not there before.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use candle_core::Device;
use driftlead_analyzer::models::text_encoder::TextEncoder;
use driftlead_store::clock::UnixNanos;
use serde_json::{Value, json};

use crate::support::eventually_within;
use crate::support::otlp::{embedding, inference, logs_request, now_ns, post_logs, text};
use crate::support::product::{Product, engine_is_there, target_folder};

const HOUR_NS: u64 = 3_600_000_000_000;
/// Requests of an hour.
const N: usize = 150;
/// What a vector that was made outside of candle may differ by in a coordinate.
const TOLERANCE: f32 = 1e-4;
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/minilm");

/// The real encoder, where `make encoder` has fetched it.
fn encoder() -> Option<TextEncoder> {
    let folder = target_folder().join("encoder");
    if !folder.join("model.safetensors").exists() {
        eprintln!("SKIPPED: there is no encoder; `make encoder` fetches it");
        return None;
    }
    Some(TextEncoder::load(&folder, &Device::Cpu).unwrap())
}

#[test]
fn vectors_are_those_that_were_computed_elsewhere_in_float64() {
    let Some(encoder) = encoder() else { return };
    let folder = Path::new(SHARED);
    let (Ok(texts), Ok(expected)) = (
        std::fs::read_to_string(folder.join("texts.txt")),
        std::fs::read(folder.join("embeddings.npy")),
    ) else {
        eprintln!("SKIPPED: there are no reference vectors in {SHARED}");
        return;
    };
    let texts: Vec<&str> = texts.lines().collect();
    // NumPy's format: magic and version in 8 bytes, the length of the header in 2, the header, float32 row by row.
    let header = usize::from(u16::from_le_bytes([expected[8], expected[9]]));
    let numbers: Vec<f32> = expected[10 + header..]
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(numbers.len(), texts.len() * encoder.dimensions());
    let mut farthest = 0.0_f32;
    for (vector, expected) in encoder.encode(&texts).iter().zip(numbers.chunks_exact(encoder.dimensions())) {
        for (found, expected) in vector.as_ref().unwrap().iter().zip(expected) {
            farthest = farthest.max((found - expected).abs());
        }
    }
    assert!(farthest <= TOLERANCE, "{farthest:e}");
}

/// The start of the hour so many hours before the one in which the tests began, in Unix nanoseconds.
fn start_of(hours: u64) -> u64 {
    static THIS_HOUR: LazyLock<u64> = LazyLock::new(|| now_ns() / HOUR_NS * HOUR_NS);
    *THIS_HOUR - hours * HOUR_NS
}

async fn send(product: &Product, hours: u64, requests: &[(String, Vec<f32>)]) {
    let record = |(i, (request, vector)): (usize, &(String, Vec<f32>))| {
        let more = vec![
            text("ml.input.text", request),
            embedding(vector.iter().copied().map(f64::from)),
            text("ml.embedding.model", "minilm"),
        ];
        inference(
            "support",
            "1",
            &format!("{hours}-{i}"),
            start_of(hours) + i as u64 * 10_000_000_000,
            more,
        )
    };
    let records = requests.iter().enumerate().map(record).collect();
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

/// The signal of the hour that began so many hours ago, with its details.
async fn expect(product: &Product, name: &str, hours: u64) -> Value {
    let end = UnixNanos(i64::try_from(start_of(hours) + HOUR_NS).unwrap()).to_string();
    let what = format!("{name} of the hour {hours} hours ago");
    eventually_within(Duration::from_secs(150), &what, async || {
        let path = format!("/models/support/signals?name={name}&window=1h&from=2020-01-01");
        let signals = product.get(&path).await?;
        let series = signals["signals"].as_array()?.iter();
        let mut points = series.flat_map(|series| series["points"].as_array().unwrap().clone());
        points.find(|point| point["end"] == end.as_str())
    })
    .await
}

fn of(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test]
async fn stale_vectors_and_new_words_are_told_apart() {
    let Some(encoder) = encoder().filter(|_| engine_is_there()) else {
        return;
    };
    let configuration = format!(
        "[privacy]\nkeep_text = true\n\n[[models]]\nname = \"support\"\nencoder = \"file://{}\"\n",
        target_folder().join("encoder").display()
    );
    let mut product = Product::start(&configuration).await;
    let things = ["card", "phone", "wallet", "password", "invoice", "parcel"];
    let asks = [
        "I lost my",
        "please replace my",
        "somebody stole my",
        "how long is the wait for my",
        "cancel my",
    ];
    let requests = |new: &str| -> Vec<String> {
        (0..N)
            .map(|i| {
                let thing = if i % 5 == 4 { new } else { things[i % things.len()] };
                format!("{} {thing}, order {i}", asks[i / things.len() % asks.len()])
            })
            .collect()
    };
    let embedded = |requests: Vec<String>| -> Vec<(String, Vec<f32>)> {
        let texts: Vec<&str> = requests.iter().map(String::as_str).collect();
        let vectors: Vec<Vec<f32>> = encoder.encode(&texts).into_iter().map(Result::unwrap).collect();
        requests.into_iter().zip(vectors).collect()
    };
    let usual = embedded(requests("parcel"));
    // The store was not brought up to date: every third vector is that of another text. Every fifth text has a new word.
    let mut stale = embedded(requests("airdrop"));
    let vectors: Vec<Vec<f32>> = stale.iter().map(|(_, vector)| vector.clone()).collect();
    (0..N).step_by(3).for_each(|i| stale[i].1 = vectors[(i + N / 2) % N].clone());
    send(&product, 2, &usual).await;
    send(&product, 1, &stale).await;
    let now = vec![inference("support", "1", "now", now_ns(), vec![])];
    assert_eq!(post_logs(&product.client, &product.otlp_http, &logs_request(now)).await, Some(200));

    let fresh = expect(&product, "embedding_staleness", 2).await;
    assert!(of(&fresh, "value").abs() < 1e-6 && fresh["n"] == N, "{fresh}");
    assert_eq!(of(&expect(&product, "neighbours_kept", 2).await, "value"), 1.0);
    let without_reference = expect(&product, "stale_token_ratio", 2).await;
    assert_eq!(
        (&without_reference["value"], &without_reference["state"]),
        (&Value::Null, &json!("insufficient"))
    );

    let old = expect(&product, "embedding_staleness", 1).await;
    assert!((0.05..0.4).contains(&of(&old, "value")) && of(&old, "lower") > 0.02, "{old}");
    let kept = expect(&product, "neighbours_kept", 1).await;
    assert!(of(&kept, "upper") < 0.9, "{kept}");
    let words = expect(&product, "stale_token_ratio", 1).await;
    // One word of the five to nine of every fifth text.
    assert!((0.02..0.05).contains(&of(&words, "value")), "{words}");
    let rules = product.log_text();
    assert!(!rules.contains("airdrop"), "texts are in no log");
    product.stop().await;
}
