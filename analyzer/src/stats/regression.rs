//! Quality of a regression from sums over (truth, prediction) pairs that can be merged: minutes into hours, hours into days.
//!
//! The errors themselves are needed: pairs of buckets would leave errors of up to 0.8 % of the values.

use super::{Bounds, Undefined};

/// A sum with twice the digits of a double (Dekker 1971), so that the order of adding and merging does not show, and the
/// variance of numbers that lie far from 0 is not lost in the difference of two large sums.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExactSum {
    high: f64,
    low: f64,
}

impl ExactSum {
    /// The sum as a double.
    pub fn value(self) -> f64 {
        self.high + self.low
    }

    fn plus(self, other: Self) -> Self {
        let (sum, error) = two_sum(self.high, other.high);
        Self::of(sum, error + self.low + other.low)
    }

    fn minus(self, other: Self) -> Self {
        self.plus(Self {
            high: -other.high,
            low: -other.low,
        })
    }

    fn times(self, factor: f64) -> Self {
        let product = Self::product(self.high, factor);
        Self::of(product.high, product.low + self.low * factor)
    }

    fn squared(self) -> Self {
        let square = Self::product(self.high, self.high);
        Self::of(square.high, square.low + 2.0 * self.high * self.low)
    }

    fn divided(self, divisor: f64) -> Self {
        let quotient = self.high / divisor;
        let rest = self.minus(Self::product(quotient, divisor));
        Self::of(quotient, rest.value() / divisor)
    }

    fn product(a: f64, b: f64) -> Self {
        let product = a * b;
        Self {
            high: product,
            low: a.mul_add(b, -product),
        }
    }

    fn of(a: f64, b: f64) -> Self {
        let (high, low) = two_sum(a, b);
        Self { high, low }
    }
}

/// A double that was summed elsewhere, for example by a database.
impl From<f64> for ExactSum {
    fn from(sum: f64) -> Self {
        Self { high: sum, low: 0.0 }
    }
}

/// The rounded sum and what the rounding lost (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// Sums over labelled predictions. An error is prediction minus truth, in the unit of the target.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Labelled predictions.
    pub n: u64,
    /// Of the errors, with their sign.
    pub errors: ExactSum,
    /// Of the errors without their sign.
    pub absolute_errors: ExactSum,
    /// Of the squared errors.
    pub squared_errors: ExactSum,
    /// Of the squares of those.
    pub fourth_powers: ExactSum,
    /// Of the true values.
    pub truths: ExactSum,
    /// Of the squared true values.
    pub squared_truths: ExactSum,
}

impl Sums {
    /// Counts `count` labelled predictions. A value that is not finite leaves the measures without value: those are counted
    /// apart, before.
    pub fn add(&mut self, truth: f64, prediction: f64, count: u64) {
        let times = count as f64;
        let error = ExactSum::of(prediction, -truth);
        let absolute = if error.high < 0.0 { error.times(-1.0) } else { error };
        self.n += count;
        self.errors = self.errors.plus(error.times(times));
        self.absolute_errors = self.absolute_errors.plus(absolute.times(times));
        self.squared_errors = self.squared_errors.plus(error.squared().times(times));
        self.fourth_powers = self.fourth_powers.plus(error.squared().squared().times(times));
        self.truths = self.truths.plus(ExactSum::product(truth, times));
        self.squared_truths = self.squared_truths.plus(ExactSum::product(truth, truth).times(times));
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.errors = self.errors.plus(other.errors);
        self.absolute_errors = self.absolute_errors.plus(other.absolute_errors);
        self.squared_errors = self.squared_errors.plus(other.squared_errors);
        self.fourth_powers = self.fourth_powers.plus(other.fourth_powers);
        self.truths = self.truths.plus(other.truths);
        self.squared_truths = self.squared_truths.plus(other.squared_truths);
    }

    /// The mean error without its sign. Agrees with `sklearn.metrics.mean_absolute_error`.
    ///
    /// # Errors
    /// There are no labelled predictions, or their sum is not finite.
    pub fn mean_absolute_error(&self) -> Result<f64, Undefined> {
        self.mean(self.absolute_errors)
    }

