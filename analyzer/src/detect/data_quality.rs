//! Data quality of a window: what is missing, values of another type, out of range, or that the reference never had.

use driftlead_store::bucket;
use driftlead_store::model_settings::Range;
use driftlead_store::records::{FeatureCounts, Signal, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use crate::stats::shift::{DISPLAY_ERROR, is_twofold};
use crate::stats::{normal, wilson};

/// Inferences below which a ratio says nothing.
const MIN_N: u64 = 100;
/// Numbers of a reference below which its least and its greatest one say little of the next ones.
const MIN_REFERENCE_N: u64 = 1_000;
/// New categories that the details name, the most frequent first.
const MAX_NAMED: usize = 20;

/// Share of inferences without a usable value of the feature: absent or NaN.
pub(super) fn missing_ratio(frame: &Frame<'_>, feature: &str, counts: &FeatureCounts, decision_error: f64) -> Signal {
    let missing = counts.absent + counts.nan;
    let details = json!({ "absent": counts.absent, "nan": counts.nan });
    ratio(
        frame,
        names::MISSING_RATIO,
        feature,
        missing,
        counts.inferences,
        decision_error,
        details,
    )
}

/// Share of a feature's categories that the reference never had; `None` for features without categories.
pub(super) fn new_category_ratio(
    frame: &Frame<'_>,
    feature: &str,
    counts: &FeatureCounts,
    reference: &FeatureCounts,
    decision_error: f64,
) -> Option<Signal> {
    if counts.categories() == 0 || reference.categories() == 0 {
        return None;
    }
    if counts.numbers() > counts.categories() && is_twofold(reference) {
        return None;
    }
    let n = counts.categories();
    if reference.other > 0 || counts.other > 0 {
        let reason = "more categories than are kept apart: which are new cannot be said";
        return Some(frame.insufficient(names::NEW_CATEGORY_RATIO, feature, n, "insufficient", reason));
    }
    let mut new: Vec<(&String, u64)> = counts
        .values
        .iter()
        .filter(|(value, _)| !reference.values.contains_key(*value))
        .map(|(v, &c)| (v, c))
        .collect();
    new.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let occurrences: u64 = new.iter().map(|(_, count)| count).sum();
    let named: Vec<_> = new
        .iter()
        .take(MAX_NAMED)
        .map(|(value, count)| json!({ "value": value, "n": count }))
        .collect();
    let details = json!({ "new": named, "new_values": new.len() });
    let signal = ratio(frame, names::NEW_CATEGORY_RATIO, feature, occurrences, n, decision_error, details);
    Some(Signal {
        reference_n: reference.inferences,
        ..signal
    })
}

/// Share of values that are texts where the reference, or most of the window, has numbers, or the other way round. Each of
/// them is counted with its own kind elsewhere. `None` where both are as usual, or there is nothing.
pub(super) fn type_mismatch_ratio(
    frame: &Frame<'_>,
    feature: &str,
    counts: &FeatureCounts,
    reference: Option<&FeatureCounts>,
    decision_error: f64,
) -> Option<Signal> {
    let (numbers, texts) = (all_numbers(counts), counts.categories());
    if numbers + texts == 0 || reference.is_some_and(is_twofold) {
        return None;
    }
    let expected = reference
        .filter(|reference| all_numbers(reference) + reference.categories() > 0)
        .unwrap_or(counts);
    let are_numbers = all_numbers(expected) >= expected.categories();
    let other = if are_numbers { texts } else { numbers };
    let details = json!({ "expected": if are_numbers { "number" } else { "text" }, "numbers": numbers, "texts": texts });
    Some(ratio(
        frame,
        names::TYPE_MISMATCH_RATIO,
        feature,
        other,
        numbers + texts,
        decision_error,
        details,
    ))
}

/// Share of a feature's numbers outside of the range that is declared for it, else outside of what the reference has;
/// infinite ones are outside of any. Numbers are read from buckets, so one that lies less than 0.8 % beyond an end counts as
/// inside. `None` for features without numbers, and where nothing says what the range is.
pub(super) fn out_of_range_ratio(
    frame: &Frame<'_>,
    feature: &str,
    counts: &FeatureCounts,
    reference: Option<&FeatureCounts>,
    declared: Option<Range>,
    decision_error: f64,
) -> Option<Signal> {
    let n = counts.numbers() + counts.positive_infinity + counts.negative_infinity;
    if n == 0 {
        return None;
    }
    let learnt = || {
        let buckets = &reference.filter(|reference| reference.numbers() >= MIN_REFERENCE_N)?.buckets;
        Some((*buckets.first_key_value()?.0, *buckets.last_key_value()?.0))
    };
    let (lowest, highest) = match declared {
        Some(range) => (bucket::key_of(range.low())?, bucket::key_of(range.high())?),
        None => learnt()?,
    };
    let below = counts.buckets.range(..lowest).map(|(_, n)| n).sum::<u64>() + counts.negative_infinity;
    let above = counts.buckets.range(highest.saturating_add(1)..).map(|(_, n)| n).sum::<u64>() + counts.positive_infinity;
    let range = declared.map_or_else(|| [bucket::middle(lowest), bucket::middle(highest)], <[f64; 2]>::from);
    let details = json!({ "range": range, "declared": declared.is_some(), "below": below, "above": above });
    let signal = ratio(frame, names::OUT_OF_RANGE_RATIO, feature, below + above, n, decision_error, details);
    Some(Signal {
        reference_n: reference.map_or(0, |reference| reference.inferences),
        ..signal
    })
}

/// NaN and infinities, too: their senders say that they are numbers.
fn all_numbers(counts: &FeatureCounts) -> u64 {
    counts.numbers() + counts.nan + counts.positive_infinity + counts.negative_infinity
}

/// A share of `n` with its bounds; [`MIN_N`] of them at least.
pub(super) fn ratio(
    frame: &Frame<'_>,
    name: &str,
    feature: &str,
    count: u64,
    n: u64,
    decision_error: f64,
    details: serde_json::Value,
) -> Signal {
    if n < MIN_N {
        return frame.insufficient(
            name,
            feature,
            n,
            "insufficient",
            format!("{n} values in the window, fewer than {MIN_N}"),
        );
    }
    let bounds = |error: f64| wilson::bounds(count as f64, n as f64, normal::from_upper_tail(error));
    let estimate = Estimate {
        value: count as f64 / n as f64,
        shown: Some(bounds(DISPLAY_ERROR)),
        decided: Some(bounds(decision_error)),
    };
    frame.signal(name, feature, estimate, n, details)
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::SignalState;

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    fn counts(values: &[(&str, u64)], absent: u64) -> FeatureCounts {
        let mut counts = FeatureCounts {
            absent,
            ..FeatureCounts::default()
        };
        values.iter().for_each(|(value, n)| counts.add_categories(value, *n));
        counts.inferences = absent + counts.categories();
        counts
    }

    #[test]
    fn what_is_missing_is_absent_or_not_a_number() {
        let mut window = counts(&[("a", 80)], 15);
        window.nan = 5;
        window.inferences += 5;
        let signal = missing_ratio(&FRAME, "f", &window, 0.0006);
        assert_eq!(signal.value, Some(0.2));
        assert!(signal.decision_lower < signal.lower && signal.lower < signal.value);
        assert_eq!(
            missing_ratio(&FRAME, "f", &counts(&[("a", 9)], 0), 0.0006).state,
            SignalState::Insufficient
        );
    }

    fn numbers(values: impl IntoIterator<Item = f64>) -> FeatureCounts {
        let mut counts = FeatureCounts::default();
        values.into_iter().for_each(|value| counts.add_number(value));
        counts
    }

    #[test]
    fn values_of_another_type_than_the_references_are_counted() {
        let mut window = numbers((0..180).map(f64::from));
        (0..20).for_each(|_| window.add_category("unknown"));
        let of = |reference: Option<&FeatureCounts>| type_mismatch_ratio(&FRAME, "f", &window, reference, 0.0006);
        assert_eq!(of(None).unwrap().value, Some(0.1));
        assert_eq!(of(Some(&numbers([1.0]))).unwrap().value, Some(0.1));
        // It changed its type: nearly all of it is wrong now.
        let changed = of(Some(&counts(&[("a", 5)], 0))).unwrap();
        assert_eq!((changed.value, &changed.details["expected"]), (Some(0.9), &json!("text")));
        assert_eq!(type_mismatch_ratio(&FRAME, "f", &counts(&[], 9), None, 0.0006), None);
        // Rows of a CSV do not say what they are.
        let mut twofold = numbers((0..9).map(f64::from));
        twofold.add_categories("1", 9);
        assert_eq!(of(Some(&twofold)), None);
    }

    #[test]
    fn numbers_beyond_what_is_declared_or_was_ever_seen_are_counted() {
        let window = numbers((0..200).map(|n| f64::from(n) / 100.0 - 0.5).chain([f64::INFINITY, f64::NAN]));
        let of = |reference: Option<&FeatureCounts>, declared: Option<[f64; 2]>| {
            let declared = declared.map(|range| Range::try_from(range).unwrap());
            out_of_range_ratio(&FRAME, "f", &window, reference, declared, 0.0006)
        };
        let declared = of(None, Some([0.0, 1.0])).unwrap();
        // 50 lie below 0, 49 above 1, and one is infinite; NaN is missing, not out of range.
        assert_eq!((declared.value, declared.n), (Some(100.0 / 201.0), 201));
        assert_eq!((&declared.details["below"], &declared.details["above"]), (&json!(50), &json!(50)));
        let reference = numbers((0..MIN_REFERENCE_N).map(|n| n as f64 / 1_000.0));
        let learnt = of(Some(&reference), None).unwrap();
        assert!((learnt.value.unwrap() - 100.0 / 201.0).abs() < 0.02, "{learnt:?}");
        assert_eq!((learnt.reference_n, &learnt.details["declared"]), (MIN_REFERENCE_N, &json!(false)));
        assert_eq!(of(Some(&numbers([0.0, 1.0])), None), None, "two numbers show no range");
        assert_eq!(of(None, None), None);
        assert_eq!(out_of_range_ratio(&FRAME, "f", &counts(&[("a", 5)], 0), None, None, 0.0006), None);
    }

    #[test]
    fn categories_that_the_reference_never_had_are_counted_and_named() {
        let (window, reference) = (counts(&[("a", 180), ("b", 15), ("c", 5)], 10), counts(&[("a", 10), ("z", 1)], 0));
        let signal = new_category_ratio(&FRAME, "f", &window, &reference, 0.0006).unwrap();
        assert_eq!((signal.value, signal.n), (Some(0.1), 200));
        assert_eq!(signal.details["new"][0]["value"], "b");
        assert_eq!(new_category_ratio(&FRAME, "f", &counts(&[], 10), &reference, 0.0006), None);
    }
}
