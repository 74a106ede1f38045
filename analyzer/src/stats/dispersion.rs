//! How much more the windows of the reference itself differ than independent traffic would.
//!
//! Requests come in sessions, batches and rhythms, so a window is worth fewer observations than it has.
//! Every block of the reference is compared with the rest of it as a window is later (a set chosen on one
//! half, measured on the other): were traffic independent, the squares of its scores would have mean 1.
//! Their mean is the factor by which the variance of a decision is inflated. It holds what a rhythm of the
//! day does to windows, too, so that a rhythm is not drift. The set is that of all bins that grew: requests
//! that come in sessions lie in both halves, and this set shows most of it.

use driftlead_store::records::FeatureCounts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::shift::{ShiftAtoms, measure_growth};

/// Blocks below which nothing is said: the mean of fewer squares varies too much.
pub const MIN_BLOCKS: usize = 8;

/// The factor of inflation from the reference's own blocks, at least 1; `None` with fewer than
/// [`MIN_BLOCKS`] blocks.
pub fn dispersion(blocks: &[FeatureCounts], seed: u64) -> Option<f64> {
    let blocks: Vec<&FeatureCounts> = blocks.iter().filter(|block| block.inferences > 1).collect();
    if blocks.len() < MIN_BLOCKS {
        return None;
    }
    let mut whole = FeatureCounts::default();
    blocks.iter().for_each(|block| whole.merge(block));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let squares: f64 = blocks
        .iter()
        .flat_map(|block| {
            let atoms = ShiftAtoms::of(&whole, block);
            let rest: Vec<u64> = atoms
                .reference
                .iter()
                .zip(&atoms.window)
                .map(|(&all, &own)| all.saturating_sub(own))
                .collect();
            measure_growth(&atoms.kinds, &rest, &atoms.window, &mut rng).scores()
        })
        .map(|score| score * score)
        .sum();
    Some((squares / (2 * blocks.len()) as f64).max(1.0))
}
