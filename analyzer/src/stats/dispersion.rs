//! How much more the windows of the reference itself differ than independent traffic would.
//!
//! Requests come in sessions, batches and rhythms, so a window is worth fewer observations than it has.
//! Every block of the reference is compared with the rest of it as a window is later (a set chosen on one
//! half, measured on the other). Were traffic independent, the scores would have mean 0 and deviation 1.
//! Requests that belong together lie in both halves, so that the chosen set grows in the other one too: the
//! mean rises; and blocks differ among themselves: so does the deviation. A decision asks for a score of z; it
//! keeps its error where it asks for mean + z · deviation instead, which is a variance inflated by
//! (mean / z + deviation)². The set is that of all bins that grew, which shows most of both. It holds what a
//! rhythm of the day does to windows, too, so that a rhythm is not drift.

use driftlead_store::records::FeatureCounts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::shift::{ShiftAtoms, measure_growth};

/// Blocks below which nothing is said: the deviation of fewer scores varies too much.
pub const MIN_BLOCKS: usize = 8;
/// The score that the least strict decision asks for: one feature, one look, two turns (the stricter need less).
const LEAST_Z: f64 = 2.576;

/// The factor of inflation from the reference's own blocks, at least 1; `None` with fewer than
/// [`MIN_BLOCKS`] blocks.
pub fn dispersion(blocks: &[FeatureCounts], seed: u64) -> Option<f64> {
    factor(&[blocks.iter().collect()], seed)
}

/// The same from groups of blocks that are like each other: each block is compared with the others of its group only, so what
/// tells the groups apart does not count. [`MIN_BLOCKS`] blocks in all are enough.
pub fn dispersion_within(groups: &[Vec<FeatureCounts>], seed: u64) -> Option<f64> {
    let groups: Vec<Vec<&FeatureCounts>> = groups.iter().map(|group| group.iter().collect()).collect();
    factor(&groups, seed)
}

fn factor(groups: &[Vec<&FeatureCounts>], seed: u64) -> Option<f64> {
    let has_values = |block: &&FeatureCounts| block.inferences > 1;
    let groups: Vec<Vec<&FeatureCounts>> = groups
        .iter()
        .map(|group| group.iter().copied().filter(has_values).collect::<Vec<_>>())
        .filter(|group| group.len() > 1)
        .collect();
    if groups.iter().map(Vec::len).sum::<usize>() < MIN_BLOCKS {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scores: Vec<f64> = groups.iter().flat_map(|group| scores(group, &mut rng)).collect();
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Some((mean.max(0.0) / LEAST_Z + variance.sqrt()).powi(2).max(1.0))
}

/// Of each block against all others of its group.
fn scores(blocks: &[&FeatureCounts], rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut whole = FeatureCounts::default();
    blocks.iter().for_each(|block| whole.merge(block));
    blocks
        .iter()
        .flat_map(|block| {
            let atoms = ShiftAtoms::of(&whole, block);
            let rest: Vec<u64> = atoms
                .reference
                .iter()
                .zip(&atoms.window)
                .map(|(&all, &own)| all.saturating_sub(own))
                .collect();
            measure_growth(&atoms.kinds, &rest, &atoms.window, rng).scores()
        })
        .collect()
}
