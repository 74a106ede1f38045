//! The error of a regression without labels: how large errors were on a labelled reference for inferences such as these.
//!
//! A regression tree learns on the reference how large errors are, by the prediction and, if they are given, features. A
//! window's error is then the mean over its inferences of what their leaves had. This is direct loss estimation, with one small
//! tree in the place of the boosted ones of `nannyml.DLE`, near which it comes. On the reference itself the estimate is the
//! error that it had.
//!
//! Limits. It sees errors change only as far as they depend on the numbers that it is given: with the prediction alone it
//! misses a change that features show. It is blind to concept drift: where the same inferences become worse, the estimate stays
//! where it was. Beyond the reference it takes the errors at its ends; [`Estimate::outside`] is the share of the window for
//! which that was so, and with much of it the estimate is a guess. From buckets, numbers move to another leaf only at its edges.

mod tree;

use super::{Bounds, Undefined};
use tree::{Leaf, Tree};

/// Labelled inferences of the reference that share their numbers and error.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The prediction and, if errors depend on them, features: numbers in the same order everywhere. A feature that can be
    /// absent needs a number of its own for that.
    pub at: Vec<f64>,
    /// Prediction minus truth; its sign does not matter.
    pub error: f64,
    /// How many they are.
    pub count: u64,
}

/// An estimate with the bounds between which the window's error lies if such inferences are still as good as they were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean absolute error that can be expected, in the unit of the target.
    pub mean_absolute_error: f64,
    /// Its bounds: what the reference leaves open and what chance does to a window of this size. Not below 0.
    pub bounds: Bounds,
    /// The root of the mean squared error that can be expected.
    pub root_mean_squared_error: f64,
    /// The share of the window of which some number lies outside all that the reference has.
    pub outside: f64,
}

/// How large errors were, by the numbers that were known.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorModel {
    tree: Tree,
    /// The lowest and the highest of each number in the reference.
    ranges: Vec<(f64, f64)>,
}

impl ErrorModel {
    /// Learns from the reference, in any order. Its cost follows rows times numbers; a random 100,000 rows are enough.
    ///
    /// # Errors
    /// There are fewer than 100 observations, they have different numbers or none, or a value is not finite or its square too
    /// large.
    pub fn learn(reference: &[Observed]) -> Result<Self, Undefined> {
        let n = reference.iter().fold(0_u64, |n, observed| n.saturating_add(observed.count));
        if n < tree::MIN_PER_LEAF {
            return Err(Undefined::because(format!(
                "the reference has {n} labelled predictions, fewer than {}",
                tree::MIN_PER_LEAF
            )));
        }
        let numbers = reference[0].at.len();
        if numbers == 0 || reference.iter().any(|observed| observed.at.len() != numbers) {
            return Err(Undefined::because("the reference's inferences have different numbers, or none"));
        }
        if !reference.iter().all(is_finite) {
            return Err(Undefined::because(
                "a number or an error of the reference is not finite, or too large to be squared",
            ));
        }
        let of = |number: usize| reference.iter().map(move |observed| observed.at[number]);
        let range = |number| {
            (
                of(number).fold(f64::INFINITY, f64::min),
                of(number).fold(f64::NEG_INFINITY, f64::max),
            )
        };
        Ok(Self {
            tree: Tree::grow(reference),
            ranges: (0..numbers).map(range).collect(),
        })
    }

    /// The estimate for a window of (numbers, how often), in any order; the bounds are each one-sided at `z` standard deviations.
    ///
    /// # Errors
    /// There are no inferences, one has other numbers than the reference, or one of them is not finite.
    pub fn estimate<N: AsRef<[f64]>>(&self, window: &[(N, u64)], z: f64) -> Result<Estimate, Undefined> {
        let (mut counts, mut outside) = (vec![0.0; self.tree.leaves().len()], 0.0);
        for (at, count) in window {
            let (at, count) = (at.as_ref(), *count as f64);
            if at.len() != self.ranges.len() || !at.iter().all(|number| number.is_finite()) {
                return Err(Undefined::because(
                    "an inference has other numbers than the reference, or one is not finite",
                ));
            }
            counts[self.tree.leaf_of(at)] += count;
            if at
                .iter()
                .zip(&self.ranges)
                .any(|(number, range)| *number < range.0 || *number > range.1)
            {
                outside += count;
            }
        }
        let n: f64 = counts.iter().sum();
        if n <= 0.0 {
            return Err(Undefined::because("there are no inferences"));
        }
        let mean = |of: &dyn Fn(&Leaf, f64) -> f64| -> f64 {
            let leaves = self.tree.leaves().iter().zip(&counts);
            leaves.map(|(leaf, count)| count / n * of(leaf, count / n)).sum()
        };
        let mean_absolute_error = mean(&|leaf, _| leaf.mean());
        let half_width = z * mean(&|leaf, share| leaf.variance() * (share / leaf.n + 1.0 / n)).sqrt();
        Ok(Estimate {
            mean_absolute_error,
            bounds: Bounds {
                lower: (mean_absolute_error - half_width).max(0.0),
                upper: mean_absolute_error + half_width,
            },
            root_mean_squared_error: mean(&|leaf, _| leaf.squared / leaf.n).sqrt(),
            outside: outside / n,
        })
    }
}

