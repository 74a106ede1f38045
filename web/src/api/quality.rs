//! `GET /api/v1/models/{model}/quality`: how good a version's answers are by the labels that came, and what was expected.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::Measured;
use driftlead_analyzer::stats::Undefined;
use driftlead_store::clickhouse::query::buckets::{ServedHour, served_hours};
use driftlead_store::clickhouse::query::positive::Positive;
use driftlead_store::clickhouse::query::quality::{LabelledOf, LabelledWindow, labelled_windows};
use driftlead_store::clickhouse::query::signals::{SignalFilter, reasoned_points};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::charts::{columns, of_one_length, step_seconds, thin};
use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;
use crate::view::chart::SignalColumns;
use crate::view::quality::{Calibration, Matrix, NumberErrors, calibration, matrix, number_errors};

const DEFAULT_RANGE_SECONDS: i64 = 86_400;
/// Inferences that are read for one answer, in whole hours: their request ids are held while labels are looked up. One hour is read
/// in any case.
const MAX_INFERENCES: u64 = 2_000_000;
/// Versions that one answer lists, those with the most inferences.
const MAX_VERSIONS: usize = 50;
/// Columns of the signals: about one every three pixels of a wide page.
const POINTS: i64 = 400;

/// What is measured by labels. An estimate of it has the same name behind [`ESTIMATED`].
const METRICS: [&str; 6] = [
    names::F1,
    names::ACCURACY,
    names::ROC_AUC,
    names::MAE,
    names::RMSE,
    names::INCORRECT_RATIO,
];
const ESTIMATED: &str = "estimated_";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/quality",
            "Quality by the labels that came: measured and estimated over time, confusion matrix, classes, calibration, errors of numbers.",
            show,
        )
        .query(&[
            ("environment", "unsaid: the one with the most traffic in the range"),
            (
                "version",
                "unsaid: the one with the most labels in the range, without any the one with the most traffic",
            ),
            ("segment", "only this segment of the traffic; unsaid: all traffic"),
            (
                "from",
                "start of the range by the time of the inference, RFC 3339; unsaid: a day before its end",
            ),
            ("to", "end of the range, exclusive, RFC 3339; now by default"),
            ("window", "1h or 1d: which windows of the signals"),
        ]),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    environment: Option<String>,
    version: Option<String>,
    segment: Option<String>,
    from: Option<String>,
    to: Option<String>,
    window: Option<String>,
}

#[derive(Debug, Serialize)]
struct Quality {
    environment: String,
    version: String,
    /// Empty for all traffic together.
    segment: String,
    /// What the counts are of: later than what was asked for where that holds more than [`MAX_INFERENCES`].
    from: UnixNanos,
    to: UnixNanos,
    is_shortened: bool,
    /// Those of the environment, the one with the most inferences first.
    versions: Vec<VersionLabels>,
    inferences: u64,
    labelled: u64,
    /// Why there is nothing to show: `no_data` or `no_labels`.
    unknown: Option<&'static str>,
    positive_class: Option<String>,
    /// Seconds until labels are taken for complete.
    label_delay_s: u64,
    /// Measures and estimates of the version.
    signals: SignalColumns,
    /// Of each signal whose newest window has no value, why.
    gaps: Vec<Gap>,
    confusion: Option<Matrix>,
    calibration: Measured<Calibration>,
    numbers: Option<NumberErrors>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct VersionLabels {
    version: String,
    inferences: u64,
    labelled: u64,
}

/// A signal without a value in its newest window.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Gap {
    signal: String,
    end: UnixNanos,
    unknown: Value,
    reason: Value,
    /// Of an estimate: the windows with labels that it was graded by.
    graded: Option<u64>,
    /// Those of them that contradicted it.
    contradicted: Option<u64>,
    /// Of an estimate: the last window in the range whose labels contradicted it.
    missed: Option<Missed>,
}

/// An estimate and a measure that exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Missed {
    end: UnixNanos,
    expected: Range,
    measured: Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Range {
    value: f64,
    lower: f64,
    upper: f64,
}

