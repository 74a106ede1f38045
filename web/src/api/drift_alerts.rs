//! `GET /api/v1/models/{model}/drift/alerts`: whether alerts of drift were right.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::borne_out::{DriftAlerts, drift_alerts};
use serde::{Deserialize, Serialize};

use super::drift::problem;
use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

/// Alerts of so many days unless it is said from when on: ended ones are kept as long.
const DEFAULT_SECONDS: i64 = 90 * 86_400;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/drift/alerts",
            "Past alerts of drift, each with what labels said of its window: borne out or not; features by the quality that their shifts cost.",
            list,
        )
        .query(&[
            ("environment", "unsaid: all"),
            ("from", "alerts that began to fire from here on; unsaid: the last 90 days"),
            ("to", "alerts that began to fire before; unsaid: now"),
        ]),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    environment: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    /// `[drift] false_alerts_per_month`, of all models.
    false_alerts_per_month: f64,
    #[serde(flatten)]
    alerts: DriftAlerts,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Answer>, Problem> {
    let environment = caller.environment(asked.environment)?;
    let to = parameters::instant("to", asked.to.as_deref())?.unwrap_or_else(|| app.clock.now());
    let from = parameters::instant("from", asked.from.as_deref())?.unwrap_or_else(|| to.plus_seconds(-DEFAULT_SECONDS));
    if from >= to {
        return Err(Problem::bad_request(format!("from {from} has to lie before to {to}")));
    }
    let alerts = drift_alerts(&app.references, &model, environment.as_deref(), from, to)
        .await
        .map_err(|error| problem(&app, error))?;
    Ok(Json(Answer {
        false_alerts_per_month: app.false_alerts_per_month,
        alerts,
    }))
}
