//! How well scores are probabilities: squared and logarithmic loss, and how far shares of positives are from the scores.
//!
//! From buckets a score is at most 0.4 % off, which moves [`brier`] by less than 0.008 and usually by a thousandth of that.
//! Buckets are narrow near 0 and, for probabilities, wide near 1: [`log_loss`] cannot tell 0.999 from 0.9999, so where a
//! model is sure and wrong it has to be taken from rows.

use super::scored::{ScoreCount, Scored};
use super::{Bounds, Undefined, wilson};

/// Bins of equal width that [`expected_calibration_error`] compares.
pub const BINS: u32 = 10;

/// The mean squared difference between score and label, from 0 to 1 (Brier 1950). Agrees with
/// `sklearn.metrics.brier_score_loss`.
///
/// # Errors
/// A score is not a probability.
pub fn brier(scored: &Scored) -> Result<f64, Undefined> {
    Ok(Losses::of(scored.probabilities()?, squared).mean())
}

/// Normal bounds of [`brier`], each one-sided at `z` standard deviations, cut to 0 and 1.
///
/// # Errors
/// A score is not a probability, or there are fewer than two.
pub fn brier_bounds(scored: &Scored, z: f64) -> Result<Bounds, Undefined> {
    let bounds = Losses::of(scored.probabilities()?, squared).bounds(z)?;
    Ok(Bounds {
        lower: bounds.lower,
        upper: bounds.upper.min(1.0),
    })
}

/// The mean negative natural logarithm of the probability that was given to the true label. Scores are held between the
/// distance from 1 to the next double (2.2e-16) and 1 less that, so one sure mistake costs 36 and not infinity. Agrees with
/// `sklearn.metrics.log_loss`.
///
/// # Errors
/// A score is not a probability.
pub fn log_loss(scored: &Scored) -> Result<f64, Undefined> {
    Ok(Losses::of(scored.probabilities()?, logarithmic).mean())
}

/// Normal bounds of [`log_loss`], each one-sided at `z` standard deviations, not below 0.
///
/// # Errors
/// A score is not a probability, or there are fewer than two.
pub fn log_loss_bounds(scored: &Scored, z: f64) -> Result<Bounds, Undefined> {
    Losses::of(scored.probabilities()?, logarithmic).bounds(z)
}

/// The mean of losses from their sum and the sum of their squares, as a database adds them up, and normal bounds, each
/// one-sided at `z` standard deviations, not below 0.
///
/// # Errors
/// There are fewer than two, or a sum is not finite.
pub fn mean_loss(n: u64, (sum, squares): (f64, f64), z: f64) -> Result<(f64, Bounds), Undefined> {
    if n < 2 {
        return Err(Undefined::because("one labelled score does not show how much losses vary"));
    }
    let n = n as f64;
    let mean = sum / n;
    let variance = ((squares - sum * mean) / (n - 1.0)).max(0.0);
    let half_width = z * (variance / n).sqrt();
    if !(mean.is_finite() && half_width.is_finite()) {
        return Err(Undefined::because("a loss is not finite"));
    }
    let bounds = Bounds {
        lower: (mean - half_width).max(0.0),
        upper: mean + half_width,
    };
    Ok((mean, bounds))
}

/// One bin of a reliability diagram: the scores with `from < score <= to`, in the first bin 0 as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// The lower edge, which belongs to the bin before.
    pub from: f64,
    /// The upper edge, which belongs to this bin.
    pub to: f64,
    /// Observations in the bin, at least 1.
    pub n: u64,
    /// The mean of their scores.
    pub mean_score: f64,
    /// The share of them that is positive.
    pub positive_share: f64,
    /// Wilson bounds of that share, each one-sided at the `z` that was asked for.
    pub bounds: Bounds,
}

