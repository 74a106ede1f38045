//! `GET /api/v1/models/{model}/charts`: the four charts of a model's page over one range.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_store::clickhouse::query::series::{SeriesFilter, service_steps};
use driftlead_store::clickhouse::query::signals::{SignalFilter, signal_points};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;
use crate::view::chart::{ServiceColumns, SignalColumns, service_columns, signal_columns};
use crate::view::metric::{Threshold, threshold};

const DEFAULT_RANGE_SECONDS: i64 = 86_400;
/// Columns where the page asks for no number: about one every three pixels of a wide page.
const DEFAULT_POINTS: i64 = 400;
const MAX_POINTS: i64 = 2_000;
/// Length of a bucket: no step is shorter.
const SHORTEST_STEP_SECONDS: i64 = 10;
/// Features drawn in the shift chart: more lines cannot be told apart.
const MAX_SHIFT_LINES: usize = 6;
const HOUR_SECONDS: u32 = 3_600;
const DAY_SECONDS: u32 = 86_400;

const PARAMETERS: &[(&str, &str)] = &[
    ("environment", "only this environment"),
    ("version", "only this version"),
    ("from", "start of the range, RFC 3339"),
    ("to", "end of the range, exclusive, RFC 3339; now by default"),
    ("points", "most columns, 400 by default, at most 2,000"),
    ("window", "1h or 1d: which windows of shift and quality"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/charts",
            "Traffic, errors, latency, shift and quality in columns, ready to draw.",
            show,
        )
        .query(PARAMETERS),
    ]
}

/// What is drawn.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChartsQuery {
    environment: Option<String>,
    version: Option<String>,
    from: Option<String>,
    to: Option<String>,
    points: Option<i64>,
    window: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct ChartsResponse {
    from: UnixNanos,
    to: UnixNanos,
    service: ServiceColumns,
    shift: SignalColumns,
    quality: SignalColumns,
    thresholds: Vec<SignalThreshold>,
}

#[derive(Debug, Serialize)]
struct SignalThreshold {
    #[serde(flatten)]
    threshold: Threshold,
    signal: &'static str,
    window_s: Option<u32>,
}

/// The handler.
///
/// # Errors
/// 400 when a parameter is wrong, 503 when the database does not answer.
pub async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(mut query): Query<ChartsQuery>,
) -> Result<Json<ChartsResponse>, Problem> {
    query.environment = caller.environment(query.environment)?;
    let (from, until) = parameters::range(query.from.as_deref(), query.to.as_deref(), DEFAULT_RANGE_SECONDS, app.clock.now())?;
    let points = query.points.unwrap_or(DEFAULT_POINTS).clamp(1, MAX_POINTS);
    let step_seconds = step_seconds(until.seconds_since(from), points);
    let filter = SeriesFilter {
        model: Some(&model),
        environment: query.environment.as_deref(),
        version: query.version.as_deref(),
        from,
        until,
        step_seconds,
    };
    let problem = |error: clickhouse::error::Error| app.telemetry_problem(&error);
    let steps = service_steps(&app.clickhouse, filter).await.map_err(problem)?;
    let window = parameters::window(query.window.as_deref())?;
    let shift = drawn(
        &app,
        &model,
        &query,
        &[names::FEATURE_SHIFT, names::PREDICTION_SHIFT],
        window,
        from,
        until,
    )
    .await
    .map_err(problem)?;
    let quality = [names::F1, names::ESTIMATED_F1, names::ACCURACY, names::PRECISION, names::RECALL];
    let quality = drawn(&app, &model, &query, &quality, window, from, until).await.map_err(problem)?;
    Ok(Json(ChartsResponse {
        from,
        to: until,
        service: service_columns(&steps, from.seconds(), until.seconds(), step_seconds),
        shift: columns(thin(most_shifted(shift), step_seconds)),
        quality: columns(thin(quality, step_seconds)),
        thresholds: thresholds(&app, &model, query.environment.as_deref().unwrap_or_default()),
    }))
}

