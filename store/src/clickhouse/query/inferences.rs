//! Inferences one by one, with what became known of each later.

use std::collections::HashMap;

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Most inferences of one page.
pub const MAX_PAGE: u32 = 5_000;
/// Halves come as rows of their own until the table merges them.
const ROWS_OF_AN_INFERENCE: u64 = 2;
const HOUR_SECONDS: i64 = 3_600;

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
    /// The conversation or session; `None`: all.
    pub session: Option<String>,
    /// The request id; `None`: all.
    pub request: Option<String>,
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
    /// Conversation or session.
    pub session_id: Option<String>,
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

/// Key and hour come first: they decide what is read at all.
const CONDITION: &str = "model = {model:String} \
    AND key_hour >= toDateTime({first_hour:Int64}, 'UTC') AND key_hour <= toDateTime({last_hour:Int64}, 'UTC') AND partial = 0 \
    AND (empty({environments:Array(String)}) OR has({environments:Array(String)}, ifNull(environment, ''))) \
    AND ({any_version:UInt8} OR ifNull(version, '') = {version:String}) \
    AND ({any_session:UInt8} OR ifNull(session_id, '') = {session:String}) \
    AND ({any_request:UInt8} OR request_id = {only_request:String}) \
    AND event_time >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') \
    AND ({any_end:UInt8} OR event_time < fromUnixTimestamp64Nano({to:Int64}, 'UTC'))";

/// How many there are, exactly.
///
/// # Errors
/// The query failed.
pub async fn count_inferences(clickhouse: &ClickHouse, filter: &InferenceFilter) -> Result<u64, Error> {
    let sql = format!("SELECT count() FROM whole_inferences WHERE {CONDITION}");
    bind(clickhouse, &sql, filter, key_hours(filter)).fetch_one().await
}

/// A page of at most `limit`, the latest hours first, in an hour by request id: the order of the table, so that each page
/// reads about as many rows as it has and none is missed or repeated while others arrive.
///
/// # Errors
/// The query failed.
pub async fn page_of_inferences(
    clickhouse: &ClickHouse,
    filter: &InferenceFilter,
    after: Option<&InferenceCursor>,
    limit: u32,
) -> Result<Vec<ListedInference>, Error> {
    let limit = limit.min(MAX_PAGE) as usize;
    let hours = hours_with_rows(clickhouse, filter, after).await?;
    let (mut hours, mut rows) = (hours.as_slice(), Vec::new());
    let mut wanted_rows = limit as u64 * ROWS_OF_AN_INFERENCE;
    while !hours.is_empty() && rows.len() < limit {
        let (stretch, rest) = hours.split_at(hours_that_hold(hours, wanted_rows));
        let range = (stretch[stretch.len() - 1].0, stretch[0].0);
        rows.extend(rows_of_stretch(clickhouse, filter, range, after, limit - rows.len()).await?);
        hours = rest;
        // Where the filter leaves few of them, longer and longer stretches are read at once.
        wanted_rows *= 2;
    }
    Ok(rows.into_iter().map(ListedInference::from).collect())
}

/// Hours of key from the cursor down, as Unix seconds, with their rows, the latest first.
async fn hours_with_rows(
    clickhouse: &ClickHouse,
    filter: &InferenceFilter,
    after: Option<&InferenceCursor>,
) -> Result<Vec<(i64, u64)>, Error> {
    let (first, last) = key_hours(filter);
    let sql = "SELECT toInt64(toUnixTimestamp(key_hour)) AS hour, count() FROM inferences \
               WHERE model = {model:String} AND key_hour >= toDateTime({first_hour:Int64}, 'UTC') \
                 AND key_hour <= toDateTime({last_hour:Int64}, 'UTC') \
               GROUP BY hour ORDER BY hour DESC";
    clickhouse
        .reader()
        .query(sql)
        .param("model", filter.model.as_str())
        .param("first_hour", first)
        .param("last_hour", after.map_or(last, |after| last.min(after.key_hour)))
        .fetch_all()
        .await
}

/// How many of these hours it takes until they hold so many rows; all of them when they hold fewer.
fn hours_that_hold(hours: &[(i64, u64)], rows: u64) -> usize {
    let mut held = 0;
    let enough = hours.iter().position(|(_, of_hour)| {
        held += of_hour;
        held >= rows
    });
    enough.map_or(hours.len(), |last| last + 1)
}

