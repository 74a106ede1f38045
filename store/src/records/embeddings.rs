//! What a profile holds of embeddings: of which kinds they are, where those of each kind point, and how old they were.
//!
//! Vectors of two encoders, or of two lengths, cannot be compared with each other, so directions are counted by kind.

use std::collections::BTreeMap;

use super::profile::{FeatureCounts, pseudo};
use crate::embedding::{BUCKETS, PROJECTIONS};

/// Embeddings that can be compared: of one length, by one encoder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmbeddingKind {
    /// Numbers in the vector.
    pub dimensions: u32,
    /// `ml.embedding.model`; empty where senders state none.
    pub encoder: String,
}

impl EmbeddingKind {
    /// As tables have it: `384:minilm`. `None` for what is no kind.
    pub fn parse(text: &str) -> Option<Self> {
        let (dimensions, encoder) = text.split_once(':')?;
        Some(Self {
            dimensions: dimensions.parse().ok()?,
            encoder: encoder.to_owned(),
        })
    }
}

impl std::fmt::Display for EmbeddingKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.dimensions, self.encoder)
    }
}

/// How many embeddings lie in each bucket of each projection ([`crate::embedding`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directions(Box<[[u64; BUCKETS]; PROJECTIONS]>);

impl Default for Directions {
    fn default() -> Self {
        Self(Box::new([[0; BUCKETS]; PROJECTIONS]))
    }
}

impl Directions {
    /// Counts one more vector.
    pub fn add(&mut self, buckets: [u8; PROJECTIONS]) {
        for (counts, bucket) in self.0.iter_mut().zip(buckets) {
            counts[usize::from(bucket).min(BUCKETS - 1)] += 1;
        }
    }

    /// Vectors that are counted: those that have a direction.
    pub fn n(&self) -> u64 {
        self.0[0].iter().sum()
    }

    /// The counts of each projection, each with the same sum.
    pub fn projections(&self) -> &[[u64; BUCKETS]; PROJECTIONS] {
        &self.0
    }

    /// Adds those of another stretch.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *mine += others;
        }
    }

    fn from_keys(keys: &BTreeMap<i32, u64>) -> Self {
        let mut directions = Self::default();
        for (&key, &n) in keys {
            let place = usize::try_from(key)
                .ok()
                .and_then(|key| directions.0.as_flattened_mut().get_mut(key));
            if let Some(count) = place {
                *count += n;
            }
        }
        directions
    }

    fn to_keys(&self) -> BTreeMap<i32, u64> {
        let counts = (0..).zip(self.0.as_flattened());
        counts.filter(|(_, n)| **n > 0).map(|(key, &n)| (key, n)).collect()
    }
}

/// The embeddings of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embeddings {
    /// Embeddings by kind, whether they have a direction or not.
    pub kinds: BTreeMap<EmbeddingKind, u64>,
    /// Those of kinds beyond the first [`super::MAX_CATEGORIES`].
    pub of_other_kinds: u64,
    /// Where they point, of the most frequent kinds of each minute.
    pub directions: BTreeMap<EmbeddingKind, Directions>,
    /// How many days old they were when they were used, where senders say when they were made.
    pub age_days: FeatureCounts,
}

impl Embeddings {
    /// Embeddings of all kinds.
    pub fn n(&self) -> u64 {
        self.kinds.values().sum::<u64>() + self.of_other_kinds
    }

    /// The most frequent kind; the first of several.
    pub fn usual_kind(&self) -> Option<&EmbeddingKind> {
        let first_of_most = self.kinds.iter().rev().max_by_key(|(_, n)| **n);
        first_of_most.map(|(kind, _)| kind)
    }

    /// The most frequent number of dimensions; the smallest of several.
    pub fn usual_dimensions(&self) -> Option<u32> {
        let mut by_dimensions: BTreeMap<u32, u64> = BTreeMap::new();
        for (kind, n) in &self.kinds {
            *by_dimensions.entry(kind.dimensions).or_default() += n;
        }
        let first_of_most = by_dimensions.iter().rev().max_by_key(|(_, n)| **n);
        first_of_most.map(|(&dimensions, _)| dimensions)
    }

    /// Takes them out of the features of a profile; what is no feature of anybody's is none afterwards.
    pub fn taken_from(features: &mut BTreeMap<String, FeatureCounts>) -> Self {
        let age_days = features.remove(pseudo::EMBEDDING_AGE_DAYS).unwrap_or_default();
        let kinds = features.remove(pseudo::EMBEDDING_KIND).unwrap_or_default();
        let mut embeddings = Self {
            of_other_kinds: kinds.other,
            age_days,
            ..Self::default()
        };
        for (kind, n) in kinds.values {
            match EmbeddingKind::parse(&kind) {
                Some(kind) => *embeddings.kinds.entry(kind).or_default() += n,
                None => embeddings.of_other_kinds += n,
            }
        }
        let mut hidden = features.split_off(pseudo::HIDDEN);
        features.append(&mut hidden.split_off("\u{2}"));
        for (name, counts) in hidden {
            let kind = name.strip_prefix(pseudo::EMBEDDING_DIRECTIONS).and_then(EmbeddingKind::parse);
            if let Some(kind) = kind {
                embeddings.directions.insert(kind, Directions::from_keys(&counts.buckets));
            }
        }
        embeddings.age_days.complete_to(0);
        embeddings
    }