/// Whether sums of what is observed stay finite: squares of the largest errors have room for the largest counts.
fn is_finite(observed: &Observed) -> bool {
    let sum = observed.error * observed.error * u64::MAX as f64;
    sum.is_finite() && observed.at.iter().all(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::regression::Sums;
    use super::*;

    const Z: f64 = 1.959963984540054;

    fn observed(at: f64, error: f64, count: u64) -> Observed {
        let at = vec![at];
        Observed { at, error, count }
    }

    /// Predictions from 0 to 1, as far to the right as `lean` says, with errors that grow with them and with a feature.
    fn draw(n: u32, lean: f64, rng: &mut impl Rng) -> Vec<Observed> {
        let row = |_| {
            let at = vec![rng.random::<f64>().powf(lean), rng.random::<f64>().powf(lean)];
            let error = (1.0 + 3.0 * at[0] * at[1]) * (rng.random::<f64>() + rng.random::<f64>() - 1.0);
            Observed { at, error, count: 1 }
        };
        (0..n).map(row).collect()
    }

    fn window(rows: &[Observed]) -> Vec<(Vec<f64>, u64)> {
        rows.iter().map(|row| (row.at.clone(), row.count)).collect()
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
            let rows = draw(1_000, 0.5, &mut rng);
            let (estimate, error) = (model.estimate(&window(&rows), Z).unwrap(), realised(&rows));
            assert!((estimate.mean_absolute_error / error - 1.0).abs() < 0.15 && error > 1.2 * realised(&reference));
            within += u32::from(estimate.bounds.lower <= error && error <= estimate.bounds.upper);
        }
        // 95 % of 300, less three standard deviations.
        assert!(within >= 273, "{within}");
    }

    #[test]
    fn what_lies_beyond_the_reference_is_counted_and_takes_the_errors_at_its_ends() {
        let reference: Vec<Observed> = (0..1_000_u32)
            .map(|row| observed(f64::from(row), f64::from(row / 500), 1))
            .collect();
        let model = ErrorModel::learn(&reference).unwrap();
        let estimate = model.estimate(&[([-5.0], 1), ([0.0], 1), ([999.0], 1), ([1e6], 1)], Z).unwrap();
        assert_eq!((estimate.mean_absolute_error, estimate.outside), (0.5, 0.5));
    }

    #[test]
    fn what_cannot_be_learnt_or_estimated_says_so() {
        assert!(ErrorModel::learn(&[]).is_err());
        assert!(ErrorModel::learn(&[observed(1.0, 1.0, tree::MIN_PER_LEAF - 1)]).is_err());
        let unlike = Observed {
            at: vec![1.0, 2.0],
            error: 0.0,
            count: 1,
        };
        for broken in [
            observed(f64::NAN, 0.0, 1),
            observed(0.0, f64::NAN, 1),
            observed(0.0, 1e200, 1),
            unlike,
        ] {
            assert!(ErrorModel::learn(&[observed(1.0, 1.0, 500), broken]).is_err());
        }
        let model = ErrorModel::learn(&[observed(1.0, 1.0, 500)]).unwrap();
        assert!(model.estimate::<[f64; 1]>(&[], Z).is_err() && model.estimate(&[([1.0], 0)], Z).is_err());
        assert!(model.estimate(&[([f64::NAN], 1)], Z).is_err() && model.estimate(&[([1.0, 2.0], 1)], Z).is_err());
    }

    proptest! {
        #[test]
        fn on_the_reference_the_estimate_is_the_error_it_had(rows in prop::collection::vec((-20_i8..20, -9.0..9.0), 110..400)) {
            let reference: Vec<Observed> = rows.iter().map(|&(at, error)| observed(f64::from(at), error, 1)).collect();
            let model = ErrorModel::learn(&reference).unwrap();
            let estimate = model.estimate(&window(&reference), Z).unwrap();
            prop_assert!((estimate.mean_absolute_error - realised(&reference)).abs() < 1e-9);
            prop_assert_eq!(estimate.outside, 0.0);
        }
    }
}
