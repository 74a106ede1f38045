//! Scores to probabilities, and whether that is worth while.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::isotonic::Isotonic;
use super::super::scored::{ScoreCount, Scored};
use super::super::{Undefined, hypergeometric, ranking};

/// Random splits of the reference over which calibration is judged.
const SPLITS: usize = 10;
/// The share of the reference that each split judges on, one in this many.
const TEST_PART: u64 = 10;
/// Bins of equal count in which scores and shares of positives are compared.
const BINS: u64 = 10;
/// The ROC-AUC above which classes are so far apart that calibration would only fit their few exceptions.
const APART: f64 = 0.999;

/// From a score to the probability that the label is positive.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibrator {
    /// Scores are taken for probabilities as they are.
    Identity,
    /// The share of positives in the reference by score.
    Isotonic(Isotonic),
}

impl Calibrator {
    /// Learns from a labelled reference. Isotonic regression is kept if, over ten random stratified splits, what it learns on
    /// nine tenths has a smaller calibration error on the rest than the scores themselves: the error is summed over all tests
    /// together, in bins of equal count. A reference of one class, or one whose classes are perfectly apart, is not calibrated.
    ///
    /// The rule is that of `nannyml.calibration.needs_calibration`; the splits are other random ones, so where both errors are
    /// nearly equal the answer can be another. `seed` makes it the same each time.
    ///
    /// # Errors
    /// A score is not a probability.
    pub fn learn(reference: &Scored, seed: u64) -> Result<Self, Undefined> {
        reference.probabilities()?;
        Ok(if is_improved(reference, &mut ChaCha8Rng::seed_from_u64(seed)) {
            Self::Isotonic(Isotonic::of_scored(reference))
        } else {
            Self::Identity
        })
    }

    /// The probability that the label is positive.
    pub fn probability(&self, score: f64) -> f64 {
        match self {
            Self::Identity => score,
            Self::Isotonic(isotonic) => isotonic.at(score),
        }
    }
}

fn is_improved(reference: &Scored, rng: &mut impl Rng) -> bool {
    // Each class has to be in both parts of a split.
    if reference.positives() < 2 || reference.negatives() < 2 || ranking::roc_auc(reference, 0.0).is_ok_and(|auc| auc.value > APART) {
        return false;
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for _ in 0..SPLITS {
        let test = draw_test(reference, rng);
        let train = reference.counts().iter().zip(&test).map(|(all, test)| ScoreCount {
            score: all.score,
            positives: all.positives - test.positives,
            negatives: all.negatives - test.negatives,
        });
        let Ok(train) = Scored::of_counts(train) else { return false };
        let isotonic = Isotonic::of_scored(&train);
        for count in test {
            before.push(count);
            after.push(ScoreCount {
                score: isotonic.at(count.score),
                ..count
            });
        }
    }
    match (Scored::of_counts(before), Scored::of_counts(after)) {
        (Ok(before), Ok(after)) => equal_count_error(&before) > equal_count_error(&after),
        _ => false,
    }
}

/// A tenth of each class, drawn without replacement.
fn draw_test(reference: &Scored, rng: &mut impl Rng) -> Vec<ScoreCount> {
    let counts = reference.counts();
    let positives: Vec<u64> = counts.iter().map(|count| count.positives).collect();
    let negatives: Vec<u64> = counts.iter().map(|count| count.negatives).collect();
    let (positives, negatives) = (draw_part(&positives, rng), draw_part(&negatives, rng));
    let drawn = counts.iter().zip(positives).zip(negatives);
    drawn
        .map(|((count, positives), negatives)| ScoreCount {
            score: count.score,
            positives,
            negatives,
        })
        .collect()
}

fn draw_part(counts: &[u64], rng: &mut impl Rng) -> Vec<u64> {
    let mut population: u64 = counts.iter().sum();
    let mut draws = (population / TEST_PART).max(1);
    let drawn = counts.iter().map(|&count| {
        let drawn = hypergeometric::draw(population, count, draws, rng);
        population -= count;
        draws -= drawn;
        drawn
    });
    drawn.collect()
}

/// The mean over observations of how far the share of positives in their bin is from the bin's mean score, with bins of equal
/// count by ascending score; the last takes what is left over. What one score has is divided between bins in proportion.
fn equal_count_error(scored: &Scored) -> f64 {
    let n = scored.n();
    // Small samples have bins of two.
    let bins = if n > 2 * BINS { BINS } else { (n / 2).max(1) };
    let width = n / bins;
    let (mut bin, mut room) = (1, width);
    let (mut difference, mut error) = (0.0_f64, 0.0);
    for count in scored.counts() {
        let share = count.positives as f64 / count.n() as f64;
        let mut left = count.n();
        while left > 0 {
            if room == 0 {
                error += difference.abs();
                difference = 0.0;
                bin += 1;
                room = if bin == bins { n - width * (bins - 1) } else { width };
            }
            let taken = left.min(room);
            difference += taken as f64 * (count.score - share);
            left -= taken;
            room -= taken;
        }
    }
    (error + difference.abs()) / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores 0.05 to 0.95, `times` observations each, with shares of positives as `share` has them.
    fn reference(times: u64, share: fn(f64) -> f64) -> Scored {
        let counts = (1..20_u32).map(|step| {
            let score = f64::from(step) / 20.0;
            let positives = (share(score) * times as f64).round() as u64;
            ScoreCount {
                score,
                positives,
                negatives: times - positives,
            }
        });
        Scored::of_counts(counts).unwrap()
    }

    #[test]
    fn scores_that_say_too_little_are_calibrated() {
        let squared = Calibrator::learn(&reference(400, |score| score * score), 1).unwrap();
        assert!(matches!(squared, Calibrator::Isotonic(_)));
        assert!((squared.probability(0.5) - 0.25).abs() < 0.01 && squared.probability(0.99) == squared.probability(0.95));
        // The same where a day is counted instead of a minute.
        assert!(matches!(
            Calibrator::learn(&reference(40_000_000, |score| score * score), 1),
            Ok(Calibrator::Isotonic(_))
        ));
    }

    #[test]
    fn scores_that_are_probabilities_are_kept() {
        let kept = Calibrator::learn(&reference(40_000, |score| score), 1).unwrap();
        assert_eq!(kept, Calibrator::Identity);
        assert_eq!(kept.probability(0.3), 0.3);
    }

    #[test]
    fn one_class_and_perfect_classes_are_kept() {
        let one = Scored::of_rows([(0.2, true), (0.3, true)]).unwrap();
        assert_eq!(Calibrator::learn(&one, 1), Ok(Calibrator::Identity));
        let apart = Scored::of_rows((0..100_u32).map(|row| (f64::from(row) / 100.0, row >= 50))).unwrap();
        assert_eq!(Calibrator::learn(&apart, 1), Ok(Calibrator::Identity));
        assert!(Calibrator::learn(&Scored::of_rows([(-1.0, true)]).unwrap(), 1).is_err());
    }

    #[test]
    fn bins_of_equal_count_divide_ties_and_give_the_last_what_is_left() {
        // 25 observations: nine bins of two and one of seven.
        let rows = (0..25_u32).map(|row| (0.5, row % 2 == 0));
        assert!((equal_count_error(&Scored::of_rows(rows).unwrap()) - 0.02).abs() < 1e-12);
        let rows = [(0.2, true), (0.4, false), (0.6, true), (0.8, true)];
        assert!((equal_count_error(&Scored::of_rows(rows).unwrap()) - (0.2 + 0.3) / 2.0).abs() < 1e-12);
    }
}
