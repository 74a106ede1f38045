//! Since when the log waits for a drain that plans nothing: it has not begun, or it cannot write its journal.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::CONSUMER;
use super::status::StatusHandle;
use crate::clock::UnixNanos;
use crate::wal::{Consumer, Log, LogError, Position};

/// Lag is shown in whole seconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the status's lag true from before the drain begins until `cancel` fires.
///
/// # Errors
/// The drain's consumer of the log cannot be registered.
pub async fn watch_waiting(log: Log, status: StatusHandle, cancel: CancellationToken) -> Result<(), LogError> {
    let consumer = log.register_consumer(CONSUMER)?;
    let mut known = None;
    loop {
        look(&log, &consumer, &status, &mut known).await;
        if cancel.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return Ok(());
        }
    }
}

async fn look(log: &Log, consumer: &Consumer, status: &StatusHandle, known: &mut Option<(Position, UnixNanos)>) {
    let position = consumer.position();
    if consumer.backlog_bytes() == 0 || status.get().has_planned() {
        return status.waiting(None);
    }
    if known.is_none_or(|(at, _)| at != position) {
        // What cannot be read is the drain's to report.
        let first = log.reader(position).next_ready().await.ok().flatten();
        *known = first.map(|frame| (position, frame.received_time));
    }
    // Committed meanwhile: the next look finds what waits then.
    if consumer.position() == position {
        status.waiting(known.map(|(_, received)| received));
    }
}
