//! The error of a regression without labels: how large errors were on a labelled reference for predictions such as these.
//!
//! The reference is cut into bins of equal count by prediction; each bin keeps how large its errors were. A window's error is
//! then the mean over its predictions of what their bins had: direct loss estimation, with a step function in the place of the
//! boosted trees of `nannyml.DLE`, with which it agrees as far as errors depend on the prediction alone. On the reference
//! itself the estimate is the error that it had.
//!
//! Limits. It sees errors grow only because other predictions are made; where errors depend on a feature and not on the
//! prediction, give that feature in the place of the prediction ([`Observed::at`]). It is blind to concept drift: where the same
//! predictions become worse, the estimate stays where it was. Beyond the reference's predictions it takes the outermost bins'
//! errors; [`Estimate::outside`] is the share of the window for which that was so, and with much of it the estimate is a guess.
//! From buckets, predictions move to a neighbouring bin only at its edges.

use super::{Bounds, Undefined};

/// Bins into which the reference is cut, if it has enough observations.
const BINS: usize = 20;
/// Observations below which a bin's errors do not show how much they vary.
const MIN_PER_BIN: u64 = 50;

/// Labelled predictions of the reference that share their prediction and error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// The prediction, or another number that is known with each inference and that errors depend on.
    pub at: f64,
    /// Prediction minus truth; its sign does not matter.
    pub error: f64,
    /// How many they are.
    pub count: u64,
}

/// An estimate with the bounds between which the window's error lies if such predictions are still as good as they were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean absolute error that can be expected, in the unit of the target.
    pub mean_absolute_error: f64,
    /// Its bounds: what the reference leaves open and what chance does to a window of this size. Not below 0.
    pub bounds: Bounds,
    /// The root of the mean squared error that can be expected.
    pub root_mean_squared_error: f64,
    /// The share of the window that lies outside everything in the reference.
    pub outside: f64,
}

/// How large errors were, by prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorModel {
    /// Ascending.
    bins: Vec<Bin>,
    lowest: f64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Bin {
    /// The highest prediction of the reference that lies in it.
    to: f64,
    n: f64,
    absolute: f64,
    squared: f64,
}

impl Bin {
    fn mean(&self) -> f64 {
        self.absolute / self.n
    }

    fn variance(&self) -> f64 {
        // Differences of nearly equal sums may fall below 0.
        ((self.squared - self.absolute * self.mean()) / (self.n - 1.0)).max(0.0)
    }
}

impl ErrorModel {
    /// Learns from the reference, in any order.
    ///
    /// # Errors
    /// A value is not finite or its square too large, or there are fewer than 50 observations.
    pub fn learn(reference: &[Observed]) -> Result<Self, Undefined> {
        let mut reference: Vec<Observed> = reference.iter().copied().filter(|observed| observed.count > 0).collect();
        let n = reference.iter().fold(0_u64, |n, observed| n.saturating_add(observed.count));
        if n < MIN_PER_BIN {
            return Err(Undefined::because(format!(
                "the reference has {n} labelled predictions, fewer than {MIN_PER_BIN}"
            )));
        }
        reference.sort_by(|a, b| a.at.total_cmp(&b.at));
        let width = (n / BINS as u64).max(MIN_PER_BIN) as f64;
        let mut bins: Vec<Bin> = Vec::new();
        for same in reference.chunk_by(|a, b| a.at == b.at) {
            // A prediction is in one bin only, however often it occurs.
            if bins.last().is_none_or(|bin| bin.n >= width) {
                bins.push(Bin::default());
            }
            if let Some(bin) = bins.last_mut() {
                take(bin, same);
            }
        }
        merge_remainder(&mut bins);
        let are_finite = bins.iter().all(|bin| bin.to.is_finite() && bin.squared.is_finite());
        match reference.first() {
            Some(first) if are_finite && first.at.is_finite() => Ok(Self { bins, lowest: first.at }),
            _ => Err(Undefined::because(
                "a prediction or an error of the reference is not finite, or too large to be squared",
            )),
        }
    }

    /// The estimate for a window of (prediction, how often), in any order; the bounds are each one-sided at `z` standard
    /// deviations.
    ///
    /// # Errors
    /// There are no predictions, or one is not finite.
    pub fn estimate(&self, window: &[(f64, u64)], z: f64) -> Result<Estimate, Undefined> {
        if window.iter().any(|(at, _)| !at.is_finite()) {
            return Err(Undefined::because("a prediction is not finite"));
        }
        let (mut counts, mut outside) = (vec![0.0; self.bins.len()], 0.0);
        let highest = self.bins[self.bins.len() - 1].to;
        for &(at, count) in window {
            let bin = self.bins.partition_point(|bin| bin.to < at).min(self.bins.len() - 1);
            counts[bin] += count as f64;
            if at < self.lowest || at > highest {
                outside += count as f64;
            }
        }
        let n: f64 = counts.iter().sum();
        if n <= 0.0 {
            return Err(Undefined::because("there are no predictions"));
        }
        let mean = |of: &dyn Fn(&Bin, f64) -> f64| {
            self.bins
                .iter()
                .zip(&counts)
                .map(|(bin, count)| count / n * of(bin, count / n))
                .sum::<f64>()
        };
        let mean_absolute_error = mean(&|bin, _| bin.mean());
        let variance = mean(&|bin, share| bin.variance() * (share / bin.n + 1.0 / n));
        let half_width = z * variance.sqrt();
        Ok(Estimate {
            mean_absolute_error,
            bounds: Bounds {
                lower: (mean_absolute_error - half_width).max(0.0),
                upper: mean_absolute_error + half_width,
            },
            root_mean_squared_error: mean(&|bin, _| bin.squared / bin.n).sqrt(),
            outside: outside / n,
        })
    }
}

