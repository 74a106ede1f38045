//! Control sets, replays and verdicts.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use driftlead_analyzer::control::set::SetFormat;
use driftlead_analyzer::control::{ControlError, ReplayReport, Uploaded, current_set, replay_report, request_replay, upload_set, verdict};
use driftlead_store::state::control::{ControlSet, StoredExample};
use driftlead_store::state::replays::Replay;
use serde::{Deserialize, Serialize};

use super::endpoint::{Accepts, Endpoint};
use super::parameters::content_type;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Body, Path, Query, Upload};
use crate::state::WebState;
use crate::view::release::{ReplaySummary, Verdict};

/// Seconds after which a replay may be asked for again when too many wait.
const RETRY_SECONDS: u32 = 30;
const FORMATS: &[&str] = &["application/json", "application/x-ndjson", "application/jsonl", "text/csv"];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::put(
            "/api/v1/models/{model}/control",
            "Upload a control set: {set, examples, warnings}.",
            upload,
        )
        .accepts(Accepts::Upload(FORMATS)),
        Endpoint::get(
            "/api/v1/models/{model}/control",
            "The current control set with its examples.",
            show_set,
        ),
        Endpoint::get("/api/v1/models/{model}/replays", "Replays, newest first.", list).query(&[("version", "only this version's")]),
        Endpoint::post(
            "/api/v1/models/{model}/replays",
            "Replay the control set against a version: {version, environment?}.",
            request,
        )
        .status(202),
        Endpoint::get(
            "/api/v1/models/{model}/replays/{id}",
            "One replay with its results and verdict.",
            show_replay,
        ),
        Endpoint::get(
            "/api/v1/models/{model}/versions/{version}/verdict",
            "The gate's newest verdict on a version: {verdict, reasons, flips, …}.",
            show_verdict,
        )
        .query(&[("environment", "only this environment's; any by default")]),
    ]
}

/// What the part that does the work answers, as a problem.
pub(super) fn problem(error: ControlError) -> Problem {
    match error {
        ControlError::Invalid(detail) => Problem::unprocessable(detail),
        ControlError::Set(error) => Problem::unprocessable(error.to_string()),
        ControlError::NotFound(detail) => Problem::not_found(detail),
        ControlError::Conflict(detail) => Problem::conflict(detail),
        ControlError::Busy => Problem::unavailable(error.to_string(), RETRY_SECONDS),
        ControlError::State(error) => Problem::from(error),
    }
}

/// A set is the model's in all its environments, so whoever changes it has to see them all.
async fn upload(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    headers: HeaderMap,
    Upload(body): Upload,
) -> Result<axum::Json<Uploaded>, Problem> {
    caller.check_all_environments("A control set")?;
    let format = match content_type(&headers) {
        "application/json" | "" => SetFormat::Json,
        "application/x-ndjson" | "application/jsonl" => SetFormat::JsonLines,
        "text/csv" => SetFormat::Csv,
        other => {
            return Err(Problem::with_status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("{other:?} is not read here: send one of {}.", FORMATS.join(", ")),
            ));
        }
    };
    let uploaded = upload_set(&app.state, &app.settings(&model), format, &body, app.clock.now()).await;
    uploaded.map(axum::Json).map_err(problem)
}

#[derive(Debug, Serialize)]
struct CurrentSet {
    #[serde(flatten)]
    set: ControlSet,
    items: Vec<StoredExample>,
}

async fn show_set(State(app): State<Arc<WebState>>, Path(model): Path<String>) -> Result<axum::Json<CurrentSet>, Problem> {
    let (set, items) = current_set(&app.state, &model).await.map_err(problem)?;
    Ok(axum::Json(CurrentSet { set, items }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Replays {
    replays: Vec<ReplaySummary>,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Replays>, Problem> {
    let mut replays = app.state.replays(&model).await?;
    replays.retain(|replay| caller.sees(&replay.environment) && asked.version.as_ref().is_none_or(|version| *version == replay.version));
    let ids: Vec<String> = replays.iter().map(|replay| replay.id.clone()).collect();
    let verdicts = app.state.verdicts_of_replays(&ids).await?;
    let summaries = replays
        .iter()
        .map(|replay| ReplaySummary::new(replay, verdicts.get(&replay.id).copied()));
    Ok(axum::Json(Replays {
        replays: summaries.collect(),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    version: String,
    #[serde(default)]
    environment: Option<String>,
}

#[derive(Debug, Serialize)]
struct Requested {
    /// Its id, for `GET …/replays/{id}`.
    replay: String,
    #[serde(flatten)]
    queued: Replay,
}

async fn request(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Body(asked): Body<Request>,
) -> Result<(StatusCode, axum::Json<Requested>), Problem> {
    let environment = caller.environment(asked.environment)?.unwrap_or_default();
    let queued = request_replay(&app.state, &model, &asked.version, &environment, app.clock.now())
        .await
        .map_err(problem)?;
    let replay = queued.id.clone();
    Ok((StatusCode::ACCEPTED, axum::Json(Requested { replay, queued })))
}

async fn show_replay(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path((model, id)): Path<(String, String)>,
) -> Result<axum::Json<ReplayReport>, Problem> {
    let report = replay_report(&app.state, &model, &id).await.map_err(problem)?;
    if !caller.sees(&report.replay.environment) {
        return Err(problem(ControlError::NotFound(format!("the model {model:?} has no replay {id:?}"))));
    }
    Ok(axum::Json(report))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InEnvironment {
    environment: Option<String>,
}

async fn show_verdict(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path((model, version)): Path<(String, String)>,
    Query(asked): Query<InEnvironment>,
) -> Result<axum::Json<Verdict>, Problem> {
    let environment = caller.environment(asked.environment)?;
    let verdict = verdict(&app.state, &model, &version, environment.as_deref()).await;
    Ok(axum::Json(Verdict::from(verdict.map_err(problem)?)))
}
