//! The Hellinger distance (Hellinger 1909).

use super::binning::Table;

/// √(1 − Σ √(pq)) over the bins, from 0 to 1, computed as √(½ Σ (√p − √q)²), which does not cancel near 0. Agrees with
/// `scipy.spatial.distance.euclidean` of the shares' roots over √2, and over [`super::compatible::Library::table_of_numbers`]
/// with NannyML's `hellinger`. From profile buckets: as [`super::binning`] says.
pub fn distance(table: &Table) -> f64 {
    let squares = table
        .shares()
        .map(|(reference, current)| (reference.sqrt() - current.sqrt()).powi(2));
    (squares.sum::<f64>() / 2.0).min(1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::Sample;
    use super::*;

    fn table(reference: &[f64], current: &[f64]) -> Table {
        Table::of_values(&Sample::of_rows(reference).unwrap(), &Sample::of_rows(current).unwrap())
    }

    #[test]
    fn it_runs_from_equal_to_nothing_in_common() {
        assert_eq!(distance(&table(&[1.0, 2.0], &[1.0, 1.0, 2.0, 2.0])), 0.0);
        assert_eq!(distance(&table(&[1.0, 2.0, 3.0], &[4.0])), 1.0);
    }

    proptest! {
        #[test]
        fn it_is_the_definition(a in prop::collection::vec(0_u8..6, 1..60), b in prop::collection::vec(0_u8..6, 1..60)) {
            let rows = |side: &[u8]| side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
            let share = |side: &[u8], n: u8| side.iter().filter(|other| **other == n).count() as f64 / side.len() as f64;
            let overlap: f64 = (0..6).map(|n| (share(&a, n) * share(&b, n)).sqrt()).sum();
            let found = distance(&table(&rows(&a), &rows(&b)));
            prop_assert!((found * found - (1.0 - overlap)).abs() < 1e-12);
        }
    }
}
