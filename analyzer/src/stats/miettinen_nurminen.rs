//! Bounds of the difference of two shares: the score method (Miettinen and Nurminen 1985) and, for bounds
//! far in the tail, the likelihood ratio beside it.
//!
//! The score test is close to its level at 99 %, but where a decision asks for one error in a million and
//! the shares are small, its tail is too thin: a share of 3 % of 500 exceeds a five-sigma score bound
//! fifty times as often as it should. The signed root of the likelihood ratio stays accurate there, so
//! [`careful_lower`] takes whichever of the two is lower.

use super::normal;

/// Halvings of the interval in which a bound is searched: to 1e-15.
const HALVINGS: u32 = 50;

/// A share: `successes` of `n`. Both may be fractions, where counts were deflated for dependent traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Observations with the property.
    pub successes: f64,
    /// Observations.
    pub n: f64,
}

impl Share {
    /// The observed share.
    pub fn estimate(self) -> f64 {
        self.successes / self.n
    }

    /// The same share as if every observation had been made `factor` times less often.
    pub fn deflated(self, factor: f64) -> Self {
        Self {
            successes: self.successes / factor,
            n: self.n / factor,
        }
    }

    fn log_likelihood(self, p: f64) -> f64 {
        term(self.successes, p) + term(self.n - self.successes, 1.0 - p)
    }
}

fn term(count: f64, p: f64) -> f64 {
    if count <= 0.0 { 0.0 } else { count * p.max(f64::MIN_POSITIVE).ln() }
}

/// The lower bound of `current − reference` at `z` standard deviations, by the score method: where the statistic of the
/// paper's definition is `z` (tests/oracle finds the same by SciPy's root finder).
pub fn lower(current: Share, reference: Share, z: f64) -> f64 {
    search(current, reference, |difference| score(current, reference, difference) > z)
}

/// The lower of the score bound and of the likelihood-ratio bound: for decisions far in the tail.
pub fn careful_lower(current: Share, reference: Share, z: f64) -> f64 {
    let by_likelihood = search(current, reference, |difference| {
        root_of_likelihood_ratio(current, reference, difference) > z
    });
    by_likelihood.min(lower(current, reference, z))
}

/// One-sided p-value of "the current share is not above the reference's", by the score test. Agrees with
/// `statsmodels.stats.proportion.test_proportions_2indep(method="score", alternative="larger", correction=True)`.
pub fn p_value(current: Share, reference: Share) -> f64 {
    normal::upper_tail(score(current, reference, 0.0))
}

/// The smallest difference that `is_too_small` does not refuse, below the observed one.
fn search(current: Share, reference: Share, is_too_small: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (-1.0, current.estimate() - reference.estimate());
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if is_too_small(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// How many standard deviations the observed difference lies above `difference`.
fn score(current: Share, reference: Share, difference: f64) -> f64 {
    let (p, q) = restricted(current, reference, difference);
    let both = current.n + reference.n;
    let variance = (p * (1.0 - p) / current.n + q * (1.0 - q) / reference.n) * both / (both - 1.0);
    let excess = current.estimate() - reference.estimate() - difference;
    if variance > 0.0 {
        excess / variance.sqrt()
    } else if excess > 0.0 {
        f64::INFINITY
    } else {
        0.0
    }
}

fn root_of_likelihood_ratio(current: Share, reference: Share, difference: f64) -> f64 {
    let (p, q) = restricted(current, reference, difference);
    let free = current.log_likelihood(current.estimate()) + reference.log_likelihood(reference.estimate());
    let held = current.log_likelihood(p) + reference.log_likelihood(q);
    let root = (2.0 * (free - held)).max(0.0).sqrt();
    root.copysign(current.estimate() - reference.estimate() - difference)
}

/// The most likely shares whose difference is exactly `difference`: the closed form of the paper's
/// appendix.
fn restricted(current: Share, reference: Share, difference: f64) -> (f64, f64) {
    let (n1, n2) = (current.n, reference.n);
    let (n, successes) = (n1 + n2, current.successes + reference.successes);
    let l3 = n;
    let l2 = (n1 + 2.0 * n2) * difference - n - successes;
    let l1 = (n2 * difference - n - 2.0 * reference.successes) * difference + successes;
    let l0 = reference.successes * difference * (1.0 - difference);
    let q = l2.powi(3) / (3.0 * l3).powi(3) - l1 * l2 / (6.0 * l3 * l3) + l0 / (2.0 * l3);
    let p = (l2 * l2 / (9.0 * l3 * l3) - l1 / (3.0 * l3)).max(0.0).sqrt().copysign(q);
    let ratio = if p == 0.0 { 0.0 } else { (q / p.powi(3)).clamp(-1.0, 1.0) };
    let angle = (std::f64::consts::PI + ratio.acos()) / 3.0;
    let share = (2.0 * p * angle.cos() - l2 / (3.0 * l3)).clamp(0.0_f64.max(-difference), 1.0_f64.min(1.0 - difference));
    ((share + difference).clamp(0.0, 1.0), share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(successes: u32, n: u32) -> Share {
        Share {
            successes: f64::from(successes),
            n: f64::from(n),
        }
    }

    proptest! {
        #[test]
        fn bounds_are_ordered_and_monotone(x in 0u32..200, y in 0u32..200, more in 0u32..100, z in 0.5..6.0f64) {
            let (current, reference) = (share(x, 200 + more), share(y, 200));
            let difference = current.estimate() - reference.estimate();
            let bound = lower(current, reference, z);
            prop_assert!((-1.0..=difference).contains(&bound));
            prop_assert!(lower(current, reference, z + 1.0) <= bound + 1e-12);
            prop_assert!(careful_lower(current, reference, z) <= bound);
        }

        #[test]
        fn restricted_shares_differ_by_the_difference_and_are_the_most_likely(
            x in 0u32..50, y in 0u32..50, difference in -0.95..0.95f64
        ) {
            let (current, reference) = (share(x, 50), share(y, 50));
            let (p, q) = restricted(current, reference, difference);
            prop_assert!((p - q - difference).abs() < 1e-9);
            let best = current.log_likelihood(p) + reference.log_likelihood(q);
            for step in 0..=100 {
                let other = f64::from(step) / 100.0;
                if (0.0..=1.0).contains(&(other + difference)) {
                    let likelihood = current.log_likelihood(other + difference) + reference.log_likelihood(other);
                    prop_assert!(likelihood <= best + 1e-6);
                }
            }
        }
    }
}
