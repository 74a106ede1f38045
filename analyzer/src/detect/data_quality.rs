//! Data quality of a window: what is missing, and categories that the reference never had.

use driftlead_store::records::{FeatureCounts, Signal, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use crate::stats::shift::{DECISION_ERROR, DISPLAY_ERROR, is_twofold};
use crate::stats::{normal, wilson};

/// Inferences below which a ratio says nothing.
const MIN_N: u64 = 100;
/// New categories that the details name, the most frequent first.
const MAX_NAMED: usize = 20;

/// Share of inferences without a usable value of the feature: absent or NaN.
pub(super) fn missing_ratio(frame: &Frame<'_>, feature: &str, counts: &FeatureCounts, decisions: u64) -> Signal {
    let missing = counts.absent + counts.nan;
    let details = json!({ "absent": counts.absent, "nan": counts.nan });
    ratio(frame, names::MISSING_RATIO, feature, missing, counts.inferences, decisions, details)
}

/// Share of a feature's categories that the reference never had; `None` for features without categories.
pub(super) fn new_category_ratio(
    frame: &Frame<'_>,
    feature: &str,
    counts: &FeatureCounts,
    reference: &FeatureCounts,
    decisions: u64,
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
    let signal = ratio(frame, names::NEW_CATEGORY_RATIO, feature, occurrences, n, decisions, details);
    Some(Signal {
        reference_n: reference.inferences,
        ..signal
    })
}

fn ratio(frame: &Frame<'_>, name: &str, feature: &str, count: u64, n: u64, decisions: u64, details: serde_json::Value) -> Signal {
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
        decided: Some(bounds(DECISION_ERROR / decisions.max(1) as f64)),
    };
    frame.signal(name, feature, estimate, n, details)
}

#[cfg(test)]
mod tests {
    use driftlead_store::clock::UnixNanos;
    use driftlead_store::records::SignalState;

    use super::*;
    use crate::window::Window;

    const FRAME: Frame<'static> = Frame {
        model: "m",
        version: "1",
        environment: "",
        window: Window {
            end: UnixNanos(0),
            seconds: 3_600,
        },
        provisional: false,
    };

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
        let signal = missing_ratio(&FRAME, "f", &window, 17);
        assert_eq!(signal.value, Some(0.2));
        assert!(signal.decision_lower < signal.lower && signal.lower < signal.value);
        assert_eq!(
            missing_ratio(&FRAME, "f", &counts(&[("a", 9)], 0), 17).state,
            SignalState::Insufficient
        );
    }

    #[test]
    fn categories_that_the_reference_never_had_are_counted_and_named() {
        let (window, reference) = (counts(&[("a", 180), ("b", 15), ("c", 5)], 10), counts(&[("a", 10), ("z", 1)], 0));
        let signal = new_category_ratio(&FRAME, "f", &window, &reference, 17).unwrap();
        assert_eq!((signal.value, signal.n), (Some(0.1), 200));
        assert_eq!(signal.details["new"][0]["value"], "b");
        assert_eq!(new_category_ratio(&FRAME, "f", &counts(&[], 10), &reference, 17), None);
    }
}
