//! The squared distance between the empirical distributions of two samples, with more weight in the tails (Anderson and Darling
//! 1952; Scholz and Stephens 1987).

use std::f64::consts::PI;

use super::Undefined;
use super::sample::{Sample, pooled};

/// The levels of the table of Scholz and Stephens that p is interpolated from, and the statistics of two samples at them.
#[allow(clippy::approx_constant, reason = "a critical value that happens to lie near e")]
const TABLE: [(f64, f64); 7] = [
    (0.25, 0.325),
    (0.1, 1.226),
    (0.05, 1.961),
    (0.025, 2.718),
    (0.01, 3.752),
    (0.005, 4.592),
    (0.001, 6.546),
];
/// From this n on sums of 1 / i and 1 / i² are taken from their expansions, which are then as accurate as a double.
const EXPANDED_FROM: u64 = 64;
/// How much the statistic changes, at most, when samples are read from buckets: this share of |statistic| + 2, as measured for 50
/// values or more whose standard deviation is at least 30 % of their mean. Where it is 3 %, twice as much. Samples of one law
/// are not found to differ more often, because midranks are made for ties.
pub const BUCKETING: f64 = 0.1;
const EULER: f64 = 0.577_215_664_901_532_9;

/// How likely two samples of one distribution are at least as far apart, as far as the table goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TabulatedP {
    /// At least this: the statistic lies before the table.
    AtLeast(f64),
    /// Interpolated in the table.
    Is(f64),
    /// At most this: the statistic lies beyond the table.
    AtMost(f64),
}

impl TabulatedP {
    /// The number, clipped to the table: what SciPy names p.
    pub fn clipped(self) -> f64 {
        match self {
            Self::AtLeast(p) | Self::Is(p) | Self::AtMost(p) => p,
        }
    }
}

/// The test of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AndersonDarling {
    /// A² of midranks, less its mean of 1, in standard deviations: below 0 where samples are closer than most.
    pub statistic: f64,
    /// How likely that is.
    pub p: TabulatedP,
}

/// Tests whether both samples are of one distribution. Agrees with `scipy.stats.anderson_ksamp([reference, current])`, the
/// midrank version, which is made for ties.
///
/// From buckets the statistic is off by at most [`BUCKETING`] of |statistic| + 2.
///
/// # Errors
/// There are fewer than four values, or all of them are equal.
pub fn test(reference: &Sample, current: &Sample) -> Result<AndersonDarling, Undefined> {
    let (n1, n2) = (u128::from(reference.n()), u128::from(current.n()));
    let n = n1 + n2;
    if n < 4 {
        return Err(Undefined::because("there are fewer than four values"));
    }
    let is_constant = pooled(reference, current).nth(1).is_none();
    if is_constant {
        return Err(Undefined::because("all values are equal"));
    }
    let (first, second, all) = (n1 as f64, n2 as f64, n as f64);
    let (mut passed, mut difference) = (0, 0_i128);
    let mut sum = 0.0;
    for step in pooled(reference, current) {
        let equal = u128::from(step.reference) + u128::from(step.current);
        let change = i128::from(step.reference) * n2 as i128 - i128::from(step.current) * n1 as i128;
        // Twice the midrank, so that it is whole.
        let midrank = 2 * passed + equal;
        let spread = midrank * (2 * n - midrank) - n * equal;
        sum += equal as f64 * ((2 * difference + change) as f64).powi(2) / spread as f64;
        passed += equal;
        difference += change;
    }
    let square = (all - 1.0) / (first * second * all) * sum;
    let statistic = (square - 1.0) / variance(reference.n(), current.n()).sqrt();
    Ok(AndersonDarling {
        statistic,
        p: tabulated_p(statistic),
    })
}

