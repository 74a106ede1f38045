//! How well scores rank positives above negatives. Only the order of scores matters, so any monotone score does.
//!
//! From buckets, scores of one bucket are ties: a pair of one bucket counts one half instead of none or one. With smooth
//! scores that moves ROC-AUC by less than a thousandth.

use super::classification::Measure;
use super::scored::Scored;
use super::{Bounds, Undefined};

/// Halvings of the interval in which a bound is searched: to the last bit of a share.
const HALVINGS: u32 = 60;

/// A variance that is nothing but rounding of the estimate.
const ROUNDING: f64 = f64::EPSILON * f64::EPSILON;

/// The probability that a positive's score lies above a negative's, ties by half, with bounds each one-sided at `z`
/// standard deviations (DeLong, DeLong and Clarke-Pearson 1988). Agrees with `sklearn.metrics.roc_auc_score`; the bounds
/// with `statsmodels.stats.nonparametric.rank_compare_2indep(use_t=False).conf_int`, cut to 0 and 1.
///
/// DeLong's variance is 0 where the classes are perfectly apart and has no value for a class of one; the bounds are then
/// those of the score method (Newcombe 2006, method 5).
///
/// # Errors
/// There are no positives, or no negatives.
pub fn roc_auc(scored: &Scored, z: f64) -> Result<Measure, Undefined> {
    let masses = scored.counts().iter().map(|count| (count.positives as f64, count.negatives as f64));
    let value = area(masses).ok_or_else(|| missing_class(scored))?;
    let bounds = match delong_variance(scored, value) {
        Some(variance) if variance > ROUNDING => Bounds {
            lower: (value - z * variance.sqrt()).max(0.0),
            upper: (value + z * variance.sqrt()).min(1.0),
        },
        _ => score_bounds(value, scored.positives() as f64, scored.negatives() as f64, z),
    };
    Ok(Measure { value, bounds })
}

/// The unweighted mean of the ROC-AUC of each class against the rest. `classes` holds one [`Scored`] per class: the score
/// of that class over all observations, labelled with whether it is the true one. Agrees with
/// `sklearn.metrics.roc_auc_score(multi_class="ovr", average="macro")`. The bounds are the means of the classes' bounds,
/// as if all erred on the same side.
///
/// # Errors
/// There are no classes, or one of them is never or always the true one.
pub fn one_against_rest_roc_auc(classes: &[Scored], z: f64) -> Result<Measure, Undefined> {
    if classes.is_empty() {
        return Err(Undefined::because("there are no classes"));
    }
    let of_classes: Vec<Measure> = classes.iter().map(|class| roc_auc(class, z)).collect::<Result<_, _>>()?;
    let mean = |of: fn(&Measure) -> f64| of_classes.iter().map(of).sum::<f64>() / of_classes.len() as f64;
    Ok(Measure {
        value: mean(|auc| auc.value),
        bounds: Bounds {
            lower: mean(|auc| auc.bounds.lower),
            upper: mean(|auc| auc.bounds.upper),
        },
    })
}

/// The mean of the precision at each threshold, weighted by the recall that the threshold gains; without interpolation.
/// It is the product's `pr_auc`. Agrees with `sklearn.metrics.average_precision_score`. Its bounds come from
/// [`super::bootstrap`]. From buckets it moves most where positives are rare, since its largest terms stand on few scores.
///
/// # Errors
/// There are no positives.
pub fn average_precision(scored: &Scored) -> Result<f64, Undefined> {
    if scored.positives() == 0 {
        return Err(missing_class(scored));
    }
    let (mut positives, mut predicted, mut sum) = (0_u64, 0_u64, 0.0);
    for count in scored.counts().iter().rev() {
        positives += count.positives;
        predicted += count.n();
        sum += count.positives as f64 * (positives as f64 / predicted as f64);
    }
    Ok(sum / scored.positives() as f64)
}

