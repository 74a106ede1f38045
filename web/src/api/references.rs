//! `PUT /api/v1/models/{model}/references/{name}`: what windows are compared with, profiled once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use driftlead_analyzer::reference::RowsFormat;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::references::ReferenceSet;
use serde::Deserialize;

use super::drift::problem;
use super::endpoint::{Accepts, Endpoint};
use super::parameters::content_type;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Upload};
use crate::state::WebState;

const FORMATS: &[&str] = &["text/csv", "application/x-ndjson", "application/jsonl", "application/json"];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::put(
            "/api/v1/models/{model}/references/{name}",
            "Upload reference rows as CSV or JSONL, or name a stretch of telemetry as {from, to}. A deployment names it.",
            put,
        )
        .accepts(Accepts::Upload(FORMATS)),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretch {
    from: UnixNanos,
    to: UnixNanos,
}

/// A reference is the model's in all its environments, so whoever changes it has to see them all.
async fn put(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path((model, name)): Path<(String, String)>,
    headers: HeaderMap,
    Upload(body): Upload,
) -> Result<Json<ReferenceSet>, Problem> {
    caller.check_all_environments("A reference")?;
    let now = app.clock.now();
    let format = match content_type(&headers) {
        "text/csv" => RowsFormat::Csv,
        "application/x-ndjson" | "application/jsonl" => RowsFormat::JsonLines,
        "application/json" | "" => {
            let stretch: Stretch = serde_json::from_slice(&body)
                .map_err(|error| Problem::unprocessable(format!("the body is not {{\"from\", \"to\"}} with two instants: {error}")))?;
            let set = app.references.put_stretch(&model, &name, stretch.from, stretch.to, now).await;
            return set.map(Json).map_err(|error| problem(&app, error));
        }
        other => {
            let detail = format!("{other:?} is not read here: send one of {}.", FORMATS.join(", "));
            return Err(Problem::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    let set = app.references.put_rows(&model, &name, format, &body, now).await;
    set.map(Json).map_err(|error| problem(&app, error))
}
