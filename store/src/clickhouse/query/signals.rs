//! `signals`: written by the analyzer, read by pages and the API.

use clickhouse::Row;
use clickhouse::error::Error;
use clickhouse::query::Query;
use serde::Deserialize;

use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;
use crate::records::{Signal, SignalState};

/// Points of one answer at most: a day of hourly windows of 1,000 features and more. One more is read, so that
/// who asks can tell an answer that was cut.
pub const MAX_POINTS: usize = 50_000;

/// Headlines of one answer at most: the bound on models, with several versions and environments each.
const MAX_HEADLINES: usize = 100_000;

#[derive(Debug, Row, Deserialize)]
struct SignalRow {
    name: String,
    model: String,
    version: String,
    environment: String,
    segment: String,
    subject: String,
    window_end: i64,
    window_seconds: u32,
    value: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    decision_lower: Option<f64>,
    decision_upper: Option<f64>,
    n: u64,
    reference_n: u64,
    provisional: u8,
    state: String,
    details: String,
}

const POINT: &str = "name, model, version, environment, segment, subject, toUnixTimestamp64Nano(window_end) AS window_end, window_seconds, \
    value, lower, upper, decision_lower, decision_upper, n, reference_n, provisional, state";

/// Which signals are asked for. Empty and `None` mean all.
#[derive(Debug, Clone, Copy)]
pub struct SignalFilter<'a> {
    /// The model.
    pub model: Option<&'a str>,
    /// Names.
    pub names: &'a [String],
    /// The environment.
    pub environment: Option<&'a str>,
    /// The version; `Some("")` is all versions together.
    pub version: Option<&'a str>,
    /// The segment; `Some("")` is all traffic together.
    pub segment: Option<&'a str>,
    /// Length of the windows.
    pub window_seconds: Option<u32>,
    /// Windows that end at or after this instant.
    pub from: UnixNanos,
    /// Windows that end before this instant.
    pub until: UnixNanos,
    /// Bring `details`, which may be large.
    pub with_details: bool,
}

impl<'a> SignalFilter<'a> {
    /// All signals of a model whose windows end in the range.
    pub fn of_model(model: &'a str, from: UnixNanos, until: UnixNanos) -> Self {
        Self {
            model: Some(model),
            names: &[],
            environment: None,
            version: None,
            segment: None,
            window_seconds: None,
            from,
            until,
            with_details: false,
        }
    }
}

/// The points of the range by series, each series ascending, at most [`MAX_POINTS`] and one.
///
/// # Errors
/// The query failed.
pub async fn signal_points(clickhouse: &ClickHouse, filter: SignalFilter<'_>) -> Result<Vec<Signal>, Error> {
    let sql = format!(
        "SELECT {POINT}, {details} AS details FROM signals FINAL WHERE {CONDITION} \
         ORDER BY model, name, window_seconds, environment, version, segment, subject, signals.window_end LIMIT {limit}",
        details = details(filter.with_details),
        limit = MAX_POINTS + 1,
    );
    fetch(bound(clickhouse, &sql, filter)).await
}

/// As [`signal_points`]; of the details, why a point has no value: `unknown` for programs, `reason` for people, and of an
/// estimate that is switched off what it would have been, as `expected`, and its grade. With `most_subjects` only so many subjects of each name:
/// those with the largest value in the range.
///
/// # Errors
/// The query failed.
pub async fn reasoned_points(clickhouse: &ClickHouse, filter: SignalFilter<'_>, most_subjects: Option<u32>) -> Result<Vec<Signal>, Error> {
    let worst = match most_subjects {
        None => String::new(),
        Some(most) => format!(
            "AND (name, subject) IN (\
               SELECT name, subject FROM signals FINAL WHERE {CONDITION} GROUP BY name, subject \
               ORDER BY name, max(value) DESC NULLS LAST, subject LIMIT {most} BY name)"
        ),
    };
    let sql = format!(
        "SELECT {POINT}, {WHY_NO_VALUE} AS details FROM signals FINAL WHERE {CONDITION} {worst} \
         ORDER BY model, name, window_seconds, environment, version, segment, subject, signals.window_end LIMIT {limit}",
        limit = MAX_POINTS + 1,
    );
    fetch(bound(clickhouse, &sql, filter)).await
}

/// How many subjects the signals of the range have, those of each name counted apart.
///
/// # Errors
/// The query failed.
pub async fn count_subjects(clickhouse: &ClickHouse, filter: SignalFilter<'_>) -> Result<u64, Error> {
    let sql = format!("SELECT uniqExact(name, subject) FROM signals WHERE {CONDITION}");
    bound(clickhouse, &sql, filter).fetch_one().await
}

/// Of each model, environment, version and name in the range one point: one with a value before one without, the
/// latest window, and in it the largest value (of a signal about features, the feature that moved most). Of an estimate the
/// latest one: it may be switched off. Without details a point without a value still says why, as `unknown`.
///
/// # Errors
/// The query failed.
pub async fn headlines(clickhouse: &ClickHouse, filter: SignalFilter<'_>) -> Result<Vec<Signal>, Error> {
    let sql = format!(
        "SELECT {POINT}, {details} AS details {headlines} LIMIT {MAX_HEADLINES}",
        details = if filter.with_details { "signals.details" } else { WHY_UNKNOWN },
        headlines = one_of_each(),
    );
    fetch(bound(clickhouse, &sql, filter)).await
}

