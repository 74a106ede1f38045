//! What became known of a version's inferences in a range, ready to draw: confusion matrix, classes, calibration, errors.

use std::collections::BTreeMap;

use driftlead_analyzer::Measured;
use driftlead_analyzer::stats::classification::{Confusion, Measure};
use driftlead_analyzer::stats::regression::Sums;
use driftlead_analyzer::stats::scored::Scored;
use driftlead_analyzer::stats::{Bounds, Undefined, calibration, normal};
use driftlead_store::clickhouse::query::quality::{LabelledScores, Losses, Values};
use serde::Serialize;

/// Classes that a matrix keeps apart; the rarer ones are counted together.
pub const MAX_CLASSES: usize = 20;
/// The one-sided error of bounds that are shown, as of those that signals show.
const DISPLAY_ERROR: f64 = 0.01;

/// A value and its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounded {
    /// The value.
    pub value: f64,
    /// Lower bound, one-sided 99 %.
    pub lower: f64,
    /// Upper bound, one-sided 99 %.
    pub upper: f64,
}

impl Bounded {
    fn of(value: f64, bounds: Bounds) -> Self {
        Self {
            value,
            lower: bounds.lower,
            upper: bounds.upper,
        }
    }
}

impl From<Measure> for Bounded {
    fn from(measure: Measure) -> Self {
        Self::of(measure.value, measure.bounds)
    }
}

/// How often each class was predicted where each was true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matrix {
    /// Labelled inferences whose class was predicted.
    pub n: u64,
    /// Share of them that was right.
    pub accuracy: Measured<Bounded>,
    /// The most frequent classes, numbers as numbers and the rest by name.
    pub classes: Vec<ClassQuality>,
    /// Classes beyond those, counted together as the last row and the last column; 0: there is no such row.
    pub other_classes: usize,
    /// A row for each true class, in it a column for each predicted one.
    pub counts: Vec<Vec<u64>>,
}

/// One class against the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassQuality {
    /// Its name.
    pub class: String,
    /// Inferences of which it is true.
    pub n: u64,
    /// Inferences of which it was predicted.
    pub predicted: u64,
    /// Share of its predictions that were right.
    pub precision: Measured<Bounded>,
    /// Share of its inferences that were found.
    pub recall: Measured<Bounded>,
    /// The harmonic mean of both.
    pub f1: Measured<Bounded>,
}

/// The matrix of counted pairs (predicted, true, how often); `None` where no class was predicted.
pub fn matrix(pairs: &[(String, String, u64)]) -> Option<Matrix> {
    let mut confusion = Confusion::default();
    let mut frequencies: BTreeMap<&str, u64> = BTreeMap::new();
    for (predicted, truth, n) in pairs {
        confusion.add(predicted, truth, *n);
        *frequencies.entry(predicted).or_default() += n;
        *frequencies.entry(truth).or_default() += n;
    }
    if confusion.n() == 0 {
        return None;
    }
    let mut shown: Vec<(&str, u64)> = frequencies.into_iter().collect();
    let all = shown.len();
    shown.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    shown.truncate(MAX_CLASSES);
    let mut shown: Vec<&str> = shown.into_iter().map(|(class, _)| class).collect();
    sort_classes(&mut shown);
    let other_classes = all - shown.len();
    let place = |class: &str| shown.iter().position(|shown| *shown == class).unwrap_or(shown.len());
    let size = shown.len() + usize::from(other_classes > 0);
    let mut counts = vec![vec![0; size]; size];
    for (predicted, truth, n) in confusion.pairs() {
        counts[place(truth)][place(predicted)] += n;
    }
    let z = normal::from_upper_tail(DISPLAY_ERROR);
    let bounded = |measure: Result<Measure, Undefined>| Measured::from(measure.map(Bounded::from));
    let classes = shown.iter().map(|class| {
        let of = confusion.of_class(class);
        ClassQuality {
            class: (*class).to_owned(),
            n: of.true_positives + of.false_negatives,
            predicted: of.true_positives + of.false_positives,
            precision: bounded(of.precision(z)),
            recall: bounded(of.recall(z)),
            f1: bounded(of.f1(z)),
        }
    });
    Some(Matrix {
        n: confusion.n(),
        accuracy: bounded(confusion.accuracy(z)),
        classes: classes.collect(),
        other_classes,
        counts,
    })
}

/// As people count: 2 before 10 where all are numbers, else by name.
fn sort_classes(classes: &mut [&str]) {
    let number = |class: &str| class.parse::<f64>().ok().filter(|number| number.is_finite());
    if classes.iter().all(|class| number(class).is_some()) {
        classes.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)).then_with(|| a.cmp(b)));
    } else {
        classes.sort_unstable();
    }
}

