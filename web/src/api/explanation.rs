//! `GET /api/v1/models/{model}/drift/explanation`: why traffic moved.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::DriftRequest;
use driftlead_analyzer::explanation::{Explanation, explain};
use serde::Deserialize;

use super::drift::problem;
use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/drift/explanation",
            "Why traffic moved: features by shift times importance; of one of them the values that grew and shrank, the parts of the traffic \
             that carry it, and what it does to the accuracy that can be expected.",
            show,
        )
        .query(&[
            ("feature", "the feature that is looked into; unsaid: the first of the list"),
            ("environment", "unsaid: the one with the most traffic in the window"),
            ("version", "unsaid: the one with the most traffic in the window"),
            (
                "segment",
                "only this segment of the traffic, against the same segment of the reference; unsaid: all traffic",
            ),
            ("reference", "unsaid: the one that applies to the version"),
            ("from", "start of the window; unsaid: the latest hour or day with enough records"),
            ("to", "end of the window"),
        ]),
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
    let stated = |text: Option<String>| text.filter(|text| !text.is_empty());
    let request = DriftRequest {
        model,
        environment: caller.environment(asked.environment)?,
        version: stated(asked.version),
        segment: stated(asked.segment),
        reference: stated(asked.reference),
        from: parameters::instant("from", asked.from.as_deref())?,
        to: parameters::instant("to", asked.to.as_deref())?,
    };
    let feature = stated(asked.feature);
    explain(&app.references, &request, feature.as_deref(), app.clock.now())
        .await
        .map(Json)
        .map_err(|error| problem(&app, error))
}
