//! Raw records that may tell of errors, as they are stored: what the error index can be made from again.

use clickhouse::Row;
use clickhouse::error::Error;
use clickhouse::query::RowCursor;
use serde::Deserialize;

use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// A log record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Row, Deserialize)]
pub struct RawLog {
    /// Event time in Unix nanoseconds.
    pub time: i64,
    /// 32 hex digits, or empty.
    pub trace_id: String,
    /// 16 hex digits, or empty.
    pub span_id: String,
    /// As the sender wrote it.
    pub severity_text: String,
    /// OpenTelemetry's number; 0: none.
    pub severity_number: u8,
    /// Its text.
    pub body: String,
    /// Name of the event, or empty.
    pub event_name: String,
    /// Attributes of its resource, as texts.
    pub resource: Vec<(String, String)>,
    /// Its attributes, as texts.
    pub attributes: Vec<(String, String)>,
}

/// A span.
#[derive(Debug, Clone, Default, PartialEq, Eq, Row, Deserialize)]
pub struct RawSpan {
    /// When it began, in Unix nanoseconds.
    pub time: i64,
    /// Nanoseconds that it took.
    pub duration_ns: u64,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// Its parent's, or empty.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// `Ok`, `Error` or `Unset`.
    pub status: String,
    /// What its status says.
    pub status_message: String,
    /// Attributes of its resource, as texts.
    pub resource: Vec<(String, String)>,
    /// Its attributes, as texts.
    pub attributes: Vec<(String, String)>,
    /// Times of its events, in Unix nanoseconds.
    pub event_times: Vec<i64>,
    /// Their names.
    pub event_names: Vec<String>,
    /// Their attributes.
    pub event_attributes: Vec<Vec<(String, String)>>,
}

/// Log records from `from` up to and not including `to` that may be errors, always in the same order. `failures` are attributes
/// that say that an inference failed.
///
/// # Errors
/// The query is not one.
pub fn raw_logs(clickhouse: &ClickHouse, from: UnixNanos, to: UnixNanos, failures: &[&str]) -> Result<RowCursor<RawLog>, Error> {
    let sql = "SELECT toUnixTimestamp64Nano(Timestamp) AS time, TraceId AS trace_id, SpanId AS span_id, SeverityText AS severity_text, \
           SeverityNumber AS severity_number, Body AS body, EventName AS event_name, \
           CAST(ResourceAttributes, 'Map(String, String)') AS resource, CAST(LogAttributes, 'Map(String, String)') AS attributes \
         FROM otel_logs \
         WHERE Timestamp >= fromUnixTimestamp64Nano({from:Int64}) AND Timestamp < fromUnixTimestamp64Nano({to:Int64}) \
           AND (SeverityNumber >= 17 OR (SeverityNumber = 0 AND SeverityText != '') \
             OR hasAny(mapKeys(LogAttributes), {failures:Array(String)})) \
         ORDER BY Timestamp, ServiceName, TraceId, SpanId, cityHash64(Body, LogAttributes)";
    bind(clickhouse, sql, from, to, failures).fetch()
}

/// Likewise, spans by when they began.
///
/// # Errors
/// As [`raw_logs`].
pub fn raw_spans(clickhouse: &ClickHouse, from: UnixNanos, to: UnixNanos, failures: &[&str]) -> Result<RowCursor<RawSpan>, Error> {
    let sql = "SELECT toUnixTimestamp64Nano(Timestamp) AS time, Duration AS duration_ns, TraceId AS trace_id, SpanId AS span_id, \
           ParentSpanId AS parent_span_id, SpanName AS name, StatusCode AS status, StatusMessage AS status_message, \
           CAST(ResourceAttributes, 'Map(String, String)') AS resource, CAST(SpanAttributes, 'Map(String, String)') AS attributes, \
           arrayMap(time -> toUnixTimestamp64Nano(time), Events.Timestamp) AS event_times, \
           arrayMap(name -> toString(name), Events.Name) AS event_names, \
           arrayMap(found -> CAST(found, 'Map(String, String)'), Events.Attributes) AS event_attributes \
         FROM otel_traces \
         WHERE Timestamp >= fromUnixTimestamp64Nano({from:Int64}) AND Timestamp < fromUnixTimestamp64Nano({to:Int64}) \
           AND (StatusCode = 'Error' OR hasAny(mapKeys(SpanAttributes), {failures:Array(String)})) \
         ORDER BY Timestamp, ServiceName, TraceId, SpanId";
    bind(clickhouse, sql, from, to, failures).fetch()
}

fn bind(clickhouse: &ClickHouse, sql: &str, from: UnixNanos, to: UnixNanos, failures: &[&str]) -> clickhouse::query::Query {
    clickhouse
        .reader()
        .query(sql)
        .param("from", from.0)
        .param("to", to.0)
        .param("failures", failures)
}
