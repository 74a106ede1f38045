//! Simulated coverage and power of the bounds of shift: samples are drawn from two known distributions, and the
//! bounds that come out are compared with their known distance.
//!
//! Seeds are fixed, so a run repeats exactly. What is asserted leaves room for chance all the same, so that other
//! seeds would do: a method that keeps its promise fails here in few of a hundred choices of seeds.
//! `cargo test --test it shift_ -- --nocapture` prints the tables.

use std::sync::LazyLock;

use driftlead_analyzer::stats::dispersion::dispersion;
use driftlead_analyzer::stats::shift::{DECISION_ERROR, DISPLAY_ERROR, Shift, ShiftOptions, shift};
use driftlead_store::bucket;
use driftlead_store::records::FeatureCounts;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws of each case.
const DRAWS: u64 = 300;
/// The distance that is to be seen, where there is one.
const DISTANCE: f64 = 0.06;
/// The threshold of the built-in rule.
const THRESHOLD: f64 = 0.03;
/// The largest sample, which the table of factorials has to hold.
const MOST: u64 = 50_000;
/// How rarely a case of a method that keeps its promise may fail by chance.
const CHANCE: f64 = 1e-5;

static LOG_FACTORIALS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain((1..=MOST).map(|i| {
            sum += (i as f64).ln();
            sum
        }))
        .collect()
});

/// How the mass lies over the values.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// All values are equally frequent.
    Uniform,
    /// The k-th value has 1/k of the first one's frequency; of two, one is rare.
    Skewed,
}

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Values {
    /// Names, compared one by one.
    Categories,
    /// Numbers, compared in quantile bins where there are more than 50.
    Numbers,
}

/// Two distributions and how much is drawn from each.
#[derive(Debug, Clone, Copy)]
struct Case {
    values: Values,
    distinct: usize,
    shape: Shape,
    reference_n: u64,
    window_n: u64,
    distance: f64,
}

impl Case {
    fn reference(&self) -> Vec<f64> {
        let weights: Vec<f64> = match (self.shape, self.distinct) {
            (Shape::Uniform, distinct) => vec![1.0; distinct],
            (Shape::Skewed, 2) => vec![0.97, 0.03],
            (Shape::Skewed, distinct) => (1..=distinct).map(|k| 1.0 / k as f64).collect(),
        };
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    /// Takes `distance` from the values that shrink and gives it to those that grow, all in proportion: as thin as
    /// it can be spread. Of names every second one grows, of numbers the upper half.
    fn window(&self) -> Vec<f64> {
        let reference = self.reference();
        let grows = |index: usize| match self.values {
            Values::Categories => index % 2 == 1,
            Values::Numbers => index >= self.distinct / 2,
        };
        let growing: f64 = (0..self.distinct).filter(|&index| grows(index)).map(|index| reference[index]).sum();
        reference
            .iter()
            .enumerate()
            .map(|(index, p)| {
                if grows(index) {
                    p * (1.0 + self.distance / growing)
                } else {
                    p * (1.0 - self.distance / (1.0 - growing))
                }
            })
            .collect()
    }

    fn counts(&self, distribution: &[f64], n: u64, rng: &mut impl Rng) -> FeatureCounts {
        let mut counts = FeatureCounts::default();
        for (index, count) in multinomial(n, distribution, rng).into_iter().enumerate() {
            match self.values {
                Values::Categories => counts.add_categories(&format!("value {index}"), count),
                Values::Numbers => *counts.buckets.entry(bucket::key_of(index as f64).unwrap()).or_default() += count,
            }
        }
        counts.complete_to(n);
        counts
    }

    /// `n` observations, each of them `repeats` times.
    fn repeated(&self, distribution: &[f64], n: u64, repeats: u64, rng: &mut impl Rng) -> FeatureCounts {
        let once = self.counts(distribution, n, rng);
        let mut counts = FeatureCounts::default();
        (0..repeats).for_each(|_| counts.merge(&once));
        counts
    }

    /// Both samples drawn anew, each time compared for every number of decisions.
    fn simulate<const N: usize>(&self, seed: u64, decisions: [u64; N]) -> Vec<[Shift; N]> {
        let (reference, window) = (self.reference(), self.window());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..DRAWS)
            .map(|_| {
                let before = self.counts(&reference, self.reference_n, &mut rng);
                let now = self.counts(&window, self.window_n, &mut rng);
                let seed = rng.random();
                decisions.map(|decisions| {
                    let options = ShiftOptions {
                        seed,
                        decision_error: DECISION_ERROR / decisions as f64,
                        dispersion: 1.0,
                    };
                    shift(&before, &now, options).unwrap()
                })
            })
            .collect()
    }

