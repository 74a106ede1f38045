//! Estimates for any number of classes, each against the rest.

use super::super::classification::{Measure, OneAgainstRest};
use super::super::scored::{ScoreCount, Scored};
use super::super::{Bounds, Undefined, ranking};
use super::binary::{ExpectedConfusion, bounded};
use super::calibrator::Calibrator;
use super::sampling_error::{SamplingError, SamplingErrors, of_accuracy};

/// Inferences that share their scores and decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The probability of each class, in the same order everywhere.
    pub probabilities: Vec<f64>,
    /// The class that was decided: its position in that order.
    pub decided: usize,
    /// How many inferences they are.
    pub count: u64,
}

/// What the quality of a window can be expected to be; see [`super::Estimate`]. All but accuracy are unweighted means over
/// classes, and so are their bounds, as if all classes erred on the same side.
#[derive(Debug, Clone, PartialEq)]
pub struct MulticlassEstimate {
    /// Share of right decisions.
    pub accuracy: Result<Measure, Undefined>,
    /// Macro precision.
    pub precision: Result<Measure, Undefined>,
    /// Macro recall.
    pub recall: Result<Measure, Undefined>,
    /// Macro F1.
    pub f1: Result<Measure, Undefined>,
    /// Macro ROC-AUC of each class against the rest, of the scores as the model gave them.
    pub roc_auc: Result<Measure, Undefined>,
}

/// What a labelled reference says of a model with several classes.
#[derive(Debug, Clone, PartialEq)]
pub struct MulticlassEstimator {
    classes: Vec<OfClass>,
    accuracy: Result<SamplingError, Undefined>,
}

#[derive(Debug, Clone, PartialEq)]
struct OfClass {
    calibrator: Calibrator,
    errors: SamplingErrors,
}

impl MulticlassEstimator {
    /// Learns from predictions of the reference, each with the position of its true class. Each class is calibrated against
    /// the rest if that improves it; the splits by which that is judged follow from `seed`.
    ///
    /// # Errors
    /// There are no predictions or fewer than two classes, predictions have different classes, or a score is not a probability.
    pub fn learn(reference: &[(Prediction, usize)], seed: u64) -> Result<Self, Undefined> {
        let classes = number_of_classes(reference.iter().map(|(prediction, _)| prediction))?;
        if reference.iter().any(|(_, truth)| *truth >= classes) {
            return Err(Undefined::because("a true class has no probability"));
        }
        let count = |of: &dyn Fn(&Prediction, usize) -> bool| -> u64 {
            let counted = reference.iter().filter(|(prediction, truth)| of(prediction, *truth));
            counted.map(|(prediction, _)| prediction.count).sum()
        };
        let of_class = |class: usize| {
            let scored = Scored::of_counts(reference.iter().map(|(prediction, truth)| ScoreCount {
                score: prediction.probabilities[class],
                positives: if *truth == class { prediction.count } else { 0 },
                negatives: if *truth == class { 0 } else { prediction.count },
            }))?;
            let decisions = OneAgainstRest {
                true_positives: count(&|prediction, truth| prediction.decided == class && truth == class),
                false_positives: count(&|prediction, truth| prediction.decided == class && truth != class),
                false_negatives: count(&|prediction, truth| prediction.decided != class && truth == class),
                true_negatives: count(&|prediction, truth| prediction.decided != class && truth != class),
            };
            Ok(OfClass {
                calibrator: Calibrator::learn(&scored, seed)?,
                errors: SamplingErrors::learn(&scored, decisions),
            })
        };
        Ok(Self {
            classes: (0..classes).map(of_class).collect::<Result<_, _>>()?,
            accuracy: of_accuracy(count(&|prediction, truth| prediction.decided == truth), count(&|_, _| true)),
        })
    }

    /// From each class's scores to its probabilities against the rest, before they are made to sum to 1.
    pub fn calibrators(&self) -> impl Iterator<Item = &Calibrator> {
        self.classes.iter().map(|class| &class.calibrator)
    }

