//! `GET /api/v1/alerts` and `/api/v1/alerts/{id}`: what is wrong, firing first.

use std::sync::Arc;

use axum::extract::State;
use driftlead_store::state::alerts::{AlertFilter, AlertState};
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;
use crate::view::alert::Alert;

const DEFAULT_LIMIT: u32 = 200;
/// Most alerts of one answer.
const MAX_LIMIT: u32 = 1_000;

const PARAMETERS: &[(&str, &str)] = &[
    ("model", "only alerts of this model"),
    ("environment", "only alerts of this environment"),
    ("state", "firing, pending, resolved, separated by commas; all three by default"),
    ("from", "only alerts that were active after this instant, RFC 3339"),
    ("to", "only alerts that were active before this instant, RFC 3339"),
    ("limit", "most alerts, at most 1,000, 200 by default"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/alerts",
            "Alerts, firing first, the most severe first, then the newest.",
            list,
        )
        .query(PARAMETERS),
        Endpoint::get("/api/v1/alerts/{id}", "One alert.", show),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    model: Option<String>,
    environment: Option<String>,
    state: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Alerts>, Problem> {
    let filter = AlertFilter {
        model: asked.model,
        environment: caller.environment(asked.environment)?,
        states: asked.state.as_deref().map(states).transpose()?.unwrap_or_default(),
        from: parameters::instant("from", asked.from.as_deref())?,
        to: parameters::instant("to", asked.to.as_deref())?,
        limit: parameters::limit(asked.limit, DEFAULT_LIMIT, MAX_LIMIT)?,
    };
    let alerts = app.commands.alerts(&filter).await?;
    Ok(axum::Json(Alerts {
        alerts: alerts.into_iter().map(Alert::from).collect(),
    }))
}

async fn show(State(app): State<Arc<WebState>>, Asked(caller): Asked, Path(id): Path<String>) -> Result<axum::Json<Alert>, Problem> {
    let found = app.commands.alert(&id).await?;
    let alert = found.filter(|view| caller.sees(&view.alert.series.environment));
    let alert = alert.ok_or_else(|| Problem::not_found(format!("There is no alert {id}.")))?;
    Ok(axum::Json(Alert::from(alert)))
}

fn states(text: &str) -> Result<Vec<AlertState>, Problem> {
    let known = [AlertState::Firing, AlertState::Pending, AlertState::Resolved];
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let state = known.into_iter().find(|state| state.as_str() == name);
            state.ok_or_else(|| Problem::bad_request(format!("state {name:?} is not known: use firing, pending or resolved")))
        })
        .collect()
}
