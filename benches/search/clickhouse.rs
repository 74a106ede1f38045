//! The other way to search: the same errors as log records in ClickHouse, with its own text index on their messages.

use std::time::{Duration, Instant};

use driftlead_store::clickhouse::query::records::{RecordKind, RecordSearch};
use driftlead_store::clickhouse::{migrate, text_index};
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::index::{Day, SearchRequest};
use driftlead_store::records::ErrorDocument;

use crate::errors::{Errors, bytes_of};
use crate::index::{DAY_NS, DAYS, QUERIES, WARM_UP, searches};
use crate::measuring::engine::Engine;
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::process::cpu_seconds;
use crate::measuring::quantile::{median, quantile};
use crate::measuring::settings::Settings;
use crate::measuring::wait;

const BATCH: usize = 50_000;
const COLUMNS: &str = "Timestamp, TraceId, SpanId, SeverityText, SeverityNumber, ServiceName, Body, ResourceAttributes, LogAttributes";
const ERROR: u8 = 17;

/// Measures.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("clickhouse");
    let engine = Engine::start().await;
    // The product that made the tables may have ended before it had made all of them.
    migrate::migrate(&engine.connect()).await.unwrap();
    text_index::apply(&engine.connect(), true).await.unwrap();
    let records = settings.records - settings.records % DAYS as usize;
    let first = Day::of(Clock::System.now()).minus(DAYS as u32);
    let step_ns = (DAY_NS / (records as i64 / DAYS) - 1).max(1);
    let mut errors = Errors::new(first.start(), step_ns);

    let (mut bytes, mut left) = (0, records);
    let (before, began) = (cpu_seconds(engine.process_id), Instant::now());
    while left > 0 {
        let batch = errors.take(BATCH.min(left));
        left -= batch.len();
        bytes += batch.iter().map(bytes_of).sum::<u64>();
        let rows: Vec<u8> = batch.iter().flat_map(row).collect();
        post(&engine, &format!("INSERT INTO otel_logs ({COLUMNS}) FORMAT RowBinary"), rows).await;
    }
    wait::until("merges have ended", Duration::from_millis(200), async || {
        let merges = post(&engine, "SELECT count() FROM system.merges", Vec::new()).await;
        (merges.trim() == "0").then_some(())
    })
    .await;
    let cpu = cpu_seconds(engine.process_id) - before;
    let megabytes = bytes as f64 / 1e6;
    scene.add(Figure::new("written per second of CPU, merges too", megabytes / cpu, "MB/s"));
    scene.add(Figure::new(
        "written, by the clock",
        megabytes / began.elapsed().as_secs_f64(),
        "MB/s",
    ));
    let stored = post(
        &engine,
        "SELECT sum(bytes_on_disk), sum(secondary_indices_compressed_bytes) FROM system.parts WHERE active AND table = 'otel_logs'",
        Vec::new(),
    )
    .await;
    let stored: Vec<f64> = stored.split_whitespace().map(|number| number.parse().unwrap()).collect();
    scene.add(Figure::new("bytes on disk for each byte of errors", stored[0] / bytes as f64, ""));
    scene.add(Figure::new("of them the indexes", stored[1] / bytes as f64, ""));

    let search = RecordSearch::new(engine.connect(), Clock::System);
    assert!(search.has_text_index().await.unwrap(), "the engine has text indexes");
    let names = Errors::new(first.start(), step_ns);
    for (name, words, is_ranged) in [("one word", 1, false), ("two words and half of the time", 2, true)] {
        let mut milliseconds = Vec::new();
        for (number, (words, range)) in searches(&names, first, words, is_ranged).enumerate().take(WARM_UP + QUERIES) {
            let request = SearchRequest {
                query: words.join(" "),
                from: Some(range.map_or(first.start(), |(from, _)| UnixNanos(from))),
                to: Some(range.map_or(UnixNanos(first.start().0 + DAYS * DAY_NS), |(_, to)| UnixNanos(to))),
                limit: 20,
                ..SearchRequest::default()
            };
            let began = Instant::now();
            search.search(RecordKind::Logs, &request).await.unwrap();
            if number >= WARM_UP {
                milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        scene.add(Figure::new(format!("{name}, p50"), median(&milliseconds), "ms"));
        scene.add(Figure::new(format!("{name}, p95"), quantile(&milliseconds, 0.95), "ms"));
    }
    scene.note(format!(
        "{records} log records, the same errors as in the scene `index`; words are of messages only. Stacks are attributes, which no index has."
    ));
    scene
}

/// A statement, with rows where it inserts.
async fn post(engine: &Engine, statement: &str, body: Vec<u8>) -> String {
    let client = reqwest::Client::new();
    let request = client
        .post(&engine.url)
        .query(&[("query", statement), ("database", driftlead_store::clickhouse::DEFAULT_DATABASE)])
        .header("x-clickhouse-user", "default")
        .header("x-clickhouse-key", &engine.password)
        .body(body);
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{statement}: {text}");
    text
}

/// In the format `RowBinary`, in the order of [`COLUMNS`].
fn row(error: &ErrorDocument) -> Vec<u8> {
    let mut row = error.time.0.to_le_bytes().to_vec();
    for text in [&error.trace_id, &error.span_id, &error.severity] {
        write(&mut row, text);
    }
    row.push(ERROR);
    for text in [&error.service, &error.message] {
        write(&mut row, text);
    }
    write_map(
        &mut row,
        [
            ("service.name", error.service.clone()),
            ("deployment.environment.name", error.environment.clone()),
        ]
        .into_iter(),
    );
    let own = error.attributes.iter().map(|(name, value)| match value {
        serde_json::Value::String(text) => (name.as_str(), text.clone()),
        other => (name.as_str(), other.to_string()),
    });
    let named = [
        ("ml.model.name", &error.model),
        ("ml.model.version", &error.version),
        ("error.type", &error.error_type),
        ("exception.stacktrace", &error.stack),
    ];
    let named = named
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name, text.clone()));
    write_map(&mut row, own.chain(named));
    row
}

fn write_map<'a>(row: &mut Vec<u8>, pairs: impl Iterator<Item = (&'a str, String)>) {
    let pairs: Vec<(&str, String)> = pairs.collect();
    write_length(row, pairs.len());
    for (name, value) in pairs {
        write(row, name);
        write(row, &value);
    }
}

fn write(row: &mut Vec<u8>, text: &str) {
    write_length(row, text.len());
    row.extend(text.as_bytes());
}

fn write_length(row: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        row.push(length as u8 | 0x80);
        length >>= 7;
    }
    row.push(length as u8);
}