    /// The estimates of a window, each bound one-sided at `z` standard deviations. Values agree with `nannyml.CBPE` for
    /// multiclass classification; bounds of means over classes are wider than there, where classes are taken to be independent.
    /// Inferences of one score of a class count as ties in its ROC-AUC, there as if they came in some order.
    ///
    /// # Errors
    /// There are no predictions, they have other classes than the reference, or a score is not a probability. A single measure
    /// has no value where one of the classes has none.
    pub fn estimate(&self, window: &[Prediction], z: f64) -> Result<MulticlassEstimate, Undefined> {
        if number_of_classes(window.iter())? != self.classes.len() {
            return Err(Undefined::because("the window has other classes than the reference"));
        }
        let mut confusions = vec![ExpectedConfusion::default(); self.classes.len()];
        let mut masses = vec![Vec::with_capacity(window.len()); self.classes.len()];
        let (mut right, mut n) = (0.0, 0.0);
        for prediction in window {
            let count = prediction.count as f64;
            let probabilities = self.probabilities(&prediction.probabilities);
            for (class, &probability) in probabilities.iter().enumerate() {
                confusions[class].add(prediction.decided == class, probability, count);
                masses[class].push((prediction.probabilities[class], probability * count, (1.0 - probability) * count));
            }
            right += probabilities[prediction.decided] * count;
            n += count;
        }
        let areas: Vec<Result<f64, Undefined>> = masses.into_iter().map(area).collect();
        let mean = |value: &dyn Fn(usize) -> Result<f64, Undefined>, error: fn(&SamplingErrors) -> &Result<SamplingError, Undefined>| {
            let of_classes = self.classes.iter().enumerate();
            macro_mean(of_classes.map(|(class, of)| bounded(value(class), error(&of.errors), n, z)))
        };
        Ok(MulticlassEstimate {
            accuracy: bounded(Ok(right / n), &self.accuracy, n, z),
            precision: mean(&|class| confusions[class].precision(), |errors| &errors.precision),
            recall: mean(&|class| confusions[class].recall(), |errors| &errors.recall),
            f1: mean(&|class| confusions[class].f1(), |errors| &errors.f1),
            roc_auc: mean(&|class| areas[class].clone(), |errors| &errors.roc_auc),
        })
    }

    /// The calibrated probabilities of one inference, made to sum to 1; where all are 0 the classes are equally likely.
    fn probabilities(&self, scores: &[f64]) -> Vec<f64> {
        let calibrated = scores
            .iter()
            .zip(&self.classes)
            .map(|(&score, class)| class.calibrator.probability(score));
        let calibrated: Vec<f64> = calibrated.collect();
        let sum: f64 = calibrated.iter().sum();
        if sum > 0.0 {
            calibrated.into_iter().map(|probability| probability / sum).collect()
        } else {
            vec![1.0 / scores.len() as f64; scores.len()]
        }
    }
}

/// The number of classes that all predictions agree on.
fn number_of_classes<'a>(predictions: impl Iterator<Item = &'a Prediction>) -> Result<usize, Undefined> {
    let (mut classes, mut n) = (0, 0_u64);
    for prediction in predictions {
        if n == 0 {
            classes = prediction.probabilities.len();
        }
        if prediction.probabilities.len() != classes || prediction.decided >= classes {
            return Err(Undefined::because("predictions have different classes"));
        }
        if !prediction.probabilities.iter().all(|probability| (0.0..=1.0).contains(probability)) {
            return Err(Undefined::because("a score is not a probability: it lies outside 0 to 1"));
        }
        n = n.saturating_add(prediction.count);
    }
    match (n, classes) {
        (0, _) => Err(Undefined::because("there are no predictions")),
        (_, 0 | 1) => Err(Undefined::because("there are fewer than two classes")),
        _ => Ok(classes),
    }
}

/// The area under the curve of (score, positive mass, negative mass) in any order.
fn area(mut masses: Vec<(f64, f64, f64)>) -> Result<f64, Undefined> {
    masses.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ties = masses.chunk_by(|a, b| a.0 == b.0);
    let sums = ties.map(|ties| ties.iter().fold((0.0, 0.0), |sum, tie| (sum.0 + tie.1, sum.1 + tie.2)));
    ranking::area(sums).ok_or_else(|| Undefined::because("a class has no probability anywhere, or is certain everywhere"))
}

