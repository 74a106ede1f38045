//! Estimates for two classes.

use super::super::classification::{Measure, OneAgainstRest};
use super::super::scored::Scored;
use super::super::{Undefined, ranking};
use super::calibrator::Calibrator;
use super::sampling_error::{SamplingError, SamplingErrors};

/// The scores of a window with what the model decided in the place of labels: "positives" of a score are the inferences that
/// were decided positive.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided(pub Scored);

/// How many inferences of a window can be expected to be each; fractions, since labels are not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExpectedConfusion {
    /// Decided and true.
    pub true_positives: f64,
    /// Decided, not true.
    pub false_positives: f64,
    /// True, not decided.
    pub false_negatives: f64,
    /// Neither.
    pub true_negatives: f64,
}

impl ExpectedConfusion {
    /// Counts `count` inferences that were decided positive or not, with the `probability` that they are.
    pub(super) fn add(&mut self, is_decided: bool, probability: f64, count: f64) {
        let (positive, negative) = (probability * count, (1.0 - probability) * count);
        if is_decided {
            self.true_positives += positive;
            self.false_positives += negative;
        } else {
            self.false_negatives += positive;
            self.true_negatives += negative;
        }
    }

    /// Inferences.
    pub fn n(self) -> f64 {
        self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
    }

    pub(super) fn accuracy(self) -> Result<f64, Undefined> {
        ratio(self.true_positives + self.true_negatives, self.n(), "there are no inferences")
    }

    pub(super) fn precision(self) -> Result<f64, Undefined> {
        let decided = self.true_positives + self.false_positives;
        ratio(self.true_positives, decided, "nothing was predicted positive")
    }

    pub(super) fn recall(self) -> Result<f64, Undefined> {
        let positive = self.true_positives + self.false_negatives;
        ratio(self.true_positives, positive, "no inference has any probability to be positive")
    }

    pub(super) fn f1(self) -> Result<f64, Undefined> {
        let wrong = self.false_positives + self.false_negatives;
        ratio(
            self.true_positives,
            self.true_positives + wrong / 2.0,
            "nothing was predicted positive, nor has any probability to be",
        )
    }
}

fn ratio(part: f64, whole: f64, otherwise: &str) -> Result<f64, Undefined> {
    if whole > 0.0 {
        Ok(part / whole)
    } else {
        Err(Undefined::because(otherwise))
    }
}

/// What the quality of a window can be expected to be, with the bounds between which its quality lies if the scores still
/// mean what they meant in the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// What the measures follow from, but for ROC-AUC.
    pub confusion: ExpectedConfusion,
    /// Share of right decisions.
    pub accuracy: Result<Measure, Undefined>,
    /// Share of right ones among positive decisions.
    pub precision: Result<Measure, Undefined>,
    /// Share of positive decisions among positives.
    pub recall: Result<Measure, Undefined>,
    /// The harmonic mean of precision and recall.
    pub f1: Result<Measure, Undefined>,
    /// Of the scores as the model gave them.
    pub roc_auc: Result<Measure, Undefined>,
}

/// What a labelled reference says of a model with two classes.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryEstimator {
    calibrator: Calibrator,
    errors: SamplingErrors,
}

impl BinaryEstimator {
    /// Learns from the labelled scores of the reference and from its `decisions` on the positive class.
    ///
    /// # Errors
    /// A score is not a probability.
    pub fn learn(reference: &Scored, decisions: OneAgainstRest, seed: u64) -> Result<Self, Undefined> {
        Ok(Self {
            calibrator: Calibrator::learn(reference, seed)?,
            errors: SamplingErrors::learn(reference, decisions),
        })
    }

    /// From the model's scores to probabilities.
    pub fn calibrator(&self) -> &Calibrator {
        &self.calibrator
    }

    /// The estimates of a window, each bound one-sided at `z` standard deviations. Agrees with `nannyml.CBPE` for binary
    /// classification, whose boundaries have a `z` of 3.
    ///
    /// # Errors
    /// A score is not a probability. A single measure has no value where its denominator is 0, or where the reference does not
    /// show how much it varies.
    pub fn estimate(&self, window: &Decided, z: f64) -> Result<Estimate, Undefined> {
        let counts = window.0.probabilities()?;
        let mut confusion = ExpectedConfusion::default();
        let mut masses = Vec::with_capacity(counts.len());
        for count in counts {
            let probability = self.calibrator.probability(count.score);
            confusion.add(true, probability, count.positives as f64);
            confusion.add(false, probability, count.negatives as f64);
            let n = count.n() as f64;
            masses.push((probability * n, (1.0 - probability) * n));
        }
        let n = window.0.n() as f64;
        let roc_auc = ranking::area(masses).ok_or_else(|| Undefined::because("one of the classes has no probability anywhere"));
        let measure = |value, error| bounded(value, error, n, z);
        Ok(Estimate {
            confusion,
            accuracy: measure(confusion.accuracy(), &self.errors.accuracy),
            precision: measure(confusion.precision(), &self.errors.precision),
            recall: measure(confusion.recall(), &self.errors.recall),
            f1: measure(confusion.f1(), &self.errors.f1),
            roc_auc: measure(roc_auc, &self.errors.roc_auc),
        })
    }
}

