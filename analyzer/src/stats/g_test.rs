//! The likelihood-ratio test (G-test; Wilks 1938) of whether two samples have the same shares.

use super::binning::Table;
use super::chi_square::{Cells, Contingency, Correction};
use super::kullback_leibler::per_expected;

/// The two-sample test: 2 Σ observed · ln(observed / expected). Bins that neither sample has are left out; a single bin
/// leaves nothing to differ: the statistic is 0 and p is 1, as in SciPy. Agrees with
/// `scipy.stats.chi2_contingency(lambda_="log-likelihood", correction=False)`, with [`Correction::Yates`] with
/// `correction=True`. From profile buckets: as [`super::binning`] says.
pub fn test(table: &Table, correction: Correction) -> Contingency {
    let cells = Cells::of(table, correction);
    let terms = cells.all().map(|cell| cell.expected * per_expected(cell.excess / cell.expected));
    cells.judged(2.0 * terms.sum::<f64>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn table(reference: &[u64], current: &[u64]) -> Table {
        let categories = |side: &[u64]| {
            side.iter()
                .enumerate()
                .map(|(at, n)| (at.to_string(), *n))
                .collect::<BTreeMap<_, _>>()
        };
        Table::of_categories(&categories(reference), &categories(current)).unwrap()
    }

    #[test]
    fn a_single_bin_leaves_nothing_to_differ() {
        let constant = test(&table(&[0, 12], &[0, 40]), Correction::None);
        assert_eq!((constant.statistic, constant.degrees_of_freedom, constant.p), (0.0, 0, 1.0));
    }

    proptest! {
        #[test]
        fn the_statistic_is_the_definition(cells in prop::collection::vec((0_u64..50, 0_u64..50), 2..6)) {
            let (reference, current): (Vec<u64>, Vec<u64>) = cells.iter().copied().unzip();
            let (reference_n, current_n) = (reference.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
            prop_assume!(reference_n > 0.0 && current_n > 0.0);
            let terms = cells.iter().map(|(here, there)| {
                let share = (here + there) as f64 / (reference_n + current_n);
                let of = |observed: u64, n: f64| match observed {
                    0 => 0.0,
                    _ => observed as f64 * (observed as f64 / (share * n)).ln(),
                };
                of(*here, reference_n) + of(*there, current_n)
            });
            let expected = 2.0 * terms.sum::<f64>();
            let found = test(&table(&reference, &current), Correction::None);
            prop_assert!((found.statistic - expected).abs() <= 1e-9 * expected.max(1.0), "{found:?} {expected}");
        }
    }
}
