//! How fast a version gets worse: a line through its quality of days, once labels say it.

use std::collections::BTreeSet;

use driftlead_store::clickhouse::query::signals::{SignalFilter, signal_points};
use driftlead_store::records::{Signal, SignalState, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use super::quality::{MEASURES, Z};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::stats::linear_trend::{Point, Trend};
use crate::stats::{Bounds, Undefined};
use crate::window::{DAY_SECONDS, Window};

/// Days of quality that a line is drawn through, the last ones.
const MAX_DAYS: i64 = 90;
/// Days with labels below which nothing is said.
const MIN_DAYS: usize = 7;
/// A month, in days.
const MONTH: f64 = 30.0;
/// The rule of thumb: 12 % in three months.
const RULE_OF_THUMB: f64 = 0.04;
/// The error of each bound.
const ERROR: f64 = 0.01;
/// `quality_decay_per_month` of the versions that have quality in this day, as it stands with it.
pub(super) async fn signals_of_day(
    context: &Context,
    model: &str,
    window: Window,
    quality: &[Signal],
) -> Result<Vec<Signal>, AnalyzerError> {
    if window.seconds != DAY_SECONDS {
        return Ok(Vec::new());
    }
    let measured: Vec<String> = MEASURES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let of: BTreeSet<(&str, &str)> = quality
        .iter()
        .filter(|signal| signal.segment.is_empty() && measured.contains(&signal.name))
        .map(|signal| (signal.environment.as_str(), signal.version.as_str()))
        .collect();
    let mut signals = Vec::new();
    for (environment, version) in of {
        let filter = SignalFilter {
            names: &measured,
            environment: Some(environment),
            version: Some(version),
            segment: Some(""),
            window_seconds: Some(DAY_SECONDS),
            with_details: false,
            ..SignalFilter::of_model(
                model,
                window.end.plus_seconds(-MAX_DAYS * i64::from(DAY_SECONDS)),
                window.end.plus_seconds(1),
            )
        };
        let points = signal_points(&context.clickhouse, filter).await?;
        let frame = Frame {
            model,
            version,
            environment,
            segment: "",
            window,
            provisional: quality.iter().any(|signal| signal.provisional),
        };
        signals.push(signal_of(&frame, &points));
    }
    Ok(signals)
}

fn signal_of(frame: &Frame<'_>, points: &[Signal]) -> Signal {
    let known = |name: &str| -> Vec<&Signal> {
        let usable = |point: &&Signal| point.name == name && point.state == SignalState::Ok && !point.provisional;
        points.iter().filter(usable).collect()
    };
    let measured = MEASURES.iter().map(|(name, is_gain)| (*name, *is_gain, known(name)));
    let Some((name, is_gain, days)) = measured.max_by_key(|(name, _, days)| {
        let place = MEASURES.iter().position(|(of, _)| of == name).unwrap_or(MEASURES.len());
        (days.len(), MEASURES.len() - place)
    }) else {
        return frame.insufficient(names::QUALITY_DECAY_PER_MONTH, "", 0, "insufficient", "nothing is measured");
    };
    let n = days.iter().map(|day| day.n).sum();
    match decay(&days, is_gain) {
        Ok((value, bounds, trend)) => {
            let details = json!({
                "of": name, "days": days.len(), "begin": trend.begin, "end": trend.end, "rule_of_thumb": RULE_OF_THUMB,
            });
            frame.signal(names::QUALITY_DECAY_PER_MONTH, "", Estimate::bounded(value, bounds), n, details)
        }
        Err(undefined) => frame.insufficient(names::QUALITY_DECAY_PER_MONTH, "", n, "insufficient", undefined.to_string()),
    }
}

/// The share of the quality at the beginning that is lost in a month, with bounds at 99 %; of errors by how much they grow.
fn decay(days: &[&Signal], is_gain: bool) -> Result<(f64, Bounds, Trend), Undefined> {
    let points: Vec<Point> = days.iter().filter_map(|day| point(day)).collect();
    if points.len() < MIN_DAYS {
        return Err(Undefined::because(format!(
            "{} days whose labels are complete: a trend takes {MIN_DAYS}",
            points.len()
        )));
    }
    let trend = Trend::through(&points)?;
    if trend.begin <= 0.0 {
        return Err(Undefined::because("quality began at nothing: there is nothing to lose"));
    }
    let per_month = |slope: f64| if is_gain { -slope } else { slope } * MONTH / trend.begin;
    let bounds = trend.bounds(ERROR);
    let (one, other) = (per_month(bounds.lower), per_month(bounds.upper));
    Ok((
        per_month(trend.slope),
        Bounds {
            lower: one.min(other),
            upper: one.max(other),
        },
        trend,
    ))
}

/// A day with the standard error that its bounds tell; a day without bounds weighs as one of its own size would.
fn point(day: &Signal) -> Option<Point> {
    let value = day.value?;
    let of_bounds = day.lower.zip(day.upper).map(|(lower, upper)| (upper - lower) / (2.0 * Z));
    let standard_error = of_bounds.unwrap_or_else(|| value.abs() / (day.n.max(1) as f64).sqrt());
    Some(Point {
        time: day.window_end.0 as f64 / 86_400e9,
        value,
        standard_error: standard_error.max(1e-9),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(name: &str, number: i64, value: f64, provisional: bool) -> Signal {
        let window = Window {
            end: Frame::EXAMPLE.window.end.plus_seconds(number * 86_400),
            seconds: DAY_SECONDS,
        };
        let bounds = Bounds {
            lower: value - 0.01,
            upper: value + 0.01,
        };
        let frame = Frame {
            window,
            provisional,
            ..Frame::EXAMPLE
        };
        frame.signal(name, "", Estimate::bounded(value, bounds), 1_000, json!({}))
    }

    #[test]
    fn what_is_lost_in_a_month_is_a_share_of_what_was_there() {
        // From 0.9 on 0.003 a day: a tenth of it in 30 days.
        let points: Vec<Signal> = (0..20).map(|i| day(names::ACCURACY, i, 0.9 - 0.003 * i as f64, false)).collect();
        let signal = signal_of(&Frame::EXAMPLE, &points);
        assert!((signal.value.unwrap() - 0.1).abs() < 1e-9, "{signal:?}");
        assert!(signal.lower.unwrap() < 0.1 && signal.upper.unwrap() > 0.1 && signal.lower.unwrap() > 0.07);
        assert_eq!((signal.n, signal.details["of"].as_str()), (20_000, Some("accuracy")));
    }

    #[test]
    fn errors_decay_by_growing() {
        let points: Vec<Signal> = (0..10).map(|i| day(names::MAE, i, 2.0 + 0.02 * i as f64, false)).collect();
        assert!((signal_of(&Frame::EXAMPLE, &points).value.unwrap() - 0.3).abs() < 1e-9);
    }

    #[test]
    fn days_whose_labels_still_come_do_not_count_and_few_say_nothing() {
        let points: Vec<Signal> = (0..12).map(|i| day(names::F1, i, 0.8, i >= 6)).collect();
        let signal = signal_of(&Frame::EXAMPLE, &points);
        assert_eq!(signal.state, SignalState::Insufficient);
        assert!(signal.details["reason"].as_str().unwrap().contains("6 days"), "{signal:?}");
    }

    #[test]
    fn f1_is_preferred_where_it_is_as_complete() {
        let mut points: Vec<Signal> = (0..8).map(|i| day(names::ACCURACY, i, 0.9, false)).collect();
        points.extend((0..8).map(|i| day(names::F1, i, 0.8, false)));
        assert_eq!(signal_of(&Frame::EXAMPLE, &points).details["of"], "f1");
        points.truncate(12);
        assert_eq!(signal_of(&Frame::EXAMPLE, &points).details["of"], "accuracy");
    }
}
