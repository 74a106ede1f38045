//! Quality that can be expected of a window whose labels have not come: the model's scores, once its labelled past has shown
//! what they mean. Blind to a change of what is true, so it is graded: where labels come and say otherwise, it is switched off.

use std::collections::BTreeMap;
use std::time::Duration;

use driftlead_store::bucket;
use driftlead_store::clickhouse::query::labelled_scores::{ScoresOf, labelled_scores};
use driftlead_store::clickhouse::query::quality::LabelledScores;
use driftlead_store::clickhouse::query::signals::{SignalFilter, signal_points};
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{DecidedScores, Signal, SignalState, names};
use serde_json::{Value, json};

use super::frame::{Estimate, Frame};
use super::quality::Z;
use crate::blocking;
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::seed::seed_of;
use crate::stats::classification::{Measure, OneAgainstRest};
use crate::stats::estimated_quality::{self, Decided};
use crate::stats::scored::{ScoreCount, Scored};
use crate::stats::{Bounds, Undefined};

/// How far back labels are learnt from: the days before the window.
const LEARNT_SECONDS: i64 = 28 * 86_400;
/// So many lengths of a window before those whose labels are not due estimates are graded.
const GRADED_LENGTHS: i64 = 48;
/// Labelled scores below which nothing is learnt.
const MIN_LEARNT: u64 = 1_000;
/// Of each class.
const MIN_OF_A_CLASS: u64 = 30;
/// Scores of a window below which nothing is estimated.
const MIN_N: u64 = 100;
/// Windows, the last ones with labels, by which an estimate is graded.
const GRADED_WINDOWS: usize = 10;
/// So many of them missed, and it is switched off: of ten sound estimates three miss less than once in a thousand times.
const MISSES: usize = 3;
/// What is estimated, and what the labels say of it.
const PAIRS: [(&str, &str); 2] = [(names::ESTIMATED_ACCURACY, names::ACCURACY), (names::ESTIMATED_F1, names::F1)];

/// The signals of a version in a window; none where its model declares no positive class or gives no scores.
pub(super) async fn signals_of_window(
    context: &Context,
    frame: Frame<'_>,
    scores: &DecidedScores,
    settings: &ModelSettings,
) -> Result<Vec<Signal>, AnalyzerError> {
    let Some(class) = &settings.positive_class else {
        return Ok(Vec::new());
    };
    if scores.decided.is_empty() && scores.others.is_empty() {
        return Ok(Vec::new());
    }
    let label_delay = context.label_delays.of(settings);
    let until = learnt_until(frame.window.start(), label_delay, context.now());
    let of = ScoresOf {
        model: frame.model,
        environment: frame.environment,
        version: frame.version,
    };
    let learnt = labelled_scores(&context.clickhouse, of, until.plus_seconds(-LEARNT_SECONDS), until).await?;
    let grades = grades(&graded_points(context, &frame, label_delay).await?, frame.window.end);
    let (scores, seed) = (scores.clone(), seed_of(&[class]));
    let expected = blocking::compute(move || expect(&learnt, &scores, seed)).await?;
    Ok(PAIRS
        .into_iter()
        .map(|(name, _)| signal_of(&frame, name, &expected, grades.get(name).copied().unwrap_or_default()))
        .collect())
}

/// Only hours whose labels are due are learnt from: what comes early may be of one kind.
fn learnt_until(window_start: UnixNanos, label_delay: Duration, now: UnixNanos) -> UnixNanos {
    let delay = i64::try_from(label_delay.as_nanos()).unwrap_or(i64::MAX);
    window_start.min(UnixNanos(now.0.saturating_sub(delay)))
}

/// What can be expected.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    n: u64,
    learnt: u64,
    /// By the names of the signals.
    of: Result<BTreeMap<&'static str, Result<Measure, Undefined>>, Undefined>,
}