/// Scores of the positive class against the share of positives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Labelled scores.
    pub n: u64,
    /// How far shares are from scores, in the mean over scores.
    pub ece: f64,
    /// The bins that hold any scores, ascending.
    pub bins: Vec<CalibrationBin>,
}

/// The scores above `from`, up to and including `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Lower edge.
    pub from: f64,
    /// Upper edge.
    pub to: f64,
    /// Scores in the bin.
    pub n: u64,
    /// Their mean.
    pub mean_score: f64,
    /// The share of them that is positive, with Wilson's bounds.
    pub positive_share: Bounded,
}

/// Ten bins of equal width; each score is the middle of its bucket.
///
/// # Errors
/// There are no labelled scores, or some are no probabilities.
pub fn calibration(scores: &[LabelledScores], losses: &Losses) -> Result<Calibration, Undefined> {
    if losses.no_probabilities > 0 {
        return Err(Undefined::because(format!(
            "{} scores lie outside of 0 to 1: they are no probabilities",
            losses.no_probabilities
        )));
    }
    let of = |scores: &LabelledScores| match scores.is_positive {
        true => (scores.key, scores.n, 0),
        false => (scores.key, 0, scores.n),
    };
    let scored = Scored::of_buckets(&scores.iter().map(of).collect::<Vec<_>>())?;
    let bins = calibration::reliability_bins(&scored, calibration::BINS, normal::from_upper_tail(DISPLAY_ERROR))?;
    let bins = bins.into_iter().map(|bin| CalibrationBin {
        from: bin.from,
        to: bin.to,
        n: bin.n,
        mean_score: bin.mean_score,
        positive_share: Bounded::of(bin.positive_share, bin.bounds),
    });
    Ok(Calibration {
        n: scored.n(),
        ece: calibration::expected_calibration_error(&scored)?,
        bins: bins.collect(),
    })
}

/// Errors of predicted numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberErrors {
    /// Predicted numbers whose label is a number.
    pub n: u64,
    /// Mean error without its sign, in the unit of the target.
    pub mae: Measured<Bounded>,
    /// Root of the mean squared error.
    pub rmse: Measured<Bounded>,
    /// Mean error with its sign: above 0 where predictions are too high.
    pub mean_error: Measured<f64>,
    /// Share of the truth's variance that is explained.
    pub r2: Measured<f64>,
}

/// The errors of sums; `None` where no number was predicted.
pub fn number_errors(values: &Values) -> Option<NumberErrors> {
    if values.n == 0 {
        return None;
    }
    let sums = Sums {
        n: values.n,
        errors: values.errors.into(),
        absolute_errors: values.absolute_errors.into(),
        squared_errors: values.squared_errors.into(),
        fourth_powers: values.fourth_powers.into(),
        truths: values.truths.into(),
        squared_truths: values.squared_truths.into(),
    };
    let z = normal::from_upper_tail(DISPLAY_ERROR);
    let bounded = |value: Result<f64, Undefined>, bounds: Result<Bounds, Undefined>| {
        Measured::from(value.and_then(|value| Ok(Bounded::of(value, bounds?))))
    };
    Some(NumberErrors {
        n: values.n,
        mae: bounded(sums.mean_absolute_error(), sums.mean_absolute_error_bounds(z)),
        rmse: bounded(sums.root_mean_squared_error(), sums.root_mean_squared_error_bounds(z)),
        mean_error: sums.mean_error().into(),
        r2: sums.r2().into(),
    })
}

#[cfg(test)]
mod tests {
    use driftlead_store::bucket;

    use super::*;

    fn pairs(of: &[(&str, &str, u64)]) -> Vec<(String, String, u64)> {
        of.iter()
            .map(|(predicted, truth, n)| ((*predicted).to_owned(), (*truth).to_owned(), *n))
            .collect()
    }

    fn value<T: Clone>(measured: &Measured<T>) -> Option<T> {
        match measured {
            Measured::Value(value) => Some(value.clone()),
            Measured::Undefined { .. } => None,
        }
    }

