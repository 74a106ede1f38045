//! An engine that was killed between noting an insert's token and showing its rows: the insert is made again.

use std::sync::Arc;

use driftlead_store::clickhouse::insert::{Attempt, insert_batch};
use driftlead_store::clickhouse::{ClickHouse, TableRows, migrate};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::LogRecord;

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

#[tokio::test]
async fn a_token_without_rows_does_not_pass_for_an_insert() {
    if !engine_is_there() {
        return;
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let engine = StandaloneEngine::start();
    let clickhouse = engine.connect();
    migrate::migrate(&clickhouse).await.unwrap();
    let log = |seconds| LogRecord {
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
