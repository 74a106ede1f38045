//! The standard normal distribution.

use std::f64::consts::FRAC_1_SQRT_2;

/// Beyond this many standard deviations the tail is below the smallest normal double.
const WIDEST: f64 = 37.5;
/// Halvings of the search interval: enough for the last bit of a double.
const HALVINGS: u32 = 64;

/// P(Z > z). Accurate in relative terms far into the tail, which the decisions live in. Agrees with
/// `scipy.stats.norm.sf`.
pub fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// The z with P(Z > z) = `tail`, for tails above 1e-300. Agrees with `scipy.stats.norm.isf`.
pub fn from_upper_tail(tail: f64) -> f64 {
    if tail > 0.5 {
        return -from_upper_tail(1.0 - tail);
    }
    let (mut low, mut high) = (0.0, WIDEST);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if upper_tail(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_scipy() {
        // scipy.stats.norm.isf and .sf, version 1.17.
        for (tail, z) in [
            (0.5, 0.0),
            (0.05, 1.6448536269514729),
            (0.01, 2.3263478740408408),
            (2.8e-7, 5.004524808529147),
            (1e-30, 11.464024688443613),
            (0.99, -2.3263478740408408),
        ] {
            assert!((from_upper_tail(tail) - z).abs() < 1e-9, "{tail}: {} {z}", from_upper_tail(tail));
            assert!((upper_tail(z) / tail - 1.0).abs() < 1e-9);
        }
    }
}