/// As [`headlines`], of each segment that has signals of its own.
///
/// # Errors
/// The query failed.
pub async fn segment_headlines(clickhouse: &ClickHouse, filter: SignalFilter<'_>) -> Result<Vec<Signal>, Error> {
    let sql = format!(
        "SELECT {POINT}, {WHY_UNKNOWN} AS details FROM signals FINAL WHERE {CONDITION} AND segment != '' \
         ORDER BY model, name, environment, version, segment, isNotNull(value) DESC, signals.window_end DESC, value DESC \
         LIMIT 1 BY model, name, environment, version, segment LIMIT {MAX_HEADLINES}"
    );
    fetch(bound(clickhouse, &sql, filter)).await
}

/// The points since `since` of the series that [`headlines`] shows, each series ascending.
///
/// # Errors
/// The query failed.
pub async fn headline_points(clickhouse: &ClickHouse, filter: SignalFilter<'_>, since: UnixNanos) -> Result<Vec<Signal>, Error> {
    let sql = format!(
        "SELECT {POINT}, '{{}}' AS details FROM signals FINAL WHERE {CONDITION} \
         AND signals.window_end >= fromUnixTimestamp64Nano({{since:Int64}}, 'UTC') \
         AND (model, name, environment, version, segment, subject, window_seconds) IN (\
           SELECT model, name, environment, version, segment, subject, window_seconds {headlines} LIMIT {MAX_HEADLINES}) \
         ORDER BY model, name, window_seconds, environment, version, segment, subject, signals.window_end LIMIT {limit}",
        headlines = one_of_each(),
        limit = MAX_HEADLINES * POINTS_OF_A_DAY,
    );
    fetch(bound(clickhouse, &sql, filter).param("since", since.0.max(0))).await
}

/// Hours of a day: what one series has in it at most.
const POINTS_OF_A_DAY: usize = 24;

fn one_of_each() -> String {
    format!(
        "FROM signals FINAL WHERE {CONDITION} \
         ORDER BY model, name, environment, version, isNotNull(value) OR startsWith(name, 'estimated_') DESC, \
           signals.window_end DESC, value DESC \
         LIMIT 1 BY model, name, environment, version"
    )
}

/// Of the details only why there is no value.
const WHY_UNKNOWN: &str = "if(state = 'insufficient' AND JSONHas(signals.details, 'unknown'), \
    concat('{\"unknown\":', JSONExtractRaw(signals.details, 'unknown'), '}'), '{}')";

/// Of the details why there is no value, in words too, and what is hidden.
const WHY_NO_VALUE: &str = "if(state = 'insufficient', concat('{', arrayStringConcat(arrayMap(\
      key -> concat('\"', key, '\":', JSONExtractRaw(signals.details, key)), \
      arrayFilter(key -> JSONHas(signals.details, key), ['unknown', 'reason', 'expected', 'graded', 'missed'])), ','), '}'), '{}')";

const CONDITION: &str = "({model:String} = '' OR model = {model:String}) \
    AND (empty({names:Array(String)}) OR has({names:Array(String)}, name)) \
    AND ({any_environment:UInt8} OR environment = {environment:String}) \
    AND ({any_version:UInt8} OR version = {version:String}) \
    AND ({any_segment:UInt8} OR segment = {segment:String}) \
    AND ({window:UInt32} = 0 OR window_seconds = {window:UInt32}) \
    AND signals.window_end >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND signals.window_end < fromUnixTimestamp64Nano({until:Int64}, 'UTC')";

fn details(wanted: bool) -> &'static str {
    if wanted { "signals.details" } else { "'{}'" }
}

fn bound(clickhouse: &ClickHouse, sql: &str, filter: SignalFilter<'_>) -> Query {
    clickhouse
        .reader()
        .query(sql)
        .param("model", filter.model.unwrap_or_default())
        .param("names", filter.names)
        .param("any_environment", u8::from(filter.environment.is_none()))
        .param("environment", filter.environment.unwrap_or_default())
        .param("any_version", u8::from(filter.version.is_none()))
        .param("version", filter.version.unwrap_or_default())
        .param("any_segment", u8::from(filter.segment.is_none()))
        .param("segment", filter.segment.unwrap_or_default())
        .param("window", filter.window_seconds.unwrap_or_default())
        .param("from", filter.from.0.max(0))
        .param("until", filter.until.0.max(0))
}

async fn fetch(query: Query) -> Result<Vec<Signal>, Error> {
    let rows: Vec<SignalRow> = query.fetch_all().await?;
    Ok(rows.into_iter().map(signal).collect())
}

fn signal(row: SignalRow) -> Signal {
    Signal {
        name: row.name,
        model: row.model,
        version: row.version,
        environment: row.environment,
        segment: row.segment,
        subject: row.subject,
        window_end: UnixNanos(row.window_end),
        window_seconds: row.window_seconds,
        value: row.value,
        lower: row.lower,
        upper: row.upper,
        decision_lower: row.decision_lower,
        decision_upper: row.decision_upper,
        n: row.n,
        reference_n: row.reference_n,
        provisional: row.provisional != 0,
        state: if row.state == "ok" {
            SignalState::Ok
        } else {
            SignalState::Insufficient
        },
        details: serde_json::from_str(&row.details).unwrap_or_default(),
    }
}

/// How far back recomputed windows are looked for: quality is recomputed at once for a week.
const RECOMPUTED_DAYS: i64 = 8;

/// When the signals of each model were last computed, in Unix nanoseconds.
///
/// # Errors
/// The query failed.
pub async fn newest_computations(clickhouse: &ClickHouse, now: UnixNanos) -> Result<Vec<(String, i64)>, Error> {
    let sql = "SELECT model, toUnixTimestamp64Nano(max(computed_at)) FROM signals \
               WHERE window_end >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') GROUP BY model";
    clickhouse
        .reader()
        .query(sql)
        .param("from", now.plus_seconds(-RECOMPUTED_DAYS * 86_400).0.max(0))
        .fetch_all()
        .await
}
