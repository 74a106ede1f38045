//! Drawing without replacement: how many of each kind a random half holds.

use std::sync::LazyLock;

use rand::Rng;

/// Factorials whose logarithm is tabulated instead of taken from Stirling's series.
const TABULATED: usize = 128;

/// ln √(2π).
const HALF_LOG_OF_TWO_PI: f64 = 0.918_938_533_204_672_8;

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

/// Standard deviation from which on [`draw`] rejects instead of walking.
const LARGE_DEVIATION: f64 = 10.0;

/// How many of the `marked` are among `draws` of `population`: where its standard deviation is small, by inversion that starts at the
/// mode and walks outwards; else by rejection, at a cost that does not depend on any of them.
pub fn draw(population: u64, marked: u64, draws: u64, rng: &mut impl Rng) -> u64 {
    let least = (draws + marked).saturating_sub(population);
    let most = draws.min(marked);
    if least == most {
        return least;
    }
    let variance = variance(population, marked, draws);
    if variance < LARGE_DEVIATION * LARGE_DEVIATION {
        by_inversion(population, marked, draws, rng)
    } else {
        by_rejection(population, marked, draws, variance, rng)
    }
}

fn variance(population: u64, marked: u64, draws: u64) -> f64 {
    let (n, k, d) = (population as f64, marked as f64, draws as f64);
    d * (k / n) * (1.0 - k / n) * (n - d) / (n - 1.0).max(1.0)
}

/// The ratio of uniforms (Stadlober 1990, "The ratio of uniforms approach for generating discrete random variates"): a point within the
/// table mountain hat is taken where it lies below the distribution. About 1.3 points are tried for each that is.
fn by_rejection(population: u64, marked: u64, draws: u64, variance: f64, rng: &mut impl Rng) -> u64 {
    /// 2 √(2 / e) and 3 − 2 √(3 / e): the hat's width by the standard deviation, and what it is wider at least.
    const WIDTH: [f64; 2] = [1.715_527_769_921_413_5, 0.898_916_162_058_898_8];
    let (least, most) = ((draws + marked).saturating_sub(population), draws.min(marked));
    let centre = draws as f64 * (marked as f64 / population as f64) + 0.5;
    let width = WIDTH[0] * (variance + 0.5).sqrt() + WIDTH[1];
    let mode = ((u128::from(draws + 1) * u128::from(marked + 1) / u128::from(population + 2)) as u64).clamp(least, most);
    // Of the logarithm of a probability, what depends on how many are drawn.
    let varying = |drawn: u64| {
        let unmarked = population - marked;
        log_factorial(drawn) + log_factorial(marked - drawn) + log_factorial(draws - drawn) + log_factorial(unmarked - (draws - drawn))
    };
    let at_mode = varying(mode);
    loop {
        let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
        let place = centre + width * (v - 0.5) / u;
        if !(place >= least as f64 && place < most as f64 + 1.0) {
            continue;
        }
        let drawn = (place as u64).clamp(least, most);
        let relative = at_mode - varying(drawn);
        // Twice the logarithm lies between these two: most points need none.
        if u * (4.0 - u) - 3.0 <= relative {
            return drawn;
        }
        if u * (u - relative) < 1.0 && 2.0 * u.ln() <= relative {
            return drawn;
        }
    }
}

fn by_inversion(population: u64, marked: u64, draws: u64, rng: &mut impl Rng) -> u64 {
    let least = (draws + marked).saturating_sub(population);
    let most = draws.min(marked);
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
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let correction = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0));
    // One logarithm: ln √(2πx) is half of ln 2π and half of ln x.
    (x + 0.5) * x.ln() - x + HALF_LOG_OF_TWO_PI + correction
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
            (1_000_000_000, 40_000_000, 500_000_000),
            (3_000_000_000, 2_999_000_000, 7_000_000),
            (900, 500, 450),
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

    /// Both ways give every count as often as the distribution does: chi-square over the counts within three standard deviations.
    #[test]
    fn rejection_gives_the_frequencies_of_the_distribution() {
        let (population, marked, draws) = (3_000, 1_400, 1_100);
        let variance = variance(population, marked, draws);
        assert!(variance > LARGE_DEVIATION * LARGE_DEVIATION);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut seen = std::collections::BTreeMap::<u64, f64>::new();
        let times = 200_000;
        (0..times).for_each(|_| *seen.entry(draw(population, marked, draws, &mut rng)).or_default() += 1.0);
        let centre = draws as f64 * marked as f64 / population as f64;
        let (mut statistic, mut kinds) = (0.0, 0.0);
        for drawn in (centre - 3.0 * variance.sqrt()) as u64..=(centre + 3.0 * variance.sqrt()) as u64 {
            let expected = f64::from(times) * log_probability(population, marked, draws, drawn).exp();
            statistic += (seen.get(&drawn).copied().unwrap_or(0.0) - expected).powi(2) / expected;
            kinds += 1.0;
        }
        // Five standard deviations of the statistic.
        assert!((statistic - kinds).abs() < 5.0 * (2.0 * kinds).sqrt(), "{statistic} of {kinds}");
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