    /// Bounds of the mean absolute error, each one-sided at `z` standard deviations of a mean of independent errors; not
    /// below 0. With fewer than some 30 errors, or with tails so heavy that one error makes up the sum, they are too narrow.
    ///
    /// # Errors
    /// There are fewer than two labelled predictions, or a sum is not finite.
    pub fn mean_absolute_error_bounds(&self, z: f64) -> Result<Bounds, Undefined> {
        let (mean, half_width) = self.spread_of_mean(self.squared_errors, self.absolute_errors, z)?;
        Ok(Bounds {
            lower: (mean - half_width).max(0.0),
            upper: mean + half_width,
        })
    }

    /// The root of the mean squared error. Agrees with `sklearn.metrics.root_mean_squared_error`.
    ///
    /// # Errors
    /// There are no labelled predictions, or their sum is not finite.
    pub fn root_mean_squared_error(&self) -> Result<f64, Undefined> {
        Ok(self.mean(self.squared_errors)?.max(0.0).sqrt())
    }

    /// Bounds of the root of the mean squared error: the roots of those of the mean, each one-sided at `z` standard deviations
    /// of a mean of independent squares. With fewer than some 100 errors, or with heavy tails, they are too narrow.
    ///
    /// # Errors
    /// There are fewer than two labelled predictions, or a sum is not finite.
    pub fn root_mean_squared_error_bounds(&self, z: f64) -> Result<Bounds, Undefined> {
        let (mean, half_width) = self.spread_of_mean(self.fourth_powers, self.squared_errors, z)?;
        Ok(Bounds {
            lower: (mean - half_width).max(0.0).sqrt(),
            upper: (mean + half_width).sqrt(),
        })
    }

    /// A mean, and how far it is from the true one at `z` standard deviations; from the sum and that of the squares.
    fn spread_of_mean(&self, squares: ExactSum, sum: ExactSum, z: f64) -> Result<(f64, f64), Undefined> {
        if self.n < 2 {
            return Err(Undefined::because(
                "fewer than two labelled predictions do not show how much errors vary",
            ));
        }
        let n = self.n as f64;
        let variance = finite(spread(squares, sum, n))?.max(0.0) / (n - 1.0);
        Ok((self.mean(sum)?, finite(z * (variance / n).sqrt())?))
    }

    /// The mean error with its sign: above 0 where predictions are too high. Agrees with `numpy.mean(prediction - truth)`.
    ///
    /// # Errors
    /// There are no labelled predictions, or their sum is not finite.
    pub fn mean_error(&self) -> Result<f64, Undefined> {
        self.mean(self.errors)
    }

    /// The share of the truth's variance that the predictions explain: 1 is perfect, 0 is as good as always predicting the
    /// mean, below 0 is worse. Agrees with `sklearn.metrics.r2_score`.
    ///
    /// # Errors
    /// There are fewer than two labelled predictions, the truth never varies, or a sum is not finite.
    pub fn r2(&self) -> Result<f64, Undefined> {
        if self.n < 2 {
            return Err(Undefined::because(
                "fewer than two labelled predictions have no variance to explain",
            ));
        }
        let of_truth = finite(spread(self.squared_truths, self.truths, self.n as f64))?;
        // What is left of a constant truth's sums is rounding in their last digits.
        if of_truth <= self.squared_truths.value() * f64::EPSILON * f64::EPSILON * self.n as f64 {
            return Err(Undefined::because("the truth never varies: there is nothing to explain"));
        }
        finite(1.0 - self.squared_errors.value() / of_truth)
    }

    fn mean(&self, sum: ExactSum) -> Result<f64, Undefined> {
        if self.n == 0 {
            return Err(Undefined::because("there are no labelled predictions"));
        }
        finite(sum.value() / self.n as f64)
    }
}

/// The sum of squared differences from the mean.
fn spread(squares: ExactSum, sum: ExactSum, n: f64) -> f64 {
    squares.minus(sum.squared().divided(n)).value()
}

