//! The population stability index: how far shares moved, by the symmetric Kullback–Leibler divergence (Jeffreys 1946).

use super::binning::{Floor, Table};

/// Σ (q − p) ln(q / p) over the bins, with the shares p of the reference and q of the window raised as `floor` says and not
/// renormalised; from 0. Over [`super::binning::Edges::deciles`] with [`Floor::OfAll`] it is this product's own `psi`. With
/// [`Floor::OfEmpty`] it agrees with Evidently's `psi` over [`super::compatible::Library::table_of_numbers`].
///
/// From profile buckets with edges of bucketed values: as much off as the buckets of the edges hold, see
/// [`super::binning`].
pub fn index(table: &Table, floor: Floor) -> f64 {
    let shares = table.floored_shares(floor);
    shares
        .iter()
        .map(|(reference, current)| (current - reference) * (current / reference).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::binning::LEAST_SHARE;
    use super::super::sample::Sample;
    use super::*;

    fn table(reference: &[f64], current: &[f64]) -> Table {
        Table::of_values(&Sample::of_rows(reference).unwrap(), &Sample::of_rows(current).unwrap())
    }

    #[test]
    fn equal_shares_are_stable_whatever_the_sizes() {
        let stable = table(&[1.0, 2.0, 2.0], &[1.0, 2.0, 2.0, 1.0, 2.0, 2.0]);
        assert_eq!((index(&stable, Floor::OfAll), index(&stable, Floor::OfEmpty)), (0.0, 0.0));
    }

    #[test]
    fn a_bin_that_one_sample_lacks_counts_with_the_least_share() {
        let moved = index(&table(&[1.0], &[2.0]), Floor::OfAll);
        assert!((moved - 2.0 * (1.0 - LEAST_SHARE) * -LEAST_SHARE.ln()).abs() < 1e-12, "{moved}");
    }

    proptest! {
        #[test]
        fn it_is_symmetric_and_not_negative(a in prop::collection::vec(0_u8..6, 1..60), b in prop::collection::vec(0_u8..6, 1..60)) {
            let rows = |side: &[u8]| side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
            for floor in [Floor::OfAll, Floor::OfEmpty] {
                let there = index(&table(&rows(&a), &rows(&b)), floor);
                let back = index(&table(&rows(&b), &rows(&a)), floor);
                prop_assert!(there >= 0.0 && (there - back).abs() < 1e-12);
            }
        }
    }
}
