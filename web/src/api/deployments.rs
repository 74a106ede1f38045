//! `GET|POST /api/v1/deployments`: what was released where.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use driftlead_analyzer::control::announce_deployment;
use serde::{Deserialize, Serialize};

use super::control::problem;
use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Body, Query};
use crate::state::WebState;
use crate::view::release::Deployment;

const PARAMETERS: &[(&str, &str)] = &[
    ("model", "only deployments of this model"),
    ("environment", "only deployments of this environment"),
    ("from", "only deployments at or after this instant, RFC 3339"),
    ("to", "only deployments before this instant, RFC 3339"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/deployments", "Deployments, announced and seen, newest first.", list).query(PARAMETERS),
        Endpoint::post(
            "/api/v1/deployments",
            "Announce one: {model, version, environment?, event: candidate|live|retired, traffic_share?, commit?, artifact?, data_version?, \
             retrain_id?, reference?, importance?, at?, …}; importance is {feature: number}.",
            announce,
        )
        .status(201),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    model: Option<String>,
    environment: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Serialize)]
struct Deployments {
    deployments: Vec<Deployment>,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Deployments>, Problem> {
    let from = parameters::instant("from", asked.from.as_deref())?;
    let to = parameters::instant("to", asked.to.as_deref())?;
    let environment = caller.environment(asked.environment)?;
    let mut deployments = app.state.deployments(asked.model.as_deref()).await?;
    deployments.retain(|deployment| {
        environment.as_ref().is_none_or(|wanted| *wanted == deployment.environment)
            && from.is_none_or(|from| deployment.at >= from)
            && to.is_none_or(|to| deployment.at < to)
    });
    Ok(axum::Json(Deployments {
        deployments: deployments.into_iter().map(Deployment::from).collect(),
    }))
}

async fn announce(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Body(body): Body<serde_json::Value>,
) -> Result<(StatusCode, axum::Json<Deployment>), Problem> {
    caller.check_environment(body["environment"].as_str().unwrap_or_default())?;
    let deployment = announce_deployment(&app.state, body, app.clock.now()).await.map_err(problem)?;
    Ok((StatusCode::CREATED, axum::Json(Deployment::from(deployment))))
}
