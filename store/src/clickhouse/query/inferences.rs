//! Inferences one by one, with what became known of each later.

use std::collections::HashMap;

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Most inferences of one page.
pub const MAX_PAGE: u32 = 5_000;

/// Where the next page begins: after this key, in the order of the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferenceCursor {
    /// Hour of the key in Unix seconds.
    pub key_hour: i64,
    /// Request id.
    pub request_id: String,
}

/// Which inferences are listed.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceFilter {
    /// The model.
    pub model: String,
    /// The environments; empty: all.
    pub environments: Vec<String>,
    /// The version; `None`: all.
    pub version: Option<String>,
    /// Event times at or after this instant; `None`: all.
    pub from: Option<UnixNanos>,
    /// Event times before this instant; `None`: all.
    pub to: Option<UnixNanos>,
}

/// One inference as it is listed.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct ListedInference {
    /// Hour of its key in Unix seconds.
    pub key_hour: i64,
    /// Its id.
    pub request_id: String,
    /// Event time in Unix nanoseconds.
    pub event_time: i64,
    /// The version, or empty.
    pub version: String,
    /// The environment, or empty.
    pub environment: String,
    /// The service, or empty.
    pub service: String,
    /// The segment, or empty.
    pub segment: String,
    /// The arm, or empty.
    pub arm: String,
    /// Predicted class.
    pub prediction_label: Option<String>,
    /// Its score.
    pub prediction_score: Option<f64>,
    /// Predicted number.
    pub prediction_value: Option<f64>,
    /// Milliseconds that it took.
    pub latency_ms: Option<f64>,
    /// Kind of its error.
    pub error_type: Option<String>,
    /// Trace id.
    pub trace_id: Option<String>,
    /// Span id.
    pub span_id: Option<String>,
    /// Numeric features.
    pub numeric_features: Vec<(String, f64)>,
    /// Other features.
    pub categorical_features: Vec<(String, String)>,
}

/// What became known of an inference.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct ListedOutcome {
    /// The inference.
    pub request_id: String,
    /// `label`, `verdict` or `conversion`.
    pub kind: String,
    /// The label.
    pub label: Option<String>,
    /// The verdict.
    pub verdict: Option<u8>,
    /// The conversion.
    pub conversion: Option<f64>,
    /// When, in Unix nanoseconds.
    pub at: i64,
}

const CONDITION: &str = "model = {model:String} AND partial = 0 \
    AND (empty({environments:Array(String)}) OR has({environments:Array(String)}, ifNull(environment, ''))) \
    AND ({any_version:UInt8} OR ifNull(version, '') = {version:String}) \
    AND event_time >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') \
    AND ({any_end:UInt8} OR event_time < fromUnixTimestamp64Nano({to:Int64}, 'UTC'))";

/// How many there are, exactly.
///
/// # Errors
/// The query failed.
pub async fn count_inferences(clickhouse: &ClickHouse, filter: &InferenceFilter) -> Result<u64, Error> {
    let sql = format!("SELECT count() FROM whole_inferences WHERE {CONDITION}");
    bind(clickhouse, &sql, filter).fetch_one().await
}

/// A page of at most `limit`, the latest hours first, in an hour by request id: the order of the table, so that each page
/// costs the same and none is missed or repeated while others arrive.
///
/// # Errors
/// The query failed.
pub async fn page_of_inferences(
    clickhouse: &ClickHouse,
    filter: &InferenceFilter,
    after: Option<&InferenceCursor>,
    limit: u32,
) -> Result<Vec<ListedInference>, Error> {
    let sql = format!(
        "SELECT toInt64(toUnixTimestamp(key_hour)) AS hour, request_id, toUnixTimestamp64Nano(event_time) AS event_ns, \
           ifNull(version, '') AS version_text, ifNull(environment, '') AS environment_text, ifNull(service, '') AS service_text, \
           ifNull(segment, '') AS segment_text, ifNull(arm, '') AS arm_text, \
           prediction_label, prediction_score, prediction_value, latency_ms, error_type, trace_id, span_id, \
           numeric_features, categorical_features \
         FROM whole_inferences WHERE {CONDITION} \
           AND ({{first_page:UInt8}} OR key_hour < toDateTime({{hour:Int64}}, 'UTC') \
             OR (key_hour = toDateTime({{hour:Int64}}, 'UTC') AND request_id < {{request:String}})) \
         ORDER BY key_hour DESC, request_id DESC LIMIT {{limit:UInt32}}"
    );
    let query = bind(clickhouse, &sql, filter)
        .param("first_page", u8::from(after.is_none()))
        .param("hour", after.map_or(0, |after| after.key_hour))
        .param("request", after.map_or("", |after| after.request_id.as_str()))
        .param("limit", limit.min(MAX_PAGE));
    let rows: Vec<PageRow> = query.fetch_all().await?;
    Ok(rows.into_iter().map(ListedInference::from).collect())
}

