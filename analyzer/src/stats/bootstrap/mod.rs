//! Bootstrap intervals of any statistic of counted observations (Efron 1979, 1987).
//!
//! Observations come as cells with counts: distinct values, or pairs of score and label. A resample is a multinomial draw of
//! the counts, so that its cost follows the cells and not the observations, of which a day may hold a thousand million. For
//! what has bounds in closed form those are better and cheaper; this is for what has none, such as average precision.
//!
//! A bootstrap takes observations for independent and the statistic for smooth: it is too narrow below some 30 observations,
//! and wrong for minima, maxima and distances that are near 0.

mod multinomial;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Bounds, Undefined, normal};

/// How an interval is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// How many resamples are drawn: with 1,000 the bounds of a tail of 0.025 vary by some 4 % of their distance.
    pub resamples: u32,
    /// The one-sided error of each bound, for example 0.025.
    pub tail: f64,
    /// What the draws follow from, so that computing it again gives the same.
    pub seed: u64,
}

/// The quantiles of the statistic over resamples. `counts` says how often each cell was observed, and `statistic` computes from
/// such counts. Agrees with `scipy.stats.bootstrap(method="percentile")` within its own variation.
///
/// # Errors
/// There are no observations, `tail` is not between 0 and one half or needs more resamples, or the statistic has no value for
/// the observations or for one of the resamples: with so few of a kind that a resample can have none, nothing can be said.
pub fn percentile(
    counts: &[u64],
    statistic: impl Fn(&[u64]) -> Result<f64, Undefined>,
    resampling: Resampling,
) -> Result<Bounds, Undefined> {
    statistic(counts)?;
    let sorted = sorted_resamples(counts, &statistic, resampling)?;
    Ok(Bounds {
        lower: quantile(&sorted, resampling.tail),
        upper: quantile(&sorted, 1.0 - resampling.tail),
    })
}

/// As [`percentile`], with its quantiles moved for the bias of the statistic and for how its deviation changes with its value
/// (bias-corrected and accelerated). It is the better interval for skewed statistics; the statistic is computed once more per
/// cell. Agrees with `scipy.stats.bootstrap(method="BCa")` within its own variation.
///
/// # Errors
/// As [`percentile`]; or all resamples lie on one side of the estimate, or leaving an observation out never changes it.
pub fn bias_corrected(
    counts: &[u64],
    statistic: impl Fn(&[u64]) -> Result<f64, Undefined>,
    resampling: Resampling,
) -> Result<Bounds, Undefined> {
    let estimate = statistic(counts)?;
    let sorted = sorted_resamples(counts, &statistic, resampling)?;
    let below = sorted.partition_point(|value| *value < estimate);
    let not_above = sorted.partition_point(|value| *value <= estimate);
    let share_below = (below + not_above) as f64 / (2 * sorted.len()) as f64;
    if share_below <= 0.0 || share_below >= 1.0 {
        return Err(Undefined::because("all resamples lie on one side of the estimate"));
    }
    let bias = -normal::from_upper_tail(share_below);
    let acceleration = acceleration(counts, &statistic)?;
    let moved = |z: f64| {
        let shifted = bias + z;
        let corrected = bias + shifted / (1.0 - acceleration * shifted);
        quantile(&sorted, normal::upper_tail(-corrected))
    };
    let z = normal::from_upper_tail(resampling.tail);
    Ok(Bounds {
        lower: moved(-z),
        upper: moved(z),
    })
}