/// The bins of equal width that hold any scores, ascending. Agrees with
/// `sklearn.calibration.calibration_curve(strategy="uniform")`, right-closed edges included.
///
/// # Errors
/// A score is not a probability, or no bins are asked for.
pub fn reliability_bins(scored: &Scored, bins: u32, z: f64) -> Result<Vec<ReliabilityBin>, Undefined> {
    let mut rest = scored.probabilities()?;
    if bins == 0 {
        return Err(Undefined::because("no bins are asked for"));
    }
    // As numpy spaces them, so that a score of 0.3 falls on the same side.
    let width = 1.0 / f64::from(bins);
    let edge = |bin: u32| if bin == bins { 1.0 } else { f64::from(bin) * width };
    let mut found = Vec::new();
    for bin in 0..bins {
        let (from, to) = (edge(bin), edge(bin + 1));
        let (inside, above) = rest.split_at(rest.partition_point(|count| count.score <= to));
        rest = above;
        let n: u64 = inside.iter().map(|count| count.n()).sum();
        if n > 0 {
            let positives = inside.iter().map(|count| count.positives).sum::<u64>() as f64;
            found.push(ReliabilityBin {
                from,
                to,
                n,
                mean_score: inside.iter().map(|count| count.score * count.n() as f64).sum::<f64>() / n as f64,
                positive_share: positives / n as f64,
                bounds: wilson::bounds(positives, n as f64, z),
            });
        }
    }
    Ok(found)
}

/// The mean over observations of how far the share of positives in their bin is from the bin's mean score, with [`BINS`]
/// bins (Naeini, Cooper and Hauskrecht 2015; edges as Guo et al. 2017). Agrees with the weighted sum over
/// `sklearn.calibration.calibration_curve(strategy="uniform", n_bins=10)`.
///
/// Chance alone makes it positive: perfectly calibrated scores have about 0.8 · √(p (1 − p) · bins / n). From buckets it
/// moves by up to a hundredth where scores are rounded, since all that lie on a bin's edge can fall into the next bin.
///
/// # Errors
/// A score is not a probability.
pub fn expected_calibration_error(scored: &Scored) -> Result<f64, Undefined> {
    // The bounds of the shares are not read.
    let bins = reliability_bins(scored, BINS, 0.0)?;
    let sum: f64 = bins
        .iter()
        .map(|bin| bin.n as f64 * (bin.positive_share - bin.mean_score).abs())
        .sum();
    Ok(sum / scored.n() as f64)
}

fn squared(score: f64, label: f64) -> f64 {
    (score - label).powi(2)
}