    #[test]
    fn rows_are_true_and_columns_predicted() {
        let matrix = matrix(&pairs(&[("1", "1", 60), ("1", "0", 20), ("0", "1", 15), ("0", "0", 5)])).unwrap();
        assert_eq!(matrix.counts, [[5, 20], [15, 60]]);
        assert_eq!((matrix.n, matrix.other_classes), (100, 0));
        assert_eq!(value(&matrix.accuracy).unwrap().value, 0.65);
        let positive = &matrix.classes[1];
        assert_eq!((positive.class.as_str(), positive.n, positive.predicted), ("1", 75, 80));
        let precision = value(&positive.precision).unwrap();
        assert!(precision.value == 0.75 && precision.lower < 0.75 && precision.upper > 0.75);
        assert_eq!(value(&positive.recall).unwrap().value, 0.8);
        assert!((value(&positive.f1).unwrap().value - 120.0 / 155.0).abs() < 1e-12);
    }

    #[test]
    fn a_class_that_is_only_true_has_no_precision_but_says_why() {
        let matrix = matrix(&pairs(&[("a", "a", 9), ("a", "b", 1)])).unwrap();
        assert_eq!(value(&matrix.classes[1].precision), None);
        assert_eq!(
            serde_json::to_value(&matrix.classes[1].precision).unwrap(),
            serde_json::json!({ "undefined": "nothing was predicted positive" })
        );
        assert!(super::matrix(&[]).is_none());
    }

    #[test]
    fn rare_classes_are_counted_together_and_none_is_lost() {
        let named: Vec<(String, String, u64)> = (0..25_u64).map(|i| (i.to_string(), ((i + 1) % 25).to_string(), 100 - i)).collect();
        let matrix = matrix(&named).unwrap();
        assert_eq!((matrix.classes.len(), matrix.other_classes, matrix.counts.len()), (20, 5, 21));
        let sum: u64 = matrix.counts.iter().flatten().sum();
        assert_eq!(sum, named.iter().map(|(_, _, n)| n).sum::<u64>());
        let classes: Vec<&str> = matrix.classes.iter().map(|class| class.class.as_str()).collect();
        assert!(classes[2] == "2" && classes[10] == "10", "{classes:?}");
        // 20 is true where 19 was predicted, and is one of the rarer ones; of 19 nothing is missing all the same.
        assert_eq!((matrix.classes[19].predicted, matrix.counts[20][19]), (81, 81));
    }

    fn scores(of: &[(f64, u64, u64)]) -> Vec<LabelledScores> {
        let one = |score: f64, is_positive: bool, n: u64| LabelledScores {
            key: bucket::key_of(score).unwrap(),
            is_decided: score >= 0.5,
            is_positive,
            n,
        };
        of.iter()
            .flat_map(|&(score, positives, negatives)| [one(score, true, positives), one(score, false, negatives)])
            .collect()
    }

    #[test]
    fn scores_are_compared_with_shares_in_ten_bins() {
        let found = calibration(&scores(&[(0.25, 10, 90), (1.0, 30, 10)]), &Losses::default()).unwrap();
        assert_eq!((found.n, found.bins.len()), (140, 2));
        let (low, high) = (found.bins[0], found.bins[1]);
        assert!((low.from - 0.2).abs() < 1e-12 && (low.to - 0.3).abs() < 1e-9 && high.to == 1.0);
        assert!((low.mean_score - 0.25).abs() < 0.002 && high.mean_score == 1.0);
        assert_eq!((low.positive_share.value, high.positive_share.value, high.n), (0.1, 0.75, 40));
        assert!(low.positive_share.lower < 0.1 && low.positive_share.upper > 0.1);
        assert!((found.ece - (100.0 * 0.15 + 40.0 * 0.25) / 140.0).abs() < 0.002);
    }

    #[test]
    fn scores_that_are_no_probabilities_have_no_calibration() {
        let losses = Losses {
            no_probabilities: 3,
            ..Losses::default()
        };
        let undefined = calibration(&scores(&[(0.5, 1, 1)]), &losses).unwrap_err();
        assert_eq!(undefined.to_string(), "3 scores lie outside of 0 to 1: they are no probabilities");
        assert!(calibration(&[], &Losses::default()).is_err());
    }

    #[test]
    fn numbers_have_errors_with_bounds() {
        let values = Values {
            n: 100,
            errors: -100.0,
            absolute_errors: 200.0,
            squared_errors: 500.0,
            fourth_powers: 4_100.0,
            truths: 0.0,
            squared_truths: 1_000.0,
        };
        let errors = number_errors(&values).unwrap();
        let mae = value(&errors.mae).unwrap();
        assert!(mae.value == 2.0 && mae.lower < 2.0 && mae.upper > 2.0);
        assert_eq!(value(&errors.mean_error), Some(-1.0));
        assert!((value(&errors.rmse).unwrap().value - 5.0_f64.sqrt()).abs() < 1e-12);
        assert!(number_errors(&Values::default()).is_none());
    }
}