/// The page's keys are found by the columns that the filter needs; only what belongs to them is merged with its features,
/// which is nearly all of the work.
async fn rows_of_stretch(
    clickhouse: &ClickHouse,
    filter: &InferenceFilter,
    hours: (i64, i64),
    after: Option<&InferenceCursor>,
    limit: usize,
) -> Result<Vec<PageRow>, Error> {
    let keys = format!(
        "SELECT key_hour, request_id FROM whole_inferences WHERE {CONDITION} \
           AND ({{first_page:UInt8}} OR key_hour < toDateTime({{hour:Int64}}, 'UTC') \
             OR (key_hour = toDateTime({{hour:Int64}}, 'UTC') AND request_id < {{request:String}})) \
         ORDER BY key_hour DESC, request_id DESC LIMIT {{limit:UInt32}}"
    );
    let sql = format!(
        "SELECT toInt64(toUnixTimestamp(key_hour)) AS hour, request_id, toUnixTimestamp64Nano(event_time) AS event_ns, \
           ifNull(version, '') AS version_text, ifNull(environment, '') AS environment_text, ifNull(service, '') AS service_text, \
           ifNull(segment, '') AS segment_text, ifNull(arm, '') AS arm_text, \
           prediction_label, prediction_score, prediction_value, latency_ms, error_type, trace_id, span_id, session_id, \
           numeric_features, categorical_features \
         FROM whole_inferences WHERE model = {{model:String}} AND (key_hour, request_id) IN ({keys}) \
         ORDER BY key_hour DESC, request_id DESC"
    );
    bind(clickhouse, &sql, filter, hours)
        // All rows of a key pass this condition or none does, so it may come before they are merged.
        .with_setting("optimize_move_to_prewhere_if_final", "1")
        .param("first_page", u8::from(after.is_none()))
        .param("hour", after.map_or(0, |after| after.key_hour))
        .param("request", after.map_or("", |after| after.request_id.as_str()))
        .param("limit", limit as u32)
        .fetch_all()
        .await
}

/// The first and the last hour of key in which inferences of the filter's span can lie: an inference lies under the hour
/// of its event or, where its later half was stored first, the one after it.
fn key_hours(filter: &InferenceFilter) -> (i64, i64) {
    let first = filter.from.map_or(0, |from| from.floor_to(HOUR_SECONDS).seconds());
    let last = filter.to.map_or(i64::from(u32::MAX), |to| {
        UnixNanos(to.0.saturating_sub(1)).floor_to(HOUR_SECONDS).seconds() + HOUR_SECONDS
    });
    let in_range = |seconds: i64| seconds.clamp(0, u32::MAX.into());
    (in_range(first), in_range(last))
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
    session_id: Option<String>,
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
            session_id: row.session_id,
            numeric_features: row.numeric_features,
            categorical_features: row.categorical_features,
        }
    }
}

fn bind(clickhouse: &ClickHouse, sql: &str, filter: &InferenceFilter, hours: (i64, i64)) -> clickhouse::query::Query {
    clickhouse
        .reader()
        .query(sql)
        .param("model", filter.model.as_str())
        .param("first_hour", hours.0)
        .param("last_hour", hours.1)
        .param("environments", filter.environments.as_slice())
        .param("any_version", u8::from(filter.version.is_none()))
        .param("version", filter.version.as_deref().unwrap_or_default())
        .param("any_session", u8::from(filter.session.is_none()))
        .param("session", filter.session.as_deref().unwrap_or_default())
        .param("any_request", u8::from(filter.request.is_none()))
        .param("only_request", filter.request.as_deref().unwrap_or_default())
        .param("from", filter.from.map_or(0, |from| from.0.max(0)))
        .param("any_end", u8::from(filter.to.is_none()))
        .param("to", filter.to.map_or(0, |to| to.0.max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_many_hours_as_hold_it() {
        let hours = [(30, 5), (20, 10), (10, 1)];
        for (rows, expected) in [(0, 1), (1, 1), (5, 1), (6, 2), (15, 2), (16, 3), (100, 3)] {
            assert_eq!(hours_that_hold(&hours, rows), expected, "{rows}");
        }
        assert_eq!(hours_that_hold(&[], 1), 0);
    }

    #[test]
    fn a_span_of_events_is_a_span_of_keys() {
        let check = |from: Option<&str>, to: Option<&str>, expected: (&str, &str)| {
            let instant = |text: &str| UnixNanos::parse(text).unwrap();
            let filter = InferenceFilter {
                model: "m".into(),
                environments: Vec::new(),
                version: None,
                session: None,
                request: None,
                from: from.map(instant),
                to: to.map(instant),
            };
            assert_eq!(
                key_hours(&filter),
                (instant(expected.0).seconds(), instant(expected.1).seconds()),
                "{from:?} {to:?}"
            );
        };
        let (begin, end) = ("1970-01-01T00:00:00Z", "2106-02-07T06:28:15Z");
        check(None, None, (begin, end));
        check(Some("2026-10-19T10:30:00Z"), None, ("2026-10-19T10:00:00Z", end));
        check(None, Some("2026-10-19T12:00:00Z"), (begin, "2026-10-19T12:00:00Z"));
        check(None, Some("2026-10-19T12:00:01Z"), (begin, "2026-10-19T13:00:00Z"));
        check(None, Some("1960-01-01T00:00:00Z"), (begin, begin));
    }
}