fn expect(learnt: &[LabelledScores], scores: &DecidedScores, seed: u64) -> Expected {
    let count = |key: i32, n: u64, is_positive: bool| ScoreCount {
        score: bucket::middle(key),
        positives: if is_positive { n } else { 0 },
        negatives: if is_positive { 0 } else { n },
    };
    let sides = [(true, &scores.decided), (false, &scores.others)];
    let window = sides
        .into_iter()
        .flat_map(|(is_decided, scores)| scores.iter().map(move |(&key, &n)| count(key, n, is_decided)));
    let window: Vec<ScoreCount> = window.collect();
    let n = window.iter().map(|count| count.n()).sum();
    let of_class = |is_positive: bool| {
        learnt
            .iter()
            .filter(|scores| scores.is_positive == is_positive)
            .map(|scores| scores.n)
            .sum()
    };
    let (positives, negatives): (u64, u64) = (of_class(true), of_class(false));
    let expected = || {
        if positives + negatives < MIN_LEARNT || positives.min(negatives) < MIN_OF_A_CLASS {
            return Err(Undefined::because(format!(
                "{positives} positive and {negatives} negative labels to learn from: it takes {MIN_LEARNT}, and {MIN_OF_A_CLASS} of each"
            )));
        }
        if n < MIN_N {
            return Err(Undefined::because(format!("{n} scores in the window, fewer than {MIN_N}")));
        }
        let reference = Scored::of_counts(learnt.iter().map(|scores| count(scores.key, scores.n, scores.is_positive)))?;
        let window = Decided(Scored::of_counts(window)?);
        let estimate = estimated_quality::expect(&reference, decisions(learnt), &window, Z, seed)?;
        Ok(BTreeMap::from([
            (names::ESTIMATED_ACCURACY, estimate.accuracy),
            (names::ESTIMATED_F1, estimate.f1),
        ]))
    };
    Expected {
        n,
        learnt: positives + negatives,
        of: expected(),
    }
}

fn decisions(learnt: &[LabelledScores]) -> OneAgainstRest {
    let sum = |is_decided: bool, is_positive: bool| {
        let those = learnt
            .iter()
            .filter(|scores| (scores.is_decided, scores.is_positive) == (is_decided, is_positive));
        those.map(|scores| scores.n).sum()
    };
    OneAgainstRest {
        true_positives: sum(true, true),
        false_positives: sum(true, false),
        false_negatives: sum(false, true),
        true_negatives: sum(false, false),
    }
}

/// The estimates and the measures of this version's windows of the same length whose labels came last.
async fn graded_points(context: &Context, frame: &Frame<'_>, label_delay: Duration) -> Result<Vec<Signal>, AnalyzerError> {
    let delay = i64::try_from(label_delay.as_secs()).unwrap_or(LEARNT_SECONDS).min(LEARNT_SECONDS);
    let reach = delay + GRADED_LENGTHS * i64::from(frame.window.seconds);
    let owned = |names: [&str; 2]| names.map(str::to_owned);
    let (estimated, measured) = (
        owned(PAIRS.map(|(estimated, _)| estimated)),
        owned(PAIRS.map(|(_, measured)| measured)),
    );
    // Of an estimate that was off the details say what it would have been; those of measures are large.
    let of_estimates = SignalFilter {
        names: &estimated,
        environment: Some(frame.environment),
        version: Some(frame.version),
        segment: Some(""),
        window_seconds: Some(frame.window.seconds),
        with_details: true,
        ..SignalFilter::of_model(frame.model, frame.window.end.plus_seconds(-reach), frame.window.end)
    };
    let of_measures = SignalFilter {
        names: &measured,
        with_details: false,
        ..of_estimates
    };
    let mut points = signal_points(&context.clickhouse, of_estimates).await?;
    points.extend(signal_points(&context.clickhouse, of_measures).await?);
    Ok(points)
}

/// How an estimate fared in the last windows whose labels have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Grade {
    graded: usize,
    missed: usize,
}

impl Grade {
    fn is_off(self) -> bool {
        self.missed >= MISSES
    }
}

