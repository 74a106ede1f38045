//! `buckets_10s`: requests, errors and latencies of ten seconds, for service signals.

use clickhouse::Row;
use clickhouse::error::Error;
use clickhouse::query::Query;
use serde::Deserialize;

use super::generations::{Computed, write_generations};
use super::minutes::{self, SERVES, dirty_inferences};
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Length of a bucket in seconds.
pub const BUCKET_SECONDS: i64 = 10;

/// What a version did in a window, and whether it did anything in the time before.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct ServiceWindow {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version; empty where senders state none.
    pub version: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
    /// Inferences in the window.
    pub requests: u64,
    /// Failed ones.
    pub errors: u64,
    /// Latencies in milliseconds: keys of their log-linear buckets, ascending, and how many each holds.
    pub latencies: (Vec<i32>, Vec<u64>),
}

/// Computes whole minutes (Unix seconds of their starts) from the deduplicated inferences, by one query,
/// and makes the result the current one.
///
/// # Errors
/// A query failed; the minutes keep what they had, and have to be computed again.
pub async fn write_buckets(clickhouse: &ClickHouse, model: &str, minutes: &[i64], generation: u64) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO buckets_10s (model, bucket_start, environment, version, segment, arm, generation, requests, errors, \
           latency_n, latency_keys, latency_counts) \
         SELECT {{model:String}}, bucket_start, environment, version, segment, arm, {{generation:UInt64}}, \
           sum(n), sum(failed), sumIf(n, has_latency), \
           arraySort(groupArrayIf((key, n), has_latency)).1, arraySort(groupArrayIf((key, n), has_latency)).2 \
         FROM (\
           SELECT toStartOfInterval(event_time, INTERVAL {BUCKET_SECONDS} SECOND) AS bucket_start, \
             ifNull(environment, '') AS environment, ifNull(version, '') AS version, ifNull(segment, '') AS segment, ifNull(arm, '') AS arm, \
             isFinite(ifNull(latency_ms, nan)) AS has_latency, {key} AS key, count() AS n, countIf(is_error) AS failed \
           FROM {whole} \
           GROUP BY bucket_start, environment, version, segment, arm, has_latency, key) \
         GROUP BY bucket_start, environment, version, segment, arm",
        key = minutes::bucket_key("ifNull(latency_ms, 0)"),
        whole = dirty_inferences("event_time, environment, version, segment, arm, latency_ms, is_error"),
    );
    minutes::bind_dirty(clickhouse.writer().query(&sql), model, minutes)
        .param("generation", generation)
        .execute()
        .await?;
    write_generations(clickhouse, Computed::Buckets, model, minutes, generation).await
}