    fn described(&self) -> String {
        format!(
            "{:>3} {:<10} {:<7} {:>6} {:>6} {:>4.0} %",
            self.distinct,
            format!("{:?}", self.values),
            format!("{:?}", self.shape),
            self.reference_n,
            self.window_n,
            self.distance * 100.0
        )
    }
}

const HEAD: &str = "  values         shape   reference window distance";

/// The distributions that are tried: 2, 20 and 100 names, and numbers that are cut into quantile bins.
fn distributions() -> impl Iterator<Item = (Values, usize, Shape)> {
    let values = [
        (Values::Categories, 2),
        (Values::Categories, 20),
        (Values::Categories, 100),
        (Values::Numbers, 100),
    ];
    values
        .into_iter()
        .flat_map(|(values, distinct)| [Shape::Uniform, Shape::Skewed].map(|shape| (values, distinct, shape)))
}

#[test]
fn the_bounds_hold_as_often_as_they_promise() {
    println!("{HEAD} | lower holds  upper holds  lower > 0 | mean value  mean lower  mean upper");
    let most_wrong = most_by_chance(DRAWS, DISPLAY_ERROR);
    for (reference_n, window_n) in [(1_000, 1_000), (5_000, 5_000), (20_000, 20_000), (50_000, 50_000), (50_000, 1_000)] {
        let (mut wrong_of_size, mut draws_of_size) = (0, 0);
        for ((values, distinct, shape), seed) in distributions().zip(1..) {
            for distance in [0.0, DISTANCE] {
                let case = Case {
                    values,
                    distinct,
                    shape,
                    reference_n,
                    window_n,
                    distance,
                };
                let found: Vec<Shift> = case.simulate(seed, [1]).into_iter().map(|[shift]| shift).collect();
                let wrong = count(&found, |shift| shift.lower > distance);
                let upper_wrong = count(&found, |shift| shift.upper < distance);
                println!(
                    "{} | {:>9.1} %  {:>9.1} %  {:>7.1} % | {:>8.2} %  {:>8.2} %  {:>8.2} %",
                    case.described(),
                    100.0 - percent(wrong, DRAWS),
                    100.0 - percent(upper_wrong, DRAWS),
                    percent(count(&found, |shift| shift.lower > 0.0), DRAWS),
                    mean_percent(&found, |shift| shift.value),
                    mean_percent(&found, |shift| shift.lower),
                    mean_percent(&found, |shift| shift.upper),
                );
                assert!(wrong <= most_wrong, "{case:?}: lower is above the distance {wrong} times");
                // The upper bound is of the binned distributions: rare values that are compared together move less.
                if distinct <= 20 {
                    assert!(
                        upper_wrong <= most_wrong,
                        "{case:?}: upper is below the distance {upper_wrong} times"
                    );
                }
                wrong_of_size += wrong;
                draws_of_size += DRAWS;
                if distance == 0.0 {
                    assert!(found.iter().all(|shift| shift.decision_lower <= Some(shift.lower)));
                }
            }
        }
        let coverage = 1.0 - wrong_of_size as f64 / draws_of_size as f64;
        println!(
            "{reference_n} against {window_n}: lower holds in {:.2} % of {draws_of_size}",
            100.0 * coverage
        );
        assert!(
            coverage >= 0.98,
            "{reference_n} against {window_n}: lower holds in {coverage} of the draws"
        );
    }
}

