//! *Shift* of embeddings: a bound of the total-variation distance between two distributions of vectors, from the buckets of their
//! fixed projections.
//!
//! No function of a vector moves further than the vector itself (the data-processing inequality), so what one projection surely moved
//! is a bound for the vectors. Each of the 64 is measured as a number is ([`super::bound`]) at a 64th of the allowed error, and the
//! best bound counts (Bonferroni). The projections come from the same rows, so one that is chosen on a half of its own counts is not
//! independent of the other half of another one's; dividing the error holds however they depend. It costs little: the half-width
//! grows by a factor of 1.4 at 1 %, and by 1.15 where a decision asks for one error in a million.
//!
//! What 64 sums do not see: a change that leaves the distribution along each of them as it is, for example another dependence
//! among coordinates around the same means, or a topic that lies among those that there were. They bound from below; there is no
//! bound from above of how far vectors moved. `upper` is that of the projection that moved most.

use driftlead_store::embedding::{BUCKETS, PROJECTIONS};
use driftlead_store::records::Directions;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::atoms::Atom;
use super::{DISPLAY_ERROR, MIN_N_FOR_DECISIONS, bound, value};
use crate::stats::hypergeometric::first_half;
use crate::stats::{Undefined, normal};

/// How the bounds are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectionsOptions {
    /// Seed of the random halves.
    pub seed: u64,
    /// How rarely a bound of decision may be wrong; the projections share it.
    pub decision_error: f64,
    /// By projection, how many times the variance of independent traffic the reference's own windows have; at least 1.
    pub dispersions: [f64; PROJECTIONS],
}

/// How far embeddings moved.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectionsShift {
    /// The share that moved along the projection that moved most, from 0 to 1: which one it is, is chosen on one half of the
    /// embeddings and measured on the other.
    pub value: f64,
    /// Not above the distance of the vectors, at 99 % for this window.
    pub lower: f64,
    /// Not below the distance of the buckets of any projection, at 99 % for this window.
    pub upper: f64,
    /// Not above the distance of the vectors, but for the error of a decision; `None` with fewer than
    /// [`MIN_N_FOR_DECISIONS`] embeddings on either side.
    pub decision_lower: Option<f64>,
    /// Likewise not below that of the buckets.
    pub decision_upper: Option<f64>,
    /// p-value of "nothing moved".
    pub p_value: f64,
    /// Projections along which something surely moved, at 99 % for all together.
    pub moved_projections: usize,
    /// Embeddings with a direction in the window.
    pub n: u64,
    /// Embeddings with a direction in the reference.
    pub reference_n: u64,
}

