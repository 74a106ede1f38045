//! Whether something happens more often than before: two Poisson counts with their exposures.

use super::hypergeometric::log_choose;

/// Terms below this share of the sum change nothing.
const NEGLIGIBLE: f64 = 1e-18;

/// Events, and over how much they were counted (time, requests).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many.
    pub events: u64,
    /// Over how much; positive.
    pub exposure: f64,
}

/// One-sided p-value of "the rate now is not above the rate before": given the sum of both counts, the one now is binomial
/// with the share of its exposure (Przyborowski and Wilenski 1940). Agrees with
/// `scipy.stats.binomtest(now, now + before, share, alternative="greater")` and with
/// `statsmodels.stats.rates.test_poisson_2indep(…, method="exact-cond", alternative="larger")`.
pub fn more_often_p(now: Rate, before: Rate) -> f64 {
    binomial_upper_tail(
        now.events,
        now.events + before.events,
        now.exposure / (now.exposure + before.exposure),
    )
}

/// P(X ≥ `successes`) of `n` trials that each succeed with `probability`, strictly between 0 and 1.
fn binomial_upper_tail(successes: u64, n: u64, probability: f64) -> f64 {
    if successes == 0 {
        return 1.0;
    }
    if successes as f64 <= n as f64 * probability {
        // The larger part: what is left of 1.
        return (1.0 - tail(n - successes + 1, n, 1.0 - probability)).clamp(0.0, 1.0);
    }
    tail(successes, n, probability).min(1.0)
}

/// The same by its terms, which fall from `successes` on where that is above the mean.
fn tail(successes: u64, n: u64, probability: f64) -> f64 {
    let (at, trials) = (successes as f64, n as f64);
    let mut term = (log_choose(n, successes) + at * probability.ln() + (trials - at) * (-probability).ln_1p()).exp();
    let odds = probability / (1.0 - probability);
    let mut sum = 0.0;
    for k in successes..=n {
        sum += term;
        term *= (n - k) as f64 / (k + 1) as f64 * odds;
        if term <= sum * NEGLIGIBLE {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(now: (u64, f64), before: (u64, f64)) -> f64 {
        let rate = |(events, exposure)| Rate { events, exposure };
        more_often_p(rate(now), rate(before))
    }

    #[test]
    fn it_is_what_counting_gives() {
        // One of one in half of the time; three of three; of four the one that is more likely.
        assert!((p((1, 1.0), (0, 1.0)) - 0.5).abs() < 1e-15);
        assert!((p((3, 1.0), (0, 1.0)) - 0.125).abs() < 1e-15);
        assert!((p((3, 1.0), (1, 1.0)) - 5.0 / 16.0).abs() < 1e-15);
        assert!((p((1, 1.0), (3, 1.0)) - 15.0 / 16.0).abs() < 1e-15);
        assert!((p((0, 1.0), (9, 5.0)) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn more_events_are_less_likely_and_more_time_explains_them() {
        let ps: Vec<f64> = (0..200).map(|events| p((events, 2.0), (700, 336.0))).collect();
        assert!(ps.windows(2).all(|pair| pair[1] < pair[0]), "{ps:?}");
        assert!(p((100, 48.0), (700, 336.0)) > 0.3);
        assert!(p((100, 2.0), (700, 336.0)) < 1e-60);
    }

    #[test]
    fn large_counts_and_none_at_all_have_their_p() {
        assert!((p((0, 1.0), (0, 1.0)) - 1.0).abs() < 1e-15);
        let even = p((5_000_000, 1.0), (5_000_000, 1.0));
        assert!((even - 0.5).abs() < 1e-3, "{even}");
        assert!(p((5_010_000, 1.0), (5_000_000, 1.0)) < 0.001);
        assert!(p((u64::from(u32::MAX), 1.0), (10, 1e3)) < 1e-300);
    }
}
