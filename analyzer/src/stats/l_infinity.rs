//! The L-infinity distance: the most that the share of one bin moved.

use super::binning::Table;

/// max |p − q| over the bins, from 0 to 1. Agrees with `scipy.spatial.distance.chebyshev` of the shares, with NannyML's
/// `l_infinity`, and with the `infinity_norm` of TensorFlow Data Validation for categories. From profile buckets: as
/// [`super::binning`] says.
pub fn distance(table: &Table) -> f64 {
    table
        .shares()
        .map(|(reference, current)| (reference - current).abs())
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_bin_that_moved_most_counts() {
        let categories = |a, b, c| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b), ("c".to_owned(), c)]);
        let table = Table::of_categories(&categories(5, 3, 2), &categories(20, 50, 30)).unwrap();
        assert!((distance(&table) - 0.3).abs() < 1e-15);
        assert_eq!(
            distance(&Table::of_categories(&categories(1, 0, 0), &categories(0, 0, 9)).unwrap()),
            1.0
        );
    }
}