/// The area under the curve of (positive, negative) masses by ascending score, one pair per distinct score; `None` where a
/// side weighs nothing. The masses may be fractions: probabilities of the labels instead of labels.
pub(super) fn area(masses: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let (mut above, mut positives, mut negatives) = (0.0, 0.0, 0.0);
    for (positive, negative) in masses {
        above += positive * (negatives + negative / 2.0);
        positives += positive;
        negatives += negative;
    }
    (positives > 0.0 && negatives > 0.0).then(|| above / (positives * negatives))
}

/// DeLong's two components for one observation of each class: the variances of the share of negatives below a positive and
/// of positives above a negative. The variance of ROC-AUC is the first by the positives plus the second by the negatives.
pub(super) struct Components {
    pub of_positives: f64,
    pub of_negatives: f64,
}

/// `None` with fewer than two observations of a class.
pub(super) fn components(scored: &Scored, auc: f64) -> Option<Components> {
    if scored.positives() < 2 || scored.negatives() < 2 {
        return None;
    }
    let (all_positives, all_negatives) = (scored.positives() as f64, scored.negatives() as f64);
    let (mut positives, mut negatives) = (0.0, 0.0);
    let (mut of_positives, mut of_negatives) = (0.0, 0.0);
    for count in scored.counts() {
        let (positive, negative) = (count.positives as f64, count.negatives as f64);
        let negatives_below = (negatives + negative / 2.0) / all_negatives;
        let positives_above = 1.0 - (positives + positive / 2.0) / all_positives;
        of_positives += positive * (negatives_below - auc).powi(2);
        of_negatives += negative * (positives_above - auc).powi(2);
        positives += positive;
        negatives += negative;
    }
    Some(Components {
        of_positives: of_positives / (all_positives - 1.0),
        of_negatives: of_negatives / (all_negatives - 1.0),
    })
}

fn delong_variance(scored: &Scored, auc: f64) -> Option<f64> {
    let components = components(scored, auc)?;
    Some(components.of_positives / scored.positives() as f64 + components.of_negatives / scored.negatives() as f64)
}

fn missing_class(scored: &Scored) -> Undefined {
    Undefined::because(if scored.positives() == 0 {
        "no label is positive"
    } else {
        "no label is negative"
    })
}

