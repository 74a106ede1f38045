//! The rows in parts, each told apart by a model that has not seen it, and how well that goes.

use rand::Rng;
use rand::seq::SliceRandom;

use super::table::Table;
use crate::stats::scored::Scored;
use crate::stats::{Bounds, Undefined, logistic, ranking};

/// Parts of the rows, each told apart by a model that was fitted to the others; also the least rows of a side.
pub const FOLDS: usize = 5;
/// How many times the variance of folds that have nothing to do with each other the mean of the folds' AUC has where nothing
/// tells the sides apart: what is by chance in one fold is in the models of all others, so that each pair of folds counts
/// twice. Where much tells them apart it is nearer to once, and the bounds are wider than need be.
const DEPENDENCE: f64 = 2.0;
/// Log-odds are compared in steps of one over this, so that rows that are alike stay alike in whatever order they are
/// added up.
const STEPS: f64 = 1e9;

/// The rows of each fold; the reference's are those below `reference_n`.
pub(super) struct Folds {
    rows: Vec<Vec<usize>>,
    reference_n: usize,
    n: usize,
}

impl Folds {
    /// Those of either side are dealt out in turn.
    pub(super) fn dealt(reference_n: usize, n: usize, random: &mut impl Rng) -> Self {
        let mut folds = vec![Vec::new(); FOLDS];
        for side in [0..reference_n, reference_n..reference_n + n] {
            let mut rows: Vec<usize> = side.collect();
            rows.shuffle(random);
            rows.into_iter().enumerate().for_each(|(at, row)| folds[at % FOLDS].push(row));
        }
        Self {
            rows: folds,
            reference_n,
            n,
        }
    }

    /// For each row, what each feature adds to its log-odds, by the model of the folds that it is not in.
    pub(super) fn unseen_parts(&self, table: &Table) -> Result<Vec<Vec<f64>>, Undefined> {
        let mut parts = vec![Vec::new(); self.reference_n + self.n];
        for (held_out, fold) in self.rows.iter().enumerate() {
            let others = self.rows.iter().enumerate().filter(|(index, _)| *index != held_out);
            let seen: Vec<usize> = others.flat_map(|(_, rows)| rows.iter().copied()).collect();
            let rows: Vec<&[f64]> = seen.iter().map(|row| table.row(*row)).collect();
            let are_current: Vec<bool> = seen.iter().map(|row| self.is_current(*row)).collect();
            let model = logistic::fit(&rows, &are_current)?;
            fold.iter().for_each(|row| parts[*row] = table.parts(&model, *row));
        }
        Ok(parts)
    }

    /// For each row, a row of its fold by chance, each once.
    pub(super) fn shuffled(&self, random: &mut impl Rng) -> Vec<usize> {
        let mut givers = vec![0; self.reference_n + self.n];
        for fold in &self.rows {
            let mut of_fold = fold.clone();
            of_fold.shuffle(random);
            fold.iter().zip(of_fold).for_each(|(row, giver)| givers[*row] = giver);
        }
        givers
    }

    /// Of the folds, each on its own, so that the intercepts of their models do not matter.
    pub(super) fn mean_auc(&self, log_odds: impl Fn(usize) -> f64) -> Result<f64, Undefined> {
        let of_fold = |fold: &Vec<usize>| {
            let rows = fold.iter().map(|row| ((log_odds(*row) * STEPS).round(), self.is_current(*row)));
            Ok(ranking::roc_auc(&Scored::of_rows(rows)?, 1.0)?.value)
        };
        Ok(self.rows.iter().map(of_fold).sum::<Result<f64, Undefined>>()? / FOLDS as f64)
    }

    fn is_current(&self, row: usize) -> bool {
        row >= self.reference_n
    }
}

/// The values from which the observed mean AUC of so many rows lies `z` standard deviations away: those of the AUC of one fold, by
/// the folds' number and their dependence.
pub(super) fn bounds(auc: f64, reference_n: usize, n: usize, z: f64) -> Bounds {
    let folds = FOLDS as f64;
    let z = z * (DEPENDENCE / folds).sqrt();
    let bounds = ranking::score_bounds(auc, reference_n as f64 / folds, n as f64 / folds, z);
    Bounds {
        // Worse than no model is a model by chance only.
        upper: bounds.upper.max(0.5),
        ..bounds
    }
}