/// By the names of the estimates. A window is missed where what was expected and what was measured exclude each other.
fn grades(points: &[Signal], before: UnixNanos) -> BTreeMap<&'static str, Grade> {
    let grade_of = |(estimated, measured): (&'static str, &'static str)| {
        let of = |name: &'static str| points.iter().filter(move |point| point.name == name && point.window_end < before);
        let expected: BTreeMap<UnixNanos, Bounds> = of(estimated)
            .filter_map(|point| Some((point.window_end, expected_in(point)?)))
            .collect();
        let mut windows: Vec<(UnixNanos, bool)> = of(measured)
            .filter(|point| point.state == SignalState::Ok && !point.provisional)
            .filter_map(|point| {
                let expected = expected.get(&point.window_end)?;
                Some((point.window_end, point.upper? < expected.lower || point.lower? > expected.upper))
            })
            .collect();
        windows.sort_unstable_by_key(|(end, _)| std::cmp::Reverse(*end));
        windows.truncate(GRADED_WINDOWS);
        let grade = Grade {
            graded: windows.len(),
            missed: windows.iter().filter(|(_, missed)| *missed).count(),
        };
        (estimated, grade)
    };
    PAIRS.into_iter().map(grade_of).collect()
}

/// What an estimate said, even while it was switched off: else it could never come back.
fn expected_in(point: &Signal) -> Option<Bounds> {
    let known = point.lower.zip(point.upper);
    let hidden = || {
        point.details["expected"]["lower"]
            .as_f64()
            .zip(point.details["expected"]["upper"].as_f64())
    };
    known.or_else(hidden).map(|(lower, upper)| Bounds { lower, upper })
}

fn signal_of(frame: &Frame<'_>, name: &'static str, expected: &Expected, grade: Grade) -> Signal {
    let n = expected.n;
    let measure = match &expected.of {
        Ok(of) => of
            .get(name)
            .cloned()
            .unwrap_or_else(|| Err(Undefined::because("it is not estimated"))),
        Err(undefined) => Err(undefined.clone()),
    };
    let details = json!({ "learnt_from": expected.learnt, "graded": grade.graded, "missed": grade.missed });
    let signal = match measure {
        Err(undefined) => frame.insufficient(name, "", n, "insufficient", undefined.to_string()),
        Ok(measure) if grade.is_off() => {
            let reason = format!(
                "switched off: labels contradicted it in {} of the last {} windows, so what scores mean has changed",
                grade.missed, grade.graded
            );
            let mut signal = frame.insufficient(name, "", n, "switched_off", reason);
            let expected = json!({ "value": measure.value, "lower": measure.bounds.lower, "upper": measure.bounds.upper });
            add(&mut signal, "expected", expected);
            signal
        }
        Ok(measure) => frame.signal(name, "", Estimate::bounded(measure.value, measure.bounds), n, json!({})),
    };
    let mut signal = Signal {
        reference_n: expected.learnt,
        ..signal
    };
    for (key, value) in details.as_object().into_iter().flatten() {
        add(&mut signal, key, value.clone());
    }
    signal
}

