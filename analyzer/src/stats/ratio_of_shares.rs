//! Bounds of the ratio of two shares: the score method (Koopman 1984; Miettinen and Nurminen 1985).

use super::miettinen_nurminen::Share;
use super::{Bounds, Undefined};

/// Halvings of the interval in which the logarithm of a bound is searched.
const HALVINGS: u32 = 80;
/// The largest ratio, and the inverse of the smallest, that is searched for: as a logarithm.
const LARGEST_LOG: f64 = 40.0;

/// Bounds of `current / reference`, each one-sided at `z` standard deviations: the ratios at which the statistic of Miettinen and
/// Nurminen, with their correction n / (n − 1) of the variance, is `z`. The upper bound is infinite where nothing of the
/// reference has the property, the lower 0 where nothing of `current` has it.
/// Agrees with `statsmodels.stats.proportion.confint_proportions_2indep(compare="ratio", method="score", correction=True)`.
///
/// # Errors
/// Nothing was observed of a side, or nothing of either side has the property: any ratio is possible.
pub fn bounds(current: Share, reference: Share, z: f64) -> Result<Bounds, Undefined> {
    if current.n <= 0.0 || reference.n <= 0.0 {
        return Err(Undefined::because("nothing was observed of a side"));
    }
    if current.successes <= 0.0 && reference.successes <= 0.0 {
        return Err(Undefined::because("neither side has any: every ratio is possible"));
    }
    let lower = if current.successes <= 0.0 {
        0.0
    } else {
        search(|log| score(current, reference, log.exp()) > z).exp()
    };
    let upper = if reference.successes <= 0.0 {
        f64::INFINITY
    } else {
        search(|log| score(current, reference, log.exp()) > -z).exp()
    };
    Ok(Bounds { lower, upper })
}

/// The logarithm of the smallest ratio that `is_too_small` does not refuse.
fn search(is_too_small: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (-LARGEST_LOG, LARGEST_LOG);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if is_too_small(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// How many standard deviations the observed shares lie above `ratio`.
fn score(current: Share, reference: Share, ratio: f64) -> f64 {
    let (p, q) = restricted(current, reference, ratio);
    let n = current.n + reference.n;
    let variance = (p * (1.0 - p) / current.n + ratio * ratio * q * (1.0 - q) / reference.n) * n / (n - 1.0).max(1.0);
    let difference = current.estimate() - ratio * reference.estimate();
    if variance <= 0.0 {
        return difference.signum() * f64::INFINITY;
    }
    difference / variance.sqrt()
}

/// The most likely shares whose ratio is exactly `ratio`: the root of a quadratic.
fn restricted(current: Share, reference: Share, ratio: f64) -> (f64, f64) {
    let a = (current.n + reference.n) * ratio;
    let b = -(current.n * ratio + current.successes + reference.n + reference.successes * ratio);
    let c = current.successes + reference.successes;
    // −b is positive: the smaller root without cancellation.
    let q = (2.0 * c / (-b + (b * b - 4.0 * a * c).max(0.0).sqrt())).clamp(0.0, 1.0_f64.min(1.0 / ratio));
    ((q * ratio).min(1.0), q)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn share(successes: u32, n: u32) -> Share {
        Share {
            successes: f64::from(successes),
            n: f64::from(n),
        }
    }

    #[test]
    fn of_nothing_there_is_no_ratio() {
        assert!(bounds(share(0, 0), share(1, 10), 2.0).is_err());
        assert!(bounds(share(0, 10), share(0, 10), 2.0).is_err());
        assert_eq!(bounds(share(0, 10), share(3, 10), 2.0).unwrap().lower, 0.0);
        assert_eq!(bounds(share(3, 10), share(0, 10), 2.0).unwrap().upper, f64::INFINITY);
    }

    proptest! {
        #[test]
        fn bounds_hold_the_ratio_and_turn_over_with_the_sides(x in 1u32..200, y in 1u32..200, z in 0.5..5.0f64) {
            let (one, other) = (share(x, 220), share(y, 300));
            let found = bounds(one, other, z).unwrap();
            let ratio = one.estimate() / other.estimate();
            prop_assert!(found.lower <= ratio * (1.0 + 1e-9) && ratio <= found.upper * (1.0 + 1e-9), "{found:?} {ratio}");
            let turned = bounds(other, one, z).unwrap();
            prop_assert!((turned.lower * found.upper - 1.0).abs() < 1e-6 && (turned.upper * found.lower - 1.0).abs() < 1e-6);
        }
    }

    /// One-sided 99 % bounds of a ratio of 1.2 are wrong in about one of a hundred draws.
    #[test]
    fn bounds_are_wrong_as_often_as_they_may() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let draws = 4_000;
        let mut draw = |n: u32, p: f64| share((0..n).filter(|_| random.random_bool(p)).count() as u32, n);
        let (mut below, mut above) = (0, 0);
        for _ in 0..draws {
            let found = bounds(draw(400, 0.12), draw(600, 0.10), 2.326_347_9).unwrap();
            below += usize::from(found.upper < 1.2);
            above += usize::from(found.lower > 1.2);
        }
        assert!(
            (15..=75).contains(&below) && (15..=75).contains(&above),
            "{below} {above} of {draws}"
        );
    }
}
