//! Drawing without replacement: how many of each kind a random half holds.

use std::sync::LazyLock;

use rand::Rng;

/// Factorials whose logarithm is tabulated instead of taken from Stirling's series.
const TABULATED: usize = 128;

static LOG_FACTORIALS: LazyLock<[f64; TABULATED]> = LazyLock::new(|| std::array::from_fn(|n| (2..=n).map(|i| (i as f64).ln()).sum()));

/// Splits the observations behind `counts` at random into two halves (the first is the smaller where the
/// total is odd) and returns the counts of the first: a draw from the multivariate hypergeometric
/// distribution, one kind after the other.
pub fn first_half(counts: &[u64], rng: &mut impl Rng) -> Vec<u64> {
    let mut population: u64 = counts.iter().sum();
    let mut draws = population / 2;
    counts
        .iter()
        .map(|&count| {
            let drawn = draw(population, count, draws, rng);
            population -= count;
            draws -= drawn;
            drawn
        })
        .collect()
}

/// How many of the `marked` are among `draws` of `population`: inversion that starts at the mode and walks
/// outwards, so its cost is that of one standard deviation.
pub fn draw(population: u64, marked: u64, draws: u64, rng: &mut impl Rng) -> u64 {
    let least = (draws + marked).saturating_sub(population);
    let most = draws.min(marked);
    if least == most {
        return least;
    }
    let mode = (u128::from(draws + 1) * u128::from(marked + 1) / u128::from(population + 2)) as u64;
    let mode = mode.clamp(least, most);
    let at_mode = log_probability(population, marked, draws, mode).exp();

    let mut remaining: f64 = rng.random();
    remaining -= at_mode;
    let (mut low, mut high) = (mode, mode);
    let (mut p_low, mut p_high) = (at_mode, at_mode);
    while remaining > 0.0 {
        let (before_low, before_high) = (low, high);
        if high < most {
            p_high *=
                (marked - high) as f64 * (draws - high) as f64 / ((high + 1) as f64 * (population + high + 1 - marked - draws) as f64);
            high += 1;
            remaining -= p_high;
            if remaining <= 0.0 {
                return high;
            }
        }
        if low > least {
            p_low *= low as f64 * (population + low - marked - draws) as f64 / ((marked - low + 1) as f64 * (draws - low + 1) as f64);
            low -= 1;
            remaining -= p_low;
            if remaining <= 0.0 {
                return low;
            }
        }
        let is_exhausted = (low, high) == (before_low, before_high) || p_low + p_high < f64::MIN_POSITIVE;
        if is_exhausted {
            return mode;
        }
    }
    mode
}

/// The logarithm of the probability that `drawn` of the `marked` are among `draws` of `population`; `drawn` has
/// to be possible. Agrees with `scipy.stats.hypergeom.logpmf`.
pub fn log_probability(population: u64, marked: u64, draws: u64, drawn: u64) -> f64 {
    log_choose(marked, drawn) + log_choose(population - marked, draws - drawn) - log_choose(population, draws)
}

/// The logarithm of how many ways there are to choose `k` of `n`.
pub(super) fn log_choose(n: u64, k: u64) -> f64 {
    log_factorial(n) - log_factorial(k) - log_factorial(n - k)
}

fn log_factorial(n: u64) -> f64 {
    if let Some(&tabulated) = usize::try_from(n).ok().and_then(|n| LOG_FACTORIALS.get(n)) {
        return tabulated;
    }
    let x = n as f64;
    let correction = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    x * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI * x).ln() + correction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn moments(population: u64, marked: u64, draws: u64, times: u32) -> (f64, f64) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let drawn: Vec<f64> = (0..times).map(|_| draw(population, marked, draws, &mut rng) as f64).collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(times);
        (mean, drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(times))
    }

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        for (population, marked, draws) in [
            (10, 4, 5),
            (1_000, 3, 500),
            (140_000, 70_000, 70_000),
            (5_000_000, 40, 2_500_000),
            (99, 98, 49),
        ] {
            let (n, k, d) = (population as f64, marked as f64, draws as f64);
            let expected = d * k / n;
            let variance = expected * (1.0 - k / n) * (n - d) / (n - 1.0);
            let (mean, seen) = moments(population, marked, draws, 20_000);
            assert!(
                (mean - expected).abs() < 5.0 * (variance / 20_000.0).sqrt(),
                "{population} {marked} {draws}: {mean} {expected}"
            );
            assert!(
                (seen / variance - 1.0).abs() < 0.06,
                "{population} {marked} {draws}: {seen} {variance}"
            );
        }
    }

    #[test]
    fn small_draws_have_their_exact_frequencies() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = [0u32; 4];
        for _ in 0..60_000 {
            seen[draw(10, 4, 3, &mut rng) as usize] += 1;
        }
        for (drawn, expected) in [(0, 20.0), (1, 60.0), (2, 36.0), (3, 4.0)] {
            let expected = 60_000.0 * expected / 120.0;
            assert!(
                (f64::from(seen[drawn]) - expected).abs() < 5.0 * expected.sqrt(),
                "{drawn}: {} {expected}",
                seen[drawn]
            );
        }
    }

    proptest! {
        #[test]
        fn halves_hold_every_observation(counts in prop::collection::vec(0u64..5_000, 0..40), seed: u64) {
            let half = first_half(&counts, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert_eq!(half.iter().sum::<u64>(), counts.iter().sum::<u64>() / 2);
            prop_assert!(half.iter().zip(&counts).all(|(h, c)| h <= c));
        }
    }
}