fn macro_mean(of_classes: impl Iterator<Item = Result<Measure, Undefined>>) -> Result<Measure, Undefined> {
    let named = of_classes.enumerate().map(|(class, measure)| {
        measure.map_err(|undefined| Undefined::because(format!("class {class} of the declared order: {undefined}")))
    });
    let of_classes: Vec<Measure> = named.collect::<Result<_, _>>()?;
    let mean = |of: fn(&Measure) -> f64| of_classes.iter().map(of).sum::<f64>() / of_classes.len() as f64;
    Ok(Measure {
        value: mean(|measure| measure.value),
        bounds: Bounds {
            lower: mean(|measure| measure.bounds.lower),
            upper: mean(|measure| measure.bounds.upper),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::{BinaryEstimator, Decided};
    use super::*;

    fn prediction(probabilities: &[f64], decided: usize, count: u64) -> Prediction {
        Prediction {
            probabilities: probabilities.to_vec(),
            decided,
            count,
        }
    }

    /// A third of each of three classes, decided right in six of ten.
    fn reference() -> Vec<(Prediction, usize)> {
        let of_class = |truth: usize| {
            (0..3).map(move |decided| {
                let mut probabilities = [0.2; 3];
                probabilities[decided] = 0.6;
                (prediction(&probabilities, decided, if decided == truth { 600 } else { 200 }), truth)
            })
        };
        (0..3).flat_map(of_class).collect()
    }

    #[test]
    fn what_the_reference_had_is_what_the_same_traffic_is_expected_to_have() {
        let estimator = MulticlassEstimator::learn(&reference(), 3).unwrap();
        let window: Vec<Prediction> = reference().into_iter().map(|(prediction, _)| prediction).collect();
        let estimate = estimator.estimate(&window, 2.0).unwrap();
        for measure in [estimate.accuracy, estimate.precision, estimate.recall, estimate.f1] {
            let measure = measure.unwrap();
            assert!((measure.value - 0.6).abs() < 1e-9, "{measure:?}");
            assert!(
                measure.bounds.lower < 0.6 && measure.bounds.lower > 0.5 && measure.bounds.upper < 0.7,
                "{measure:?}"
            );
        }
        assert!((estimate.roc_auc.unwrap().value - 0.7).abs() < 1e-9);
    }

    #[test]
    fn two_classes_are_estimated_as_the_binary_estimator_does() {
        let scores = (1..20_u64).flat_map(|step| [(step, 0), (step, 1)]);
        let rows: Vec<(Prediction, usize)> = scores
            .map(|(step, truth)| {
                let score = step as f64 / 20.0;
                let count = if truth == 1 { step } else { 20 - step };
                (prediction(&[1.0 - score, score], usize::from(score >= 0.5), count * 50), truth)
            })
            .collect();
        let window: Vec<Prediction> = rows.iter().map(|(prediction, _)| prediction.clone()).collect();
        let of_class = |prediction: &Prediction, is_positive: bool| ScoreCount {
            score: prediction.probabilities[1],
            positives: if is_positive { prediction.count } else { 0 },
            negatives: if is_positive { 0 } else { prediction.count },
        };
        let labelled = Scored::of_counts(rows.iter().map(|(prediction, truth)| of_class(prediction, *truth == 1))).unwrap();
        let decided = Scored::of_counts(window.iter().map(|prediction| of_class(prediction, prediction.decided == 1))).unwrap();
        let both = MulticlassEstimator::learn(&rows, 3).unwrap().estimate(&window, 2.0).unwrap();
        let binary = BinaryEstimator::learn(
            &labelled,
            OneAgainstRest {
                true_positives: 1,
                false_positives: 1,
                false_negatives: 1,
                true_negatives: 1,
            },
            3,
        );
        let binary = binary.unwrap().estimate(&Decided(decided), 2.0).unwrap();
        assert!((both.accuracy.unwrap().value - binary.accuracy.unwrap().value).abs() < 1e-9);
        assert!((both.roc_auc.unwrap().value - binary.roc_auc.unwrap().value).abs() < 1e-9);
    }

    #[test]
    fn predictions_that_do_not_fit_say_so() {
        assert!(MulticlassEstimator::learn(&[], 3).is_err());
        assert!(MulticlassEstimator::learn(&[(prediction(&[1.0], 0, 1), 0)], 3).is_err());
        assert!(MulticlassEstimator::learn(&[(prediction(&[0.5, 0.5], 0, 1), 2)], 3).is_err());
        assert!(MulticlassEstimator::learn(&[(prediction(&[0.5, 1.5], 0, 1), 0)], 3).is_err());
        let estimator = MulticlassEstimator::learn(&reference(), 3).unwrap();
        assert!(estimator.estimate(&[], 2.0).is_err());
        assert!(estimator.estimate(&[prediction(&[0.5, 0.5], 0, 1)], 2.0).is_err());
        assert!(estimator.estimate(&[prediction(&[0.5, 0.5, 0.0], 3, 1)], 2.0).is_err());
        // Only one class was decided: precision of the others has no value, accuracy has one.
        let estimate = estimator.estimate(&[prediction(&[0.6, 0.2, 0.2], 0, 9)], 2.0).unwrap();
        assert!(estimate.precision.is_err() && estimate.accuracy.is_ok());
    }
}