fn add(signal: &mut Signal, key: &str, value: Value) {
    if let Some(details) = signal.details.as_object_mut() {
        details.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    /// Well calibrated scores, decided at one half: how many of each score and class.
    fn labelled(n: u64) -> Vec<LabelledScores> {
        let scores = [0.1, 0.3, 0.7, 0.9];
        let of = |score: f64, is_positive: bool| LabelledScores {
            key: bucket::key_of(score).unwrap(),
            is_decided: score >= 0.5,
            is_positive,
            n: (n as f64 / 4.0 * if is_positive { score } else { 1.0 - score }).round() as u64,
        };
        scores.into_iter().flat_map(|score| [of(score, true), of(score, false)]).collect()
    }

    fn window(of: &[(f64, u64)]) -> DecidedScores {
        let mut scores = DecidedScores::default();
        for &(score, n) in of {
            let side = if score >= 0.5 { &mut scores.decided } else { &mut scores.others };
            side.insert(bucket::key_of(score).unwrap(), n);
        }
        scores
    }

    #[test]
    fn doubtful_scores_let_less_be_expected() {
        let of = |scores: &DecidedScores| {
            let expected = expect(&labelled(40_000), scores, 7).of.unwrap();
            expected[names::ESTIMATED_ACCURACY].clone().unwrap()
        };
        let sure = of(&window(&[(0.1, 5_000), (0.9, 5_000)]));
        assert!((sure.value - 0.9).abs() < 0.01, "{sure:?}");
        let doubtful = of(&window(&[(0.3, 5_000), (0.7, 5_000)]));
        assert!(
            (doubtful.value - 0.7).abs() < 0.01 && doubtful.bounds.upper < sure.bounds.lower,
            "{doubtful:?}"
        );
    }

    #[test]
    fn with_few_labels_or_scores_nothing_is_expected() {
        let scores = window(&[(0.1, 500), (0.9, 500)]);
        let reason = |expected: Expected| expected.of.unwrap_err().to_string();
        assert!(reason(expect(&labelled(400), &scores, 7)).contains("to learn from"));
        assert!(reason(expect(&labelled(40_000), &window(&[(0.1, 9)]), 7)).contains("9 scores"));
        let signal = signal_of(&FRAME, names::ESTIMATED_F1, &expect(&[], &scores, 7), Grade::default());
        assert_eq!((signal.state, signal.n, signal.reference_n), (SignalState::Insufficient, 1_000, 0));
    }

    /// A point of the window that ended so many hours before.
    fn point(name: &str, hours_before: i64, bounds: (f64, f64), provisional: bool) -> Signal {
        let window = Window {
            end: FRAME.window.end.plus_seconds(-hours_before * 3_600),
            seconds: 3_600,
        };
        let (lower, upper) = bounds;
        let estimate = Estimate::bounded((lower + upper) / 2.0, Bounds { lower, upper });
        Frame {
            segment: "",
            window,
            provisional,
            ..FRAME
        }
        .signal(name, "", estimate, 1_000, json!({}))
    }

    #[test]
    fn an_estimate_that_labels_contradict_is_switched_off_and_comes_back() {
        let expected = expect(&labelled(40_000), &window(&[(0.1, 500), (0.9, 500)]), 7);
        let mut points = Vec::new();
        for hours in 1..=12 {
            points.push(point(names::ESTIMATED_ACCURACY, hours, (0.88, 0.92), false));
            // The last two windows were worse than expected, and one long before; labels of the very last are still coming.
            let measured = if [2, 3, 12].contains(&hours) { (0.70, 0.75) } else { (0.86, 0.91) };
            points.push(point(names::ACCURACY, hours, measured, hours == 1));
        }
        let grade = grades(&points, FRAME.window.end)[names::ESTIMATED_ACCURACY];
        assert_eq!(grade, Grade { graded: 10, missed: 2 });
        assert_eq!(
            signal_of(&FRAME, names::ESTIMATED_ACCURACY, &expected, grade).state,
            SignalState::Ok
        );

        points.push(point(names::ESTIMATED_ACCURACY, 0, (0.88, 0.92), false));
        points.push(point(names::ACCURACY, 0, (0.70, 0.75), false));
        let later = grades(&points, FRAME.window.end.plus_seconds(1))[names::ESTIMATED_ACCURACY];
        assert_eq!(later.missed, 3);
        let off = signal_of(&FRAME, names::ESTIMATED_ACCURACY, &expected, later);
        assert_eq!((off.value, &off.details["unknown"]), (None, &json!("switched_off")));
        // It is graded on, by what it would have said.
        assert!(expected_in(&off).unwrap().lower > 0.85);
        assert_eq!(grades(&points, FRAME.window.end)[names::ESTIMATED_F1], Grade::default());
    }
}
