//! Whether traffic comes that belongs to no cluster that was there when clusters were looked for.

use driftlead_store::clickhouse::query::samples::{Contents, SampleOf, sample_inferences};
use driftlead_store::clusters::Space;
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::data_quality::ratio;
use super::frame::Frame;
use super::sampled::{LOOKED_THROUGH, is_looked_at};
use crate::blocking;
use crate::clusters::{Novelty, look};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::seed::seed_of;

/// Inferences that are looked at.
const WANTED_ROWS: u64 = 5_000;

/// The share of a version's inferences that lie in clusters found within the last week, the one that is found now among them. None
/// where the model has no clusters, or has them of another environment, and of a window that has not just ended.
pub(super) async fn new_cluster_ratio(
    context: &Context,
    frame: &Frame<'_>,
    inferences: u64,
    decision_error: f64,
) -> Result<Vec<Signal>, AnalyzerError> {
    let Some(clusters) = &context.clusters else {
        return Ok(Vec::new());
    };
    let clustering = clusters.clustering(frame.model);
    let Some(clustering) = clustering.filter(|clustering| clustering.environment == frame.environment) else {
        return Ok(Vec::new());
    };
    if !is_looked_at(frame, context.now()) {
        return Ok(Vec::new());
    }
    let sample = SampleOf {
        model: frame.model,
        environment: frame.environment,
        version: Some(frame.version),
        segment: None,
        from: frame.window.start(),
        until: frame.window.end,
        like: None,
        inferences,
        looked_through: LOOKED_THROUGH,
        positive: None,
    };
    let seed = seed_of(&[frame.model, frame.version, "clusters", &frame.window.end.to_string()]);
    let contents = Contents {
        embeddings: matches!(clustering.space, Space::Embeddings { .. }),
        texts: false,
    };
    let rows = sample_inferences(&context.clickhouse, sample, WANTED_ROWS, seed, contents).await?;
    let (searched, now) = (clustering.clone(), context.now());
    let seen = blocking::compute(move || look(&searched, &rows, now)).await?;
    let Novelty { n, in_new, mut new, found } = seen;
    let typical = found.as_ref().map(|cluster| cluster.typical.clone());
    if let Some(cluster) = found {
        new.extend(clusters.add(frame.model, &clustering, cluster).await?);
    }
    let details = json!({ "clusters": new, "typical": typical });
    Ok(vec![ratio(frame, names::NEW_CLUSTER_RATIO, "", in_new, n, decision_error, details)])
}