/// The variance of A² of two samples of one continuous distribution (Scholz and Stephens 1987, equation 4).
fn variance(n1: u64, n2: u64) -> f64 {
    let n = n1 as f64 + n2 as f64;
    let inverse = 1.0 / n1 as f64 + 1.0 / n2 as f64;
    let (h, squares) = harmonic(n1 + n2 - 1);
    // The paper's g is a double sum of 1 / ((n − i) j), which is this.
    let g = squares - 2.0 * h / n;
    let a = 4.0 * g - 6.0 + (10.0 - 6.0 * g) * inverse;
    let b = 4.0 * (2.0 * g - 4.0) + 8.0 * h + (2.0 * g - 14.0 * h - 4.0) * inverse + 4.0 * g - 6.0;
    let c = 4.0 * (6.0 * h + 2.0 * g - 2.0) + 2.0 * (4.0 * h - 4.0 * g + 6.0) + (2.0 * h - 6.0) * inverse + 4.0 * h;
    let d = 4.0 * (2.0 * h + 6.0) - 8.0 * h;
    (((a * n + b) * n + c) * n + d) / ((n - 1.0) * (n - 2.0) * (n - 3.0))
}

/// The sums of 1 / i and of 1 / i² up to `n`, by Euler and Maclaurin where that is many.
fn harmonic(n: u64) -> (f64, f64) {
    if n < EXPANDED_FROM {
        let inverse = (1..=n).rev().map(|i| 1.0 / i as f64);
        return inverse.fold((0.0, 0.0), |(sum, squares), inverse| (sum + inverse, squares + inverse * inverse));
    }
    let each = 1.0 / n as f64;
    let square = each * each;
    (
        (n as f64).ln() + EULER + each / 2.0 - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0)),
        PI * PI / 6.0 - each * (1.0 - each / 2.0 + square * (1.0 / 6.0 - square * (1.0 / 30.0 - square / 42.0))),
    )
}

/// The logarithm of p as the parabola in the statistic that lies closest to the table, by polynomials that are orthogonal over it.
fn tabulated_p(statistic: f64) -> TabulatedP {
    let (highest, lowest) = (TABLE[0], TABLE[TABLE.len() - 1]);
    if statistic < highest.1 {
        return TabulatedP::AtLeast(highest.0);
    }
    if statistic > lowest.1 {
        return TabulatedP::AtMost(lowest.0);
    }
    let n = TABLE.len() as f64;
    let centre = TABLE.iter().map(|(_, critical)| critical).sum::<f64>() / n;
    let moment = |power| TABLE.iter().map(|(_, critical)| (critical - centre).powi(power)).sum::<f64>();
    let (skew, spread) = (moment(3) / moment(2), moment(2) / n);
    let constant = |_: f64| 1.0;
    let line = |x: f64| x - centre;
    let parabola = |x: f64| (x - centre).powi(2) - skew * (x - centre) - spread;
    let part = |of: &dyn Fn(f64) -> f64| {
        let along: f64 = TABLE.iter().map(|(level, critical)| level.ln() * of(*critical)).sum();
        along / TABLE.iter().map(|(_, critical)| of(*critical).powi(2)).sum::<f64>() * of(statistic)
    };
    TabulatedP::Is((part(&constant) + part(&line) + part(&parabola)).exp())
}

#[cfg(test)]
mod tests {
    use driftlead_store::bucket;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn sample(rows: &[f64]) -> Sample {
        Sample::of_rows(rows).unwrap()
    }

    #[test]
    fn what_cannot_differ_has_no_test() {
        assert!(test(&sample(&[1.0]), &sample(&[2.0, 3.0])).is_err());
        assert!(test(&sample(&[1.0; 5]), &sample(&[1.0; 9])).is_err());
    }

    #[test]
    fn p_says_where_the_table_ends() {
        let rows: Vec<f64> = (0..100).map(f64::from).collect();
        let shifted = |by: f64| {
            test(&sample(&rows), &sample(&rows.iter().map(|row| row + by).collect::<Vec<_>>()))
                .unwrap()
                .p
        };
        assert_eq!(shifted(0.0), TabulatedP::AtLeast(0.25));
        assert_eq!(shifted(50.0), TabulatedP::AtMost(0.001));
        assert!(matches!(shifted(9.0), TabulatedP::Is(p) if p > 0.001 && p < 0.25));
        assert_eq!(shifted(50.0).clipped(), 0.001);
    }

