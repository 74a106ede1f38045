//! Clusters of a model's inferences: segments that nobody declared.
//!
//! The analyzer finds them ([`Clustering`]); the drain, by [`Assigning`], gives each inference that says no segment of its own the one of
//! the nearest cluster, so that a cluster is a segment everywhere a segment is. A cluster keeps its number and its centre until somebody
//! asks for a new search. What a point is, is said by the [`Space`].

mod assigning;
mod space;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::clock::UnixNanos;
pub use assigning::Assigning;
pub use space::{CategoryAxis, Described, NumberAxis, Space};

/// The clusters of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clustering {
    /// What a point is.
    pub space: Space,
    /// When they were looked for, all together.
    pub fitted_at: UnixNanos,
    /// Inferences that they were found in.
    pub sampled: u64,
    /// The environment that those were served in.
    pub environment: String,
    /// By number.
    pub clusters: Vec<Cluster>,
    /// The number of the next cluster that is found: numbers are never given twice.
    pub next_number: u32,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its centre, a point of the space.
    pub centre: Vec<f32>,
    /// The distance from the centre within which 99 % of its inferences lay.
    pub radius: f32,
    /// Its share of the inferences that it was found in.
    pub share: f64,
    /// When it was found.
    pub found_at: UnixNanos,
    /// What its inferences have that the others have less of, the most telling first.
    pub typical: Vec<Typical>,
    /// Ids of inferences near its centre.
    pub examples: Vec<String>,
}

/// What is typical of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Typical {
    /// It has much of a value.
    Value {
        /// The feature.
        feature: String,
        /// The value.
        value: String,
        /// Share of the cluster's inferences that have it.
        share: f64,
        /// Share of all inferences that have it.
        share_of_all: f64,
    },
    /// Its numbers are larger or smaller.
    Mean {
        /// The feature.
        feature: String,
        /// The mean of the cluster.
        mean: f64,
        /// The mean of all inferences.
        mean_of_all: f64,
        /// How far apart they are, in standard deviations of all.
        standard_deviations: f64,
    },
}

impl Cluster {
    /// The segment that its inferences are given.
    pub fn segment(&self) -> String {
        segment_of(self.number)
    }
}

/// The segment of the cluster of this number.
pub fn segment_of(number: u32) -> String {
    format!("cluster {number}")
}

impl Clustering {
    /// The nearest cluster of a point of the space, and the distance to its centre. `None` where there are no clusters.
    pub fn nearest(&self, point: &[f32]) -> Option<(&Cluster, f32)> {
        let distances = self
            .clusters
            .iter()
            .map(|cluster| (cluster, squared_distance(point, &cluster.centre)));
        distances
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(cluster, squared)| (cluster, squared.sqrt()))
    }

    /// The number of the cluster that an inference belongs to; `None` where it does not have what the space is made of.
    pub fn number_of(&self, inference: &impl Described) -> Option<u32> {
        let point = self.space.point(inference)?;
        self.nearest(&point).map(|(cluster, _)| cluster.number)
    }

    /// Whether a cluster was found in what came after the search for all.
    pub fn is_later(&self, cluster: &Cluster) -> bool {
        cluster.found_at > self.fitted_at
    }
}

/// The squared Euclidean distance of two points of the same length.
pub fn squared_distance(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let square = |(a, b): (&f32, &f32)| (a - b) * (a - b);
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(square).sum();
    let mut sums = [0.0_f32; LANES];
    for (ones, others) in ones.zip(others) {
        for (sum, pair) in sums.iter_mut().zip(ones.iter().zip(others)) {
            *sum += square(pair);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The clusters of all models, as drain and analyzer share them; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clusterings(Arc<RwLock<HashMap<String, Arc<Clustering>>>>);

impl Clusterings {
    /// These, by model.
    pub fn of(all: impl IntoIterator<Item = (String, Clustering)>) -> Self {
        let all = all.into_iter().map(|(model, clustering)| (model, Arc::new(clustering)));
        Self(Arc::new(RwLock::new(all.collect())))
    }

    /// Those of a model, if they were found.
    pub fn get(&self, model: &str) -> Option<Arc<Clustering>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned()
    }

    /// From now on the drain assigns to these.
    pub fn set(&self, model: &str, clustering: Clustering) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(model.to_owned(), Arc::new(clustering));
    }

    /// Inferences of the other models are assigned to nothing any more.
    pub fn retain(&self, is_wanted: impl Fn(&str) -> bool) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|model, _| is_wanted(model));
    }

    fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_add_up_whatever_the_length() {
        for length in [1, 7, 8, 9, 384] {
            let (one, other): (Vec<f32>, Vec<f32>) = (0..length).map(|at| (at as f32, at as f32 + 2.0)).unzip();
            assert_eq!(squared_distance(&one, &other), 4.0 * length as f32);
        }
    }

    #[test]
    fn what_was_found_reads_back() {
        let clustering = Clustering {
            space: Space::Embeddings {
                encoder: "e".to_owned(),
                dimensions: 2,
            },
            fitted_at: UnixNanos(5),
            sampled: 10,
            environment: String::new(),
            clusters: vec![Cluster {
                number: 3,
                centre: vec![0.25, -1.0],
                radius: 0.5,
                share: 0.1,
                found_at: UnixNanos(7),
                typical: vec![
                    Typical::Value {
                        feature: "plan".to_owned(),
                        value: "free".to_owned(),
                        share: 0.9,
                        share_of_all: 0.3,
                    },
                    Typical::Mean {
                        feature: "age".to_owned(),
                        mean: 61.0,
                        mean_of_all: 38.0,
                        standard_deviations: 2.0,
                    },
                ],
                examples: vec!["r".to_owned()],
            }],
            next_number: 4,
        };
        let json = serde_json::to_string(&clustering).unwrap();
        assert_eq!(serde_json::from_str::<Clustering>(&json).unwrap(), clustering);
        assert!(clustering.is_later(&clustering.clusters[0]));
        assert_eq!(clustering.clusters[0].segment(), "cluster 3");
    }
}
