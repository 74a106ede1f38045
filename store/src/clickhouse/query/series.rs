//! What pages draw over time: traffic, errors and latencies in even steps, from 10-second buckets.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::minutes::SERVES;
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Rows of one answer at most: 400 steps of 100 versions.
const MAX_ROWS: u64 = 40_000;

/// What one version did in one step of the range.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct ServiceStep {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// Start of the step in Unix seconds, a multiple of its length.
    pub start: i64,
    /// The version; empty where senders state none.
    pub version: String,
    /// Inferences.
    pub requests: u64,
    /// Failed ones.
    pub errors: u64,
    /// Latencies in milliseconds: keys of their log-linear buckets, ascending, and how many each holds.
    pub latencies: (Vec<i32>, Vec<u64>),
}

/// Which buckets are asked for.
#[derive(Debug, Clone, Copy)]
pub struct SeriesFilter<'a> {
    /// One model; `None`: all.
    pub model: Option<&'a str>,
    /// One environment; `None`: all.
    pub environment: Option<&'a str>,
    /// One version; `None`: all.
    pub version: Option<&'a str>,
    /// First instant.
    pub from: UnixNanos,
    /// The instant after the last.
    pub until: UnixNanos,
    /// Length of a step in seconds, a multiple of 10.
    pub step_seconds: i64,
}

/// The steps in which anything was served, ascending.
///
/// # Errors
/// The query failed.
pub async fn service_steps(clickhouse: &ClickHouse, filter: SeriesFilter<'_>) -> Result<Vec<ServiceStep>, Error> {
    let sql = format!(
        "SELECT model, environment, intDiv(toInt64(toUnixTimestamp(bucket_start)), {{step:Int64}}) * {{step:Int64}} AS start, version, \
           sum(requests) AS requests, sum(errors) AS errors, sumMap(latency_keys, latency_counts) AS latencies \
         FROM (\
           SELECT *, toStartOfMinute(bucket_start) AS minute FROM buckets_10s FINAL \
           WHERE ({{model:String}} = '' OR model = {{model:String}}) \
             AND ({{any_environment:UInt8}} OR environment = {{environment:String}}) \
             AND ({{any_version:UInt8}} OR version = {{version:String}}) \
             AND bucket_start >= toDateTime({{from:Int64}}, 'UTC') AND bucket_start < toDateTime({{until:Int64}}, 'UTC') \
             AND {serves}) AS buckets \
         INNER JOIN (\
           SELECT model, minute, max(generation) AS current FROM minute_generations \
           WHERE consumer = 'buckets' AND minute >= toStartOfMinute(toDateTime({{from:Int64}}, 'UTC')) \
             AND minute < toDateTime({{until:Int64}}, 'UTC') \
           GROUP BY model, minute) AS generations \
         ON buckets.model = generations.model AND buckets.minute = generations.minute \
         WHERE generation >= current \
         GROUP BY model, environment, start, version ORDER BY model, environment, start, version LIMIT {MAX_ROWS}",
        serves = SERVES,
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", filter.model.unwrap_or_default())
        .param("any_environment", u8::from(filter.environment.is_none()))
        .param("environment", filter.environment.unwrap_or_default())
        .param("any_version", u8::from(filter.version.is_none()))
        .param("version", filter.version.unwrap_or_default())
        .param("from", filter.from.seconds().max(0))
        .param("until", filter.until.seconds().max(0))
        .param("step", filter.step_seconds.max(1))
        .fetch_all()
        .await
}

/// Inferences counted of one version.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct CountedVersion {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version; empty where senders state none.
    pub version: String,
    /// Inferences, as far back as buckets are kept.
    pub inferences: u64,
    /// Event time of the newest bucket's end in Unix seconds.
    pub newest: i64,
}

/// Inferences of every version of one model, or of all models.
///
/// # Errors
/// The query failed.
pub async fn counted_versions(clickhouse: &ClickHouse, model: Option<&str>) -> Result<Vec<CountedVersion>, Error> {
    let sql = format!(
        "SELECT model, environment, version, sum(requests) AS inferences, toInt64(toUnixTimestamp(max(bucket_start))) + 10 AS newest \
         FROM (\
           SELECT *, toStartOfMinute(bucket_start) AS minute FROM buckets_10s FINAL \
           WHERE ({{model:String}} = '' OR model = {{model:String}}) AND {serves}) AS buckets \
         INNER JOIN (\
           SELECT model, minute, max(generation) AS current FROM minute_generations WHERE consumer = 'buckets' GROUP BY model, minute) \
         AS generations ON buckets.model = generations.model AND buckets.minute = generations.minute \
         WHERE generation >= current \
         GROUP BY model, environment, version ORDER BY model, environment, version LIMIT {MAX_ROWS}",
        serves = SERVES,
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model.unwrap_or_default())
        .fetch_all()
        .await
}
