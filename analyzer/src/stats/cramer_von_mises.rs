//! The mean squared distance between the empirical distributions of two samples (Cramér 1928; Anderson 1962).

use std::f64::consts::PI;

use super::Undefined;
use super::sample::{Pooled, Sample, pooled};

/// Size of the larger sample up to which p counts orders; that takes 0.1 s at most.
pub const LARGEST_EXACT: u64 = 20;
/// Nodes of an integral of the limiting law: the narrowest one that does not vanish is 7 of them wide.
const NODES: u32 = 256;
/// Integrals below this share of the sum change nothing.
const NEGLIGIBLE: f64 = 1e-18;
/// Where the sum of integrals ends at the latest, in units of π: beyond there is less than 1e-18 down to [`LEAST`].
const MOST_INTERVALS: u32 = 61;
/// Below this the limiting law has no mass: 1e-18.
const LEAST: f64 = 0.003;

/// The test of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CramerVonMises {
    /// T of Anderson (1962): n1 n2 / (n1 + n2)² times the sum of the squared distances at all values.
    pub statistic: f64,
    /// How likely two samples of one distribution are at least as far apart; 0 where that is below the smallest number.
    pub p: f64,
    /// Whether p counts the orders of both samples, or takes the limiting law.
    pub is_exact: bool,
}

/// Tests whether both samples are of one distribution, by midranks. Agrees with
/// `scipy.stats.cramervonmises_2samp(method="auto")`, but for p of the limiting law: SciPy's series stops at 1e-7, this one does
/// not, so that it holds in the tail too.
///
/// Not for ties in samples of different sizes, which buckets make: there Anderson's formula over midranks has a part that grows with
/// the difference of both sizes and of how large their ties are, and has nothing to do with a distance. 2,000 and 50 values with
/// the same shares of ten numbers have a p below 1e-7, in SciPy too. Then [`tied_test`] is the test to take.
///
/// # Errors
/// A sample has a single value.
pub fn test(reference: &Sample, current: &Sample) -> Result<CramerVonMises, Undefined> {
    let (n1, n2) = (reference.n() as f64, current.n() as f64);
    // Anderson's sum over ranks, in an order in which nothing cancels: the squared distances, each as wide as from one mean
    // midrank of both samples to the next, and what ties and different sizes add.
    let size_of_ties = |sample: &Sample| sample.counts().iter().map(|(_, count)| (*count as f64).powi(3)).sum::<f64>() / sample.n() as f64;
    let by_ties = (n1 + n2) * (size_of_ties(reference) - size_of_ties(current)) - (n1 - n2);
    let added = (n1 - n2) / (12.0 * n1 * n2) * by_ties / (n1 + n2);
    result(reference, current, added, |step| {
        (step.reference as f64 / n1 + step.current as f64 / n2) / 2.0
    })
}

/// The same test where values are tied, from buckets or by rounding: the squares of the distances to the left and to the right of a
/// value count one half each. Without ties it is [`test()`]; with ties the statistic is on average a little smaller and p larger,
/// because distances among equal values are left out.
///
/// From buckets the statistic is off by at most n1 n2 / (n1 + n2) times twice the largest share of a sample in one bucket.
///
/// # Errors
/// A sample has a single value.
pub fn tied_test(reference: &Sample, current: &Sample) -> Result<CramerVonMises, Undefined> {
    let all = reference.n() as f64 + current.n() as f64;
    result(reference, current, 0.0, |step| (step.reference as f64 + step.current as f64) / all)
}

/// The test by squared distances, each with the mean weight of the values on both of its sides.
fn result(reference: &Sample, current: &Sample, added: f64, weight: impl Fn(&Pooled) -> f64) -> Result<CramerVonMises, Undefined> {
    let (n1, n2) = (reference.n(), current.n());
    if n1.min(n2) < 2 {
        return Err(Undefined::because("a sample has a single value"));
    }
    let (first, second) = (n1 as f64, n2 as f64);
    let (product, all) = (first * second, first + second);
    let mut difference = 0_i128;
    let pairs = pooled(reference, current).zip(pooled(reference, current).skip(1));
    let squares = pairs.map(|(step, next)| {
        difference += i128::from(step.reference) * i128::from(n2) - i128::from(step.current) * i128::from(n1);
        (difference as f64 / product).powi(2) * (weight(&step) + weight(&next)) / 2.0
    });
    let statistic = product / all * squares.sum::<f64>() + added;
    let is_exact = n1.max(n2) <= LARGEST_EXACT;
    let p = if is_exact {
        exact_p(n1, n2, statistic)
    } else {
        let mean = (1.0 + 1.0 / all) / 6.0;
        let variance =
            (all + 1.0) * (4.0 * product * all - 3.0 * (first * first + second * second) - 2.0 * product) / (180.0 * all * all * product);
        limiting_upper_tail(1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt())
    };
    Ok(CramerVonMises { statistic, p, is_exact })
}