fn sorted_resamples(
    counts: &[u64],
    statistic: &impl Fn(&[u64]) -> Result<f64, Undefined>,
    resampling: Resampling,
) -> Result<Vec<f64>, Undefined> {
    if counts
        .iter()
        .try_fold(0_u64, |sum, count| sum.checked_add(*count))
        .is_none_or(|n| n == 0)
    {
        return Err(Undefined::because("there are no observations, or more than 64 bits can count"));
    }
    if !(resampling.tail > 0.0 && resampling.tail < 0.5) {
        return Err(Undefined::because("the error of a bound has to lie between 0 and one half"));
    }
    if f64::from(resampling.resamples) * resampling.tail < 1.0 {
        return Err(Undefined::because(
            "there are too few resamples to see so small an error of a bound",
        ));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(resampling.seed);
    let mut resample = vec![0; counts.len()];
    let mut values = Vec::new();
    for _ in 0..resampling.resamples {
        multinomial::draw(counts, &mut resample, &mut rng);
        values.push(finite(statistic(&resample)?)?);
    }
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

/// A sixth of the skewness of what leaving out one observation does, by the jackknife: cells have one value each.
fn acceleration(counts: &[u64], statistic: &impl Fn(&[u64]) -> Result<f64, Undefined>) -> Result<f64, Undefined> {
    let mut left = counts.to_vec();
    let mut without = Vec::with_capacity(counts.len());
    for (cell, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        left[cell] = count - 1;
        without.push((finite(statistic(&left)?)?, count as f64));
        left[cell] = count;
    }
    let n: f64 = without.iter().map(|(_, count)| count).sum();
    let mean = without.iter().map(|(value, count)| value * count).sum::<f64>() / n;
    let moment = |power: i32| without.iter().map(|(value, count)| count * (mean - value).powi(power)).sum::<f64>();
    let spread = moment(2).powf(1.5);
    if spread > 0.0 {
        Ok(moment(3) / (6.0 * spread))
    } else {
        Err(Undefined::because("leaving out an observation never changes the statistic"))
    }
}

fn finite(value: f64) -> Result<f64, Undefined> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Undefined::because("the statistic of a resample is not finite"))
    }
}

/// The quantile by linear interpolation between order statistics, as `numpy.percentile` has it.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESAMPLING: Resampling = Resampling {
        resamples: 2_000,
        tail: 0.025,
        seed: 8,
    };

    /// The mean where the value of a cell is its position.
    fn mean(counts: &[u64]) -> Result<f64, Undefined> {
        let n: u64 = counts.iter().sum();
        let sum: f64 = counts
            .iter()
            .zip(0_u32..)
            .map(|(&count, value)| f64::from(value) * count as f64)
            .sum();
        if n == 0 {
            Err(Undefined::because("nothing"))
        } else {
            Ok(sum / n as f64)
        }
    }

    #[test]
    fn a_mean_of_many_has_its_normal_interval() {
        for counts in [[300, 500, 200], [300_000_000, 500_000_000, 200_000_000]] {
            let n = counts.iter().sum::<u64>() as f64;
            let half_width = 1.959963984540054 * (0.49 / n).sqrt();
            for bounds in [
                percentile(&counts, mean, RESAMPLING).unwrap(),
                bias_corrected(&counts, mean, RESAMPLING).unwrap(),
            ] {
                assert!(((0.9 - bounds.lower) / half_width - 1.0).abs() < 0.12, "{bounds:?}");
                assert!(((bounds.upper - 0.9) / half_width - 1.0).abs() < 0.12, "{bounds:?}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_and_another_something_near() {
        let counts = [3, 5, 2, 9];
        let first = percentile(&counts, mean, RESAMPLING).unwrap();
        assert_eq!(percentile(&counts, mean, RESAMPLING).unwrap(), first);
        let other = percentile(&counts, mean, Resampling { seed: 9, ..RESAMPLING }).unwrap();
        assert!((other.lower - first.lower).abs() < 0.2 && (other.upper - first.upper).abs() < 0.2);
    }

    #[test]
    fn a_constant_has_no_width_and_no_acceleration() {
        assert_eq!(percentile(&[0, 7], mean, RESAMPLING).unwrap(), Bounds { lower: 1.0, upper: 1.0 });
        assert!(bias_corrected(&[0, 7], mean, RESAMPLING).is_err());
    }

    #[test]
    fn what_cannot_be_resampled_says_so() {
        assert!(percentile(&[], mean, RESAMPLING).is_err() && percentile(&[0, 0], mean, RESAMPLING).is_err());
        let settings = |resamples, tail| Resampling { resamples, tail, seed: 1 };
        assert!(percentile(&[1, 1], mean, settings(10, 0.025)).is_err());
        for tail in [0.0, 0.5, f64::NAN, -1.0] {
            assert!(percentile(&[1, 1], mean, settings(1_000, tail)).is_err());
        }
        // One of three observations is left out of a resample in three of ten.
        let needs_first = |counts: &[u64]| {
            if counts[0] == 0 {
                Err(Undefined::because("it is missing"))
            } else {
                Ok(0.0)
            }
        };
        assert!(percentile(&[1, 2], needs_first, RESAMPLING).is_err());
        assert!(percentile(&[1, 2], |_: &[u64]| Ok(f64::NAN), RESAMPLING).is_err());
    }
}
