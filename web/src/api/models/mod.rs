//! `GET /api/v1/models` and `GET /api/v1/models/{model}`: what is watched, and how it is.

mod known;
mod metrics;
mod versions;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use driftlead_store::clickhouse::query::segments::segments_with_signals;
use driftlead_store::clock::UnixNanos;
use serde::{Deserialize, Serialize};

use self::known::Known;
use super::answers::{ListAnswers, Question};
use super::endpoint::Endpoint;
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;
use crate::view::model::{ModelRow, ModelSettings, VersionRow};

/// How far back segments are looked for: as far as judged signals are shown.
const SEGMENTS_WITHIN_SECONDS: i64 = 40 * 86_400;

const PARAMETERS: &[(&str, &str)] = &[
    ("environment", "only this environment"),
    ("spark", "false: without the last 24 h of each metric"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/models", "Models, worst first, one row per model and environment.", list).query(PARAMETERS),
        Endpoint::get("/api/v1/models/{model}", "One model with its versions.", show).query(PARAMETERS),
    ]
}

/// Which models.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsQuery {
    environment: Option<String>,
    spark: Option<bool>,
}

/// The list.
#[derive(Debug, Serialize)]
pub struct ModelsResponse {
    at: UnixNanos,
    models: Vec<ModelRow>,
    environments: BTreeSet<String>,
}

/// One model.
#[derive(Debug, Serialize)]
pub struct ModelResponse {
    at: UnixNanos,
    model: ModelRow,
    environments: BTreeSet<String>,
    segments: Vec<String>,
    settings: ModelSettings,
    versions: Vec<VersionRow>,
}

/// The list, worst first. Every open page asks for it, so callers who see the same share one answer a second.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn list(
    State(app): State<Arc<WebState>>,
    State(answers): State<ListAnswers>,
    Asked(caller): Asked,
    Query(query): Query<ModelsQuery>,
) -> Result<Response, Problem> {
    let question = Question {
        sees: caller.environments().to_vec(),
        environment: query.environment.clone(),
        with_spark: query.spark.unwrap_or(true),
    };
    let body = answers.answer(question, app.clock.now(), read_list(&app, &caller, &query)).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn read_list(app: &WebState, caller: &Caller, query: &ModelsQuery) -> Result<Bytes, Problem> {
    let mut known = Known::read(app, None, query.spark.unwrap_or(true)).await?;
    known.keep(|environment| caller.sees(environment));
    let environments = known.places().into_iter().map(|(_, environment)| environment).collect();
    let mut models = Vec::new();
    for (model, environment) in known.places() {
        if query.environment.as_ref().is_none_or(|wanted| *wanted == environment) {
            models.push(known.row(app, &model, &environment));
        }
    }
    models.sort_by(|a, b| {
        b.health
            .state
            .cmp(&a.health.state)
            .then_with(|| a.name.cmp(&b.name))
            .then_with(|| a.environment.cmp(&b.environment))
    });
    let response = ModelsResponse {
        at: known.now,
        models,
        environments,
    };
    let body = serde_json::to_vec(&response).map_err(|error| Problem::internal(&error))?;
    Ok(Bytes::from(body))
}

/// One model with its versions.
///
/// # Errors
/// 404 for a model that nobody ever named, 503 when the database does not answer.
pub async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(query): Query<ModelsQuery>,
) -> Result<Json<ModelResponse>, Problem> {
    let mut known = Known::read(&app, Some(&model), query.spark.unwrap_or(true)).await?;
    known.keep(|environment| caller.sees(environment));
    let environments: BTreeSet<String> = known.places().into_iter().map(|(_, environment)| environment).collect();
    let busiest = known.counted.iter().max_by_key(|row| row.newest).map(|row| row.environment.clone());
    let environment = query.environment.or(busiest).or_else(|| environments.first().cloned());
    let Some(environment) = environment.filter(|environment| environments.contains(environment)) else {
        return Err(Problem::not_found(format!(
            "No telemetry, deployment or configuration names the model {model} there."
        )));
    };
    let row = known.row(&app, &model, &environment);
    let live = row.live.as_ref().map(|live| live.version.clone());
    let since = known.now.plus_seconds(-SEGMENTS_WITHIN_SECONDS);
    let segments = segments_with_signals(&app.clickhouse, &model, &environment, since)
        .await
        .map_err(|error| app.telemetry_problem(&error))?;
    let declared = app.settings(&model);
    let settings = ModelSettings::new(&declared, app.declared(&model).is_some(), app.label_delays.of(&declared));
    let versions = known.versions(&app, &model, &environment, live.as_deref()).await?;
    Ok(Json(ModelResponse {
        at: known.now,
        model: row,
        environments,
        segments,
        settings,
        versions,
    }))
}