/// Compares the embeddings of a window with those of its reference; both are of one kind.
///
/// # Errors
/// One of the two has none.
pub fn directions_shift(reference: &Directions, window: &Directions, options: &DirectionsOptions) -> Result<DirectionsShift, Undefined> {
    const SHARED_BY: f64 = PROJECTIONS as f64;
    let (reference_n, n) = (reference.n(), window.n());
    if reference_n < 2 {
        return Err(Undefined::because("the reference has no embeddings with a direction"));
    }
    if n < 2 {
        return Err(Undefined::because("the window has no embeddings with a direction"));
    }
    let kinds: [Atom<'_>; BUCKETS] = std::array::from_fn(|bucket| Atom::Bucket(bucket as i32));
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let error = options.decision_error;
    let (z, decided_z) = (normal::from_upper_tail(DISPLAY_ERROR), normal::from_upper_tail(error));

    let mut found = DirectionsShift {
        value: 0.0,
        lower: 0.0,
        upper: 0.0,
        decision_lower: None,
        decision_upper: None,
        p_value: 1.0,
        moved_projections: 0,
        n,
        reference_n,
    };
    let (mut decided_lower, mut decided_upper) = (0.0_f64, 0.0_f64);
    let mut halves = [[0.0; 2]; PROJECTIONS];
    let projections = reference.projections().iter().zip(window.projections());
    for (index, (before, now)) in projections.enumerate() {
        let dispersion = options.dispersions[index];
        let measured = bound::measure(&kinds, before, now, &mut rng);
        let lower = measured.lower(DISPLAY_ERROR / SHARED_BY);
        found.lower = found.lower.max(lower);
        found.upper = found.upper.max(value::upper(before, now, z, 1.0));
        found.p_value = found.p_value.min(measured.p_value() * SHARED_BY);
        found.moved_projections += usize::from(lower > 0.0);
        decided_lower = decided_lower.max(measured.careful_lower(error / SHARED_BY, dispersion).min(lower));
        decided_upper = decided_upper.max(value::upper(before, now, decided_z, dispersion));
        halves[index] = distances_of_halves(before, now, &mut rng);
    }
    if n >= MIN_N_FOR_DECISIONS && reference_n >= MIN_N_FOR_DECISIONS {
        (found.decision_lower, found.decision_upper) = (Some(decided_lower), Some(decided_upper));
    }
    found.value = distance_of_the_farthest(&halves).clamp(found.lower.min(found.upper), found.upper);
    Ok(found)
}

/// The distance along a projection, once from each half of its counts.
fn distances_of_halves(before: &[u64], now: &[u64], rng: &mut ChaCha8Rng) -> [f64; 2] {
    let (first_before, first_now) = (first_half(before, rng), first_half(now, rng));
    let rest = |whole: &[u64], half: &[u64]| -> Vec<u64> { whole.iter().zip(half).map(|(whole, half)| whole - half).collect() };
    let second = value::debiased(&rest(before, &first_before), &rest(now, &first_now));
    [value::debiased(&first_before, &first_now), second]
}

/// Of 64 noisy distances the largest is too large, so one half says which it is and the other how large, both in turn.
fn distance_of_the_farthest(halves: &[[f64; 2]; PROJECTIONS]) -> f64 {
    let measured = |choosing: usize, measuring: usize| {
        let farthest = halves.iter().max_by(|a, b| a[choosing].total_cmp(&b[choosing]));
        farthest.map_or(0.0, |halves| halves[measuring])
    };
    (measured(0, 1) + measured(1, 0)) / 2.0
}

#[cfg(test)]
mod tests {
    use driftlead_store::embedding::buckets_of;
    use proptest::prelude::*;
    use rand::Rng;

    use super::super::DECISION_ERROR;
    use super::*;

    const OPTIONS: DirectionsOptions = DirectionsOptions {
        seed: 1,
        decision_error: DECISION_ERROR,
        dispersions: [1.0; PROJECTIONS],
    };

    fn of(vectors: impl IntoIterator<Item = Vec<f32>>) -> Directions {
        let mut directions = Directions::default();
        vectors.into_iter().for_each(|vector| directions.add(buckets_of(&vector).unwrap()));
        directions
    }

    fn around(centre: f32, n: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut vector = || (0..48).map(|i| if i < 8 { centre } else { rng.random_range(-0.5..0.5) }).collect();
        (0..n).map(|_| vector()).collect()
    }

    #[test]
    fn nothing_moves_where_nothing_moved_and_everything_where_everything_did() {
        let reference = of(around(1.0, 4_000, 1));
        let same = directions_shift(&reference, &of(around(1.0, 3_000, 2)), &OPTIONS).unwrap();
        assert_eq!((same.lower, same.decision_lower, same.moved_projections), (0.0, Some(0.0), 0));
        assert!(same.value < 0.02 && same.upper < 0.15 && same.p_value > 0.01, "{same:?}");
        let opposite = directions_shift(&reference, &of(around(-1.0, 3_000, 2)), &OPTIONS).unwrap();
        assert!(opposite.lower > 0.95 && opposite.p_value < 1e-9, "{opposite:?}");
        assert!(opposite.moved_projections > PROJECTIONS / 2);
        assert_eq!((opposite.n, opposite.reference_n), (3_000, 4_000));
    }

    #[test]
    fn a_part_that_moved_is_bounded_from_below() {
        let reference = of(around(1.0, 8_000, 1));
        let mixed = around(1.0, 5_600, 2).into_iter().chain(around(-1.0, 2_400, 3));
        let found = directions_shift(&reference, &of(mixed), &OPTIONS).unwrap();
        assert!(found.lower > 0.25 && found.lower <= 0.3, "{found:?}");
        assert!((found.value - 0.3).abs() < 0.02, "{found:?}");
        assert!(found.decision_lower <= Some(found.lower) && found.lower <= found.value && found.value <= found.upper);
        let careful = DirectionsOptions {
            decision_error: DECISION_ERROR / 10_000.0,
            dispersions: [4.0; PROJECTIONS],
            ..OPTIONS
        };
        let careful = directions_shift(
            &reference,
            &of(around(1.0, 5_600, 2).into_iter().chain(around(-1.0, 2_400, 3))),
            &careful,
        )
        .unwrap();
        assert!(
            careful.decision_lower < found.decision_lower && careful.decision_lower > Some(0.1),
            "{careful:?}"
        );
    }

    #[test]
    fn too_few_say_why_or_decide_nothing() {
        let (none, few, many) = (Directions::default(), of(around(1.0, 999, 1)), of(around(1.0, 1_000, 2)));
        assert!(directions_shift(&none, &few, &OPTIONS).unwrap_err().0.contains("reference"));
        assert!(directions_shift(&few, &none, &OPTIONS).unwrap_err().0.contains("window"));
        assert_eq!(directions_shift(&many, &few, &OPTIONS).unwrap().decision_lower, None);
        assert!(directions_shift(&many, &many, &OPTIONS).unwrap().decision_lower.is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn bounds_are_shares_in_their_order(
            before in prop::collection::vec(-1.0_f32..1.0, 2..40), now in prop::collection::vec(-1.0_f32..1.0, 2..40), seed: u64
        ) {
            // Each number is an angle in two dimensions.
            let vectors = |angles: &[f32]| of(angles.iter().map(|angle| vec![angle.cos(), angle.sin(), 0.0]));
            let options = DirectionsOptions { seed, ..OPTIONS };
            let found = directions_shift(&vectors(&before), &vectors(&now), &options).unwrap();
            prop_assert!(0.0 <= found.lower && found.upper <= 1.0 && (0.0..=1.0).contains(&found.p_value));
            prop_assert!(found.value <= found.upper && (found.lower <= found.value || found.lower > found.upper));
        }
    }
}