/// The values from which `auc` is `z` standard deviations away, the deviation being that of the value itself under Hanley
/// and McNeil's exponential model, with both sizes in its numerators replaced by their mean.
pub(super) fn score_bounds(auc: f64, positives: f64, negatives: f64, z: f64) -> Bounds {
    let others = (positives + negatives) / 2.0 - 1.0;
    let deviation = |value: f64| {
        let pairs = 1.0 + others * ((1.0 - value) / (2.0 - value) + value / (1.0 + value));
        (value * (1.0 - value) / (positives * negatives) * pairs).sqrt()
    };
    let furthest = |end: f64| {
        let (mut within, mut beyond) = (auc, end);
        for _ in 0..HALVINGS {
            let middle = (within + beyond) / 2.0;
            if (middle - auc).abs() <= z * deviation(middle) {
                within = middle;
            } else {
                beyond = middle;
            }
        }
        within
    };
    Bounds {
        lower: furthest(0.0),
        upper: furthest(1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scored::ScoreCount;
    use super::*;

    const Z: f64 = 2.0;

    fn scored(rows: &[(f64, bool)]) -> Scored {
        Scored::of_rows(rows.iter().copied()).unwrap()
    }

    #[test]
    fn a_class_that_is_missing_leaves_nothing_to_rank() {
        assert!(roc_auc(&scored(&[(0.5, true)]), Z).is_err());
        assert!(roc_auc(&scored(&[(0.5, false)]), Z).is_err());
        assert!(average_precision(&scored(&[(0.5, false)])).is_err());
        assert_eq!(average_precision(&scored(&[(0.5, true)])).unwrap(), 1.0);
        assert!(one_against_rest_roc_auc(&[], Z).is_err());
    }

    #[test]
    fn perfect_and_constant_scores_have_bounds_with_a_width() {
        let perfect = roc_auc(&scored(&[(0.1, false), (0.2, false), (0.8, true), (0.9, true)]), Z).unwrap();
        assert!(
            perfect.value == 1.0 && perfect.bounds.upper == 1.0 && perfect.bounds.lower < 0.7,
            "{perfect:?}"
        );
        let constant = roc_auc(&scored(&[(0.5, false), (0.5, false), (0.5, true), (0.5, true)]), Z).unwrap();
        assert!(
            constant.value == 0.5 && constant.bounds.lower < 0.2 && constant.bounds.upper > 0.8,
            "{constant:?}"
        );
        let single = roc_auc(&scored(&[(0.1, false), (0.2, true)]), Z).unwrap();
        assert!(single.value == 1.0 && single.bounds.lower < 0.5, "{single:?}");
    }

    #[test]
    fn a_thousand_million_observations_cost_as_much_as_two() {
        let count = |score, positives, negatives| ScoreCount {
            score,
            positives,
            negatives,
        };
        let many = Scored::of_counts([count(0.2, 250_000_000, 750_000_000), count(0.7, 750_000_000, 250_000_000)]).unwrap();
        let auc = roc_auc(&many, Z).unwrap();
        assert!((auc.value - 0.75).abs() < 1e-12 && auc.bounds.upper - auc.bounds.lower < 1e-4);
        // Bounds of scores that say nothing have a width, however the estimate is rounded.
        let constant = roc_auc(&Scored::of_counts([count(0.5, 999_999_937, 1_000_000_007)]).unwrap(), Z).unwrap();
        assert!(
            constant.bounds.lower < 0.5 - 1e-6 && constant.bounds.upper > 0.5 + 1e-6,
            "{constant:?}"
        );
    }

    proptest! {
        #[test]
        fn roc_auc_is_the_share_of_pairs_in_order(rows in prop::collection::vec((0_u8..6, any::<bool>()), 2..40)) {
            let rows: Vec<(f64, bool)> = rows.into_iter().map(|(score, label)| (f64::from(score), label)).collect();
            let of = |label| rows.iter().filter(move |row| row.1 == label).map(|row| row.0);
            prop_assume!(of(true).count() > 0 && of(false).count() > 0);
            let pairs = of(true).flat_map(|positive| of(false).map(move |negative| f64::from(u8::from(positive > negative))
                + f64::from(u8::from(positive == negative)) / 2.0));
            let (sum, n) = pairs.fold((0.0, 0.0), |(sum, n), pair| (sum + pair, n + 1.0));
            let auc = roc_auc(&scored(&rows), Z).unwrap();
            prop_assert!((auc.value - sum / n).abs() < 1e-12);
            prop_assert!(auc.bounds.lower <= auc.value && auc.value <= auc.bounds.upper);
        }

        #[test]
        fn average_precision_is_the_sum_over_thresholds(rows in prop::collection::vec((0_u8..6, any::<bool>()), 1..40)) {
            let rows: Vec<(f64, bool)> = rows.into_iter().map(|(score, label)| (f64::from(score), label)).collect();
            let positives = rows.iter().filter(|row| row.1).count() as f64;
            prop_assume!(positives > 0.0);
            let (mut recall_before, mut expected) = (0.0, 0.0);
            for threshold in (0_u8..6).rev().map(f64::from) {
                let predicted: Vec<&(f64, bool)> = rows.iter().filter(|row| row.0 >= threshold).collect();
                let hits = predicted.iter().filter(|row| row.1).count() as f64;
                if !predicted.is_empty() {
                    expected += (hits / positives - recall_before) * hits / predicted.len() as f64;
                    recall_before = hits / positives;
                }
            }
            prop_assert!((average_precision(&scored(&rows)).unwrap() - expected).abs() < 1e-12);
        }
    }
}
