//! `GET /api/v1/models/{model}/drift/embeddings`: where the embeddings of a window and of its reference lie.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::embedding_map::{EmbeddingMap, embedding_map};

use super::drift::{WINDOW_PARAMETERS, WindowParameters, problem};
use super::endpoint::Endpoint;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/drift/embeddings",
            "A map of the embeddings of window and reference: up to 1,000 of each along the two directions in which they differ most.",
            show,
        )
        .query(&WINDOW_PARAMETERS),
    ]
}

async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<WindowParameters>,
) -> Result<Json<EmbeddingMap>, Problem> {
    let request = asked.request(&model, &caller)?;
    embedding_map(&app.references, &request, app.clock.now())
        .await
        .map(Json)
        .map_err(|error| problem(&app, error))
}