async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Quality>, Problem> {
    let asked_environment = caller.environment(asked.environment)?;
    let asked_version = asked.version.filter(|version| !version.is_empty());
    let segment = asked.segment.unwrap_or_default();
    let (from, to) = parameters::range(asked.from.as_deref(), asked.to.as_deref(), DEFAULT_RANGE_SECONDS, app.clock.now())?;
    let window = parameters::window(asked.window.as_deref())?;
    let settings = app.settings(&model);
    let failed = |error| app.telemetry_problem(&error);

    let hours = served_hours(&app.clickhouse, &model, &segment, from, to).await.map_err(failed)?;
    let read_from = readable_from(&hours, from);
    let segments = if segment.is_empty() { Vec::new() } else { vec![segment.clone()] };
    let positive = Positive::of(&settings);
    let mut labelled = labelled_windows(&app.clickhouse, &model, positive, &segments, read_from, to)
        .await
        .map_err(failed)?;
    let environment = asked_environment.unwrap_or_else(|| busiest(&hours, &labelled));
    let versions = versions(&hours, &labelled, &environment, &segment, read_from);
    let version = asked_version.unwrap_or_else(|| most_labelled(&versions));
    let of = LabelledOf {
        environment,
        version,
        segment,
    };
    let known = labelled.remove(&of).unwrap_or_default();
    let inferences = versions
        .iter()
        .find(|one| one.version == of.version)
        .map_or(0, |one| one.inferences);

    let points = signals_of(&app, &model, &of, window, from, to).await.map_err(failed)?;
    let gaps = gaps(&points);
    let signals = columns(thin(points, step_seconds(to.seconds_since(from), POINTS)));
    let LabelledOf {
        environment,
        version,
        segment,
    } = of;
    Ok(Json(Quality {
        environment,
        version,
        segment,
        from: read_from,
        to,
        is_shortened: read_from > from,
        versions: versions.into_iter().take(MAX_VERSIONS).collect(),
        inferences,
        labelled: known.labelled,
        unknown: unknown(inferences, known.labelled),
        positive_class: settings.positive_class.clone(),
        label_delay_s: app.label_delays.of(&settings).as_secs(),
        signals,
        gaps,
        confusion: matrix(&known.classes),
        calibration: match positive {
            Some(_) => calibration(&known.scores, &known.losses),
            None => Err(Undefined::because(
                "the model declares no positive_class, so which score is its probability is not known",
            )),
        }
        .into(),
        numbers: number_errors(&known.values),
    }))
}

fn unknown(inferences: u64, labelled: u64) -> Option<&'static str> {
    match (inferences, labelled) {
        (_, 1..) => None,
        (0, 0) => Some("no_data"),
        _ => Some("no_labels"),
    }
}

/// The start of the newest hours that together hold at most [`MAX_INFERENCES`], the newest one in any case; `from` where all do.
fn readable_from(newest_first: &[ServedHour], from: UnixNanos) -> UnixNanos {
    let mut by_hour: BTreeMap<i64, u64> = BTreeMap::new();
    for served in newest_first {
        *by_hour.entry(served.hour).or_default() += served.inferences;
    }
    let mut sum = 0_u64;
    let mut earliest = None;
    for (hour, inferences) in by_hour.into_iter().rev() {
        sum = sum.saturating_add(inferences);
        if let Some(earliest) = earliest.filter(|_| sum > MAX_INFERENCES) {
            return from.max(UnixNanos::from_seconds(earliest));
        }
        earliest = Some(hour);
    }
    from
}

/// The environment with the most traffic; without any, one in which labels came.
fn busiest(hours: &[ServedHour], labelled: &BTreeMap<LabelledOf, LabelledWindow>) -> String {
    let mut served: BTreeMap<&str, u64> = labelled.keys().map(|of| (of.environment.as_str(), 0)).collect();
    for hour in hours {
        *served.entry(&hour.environment).or_default() += hour.inferences;
    }
    let most = served.into_iter().rev().max_by_key(|(_, inferences)| *inferences);
    most.map_or_else(String::new, |(environment, _)| environment.to_owned())
}

