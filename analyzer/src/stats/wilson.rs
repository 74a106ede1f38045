//! Wilson's score interval of a share (Wilson 1927).

use super::Bounds;

/// Bounds of a share of which `successes` of `n` were seen, each one-sided at `z` standard deviations.
/// Agrees with `statsmodels.stats.proportion.proportion_confint(method="wilson")`. Without observations
/// nothing is known: 0 to 1.
pub fn bounds(successes: f64, n: f64, z: f64) -> Bounds {
    if n <= 0.0 {
        return Bounds { lower: 0.0, upper: 1.0 };
    }
    let share = successes / n;
    let z2 = z * z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half_width = z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).max(0.0).sqrt();
    Bounds {
        lower: if successes <= 0.0 { 0.0 } else { (centre - half_width).max(0.0) },
        upper: if successes >= n { 1.0 } else { (centre + half_width).min(1.0) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact_and_nothing_is_known_of_nothing() {
        assert_eq!(bounds(0.0, 10.0, 2.0).lower, 0.0);
        assert_eq!(bounds(10.0, 10.0, 2.0).upper, 1.0);
        assert_eq!(bounds(0.0, 0.0, 2.0), Bounds { lower: 0.0, upper: 1.0 });
    }
}
