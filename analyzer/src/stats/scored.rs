//! Labelled scores of a binary problem: the sorted distinct scores with how often each came with a positive and how often
//! with a negative label. It is what ranking and calibration read, and its cost follows the distinct scores.
//!
//! From rows it is exact. From buckets each score is the middle of its bucket, at most 1/256 (0.4 %) off, and scores of one
//! bucket are ties; each statistic says in its docs what that changes.

use driftlead_store::bucket;

use super::Undefined;

/// How often one score came with each label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreCount {
    /// What the model says of the positive class; higher is more likely.
    pub score: f64,
    /// Observations of the score whose label is positive.
    pub positives: u64,
    /// Observations of the score whose label is negative.
    pub negatives: u64,
}

impl ScoreCount {
    /// Observations of the score.
    pub fn n(self) -> u64 {
        self.positives + self.negatives
    }
}

/// Ascending distinct scores and their counts; never empty, and all together fit 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    counts: Vec<ScoreCount>,
    positives: u64,
    negatives: u64,
}

impl Scored {
    /// The scores of rows, each with whether its label is positive.
    ///
    /// # Errors
    /// There are none, or a score is NaN or infinite: those are counted apart, before.
    pub fn of_rows(rows: impl IntoIterator<Item = (f64, bool)>) -> Result<Self, Undefined> {
        Self::of_counts(rows.into_iter().map(|(score, is_positive)| ScoreCount {
            score,
            positives: u64::from(is_positive),
            negatives: u64::from(!is_positive),
        }))
    }

    /// Counted scores in any order, as of several windows one after the other; what one score has is added up.
    ///
    /// # Errors
    /// There are none, a score is NaN or infinite, or the counts exceed 64 bits.
    pub fn of_counts(counts: impl IntoIterator<Item = ScoreCount>) -> Result<Self, Undefined> {
        let mut counts: Vec<ScoreCount> = counts
            .into_iter()
            .filter(|count| (count.positives, count.negatives) != (0, 0))
            .collect();
        if counts.iter().any(|count| !count.score.is_finite()) {
            return Err(Undefined::because("a score is not finite"));
        }
        if counts.is_empty() {
            return Err(Undefined::because("there are no labelled scores"));
        }
        let total = |of: fn(&ScoreCount) -> u64| counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(of(count)));
        let (positives, negatives) = total(|count| count.positives)
            .zip(total(|count| count.negatives))
            .filter(|(positives, negatives)| positives.checked_add(*negatives).is_some())
            .ok_or_else(|| Undefined::because("there are more labelled scores than 64 bits can count"))?;
        counts.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
        counts.dedup_by(|next, kept| {
            let is_same = next.score == kept.score;
            if is_same {
                kept.positives += next.positives;
                kept.negatives += next.negatives;
            }
            is_same
        });
        Ok(Self {
            counts,
            positives,
            negatives,
        })
    }

    /// The scores of buckets: (key, positives, negatives) in any order. Where no bucket lies outside 0 to 1, the scores are
    /// taken for probabilities, and the bucket that begins at 1 holds ones.
    ///
    /// # Errors
    /// As [`Scored::of_counts`].
    pub fn of_buckets(buckets: &[(i32, u64, u64)]) -> Result<Self, Undefined> {
        let are_probabilities = buckets.iter().all(|&(key, _, _)| (0.0..=1.0).contains(&bucket::edge(key)));
        let highest = if are_probabilities { 1.0 } else { f64::INFINITY };
        Self::of_counts(buckets.iter().map(|&(key, positives, negatives)| ScoreCount {
            score: bucket::middle(key).min(highest),
            positives,
            negatives,
        }))
    }

    /// The distinct scores, ascending, and how often each came with each label.
    pub fn counts(&self) -> &[ScoreCount] {
        &self.counts
    }

    /// The same, where the scores are to be read as probabilities.
    ///
    /// # Errors
    /// A score lies outside 0 to 1.
    pub fn probabilities(&self) -> Result<&[ScoreCount], Undefined> {
        if self.counts.iter().all(|count| (0.0..=1.0).contains(&count.score)) {
            Ok(&self.counts)
        } else {
            Err(Undefined::because("a score is not a probability: it lies outside 0 to 1"))
        }
    }

    /// How many observations there are.
    pub fn n(&self) -> u64 {
        self.positives + self.negatives
    }

    /// How many labels are positive.
    pub fn positives(&self) -> u64 {
        self.positives
    }

    /// How many labels are negative.
    pub fn negatives(&self) -> u64 {
        self.negatives
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(score: f64, positives: u64, negatives: u64) -> ScoreCount {
        ScoreCount {
            score,
            positives,
            negatives,
        }
    }

    #[test]
    fn rows_of_one_score_are_counted_together() {
        let scored = Scored::of_rows([(0.5, true), (0.0, false), (0.5, false), (-0.0, true), (0.5, true)]).unwrap();
        assert_eq!(scored.counts(), [count(0.0, 1, 1), count(0.5, 2, 1)]);
        assert_eq!((scored.n(), scored.positives(), scored.negatives()), (5, 3, 2));
    }

    #[test]
    fn what_cannot_be_ranked_or_counted_says_so() {
        assert!(Scored::of_rows([]).is_err());
        assert!(Scored::of_counts([count(0.5, 0, 0)]).is_err());
        assert!(Scored::of_rows([(f64::NAN, true)]).is_err());
        assert!(Scored::of_counts([count(0.5, u64::MAX, 0), count(0.6, 0, 1)]).is_err());
        assert_eq!(Scored::of_counts([count(0.5, u64::MAX, 0)]).unwrap().n(), u64::MAX);
        assert!(Scored::of_rows([(1.5, true)]).unwrap().probabilities().is_err());
        assert!(Scored::of_rows([(1.0, true), (0.0, false)]).unwrap().probabilities().is_ok());
    }

    #[test]
    fn a_bucket_at_one_holds_ones_where_all_are_probabilities() {
        let key = |score| bucket::key_of(score).unwrap();
        let probabilities = Scored::of_buckets(&[(key(1.0), 3, 0), (key(0.25), 0, 2), (0, 0, 1)]).unwrap();
        assert_eq!(probabilities.counts()[2], count(1.0, 3, 0));
        assert!(probabilities.probabilities().is_ok());
        let margins = Scored::of_buckets(&[(key(1.0), 3, 0), (key(-0.25), 0, 2)]).unwrap();
        assert!(margins.counts()[1].score > 1.0);
    }

    proptest! {
        #[test]
        fn merging_counts_is_counting_all_rows(
            a in prop::collection::vec((0_u8..5, any::<bool>()), 1..20), b in prop::collection::vec((0_u8..5, any::<bool>()), 1..20)
        ) {
            let rows = |side: &[(u8, bool)]| side.iter().map(|&(score, label)| (f64::from(score), label)).collect::<Vec<_>>();
            let [one, other] = [&a, &b].map(|side| Scored::of_rows(rows(side)).unwrap());
            let merged = Scored::of_counts(one.counts().iter().chain(other.counts()).copied()).unwrap();
            prop_assert_eq!(merged, Scored::of_rows(rows(&a).into_iter().chain(rows(&b))).unwrap());
        }
    }
}
