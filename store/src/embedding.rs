//! Where an embedding points: the buckets of fixed random projections that the drain keeps beside the vector.
//!
//! A vector is brought to length 1 and added up 64 times, each time with other fixed signs (Achlioptas 2003,
//! "Database-friendly random projections"). Of a vector of length 1 such a sum has mean 0 and variance 1 over all choices of signs, however
//! many dimensions there are, so that one range of buckets fits every encoder: 32 of width 1/4 from −4 to 4, the outer ones
//! open. Encoders are compared by angles, so the length is left out.
//!
//! What is computed never changes with the machine: every sum adds in the order of the coordinates. It never changes with the
//! version either, because profiles of different days are compared.

use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Projections of a vector.
pub const PROJECTIONS: usize = 64;
/// Buckets of a projection.
pub const BUCKETS: usize = 32;
/// Dimensions of the longest vector that is kept.
pub const MAX_DIMENSIONS: usize = 4_096;

/// Buckets of one unit.
const BUCKETS_PER_UNIT: f32 = 4.0;
/// Any number: profiles that were made with another one cannot be compared.
const SEED: u64 = 0x6472_6966_746c_6561;

/// The signs of each coordinate, one a projection.
static SIGNS: LazyLock<Vec<[f32; PROJECTIONS]>> = LazyLock::new(|| (0..MAX_DIMENSIONS as u32).map(signs).collect());

fn signs(coordinate: u32) -> [f32; PROJECTIONS] {
    let bits = xxh3_64_with_seed(&coordinate.to_le_bytes(), SEED);
    std::array::from_fn(|projection| if bits >> projection & 1 == 1 { 1.0 } else { -1.0 })
}

/// The bucket of each projection, from 0 to [`BUCKETS`] − 1. `None` for a vector without a direction: an empty one, one of zeros, one
/// with a coordinate that is not finite, one of more than [`MAX_DIMENSIONS`].
pub fn buckets_of(vector: &[f32]) -> Option<[u8; PROJECTIONS]> {
    let length = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 || vector.len() > MAX_DIMENSIONS {
        return None;
    }
    let mut sums = [0.0_f32; PROJECTIONS];
    for (&x, signs) in vector.iter().zip(SIGNS.iter()) {
        let x = (f64::from(x) / length) as f32;
        for (sum, sign) in sums.iter_mut().zip(signs) {
            *sum += sign * x;
        }
    }
    Some(sums.map(bucket))
}

fn bucket(sum: f32) -> u8 {
    let middle = (BUCKETS / 2) as f32;
    (sum * BUCKETS_PER_UNIT + middle).floor().clamp(0.0, (BUCKETS - 1) as f32) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_no_direction_has_no_buckets() {
        for vector in [
            vec![],
            vec![0.0; 384],
            vec![1.0, f32::NAN],
            vec![f32::INFINITY, 1.0],
            vec![f32::NEG_INFINITY; 3],
            vec![1.0; MAX_DIMENSIONS + 1],
        ] {
            assert_eq!(buckets_of(&vector), None, "{} dimensions", vector.len());
        }
        assert!(buckets_of(&vec![1.0; MAX_DIMENSIONS]).is_some());
    }

    #[test]
    fn buckets_are_those_of_every_version_before() {
        let vector: Vec<f32> = (0..8_u8).map(|i| f32::from(i) - 3.5).collect();
        let buckets = buckets_of(&vector).unwrap();
        assert_eq!(hex::encode(buckets), EXPECTED);
    }

    const EXPECTED: &str =
        "1114130b130b090f0e0f0f13110b0d11151411080b1314090b1017110c101211100c110b0d10120b100f1310080b19120b110e0b110e0b180e080e151313120b";

    #[test]
    fn the_sum_of_a_bucket_lies_in_it() {
        for (sum, expected) in [
            (-9.0, 0),
            (-4.0, 0),
            (-3.75, 1),
            (-0.01, 15),
            (0.0, 16),
            (0.25, 17),
            (3.99, 31),
            (64.0, 31),
        ] {
            assert_eq!(bucket(sum), expected, "{sum}");
        }
    }

    /// Two projections of the same sums would be one: over 384 coordinates no two agree, or disagree, by much more than chance
    /// makes independent ones.
    #[test]
    fn signs_are_balanced_and_projections_differ() {
        let agreement = |a: usize, b: usize, n: usize| SIGNS[..n].iter().map(|signs| signs[a] * signs[b]).sum::<f32>() / n as f32;
        for a in 0..PROJECTIONS {
            let sum = SIGNS[..384].iter().map(|signs| signs[a]).sum::<f32>() / 384.0;
            assert!(sum.abs() < 0.25, "{a}: {sum}");
            for b in 0..a {
                let agreement = agreement(a, b, 384);
                assert!(agreement.abs() < 0.25, "{a} {b}: {agreement}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_vector_is_too_much(vector in prop::collection::vec(prop::num::f32::ANY, 0..600)) {
            if let Some(buckets) = buckets_of(&vector) {
                prop_assert!(buckets.iter().all(|&bucket| usize::from(bucket) < BUCKETS));
            }
        }

        #[test]
        fn the_length_does_not_count_and_the_opposite_lies_opposite(
            vector in prop::collection::vec(-1.0_f32..1.0, 2..600), exponent in -20_i32..20
        ) {
            let scaled: Vec<f32> = vector.iter().map(|x| x * 2.0_f32.powi(exponent)).collect();
            prop_assert_eq!(buckets_of(&scaled), buckets_of(&vector));
            let opposite: Vec<f32> = vector.iter().map(|x| -x).collect();
            if let (Some(there), Some(back)) = (buckets_of(&vector), buckets_of(&opposite)) {
                // On an edge both lie above it.
                prop_assert!(there.iter().zip(back).all(|(&a, b)| (30..=32).contains(&(a + b))));
            }
        }
    }
}
