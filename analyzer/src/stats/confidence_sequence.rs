//! Always-valid bounds of a mean: a confidence sequence, which holds at every look at once (Robbins 1970; Waudby-Smith,
//! Arbour, Sinha, Kennedy and Ramdas 2023, "Time-uniform central limit theory and asymptotic confidence sequences").

use super::Undefined;

/// The number of observations at which the sequence is narrowest, as in GrowthBook.
pub const NARROWEST_AT: f64 = 5_000.0;

/// Half of the width of the two-sided interval around the mean of `n` observations that holds, with probability
/// 1 − `alpha`, at every n together, however often it is looked at and whatever made one stop: the normal mixture, with
/// its parameter chosen for [`NARROWEST_AT`]. It is wider than the interval for one look at a fixed n, there by half.
///
/// `variance` is that of one observation: of a difference of two means, its squared standard error times all
/// observations. Where it is estimated, the bounds hold in the limit, so the first hundred observations or so should
/// pass unlooked at. Values from buckets move the mean by 0.4 % at most, which the width does not cover.
/// Agrees with `gbstats.frequentist.tests.SequentialTwoSidedTTest`, whose interval it is half of.
///
/// # Errors
/// There are no observations, the variance is negative or not finite, or `alpha` is not between 0 and 1.
pub fn half_width(variance: f64, n: u64, alpha: f64) -> Result<f64, Undefined> {
    if n == 0 {
        return Err(Undefined::because("there are no observations"));
    }
    if !(variance.is_finite() && variance >= 0.0) {
        return Err(Undefined::because("the variance is not a finite number from 0 on"));
    }
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(Undefined::because("the error of the bounds is not between 0 and 1"));
    }
    let n = n as f64;
    let mixture = (-2.0 * alpha.ln() + (1.0 - 2.0 * alpha.ln()).ln()) / NARROWEST_AT;
    let spread = n * mixture + 1.0;
    // ln(√spread / α), in parts that do not overflow where α is tiny.
    let log = spread.ln() / 2.0 - alpha.ln();
    Ok(variance.sqrt() * (2.0 * spread * log / mixture).sqrt() / n)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::normal;

    const ALPHA: f64 = 0.05;
    const STREAMS: u64 = 600;
    const LOOKS: u64 = 4_000;
    /// Looks that pass before an estimated variance is relied on.
    const UNLOOKED: u64 = 100;

    /// Of streams whose mean is 0, the share in which a bound excluded 0 at any look. `next` gives observations with mean
    /// 0; the variance is the one given, or that of the observations so far.
    fn excluded(variance: Option<f64>, half_width: impl Fn(f64, u64) -> f64, next: impl Fn(&mut ChaCha8Rng) -> f64) -> f64 {
        let wrong = (0..STREAMS).filter(|&stream| {
            let mut random = ChaCha8Rng::seed_from_u64(stream);
            let (mut sum, mut squares) = (0.0, 0.0);
            (1..=LOOKS).any(|n| {
                let observation = next(&mut random);
                sum += observation;
                squares += observation * observation;
                let mean = sum / n as f64;
                let variance = variance.unwrap_or(squares / n as f64 - mean * mean);
                n > UNLOOKED && mean.abs() > half_width(variance, n)
            })
        });
        wrong.count() as f64 / STREAMS as f64
    }

    /// Not a normal number's tails, but its mean and variance: the sum of twelve uniform numbers, less six.
    fn near_normal(random: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
    }

    fn conversion(random: &mut ChaCha8Rng) -> f64 {
        f64::from(u8::from(random.random_bool(0.1))) - 0.1
    }

    #[test]
    fn bounds_hold_at_every_look_together() {
        let always_valid = |variance, n| half_width(variance, n, ALPHA).unwrap();
        // Three standard deviations of the simulation above the error that is allowed.
        let allowed = ALPHA + 3.0 * (ALPHA * (1.0 - ALPHA) / STREAMS as f64).sqrt();
        let known = excluded(Some(1.0), always_valid, near_normal);
        let estimated = excluded(None, always_valid, conversion);
        assert!(known <= allowed && estimated <= allowed, "{known} {estimated}");
        // The interval for one look at a fixed n is wrong far more often when it is looked at every time.
        let z = normal::from_upper_tail(ALPHA / 2.0);
        let fixed = excluded(Some(1.0), |variance, n| z * (variance / n as f64).sqrt(), near_normal);
        assert!(fixed > 0.25, "{fixed}");
    }

    #[test]
    fn it_is_narrowest_where_it_was_told_to_be() {
        let times_wider = |n: u64| half_width(2.5, n, ALPHA).unwrap() / (2.5 / n as f64).sqrt();
        assert!(times_wider(5_000) < times_wider(2_000) && times_wider(5_000) < times_wider(15_000));
    }

    #[test]
    fn what_has_no_bounds_says_why() {
        assert!(half_width(1.0, 0, ALPHA).is_err());
        assert!(
            [-1.0, f64::NAN, f64::INFINITY]
                .iter()
                .all(|variance| half_width(*variance, 9, ALPHA).is_err())
        );
        assert!([0.0, 1.0, -0.1, f64::NAN].iter().all(|alpha| half_width(1.0, 9, *alpha).is_err()));
        assert_eq!(half_width(0.0, 9, ALPHA), Ok(0.0));
        assert!(half_width(1.0, u64::MAX, f64::MIN_POSITIVE).unwrap() > 0.0);
    }
}