/// A multiple of 10 s of which at most `points` cover the range.
pub(super) fn step_seconds(range_seconds: f64, points: i64) -> i64 {
    let least = (range_seconds / points as f64 / SHORTEST_STEP_SECONDS as f64).ceil() as i64;
    least.max(1) * SHORTEST_STEP_SECONDS
}

/// The points of a few signals at one window length.
async fn drawn(
    app: &WebState,
    model: &str,
    query: &ChartsQuery,
    signals: &[&str],
    window: Option<u32>,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<Signal>, clickhouse::error::Error> {
    let names: Vec<String> = signals.iter().map(|name| (*name).to_owned()).collect();
    let filter = SignalFilter {
        names: &names,
        environment: query.environment.as_deref(),
        version: query.version.as_deref(),
        segment: Some(""),
        ..SignalFilter::of_model(model, from, UnixNanos(until.0.saturating_add(1)))
    };
    let all = signal_points(&app.clickhouse, filter).await?;
    Ok(of_one_length(all, window, until.seconds_since(from)))
}

/// The points whose windows have the length that is asked for, else hours in a range of up to two days and days in a longer one,
/// and whichever of the two has values.
pub(super) fn of_one_length(all: Vec<Signal>, window: Option<u32>, range_seconds: f64) -> Vec<Signal> {
    let preferred = window.unwrap_or(if range_seconds > 2.0 * f64::from(DAY_SECONDS) {
        DAY_SECONDS
    } else {
        HOUR_SECONDS
    });
    let other = if preferred == HOUR_SECONDS { DAY_SECONDS } else { HOUR_SECONDS };
    let of = |seconds: u32| {
        all.iter()
            .filter(move |signal| signal.window_seconds == seconds && signal.value.is_some())
    };
    let length = if window.is_some() || of(preferred).next().is_some() {
        preferred
    } else {
        other
    };
    all.into_iter().filter(|signal| signal.window_seconds == length).collect()
}

/// The prediction and the features with the largest value in the range.
fn most_shifted(points: Vec<Signal>) -> Vec<Signal> {
    let mut largest: HashMap<String, f64> = HashMap::new();
    for point in points.iter().filter(|point| point.name == names::FEATURE_SHIFT) {
        let value = point.value.unwrap_or(0.0);
        let most = largest.entry(point.subject.clone()).or_insert(value);
        *most = most.max(value);
    }
    let mut features: Vec<_> = largest.into_iter().collect();
    features.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    features.truncate(MAX_SHIFT_LINES - 1);
    let is_drawn = |point: &Signal| point.name != names::FEATURE_SHIFT || features.iter().any(|(feature, _)| *feature == point.subject);
    points.into_iter().filter(is_drawn).collect()
}

/// Of each series the last window end in each step.
pub(super) fn thin(points: Vec<Signal>, step_seconds: i64) -> Vec<Signal> {
    let mut kept: Vec<Signal> = Vec::new();
    for point in points {
        let replaces = kept.last().is_some_and(|last| {
            (&last.name, &last.version, &last.subject, &last.environment)
                == (&point.name, &point.version, &point.subject, &point.environment)
                && last.window_end.seconds() / step_seconds == point.window_end.seconds() / step_seconds
        });
        if replaces {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}

pub(super) fn columns(points: Vec<Signal>) -> SignalColumns {
    let window_s = points.first().map_or(0, |point| point.window_seconds);
    signal_columns(&points, window_s)
}

fn thresholds(app: &WebState, model: &str, environment: &str) -> Vec<SignalThreshold> {
    let settings = app.settings(model);
    let rules = app.commands.rules();
    let about = rules.all().iter().filter(|rule| rule.is_about(environment, model, "", ""));
    about
        .map(|rule| SignalThreshold {
            threshold: threshold(rule, &settings),
            signal: rule.signal.name,
            window_s: rule.window_length(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::step_seconds;

    #[test]
    fn steps_are_multiples_of_a_bucket() {
        for (range, points, expected) in [(60.0, 400, 10), (86_400.0, 400, 220), (86_400.0, 1, 86_400), (4_001.0, 400, 20)] {
            assert_eq!(step_seconds(range, points), expected);
        }
    }
}