    #[test]
    fn sums_and_their_expansions_are_one() {
        let double = |n: u64| -> f64 {
            (1..n - 1)
                .map(|i| (i + 1..n).map(|j| 1.0 / ((n - i) as f64 * j as f64)).sum::<f64>())
                .sum()
        };
        for n in [4, 5, 63, 64, 65, 300] {
            let (h, squares) = harmonic(n - 1);
            assert!((squares - 2.0 * h / n as f64 - double(n)).abs() < 1e-13, "{n}");
        }
        let (h, squares) = (1..EXPANDED_FROM + 1).fold((0.0, 0.0), |(h, s), i| (h + 1.0 / i as f64, s + 1.0 / (i * i) as f64));
        let (expanded, of_squares) = harmonic(EXPANDED_FROM);
        assert!((h - expanded).abs() < 1e-14 && (squares - of_squares).abs() < 1e-14);
    }

    #[test]
    fn one_value_apart_from_a_billion_keeps_its_digits() {
        let many = |counts: [(i32, u64); 2]| Sample::of_buckets(counts).unwrap();
        let found = test(
            &many([(1_000, 1_000_000_000), (2_000, 1)]),
            &many([(1_000, 1_000_000_000), (2_000, 1)]),
        )
        .unwrap();
        assert!(found.statistic.is_finite() && found.statistic < 0.0);
    }

    #[test]
    fn buckets_change_the_statistic_by_little() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (n1, n2, factor) in [
            (50, 50, 1.0),
            (50, 1_000, 1.1),
            (1_000, 50, 1.0),
            (1_000, 1_000, 1.0),
            (1_000, 1_000, 1.5),
        ] {
            for _ in 0..40 {
                let mut rows = |n: usize, factor: f64| (0..n).map(|_| factor * rng.random_range(1.0..3.5)).collect::<Vec<f64>>();
                let (a, b) = (rows(n1, 1.0), rows(n2, factor));
                let of_buckets = |rows: &[f64]| Sample::of_buckets(rows.iter().map(|row| (bucket::key_of(*row).unwrap(), 1))).unwrap();
                let exact = test(&sample(&a), &sample(&b)).unwrap().statistic;
                let bucketed = test(&of_buckets(&a), &of_buckets(&b)).unwrap().statistic;
                assert!((bucketed - exact).abs() <= BUCKETING * (exact.abs() + 2.0), "{exact} {bucketed}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_definition(a in prop::collection::vec(-4_i8..4, 2..30), b in prop::collection::vec(-4_i8..4, 2..30)) {
            let rows = |side: &[i8]| side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
            let (a, b) = (rows(&a), rows(&b));
            let pooled = [a.clone(), b.clone()].concat();
            let n = pooled.len() as f64;
            // Below, and equal.
            let counts = |rows: &[f64], value: f64| {
                let count = |is: &dyn Fn(&&f64) -> bool| rows.iter().filter(is).count() as f64;
                (count(&|row| **row < value), count(&|row| **row == value))
            };
            let mut square = 0.0;
            for rows in [&a, &b] {
                // A sum over distinct values with how often each occurs, as one over all values.
                square += pooled.iter().map(|value| {
                    let ((below, equal), (own_below, own_equal)) = (counts(&pooled, *value), counts(rows, *value));
                    let (midrank, own) = (below + equal / 2.0, own_below + own_equal / 2.0);
                    let excess = n * own - rows.len() as f64 * midrank;
                    excess * excess / (midrank * (n - midrank) - n * equal / 4.0) / n
                }).sum::<f64>() / rows.len() as f64;
            }
            let expected = (square * (n - 1.0) / n - 1.0) / variance(a.len() as u64, b.len() as u64).sqrt();
            match test(&sample(&a), &sample(&b)) {
                Ok(found) => prop_assert!((found.statistic - expected).abs() < 1e-10),
                Err(_) => prop_assert!(pooled.iter().all(|value| *value == pooled[0])),
            }
        }
    }
}