/// An estimate with its bounds, if both have a value.
pub(super) fn bounded(
    value: Result<f64, Undefined>,
    error: &Result<SamplingError, Undefined>,
    n: f64,
    z: f64,
) -> Result<Measure, Undefined> {
    let value = value?;
    let error = error.as_ref().map_err(Clone::clone)?;
    Ok(Measure {
        value,
        bounds: error.bounds(value, n, z),
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::super::scored::ScoreCount;
    use super::*;

    const Z: f64 = 1.959963984540054;

    /// The decisions of labelled scores at one half.
    fn decisions(scored: &Scored) -> OneAgainstRest {
        let sum = |is_decided: bool, of: fn(&ScoreCount) -> u64| -> u64 {
            scored
                .counts()
                .iter()
                .filter(|count| (count.score >= 0.5) == is_decided)
                .map(of)
                .sum()
        };
        OneAgainstRest {
            true_positives: sum(true, |count| count.positives),
            false_positives: sum(true, |count| count.negatives),
            false_negatives: sum(false, |count| count.positives),
            true_negatives: sum(false, |count| count.negatives),
        }
    }

    fn decided(scored: &Scored) -> Decided {
        let counts = scored.counts().iter().map(|count| ScoreCount {
            score: count.score,
            positives: if count.score >= 0.5 { count.n() } else { 0 },
            negatives: if count.score >= 0.5 { 0 } else { count.n() },
        });
        Decided(Scored::of_counts(counts).unwrap())
    }

    /// Scores that are too sure: the true probability is nearer to one half. `lean` moves traffic to one end.
    fn draw(n: u32, lean: f64, rng: &mut impl Rng) -> Scored {
        let rows = (0..n).map(|_| {
            let probability = rng.random::<f64>().powf(lean) * 0.8 + 0.1;
            let odds = (probability / (1.0 - probability)).powi(2);
            ((odds / (1.0 + odds) * 1_000.0).round() / 1_000.0, rng.random::<f64>() < probability)
        });
        Scored::of_rows(rows).unwrap()
    }

    #[test]
    fn quality_of_shifted_traffic_lies_within_the_bounds_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let reference = draw(100_000, 1.0, &mut rng);
        let estimator = BinaryEstimator::learn(&reference, decisions(&reference), 5).unwrap();
        assert!(matches!(estimator.calibrator(), Calibrator::Isotonic(_)));
        let mut within = [0; 5];
        for _ in 0..300 {
            let window = draw(2_000, 1.3, &mut rng);
            let estimate = estimator.estimate(&decided(&window), Z).unwrap();
            let truth = decisions(&window);
            let accuracy = (truth.true_positives + truth.true_negatives) as f64 / window.n() as f64;
            let realised = [
                (estimate.accuracy, accuracy),
                (estimate.precision, truth.precision(0.0).unwrap().value),
                (estimate.recall, truth.recall(0.0).unwrap().value),
                (estimate.f1, truth.f1(0.0).unwrap().value),
                (estimate.roc_auc, ranking::roc_auc(&window, 0.0).unwrap().value),
            ];
            for (within, (estimate, realised)) in within.iter_mut().zip(realised) {
                let bounds = estimate.unwrap().bounds;
                *within += u32::from(bounds.lower <= realised && realised <= bounds.upper);
            }
        }
        // 95 % of 300, less three standard deviations.
        assert!(within.iter().all(|&within| within >= 273), "{within:?}");
    }

    #[test]
    fn a_measure_without_denominator_says_so_and_leaves_the_others() {
        let reference = Scored::of_rows([(0.2, false), (0.3, true), (0.7, true), (0.8, true), (0.1, false)]).unwrap();
        let estimator = BinaryEstimator::learn(&reference, decisions(&reference), 5).unwrap();
        let estimate = estimator
            .estimate(&decided(&Scored::of_rows([(0.2, false), (0.3, false)]).unwrap()), Z)
            .unwrap();
        assert!(estimate.precision.is_err() && estimate.accuracy.is_ok() && estimate.recall.is_ok());
        assert!((estimate.confusion.n() - 2.0).abs() < 1e-12);
        let never = Decided(Scored::of_rows([(0.0, false)]).unwrap());
        assert!(estimator.estimate(&never, Z).unwrap().roc_auc.is_err());
        assert!(estimator.estimate(&Decided(Scored::of_rows([(1.5, true)]).unwrap()), Z).is_err());
    }

    #[test]
    fn a_reference_that_shows_no_variation_gives_no_bounds() {
        let reference = Scored::of_rows([(0.2, false), (0.3, false)]).unwrap();
        let estimator = BinaryEstimator::learn(&reference, decisions(&reference), 5).unwrap();
        let estimate = estimator
            .estimate(&decided(&Scored::of_rows([(0.2, false), (0.9, true)]).unwrap()), Z)
            .unwrap();
        assert!(estimate.precision.is_err() && estimate.roc_auc.is_err() && estimate.recall.is_err());
    }
}
