//! Clusters of a model's inferences: how they are found ([`fit`]), what is typical of each ([`typical`]), how a new one is noticed
//! ([`novelty`]), and what keeps them ([`keeper`]).

mod fit;
mod keeper;
mod novelty;
mod numbering;
mod typical;

use driftlead_store::clock::UnixNanos;
use driftlead_store::clusters::{Cluster, Clustering, Typical};
use driftlead_store::model_settings::ClustersOf;
use serde::Serialize;

pub use keeper::ClusterKeeper;
pub(crate) use novelty::{NewCluster, Novelty, look};

/// Days for which a cluster that was found after the others is called new.
const NEW_SECONDS: i64 = 7 * 86_400;

/// Whether a cluster was not there when the others were looked for, and was found within the last week.
pub(crate) fn is_new(clustering: &Clustering, cluster: &Cluster, now: UnixNanos) -> bool {
    clustering.is_later(cluster) && now.seconds_since(cluster.found_at) < NEW_SECONDS as f64
}

/// The clusters of a model, as clients see them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClustersReport {
    /// The model.
    pub model: String,
    /// What they are clusters of; `None` where the settings of the model ask for none.
    pub of: Option<ClustersOf>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When they were looked for, all together.
    pub fitted_at: Option<UnixNanos>,
    /// Inferences that they were found in.
    pub sampled: u64,
    /// The environment that those were served in.
    pub environment: Option<String>,
    /// What made the embeddings.
    pub encoder: Option<String>,
    /// How many coordinates a point has.
    pub dimensions: Option<usize>,
    /// By number.
    pub clusters: Vec<ClusterReport>,
}

/// One cluster, as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterReport {
    /// Its number.
    pub number: u32,
    /// The segment that its inferences are given.
    pub segment: String,
    /// Its share of the inferences that it was found in.
    pub share: f64,
    /// When it was found.
    pub found_at: UnixNanos,
    /// Whether it was found after the others, within the last week.
    pub is_new: bool,
    /// What is typical of it.
    pub typical: Vec<Typical>,
    /// Ids of inferences near its centre.
    pub examples: Vec<String>,
}

impl ClustersReport {
    fn none(model: &str, of: Option<ClustersOf>, unknown: &'static str, reason: impl Into<String>) -> Self {
        Self {
            model: model.to_owned(),
            of,
            unknown: Some(unknown),
            reason: Some(reason.into()),
            fitted_at: None,
            sampled: 0,
            environment: None,
            encoder: None,
            dimensions: None,
            clusters: Vec::new(),
        }
    }

    fn of(model: &str, of: ClustersOf, clustering: &Clustering, now: UnixNanos) -> Self {
        let encoder = match &clustering.space {
            driftlead_store::clusters::Space::Embeddings { encoder, .. } => Some(encoder.clone()),
            driftlead_store::clusters::Space::Features { .. } => None,
        };
        let cluster = |cluster: &Cluster| ClusterReport {
            number: cluster.number,
            segment: cluster.segment(),
            share: cluster.share,
            found_at: cluster.found_at,
            is_new: is_new(clustering, cluster, now),
            typical: cluster.typical.clone(),
            examples: cluster.examples.clone(),
        };
        Self {
            model: model.to_owned(),
            of: Some(of),
            unknown: None,
            reason: None,
            fitted_at: Some(clustering.fitted_at),
            sampled: clustering.sampled,
            environment: Some(clustering.environment.clone()),
            encoder,
            dimensions: Some(clustering.space.dimensions()),
            clusters: clustering.clusters.iter().map(cluster).collect(),
        }
    }
}
