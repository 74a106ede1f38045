//! Whether values of one sample tend to be larger than those of another (Mann and Whitney 1947; Wilcoxon's rank sum).

use super::normal;
use super::sample::{Sample, pooled};

/// Size of the smaller sample up to which p counts orders, where there are no ties.
pub const LARGEST_EXACT: u64 = 8;
/// Size of the larger sample up to which it does: the orders of more do not fit 128 bits, and these take some 50 ms.
pub const LARGEST_EXACT_OTHER: u64 = 100_000;

/// The two-sided test of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannWhitney {
    /// In how many pairs of one value of each sample the current one is the larger; equal ones count one half.
    pub statistic: f64,
    /// The share of those pairs: how likely a current value exceeds one of the reference. 0.5 where neither tends to be larger;
    /// the common-language effect size (McGraw and Wong 1992).
    pub effect: f64,
    /// How likely two samples of one distribution are at least as far from half of the pairs.
    pub p: f64,
    /// Whether p counts the orders of both samples, or takes the normal law.
    pub is_exact: bool,
}

/// Tests whether values of `current` tend to be larger or smaller than those of `reference`. Agrees with
/// `scipy.stats.mannwhitneyu(current, reference, method="auto")`: without ties p is exact where one sample has at most
/// [`LARGEST_EXACT`] values, otherwise normal with corrections for ties and continuity. Unlike SciPy's, p is also normal where the
/// other sample has more than [`LARGEST_EXACT_OTHER`] values, which SciPy would count for hours. Where all values are equal p is 1,
/// because there is one order only.
///
/// Buckets make ties: the effect changes by at most half the share of pairs that lie in one bucket.
pub fn test(reference: &Sample, current: &Sample) -> MannWhitney {
    let (n1, n2) = (reference.n(), current.n());
    let all = n1 as f64 + n2 as f64;
    let (mut below, mut doubled, mut tied) = (0_u128, 0_u128, 0.0);
    let mut has_ties = false;
    for step in pooled(reference, current) {
        doubled += u128::from(step.current) * (2 * below + u128::from(step.reference));
        below += u128::from(step.reference);
        let equal = step.reference as f64 + step.current as f64;
        // n³ − Σ t³ without the difference: Σ t (n² − t²).
        tied += equal * (all - equal) * (all + equal);
        has_ties |= equal > 1.0;
    }
    let pairs = u128::from(n1) * u128::from(n2);
    let is_exact = !has_ties && n1.min(n2) <= LARGEST_EXACT && n1.max(n2) <= LARGEST_EXACT_OTHER;
    let p = if is_exact {
        let smaller = doubled.min(2 * pairs - doubled) / 2;
        exact_p(n1.min(n2) as usize, n1.max(n2) as usize, smaller as usize)
    } else {
        let deviation = (pairs as f64 / 12.0 * tied / (all * (all - 1.0))).sqrt();
        let distance = doubled.abs_diff(pairs) as f64 / 2.0;
        if distance > 0.0 {
            (2.0 * normal::upper_tail((distance - 0.5) / deviation)).min(1.0)
        } else {
            1.0
        }
    };
    MannWhitney {
        statistic: doubled as f64 / 2.0,
        effect: doubled as f64 / 2.0 / pairs as f64,
        p,
        is_exact,
    }
}