#[test]
fn without_drift_the_lower_bound_is_zero() {
    const ALLOWED: f64 = 0.015;
    println!("without drift, lower above zero:");
    for n in [1_000, 5_000, 20_000, 50_000] {
        let (mut above, mut draws) = (0, 0);
        for ((values, distinct, shape), seed) in distributions().zip(100..) {
            let case = Case {
                values,
                distinct,
                shape,
                reference_n: n,
                window_n: n,
                distance: 0.0,
            };
            above += case.simulate(seed, [1]).iter().filter(|[shift]| shift.lower > 0.0).count() as u64;
            draws += DRAWS;
        }
        println!("{n:>6} against {n:>6}: {:.2} % of {draws}", percent(above, draws));
        assert!(above as f64 <= ALLOWED * draws as f64, "{n}: {above} of {draws}");
    }
}

#[test]
fn a_shift_of_twice_the_threshold_is_found() {
    /// One decision at 0.01, and 50 features looked at each hour for 30 days: 2.8e-7 each.
    const DECISIONS: [u64; 2] = [1, 36_000];
    println!("{HEAD} | decision_lower > 3 %: at 0.01  at 2.8e-7");
    for n in [20_000, 50_000] {
        for ((values, distinct, shape), seed) in distributions().zip(200..) {
            let case = Case {
                values,
                distinct,
                shape,
                reference_n: n,
                window_n: n,
                distance: DISTANCE,
            };
            let found = case.simulate(seed, DECISIONS);
            let power = [0, 1].map(|level| {
                let above = found.iter().filter(|shifts| shifts[level].decision_lower > Some(THRESHOLD)).count();
                percent(above as u64, DRAWS)
            });
            println!("{} | {:>28.1} %  {:>7.1} %", case.described(), power[0], power[1]);
            if n == 50_000 && (distinct <= 20 || values == Values::Numbers) {
                assert!(power.iter().all(|&power| power >= 90.0), "{case:?}: {power:?} %");
            }
        }
    }
}

/// Sessions, batches and retries: each observation comes `repeats` times. The dispersion of the reference's own blocks
/// has to keep what is decided honest, and what really moved has to be seen all the same.
#[test]
fn decisions_hold_where_traffic_repeats_itself() {
    const BLOCKS: usize = 24;
    const BLOCK_N: u64 = 6_000;
    const REPETITIONS: [u64; 4] = [1, 4, 8, 16];
    let simulated = |(values, distinct, shape): (Values, usize, Shape), seed: u64, repeats: u64| {
        let case = Case {
            values,
            distinct,
            shape,
            reference_n: BLOCK_N * BLOCKS as u64,
            window_n: BLOCK_N,
            distance: 0.2,
        };
        let (before, after) = (case.reference(), case.window());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut wrong, mut seen, mut factors) = (0, 0, 0.0);
        for _ in 0..DRAWS {
            let mut block = |distribution: &[f64]| case.repeated(distribution, BLOCK_N / repeats, repeats, &mut rng);
            let blocks: Vec<FeatureCounts> = (0..BLOCKS).map(|_| block(&before)).collect();
            let (same, moved) = (block(&before), block(&after));
            let seed = rng.random();
            let mut reference = FeatureCounts::default();
            blocks.iter().for_each(|block| reference.merge(block));
            let options = ShiftOptions {
                seed,
                decision_error: DECISION_ERROR,
                dispersion: dispersion(&blocks, seed).unwrap(),
            };
            let lower = |window| shift(&reference, window, options).unwrap().decision_lower;
            wrong += u64::from(lower(&same) > Some(0.0));
            seen += u64::from(lower(&moved) > Some(THRESHOLD));
            factors += options.dispersion;
        }
        let line = format!(
            "{distinct:>3} {:<10} {:<7} {repeats:>7} | {:>10.1} {:>24.1} % {:>20.1} %",
            format!("{values:?}"),
            format!("{shape:?}"),
            factors / DRAWS as f64,
            percent(wrong, DRAWS),
            percent(seen, DRAWS),
        );
        (line, wrong)
    };
    let simulated = &simulated;
    let results: Vec<(String, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = distributions()
            .zip(300..)
            .map(|(distribution, seed)| scope.spawn(move || REPETITIONS.map(|repeats| simulated(distribution, seed, repeats))))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    println!("  values         shape   repeats | dispersion  decisions at 0.01: wrong  of 20 % moved seen");
    results.iter().for_each(|(line, _)| println!("{line}"));
    let (wrong_in_all, draws) = (results.iter().map(|(_, wrong)| wrong).sum::<u64>(), DRAWS * results.len() as u64);
    println!("wrong in all: {:.2} % of {draws}", percent(wrong_in_all, draws));
    assert!(wrong_in_all as f64 <= 0.02 * draws as f64, "{wrong_in_all} of {draws}");
}

