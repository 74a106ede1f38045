//! Estimates whose bounds hold for the window's own rows, too.

use super::super::Undefined;
use super::super::classification::{Measure, OneAgainstRest};
use super::super::scored::Scored;
use super::binary::{BinaryEstimator, Decided, Estimate};
use super::effective_rows::effective_rows;

/// What the quality of a window can be expected to be after a labelled reference and the `decisions` in it, each bound one-sided
/// at `z` standard deviations. Values are those of [`BinaryEstimator::estimate`]. Its bounds are the chance of a window like the
/// reference; here they also hold where the window's rows are more doubtful, and hold what the reference leaves open, as if it
/// were another window of [`effective_rows`].
///
/// # Errors
/// As [`BinaryEstimator`].
pub fn expect(reference: &Scored, decisions: OneAgainstRest, window: &Decided, z: f64, seed: u64) -> Result<Estimate, Undefined> {
    let estimator = BinaryEstimator::learn(reference, decisions, seed)?;
    let n = window.0.n() as f64;
    let z = z * (1.0 + n / effective_rows(reference, &window.0)).sqrt();
    let mut estimate = estimator.estimate(window, z)?;
    let counts = estimate.confusion;
    let right = counts.true_positives + counts.true_negatives;
    let either = counts.n() - counts.true_negatives;
    // As with the sampling errors of the reference, F1 follows from the share J of true positives among what is predicted or
    // true, and its deviation is that of J, times 2 / (1 + J).
    let of_f1 = 2.0 / (1.0 + counts.true_positives / either);
    for (measure, successes, relevant, factor) in [
        (&mut estimate.accuracy, right, counts.n(), 1.0),
        (
            &mut estimate.precision,
            counts.true_positives,
            counts.true_positives + counts.false_positives,
            1.0,
        ),
        (
            &mut estimate.recall,
            counts.true_positives,
            counts.true_positives + counts.false_negatives,
            1.0,
        ),
        (&mut estimate.f1, counts.true_positives, either, of_f1),
    ] {
        if let Ok(measure) = measure {
            let share = (successes / relevant).clamp(0.0, 1.0);
            widen(measure, z * factor * (share * (1.0 - share) / relevant).sqrt());
        }
    }
    Ok(estimate)
}

/// To at least this distance from the value, within 0 and 1.
fn widen(measure: &mut Measure, half_width: f64) {
    let bounds = &mut measure.bounds;
    bounds.lower = bounds.lower.min(measure.value - half_width).max(0.0);
    bounds.upper = bounds.upper.max(measure.value + half_width).min(1.0);
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::super::classification::Confusion;
    use super::super::super::ranking;
    use super::*;

    /// Two-sided 99 %.
    const Z: f64 = 2.5758293035489004;
    const ROWS: u32 = 4_000;

    /// Labelled scores that are too sure, decided at one half: the nearer `width` is to 0, the more doubtful they are.
    fn draw(width: f64, random: &mut impl Rng) -> Vec<(f64, bool)> {
        let row = |_| {
            let probability: f64 = 0.5 + (random.random::<f64>() - 0.5) * width;
            let odds = (probability / (1.0 - probability)).powi(2);
            (odds / (1.0 + odds), random.random::<f64>() < probability)
        };
        (0..ROWS).map(row).collect()
    }

    fn decisions(rows: &[(f64, bool)]) -> OneAgainstRest {
        let mut confusion = Confusion::default();
        for (score, is_positive) in rows {
            let name = |is: bool| if is { "1" } else { "0" };
            confusion.add(name(*score >= 0.5), name(*is_positive), 1);
        }
        confusion.of_class("1")
    }

    #[test]
    fn what_is_measured_lies_within_the_bounds_also_where_rows_are_doubtful() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let pairs = 200;
        for width in [0.9, 0.5, 0.25] {
            let mut within = [0; 5];
            for pair in 0..pairs {
                let (before, now) = (draw(0.9, &mut random), draw(width, &mut random));
                let reference = Scored::of_rows(before.iter().copied()).unwrap();
                let decided = Decided(Scored::of_rows(now.iter().map(|(score, _)| (*score, *score >= 0.5))).unwrap());
                let expected = expect(&reference, decisions(&before), &decided, Z, pair).unwrap();
                let truth = decisions(&now);
                let right = (truth.true_positives + truth.true_negatives) as f64 / f64::from(ROWS);
                let measured = [
                    (expected.accuracy, right),
                    (expected.precision, truth.precision(0.0).unwrap().value),
                    (expected.recall, truth.recall(0.0).unwrap().value),
                    (expected.f1, truth.f1(0.0).unwrap().value),
                    (
                        expected.roc_auc,
                        ranking::roc_auc(&Scored::of_rows(now).unwrap(), 0.0).unwrap().value,
                    ),
                ];
                for (within, (expected, measured)) in within.iter_mut().zip(measured) {
                    let bounds = expected.unwrap().bounds;
                    *within += u64::from(bounds.lower <= measured && measured <= bounds.upper);
                }
            }
            // 99 % of 200, less three standard deviations.
            assert!(within.iter().all(|&within| within >= 194), "{width}: {within:?}");
        }
    }
}
