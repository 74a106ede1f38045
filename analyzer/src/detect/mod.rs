//! Signals: one file for each family, and the schedules that say when which window is computed.

mod beside;
mod causes;
mod clusters;
mod data_quality;
mod decay;
mod drift;
mod due;
mod duplicates;
mod embeddings;
mod estimated;
mod experiment;
mod frame;
mod hardware;
mod label_delay;
mod late_labels;
mod quality;
mod releases;
mod sampled;
mod schedule;
mod searches;
mod service;
mod statistics;
mod texts;
mod windows;

use driftlead_store::clickhouse::query::buckets::{BUCKET_SECONDS, service_windows, service_windows_by_segment};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::Signal;

use crate::context::Context;
use crate::error::AnalyzerError;

pub(crate) use hardware::emit_hardware_signals;
pub(crate) use label_delay::LearntDelays;
pub(crate) use late_labels::LateLabels;
pub(crate) use quality::{MEASURES, Z};
pub(crate) use releases::Releases;
pub(crate) use schedule::LENGTHS_LOOKED_AT;
pub(crate) use searches::Searches;
pub(crate) use windows::DriftWindows;

/// How far the service window stays behind the clock: exporters batch logs for up to this long.
const SERVICE_DELAY_SECONDS: i64 = 5;
/// How far the minute of segments stays behind the clock: it is computed once, so what is a little late has to be in it.
const SEGMENT_DELAY_SECONDS: i64 = 20;
/// How long a version without traffic is still told of, in seconds.
const REMEMBERED_SECONDS: i64 = 3_600;

/// Computes and emits the service signals of all models.
///
/// # Errors
/// The telemetry cannot be read or written.
#[tracing::instrument(name = "analyzer.service_signals", level = "debug", skip_all)]
pub(crate) async fn emit_service_signals(context: &Context) -> Result<(), AnalyzerError> {
    let now = context.now();
    let end = now.plus_seconds(-SERVICE_DELAY_SECONDS).floor_to(BUCKET_SECONDS);
    let from = end.plus_seconds(-i64::from(service::WINDOW_SECONDS));
    let seen = service_windows(&context.clickhouse, end.plus_seconds(-REMEMBERED_SECONDS), from, end).await?;
    let mut signals: Vec<Signal> = seen.iter().flat_map(|seen| service::signals_of_version(seen, end)).collect();
    let silences = context.activity.silences(context.drained_until());
    signals.extend(
        silences
            .iter()
            .map(|s| service::silence(&s.model, &s.environment, s.seconds, s.last_seen, now)),
    );
    context.emit(signals).await
}

/// Computes and emits the service signals of segments, of the last full minute: once a minute, because there are many. Gives
/// the end of that minute; nothing is done where it is `last`.
///
/// # Errors
/// The telemetry cannot be read or written.
#[tracing::instrument(name = "analyzer.segment_signals", level = "debug", skip_all)]
pub(crate) async fn emit_segment_signals(context: &Context, last: Option<UnixNanos>) -> Result<Option<UnixNanos>, AnalyzerError> {
    let seconds = i64::from(service::WINDOW_SECONDS);
    let end = context.now().plus_seconds(-SEGMENT_DELAY_SECONDS).floor_to(seconds);
    if last == Some(end) || context.max_segments == 0 {
        return Ok(last);
    }
    let (seen_since, from) = (end.plus_seconds(-REMEMBERED_SECONDS), end.plus_seconds(-seconds));
    let seen = service_windows_by_segment(&context.clickhouse, seen_since, from, end, context.max_segments).await?;
    context
        .emit(seen.iter().flat_map(|seen| service::signals_of_version(seen, end)).collect())
        .await?;
    Ok(Some(end))
}
