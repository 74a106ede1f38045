//! What the shift of one feature does to the quality that can be expected.
//!
//! Each row is right with the probability that the calibrated score gives what was decided. Were only this feature's distribution
//! another, and rows with the same value as often right as before, the expected accuracy would change by Σ (q − p) a over the bins of
//! the feature, with p and q the shares of reference and window and a the mean probability of a bin. Like every estimate without
//! labels it is blind to concept drift.

use driftlead_store::bucket;
use driftlead_store::clickhouse::query::quality::LabelledScores;
use driftlead_store::clickhouse::query::samples::SampledInference;
use serde::Serialize;

use super::grown::Places;
use crate::sampling::columns::Column;
use crate::stats::Undefined;
use crate::stats::estimated_quality::Calibrator;
use crate::stats::scored::{ScoreCount, Scored};
use crate::stats::shift::Bin;

/// Labelled scores below which nothing is learnt, as with the estimates of windows.
const MIN_LEARNT: u64 = 1_000;
/// Rows with a score below which nothing is said.
const MIN_ROWS: usize = 1_000;
/// The bounds, each one-sided at 99 %.
const Z: f64 = 2.326;

/// By how much the expected accuracy changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Effect {
    /// The change, negative where it is for the worse; `None` where it is unknown.
    pub value: Option<f64>,
    /// Lower bound at 99 %.
    pub lower: Option<f64>,
    /// Upper bound at 99 %.
    pub upper: Option<f64>,
    /// The expected accuracy of the sampled rows of the reference.
    pub reference: Option<f64>,
    /// The same of the window.
    pub current: Option<f64>,
    /// Why it is unknown.
    pub reason: Option<String>,
}

impl Effect {
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::default()
        }
    }
}

/// Of each row the probability that it is right; `None` where it has no score.
pub(super) fn probabilities(
    learnt: &[LabelledScores],
    sides: [&[SampledInference]; 2],
    positive_class: &str,
    seed: u64,
) -> Result<[Vec<Option<f64>>; 2], Undefined> {
    let labels: u64 = learnt.iter().map(|scores| scores.n).sum();
    if labels < MIN_LEARNT {
        return Err(Undefined::because(format!(
            "{labels} labelled scores to learn from: it takes {MIN_LEARNT}"
        )));
    }
    let reference = Scored::of_counts(learnt.iter().map(|scores| ScoreCount {
        score: bucket::middle(scores.key),
        positives: if scores.is_positive { scores.n } else { 0 },
        negatives: if scores.is_positive { 0 } else { scores.n },
    }))?;
    let calibrator = Calibrator::learn(&reference, seed)?;
    let of_row = |row: &SampledInference| {
        let score = row.positive_score.filter(|score| (0.0..=1.0).contains(score))?;
        let is_decided = row
            .prediction_label
            .as_deref()
            .map_or(score >= 0.5, |label| label == positive_class);
        let probability = calibrator.probability(score);
        Some(if is_decided { probability } else { 1.0 - probability })
    };
    Ok(sides.map(|rows| rows.iter().map(of_row).collect()))
}

