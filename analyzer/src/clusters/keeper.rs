//! Keeps the clusters of all models: looks for them once there is enough traffic, and whenever somebody asks for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use driftlead_store::clickhouse::query::buckets::busiest_environment;
use driftlead_store::clickhouse::query::samples::{Contents, MAX_LOOKED_THROUGH, SampleOf, SampledInference, sample_inferences};
use driftlead_store::clock::UnixNanos;
use driftlead_store::clusters::{Clustering, Clusterings};
use driftlead_store::model_settings::{ClustersOf, ModelSettings};

use super::fit::{MIN_ROWS, Search, fit};
use super::{ClustersReport, NewCluster};
use crate::blocking;
use crate::error::AnalyzerError;
use crate::reference::References;
use crate::seed::seed_of;

/// Days before now whose inferences are looked at.
const LOOK_BACK_SECONDS: i64 = 7 * 86_400;
/// Inferences that clusters are looked for in.
const WANTED_ROWS: u64 = 4_000;
/// How long a model whose clusters could not be found is left alone, in seconds.
const RETRY_SECONDS: f64 = 30.0;

/// Shared by the analyzer, the drain (which assigns) and whoever asks; cheap to clone.
#[derive(Clone)]
pub struct ClusterKeeper {
    references: References,
    clusterings: Clusterings,
    models: Arc<Vec<ModelSettings>>,
    /// Why a model has no clusters, and when that was found.
    missing: Arc<Mutex<HashMap<String, (UnixNanos, String)>>>,
    /// One search at a time: each is seconds of work, and gives numbers.
    search: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for ClusterKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterKeeper")
            .field("clusterings", &self.clusterings)
            .finish_non_exhaustive()
    }
}

impl ClusterKeeper {
    /// Keeps the clusters of the models whose settings ask for them; inferences of the others are assigned to none any more.
    pub fn new(references: References, clusterings: Clusterings, mut models: Vec<ModelSettings>) -> Self {
        models.retain(|settings| settings.clusters.is_some());
        clusterings.retain(|model| models.iter().any(|settings| settings.name == model));
        Self {
            references,
            clusterings,
            models: Arc::new(models),
            missing: Arc::default(),
            search: Arc::default(),
        }
    }

    /// The clusters of a model that it has at present.
    pub fn report(&self, model: &str, now: UnixNanos) -> ClustersReport {
        let Some(of) = self.references.settings(model).clusters else {
            let reason = "clusters are not looked for: the model's table of the configuration has no `clusters`";
            return ClustersReport::none(model, None, "not_switched_on", reason);
        };
        match self.current(model, of) {
            Some(clustering) => ClustersReport::of(model, of, &clustering, now),
            None => {
                let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
                let reason = missing.get(model).map_or_else(
                    || "they are being looked for".to_owned(),
                    |(_, reason)| format!("{reason}; they are looked for again every half minute"),
                );
                ClustersReport::none(model, Some(of), "insufficient", reason)
            }
        }
    }

    /// Looks for the clusters of a model, whatever it has; those that are still there keep their number.
    ///
    /// # Errors
    /// Telemetry cannot be read, or state not written.
    pub async fn find(&self, model: &str, now: UnixNanos) -> Result<ClustersReport, AnalyzerError> {
        let Some(of) = self.references.settings(model).clusters else {
            return Ok(self.report(model, now));
        };
        let _one_at_a_time = self.search.lock().await;
        let before = self.current(model, of);
        let (environment, rows) = self.sample(model, of, now).await?;
        // Also of clusters of another kind, which are given up: a segment of the past means what it meant.
        let first_number = self.clusterings.get(model).map_or(1, |known| known.next_number);
        let found = blocking::compute(move || {
            let search = Search {
                of,
                before: before.as_deref(),
                first_number,
                environment: &environment,
                now,
            };
            fit(&rows, search)
        });
        let found = found.await?;
        match found {
            Ok(clustering) => {
                tracing::info!(
                    model,
                    clusters = clustering.clusters.len(),
                    sampled = clustering.sampled,
                    "found the clusters of a model"
                );
                self.keep(model, clustering).await?;
            }
            Err(reason) => {
                let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
                missing.insert(model.to_owned(), (now, reason));
            }
        }
        Ok(self.report(model, now))
    }

    /// Finds the clusters of the models that have none yet.
    ///
    /// # Errors
    /// Telemetry cannot be read, or state not written.
    pub async fn step(&self, now: UnixNanos) -> Result<(), AnalyzerError> {
        for settings in self.models.iter() {
            let model = &settings.name;
            let Some(of) = settings.clusters else { continue };
            let waits = {
                let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
                missing.get(model).is_some_and(|(at, _)| now.seconds_since(*at) < RETRY_SECONDS)
            };
            if !waits && self.current(model, of).is_none() {
                self.find(model, now).await?;
            }
        }
        Ok(())
    }

    /// The clusters that inferences of a model are assigned to.
    pub(crate) fn clustering(&self, model: &str) -> Option<Arc<Clustering>> {
        self.current(model, self.references.settings(model).clusters?)
    }

    /// Gives a cluster that was found after the others its number. `None` where it was found in another clustering than the present one.
    pub(crate) async fn add(&self, model: &str, to: &Clustering, cluster: NewCluster) -> Result<Option<u32>, AnalyzerError> {
        let _one_at_a_time = self.search.lock().await;
        let Some(current) = self.clustering(model).filter(|current| **current == *to) else {
            return Ok(None);
        };
        let mut clustering = (*current).clone();
        let number = clustering.next_number;
        clustering.next_number += 1;
        clustering.clusters.push(NewCluster { number, ..cluster });
        self.keep(model, clustering).await?;
        tracing::info!(model, number, "found a new cluster");
        Ok(Some(number))
    }

    /// Durably, before the drain assigns by it.
    async fn keep(&self, model: &str, clustering: Clustering) -> Result<(), AnalyzerError> {
        self.references.state().keep_clustering(model, &clustering).await?;
        self.clusterings.set(model, clustering);
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.remove(model);
        Ok(())
    }

    /// The clusters of a model, where they are of what the settings ask for.
    fn current(&self, model: &str, of: ClustersOf) -> Option<Arc<Clustering>> {
        let is_wanted = |clustering: &Arc<Clustering>| {
            let is_of_embeddings = matches!(clustering.space, driftlead_store::clusters::Space::Embeddings { .. });
            is_of_embeddings == (of == ClustersOf::Embeddings)
        };
        self.clusterings.get(model).filter(is_wanted)
    }

    /// Inferences of the last days, of the environment that served most of them.
    async fn sample(&self, model: &str, of: ClustersOf, now: UnixNanos) -> Result<(String, Vec<SampledInference>), AnalyzerError> {
        let clickhouse = self.references.clickhouse();
        let from = now.plus_seconds(-LOOK_BACK_SECONDS);
        let busiest = busiest_environment(clickhouse, model, from, now).await?;
        let Some((environment, inferences)) = busiest.filter(|(_, inferences)| *inferences >= MIN_ROWS as u64) else {
            return Ok((String::new(), Vec::new()));
        };
        let sample = SampleOf {
            model,
            environment: &environment,
            version: None,
            segment: None,
            from,
            until: now,
            like: None,
            inferences,
            looked_through: MAX_LOOKED_THROUGH,
            positive: None,
        };
        let seed = seed_of(&[model, "clusters", &now.to_string()]);
        let contents = Contents {
            embeddings: of == ClustersOf::Embeddings,
            texts: false,
        };
        let rows = sample_inferences(clickhouse, sample, WANTED_ROWS, seed, contents).await?;
        Ok((environment, rows))
    }
}