/// The share of all orders of `n1` and `n2` values whose statistic is not smaller: how many orders lead to each sum of squared
/// distances, point by point of the grid of how many values of each sample were passed (Xiao, Gordon and Yakovlev 2006). Sums that
/// are large enough already are settled at once.
fn exact_p(n1: u64, n2: u64, statistic: f64) -> f64 {
    let (product, all) = ((n1 * n2) as f64, (n1 + n2) as f64);
    let (up, side) = (n2 / common_divisor(n1, n2), n1 / common_divisor(n1, n2));
    // A sum in units of the squared least distance is whole; that of midranks is not, and rounded down.
    let least = (statistic * (all * (n1 * up) as f64).powi(2) / product + 1e-6).floor().max(0.0) as u64;
    let square = |first: u64, second: u64| (first * up).abs_diff(second * side).pow(2);
    let mut column: Vec<Vec<(u64, u64)>> = vec![Vec::new(); n2 as usize + 1];
    let mut as_far = 0;
    for first in 0..=n1 {
        let mut below: Vec<(u64, u64)> = if first == 0 { vec![(0, 1)] } else { Vec::new() };
        for second in 0..=n2 {
            let mut sums = merged(&below, &column[second as usize]);
            sums.iter_mut().for_each(|(sum, _)| *sum += square(first, second));
            let settled = sums.partition_point(|(sum, _)| *sum < least);
            let orders: u64 = sums.drain(settled..).map(|(_, orders)| orders).sum();
            as_far += orders * choose(n1 - first + n2 - second, n1 - first);
            below.clone_from(&sums);
            column[second as usize] = sums;
        }
    }
    as_far as f64 / choose(n1 + n2, n1) as f64
}

/// Two ascending lists of sums and of how many orders have them, as one.
fn merged(one: &[(u64, u64)], other: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut all: Vec<(u64, u64)> = Vec::with_capacity(one.len() + other.len());
    loop {
        let (sum, orders) = match (one.peek(), other.peek()) {
            (None, None) => return all,
            (Some(a), Some(b)) if a.0 == b.0 => (a.0, a.1 + b.1),
            (Some(a), Some(b)) => **a.min(b),
            (Some(a), None) | (None, Some(a)) => **a,
        };
        one.next_if(|next| next.0 == sum);
        other.next_if(|next| next.0 == sum);
        all.push((sum, orders));
    }
}