/// What each version of an environment served from `from` on, and how much of it is labelled; the most inferences first. Inferences
/// may be labelled before they are counted.
fn versions(
    hours: &[ServedHour],
    labelled: &BTreeMap<LabelledOf, LabelledWindow>,
    environment: &str,
    segment: &str,
    from: UnixNanos,
) -> Vec<VersionLabels> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let first_hour = from.seconds().div_euclid(3_600) * 3_600;
    for hour in hours
        .iter()
        .filter(|hour| hour.environment == environment && hour.hour >= first_hour)
    {
        let n = if segment.is_empty() { hour.inferences } else { hour.of_segment };
        counts.entry(&hour.version).or_default().0 += n;
    }
    for (of, known) in labelled
        .iter()
        .filter(|(of, _)| of.environment == environment && of.segment == segment)
    {
        counts.entry(&of.version).or_default().1 = known.labelled;
    }
    let mut versions: Vec<VersionLabels> = counts
        .into_iter()
        .map(|(version, (inferences, labelled))| VersionLabels {
            version: version.to_owned(),
            inferences: inferences.max(labelled),
            labelled,
        })
        .filter(|version| version.inferences > 0)
        .collect();
    versions.sort_by(|a, b| b.inferences.cmp(&a.inferences).then_with(|| a.version.cmp(&b.version)));
    versions
}

fn most_labelled(most_served_first: &[VersionLabels]) -> String {
    let most = most_served_first.iter().rev().max_by_key(|version| version.labelled);
    most.map(|version| version.version.clone()).unwrap_or_default()
}

/// The points of measures and estimates, of windows of one length.
async fn signals_of(
    app: &WebState,
    model: &str,
    of: &LabelledOf,
    window: Option<u32>,
    from: UnixNanos,
    to: UnixNanos,
) -> Result<Vec<Signal>, clickhouse::error::Error> {
    let names: Vec<String> = METRICS
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{ESTIMATED}{name}")])
        .collect();
    let filter = SignalFilter {
        names: &names,
        environment: Some(&of.environment),
        version: Some(&of.version),
        segment: Some(&of.segment),
        ..SignalFilter::of_model(model, from, UnixNanos(to.0.saturating_add(1)))
    };
    let points = reasoned_points(&app.clickhouse, filter, None).await?;
    Ok(of_one_length(points, window, to.seconds_since(from)))
}

/// Of each signal whose newest window has no value, why; an estimate with the last window that contradicted it.
fn gaps(points: &[Signal]) -> Vec<Gap> {
    let mut newest: BTreeMap<&str, &Signal> = BTreeMap::new();
    for point in points {
        let kept = newest.entry(&point.name).or_insert(point);
        if point.window_end > kept.window_end {
            *kept = point;
        }
    }
    let without = newest.into_values().filter(|point| point.value.is_none());
    without
        .map(|point| Gap {
            signal: point.name.clone(),
            end: point.window_end,
            unknown: point.details["unknown"].clone(),
            reason: point.details["reason"].clone(),
            graded: point.details["graded"].as_u64(),
            contradicted: point.details["missed"].as_u64(),
            missed: last_missed(points, &point.name),
        })
        .collect()
}

fn last_missed(points: &[Signal], estimate: &str) -> Option<Missed> {
    let metric = estimate.strip_prefix(ESTIMATED)?;
    let measured: BTreeMap<UnixNanos, Range> = points
        .iter()
        .filter(|point| point.name == metric && !point.provisional)
        .filter_map(|point| Some((point.window_end, shown(point)?)))
        .collect();
    let both = points.iter().filter(|point| point.name == estimate).filter_map(|point| {
        Some(Missed {
            end: point.window_end,
            expected: shown(point).or_else(|| hidden(point))?,
            measured: *measured.get(&point.window_end)?,
        })
    });
    both.filter(|both| both.measured.upper < both.expected.lower || both.measured.lower > both.expected.upper)
        .max_by_key(|both| both.end)
}

fn shown(point: &Signal) -> Option<Range> {
    Some(Range {
        value: point.value?,
        lower: point.lower?,
        upper: point.upper?,
    })
}

