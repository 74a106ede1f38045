//! Wasserstein's distance of order 1, the earth mover's: how far values have to be moved, on average, to make one sample the other.

use super::Undefined;
use super::sample::{Sample, pooled};

/// The standard deviation that a reference is taken to have at least, so that one that hardly varies does not make every distance
/// large; the value that Evidently takes.
pub const LEAST_DEVIATION: f64 = 0.001;
/// How much the distance changes, at most, when samples are read from buckets: this share of the sum of both means of |value|,
/// because no value moves farther than half a bucket.
pub const BUCKETING: f64 = 1.0 / 256.0;

/// How far two samples lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wasserstein {
    /// The distance, in the unit of the values.
    pub distance: f64,
    /// The distance in standard deviations of the reference (divisor n), of which it has at least [`LEAST_DEVIATION`].
    pub normed: f64,
}

/// The area between the empirical distributions of both samples (Vallender 1974). The distance agrees with
/// `scipy.stats.wasserstein_distance`, `normed` with Evidently's "Wasserstein distance (normed)".
///
/// From buckets the distance is at most [`BUCKETING`] of the means of |value| off.
///
/// # Errors
/// The values lie too far apart for a number, as only those beyond 1e150 can.
pub fn distance(reference: &Sample, current: &Sample) -> Result<Wasserstein, Undefined> {
    let distance: f64 = gaps(reference, current).map(|gap| gap.difference.abs() * gap.width).sum();
    let deviation = reference.population_deviation();
    if !distance.is_finite() || !deviation.is_finite() {
        return Err(Undefined::because("the values lie too far apart for a number"));
    }
    Ok(Wasserstein {
        distance,
        normed: distance / deviation.max(LEAST_DEVIATION),
    })
}

/// A range without values, between two that follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gap {
    /// Up to here, the share of the reference minus that of the current sample.
    pub difference: f64,
    /// From one value to the next.
    pub width: f64,
}

/// The ranges between the values of both samples, ascending.
pub(super) fn gaps(reference: &Sample, current: &Sample) -> impl Iterator<Item = Gap> {
    let (n1, n2) = (reference.n(), current.n());
    let scale = n1 as f64 * n2 as f64;
    let mut steps = pooled(reference, current);
    let (mut last, mut difference) = (steps.next(), 0_i128);
    std::iter::from_fn(move || {
        let (step, next) = (last?, steps.next()?);
        // In whole numbers, so that equal shares have no difference.
        difference += i128::from(step.reference) * i128::from(n2) - i128::from(step.current) * i128::from(n1);
        last = Some(next);
        Some(Gap {
            // Of what fits 64 bits this is one instruction.
            difference: i64::try_from(difference).map_or_else(|_| difference as f64, |small| small as f64) / scale,
            width: next.value - step.value,
        })
    })
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
    fn a_shift_is_its_own_distance() {
        let found = distance(&sample(&[0.0, 1.0, 3.0]), &sample(&[5.0, 6.0, 8.0])).unwrap();
        assert!((found.distance - 5.0).abs() < 1e-15);
        assert!((found.normed - 5.0 / (14.0_f64 / 9.0).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn a_constant_reference_has_the_least_deviation() {
        let found = distance(&sample(&[4.0; 9]), &sample(&[4.5])).unwrap();
        assert_eq!((found.distance, found.normed), (0.5, 500.0));
        assert_eq!(distance(&sample(&[4.0]), &sample(&[4.0; 3])).unwrap().normed, 0.0);
    }

    #[test]
    fn what_is_too_far_apart_has_no_distance() {
        assert!(distance(&sample(&[-1.7e308]), &sample(&[1.7e308])).is_err());
        assert!(distance(&sample(&[-1e200, 1e200]), &sample(&[0.0])).is_err());
    }

    proptest! {
        #[test]
        fn of_equal_sizes_it_is_the_mean_distance_of_equal_ranks(pairs in prop::collection::vec((-9.0..9.0_f64, -9.0..9.0_f64), 1..50)) {
            let (mut a, mut b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            a.sort_by(f64::total_cmp);
            b.sort_by(f64::total_cmp);
            let expected = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64;
            prop_assert!((distance(&sample(&a), &sample(&b)).unwrap().distance - expected).abs() < 1e-12);
        }

        #[test]
        fn buckets_move_values_by_at_most_half_a_bucket(
            a in prop::collection::vec(-1e4..1e4_f64, 1..100), b in prop::collection::vec(-9.0..9.0_f64, 1..100)
        ) {
            let of_buckets = |rows: &[f64]| Sample::of_buckets(rows.iter().map(|row| (bucket::key_of(*row).unwrap(), 1))).unwrap();
            let size = |rows: &[f64]| rows.iter().map(|row| row.abs()).sum::<f64>() / rows.len() as f64;
            let exact = distance(&sample(&a), &sample(&b)).unwrap().distance;
            let bucketed = distance(&of_buckets(&a), &of_buckets(&b)).unwrap().distance;
            prop_assert!((bucketed - exact).abs() <= BUCKETING * (size(&a) + size(&b)) + 1e-9);
        }
    }
}