fn take(bin: &mut Bin, same: &[Observed]) {
    for observed in same {
        let count = observed.count as f64;
        bin.to = observed.at;
        bin.n += count;
        bin.absolute += observed.error.abs() * count;
        bin.squared += observed.error * observed.error * count;
    }
}

/// What is left at the end belongs to the bin before if it is too small for one of its own.
fn merge_remainder(bins: &mut Vec<Bin>) {
    let is_small = bins.len() > 1 && bins.last().is_some_and(|bin| bin.n < MIN_PER_BIN as f64);
    if is_small
        && let Some(last) = bins.pop()
        && let Some(before) = bins.last_mut()
    {
        before.to = last.to;
        before.n += last.n;
        before.absolute += last.absolute;
        before.squared += last.squared;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::regression::Sums;
    use super::*;

    const Z: f64 = 1.959963984540054;

    fn observed(at: f64, error: f64) -> Observed {
        Observed { at, error, count: 1 }
    }

    /// Predictions from 0 to 1, as far to the right as `lean` says, with errors that grow with them.
    fn draw(n: u32, lean: f64, rng: &mut impl Rng) -> Vec<Observed> {
        let row = |_| {
            let at = rng.random::<f64>().powf(lean);
            let error = (1.0 + 3.0 * at) * (rng.random::<f64>() + rng.random::<f64>() - 1.0);
            observed(at, error)
        };
        (0..n).map(row).collect()
    }

    fn predictions(rows: &[Observed]) -> Vec<(f64, u64)> {
        rows.iter().map(|row| (row.at, row.count)).collect()
    }

    fn realised(rows: &[Observed]) -> f64 {
        let mut sums = Sums::default();
        rows.iter().for_each(|row| sums.add(0.0, row.error, row.count));
        sums.mean_absolute_error().unwrap()
    }

    #[test]
    fn the_error_of_shifted_traffic_lies_within_the_bounds_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let reference = draw(20_000, 1.0, &mut rng);
        let model = ErrorModel::learn(&reference).unwrap();
        let mut within = 0;
        for _ in 0..300 {
            let window = draw(1_000, 0.5, &mut rng);
            let estimate = model.estimate(&predictions(&window), Z).unwrap();
            let error = realised(&window);
            assert!((estimate.mean_absolute_error / error - 1.0).abs() < 0.15 && error > 1.1 * realised(&reference));
            within += u32::from(estimate.bounds.lower <= error && error <= estimate.bounds.upper);
        }
        // 95 % of 300, less three standard deviations.
        assert!(within >= 273, "{within}");
    }

    #[test]
    fn what_lies_beyond_the_reference_is_counted_and_takes_the_outermost_errors() {
        let reference: Vec<Observed> = (0..1_000_u32).map(|row| observed(f64::from(row), f64::from(row / 500))).collect();
        let model = ErrorModel::learn(&reference).unwrap();
        let estimate = model.estimate(&[(-5.0, 1), (0.0, 1), (999.0, 1), (1e6, 1)], Z).unwrap();
        assert_eq!((estimate.mean_absolute_error, estimate.outside), (0.5, 0.5));
    }

    #[test]
    fn a_constant_prediction_has_one_bin() {
        let reference: Vec<Observed> = (0..1_000_u32).map(|row| observed(7.0, f64::from(row % 3))).collect();
        let model = ErrorModel::learn(&reference).unwrap();
        assert_eq!(model.bins.len(), 1);
        assert!((model.estimate(&[(7.0, 10)], Z).unwrap().mean_absolute_error - 0.999).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_learnt_or_estimated_says_so() {
        assert!(ErrorModel::learn(&[]).is_err());
        assert!(
            ErrorModel::learn(&[Observed {
                at: 1.0,
                error: 1.0,
                count: MIN_PER_BIN - 1
            }])
            .is_err()
        );
        for broken in [
            observed(f64::NAN, 0.0),
            observed(f64::NEG_INFINITY, 0.0),
            observed(0.0, f64::NAN),
            observed(0.0, 1e200),
        ] {
            let reference: Vec<Observed> = (0..100).map(|row| observed(f64::from(row), 1.0)).chain([broken]).collect();
            assert!(ErrorModel::learn(&reference).is_err(), "{broken:?}");
        }
        let model = ErrorModel::learn(&[Observed {
            at: 1.0,
            error: 1.0,
            count: MIN_PER_BIN,
        }])
        .unwrap();
        assert!(model.estimate(&[], Z).is_err() && model.estimate(&[(1.0, 0)], Z).is_err());
        assert!(model.estimate(&[(f64::NAN, 1)], Z).is_err());
    }

    proptest! {
        #[test]
        fn on_the_reference_the_estimate_is_the_error_it_had(rows in prop::collection::vec((-20_i8..20, -9.0..9.0), 60..400)) {
            let reference: Vec<Observed> = rows.iter().map(|&(at, error)| observed(f64::from(at), error)).collect();
            let model = ErrorModel::learn(&reference).unwrap();
            let estimate = model.estimate(&predictions(&reference), Z).unwrap();
            prop_assert!((estimate.mean_absolute_error - realised(&reference)).abs() < 1e-9);
            prop_assert!(model.bins.iter().all(|bin| bin.n >= MIN_PER_BIN as f64) && estimate.outside == 0.0);
        }
    }
}
