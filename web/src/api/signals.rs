//! `GET /api/v1/models/{model}/signals`: what was measured, series by series.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_store::clickhouse::query::signals::{MAX_POINTS, SignalFilter, count_subjects, reasoned_points};
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::duration;
use driftlead_store::records::{Signal, SignalState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

/// Without `from` and `to`: two days, so that the last daily window is among them.
const DEFAULT_RANGE_SECONDS: i64 = 2 * 86_400;

/// A window that still runs ends within its own length.
const LONGEST_WINDOW_SECONDS: i64 = 86_400;

/// More features cannot be told apart, nor read.
const MOST_SUBJECTS: u32 = 1_000;

const PARAMETERS: &[(&str, &str)] = &[
    ("name", "names of signals, separated by commas"),
    ("version", "only this version; empty: all versions together"),
    ("environment", "only this environment"),
    ("segment", "only this segment; empty: all traffic together"),
    ("window", "length of the windows, such as 60s, 1h or 1d"),
    (
        "subjects",
        "at most this many subjects (features) of each name, up to 1,000: those with the largest value in the range; unsaid: all",
    ),
    ("from", "start of the range, RFC 3339"),
    ("to", "end of the range, exclusive, RFC 3339; now by default"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/api/v1/models/{model}/signals", "What was measured, series by series.", list).query(PARAMETERS)]
}

/// Which signals.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalsQuery {
    name: Option<String>,
    version: Option<String>,
    environment: Option<String>,
    segment: Option<String>,
    window: Option<String>,
    subjects: Option<u32>,
    from: Option<String>,
    to: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct SignalsResponse {
    signals: Vec<Series>,
    /// Subjects of the signals in the range, each name's counted apart; only where `subjects` bounds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_subjects: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Series {
    name: String,
    version: String,
    environment: String,
    segment: String,
    subject: String,
    window: String,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    end: UnixNanos,
    value: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    decision_lower: Option<f64>,
    decision_upper: Option<f64>,
    n: u64,
    reference_n: u64,
    provisional: bool,
    state: SignalState,
    /// Why there is no value, for programs.
    #[serde(skip_serializing_if = "Value::is_null")]
    unknown: Value,
    /// The same for people.
    #[serde(skip_serializing_if = "Value::is_null")]
    reason: Value,
    /// What an estimate that is switched off would have been: value, lower and upper.
    #[serde(skip_serializing_if = "Value::is_null")]
    expected: Value,
}

/// The handler.
///
/// # Errors
/// 400 when a parameter is wrong, 503 when the database does not answer.
pub async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(mut query): Query<SignalsQuery>,
) -> Result<Json<SignalsResponse>, Problem> {
    query.environment = caller.environment(query.environment)?;
    let (from, until) = parameters::range(query.from.as_deref(), query.to.as_deref(), DEFAULT_RANGE_SECONDS, app.clock.now())?;
    let names: Vec<String> = query
        .name
        .iter()
        .flat_map(|names| names.split(','))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let running_seconds = if query.to.is_none() { LONGEST_WINDOW_SECONDS } else { 0 };
    let filter = SignalFilter {
        names: &names,
        version: query.version.as_deref(),
        environment: query.environment.as_deref(),
        segment: query.segment.as_deref(),
        window_seconds: parameters::window(query.window.as_deref())?,
        // A window that ends at `to` belongs to the range, and unless `to` is said, so do those that still run.
        ..SignalFilter::of_model(&model, from, UnixNanos(until.plus_seconds(running_seconds).0.saturating_add(1)))
    };
    let subjects = query.subjects;
    if subjects.is_some_and(|most| !(1..=MOST_SUBJECTS).contains(&most)) {
        return Err(Problem::bad_request(format!(
            "subjects is a number from 1 to {MOST_SUBJECTS}; leave it out for all of them"
        )));
    }
    let points = reasoned_points(&app.clickhouse, filter, subjects)
        .await
        .map_err(|error| app.telemetry_problem(&error))?;
    let all_subjects = match subjects {
        Some(_) => Some(
            count_subjects(&app.clickhouse, filter)
                .await
                .map_err(|error| app.telemetry_problem(&error))?,
        ),
        None => None,
    };
    if points.len() > MAX_POINTS {
        return Err(Problem::bad_request(format!(
            "There are more than {MAX_POINTS} points: name the signals (name=f1,accuracy), the version or the window, or shorten the range."
        )));
    }
    Ok(Json(SignalsResponse {
        signals: by_series(points),
        all_subjects,
    }))
}

/// Name, window in seconds, environment, version, segment, subject.
type SeriesKey = (String, u32, String, String, String, String);

fn by_series(points: Vec<Signal>) -> Vec<Series> {
    let mut series: BTreeMap<SeriesKey, Vec<Point>> = BTreeMap::new();
    for mut signal in points {
        let mut why = |name: &str| signal.details.get_mut(name).map(Value::take).unwrap_or_default();
        let (unknown, reason, expected) = (why("unknown"), why("reason"), why("expected"));
        let point = Point {
            unknown,
            reason,
            expected,
            end: signal.window_end,
            value: signal.value,
            lower: signal.lower,
            upper: signal.upper,
            decision_lower: signal.decision_lower,
            decision_upper: signal.decision_upper,
            n: signal.n,
            reference_n: signal.reference_n,
            provisional: signal.provisional,
            state: signal.state,
        };
        let key = (
            signal.name,
            signal.window_seconds,
            signal.environment,
            signal.version,
            signal.segment,
            signal.subject,
        );
        series.entry(key).or_default().push(point);
    }
    series
        .into_iter()
        .map(|((name, window, environment, version, segment, subject), points)| Series {
            name,
            version,
            environment,
            segment,
            subject,
            window: duration::format(std::time::Duration::from_secs(u64::from(window))),
            points,
        })
        .collect()
}
