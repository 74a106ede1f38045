//! What serves since a rollback was accepted: the evidence that it happened.
//!
//! Halves are joined here by request id instead of by FINAL: the span is seconds to minutes, an hour of key
//! may hold millions. A request counts by its earliest half, as `inferences` has it.

use clickhouse::Row;
use serde::Deserialize;

use super::minutes::SERVES;
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Halves of one request lie at most this far apart in what is read here; the second can come later, but
/// then it is marked as partial and counts for nothing.
const HALVES_APART_SECONDS: i64 = 900;

/// Event times may lie this far ahead of the clock; what is later is set aside when it is received.
const MAX_AHEAD_SECONDS: i64 = 600;

/// What served a model in one environment since an instant. Shadow, replay and drill arms do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Inferences, each counted once.
    pub inferences: u64,
    /// How many of them the target version served.
    pub of_target: u64,
    /// Event time of the first; meaningless without inferences.
    pub first: UnixNanos,
    /// Event time of the last.
    pub last: UnixNanos,
    /// Versions of the latest inferences, the last one first.
    pub latest_versions: Vec<String>,
}

impl Serving {
    /// Seconds from the first inference to the last.
    pub fn span_seconds(&self) -> f64 {
        self.last.seconds_since(self.first)
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct ServingQuestion<'a> {
    /// The model.
    pub model: &'a str,
    /// The environment; empty where senders state none.
    pub environment: &'a str,
    /// The version that is to serve.
    pub target: &'a str,
    /// Inferences later than this count.
    pub since: UnixNanos,
    /// The present.
    pub now: UnixNanos,
    /// How many of the latest inferences are returned by version.
    pub latest: usize,
}

#[derive(Row, Deserialize)]
struct Answer {
    inferences: u64,
    of_target: u64,
    first: i64,
    last: i64,
    latest: Vec<(i64, String)>,
}

/// Asks what serves.
///
/// # Errors
/// The query fails.
pub async fn serving(clickhouse: &ClickHouse, question: &ServingQuestion<'_>) -> Result<Serving, clickhouse::error::Error> {
    let sql = format!(
        "SELECT count() AS inferences, countIf(version = {{target:String}}) AS of_target, min(at) AS first, max(at) AS last, \
           groupArraySorted({latest})(tuple(-at, version)) AS latest \
         FROM (\
           SELECT toUnixTimestamp64Nano(min(event_time)) AS at, coalesce(any(log_version), any(span_version), '') AS version, \
             coalesce(any(log_environment), any(span_environment), '') AS environment, \
             coalesce(any(log_arm), any(span_arm), '') AS arm, greatest(min(partial), max(superseded)) AS uncounted \
           FROM inferences \
           WHERE model = {{model:String}} AND key_hour >= toDateTime({{first_hour:Int64}}, 'UTC') \
             AND event_time > fromUnixTimestamp64Nano({{read_from:Int64}}, 'UTC') AND event_time <= fromUnixTimestamp64Nano({{until:Int64}}, 'UTC') \
           GROUP BY key_hour, request_id) \
         WHERE uncounted = 0 AND at > {{since:Int64}} AND environment = {{environment:String}} AND {SERVES}",
        latest = question.latest
    );
    let read_from = question.since.plus_seconds(-HALVES_APART_SECONDS);
    let answer: Answer = clickhouse
        .reader()
        .query(&sql)
        .param("model", question.model)
        .param("environment", question.environment)
        .param("target", question.target)
        .param("since", question.since.0)
        .param("read_from", read_from.0)
        .param("first_hour", read_from.floor_to(3_600).plus_seconds(-3_600).seconds())
        .param("until", question.now.plus_seconds(MAX_AHEAD_SECONDS).0)
        .fetch_one()
        .await?;
    Ok(Serving {
        inferences: answer.inferences,
        of_target: answer.of_target,
        first: UnixNanos(answer.first),
        last: UnixNanos(answer.last),
        latest_versions: answer.latest.into_iter().map(|(_, version)| version).collect(),
    })
}
