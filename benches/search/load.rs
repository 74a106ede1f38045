//! Searching while records arrive, and how soon an error is found, over the real product and HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::errors::Errors;
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::load;
use crate::measuring::quantile::{median, quantile};
use crate::measuring::requests::{Requests, Shape};
use crate::measuring::settings::Settings;
use crate::measuring::support::otlp::{logs_request, now_ns, post_logs, text};
use crate::measuring::support::product::Product;
use crate::measuring::wait;

const ERRORS: usize = 50_000;
const ERRORS_PER_REQUEST: usize = 1_000;
const RECORDS_PER_SECOND: usize = 20_000;
const SHAPE: Shape = Shape::new(100, false);
/// Pause between two searches: somebody who types.
const PAUSE: Duration = Duration::from_millis(50);
const MAX_SEARCH_MS: f64 = 300.0;
/// Errors whose way from the acknowledgement to the search is timed.
const TIMED: usize = 40;
const MAX_FOUND_MS: f64 = 1_000.0;

/// Measures.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("load");
    let mut product = Product::start("").await;
    wait::until_up(&product).await;
    let mut errors = Errors::new(driftlead_store::clock::UnixNanos(now_ns() as i64 - 3_600_000_000_000), 70_000_000);
    for _ in 0..ERRORS / ERRORS_PER_REQUEST {
        let records = errors
            .take(ERRORS_PER_REQUEST)
            .into_iter()
            .map(|error| record(error.time.0 as u64, &error.message));
        let request = logs_request(records.collect());
        assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
    }
    wait::until("every error is found", Duration::from_millis(50), async || {
        (product.get("/search?limit=1").await?["total"] == ERRORS).then_some(())
    })
    .await;

    let quiet = found_after(&product, "quiet").await;
    scene.add(Figure::new(
        "from an acknowledgement to a search that finds it, median",
        median(&quiet),
        "ms",
    ));
    scene.add(
        Figure::new(
            "from an acknowledgement to a search that finds it, the slowest of 40",
            quantile(&quiet, 1.0),
            "ms",
        )
        .beside("held to", MAX_FOUND_MS),
    );

    let seconds = settings.seconds;
    let alone = search_for(&product, &errors, Duration::from_secs(seconds.min(5))).await;
    let count = RECORDS_PER_SECOND * seconds as usize;
    let requests = tokio::task::spawn_blocking(move || Arc::new(Requests::make(SHAPE, count)));
    let requests = requests.await.unwrap();
    let rate = RECORDS_PER_SECOND as f64 / SHAPE.records as f64;
    let loading = load::send_at(&product.otlp_http, &requests, rate, seconds);
    let searching = search_for(&product, &errors, Duration::from_secs(seconds));
    let (sent, searches) = tokio::join!(loading, searching);
    scene.add(Figure::new("search while records arrive, p50", median(&searches), "ms").beside("while none do", median(&alone)));
    scene.add(
        Figure::new("search while records arrive, p95", quantile(&searches, 0.95), "ms")
            .beside("while none do", quantile(&alone, 0.95))
            .beside("held to", MAX_SEARCH_MS),
    );
    scene.note(format!(
        "{} records/s were acknowledged for {seconds} s, {} requests refused; {} searches of one and two words, top 20, facets and histogram, \
         over {ERRORS} errors. The generator, the database and the searches have the same two cores.",
        sent.records_per_second() as u64,
        sent.refused,
        searches.len()
    ));
    product.stop().await;
    scene
}

fn record(time_ns: u64, message: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: time_ns,
        severity_number: 17,
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(message.to_owned())),
        }),
        attributes: vec![text("http.route", "/predict")],
        ..LogRecord::default()
    }
}

/// Milliseconds from acknowledgements until searches find what was acknowledged.
async fn found_after(product: &Product, word: &str) -> Vec<f64> {
    let mut milliseconds = Vec::with_capacity(TIMED);
    for number in 0..TIMED {
        let request = logs_request(vec![record(now_ns(), &format!("{word}x{number}"))]);
        assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
        let began = Instant::now();
        let path = format!("/search?limit=1&q={word}x{number}");
        wait::until("the error is found", Duration::from_millis(5), async || {
            (product.get(&path).await?["total"] == 1).then_some(())
        })
        .await;
        milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
        // At any place between two commits.
        tokio::time::sleep(Duration::from_millis(number as u64 * 37 % 600)).await;
    }
    milliseconds
}

/// Milliseconds of searches, one after the other, for so long.
async fn search_for(product: &Product, errors: &Errors, length: Duration) -> Vec<f64> {
    let mut milliseconds = Vec::new();
    let began = Instant::now();
    let mut rank = 5;
    while began.elapsed() < length {
        rank = rank * 7 % 3_001;
        let words = match rank % 2 {
            0 => errors.word(rank).to_owned(),
            _ => format!("{}%20{}", errors.word(rank), errors.word(rank / 10)),
        };
        let one = Instant::now();
        let found = product.get(&format!("/search?limit=20&q={words}")).await;
        milliseconds.push(one.elapsed().as_secs_f64() * 1e3);
        assert!(found.is_some(), "a search is answered");
        tokio::time::sleep(PAUSE).await;
    }
    milliseconds
}
