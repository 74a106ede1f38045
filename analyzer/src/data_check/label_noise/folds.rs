//! Folds of the labelled rows: stratified by class, and rows with the same input together.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Models that are fitted: each leaves out a fifth of the rows.
pub const FOLDS: usize = 5;

/// The fold of each row.
pub(super) struct Folds {
    of_row: Vec<u8>,
}

impl Folds {
    /// Deals the groups of equal rows of each class to the folds in a seeded order.
    pub(super) fn dealt(labels: &[usize], keys: &[u128], seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by_key(|row| (labels[*row], keys[*row]));
        let mut groups: Vec<&[usize]> = order.chunk_by(|a, b| labels[*a] == labels[*b] && keys[*a] == keys[*b]).collect();
        groups.shuffle(&mut random);
        let classes = labels.iter().max().map_or(0, |most| most + 1);
        let mut next: Vec<usize> = (0..classes).collect();
        let mut of_row = vec![0; labels.len()];
        for group in groups {
            let turn = &mut next[labels[group[0]]];
            group.iter().for_each(|row| of_row[*row] = (*turn % FOLDS) as u8);
            *turn += 1;
        }
        Self { of_row }
    }

    /// Whether a row is left out of the model of a fold, and judged by it.
    pub(super) fn is_left_out(&self, fold: usize, row: usize) -> bool {
        usize::from(self.of_row[row]) == fold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_in_every_fold_and_copies_stay_together() {
        let labels: Vec<usize> = (0..300).map(|row| row % 3).collect();
        // Each key of a class comes twice.
        let keys: Vec<u128> = (0..300).map(|row| (row / 6) as u128).collect();
        let folds = Folds::dealt(&labels, &keys, 1);
        for class in 0..3 {
            for fold in 0..FOLDS {
                let count = (0..300)
                    .filter(|row| labels[*row] == class && folds.is_left_out(fold, *row))
                    .count();
                assert_eq!(count, 20);
            }
        }
        for row in 0..297 {
            let copy = row + 3;
            if keys[row] == keys[copy] {
                assert_eq!(folds.of_row[row], folds.of_row[copy]);
            }
        }
        assert_ne!(Folds::dealt(&labels, &keys, 2).of_row, folds.of_row);
    }
}