/// What an estimate that is switched off would have been.
fn hidden(point: &Signal) -> Option<Range> {
    let of = |name: &str| point.details["expected"][name].as_f64();
    Some(Range {
        value: of("value")?,
        lower: of("lower")?,
        upper: of("upper")?,
    })
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::SignalState;
    use serde_json::json;

    use super::*;

    fn hour(environment: &str, version: &str, hour: i64, inferences: u64) -> ServedHour {
        ServedHour {
            environment: environment.to_owned(),
            version: version.to_owned(),
            hour: hour * 3_600,
            inferences,
            of_segment: inferences / 10,
        }
    }

    #[test]
    fn only_the_newest_hours_are_read_of_much_traffic_and_one_in_any_case() {
        let from = UnixNanos::from_seconds(100 * 3_600 + 1_800);
        let check = |hours: &[ServedHour], expected_hours: f64| {
            assert_eq!(readable_from(hours, from).seconds() as f64 / 3_600.0, expected_hours);
        };
        check(&[], 100.5);
        check(&[hour("", "1", 103, 9), hour("", "1", 100, 9)], 100.5);
        check(
            &[hour("", "1", 103, MAX_INFERENCES / 2), hour("", "2", 103, MAX_INFERENCES / 2)],
            100.5,
        );
        let busy = [
            hour("", "1", 103, MAX_INFERENCES / 2),
            hour("other", "1", 102, MAX_INFERENCES / 2),
            hour("", "1", 101, 1),
        ];
        check(&busy, 102.0);
        check(&[hour("", "1", 103, MAX_INFERENCES * 9), hour("", "1", 102, 1)], 103.0);
    }

    #[test]
    fn versions_are_counted_with_their_labels() {
        let hours = [
            hour("a", "2", 103, 50),
            hour("a", "1", 102, 400),
            hour("a", "1", 99, 1_000),
            hour("b", "1", 103, 7),
        ];
        let of = |version: &str, labelled: u64| {
            let of = LabelledOf {
                environment: "a".to_owned(),
                version: version.to_owned(),
                segment: String::new(),
            };
            let known = LabelledWindow {
                labelled,
                ..LabelledWindow::default()
            };
            (of, known)
        };
        let labelled = BTreeMap::from([of("2", 60), of("1", 20)]);
        let found = versions(&hours, &labelled, "a", "", UnixNanos::from_seconds(100 * 3_600));
        let found_counts: Vec<_> = found.iter().map(|v| (v.version.as_str(), v.inferences, v.labelled)).collect();
        assert_eq!(found_counts, [("1", 400, 20), ("2", 60, 60)]);
        assert_eq!(most_labelled(&found), "2");
        assert_eq!(busiest(&hours, &labelled), "a");
        let without_labels = versions(&hours, &BTreeMap::new(), "a", "web", UnixNanos::from_seconds(0));
        assert_eq!((most_labelled(&without_labels).as_str(), without_labels[0].inferences), ("1", 140));
        assert_eq!(
            [unknown(0, 0), unknown(5, 0), unknown(5, 5)],
            [Some("no_data"), Some("no_labels"), None]
        );
    }

    fn point(name: &str, hour: i64, value: Option<f64>, details: Value) -> Signal {
        Signal {
            name: name.to_owned(),
            model: "m".to_owned(),
            version: "1".to_owned(),
            environment: String::new(),
            segment: String::new(),
            subject: String::new(),
            window_end: UnixNanos::from_seconds(hour * 3_600),
            window_seconds: 3_600,
            value,
            lower: value.map(|value| value - 0.01),
            upper: value.map(|value| value + 0.01),
            decision_lower: None,
            decision_upper: None,
            n: 100,
            reference_n: 0,
            provisional: false,
            state: if value.is_some() {
                SignalState::Ok
            } else {
                SignalState::Insufficient
            },
            details,
        }
    }

    #[test]
    fn an_estimate_that_is_off_says_what_it_missed_last() {
        let off = json!({ "unknown": "switched_off", "reason": "…", "graded": 10, "missed": 3, "expected": { "value": 0.9, "lower": 0.88, "upper": 0.92 } });
        let points = [
            point("f1", 1, Some(0.8), json!({})),
            point("f1", 2, Some(0.7), json!({})),
            point("f1", 3, Some(0.89), json!({})),
            point("estimated_f1", 1, Some(0.9), json!({})),
            point("estimated_f1", 2, None, off.clone()),
            point("estimated_f1", 3, None, off),
        ];
        let gaps = gaps(&points);
        assert_eq!(gaps.len(), 1);
        assert_eq!(
            (gaps[0].signal.as_str(), &gaps[0].unknown),
            ("estimated_f1", &json!("switched_off"))
        );
        assert_eq!((gaps[0].graded, gaps[0].contradicted), (Some(10), Some(3)));
        let missed = gaps[0].missed.unwrap();
        assert_eq!(
            (missed.end.seconds(), missed.expected.value, missed.measured.value),
            (7_200, 0.9, 0.7)
        );
    }
}
