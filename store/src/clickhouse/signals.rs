//! Writing signals: one row per (name, model, version, environment, segment, subject, window); the one computed
//! last counts.

use clickhouse::Row;
use serde::Serialize;

use super::insert::{ANSWER_PATIENCE, SEND_PATIENCE};
use super::{ClickHouse, TelemetryError};
use crate::clock::UnixNanos;
use crate::records::{Signal, SignalState};

#[derive(Row, Serialize)]
struct SignalRow<'a> {
    model: &'a str,
    name: &'a str,
    window_seconds: u32,
    version: &'a str,
    environment: &'a str,
    segment: &'a str,
    subject: &'a str,
    window_end: i64,
    computed_at: i64,
    value: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    decision_lower: Option<f64>,
    decision_upper: Option<f64>,
    n: u64,
    reference_n: u64,
    provisional: u8,
    state: &'a str,
    details: String,
}

/// Writes signals as computed at this instant. Writing them again changes nothing that readers see.
///
/// # Errors
/// The database does not take them.
pub async fn insert_signals(clickhouse: &ClickHouse, signals: &[Signal], computed_at: UnixNanos) -> Result<(), TelemetryError> {
    if signals.is_empty() {
        return Ok(());
    }
    let insert = clickhouse.writer().insert::<SignalRow<'_>>("signals").await?;
    let mut insert = insert.with_timeouts(Some(SEND_PATIENCE), Some(ANSWER_PATIENCE));
    for signal in signals {
        insert.write(&row(signal, computed_at)).await?;
    }
    insert.end().await
}

fn row(signal: &Signal, computed_at: UnixNanos) -> SignalRow<'_> {
    SignalRow {
        model: &signal.model,
        name: &signal.name,
        window_seconds: signal.window_seconds,
        version: &signal.version,
        environment: &signal.environment,
        segment: &signal.segment,
        subject: &signal.subject,
        window_end: signal.window_end.0,
        computed_at: computed_at.0,
        value: signal.value,
        lower: signal.lower,
        upper: signal.upper,
        decision_lower: signal.decision_lower,
        decision_upper: signal.decision_upper,
        n: signal.n,
        reference_n: signal.reference_n,
        provisional: signal.provisional.into(),
        state: match signal.state {
            SignalState::Ok => "ok",
            SignalState::Insufficient => "insufficient",
        },
        details: signal.details.to_string(),
    }
}
