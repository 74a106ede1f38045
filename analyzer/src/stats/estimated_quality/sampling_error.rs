//! How far the quality of a window can be from its expectation by chance, learnt on the reference.

use super::super::classification::OneAgainstRest;
use super::super::ranking;
use super::super::scored::Scored;
use super::super::{Bounds, Undefined};

/// The deviation of a measure over a window, as a function of how many inferences it has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SamplingError {
    /// The deviation of the measure over one inference.
    deviation: f64,
}

impl SamplingError {
    /// Of a share: `successes` of the `relevant` among `n` inferences of the reference.
    fn of_share(successes: u64, relevant: u64, n: u64, otherwise: &str) -> Result<Self, Undefined> {
        if relevant == 0 {
            return Err(Undefined::because(otherwise));
        }
        let share = successes as f64 / relevant as f64;
        let deviation = (share * (1.0 - share)).sqrt();
        Ok(Self {
            deviation: deviation / (relevant as f64 / n as f64).sqrt(),
        })
    }

    /// As [`super::super::classification`] has it, F1 is a function of the share J of true positives among what is predicted
    /// or true; its deviation is that of J, times 2 / (1 + J). This is wider than the first-order error.
    fn of_f1(counts: OneAgainstRest, n: u64) -> Result<Self, Undefined> {
        let relevant = counts.true_positives + counts.false_positives + counts.false_negatives;
        let of_share = Self::of_share(
            counts.true_positives,
            relevant,
            n,
            "the class is neither predicted nor true in the reference",
        )?;
        let share = counts.true_positives as f64 / relevant as f64;
        Ok(Self {
            deviation: of_share.deviation * 2.0 / (1.0 + share),
        })
    }

    /// By DeLong's variance, with the classes' shares of the reference.
    fn of_roc_auc(reference: &Scored) -> Result<Self, Undefined> {
        let auc = ranking::roc_auc(reference, 0.0)?.value;
        let components = ranking::components(reference, auc)
            .ok_or_else(|| Undefined::because("a class of one in the reference does not show how much ranks vary"))?;
        let share = reference.positives() as f64 / reference.n() as f64;
        Ok(Self {
            deviation: (components.of_positives / share + components.of_negatives / (1.0 - share)).sqrt(),
        })
    }

    /// Bounds around an estimate from `n` inferences, each one-sided at `z` deviations, cut to 0 and 1.
    pub fn bounds(&self, estimate: f64, n: f64, z: f64) -> Bounds {
        let half_width = z * self.deviation / n.sqrt();
        Bounds {
            lower: (estimate - half_width).max(0.0),
            upper: (estimate + half_width).min(1.0),
        }
    }
}

/// The sampling errors of one class against the rest; those of accuracy, precision, recall and F1 agree with
/// `nannyml.sampling_error.binary_classification`. That of ROC-AUC is wider than there, where only the rarer class's ranks
/// are taken to vary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SamplingErrors {
    pub accuracy: Result<SamplingError, Undefined>,
    pub precision: Result<SamplingError, Undefined>,
    pub recall: Result<SamplingError, Undefined>,
    pub f1: Result<SamplingError, Undefined>,
    pub roc_auc: Result<SamplingError, Undefined>,
}

impl SamplingErrors {
    pub fn learn(reference: &Scored, decisions: OneAgainstRest) -> Self {
        let right = decisions.true_positives + decisions.true_negatives;
        let predicted = decisions.true_positives + decisions.false_positives;
        let positive = decisions.true_positives + decisions.false_negatives;
        let n = right + decisions.false_positives + decisions.false_negatives;
        Self {
            accuracy: of_accuracy(right, n),
            precision: SamplingError::of_share(
                decisions.true_positives,
                predicted,
                n,
                "nothing was predicted positive in the reference",
            ),
            recall: SamplingError::of_share(decisions.true_positives, positive, n, "nothing is truly positive in the reference"),
            f1: SamplingError::of_f1(decisions, n),
            roc_auc: SamplingError::of_roc_auc(reference),
        }
    }
}

/// The sampling error of the share of right decisions.
pub(super) fn of_accuracy(right: u64, n: u64) -> Result<SamplingError, Undefined> {
    SamplingError::of_share(right, n, n, "the reference has no decisions")
}
