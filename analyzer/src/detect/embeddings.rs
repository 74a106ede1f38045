//! Signals about a model's embeddings: how far they moved, how old they are, whether they have the usual length.

use driftlead_store::records::{Embeddings, Signal, names};
use serde_json::json;

use super::data_quality::ratio;
use super::frame::{Estimate, Frame};
use crate::drift::Compared;
use crate::embedding_drift::{EmbeddingDrift, NotCompared, SUBJECT, compare};
use crate::reference::Reference;
use crate::stats::shift::{DISPLAY_ERROR, MIN_N_FOR_DECISIONS};
use crate::stats::{Bounds, normal, quantile};

/// Embeddings below which an age says little.
const MIN_N: u64 = 100;
/// The age that the signal tells: nearly all embeddings are younger.
const OLD_SHARE: f64 = 0.95;
/// Unusual lengths that the details name, the most frequent first.
const MAX_NAMED: usize = 20;

/// All signals about embeddings against a reference; none where neither side has any.
pub(super) fn against(
    frame: &Frame<'_>,
    compared: Compared<'_>,
    reference: &Reference,
    window: &Embeddings,
    decision_error: f64,
) -> Vec<Signal> {
    let before = &reference.data.profile.embeddings;
    let shift = compare(compared, decision_error, reference, window).map(|found| shift_signal(frame, found, reference, window.n()));
    let alone = of_window(frame, Some(before), window, decision_error);
    shift.into_iter().chain(alone).collect()
}

/// What can be said of a window alone; how far its embeddings moved is unknown, and why.
pub(super) fn without_reference(frame: &Frame<'_>, window: &Embeddings, code: &str, why: &str, decision_error: f64) -> Vec<Signal> {
    if window.n() == 0 {
        return of_window(frame, None, window, decision_error);
    }
    let unknown = frame.insufficient(names::EMBEDDING_SHIFT, SUBJECT, window.n(), code, why);
    std::iter::once(unknown)
        .chain(of_window(frame, None, window, decision_error))
        .collect()
}

fn of_window(frame: &Frame<'_>, reference: Option<&Embeddings>, window: &Embeddings, decision_error: f64) -> Vec<Signal> {
    let shape = shape_mismatch_ratio(frame, reference, window, decision_error);
    shape
        .into_iter()
        .chain(age_days(frame, reference, window, decision_error))
        .collect()
}

fn shift_signal(frame: &Frame<'_>, found: Result<EmbeddingDrift, NotCompared>, reference: &Reference, n: u64) -> Signal {
    let drift = match found {
        Ok(drift) => drift,
        Err(why) => {
            let signal = frame.insufficient(names::EMBEDDING_SHIFT, SUBJECT, n, why.code, why.reason);
            return Signal {
                reference_n: reference.data.profile.embeddings.n(),
                ..signal
            };
        }
    };
    let shift = drift.shift;
    let signal = match (shift.decision_lower, shift.decision_upper) {
        (Some(lower), Some(upper)) => {
            let estimate = Estimate {
                value: shift.value,
                shown: Some(Bounds {
                    lower: shift.lower,
                    upper: shift.upper,
                }),
                decided: Some(Bounds { lower, upper }),
            };
            let details = json!({
                "reference": reference.info,
                "encoder": drift.kind.encoder,
                "dimensions": drift.kind.dimensions,
                "left_out": drift.left_out,
                "moved_projections": shift.moved_projections,
                "p": shift.p_value,
            });
            frame.signal(names::EMBEDDING_SHIFT, SUBJECT, estimate, shift.n, details)
        }
        _ => {
            let reason = format!(
                "{} embeddings against {} of the reference: a decision takes {MIN_N_FOR_DECISIONS} on either side",
                shift.n, shift.reference_n
            );
            frame.insufficient(names::EMBEDDING_SHIFT, SUBJECT, shift.n, "insufficient", reason)
        }
    };
    Signal {
        reference_n: shift.reference_n,
        ..signal
    }
}

/// Share of embeddings whose length is not the reference's usual one, without a reference not most of the window's. `None` without
/// embeddings.
fn shape_mismatch_ratio(frame: &Frame<'_>, reference: Option<&Embeddings>, window: &Embeddings, decision_error: f64) -> Option<Signal> {
    let of_reference = reference.and_then(Embeddings::usual_dimensions);
    let usual = of_reference.or_else(|| window.usual_dimensions())?;
    let n = window.n();
    if n == 0 {
        return None;
    }
    let mut unusual: std::collections::BTreeMap<u32, u64> = std::collections::BTreeMap::new();
    for (kind, count) in window.kinds.iter().filter(|(kind, _)| kind.dimensions != usual) {
        *unusual.entry(kind.dimensions).or_default() += count;
    }
    let count = unusual.values().sum::<u64>();
    let mut named: Vec<(u32, u64)> = unusual.into_iter().collect();
    named.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let named: Vec<_> = named
        .iter()
        .take(MAX_NAMED)
        .map(|(dimensions, count)| json!({ "dimensions": dimensions, "n": count }))
        .collect();
    let details = json!({ "usual_dimensions": usual, "of_reference": of_reference.is_some(), "unusual": named });
    let signal = ratio(frame, names::SHAPE_MISMATCH_RATIO, SUBJECT, count, n, decision_error, details);
    Some(Signal {
        reference_n: reference.map_or(0, Embeddings::n),
        ..signal
    })
}