/// What became known of these inferences, by request id.
///
/// # Errors
/// The query failed.
pub async fn outcomes_of(
    clickhouse: &ClickHouse,
    model: &str,
    request_ids: &[String],
) -> Result<HashMap<String, Vec<ListedOutcome>>, Error> {
    let sql = "SELECT request_id, kind, label, verdict, conversion, toUnixTimestamp64Nano(at) AS at_ns FROM outcomes FINAL \
               WHERE model = {model:String} AND request_id IN (SELECT arrayJoin({ids:Array(String)})) ORDER BY request_id, at_ns";
    let rows: Vec<OutcomeRow> = clickhouse
        .reader()
        .query(sql)
        .param("model", model)
        .param("ids", request_ids)
        .fetch_all()
        .await?;
    let mut by_id: HashMap<String, Vec<ListedOutcome>> = HashMap::new();
    for row in rows {
        let outcome = ListedOutcome {
            request_id: row.request_id,
            kind: row.kind,
            label: row.label,
            verdict: row.verdict,
            conversion: row.conversion,
            at: row.at_ns,
        };
        by_id.entry(outcome.request_id.clone()).or_default().push(outcome);
    }
    Ok(by_id)
}

/// Columns under names that the view does not have: an alias that hides a column would be used in the condition.
#[derive(Row, Deserialize)]
struct PageRow {
    hour: i64,
    request_id: String,
    event_ns: i64,
    version_text: String,
    environment_text: String,
    service_text: String,
    segment_text: String,
    arm_text: String,
    prediction_label: Option<String>,
    prediction_score: Option<f64>,
    prediction_value: Option<f64>,
    latency_ms: Option<f64>,
    error_type: Option<String>,
    trace_id: Option<String>,
    span_id: Option<String>,
    numeric_features: Vec<(String, f64)>,
    categorical_features: Vec<(String, String)>,
}

#[derive(Row, Deserialize)]
struct OutcomeRow {
    request_id: String,
    kind: String,
    label: Option<String>,
    verdict: Option<u8>,
    conversion: Option<f64>,
    at_ns: i64,
}

impl From<PageRow> for ListedInference {
    fn from(row: PageRow) -> Self {
        Self {
            key_hour: row.hour,
            request_id: row.request_id,
            event_time: row.event_ns,
            version: row.version_text,
            environment: row.environment_text,
            service: row.service_text,
            segment: row.segment_text,
            arm: row.arm_text,
            prediction_label: row.prediction_label,
            prediction_score: row.prediction_score,
            prediction_value: row.prediction_value,
            latency_ms: row.latency_ms,
            error_type: row.error_type,
            trace_id: row.trace_id,
            span_id: row.span_id,
            numeric_features: row.numeric_features,
            categorical_features: row.categorical_features,
        }
    }
}

fn bind(clickhouse: &ClickHouse, sql: &str, filter: &InferenceFilter) -> clickhouse::query::Query {
    clickhouse
        .reader()
        .query(sql)
        .param("model", filter.model.as_str())
        .param("environments", filter.environments.as_slice())
        .param("any_version", u8::from(filter.version.is_none()))
        .param("version", filter.version.as_deref().unwrap_or_default())
        .param("from", filter.from.map_or(0, |from| from.0.max(0)))
        .param("any_end", u8::from(filter.to.is_none()))
        .param("to", filter.to.map_or(0, |to| to.0.max(0)))
}
