//! A line through measured values: how much they change in a unit of time, and how sure that is.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Bounds, Undefined};

/// A value that was measured at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When, in any unit.
    pub time: f64,
    /// What was measured.
    pub value: f64,
    /// Its standard error, above 0.
    pub standard_error: f64,
}

/// A straight line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Change of the value in a unit of time.
    pub slope: f64,
    /// The standard error of the slope.
    pub standard_error: f64,
    /// The line's value at the first point.
    pub begin: f64,
    /// The line's value at the last point.
    pub end: f64,
    /// Points less the two that a line takes.
    pub degrees_of_freedom: u64,
}

impl Trend {
    /// Weighted least squares, each point by the inverse of its variance. Where points lie farther from the line than their
    /// standard errors allow, the slope's is larger by as much as χ² exceeds its degrees of freedom (Birge's ratio): days differ by
    /// more than chance. Agrees with `numpy.polyfit(time, value, 1, w=1/standard_error, cov="unscaled")` where they do not, and with
    /// `cov=True` where they do.
    ///
    /// # Errors
    /// There are fewer than three points, all at one time, or one is not finite or has no standard error.
    pub fn through(points: &[Point]) -> Result<Self, Undefined> {
        if points.len() < 3 {
            return Err(Undefined::because(format!("a trend takes 3 points, there are {}", points.len())));
        }
        let is_usable = |point: &Point| {
            point.time.is_finite() && point.value.is_finite() && point.standard_error.is_finite() && point.standard_error > 0.0
        };
        if !points.iter().all(is_usable) {
            return Err(Undefined::because("a point has no time, no value or no standard error"));
        }
        let weight = |point: &Point| point.standard_error.powi(-2);
        let sum = |of: &dyn Fn(&Point) -> f64| points.iter().map(|point| weight(point) * of(point)).sum::<f64>();
        let total = sum(&|_| 1.0);
        let (time, value) = (sum(&|point| point.time) / total, sum(&|point| point.value) / total);
        let spread = sum(&|point| (point.time - time).powi(2));
        if spread <= 0.0 {
            return Err(Undefined::because("all points are of one time"));
        }
        let slope = sum(&|point| (point.time - time) * (point.value - value)) / spread;
        let at = |instant: f64| value + slope * (instant - time);
        let degrees_of_freedom = points.len() as u64 - 2;
        let misfit = sum(&|point| (point.value - at(point.time)).powi(2)) / degrees_of_freedom as f64;
        let first = points.iter().map(|point| point.time).fold(f64::INFINITY, f64::min);
        let last = points.iter().map(|point| point.time).fold(f64::NEG_INFINITY, f64::max);
        Ok(Self {
            slope,
            standard_error: (misfit.max(1.0) / spread).sqrt(),
            begin: at(first),
            end: at(last),
            degrees_of_freedom,
        })
    }

    /// The slope's bounds, each wrong with probability `error` at most, by Student's t.
    pub fn bounds(&self, error: f64) -> Bounds {
        // The parameters are those of a distribution: there is at least one degree of freedom.
        let quantile = StudentsT::new(0.0, 1.0, self.degrees_of_freedom as f64).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - error));
        Bounds {
            lower: self.slope - quantile * self.standard_error,
            upper: self.slope + quantile * self.standard_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    const TIMES: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 5.0, 6.0, 9.0, 10.0];
    const VALUES: [f64; 8] = [0.91, 0.905, 0.90, 0.91, 0.88, 0.885, 0.87, 0.86];
    const ERRORS: [f64; 8] = [0.01, 0.01, 0.02, 0.01, 0.01, 0.02, 0.01, 0.01];

    fn points(noise: f64) -> Vec<Point> {
        let point = |i: usize| Point {
            time: TIMES[i],
            value: VALUES[i] + if i.is_multiple_of(2) { noise } else { -noise },
            standard_error: ERRORS[i],
        };
        (0..8).map(point).collect()
    }

    #[test]
    fn lines_agree_with_numpy() {
        // numpy.polyfit, version 2.4.
        for (noise, slope, begin, standard_error) in [
            (0.0, -0.005_028_56, 0.912_631_81, 0.001_068_81),
            (0.05, -0.005_599_74, 0.915_268_01, 0.005_314_42),
        ] {
            let trend = Trend::through(&points(noise)).unwrap();
            for (found, expected) in [(trend.slope, slope), (trend.begin, begin), (trend.standard_error, standard_error)] {
                assert!((found - expected).abs() < 1e-8, "{noise}: {found} {expected}");
            }
        }
    }

    #[test]
    fn bounds_are_those_of_students_t() {
        let trend = Trend::through(&points(0.0)).unwrap();
        // scipy.stats.t.isf(0.01, 6).
        let bounds = trend.bounds(0.01);
        assert!((bounds.upper - trend.slope - 3.142_668_403 * trend.standard_error).abs() < 1e-9);
        assert!((bounds.upper + bounds.lower - 2.0 * trend.slope).abs() < 1e-12);
    }

    #[test]
    fn bounds_hold_also_where_days_differ_by_more_than_chance() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut wrong = 0;
        for _ in 0..1_000 {
            let point = |day: usize| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                Point {
                    time: day as f64,
                    value: 0.9 + 0.03 * noise,
                    standard_error: 0.01,
                }
            };
            let points: Vec<Point> = (0..14).map(point).collect();
            wrong += usize::from(Trend::through(&points).unwrap().bounds(0.01).lower > 0.0);
        }
        // 1 %, and four standard deviations of the simulation.
        assert!(wrong <= 23, "{wrong}");
    }

    #[test]
    fn what_has_no_trend_says_why() {
        let because = |points: &[Point]| Trend::through(points).unwrap_err().0;
        assert!(because(&points(0.0)[..2]).contains("takes 3 points"));
        let mut same = points(0.0);
        same.iter_mut().for_each(|point| point.time = 1.0);
        assert!(because(&same).contains("one time"));
        same[0].standard_error = 0.0;
        assert!(because(&same).contains("no standard error"));
    }
}