#[test]
fn draws_have_the_mean_and_variance_of_the_distribution() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (n, p, times) = (50_000_u64, [0.7, 0.001, 0.299], 2_000);
    let draws: Vec<Vec<u64>> = (0..times).map(|_| multinomial(n, &p, &mut rng)).collect();
    for (index, p) in p.into_iter().enumerate() {
        let (expected, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
        let mean = draws.iter().map(|draw| draw[index] as f64).sum::<f64>() / f64::from(times);
        let seen = draws.iter().map(|draw| (draw[index] as f64 - expected).powi(2)).sum::<f64>() / f64::from(times);
        assert!((mean - expected).abs() < 5.0 * (variance / f64::from(times)).sqrt(), "{p}: {mean}");
        assert!((seen / variance - 1.0).abs() < 0.2, "{p}: {seen} instead of {variance}");
    }
}

fn count(found: &[Shift], is_counted: impl Fn(&Shift) -> bool) -> u64 {
    found.iter().filter(|shift| is_counted(shift)).count() as u64
}

fn percent(count: u64, of: u64) -> f64 {
    100.0 * count as f64 / of as f64
}

fn mean_percent(found: &[Shift], value: impl Fn(&Shift) -> f64) -> f64 {
    100.0 * found.iter().map(value).sum::<f64>() / found.len() as f64
}

/// The most of `n` events of probability `p` that come together more often than once in 1 / [`CHANCE`] times.
fn most_by_chance(n: u64, p: f64) -> u64 {
    let mut above = 1.0;
    (0..=n)
        .find(|&k| {
            above -= log_probability(n, p, k).exp();
            above < CHANCE
        })
        .unwrap_or(n)
}

/// How often each of the values comes up in `n` draws: one binomial draw of what is left after the other.
fn multinomial(n: u64, distribution: &[f64], rng: &mut impl Rng) -> Vec<u64> {
    let (mut left, mut mass) = (n, 1.0);
    let last = distribution.len() - 1;
    let mut counts: Vec<u64> = distribution[..last]
        .iter()
        .map(|&p| {
            let count = binomial(left, (p / mass).clamp(0.0, 1.0), rng);
            left -= count;
            mass -= p;
            count
        })
        .collect();
    counts.push(left);
    counts
}

/// A binomial draw: inversion from the mode outwards.
fn binomial(n: u64, p: f64, rng: &mut impl Rng) -> u64 {
    if n == 0 || p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return n;
    }
    let mode = (((n + 1) as f64 * p) as u64).min(n);
    let odds = p / (1.0 - p);
    let at_mode = log_probability(n, p, mode).exp();
    let mut remaining = rng.random::<f64>() - at_mode;
    let (mut low, mut high, mut p_low, mut p_high) = (mode, mode, at_mode, at_mode);
    while remaining > 0.0 && (p_low > 0.0 || p_high > 0.0) {
        p_high *= (n - high) as f64 / (high + 1) as f64 * odds;
        high = (high + 1).min(n);
        remaining -= p_high;
        if remaining <= 0.0 {
            return high;
        }
        p_low *= low as f64 / ((n - low + 1) as f64 * odds);
        low = low.saturating_sub(1);
        remaining -= p_low;
        if remaining <= 0.0 {
            return low;
        }
    }
    mode
}

fn log_probability(n: u64, p: f64, k: u64) -> f64 {
    let log_factorial = |k: u64| LOG_FACTORIALS[k as usize];
    let choose = log_factorial(n) - log_factorial(k) - log_factorial(n - k);
    choose + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()
}