fn finite(value: f64) -> Result<f64, Undefined> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Undefined::because("a value is not finite, or too large to be squared and summed"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(pairs: &[(f64, f64)]) -> Sums {
        let mut sums = Sums::default();
        pairs.iter().for_each(|&(truth, prediction)| sums.add(truth, prediction, 1));
        sums
    }

    #[test]
    fn nothing_has_no_error_and_one_has_no_bounds() {
        let none = Sums::default();
        assert!(none.mean_absolute_error().is_err() && none.root_mean_squared_error().is_err() && none.mean_error().is_err());
        let one = sums(&[(3.0, 5.0)]);
        assert_eq!(
            (one.mean_absolute_error(), one.root_mean_squared_error(), one.mean_error()),
            (Ok(2.0), Ok(2.0), Ok(2.0))
        );
        assert!(one.mean_absolute_error_bounds(2.0).is_err() && one.r2().is_err());
    }

    #[test]
    fn what_is_not_finite_has_no_value() {
        let broken = sums(&[(0.0, f64::NAN), (1.0, 1.0)]);
        assert!(broken.mean_absolute_error().is_err() && broken.r2().is_err() && broken.mean_absolute_error_bounds(2.0).is_err());
        let huge = sums(&[(0.0, 1e200), (1.0, -1e200)]);
        assert!(huge.root_mean_squared_error().is_err() && huge.mean_absolute_error().is_ok());
    }

    #[test]
    fn a_constant_truth_leaves_nothing_to_explain() {
        for truth in [0.0, 0.1, 1e9 + 0.1, -3.7e-5] {
            let mut constant = Sums::default();
            for step in 0..10_000_u32 {
                constant.add(truth, truth + f64::from(step), 1);
            }
            assert!(constant.r2().is_err(), "{truth}: {:?}", constant.r2());
        }
    }

    #[test]
    fn a_small_variance_far_from_zero_is_not_lost() {
        let mut far = Sums::default();
        for step in 0..1_000_u32 {
            let truth = 1e12 + f64::from(step % 2);
            far.add(truth, truth + 0.25 * f64::from(step % 2), 1);
        }
        // The truth's spread is 250, the squared errors sum to 500 / 16.
        assert!((far.r2().unwrap() - (1.0 - 31.25 / 250.0)).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn merged_and_counted_sums_are_those_of_all_rows(
            pairs in prop::collection::vec((-1e3_f64..1e3, -1e3_f64..1e3), 2..40), cut in 0_usize..40, times in 1_u64..5
        ) {
            let cut = cut.min(pairs.len());
            let mut merged = sums(&pairs[..cut]);
            merged.merge(&sums(&pairs[cut..]));
            let whole = sums(&pairs);
            prop_assert_eq!(merged.mean_absolute_error(), whole.mean_absolute_error());
            prop_assert_eq!(merged.r2(), whole.r2());

            let (mut counted, mut repeated) = (Sums::default(), Sums::default());
            for &(truth, prediction) in &pairs {
                counted.add(truth, prediction, times);
                (0..times).for_each(|_| repeated.add(truth, prediction, 1));
            }
            prop_assert!((counted.r2().unwrap() - repeated.r2().unwrap()).abs() < 1e-12);
            let [counted, repeated] = [counted, repeated].map(|sums| sums.mean_absolute_error_bounds(2.0).unwrap());
            prop_assert!((counted.upper - repeated.upper).abs() < 1e-9);
        }

        #[test]
        fn measures_are_those_of_their_definitions(pairs in prop::collection::vec((-1e3_f64..1e3, -1e3_f64..1e3), 2..40)) {
            let n = pairs.len() as f64;
            let mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / n;
            let explained = pairs.iter().map(|(truth, _)| (truth - mean).powi(2)).sum::<f64>();
            let squares = pairs.iter().map(|(truth, prediction)| (prediction - truth).powi(2)).sum::<f64>();
            let found = sums(&pairs);
            prop_assert!((found.root_mean_squared_error().unwrap() - (squares / n).sqrt()).abs() < 1e-9);
            prop_assert!((found.r2().unwrap() / (1.0 - squares / explained) - 1.0).abs() < 1e-9);
        }
    }
}