    /// As features of a profile, from which [`Embeddings::taken_from`] makes them again.
    pub fn features(&self) -> Vec<(String, FeatureCounts)> {
        let mut features = Vec::new();
        if self.n() > 0 {
            let kinds = FeatureCounts {
                values: self.kinds.iter().map(|(kind, &n)| (kind.to_string(), n)).collect(),
                other: self.of_other_kinds,
                ..FeatureCounts::default()
            };
            features.push((pseudo::EMBEDDING_KIND.to_owned(), kinds));
        }
        if self.age_days.present() > 0 {
            features.push((pseudo::EMBEDDING_AGE_DAYS.to_owned(), self.age_days.clone()));
        }
        features.extend(self.directions.iter().map(|(kind, directions)| {
            let counts = FeatureCounts {
                buckets: directions.to_keys(),
                ..FeatureCounts::default()
            };
            (format!("{}{kind}", pseudo::EMBEDDING_DIRECTIONS), counts)
        }));
        features
    }

    /// Adds those of another stretch.
    pub fn merge(&mut self, other: &Self) {
        for (kind, &n) in &other.kinds {
            if self.kinds.len() < super::MAX_CATEGORIES || self.kinds.contains_key(kind) {
                *self.kinds.entry(kind.clone()).or_default() += n;
            } else {
                self.of_other_kinds += n;
            }
        }
        self.of_other_kinds += other.of_other_kinds;
        for (kind, directions) in &other.directions {
            self.directions.entry(kind.clone()).or_default().merge(directions);
        }
        self.age_days.merge(&other.age_days);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::embedding::buckets_of;

    fn kind(dimensions: u32, encoder: &str) -> EmbeddingKind {
        EmbeddingKind {
            dimensions,
            encoder: encoder.to_owned(),
        }
    }

    fn of(kinds: &[(u32, &str, u64)]) -> Embeddings {
        let mut embeddings = Embeddings::default();
        for &(dimensions, encoder, n) in kinds {
            embeddings.kinds.insert(kind(dimensions, encoder), n);
            let directions = embeddings.directions.entry(kind(dimensions, encoder)).or_default();
            let vector: Vec<f32> = (0..dimensions).map(|i| i as f32 - 1.5).collect();
            (0..n).for_each(|_| directions.add(buckets_of(&vector).unwrap()));
        }
        embeddings
    }

    #[test]
    fn the_usual_kind_is_the_most_frequent_and_lengths_are_counted_over_encoders() {
        let embeddings = of(&[(3, "a", 4), (5, "b", 3), (5, "c", 3)]);
        assert_eq!(
            (embeddings.usual_kind(), embeddings.usual_dimensions()),
            (Some(&kind(3, "a")), Some(5))
        );
        let equal = of(&[(3, "a", 2), (5, "b", 2)]);
        assert_eq!((equal.usual_kind(), equal.usual_dimensions()), (Some(&kind(3, "a")), Some(3)));
        assert_eq!(
            (Embeddings::default().usual_kind(), Embeddings::default().usual_dimensions()),
            (None, None)
        );
    }

    #[test]
    fn kinds_survive_their_text_and_what_is_none_is_counted_as_other() {
        for kind in [kind(384, "minilm"), kind(0, ""), kind(7, "org/model:v2\u{1}")] {
            assert_eq!(EmbeddingKind::parse(&kind.to_string()), Some(kind));
        }
        let mut kinds = FeatureCounts::default();
        for text in ["384:a", "no kind", ":", "-1:a", "99999999999:a"] {
            kinds.add_category(text);
        }
        let directions = FeatureCounts {
            // Keys outside of the projections are nobody's, whatever a table holds.
            buckets: BTreeMap::from([(-1, 5), (i32::MAX, 5), (0, 2)]),
            ..FeatureCounts::default()
        };
        let mut features = BTreeMap::from([
            (pseudo::EMBEDDING_KIND.to_owned(), kinds),
            (format!("{}384:a", pseudo::EMBEDDING_DIRECTIONS), directions.clone()),
            (format!("{}a", pseudo::EMBEDDING_DIRECTIONS), directions),
            ("age".to_owned(), FeatureCounts::default()),
        ]);
        let taken = Embeddings::taken_from(&mut features);
        assert_eq!((taken.n(), taken.of_other_kinds, taken.kinds[&kind(384, "a")]), (5, 4, 1));
        assert_eq!(taken.directions[&kind(384, "a")].n(), 2);
        assert_eq!(features.into_keys().collect::<Vec<_>>(), ["age"]);
    }

    proptest! {
        #[test]
        fn embeddings_survive_a_profile_and_merge_as_if_counted_together(
            one in prop::collection::vec((2u32..6, "[ab]", 1u64..9), 0..4),
            other in prop::collection::vec((2u32..6, "[ab]", 1u64..9), 0..4),
        ) {
            let counted = |kinds: &[(u32, String, u64)]| {
                let mut sums: BTreeMap<(u32, &str), u64> = BTreeMap::new();
                kinds.iter().for_each(|(dimensions, encoder, n)| *sums.entry((*dimensions, encoder)).or_default() += n);
                of(&sums.into_iter().map(|((dimensions, encoder), n)| (dimensions, encoder, n)).collect::<Vec<_>>())
            };
            let mut merged = counted(&one);
            merged.age_days.add_number(2.0);
            let mut features: BTreeMap<String, FeatureCounts> = merged.features().into_iter().collect();
            prop_assert_eq!(&Embeddings::taken_from(&mut features), &merged);
            prop_assert!(features.is_empty());
            merged.merge(&counted(&other));
            let mut together = counted(&[one, other].concat());
            together.age_days.add_number(2.0);
            prop_assert_eq!(merged, together);
        }
    }
}
