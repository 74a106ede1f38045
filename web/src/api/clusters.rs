//! `/api/v1/models/{model}/clusters`: the segments that were found in the inferences themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::clusters::ClustersReport;
use driftlead_store::state::audit::AuditEntry;

use super::drift::problem;
use super::endpoint::{Accepts, Endpoint};
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::Path;
use crate::state::WebState;

const PATH: &str = "/api/v1/models/{model}/clusters";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            PATH,
            "The clusters of a model's embeddings or features: size, what is typical of each, examples; the segment of each.",
            show,
        ),
        Endpoint::post(
            PATH,
            "Look for the clusters anew in the last seven days. A cluster that is found again keeps its number.",
            find,
        )
        .accepts(Accepts::Nothing),
    ]
}

async fn show(State(app): State<Arc<WebState>>, Asked(caller): Asked, Path(model): Path<String>) -> Result<Json<ClustersReport>, Problem> {
    let report = app.clusters.report(&model, app.clock.now());
    may_see(&caller, &report)?;
    Ok(Json(report))
}

async fn find(State(app): State<Arc<WebState>>, Asked(caller): Asked, Path(model): Path<String>) -> Result<Json<ClustersReport>, Problem> {
    may_see(&caller, &app.clusters.report(&model, app.clock.now()))?;
    let now = app.clock.now();
    app.state
        .record_audit(&AuditEntry::plain("clusters.find", &model, caller.name(), now))
        .await?;
    let found = app.clusters.find(&model, now).await;
    found.map(Json).map_err(|error| problem(&app, error))
}

/// Clusters were found in one environment: who may not see that may not see them.
fn may_see(caller: &Caller, report: &ClustersReport) -> Result<(), Problem> {
    match &report.environment {
        Some(environment) => caller.check_environment(environment),
        None => Ok(()),
    }
}
