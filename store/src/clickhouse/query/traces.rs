//! One trace: its spans and the log records that were told in it.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::RESOURCE_ENVIRONMENT as ENVIRONMENT;
use crate::clickhouse::ClickHouse;

/// Most spans of an answer; a trace with more is shown from its beginning.
pub const MAX_SPANS: usize = 1_000;
/// Most log records of an answer.
pub const MAX_RECORDS: usize = 500;
/// A record of a trace may be told so long before its first span and after its last.
const MARGIN_SECONDS: i64 = 60;

/// A span.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct TraceSpan {
    /// 16 hex digits.
    pub span_id: String,
    /// Its parent's; empty: it has none.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// `Server`, `Client`, …
    pub kind: String,
    /// The service.
    pub service: String,
    /// When it began, in Unix nanoseconds.
    pub start: i64,
    /// Nanoseconds that it took.
    pub duration_ns: u64,
    /// `Ok`, `Error` or `Unset`.
    pub status: String,
    /// What its status says.
    pub status_message: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
}

/// A log record.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct TraceRecord {
    /// Event time in Unix nanoseconds.
    pub time: i64,
    /// The span that it was told in, or empty.
    pub span_id: String,
    /// As the sender wrote it.
    pub severity: String,
    /// The service.
    pub service: String,
    /// Its text.
    pub body: String,
}

/// A trace as far as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The earliest first, [`MAX_SPANS`] at most.
    pub spans: Vec<TraceSpan>,
    /// All spans that there are.
    pub span_count: u64,
    /// The earliest first, [`MAX_RECORDS`] at most.
    pub records: Vec<TraceRecord>,
}

#[derive(Row, Deserialize)]
struct Extent {
    spans: u64,
    first: i64,
    last: i64,
}

/// Reads a trace by its id (32 lower-case hex digits), of these environments; none: of all. `around` is an instant of it in Unix
/// seconds, by which records are found where no span is stored.
///
/// # Errors
/// A query failed.
pub async fn trace(clickhouse: &ClickHouse, trace_id: &str, around: i64, environments: &[String]) -> Result<Trace, Error> {
    let sql = "SELECT count() AS spans, toInt64(toUnixTimestamp(min(Start))) AS first, toInt64(toUnixTimestamp(max(End))) AS last \
               FROM otel_traces_trace_id_ts WHERE TraceId = {trace:String}";
    let extent: Extent = clickhouse.reader().query(sql).param("trace", trace_id).fetch_one().await?;
    let (first, last) = if extent.spans > 0 {
        (extent.first, extent.last)
    } else {
        (around, around)
    };
    let bound = |sql: &str| {
        clickhouse
            .reader()
            .query(sql)
            .param("trace", trace_id)
            .param("first", (first - MARGIN_SECONDS).max(0))
            .param("last", (last + MARGIN_SECONDS).max(0))
            .param("environments", environments)
    };
    let condition = format!(
        "TraceId = {{trace:String}} AND Timestamp >= toDateTime({{first:Int64}}, 'UTC') AND Timestamp <= toDateTime({{last:Int64}}, 'UTC') \
         AND (empty({{environments:Array(String)}}) OR has({{environments:Array(String)}}, {ENVIRONMENT}))"
    );
    let spans = format!(
        "SELECT SpanId AS span_id, ParentSpanId AS parent_span_id, toString(SpanName) AS name, toString(SpanKind) AS kind, \
           toString(ServiceName) AS service, toUnixTimestamp64Nano(Timestamp) AS start, Duration AS duration_ns, \
           toString(StatusCode) AS status, StatusMessage AS status_message, \
           CAST(SpanAttributes, 'Array(Tuple(String, String))') AS attributes \
         FROM otel_traces WHERE {condition} ORDER BY start, span_id LIMIT {MAX_SPANS}"
    );
    let count = format!("SELECT count() FROM otel_traces WHERE {condition}");
    let records = format!(
        "SELECT toUnixTimestamp64Nano(Timestamp) AS time, SpanId AS span_id, toString(SeverityText) AS severity, \
           toString(ServiceName) AS service, Body AS body \
         FROM otel_logs WHERE {condition} ORDER BY time LIMIT {MAX_RECORDS}"
    );
    Ok(Trace {
        spans: if extent.spans > 0 {
            bound(&spans).fetch_all().await?
        } else {
            Vec::new()
        },
        span_count: if extent.spans > 0 { bound(&count).fetch_one().await? } else { 0 },
        records: bound(&records).fetch_all().await?,
    })
}
