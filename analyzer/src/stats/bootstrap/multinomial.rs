//! Multinomial draws, one conditional binomial after the other.

use rand::Rng;

use super::super::hypergeometric::log_choose;

/// Expected successes from which on a draw is by rejection, whose cost does not grow with them.
const MIN_REJECTION: f64 = 10.0;

/// Draws as many observations as `counts` holds, with replacement, into `drawn`, which is as long.
pub(super) fn draw(counts: &[u64], drawn: &mut [u64], rng: &mut impl Rng) {
    let mut population: u64 = counts.iter().sum();
    let mut draws = population;
    for (&count, drawn) in counts.iter().zip(drawn) {
        *drawn = if count == population {
            draws
        } else {
            binomial(draws, count as f64 / population as f64, rng)
        };
        population -= count;
        draws -= *drawn;
    }
}

/// How many of `n` trials with probability `p`, below 1, succeed.
fn binomial(n: u64, p: f64, rng: &mut impl Rng) -> u64 {
    if n == 0 || p <= 0.0 {
        0
    } else if p > 0.5 {
        n - binomial(n, 1.0 - p, rng)
    } else if n as f64 * p < MIN_REJECTION {
        by_inversion(n, p, rng)
    } else {
        by_rejection(n, p, rng)
    }
}

/// Walks up from 0 until the uniform is used up; `n · p` is small.
fn by_inversion(n: u64, p: f64, rng: &mut impl Rng) -> u64 {
    let odds = p / (1.0 - p);
    let mut probability = (n as f64 * (-p).ln_1p()).exp();
    let mut rest: f64 = rng.random();
    for successes in 0..n {
        rest -= probability;
        // Beyond the last bit of a double nothing is left to walk.
        if rest < 0.0 || probability < f64::MIN_POSITIVE {
            return successes;
        }
        probability *= odds * (n - successes) as f64 / (successes + 1) as f64;
    }
    n
}

/// Transformed rejection with squeeze (Hörmann 1993, algorithm BTRS); `p` is at most one half and `n · p` at least 10.
fn by_rejection(n: u64, p: f64, rng: &mut impl Rng) -> u64 {
    let trials = n as f64;
    let deviation = (trials * p * (1.0 - p)).sqrt();
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let centre = trials * p + 0.5;
    let alpha = (2.83 + 5.1 / b) * deviation;
    let squeeze = 0.92 - 4.2 / b;
    let mode = ((trials + 1.0) * p) as u64;
    let log_odds = (p / (1.0 - p)).ln();
    loop {
        let u = rng.random::<f64>() - 0.5;
        let v: f64 = rng.random();
        let from_edge = 0.5 - u.abs();
        let successes = ((2.0 * a / from_edge + b) * u + centre).floor();
        if !(0.0..=trials).contains(&successes) {
            continue;
        }
        let drawn = (successes as u64).min(n);
        if from_edge >= 0.07 && v <= squeeze {
            return drawn;
        }
        let log_ratio = log_choose(n, drawn) - log_choose(n, mode) + (successes - mode as f64) * log_odds;
        if (v * alpha / (a / (from_edge * from_edge) + b)).ln() <= log_ratio {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for (n, p) in [
            (7, 0.2),
            (1_000, 0.001),
            (40, 0.4),
            (40, 0.9),
            (100_000, 0.3),
            (1_000_000_000, 0.5),
            (1_000_000_000, 1e-9),
        ] {
            let drawn: Vec<f64> = (0..20_000).map(|_| binomial(n, p, &mut rng) as f64).collect();
            let (expected, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
            let mean = drawn.iter().sum::<f64>() / 20_000.0;
            let seen = drawn.iter().map(|drawn| (drawn - mean).powi(2)).sum::<f64>() / 20_000.0;
            assert!(
                (mean - expected).abs() < 5.0 * (variance / 20_000.0).sqrt(),
                "{n} {p}: {mean} {expected}"
            );
            assert!((seen / variance - 1.0).abs() < 0.08, "{n} {p}: {seen} {variance}");
        }
    }

    #[test]
    fn frequencies_are_the_probabilities_on_both_sides_of_the_switch() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for (n, p) in [(24_u64, 0.4), (30, 0.35), (200, 0.06)] {
            let mut seen = vec![0.0_f64; n as usize + 1];
            (0..100_000).for_each(|_| seen[binomial(n, p, &mut rng) as usize] += 1.0);
            for (successes, seen) in (0..=n).zip(&seen) {
                let log = log_choose(n, successes) + successes as f64 * p.ln() + (n - successes) as f64 * (1.0 - p).ln();
                let expected = 100_000.0 * log.exp();
                assert!(
                    (seen - expected).abs() < 5.0 * expected.sqrt() + 5.0,
                    "{n} {p} {successes}: {seen} {expected}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_draw_holds_as_many_and_nothing_that_never_was(counts in prop::collection::vec(0_u64..5_000, 1..30), seed: u64) {
            let mut drawn = vec![0; counts.len()];
            draw(&counts, &mut drawn, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert_eq!(drawn.iter().sum::<u64>(), counts.iter().sum::<u64>());
            prop_assert!(drawn.iter().zip(&counts).all(|(drawn, count)| *count > 0 || *drawn == 0));
        }
    }
}