/// The age in days that 95 % of the embeddings are younger than, when they were used. `None` where nobody says when they were made.
fn age_days(frame: &Frame<'_>, reference: Option<&Embeddings>, window: &Embeddings, decision_error: f64) -> Option<Signal> {
    let n = window.age_days.numbers();
    if n == 0 {
        return None;
    }
    if n < MIN_N {
        let reason = format!("{n} embeddings that say when they were made, fewer than {MIN_N}");
        return Some(frame.insufficient(names::EMBEDDING_AGE_DAYS, SUBJECT, n, "insufficient", reason));
    }
    let of = |embeddings: &Embeddings, share: f64, error: f64| {
        let ages: Vec<(i32, u64)> = embeddings.age_days.buckets.iter().map(|(&key, &n)| (key, n)).collect();
        quantile::quantile(&ages, share, normal::from_upper_tail(error)).ok()
    };
    let shown = of(window, OLD_SHARE, DISPLAY_ERROR)?;
    let decided = of(window, OLD_SHARE, decision_error)?;
    let median = of(window, 0.5, DISPLAY_ERROR)?;
    let before = reference.and_then(|reference| of(reference, OLD_SHARE, DISPLAY_ERROR));
    let details = json!({ "median": median.value, "of_reference": before.map(|before| before.value) });
    let estimate = Estimate {
        value: shown.value,
        shown: Some(shown.bounds),
        decided: Some(decided.bounds),
    };
    let signal = frame.signal(names::EMBEDDING_AGE_DAYS, SUBJECT, estimate, n, details);
    Some(Signal {
        reference_n: reference.map_or(0, |reference| reference.age_days.numbers()),
        ..signal
    })
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::{EmbeddingKind, SignalState};

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    fn of(lengths: &[(u32, u64)], ages: &[(f64, u64)]) -> Embeddings {
        let kind = |dimensions| EmbeddingKind {
            dimensions,
            encoder: "e".to_owned(),
        };
        let mut embeddings = Embeddings {
            kinds: lengths.iter().map(|&(dimensions, n)| (kind(dimensions), n)).collect(),
            ..Embeddings::default()
        };
        for &(age, n) in ages {
            (0..n).for_each(|_| embeddings.age_days.add_number(age));
        }
        embeddings
    }

    #[test]
    fn lengths_are_compared_with_the_usual_one() {
        let check = |reference: Option<&Embeddings>, window: &[(u32, u64)], usual: u32, expected: f64| {
            let signal = shape_mismatch_ratio(&FRAME, reference, &of(window, &[]), 0.01).unwrap();
            assert_eq!(signal.details["usual_dimensions"], usual);
            assert!((signal.value.unwrap() - expected).abs() < 1e-12, "{window:?}: {signal:?}");
            assert!(signal.lower <= signal.value && signal.value <= signal.upper);
        };
        let reference = of(&[(384, 500), (3, 499)], &[]);
        check(Some(&reference), &[(384, 180), (3, 15), (768, 5)], 384, 0.1);
        check(Some(&reference), &[(768, 200)], 384, 1.0);
        check(None, &[(768, 190), (384, 10)], 768, 0.05);
        assert_eq!(shape_mismatch_ratio(&FRAME, Some(&reference), &of(&[], &[]), 0.01), None);
        let few = shape_mismatch_ratio(&FRAME, None, &of(&[(384, 99)], &[]), 0.01).unwrap();
        assert_eq!(few.state, SignalState::Insufficient);
    }

    #[test]
    fn nearly_all_embeddings_are_younger_than_the_age() {
        let window = of(&[(3, 1_000)], &[(2.0, 900), (30.0, 60), (400.0, 40)]);
        let signal = age_days(&FRAME, Some(&of(&[], &[(1.0, 500)])), &window, 0.01).unwrap();
        let close = |value: f64, expected: f64| assert!((value / expected - 1.0).abs() < 0.005, "{value} {expected}");
        close(signal.value.unwrap(), 30.0);
        close(signal.details["median"].as_f64().unwrap(), 2.0);
        close(signal.details["of_reference"].as_f64().unwrap(), 1.0);
        assert_eq!((signal.n, signal.reference_n), (1_000, 500));
        assert!(signal.decision_lower <= signal.value && signal.value <= signal.decision_upper);
        let few = age_days(&FRAME, None, &of(&[], &[(2.0, 99)]), 0.01).unwrap();
        assert_eq!((few.state, few.value), (SignalState::Insufficient, None));
        assert_eq!(age_days(&FRAME, None, &of(&[(3, 500)], &[]), 0.01), None);
    }

    #[test]
    fn without_a_reference_it_is_said_why() {
        let signals = without_reference(&FRAME, &of(&[(3, 500)], &[(2.0, 500)]), "no_reference", "there is none", 0.01);
        let names: Vec<&str> = signals.iter().map(|signal| signal.name.as_str()).collect();
        assert_eq!(
            names,
            [names::EMBEDDING_SHIFT, names::SHAPE_MISMATCH_RATIO, names::EMBEDDING_AGE_DAYS]
        );
        assert_eq!(signals[0].details["unknown"], "no_reference");
        assert_eq!(without_reference(&FRAME, &of(&[], &[]), "no_reference", "there is none", 0.01), []);
    }
}