fn logarithmic(score: f64, label: f64) -> f64 {
    let given = if label > 0.0 { score } else { 1.0 - score };
    -given.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Losses with how often each occurs.
struct Losses {
    losses: Vec<(f64, f64)>,
    n: f64,
}

impl Losses {
    fn of(counts: &[ScoreCount], loss: fn(f64, f64) -> f64) -> Self {
        let losses = counts.iter().flat_map(|count| {
            [
                (loss(count.score, 1.0), count.positives as f64),
                (loss(count.score, 0.0), count.negatives as f64),
            ]
        });
        let losses: Vec<(f64, f64)> = losses.collect();
        let n = losses.iter().map(|(_, count)| count).sum();
        Self { losses, n }
    }

    fn mean(&self) -> f64 {
        self.losses.iter().map(|(loss, count)| loss * count).sum::<f64>() / self.n
    }

    fn bounds(&self, z: f64) -> Result<Bounds, Undefined> {
        if self.n < 2.0 {
            return Err(Undefined::because("one labelled score does not show how much losses vary"));
        }
        let mean = self.mean();
        let squares: f64 = self.losses.iter().map(|(loss, count)| (loss - mean).powi(2) * count).sum();
        let half_width = z * (squares / (self.n - 1.0) / self.n).sqrt();
        Ok(Bounds {
            lower: (mean - half_width).max(0.0),
            upper: mean + half_width,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scored(rows: &[(f64, bool)]) -> Scored {
        Scored::of_rows(rows.iter().copied()).unwrap()
    }

    #[test]
    fn scores_that_are_no_probabilities_have_no_loss() {
        let margins = scored(&[(-0.1, true), (0.4, false)]);
        assert!(brier(&margins).is_err() && log_loss(&margins).is_err() && expected_calibration_error(&margins).is_err());
        assert!(brier_bounds(&scored(&[(0.5, true)]), 2.0).is_err() && log_loss_bounds(&scored(&[(0.5, true)]), 2.0).is_err());
        assert!(reliability_bins(&scored(&[(0.5, true)]), 0, 2.0).is_err());
    }

    #[test]
    fn sums_of_losses_have_the_mean_and_the_bounds_of_their_rows() {
        let rows = scored(&[(0.2, true), (0.9, true), (0.4, false), (0.7, false), (0.1, false)]);
        let losses: Vec<f64> = [0.64, 0.01, 0.16, 0.49, 0.01].into();
        let sums = (losses.iter().sum(), losses.iter().map(|loss| loss * loss).sum());
        let (mean, bounds) = mean_loss(5, sums, 2.0).unwrap();
        let expected = brier_bounds(&rows, 2.0).unwrap();
        assert!((mean - brier(&rows).unwrap()).abs() < 1e-12);
        assert!((bounds.lower - expected.lower).abs() < 1e-12 && (bounds.upper - expected.upper).abs() < 1e-12);
        assert!(mean_loss(1, (0.3, 0.09), 2.0).is_err() && mean_loss(9, (f64::INFINITY, 0.0), 2.0).is_err());
    }

    #[test]
    fn a_sure_mistake_is_dear_but_not_infinite() {
        let mistake = log_loss(&scored(&[(1.0, false)])).unwrap();
        assert!((mistake - 36.04365338911715).abs() < 1e-9, "{mistake}");
        assert_eq!(brier(&scored(&[(1.0, false), (0.0, true)])).unwrap(), 1.0);
        assert!(log_loss(&scored(&[(1.0, true), (0.0, false)])).unwrap() < 1e-15);
    }

    #[test]
    fn buckets_cannot_tell_how_sure_a_mistake_was() {
        let key = driftlead_store::bucket::key_of(0.9999).unwrap();
        let bucketed = Scored::of_buckets(&[(key, 0, 1)]).unwrap();
        let mistake = log_loss(&scored(&[(0.9999, false)])).unwrap();
        assert!(mistake - log_loss(&bucketed).unwrap() > 2.0);
        assert!((brier(&scored(&[(0.9999, false)])).unwrap() - brier(&bucketed).unwrap()).abs() < 0.008);
    }

    #[test]
    fn an_edge_belongs_to_the_bin_below_it_and_zero_to_the_first() {
        let rows = [(0.0, false), (0.1, true), (0.3, true), (0.30000000000000004, false), (1.0, true)];
        let bins = reliability_bins(&scored(&rows), 10, 2.0).unwrap();
        let found: Vec<(u64, f64)> = bins.iter().map(|bin| (bin.n, bin.positive_share)).collect();
        assert_eq!(found, [(2, 0.5), (2, 0.5), (1, 1.0)]);
        assert!(
            bins.iter()
                .all(|bin| bin.bounds.lower <= bin.positive_share && bin.positive_share <= bin.bounds.upper)
        );
    }

    #[test]
    fn scores_that_are_the_shares_are_calibrated() {
        let rows = [
            (0.25, true),
            (0.25, false),
            (0.25, false),
            (0.25, false),
            (0.75, true),
            (0.75, true),
            (0.75, true),
            (0.75, false),
        ];
        assert_eq!(expected_calibration_error(&scored(&rows)).unwrap(), 0.0);
    }

    proptest! {
        #[test]
        fn losses_are_means_over_rows(rows in prop::collection::vec((0_u8..=20, any::<bool>()), 2..50)) {
            let rows: Vec<(f64, bool)> = rows.into_iter().map(|(score, label)| (f64::from(score) / 20.0, label)).collect();
            let squares: Vec<f64> = rows.iter().map(|&(score, label)| (score - f64::from(u8::from(label))).powi(2)).collect();
            let n = rows.len() as f64;
            let mean = squares.iter().sum::<f64>() / n;
            prop_assert!((brier(&scored(&rows)).unwrap() - mean).abs() < 1e-12);
            let deviation = (squares.iter().map(|square| (square - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            let bounds = brier_bounds(&scored(&rows), 2.0).unwrap();
            prop_assert!((bounds.lower - (mean - 2.0 * deviation / n.sqrt()).max(0.0)).abs() < 1e-9);
            prop_assert!((bounds.upper - (mean + 2.0 * deviation / n.sqrt()).min(1.0)).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&expected_calibration_error(&scored(&rows)).unwrap()));
        }
    }
}