/// Every version that served anything since `seen_since`, with what it did from `from` up to and not
/// including `until`.
///
/// # Errors
/// The query failed.
pub async fn service_windows(
    clickhouse: &ClickHouse,
    seen_since: UnixNanos,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<ServiceWindow>, Error> {
    let sql = format!(
        "SELECT model, environment, version, '' AS segment, {} GROUP BY model, environment, version \
         ORDER BY model, environment, version",
        service_window()
    );
    bind_window(clickhouse, &sql, seen_since, from, until).fetch_all().await
}

/// The same by segment: of each version at most `limit` segments, those with the most traffic since `seen_since`.
///
/// # Errors
/// The query failed.
pub async fn service_windows_by_segment(
    clickhouse: &ClickHouse,
    seen_since: UnixNanos,
    from: UnixNanos,
    until: UnixNanos,
    limit: u64,
) -> Result<Vec<ServiceWindow>, Error> {
    let sql = format!(
        "SELECT model, environment, version, segment, {} AND segment != '' GROUP BY model, environment, version, segment \
         ORDER BY model, environment, version, sum(buckets.requests) DESC, segment LIMIT {{most:UInt64}} BY model, environment, version",
        service_window()
    );
    bind_window(clickhouse, &sql, seen_since, from, until)
        .param("most", limit)
        .fetch_all()
        .await
}

/// What a [`ServiceWindow`] counts, and from which rows; [`bind_window`] gives the parameters.
fn service_window() -> String {
    format!(
        "sumIf(buckets.requests, is_inside) AS requests, sumIf(buckets.errors, is_inside) AS errors, \
       sumMapIf(latency_keys, latency_counts, is_inside) AS latencies \
     FROM (\
       SELECT model, environment, version, segment, requests, errors, latency_keys, latency_counts, generation, \
         toStartOfMinute(bucket_start) AS minute, bucket_start >= toDateTime({{from:Int64}}, 'UTC') AS is_inside \
       FROM buckets_10s FINAL \
       WHERE bucket_start >= toDateTime({{seen_since:Int64}}, 'UTC') AND bucket_start < toDateTime({{until:Int64}}, 'UTC') \
         AND {SERVES}) \
     AS buckets \
     INNER JOIN (\
       SELECT model, minute, max(generation) AS current FROM minute_generations \
       WHERE consumer = 'buckets' AND minute >= toStartOfMinute(toDateTime({{seen_since:Int64}}, 'UTC')) \
       GROUP BY model, minute) AS generations \
     ON buckets.model = generations.model AND buckets.minute = generations.minute \
     WHERE generation >= current"
    )
}

fn bind_window(clickhouse: &ClickHouse, sql: &str, seen_since: UnixNanos, from: UnixNanos, until: UnixNanos) -> Query {
    clickhouse
        .reader()
        .query(sql)
        .param("seen_since", seen_since.seconds().max(0))
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
}

/// The buckets of a model that are current and of traffic that was served, as a table expression with a condition, to which more can be
/// added by AND; its parameters are `model`, `from` and `until`.
pub(super) fn current_of_model() -> String {
    format!(
        "(SELECT environment, version, segment, arm, requests, generation, bucket_start, toStartOfMinute(bucket_start) AS minute \
          FROM buckets_10s FINAL \
          WHERE model = {{model:String}} \
            AND bucket_start >= toDateTime({{from:Int64}}, 'UTC') AND bucket_start < toDateTime({{until:Int64}}, 'UTC') AND {SERVES}) \
         AS buckets \
         INNER JOIN (\
           SELECT minute, max(generation) AS current FROM minute_generations \
           WHERE consumer = 'buckets' AND model = {{model:String}} AND minute >= toStartOfMinute(toDateTime({{from:Int64}}, 'UTC')) \
           GROUP BY minute) AS generations \
         ON buckets.minute = generations.minute \
         WHERE generation >= current"
    )
}

/// Inferences of one model and environment from `from` up to and not including `until`, whole 10-second buckets, by version.
///
/// # Errors
/// The query failed.
pub async fn requests_by_version(
    clickhouse: &ClickHouse,
    model: &str,
    environment: &str,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<(String, u64)>, Error> {
    let sql = format!(
        "SELECT version, sum(requests) AS requests FROM {} AND environment = {{environment:String}} GROUP BY version ORDER BY version",
        current_of_model(),
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("environment", environment)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await
}

/// The environment in which a model served most from `from` up to and not including `until`, and how many inferences; `None` where it
/// served none.
///
/// # Errors
/// The query failed.
pub async fn busiest_environment(
    clickhouse: &ClickHouse,
    model: &str,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Option<(String, u64)>, Error> {
    let sql = format!(
        "SELECT environment, sum(requests) AS requests FROM {} GROUP BY environment ORDER BY requests DESC, environment LIMIT 1",
        current_of_model(),
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_optional()
        .await
}

/// Inferences of one version in one hour.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct ServedHour {
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version; empty where senders state none.
    pub version: String,
    /// Start of the hour in Unix seconds.
    pub hour: i64,
    /// Inferences, whatever their segment.
    pub inferences: u64,
    /// Those of the segment that was asked for.
    pub of_segment: u64,
}

/// Hours of one answer at most: 90 days of 20 versions and more.
const MAX_HOURS: u64 = 50_000;

/// The hours in which a model served from `from` up to and not including `until`, whole 10-second buckets, the newest first.
///
/// # Errors
/// The query failed.
pub async fn served_hours(
    clickhouse: &ClickHouse,
    model: &str,
    segment: &str,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<ServedHour>, Error> {
    let sql = format!(
        "SELECT environment, version, toInt64(toUnixTimestamp(toStartOfHour(bucket_start))) AS hour, \
           sum(requests) AS inferences, sumIf(requests, segment = {{segment:String}}) AS of_segment \
         FROM {} GROUP BY environment, version, hour ORDER BY hour DESC, environment, version LIMIT {MAX_HOURS}",
        current_of_model(),
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("segment", segment)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await
}

/// When a model was last heard of in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct LastSeen {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// Event time of its newest inference, in Unix nanoseconds.
    pub newest_event: i64,
}

/// The newest event of every model and environment that serves.
///
/// # Errors
/// The query failed.
pub async fn newest_events(clickhouse: &ClickHouse) -> Result<Vec<LastSeen>, Error> {
    let sql = format!(
        "SELECT model, environment, toUnixTimestamp64Nano(max(last_event_time)) AS newest_event \
         FROM version_sightings WHERE {SERVES} GROUP BY model, environment ORDER BY model, environment"
    );
    clickhouse.reader().query(&sql).fetch_all().await
}

/// When the buckets of each model were last computed, in Unix nanoseconds: when its last inference arrived.
///
/// # Errors
/// The query failed.
pub async fn last_arrivals(clickhouse: &ClickHouse) -> Result<Vec<(String, i64)>, Error> {
    let sql = "SELECT model, toInt64(max(generation)) FROM minute_generations WHERE consumer = 'buckets' GROUP BY model";
    clickhouse.reader().query(sql).fetch_all().await
}