/// Twice the share of orders in which at most `pairs` pairs are one way around, at most half of all pairs.
///
/// How many orders have each number of pairs are the coefficients of a Gaussian binomial, the product of
/// (1 − q^(`large` + i)) / (1 − q^i) for i up to `small`: whole numbers throughout.
fn exact_p(small: usize, large: usize, pairs: usize) -> f64 {
    let mut orders = vec![0_u128; pairs + 1];
    orders[0] = 1;
    let mut all = 1_u128;
    for i in 1..=small {
        for at in i..=pairs {
            orders[at] += orders[at - i];
        }
        for at in (large + i..=pairs).rev() {
            orders[at] -= orders[at - large - i];
        }
        all = all * (large + i) as u128 / i as u128;
    }
    (2.0 * orders.iter().sum::<u128>() as f64 / all as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use driftlead_store::bucket;
    use proptest::prelude::*;

    use super::*;

    fn sample(rows: &[f64]) -> Sample {
        Sample::of_rows(rows).unwrap()
    }

    #[test]
    fn the_effect_is_the_share_of_pairs_in_which_the_current_value_is_larger() {
        let found = test(&sample(&[1.0, 3.0]), &sample(&[2.0, 4.0, 5.0]));
        assert_eq!((found.statistic, found.is_exact), (5.0, true));
        assert!((found.effect - 5.0 / 6.0).abs() < 1e-15);
        // The orders with 0, 1, 5 and 6 pairs, one of each, of 10.
        assert!((found.p - 0.4).abs() < 1e-15);
    }

    #[test]
    fn equal_values_count_one_half_and_say_nothing() {
        let found = test(&sample(&[2.0; 30]), &sample(&[2.0; 20]));
        assert_eq!((found.statistic, found.effect, found.p, found.is_exact), (300.0, 0.5, 1.0, false));
        let found = test(&sample(&[1.0]), &sample(&[1.0]));
        assert_eq!((found.statistic, found.p), (0.5, 1.0));
    }

    #[test]
    fn few_values_against_many_are_counted() {
        let many: Vec<f64> = (0..LARGEST_EXACT_OTHER as u32).map(f64::from).collect();
        let found = test(&sample(&many), &sample(&[-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0]));
        // Twice 1 of 100,008 over 8 orders.
        let orders = (1..=8).map(|i| (1e5 + f64::from(i)) / f64::from(i)).product::<f64>();
        assert!(found.is_exact && (found.p * orders / 2.0 - 1.0).abs() < 1e-12);
        let middle: Vec<f64> = (0..8).map(|i| 49_996.5 + f64::from(i)).collect();
        assert!(test(&sample(&many), &sample(&middle)).p > 0.99);
        assert!(!test(&sample(&[&many[..], &[-1.0]].concat()), &sample(&[0.5])).is_exact);
    }

    proptest! {
        #[test]
        fn the_statistic_counts_pairs(a in prop::collection::vec(-3_i8..4, 1..30), b in prop::collection::vec(-3_i8..4, 1..30)) {
            let rows = |side: &[i8]| sample(&side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>());
            let pairs = a.iter().flat_map(|a| b.iter().map(move |b| f64::from((b - a).signum()) / 2.0 + 0.5));
            let (found, turned) = (test(&rows(&a), &rows(&b)), test(&rows(&b), &rows(&a)));
            prop_assert_eq!(found.statistic, pairs.sum::<f64>());
            prop_assert_eq!(found.p, turned.p);
            prop_assert!((found.effect + turned.effect - 1.0).abs() < 1e-15);
        }

        #[test]
        fn exact_p_is_the_share_of_orders(small in 1_usize..6, large in 1_usize..8, part in 0.0..1.0_f64) {
            let pairs = (part * (small * large / 2 + 1) as f64) as usize;
            let all = (0..1_u32 << (small + large)).filter(|order| order.count_ones() as usize == small);
            let pairs_of = |order: u32| -> u32 {
                let marked = (0..32).filter(|place| order >> place & 1 == 1);
                marked.map(|place| (!order & ((1 << place) - 1)).count_ones()).sum()
            };
            let (few, orders) = all.fold((0, 0), |(few, n), order| (few + u32::from(pairs_of(order) as usize <= pairs), n + 1));
            let expected = (2.0 * f64::from(few) / f64::from(orders)).min(1.0);
            prop_assert!((exact_p(small, large, pairs) - expected).abs() < 1e-12);
        }

        #[test]
        fn buckets_change_the_effect_by_at_most_half_of_the_pairs_in_one(
            a in prop::collection::vec(1.0..9.0_f64, 1..100), b in prop::collection::vec(1.0..9.0_f64, 1..100)
        ) {
            let of_buckets = |rows: &[f64]| Sample::of_buckets(rows.iter().map(|row| (bucket::key_of(*row).unwrap(), 1))).unwrap();
            let exact = test(&sample(&a), &sample(&b)).effect;
            let (a, b) = (of_buckets(&a), of_buckets(&b));
            let tied: u64 = pooled(&a, &b).map(|step| step.reference * step.current).sum();
            let bound = 0.5 * tied as f64 / (a.n() * b.n()) as f64;
            prop_assert!((test(&a, &b).effect - exact).abs() <= bound + 1e-12);
        }
    }
}
