//! `GET /api/v1/models/{model}/drift/explanation`: why traffic moved.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::explanation::{Explanation, explain};
use serde::Deserialize;

use super::drift::{WINDOW_PARAMETERS, WindowParameters, problem};
use super::endpoint::Endpoint;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

const PARAMETERS: [(&str, &str); 7] = [
    ("feature", "the feature that is looked into; unsaid: the first of the list"),
    WINDOW_PARAMETERS[0],
    WINDOW_PARAMETERS[1],
    WINDOW_PARAMETERS[2],
    WINDOW_PARAMETERS[3],
    WINDOW_PARAMETERS[4],
    WINDOW_PARAMETERS[5],
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/drift/explanation",
            "Why traffic moved: features by shift times importance; of one of them the values that grew and shrank, the parts of the traffic \
             that carry it, and what it does to the accuracy that can be expected.",
            show,
        )
        .query(&PARAMETERS),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    feature: Option<String>,
    environment: Option<String>,
    version: Option<String>,
    segment: Option<String>,
    reference: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Explanation>, Problem> {
    let feature = asked.feature.filter(|feature| !feature.is_empty());
    let window = WindowParameters {
        environment: asked.environment,
        version: asked.version,
        segment: asked.segment,
        reference: asked.reference,
        from: asked.from,
        to: asked.to,
    };
    let request = window.request(&model, &caller)?;
    explain(&app.references, &request, feature.as_deref(), app.clock.now())
        .await
        .map(Json)
        .map_err(|error| problem(&app, error))
}
