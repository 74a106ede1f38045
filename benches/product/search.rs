//! Searching errors: the slowest of twenty, beside the quickest answer that the same process can give.

use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::quantile::{median, quantile};
use crate::measuring::settings::Settings;
use crate::measuring::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::measuring::support::product::Product;
use crate::measuring::wait;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

const MODEL: &str = "searched";
const QUERIES: usize = 200;
/// Queries before the measured ones: the first readers of a day open its files.
const WARM_UP: usize = 20;
const RECORDS_PER_REQUEST: usize = 1_000;
/// Days that the errors are spread over, each an index of its own.
const DAYS: u64 = 3;
const DAY_NS: u64 = 86_400 * 1_000_000_000;

const ERROR_TYPES: [&str; 8] = [
    "ShapeMismatch",
    "ValueError",
    "TimeoutError",
    "OutOfMemory",
    "ConnectionReset",
    "KeyError",
    "SchemaViolation",
    "NotFitted",
];
const SUBJECTS: [&str; 12] = [
    "tensor",
    "column",
    "feature store",
    "tokenizer",
    "embedding",
    "batch",
    "checkpoint",
    "worker",
    "gateway",
    "cache",
    "scaler",
    "label encoder",
];
const PREDICATES: [&str; 10] = [
    "has the wrong shape",
    "did not answer in time",
    "holds a value that is not finite",
    "was not found",
    "ran out of memory",
    "refused the connection",
    "is older than the model",
    "returned an empty result",
    "failed validation",
    "was cancelled by the client",
];

/// Measures queries and health checks in turn.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("search");
    let mut product = Product::start("").await;
    wait::until_up(&product).await;
    let seconds = index(&product, settings.records).await;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut searches, mut health) = (Vec::new(), Vec::new());
    let mut found = 0;
    for number in 0..WARM_UP + QUERIES {
        let url = format!("{}?{}", product.url("/search"), query(&mut random, number));
        let (milliseconds, answer) = timed(&product, &url).await;
        let (quickest, _) = timed(&product, &format!("http://{}/healthz", product.web)).await;
        if number >= WARM_UP {
            searches.push(milliseconds);
            health.push(quickest);
            let answer: serde_json::Value = serde_json::from_slice(&answer).expect("an answer to a search");
            found += usize::from(answer["total"].as_u64().is_some_and(|total| total > 0));
        }
    }
    product.stop().await;
    scene.add(Figure::new("search, p50", median(&searches), "ms").beside("GET /healthz p50", median(&health)));
    for (name, share) in [("p95", 0.95), ("p99", 0.99)] {
        let figure = Figure::new(format!("search, {name}"), quantile(&searches, share), "ms");
        scene.add(figure.beside(format!("GET /healthz {name}"), quantile(&health, share)));
    }
    scene.add(Figure::new(
        "errors sent, acknowledged and found, per second",
        settings.records as f64 / seconds,
        "records/s",
    ));
    scene.note(format!(
        "{QUERIES} queries, one after the other, over {} errors of {DAYS} days: words, phrases, prefixes, field:value, ranges of an \
         attribute and of time, each with up to 50 hits, facets and a histogram; {found} of them found something.",
        settings.records
    ));
    scene
}

/// Sends the errors and waits until all of them are found; returns the seconds that it took.
async fn index(product: &Product, records: usize) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let now = now_ns();
    let began = Instant::now();
    for first in (0..records).step_by(RECORDS_PER_REQUEST) {
        let numbers = first..(first + RECORDS_PER_REQUEST).min(records);
        let errors = numbers.map(|sequence| error(&mut random, sequence, now)).collect();
        let status = post_logs(&product.client, &product.otlp_http, &logs_request(errors)).await;
        assert_eq!(status, Some(200), "errors are taken");
    }
    wait::until("every error is found", Duration::from_millis(50), async || {
        let found = product.get("/search?limit=1").await?;
        (found["total"] == records).then_some(())
    })
    .await;
    let seconds = began.elapsed().as_secs_f64();
    wait::until_stored(product, MODEL, records as u64).await;
    seconds
}

fn error(random: &mut ChaCha8Rng, sequence: usize, now: u64) -> LogRecord {
    let time = now - random.random_range(0..DAYS * DAY_NS);
    let error_type = ERROR_TYPES.choose(random).expect("a type");
    let message = format!(
        "{} {}: {} {} (request {sequence})",
        ["cannot predict:", "cannot load:", "retry failed:"]
            .choose(random)
            .expect("a beginning"),
        SUBJECTS.choose(random).expect("a subject"),
        PREDICATES.choose(random).expect("a predicate"),
        random.random_range(0..5_000)
    );
    let attributes = vec![
        text("error.type", error_type),
        number("ml.latency_ms", random.random_range(1.0..2_000.0)),
        number("http.response.status_code", f64::from(random.random_range(500..505))),
        number("batch.size", f64::from(random.random_range(1..512))),
        text("host.name", &format!("node-{}", random.random_range(0..40))),
        text(
            "exception.stacktrace",
            &format!(
                "File \"serve.py\", line {}, in predict\nFile \"model.py\", line {}, in forward",
                random.random_range(1..400),
                random.random_range(1..900)
            ),
        ),
    ];
    let mut record = inference(
        MODEL,
        ["1.0", "1.1", "1.2"][sequence % 3],
        &format!("failed-{sequence}"),
        time,
        attributes,
    );
    record.severity_number = 17;
    record.body = Some(AnyValue {
        value: Some(any_value::Value::StringValue(message)),
    });
    record
}

/// One of seven kinds, in turn.
fn query(random: &mut ChaCha8Rng, number: usize) -> String {
    let subject = SUBJECTS.choose(random).expect("a subject");
    let predicate = PREDICATES.choose(random).expect("a predicate");
    let error_type = ERROR_TYPES.choose(random).expect("a type");
    let (from, size) = (random.random_range(1..1_500), random.random_range(1..400));
    let text = match number % 7 {
        0 => (*subject).to_owned(),
        1 => format!("{subject} {predicate}"),
        2 => format!("\"{predicate}\""),
        3 => format!("error_type:{error_type}"),
        4 => format!("ml.latency_ms:[{from} TO {}]", from + 200),
        5 => format!("{subject} AND error_type:{error_type} AND batch.size:>{size} AND NOT version:1.0"),
        _ => format!("retry failed {}* host.name:node-{}", &subject[..3], random.random_range(0..40)),
    };
    let mut encoded = reqwest::Url::parse("http://localhost").expect("an address");
    encoded.query_pairs_mut().append_pair("q", &text);
    if number.is_multiple_of(3) {
        let from = now_ns() - random.random_range(DAY_NS / 24..2 * DAY_NS);
        let instant = driftlead_store::clock::UnixNanos(from as i64).to_string();
        encoded.query_pairs_mut().append_pair("from", &instant);
    }
    encoded.query().unwrap_or_default().to_owned()
}

/// Milliseconds until the whole answer is there, and the answer.
async fn timed(product: &Product, url: &str) -> (f64, Vec<u8>) {
    let began = Instant::now();
    let response = product.client.get(url).send().await.expect("an answer");
    let response = response.error_for_status().expect("success");
    let body = response.bytes().await.expect("a body");
    (began.elapsed().as_secs_f64() * 1e3, body.to_vec())
}
