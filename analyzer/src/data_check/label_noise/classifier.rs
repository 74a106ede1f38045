//! Multinomial logistic regression with an L2 penalty on sparse rows, by stochastic gradient steps of the size that AdaGrad says
//! (Duchi, Hazan and Singer 2011), one size for each feature. Deterministic: the seed says in which order rows come.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::features::Features;
use super::folds::{FOLDS, Folds};

/// What the squares of the coefficients cost against the log loss of the rows, halved: scikit-learn's 1 / C.
const PENALTY: f32 = 0.1;
/// The size of the first steps.
const STEP: f32 = 0.5;
/// Passes over the rows.
const MAX_PASSES: usize = 15;
/// Rows that a model looks at, counting each as often as it comes: of a million rows a few passes teach as much.
const ENOUGH_ROWS: usize = 3_000_000;
/// Fewer passes teach too little.
const MIN_PASSES: usize = 3;
/// Multiplications of all passes and folds, at most: minutes of one core.
const MAX_WORK: f64 = 1e11;

/// The probability of each class for each row, by a model that did not see the row.
///
/// # Errors
/// The rows are too many for their classes and features.
pub(super) fn out_of_fold(features: &Features, labels: &[usize], classes: usize, folds: &Folds, seed: u64) -> Result<Vec<f32>, String> {
    let work = features.entries() as f64 * classes as f64 * 2.0 * (FOLDS - 1) as f64;
    let passes = (MAX_WORK / work.max(1.0)) as usize;
    if passes < MIN_PASSES {
        return Err(format!(
            "{} rows with {classes} classes take too long to learn: check a sample of the rows",
            features.rows()
        ));
    }
    let passes = passes.min(ENOUGH_ROWS / features.rows().max(1)).clamp(MIN_PASSES, MAX_PASSES);
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(FOLDS);
    let work = || {
        let mut judged = Vec::new();
        loop {
            let fold = next.fetch_add(1, Ordering::Relaxed);
            if fold >= FOLDS {
                return judged;
            }
            let model = Model::fitted(features, labels, classes, passes, seed.wrapping_add(fold as u64), |row| {
                !folds.is_left_out(fold, row)
            });
            for row in (0..labels.len()).filter(|row| folds.is_left_out(fold, *row)) {
                judged.push((row, model.probabilities(features.row(row))));
            }
        }
    };
    let mut values = vec![0.0; labels.len() * classes];
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let judged = std::iter::once(work()).chain(others.into_iter().map(|other| other.join().expect("it does not panic")));
        for (row, probabilities) in judged.flatten() {
            values[row * classes..(row + 1) * classes].copy_from_slice(&probabilities);
        }
    });
    Ok(values)
}

/// A model: the scores of the classes are an intercept each and the sum of the coefficients of a row's features.
struct Model {
    classes: usize,
    intercepts: Vec<f32>,
    /// By feature, then by class.
    coefficients: Vec<f32>,
}

impl Model {
    fn fitted(features: &Features, labels: &[usize], classes: usize, passes: usize, seed: u64, is_seen: impl Fn(usize) -> bool) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<u32> = (0..labels.len()).filter(|row| is_seen(*row)).map(|row| row as u32).collect();
        let mut model = Self {
            classes,
            intercepts: vec![0.0; classes],
            coefficients: vec![0.0; features.columns() * classes],
        };
        let (mut squares, mut of_intercepts) = (vec![0.0_f32; features.columns()], 0.0_f32);
        let mut slopes = vec![0.0_f32; classes];
        for _ in 0..passes {
            order.shuffle(&mut random);
            for row in &order {
                let row = *row as usize;
                model.scores(features.row(row), &mut slopes);
                softmax(&mut slopes);
                slopes[labels[row]] -= 1.0;
                let length: f32 = slopes.iter().map(|slope| slope * slope).sum();
                of_intercepts += length;
                let step = STEP / (of_intercepts + f32::EPSILON).sqrt();
                model
                    .intercepts
                    .iter_mut()
                    .zip(&slopes)
                    .for_each(|(intercept, slope)| *intercept -= step * slope);
                for (feature, value) in features.row(row) {
                    let at = *feature as usize;
                    squares[at] += value * value * length;
                    let step = STEP / (squares[at] + f32::EPSILON).sqrt();
                    // The penalty of a pass, shared by the rows that have the feature.
                    let kept = (1.0 - step * PENALTY / features.rows_with(*feature) as f32).max(0.0);
                    let step = step * value;
                    let coefficients = &mut model.coefficients[at * classes..(at + 1) * classes];
                    for (coefficient, slope) in coefficients.iter_mut().zip(&slopes) {
                        *coefficient = *coefficient * kept - step * slope;
                    }
                }
            }
        }
        model
    }

    fn scores(&self, row: &[(u32, f32)], to: &mut [f32]) {
        to.copy_from_slice(&self.intercepts);
        for (feature, value) in row {
            let at = *feature as usize * self.classes;
            for (score, coefficient) in to.iter_mut().zip(&self.coefficients[at..at + self.classes]) {
                *score += value * coefficient;
            }
        }
    }

    fn probabilities(&self, row: &[(u32, f32)]) -> Vec<f32> {
        let mut scores = vec![0.0; self.classes];
        self.scores(row, &mut scores);
        softmax(&mut scores);
        scores
    }
}

fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score = (*score / sum).clamp(0.0, 1.0));
}
