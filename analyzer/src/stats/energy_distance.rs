//! The energy distance of two samples (Székely and Rizzo 2004).

use super::Undefined;
use super::sample::Sample;
use super::wasserstein::gaps;

/// √(2 E|X − Y| − E|X − X′| − E|Y − Y′|), in the root of the unit of the values: 0 where both samples hold the same shares of the
/// same values. On a line it is √2 times the L2 distance of the empirical distributions. Agrees with
/// `scipy.stats.energy_distance`.
///
/// From buckets its square is off by at most 4 · [`wasserstein::BUCKETING`](super::wasserstein::BUCKETING) of the sum of both
/// means of |value|.
///
/// # Errors
/// The values lie too far apart for a number, as only those beyond 1e307 can.
pub fn distance(reference: &Sample, current: &Sample) -> Result<f64, Undefined> {
    let square: f64 = gaps(reference, current).map(|gap| gap.difference.powi(2) * gap.width).sum();
    let distance = (2.0 * square).sqrt();
    if distance.is_finite() {
        Ok(distance)
    } else {
        Err(Undefined::because("the values lie too far apart for a number"))
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::bucket;
    use proptest::prelude::*;

    use super::super::wasserstein::BUCKETING;
    use super::*;

    fn sample(rows: &[f64]) -> Sample {
        Sample::of_rows(rows).unwrap()
    }

    #[test]
    fn two_points_are_the_root_of_twice_their_difference_apart() {
        assert!((distance(&sample(&[1.0; 4]), &sample(&[3.0])).unwrap() - 2.0).abs() < 1e-15);
        assert_eq!(distance(&sample(&[1.0, 2.0]), &sample(&[1.0, 1.0, 2.0, 2.0])).unwrap(), 0.0);
        assert!(distance(&sample(&[-1.7e308]), &sample(&[1.7e308])).is_err());
    }

    proptest! {
        #[test]
        fn it_is_what_mean_distances_of_pairs_give(
            a in prop::collection::vec(-9.0..9.0_f64, 1..30), b in prop::collection::vec(-9.0..9.0_f64, 1..30)
        ) {
            let mean = |a: &[f64], b: &[f64]| {
                let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x - y).abs()));
                pairs.sum::<f64>() / (a.len() * b.len()) as f64
            };
            let expected = 2.0 * mean(&a, &b) - mean(&a, &a) - mean(&b, &b);
            prop_assert!((distance(&sample(&a), &sample(&b)).unwrap().powi(2) - expected).abs() < 1e-12);
        }

        #[test]
        fn buckets_change_its_square_by_little(
            a in prop::collection::vec(-1e4..1e4_f64, 1..100), b in prop::collection::vec(-9.0..9.0_f64, 1..100)
        ) {
            let of_buckets = |rows: &[f64]| Sample::of_buckets(rows.iter().map(|row| (bucket::key_of(*row).unwrap(), 1))).unwrap();
            let size = |rows: &[f64]| rows.iter().map(|row| row.abs()).sum::<f64>() / rows.len() as f64;
            let exact = distance(&sample(&a), &sample(&b)).unwrap();
            let bucketed = distance(&of_buckets(&a), &of_buckets(&b)).unwrap();
            prop_assert!((bucketed.powi(2) - exact.powi(2)).abs() <= 4.0 * BUCKETING * (size(&a) + size(&b)) + 1e-9);
        }
    }
}
