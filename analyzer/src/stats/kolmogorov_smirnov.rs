//! The largest distance between the empirical distributions of two samples (Smirnov 1939).

use super::kolmogorov;
use super::sample::{Sample, pooled};

/// Size of the larger sample up to which p counts orders: at most 10^8 steps of three operations, some 0.2 s.
pub const LARGEST_EXACT: u64 = 10_000;

/// The two-sided test of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// The largest distance, from 0 to 1.
    pub statistic: f64,
    /// The lowest value at which it is reached: the shares of values up to there, this one too, differ by it.
    pub place: f64,
    /// How likely two samples of one distribution are at least as far apart; 0 where that is below the smallest number.
    pub p: f64,
    /// Whether p counts the orders of both samples, or takes the law of large samples.
    pub is_exact: bool,
}

/// Tests whether both samples are of one distribution. Agrees with `scipy.stats.ks_2samp(method="auto")`: p is exact up to
/// [`LARGEST_EXACT`] values, beyond it is that of `scipy.stats.kstwo` with n1 n2 / (n1 + n2), rounded, as n. Where several places
/// are equally far apart SciPy may name another one.
///
/// p is that of values without ties; with ties it is too large, never too small. From buckets the statistic is not larger than
/// from rows, and smaller by at most the largest share of a sample that one bucket holds.
pub fn test(reference: &Sample, current: &Sample) -> KolmogorovSmirnov {
    let (n1, n2) = (reference.n(), current.n());
    let (mut farthest, mut place) = (0, reference.counts()[0].0);
    let mut difference = 0_i128;
    for step in pooled(reference, current) {
        difference += i128::from(step.reference) * i128::from(n2) - i128::from(step.current) * i128::from(n1);
        if difference.unsigned_abs() > farthest {
            (farthest, place) = (difference.unsigned_abs(), step.value);
        }
    }
    let statistic = farthest as f64 / (n1 as f64 * n2 as f64);
    let is_exact = n1.max(n2) <= LARGEST_EXACT;
    let p = if farthest == 0 {
        1.0
    } else if !is_exact {
        let both = (n1 as f64 * n2 as f64 / (n1 as f64 + n2 as f64)).round_ties_even();
        kolmogorov::upper_tail(both as u64, statistic)
    } else if n1 == n2 {
        share_of_equal_sizes(n1, (farthest / u128::from(n1)) as u64)
    } else {
        share_outside(n1 as i64, n2 as i64, farthest as i64)
    };
    KolmogorovSmirnov {
        statistic,
        place,
        p,
        is_exact,
    }
}

/// The share of all orders of two samples of `n` values that are somewhere `steps` / n apart, at least one step: an alternating
/// sum by reflection (Gnedenko and Korolyuk 1951), nested so that nothing overflows. It takes n products.
fn share_of_equal_sizes(n: u64, steps: u64) -> f64 {
    let mut nested = 0.0;
    for reflection in (0..n / steps).rev() {
        let passed = reflection * steps;
        let ratio: f64 = (0..steps).map(|i| (n - passed - i) as f64 / (n + passed + i + 1) as f64).product();
        nested = ratio * (1.0 - nested);
    }
    (2.0 * nested).min(1.0)
}

/// The share of all orders of `n1` and `n2` values that are somewhere at least `farthest` / (n1 n2) apart, which is above 0.
///
/// An order is a path over a grid, a step to the side for a value of one sample and up for one of the other (Hodges 1957). Of the
/// paths to a point, the share that has been outside is the mean of the shares of the two points before, by how many paths come
/// over each: only sums of positive numbers. All points with as many values before them, a diagonal, are computed at once.
fn share_outside(n1: i64, n2: i64, farthest: i64) -> f64 {
    let ranks: Vec<f64> = (0..=n2).map(|rank| rank as f64).collect();
    let outside = vec![1.0; ranks.len() + 1];
    let (mut last, mut next) = (outside.clone(), outside);
    let mut inside = 0..0;
    for passed in 0..=n1 + n2 {
        // Of `passed` values j are of the second sample: |(passed − j) n2 − j n1| < farthest.
        let least = ((passed * n2 - farthest).div_euclid(n1 + n2) + 1).max(passed - n1).max(0);
        let most = (passed * n2 + farthest - 1).div_euclid(n1 + n2).min(passed).min(n2);
        if least > most {
            return 1.0;
        }
        inside = least as usize..most as usize + 1;
        let each = 1.0 / passed as f64;
        if inside.start == 0 {
            next[0] = 0.0;
        }
        let from = inside.start.max(1);
        let before = last[from - 1..].iter().zip(&last[from..]).zip(&ranks[from..]);
        for (share, ((below, beside), rank)) in next[from..inside.end].iter_mut().zip(before) {
            *share = (below * rank + beside * (passed as f64 - rank)) * each;
        }
        if inside.start > 0 {
            next[inside.start - 1] = 1.0;
        }
        next[inside.end] = 1.0;
        std::mem::swap(&mut last, &mut next);
    }
    last[inside.end - 1].min(1.0)
}

