//! What the drain's inserts rely on.

use std::sync::Arc;

use driftlead_store::clickhouse::insert::{Attempt, insert_batch};
use driftlead_store::clickhouse::{ClickHouse, TableRows, migrate};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Half, InferenceHalf, JoinedInference, LogRecord};

use crate::support::engine::StandaloneEngine;
use crate::support::product::engine_is_there;

async fn stored(clickhouse: &ClickHouse) -> u64 {
    clickhouse
        .writer()
        .query("SELECT count() FROM otel_logs")
        .fetch_one()
        .await
        .unwrap()
}

/// An engine that was killed between noting an insert's token and showing its rows: the insert is made again.
#[tokio::test]
async fn a_token_without_rows_does_not_pass_for_an_insert() {
    if !engine_is_there() {
        return;
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let engine = StandaloneEngine::start();
    let clickhouse = engine.connect();
    migrate::migrate(&clickhouse).await.unwrap();
    let log = |seconds: i64| LogRecord {
        resource: Arc::default(),
        scope: Arc::default(),
        timestamp: UnixNanos::from_seconds(1_790_000_000 + seconds),
        trace_id: String::new(),
        span_id: String::new(),
        trace_flags: 0,
        severity_text: String::new(),
        severity_number: 0,
        body: "a body".to_owned(),
        event_name: String::new(),
        attributes: Vec::new(),
    };
    let rows = TableRows {
        logs: (0..10).map(log).collect(),
        ..TableRows::default()
    };
    for attempt in [Attempt::First, Attempt::First, Attempt::Again, Attempt::Again] {
        insert_batch(&clickhouse, &rows, "1.0-1.9/logs/20717", attempt).await.unwrap();
        assert_eq!(stored(&clickhouse).await, 10, "{attempt:?}");
    }
    // The rows go, the token stays: what a kill at the wrong moment leaves behind.
    let lose = "ALTER TABLE otel_logs DELETE WHERE 1 SETTINGS mutations_sync = 1";
    clickhouse.writer().query(lose).execute().await.unwrap();
    insert_batch(&clickhouse, &rows, "1.0-1.9/logs/20717", Attempt::First)
        .await
        .unwrap();
    assert_eq!(stored(&clickhouse).await, 0, "the engine believes the token");
    for _ in 0..2 {
        insert_batch(&clickhouse, &rows, "1.0-1.9/logs/20717", Attempt::Again)
            .await
            .unwrap();
        assert_eq!(stored(&clickhouse).await, 10);
    }
}

/// Inserts do not merge rows of one key. The drain gives one for a key; were there ever two in a block, readers would find
/// one inference all the same, in a new part of many granules and after the engine has merged it.
#[tokio::test]
async fn rows_of_one_key_in_one_block_are_one_inference() {
    if !engine_is_there() {
        return;
    }
    const INFERENCES: i64 = 30_000;
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let engine = StandaloneEngine::start();
    let clickhouse = engine.connect();
    migrate::migrate(&clickhouse).await.unwrap();
    let hour = 1_790_000_000 / 3_600 * 3_600;
    let row = |number: i64, half: Half| {
        let at = UnixNanos::from_seconds(hour + number % 3_600);
        let mut told = InferenceHalf::new(half, "m", format!("request-{number}"), at, at);
        let mut joined = JoinedInference {
            key_hour: hour,
            partial: false,
            superseded: false,
            log: None,
            span: None,
        };
        match half {
            Half::Log => {
                told.numeric_features.insert("age".to_owned(), number as f64);
                joined.log = Some(told);
            }
            Half::Span => {
                told.latency_ms = Some(7.0);
                told.numeric_features.insert("tokens".to_owned(), 1.0);
                joined.span = Some(told);
            }
        }
        joined
    };
    let rows = TableRows {
        inferences: [Half::Log, Half::Span]
            .into_iter()
            .flat_map(|half| (0..INFERENCES).map(move |number| row(number, half)))
            .collect(),
        ..TableRows::default()
    };
    clickhouse.writer().query("SYSTEM STOP MERGES inferences").execute().await.unwrap();
    insert_batch(&clickhouse, &rows, "1.0-1.9/logs/20717", Attempt::First)
        .await
        .unwrap();
    let stored = "SELECT assumeNotNull((SELECT count() FROM inferences)), count(), uniqExact(request_id), toUInt64(assumeNotNull(sum(latency_ms))), \
                  toUInt64(sum(numeric_features['age'])), toUInt64(sum(numeric_features['tokens'])) FROM whole_inferences";
    let n = INFERENCES as u64;
    let expected = [n, n, 7 * n, n * (n - 1) / 2, n];
    let found: (u64, u64, u64, u64, u64, u64) = clickhouse.writer().query(stored).fetch_one().await.unwrap();
    assert_eq!(found.0, 2 * n, "the block is written as it is");
    assert_eq!([found.1, found.2, found.3, found.4, found.5], expected);
    clickhouse.writer().query("SYSTEM START MERGES inferences").execute().await.unwrap();
    clickhouse
        .writer()
        .query("OPTIMIZE TABLE inferences FINAL")
        .execute()
        .await
        .unwrap();
    let found: (u64, u64, u64, u64, u64, u64) = clickhouse.writer().query(stored).fetch_one().await.unwrap();
    assert_eq!(found.0, n, "merged");
    assert_eq!([found.1, found.2, found.3, found.4, found.5], expected);
}