/// The effect of a feature with these bins.
pub(super) fn effect(column: &Column, bins: &[Bin], right: &[Vec<Option<f64>>; 2]) -> Effect {
    let known = |side: usize| right[side].iter().flatten().copied().collect::<Vec<f64>>();
    let (before, now) = (known(0), known(1));
    if before.len().min(now.len()) < MIN_ROWS {
        return Effect::unknown(format!(
            "{} sampled rows of the reference and {} of the window have a score: it takes {MIN_ROWS} of each",
            before.len(),
            now.len()
        ));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let overall = mean(&[before.as_slice(), now.as_slice()].concat());
    let cells = by_bin(column, bins, right, overall);
    let total = |of: fn(&Bin) -> u64| (bins.iter().map(of).sum::<u64>() as f64).max(1.0);
    let (reference_n, n) = (total(|bin| bin.reference), total(|bin| bin.current));
    let shares: Vec<(f64, f64)> = bins
        .iter()
        .map(|bin| (bin.reference as f64 / reference_n, bin.current as f64 / n))
        .collect();
    let value: f64 = shares.iter().zip(&cells).map(|((p, q), cell)| (q - p) * cell.mean).sum();
    // Of the shares, as of multinomial counts, and of the means.
    let of_shares = |share: fn(&(f64, f64)) -> f64, n: f64| {
        let of = |power: i32| {
            shares
                .iter()
                .zip(&cells)
                .map(|(both, cell)| share(both) * cell.mean.powi(power))
                .sum::<f64>()
        };
        (of(2) - of(1).powi(2)).max(0.0) / n
    };
    let of_means: f64 = shares
        .iter()
        .zip(&cells)
        .map(|((p, q), cell)| (q - p).powi(2) * cell.variance_of_mean)
        .sum();
    let half_width = Z * (of_shares(|(p, _)| *p, reference_n) + of_shares(|(_, q)| *q, n) + of_means).sqrt();
    Effect {
        value: Some(value),
        lower: Some(value - half_width),
        upper: Some(value + half_width),
        reference: Some(mean(&before)),
        current: Some(mean(&now)),
        reason: None,
    }
}

/// The probability of being right in a bin.
struct Cell {
    mean: f64,
    variance_of_mean: f64,
}

/// Of the rows of both sides; a bin without any is like all others.
fn by_bin(column: &Column, bins: &[Bin], right: &[Vec<Option<f64>>; 2], overall: f64) -> Vec<Cell> {
    let places = Places::of(bins);
    let mut sums = vec![(0.0, 0.0, 0.0); bins.len()];
    for (values, right) in column.sides.iter().zip(right) {
        for (value, right) in values.iter().zip(right) {
            if let (Some(bin), Some(right)) = (places.bin(value), right) {
                let (n, sum, squares) = &mut sums[bin];
                *n += 1.0;
                *sum += right;
                *squares += right * right;
            }
        }
    }
    sums.into_iter()
        .map(|(n, sum, squares)| {
            if n < 1.0 {
                // Nothing is known: anything from 0 to 1.
                return Cell {
                    mean: overall,
                    variance_of_mean: 1.0 / 12.0,
                };
            }
            let mean = sum / n;
            Cell {
                mean,
                variance_of_mean: (squares / n - mean * mean).max(0.0) / n,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::columns::Value;

    fn bins() -> Vec<Bin> {
        let bin = |value: &str, reference: u64, current: u64| Bin {
            value: Some(value.into()),
            reference,
            current,
            ..Bin::default()
        };
        vec![bin("easy", 90_000, 60_000), bin("hard", 10_000, 40_000)]
    }

    /// Easy rows are right with 0.95, hard ones with 0.6.
    fn side(hard: usize) -> (Vec<Value>, Vec<Option<f64>>) {
        let of = |i: usize| if i < hard { ("hard", 0.6) } else { ("easy", 0.95) };
        let values = (0..2_000).map(|i| Value::Category(of(i).0.into())).collect();
        (values, (0..2_000).map(|i| Some(of(i).1)).collect())
    }

    #[test]
    fn more_of_what_is_hard_costs_what_it_is_harder() {
        let (reference, right_before) = side(200);
        let (current, right_now) = side(800);
        let column = Column {
            sides: [reference, current],
        };
        let effect = effect(&column, &bins(), &[right_before, right_now]);
        assert!((effect.value.unwrap() + 0.3 * 0.35).abs() < 1e-9, "{effect:?}");
        assert!((effect.reference.unwrap() - 0.915).abs() < 1e-9 && (effect.current.unwrap() - 0.81).abs() < 1e-9);
        let (lower, upper) = (effect.lower.unwrap(), effect.upper.unwrap());
        assert!(lower < -0.105 && upper > -0.105 && upper - lower < 0.01, "{effect:?}");
    }

    #[test]
    fn without_scores_or_labels_it_is_unknown_and_says_why() {
        let (reference, _) = side(1);
        let column = Column {
            sides: [reference.clone(), reference],
        };
        let nothing = effect(&column, &bins(), &[vec![None; 2_000], vec![None; 2_000]]);
        assert!(nothing.value.is_none() && nothing.reason.unwrap().contains("0 sampled rows"));
        let few = probabilities(&[], [&[], &[]], "yes", 1).unwrap_err();
        assert!(few.0.contains("0 labelled scores"));
    }

    #[test]
    fn a_row_is_right_with_the_probability_of_what_was_decided() {
        let scores = |score: f64, positive: u64| {
            let of = |is_positive: bool, n: u64| LabelledScores {
                key: bucket::key_of(score).unwrap(),
                is_decided: score >= 0.5,
                is_positive,
                n,
            };
            [of(true, positive), of(false, 1_000 - positive)]
        };
        // What is said to be 0.9 is true in 700 of 1,000.
        let learnt: Vec<LabelledScores> = [scores(0.9, 700), scores(0.2, 210)].concat();
        let row = |score: f64, label: Option<&str>| SampledInference {
            positive_score: Some(score),
            prediction_label: label.map(str::to_owned),
            ..SampledInference::default()
        };
        let rows = [row(0.9, Some("yes")), row(0.9, Some("no")), row(0.9, None), row(f64::NAN, None)];
        let [right, _] = probabilities(&learnt, [&rows[..], &[]], "yes", 1).unwrap();
        let expected = [Some(0.7), Some(0.3), Some(0.7), None];
        for (found, expected) in right.iter().zip(expected) {
            assert_eq!(found.is_some(), expected.is_some());
            assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 0.01, "{right:?}");
        }
    }
}
