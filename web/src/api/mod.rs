//! The API, one file per noun. A handler does four things: extract, authorise, act, respond. Which scope an
//! endpoint needs stands beside its route, in each noun's list of [`endpoint::Endpoint`]s.

pub mod actions;
pub mod alerts;
pub mod answers;
pub mod charts;
pub mod clusters;
mod collection;
mod comparison;
pub mod control;
pub mod deployments;
pub mod drift;
mod drift_alerts;
mod embeddings;
pub mod endpoint;
mod examples;
pub mod explanation;
mod export;
pub mod inferences;
pub mod live;
pub mod metrics;
pub mod models;
pub mod openapi;
pub mod outcomes;
pub mod parameters;
mod quality;
pub mod references;
pub mod search;
mod search_rules;
mod searches;
pub mod segments;
pub mod session;
pub mod signals;
pub mod silences;
mod sources;
pub mod status;
mod tail;
pub mod timeline;
mod traces;

use endpoint::Endpoint;

/// Every endpoint, in the order in which the description lists them.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [
        session::endpoints(),
        status::endpoints(),
        collection::endpoints(),
        live::endpoints(),
        models::endpoints(),
        charts::endpoints(),
        signals::endpoints(),
        timeline::endpoints(),
        deployments::endpoints(),
        references::endpoints(),
        clusters::endpoints(),
        drift::endpoints(),
        embeddings::endpoints(),
        explanation::endpoints(),
        drift_alerts::endpoints(),
        segments::endpoints(),
        quality::endpoints(),
        inferences::endpoints(),
        control::endpoints(),
        examples::endpoints(),
        outcomes::endpoints(),
        alerts::endpoints(),
        silences::endpoints(),
        actions::endpoints(),
        search::endpoints(),
        tail::endpoints(),
        export::endpoints(),
        comparison::endpoints(),
        search_rules::endpoints(),
        searches::endpoints(),
        traces::endpoints(),
        metrics::endpoints(),
        openapi::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
