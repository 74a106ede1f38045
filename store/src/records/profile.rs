//! A profile: everything that a window is remembered by, per feature. Its size does not depend on the
//! traffic.

use std::collections::BTreeMap;

use crate::bucket;

/// Distinct values of a categorical feature that a profile keeps; the rest are counted as "other". Wide
/// enough for postal codes, small enough that a feature of unique ids costs megabytes and not gigabytes.
pub const MAX_CATEGORIES: usize = 10_000;

/// The value under which tables hold what exceeds [`MAX_CATEGORIES`]. The control character keeps it
/// apart from anything that telemetry sends.
pub const OTHER_CATEGORIES: &str = "\u{1}other";

/// Pseudo-features under which predictions are profiled like features.
pub mod pseudo {
    /// The predicted class.
    pub const PREDICTION_LABEL: &str = "prediction.label";
    /// The score of the predicted (or positive) class.
    pub const PREDICTION_SCORE: &str = "prediction.score";
    /// The predicted number.
    pub const PREDICTION_VALUE: &str = "prediction.value";

    /// The score of the positive class where that was predicted. Not a feature of anybody's: see [`super::DecidedScores`].
    pub const SCORE_OF_DECIDED: &str = "\u{1}score_of_decided";
    /// The same where another class was.
    pub const SCORE_OF_OTHERS: &str = "\u{1}score_of_others";

    /// What embeddings there are: the category is an [`super::super::EmbeddingKind`]. Not a feature of anybody's, like those below:
    /// see [`super::super::Embeddings`].
    pub const EMBEDDING_KIND: &str = "\u{1}embedding_kind";
    /// How many days old embeddings were when they were used.
    pub const EMBEDDING_AGE_DAYS: &str = "\u{1}embedding_age_days";
    /// Followed by a kind: the buckets of all projections of its embeddings, `projection × BUCKETS + bucket`.
    pub const EMBEDDING_DIRECTIONS: &str = "\u{1}embedding_directions/";
    /// Followed by the number of a projection: how much it differs among the windows of a reference.
    pub const EMBEDDING_PROJECTION: &str = "\u{1}embedding_projection/";

    /// What names that are no feature of anybody's begin with.
    pub const HIDDEN: &str = "\u{1}";

    /// Whether a name is one of these, so that its shift is a `prediction_shift`.
    pub fn is_prediction(feature: &str) -> bool {
        [PREDICTION_LABEL, PREDICTION_SCORE, PREDICTION_VALUE].contains(&feature)
    }
}

/// How often each value of one feature occurred.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureCounts {
    /// Inferences in the window, with or without the feature.
    pub inferences: u64,
    /// Inferences without the feature.
    pub absent: u64,
    /// NaN.
    pub nan: u64,
    /// +∞.
    pub positive_infinity: u64,
    /// −∞.
    pub negative_infinity: u64,
    /// Finite numbers by key of their log-linear bucket ([`crate::bucket`]).
    pub buckets: BTreeMap<i32, u64>,
    /// Categories by value.
    pub values: BTreeMap<String, u64>,
    /// Categories beyond the first [`MAX_CATEGORIES`].
    pub other: u64,
}

/// The scores of the positive class by what the model decided, as keys of their buckets: what quality can be estimated from
/// without labels. Empty for models that declare no positive class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecidedScores {
    /// Where the positive class was predicted; where no class was, scores of one half or more.
    pub decided: BTreeMap<i32, u64>,
    /// Where another class was.
    pub others: BTreeMap<i32, u64>,
}

impl DecidedScores {
    /// Takes them out of the features of a profile.
    pub fn taken_from(features: &mut BTreeMap<String, FeatureCounts>) -> Self {
        let mut take = |name| features.remove(name).map(|counts| counts.buckets).unwrap_or_default();
        Self {
            decided: take(pseudo::SCORE_OF_DECIDED),
            others: take(pseudo::SCORE_OF_OTHERS),
        }
    }

    /// Adds the scores of another stretch.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in [(&mut self.decided, &other.decided), (&mut self.others, &other.others)] {
            for (&key, &n) in others {
                *mine.entry(key).or_default() += n;
            }
        }
    }
}

impl FeatureCounts {
    /// Counts a number.
    pub fn add_number(&mut self, value: f64) {
        self.inferences += 1;
        match bucket::key_of(value) {
            Some(key) => *self.buckets.entry(key).or_default() += 1,
            None if value.is_nan() => self.nan += 1,
            None if value > 0.0 => self.positive_infinity += 1,
            None => self.negative_infinity += 1,
        }
    }

    /// Counts a category.
    pub fn add_category(&mut self, value: &str) {
        self.inferences += 1;
        self.add_categories(value, 1);
    }

    /// Counts `count` occurrences of a category without counting inferences, under the cap.
    pub fn add_categories(&mut self, value: &str, count: u64) {
        if value == OTHER_CATEGORIES {
            self.other += count;
        } else if let Some(known) = self.values.get_mut(value) {
            *known += count;
        } else if self.values.len() < MAX_CATEGORIES {
            self.values.insert(value.to_owned(), count);
        } else {
            self.other += count;
        }
    }

    /// Adds the counts of another window.
    pub fn merge(&mut self, other: &Self) {
        self.inferences += other.inferences;
        self.absent += other.absent;
        self.nan += other.nan;
        self.positive_infinity += other.positive_infinity;
        self.negative_infinity += other.negative_infinity;
        self.other += other.other;
        for (&key, &count) in &other.buckets {
            *self.buckets.entry(key).or_default() += count;
        }
        for (value, &count) in &other.values {
            self.add_categories(value, count);
        }
    }

    /// Occurrences of finite numbers.
    pub fn numbers(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Occurrences of categories.
    pub fn categories(&self) -> u64 {
        self.values.values().sum::<u64>() + self.other
    }

    /// Inferences in which the feature was present, whatever its value.
    pub fn present(&self) -> u64 {
        self.inferences.saturating_sub(self.absent)
    }

    /// Sets `inferences`, and what has no value to absent: minutes in which nobody sent the feature have
    /// no row of their own.
    pub fn complete_to(&mut self, inferences: u64) {
        let seen = self.numbers() + self.categories() + self.nan + self.positive_infinity + self.negative_infinity;
        self.inferences = inferences.max(seen);
        self.absent = self.inferences - seen;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_bucket_is_counted_apart() {
        let mut counts = FeatureCounts::default();
        for value in [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0] {
            counts.add_number(value);
        }
        counts.complete_to(6);
        assert_eq!((counts.inferences, counts.numbers(), counts.present()), (6, 2, 5));
        assert_eq!(
            (counts.nan, counts.positive_infinity, counts.negative_infinity, counts.absent),
            (1, 1, 1, 1)
        );
    }

    #[test]
    fn categories_beyond_the_cap_are_other() {
        let mut counts = FeatureCounts::default();
        for i in 0..MAX_CATEGORIES + 3 {
            counts.add_category(&i.to_string());
        }
        counts.add_category("0");
        assert_eq!((counts.values.len(), counts.other, counts.values["0"]), (MAX_CATEGORIES, 3, 2));
        assert_eq!(counts.categories(), counts.inferences);
    }

    #[test]
    fn completing_counts_what_sent_nothing_as_absent() {
        let mut counts = FeatureCounts::default();
        counts.add_category("a");
        counts.complete_to(10);
        assert_eq!((counts.inferences, counts.absent), (10, 9));
    }
}