#[cfg(test)]
mod tests {
    use driftlead_store::bucket;
    use proptest::prelude::*;

    use super::*;

    fn sample(rows: &[f64]) -> Sample {
        Sample::of_rows(rows).unwrap()
    }

    /// The largest |x n2 − y n1| on the way through one order; bits that are set are values of the first sample.
    fn farthest_in(order: u32, n1: i64, n2: i64) -> i64 {
        let steps = (0..n1 + n2).scan(0, |difference, place| {
            *difference += if order >> place & 1 == 1 { n2 } else { -n1 };
            Some(difference.abs())
        });
        steps.max().unwrap()
    }

    #[test]
    fn the_place_is_the_lowest_of_the_farthest() {
        let found = test(&sample(&[1.0, 2.0, 3.0, 4.0]), &sample(&[3.0, 4.0, 5.0, 6.0]));
        assert_eq!((found.statistic, found.place, found.is_exact), (0.5, 2.0, true));
        // 28 of the 70 orders are two steps apart on one side, 28 on the other, 2 on both.
        assert!((found.p - 54.0 / 70.0).abs() < 1e-12, "{}", found.p);
    }

    #[test]
    fn equal_samples_are_not_apart() {
        let same = sample(&[2.0, 2.0, 7.0]);
        assert_eq!(
            (test(&same, &same).statistic, test(&same, &same).place, test(&same, &same).p),
            (0.0, 2.0, 1.0)
        );
    }

    #[test]
    fn samples_without_a_common_range_are_as_far_apart_as_can_be() {
        let found = test(&sample(&[1.0; 3]), &sample(&[2.0; 5]));
        assert_eq!((found.statistic, found.place), (1.0, 1.0));
        assert!((found.p - 2.0 / 56.0).abs() < 1e-15);
        let far: Vec<f64> = (0..9_000).map(f64::from).collect();
        assert_eq!(test(&sample(&far), &sample(&[-1.0; 8_999])).p, 0.0);
    }

    proptest! {
        #[test]
        fn p_is_the_share_of_orders_that_are_as_far_apart(n1 in 1_i64..8, n2 in 1_i64..8, chosen: u32) {
            let orders: Vec<u32> = (0..1_u32 << (n1 + n2)).filter(|order| i64::from(order.count_ones()) == n1).collect();
            let order = orders[chosen as usize % orders.len()];
            let rows = |bit| (0..n1 + n2).filter(|place| order >> place & 1 == bit).map(|place| place as f64).collect::<Vec<_>>();
            let found = test(&sample(&rows(1)), &sample(&rows(0)));
            let farthest = farthest_in(order, n1, n2);
            let as_far = orders.iter().filter(|order| farthest_in(**order, n1, n2) >= farthest).count();
            prop_assert!((found.statistic - farthest as f64 / (n1 * n2) as f64).abs() < 1e-15);
            prop_assert!((found.p - as_far as f64 / orders.len() as f64).abs() < 1e-12);
        }

        #[test]
        fn both_ways_of_counting_agree(n in 1_u64..300, part in 0.0..1.0_f64) {
            let steps = (1.0 + part * (n - 1) as f64) as u64;
            let counted = share_outside(n as i64, n as i64, (steps * n) as i64);
            let reflected = share_of_equal_sizes(n, steps);
            prop_assert!((counted / reflected - 1.0).abs() < 1e-10, "{counted} {reflected}");
        }

        #[test]
        fn buckets_hide_at_most_the_largest_share_of_one(
            a in prop::collection::vec(1.0..30.0_f64, 1..200), b in prop::collection::vec(1.0..30.0_f64, 1..200)
        ) {
            let of_buckets = |rows: &[f64]| Sample::of_buckets(rows.iter().map(|row| (bucket::key_of(*row).unwrap(), 1))).unwrap();
            let largest = |sample: &Sample| sample.counts().iter().map(|(_, count)| *count).max().unwrap() as f64 / sample.n() as f64;
            let exact = test(&sample(&a), &sample(&b)).statistic;
            let (a, b) = (of_buckets(&a), of_buckets(&b));
            let bucketed = test(&a, &b).statistic;
            prop_assert!(bucketed <= exact + 1e-15);
            prop_assert!(bucketed >= exact - largest(&a).max(largest(&b)) - 1e-15);
        }
    }
}