fn choose(n: u64, k: u64) -> u64 {
    (1..=k).fold(1, |ways, i| ways * (n - k + i) / i)
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// P(W² ≥ `square`) of the limiting law, by Smirnov's alternating sum of integrals (1936): in the tail the first is all of it, so
/// that the tail is accurate in relative terms. What SciPy sums (Csörgő and Faraway 1996) is the distribution from below.
fn limiting_upper_tail(square: f64) -> f64 {
    if square < LEAST {
        return 1.0;
    }
    let (mut sum, mut sign) = (0.0, 1.0);
    for from in (1..MOST_INTERVALS).step_by(2).map(|odd| f64::from(odd) * PI) {
        let integral = integral(square, from);
        sum += sign * integral;
        sign = -sign;
        if integral <= NEGLIGIBLE * sum {
            break;
        }
    }
    (2.0 / PI * sum).clamp(0.0, 1.0)
}

/// ∫ exp(−`square` u² / 2) / √(u |sin u|) du over the π from an odd multiple of it on: by Gauss and Chebyshev, because the
/// integrand grows at both ends as the inverse root of the distance to them.
fn integral(square: f64, from: f64) -> f64 {
    let nodes = (0..NODES).map(|node| {
        let angle = PI * (f64::from(node) + 0.5) / f64::from(NODES);
        let beyond = PI * (angle / 2.0).sin().powi(2);
        let at = from + beyond;
        (-square * at * at / 2.0).exp() * angle.sin() / (at * beyond.sin()).sqrt()
    });
    PI * PI / 2.0 / f64::from(NODES) * nodes.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use driftlead_store::bucket;
    use proptest::prelude::*;

    use super::*;

    fn sample(rows: &[f64]) -> Sample {
        Sample::of_rows(rows).unwrap()
    }

    /// Anderson's formula as it is written, over midranks.
    fn by_ranks(a: &[f64], b: &[f64]) -> f64 {
        let all = [a, b].concat();
        let midrank = |value: f64| {
            let below = all.iter().filter(|other| **other < value).count() as f64;
            below + (all.iter().filter(|other| **other == value).count() as f64 + 1.0) / 2.0
        };
        let squares = |rows: &[f64]| {
            let mut rows = rows.to_vec();
            rows.sort_by(f64::total_cmp);
            let ranks = rows.iter().zip(1..).map(|(row, rank)| (midrank(*row) - f64::from(rank)).powi(2));
            ranks.sum::<f64>() * rows.len() as f64
        };
        let (product, n) = ((a.len() * b.len()) as f64, all.len() as f64);
        (squares(a) + squares(b)) / (product * n) - (4.0 * product - 1.0) / (6.0 * n)
    }

    #[test]
    fn a_single_value_has_no_test() {
        assert!(test(&sample(&[1.0]), &sample(&[1.0, 2.0])).is_err());
        assert!(tied_test(&sample(&[1.0, 2.0]), &sample(&[1.0])).is_err());
    }

    #[test]
    fn equal_samples_are_not_apart() {
        let found = tied_test(&sample(&[1.0, 1.0, 2.0]), &sample(&[1.0, 1.0, 2.0, 1.0, 1.0, 2.0])).unwrap();
        assert_eq!((found.statistic, found.p), (0.0, 1.0));
        assert_eq!(test(&sample(&[3.0; 40]), &sample(&[3.0; 40])).unwrap().p, 1.0);
    }

    #[test]
    fn only_the_tied_test_bears_ties_of_different_sizes() {
        let rows = |n: u32| (0..n).map(|i| f64::from(i % 10)).collect::<Vec<_>>();
        let (reference, current) = (sample(&rows(2_000)), sample(&rows(50)));
        assert!(test(&reference, &current).unwrap().p < 1e-9);
        assert_eq!(tied_test(&reference, &current).unwrap().p, 1.0);
    }

    #[test]
    fn the_limiting_tail_is_accurate_far_out() {
        // There the first integral is all, and its integrand narrow: Laplace's method, to the order 1 / w.
        for square in [20.0_f64, 60.0, 130.0] {
            let narrow = 2.0 / (PI * (PI * square).sqrt()) * (-PI * PI * square / 2.0).exp();
            let ratio = limiting_upper_tail(square) / narrow;
            assert!((ratio - 1.0).abs() < 0.1 / square, "{square}: {ratio}");
        }
        assert_eq!((limiting_upper_tail(0.001), limiting_upper_tail(1e6)), (1.0, 0.0));
        assert!(1.0 - limiting_upper_tail(LEAST) < 1e-12);
    }

    proptest! {
        #[test]
        fn it_is_what_ranks_give(a in prop::collection::vec(-9_i8..9, 2..40), b in prop::collection::vec(-9_i8..9, 2..40)) {
            let rows = |side: &[i8]| side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
            let (a, b) = (rows(&a), rows(&b));
            let found = test(&sample(&a), &sample(&b)).unwrap().statistic;
            prop_assert!((found - by_ranks(&a, &b)).abs() < 1e-9);
        }

        #[test]
        fn without_ties_both_are_one(a in prop::collection::vec(0.0..1.0_f64, 2..40), b in prop::collection::vec(0.0..1.0_f64, 2..40)) {
            let (found, tied) = (test(&sample(&a), &sample(&b)).unwrap(), tied_test(&sample(&a), &sample(&b)).unwrap());
            prop_assert!((found.statistic - tied.statistic).abs() < 1e-12);
            prop_assert!((found.p - tied.p).abs() < 1e-9);
        }

        #[test]
        fn buckets_change_the_tied_test_by_little(
            a in prop::collection::vec(1.0..9.0_f64, 2..100), b in prop::collection::vec(1.0..9.0_f64, 2..100)
        ) {
            let of_buckets = |rows: &[f64]| Sample::of_buckets(rows.iter().map(|row| (bucket::key_of(*row).unwrap(), 1))).unwrap();
            let largest = |sample: &Sample| sample.counts().iter().map(|(_, count)| *count).max().unwrap() as f64 / sample.n() as f64;
            let exact = tied_test(&sample(&a), &sample(&b)).unwrap().statistic;
            let (n1, n2) = (a.len() as f64, b.len() as f64);
            let (a, b) = (of_buckets(&a), of_buckets(&b));
            let bound = n1 * n2 / (n1 + n2) * 2.0 * largest(&a).max(largest(&b));
            prop_assert!((tied_test(&a, &b).unwrap().statistic - exact).abs() <= bound + 1e-12);
        }
    }
}
