//! Rollbacks and retrainings: asked for, approved, dismissed, listed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use driftlead_alerting::commands::{ActionView, CommandError, RetrainRequest, RollbackRequest};
use driftlead_store::state::actions::{Action, ActionFilter};
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Body, Path, Query};
use crate::state::WebState;
use crate::view::action;

const DEFAULT_LIMIT: u32 = 100;
/// Most actions of one answer.
const MAX_LIMIT: u32 = 1_000;
/// Seconds after which a command that needs telemetry may be tried again.
const RETRY_SECONDS: u32 = 5;

const PARAMETERS: &[(&str, &str)] = &[
    ("model", "only actions of this model"),
    ("environment", "only actions of this environment"),
    ("from", "only actions not finished before this instant, RFC 3339"),
    ("to", "only actions requested before this instant, RFC 3339"),
    ("limit", "most actions, at most 1,000, 100 by default"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/actions", "Rollbacks and retrainings, newest first.", list).query(PARAMETERS),
        Endpoint::get("/api/v1/actions/{id}", "One action.", show),
        Endpoint::post("/api/v1/actions/{id}/approve", "Approve an action that is asked: {}.", approve),
        Endpoint::post(
            "/api/v1/actions/{id}/dismiss",
            "Dismiss an action that is asked: {reason?}.",
            dismiss,
        ),
        Endpoint::post(
            "/api/v1/models/{model}/rollback",
            "Roll back: {to?, reason, environment?}. Without `to`, to the baseline of the version that serves.",
            roll_back,
        )
        .status(202),
        Endpoint::post(
            "/api/v1/models/{model}/retrain",
            "Start a retraining: {reason, environment?}.",
            retrain,
        )
        .status(202),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    model: Option<String>,
    environment: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Actions {
    actions: Vec<action::Action>,
}

#[derive(Debug, Serialize)]
struct Answer {
    action: action::Action,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Actions>, Problem> {
    let filter = ActionFilter {
        model: asked.model,
        environment: caller.environment(asked.environment)?,
        from: parameters::instant("from", asked.from.as_deref())?,
        to: parameters::instant("to", asked.to.as_deref())?,
        open_only: false,
        limit: parameters::limit(asked.limit, DEFAULT_LIMIT, MAX_LIMIT)?,
    };
    let actions = app.commands.actions(&filter).await?;
    Ok(axum::Json(Actions {
        actions: actions.into_iter().map(action::Action::from).collect(),
    }))
}

async fn show(State(app): State<Arc<WebState>>, Asked(caller): Asked, Path(id): Path<String>) -> Result<axum::Json<Answer>, Problem> {
    let view = seen(&app, &caller, &id).await?;
    Ok(axum::Json(Answer {
        action: action::Action::from(view),
    }))
}

/// The action, if the caller may see it.
async fn seen(app: &WebState, caller: &Caller, id: &str) -> Result<ActionView, Problem> {
    let found = app.commands.action(id).await?;
    found
        .filter(|view| caller.sees(&view.action.environment))
        .ok_or_else(|| Problem::not_found(format!("There is no action {id}.")))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reason {
    reason: String,
}

async fn approve(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(id): Path<String>,
    Body(_): Body<Reason>,
) -> Result<axum::Json<Answer>, Problem> {
    seen(&app, &caller, &id).await?;
    let action = app.commands.approve(&id, caller.name()).await.map_err(problem)?;
    answer(&app, action).await.map(axum::Json)
}

async fn dismiss(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(id): Path<String>,
    Body(why): Body<Reason>,
) -> Result<axum::Json<Answer>, Problem> {
    seen(&app, &caller, &id).await?;
    let action = app.commands.dismiss(&id, caller.name(), &why.reason).await.map_err(problem)?;
    answer(&app, action).await.map(axum::Json)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    to: Option<String>,
    reason: String,
    environment: Option<String>,
}

async fn roll_back(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Body(asked): Body<RollBack>,
) -> Result<(StatusCode, axum::Json<Answer>), Problem> {
    let request = RollbackRequest {
        environment: environment_of(&app, &caller, &model, asked.environment).await?,
        model,
        to: asked.to,
        reason: asked.reason,
        requested_by: caller.name().to_owned(),
    };
    let action = app.commands.request_rollback(request).await.map_err(problem)?;
    Ok((StatusCode::ACCEPTED, axum::Json(answer(&app, action).await?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retrain {
    reason: String,
    environment: Option<String>,
}

async fn retrain(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Body(asked): Body<Retrain>,
) -> Result<(StatusCode, axum::Json<Answer>), Problem> {
    let request = RetrainRequest {
        environment: environment_of(&app, &caller, &model, asked.environment).await?,
        model,
        reason: asked.reason,
        requested_by: caller.name().to_owned(),
    };
    let action = app.commands.request_retrain(request).await.map_err(problem)?;
    Ok((StatusCode::ACCEPTED, axum::Json(answer(&app, action).await?)))
}

/// The environment that is meant: the one that is named, or the only one that the model has.
async fn environment_of(app: &WebState, caller: &Caller, model: &str, asked: Option<String>) -> Result<String, Problem> {
    if let Some(environment) = caller.environment(asked)? {
        return Ok(environment);
    }
    let mut environments: Vec<String> = app
        .state
        .seen_versions(Some(model))
        .await?
        .into_iter()
        .map(|seen| seen.environment)
        .collect();
    environments.sort();
    environments.dedup();
    match environments.as_slice() {
        [] => Ok(String::new()),
        [only] => Ok(only.clone()),
        several => Err(Problem::bad_request(format!(
            "{model} runs in several environments: name one of {}.",
            several.join(", ")
        ))),
    }
}

async fn answer(app: &WebState, action: Action) -> Result<Answer, Problem> {
    let view = app.commands.action(&action.id).await?;
    let view = view.unwrap_or(ActionView {
        action,
        events: Vec::new(),
        deliveries: Vec::new(),
    });
    Ok(Answer {
        action: action::Action::from(view),
    })
}

fn problem(error: CommandError) -> Problem {
    match error {
        CommandError::Refused(_) | CommandError::NotAsked { .. } => Problem::conflict(error.to_string()),
        CommandError::NotFound(_) => Problem::not_found(error.to_string()),
        CommandError::State(error) => Problem::from(error),
        CommandError::Telemetry(error) => {
            tracing::warn!(%error, "an action cannot be decided");
            Problem::unavailable("It cannot be seen what serves at the moment.", RETRY_SECONDS)
        }
    }
}
