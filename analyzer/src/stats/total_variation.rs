//! The total variation distance: the share that would have to move to make two samples equal.

use super::binning::Table;

/// ½ Σ |p − q| over the bins, from 0 to 1. Agrees with `scipy.spatial.distance.cityblock` of the shares over 2. As it is,
/// with the noise of its samples in it: [`super::shift`] takes that out. From profile buckets: as [`super::binning`] says.
pub fn distance(table: &Table) -> f64 {
    table.shares().map(|(reference, current)| (reference - current).abs()).sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::Sample;
    use super::*;

    proptest! {
        #[test]
        fn it_is_what_the_worst_set_of_values_tells(
            a in prop::collection::vec(0_u8..6, 1..30), b in prop::collection::vec(0_u8..6, 1..30)
        ) {
            let sample = |side: &[u8]| Sample::of_rows(&side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>()).unwrap();
            let share = |side: &[u8], set: u8| side.iter().filter(|n| set >> **n & 1 == 1).count() as f64 / side.len() as f64;
            let worst = (0..64).map(|set| share(&b, set) - share(&a, set)).fold(0.0, f64::max);
            let found = distance(&Table::of_values(&sample(&a), &sample(&b)));
            prop_assert!((found - worst).abs() < 1e-12, "{found} {worst}");
        }
    }
}
