//! Silences: which alerts nobody wants to hear of until when.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::silences::{Matchers, NewSilence, Silence};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::endpoint::Endpoint;
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Body, Path, Query};
use crate::state::WebState;

/// Most silences of one answer.
const MAX_LIMIT: u32 = 500;
/// Longest silence: what should be quiet for longer is a rule to be changed.
const MAX_SECONDS: i64 = 90 * 86_400;
const MAX_REASON_CHARACTERS: usize = 1_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/silences", "Silences, those that end last first; ended ones too unless `active` is true.", list)
            .query(&[("active", "true: only those that cover now")]),
        Endpoint::post(
            "/api/v1/silences",
            "Silence alerts: {matchers: {rule?, model?, version?, environment?, segment?, signal?, subject?}, ends_at, starts_at?, reason}.",
            create,
        )
        .status(201),
        Endpoint::delete("/api/v1/silences/{id}", "End a silence now.", end),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    active: bool,
}

#[derive(Debug, Serialize)]
struct Silences {
    silences: Vec<Silence>,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Silences>, Problem> {
    let mut silences = match asked.active {
        true => app.state.active_silences(app.clock.now()).await?,
        false => app.state.silences(MAX_LIMIT).await?,
    };
    silences.retain(|silence| silence.matchers.environment.as_deref().is_none_or(|name| caller.sees(name)));
    Ok(axum::Json(Silences { silences }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    matchers: Matchers,
    starts_at: Option<UnixNanos>,
    ends_at: UnixNanos,
    #[serde(default)]
    reason: String,
}

async fn create(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Body(asked): Body<Create>,
) -> Result<(StatusCode, axum::Json<Silence>), Problem> {
    let now = app.clock.now();
    let new = checked(asked, &caller, now)?;
    let silence = app.state.create_silence(new, now).await?;
    Ok((StatusCode::CREATED, axum::Json(silence)))
}

fn checked(asked: Create, caller: &Caller, now: UnixNanos) -> Result<NewSilence, Problem> {
    if asked.matchers.is_empty() {
        return Err(Problem::unprocessable(
            "Say which alerts: matchers needs at least one of rule, model, version, environment, segment, signal, subject.",
        ));
    }
    let starts_at = asked.starts_at.unwrap_or(now);
    if asked.ends_at <= starts_at || asked.ends_at <= now {
        return Err(Problem::unprocessable("ends_at must lie after starts_at and in the future."));
    }
    if asked.ends_at > starts_at.plus_seconds(MAX_SECONDS) {
        return Err(Problem::unprocessable("A silence lasts 90 days at most: change the rule instead."));
    }
    if asked.reason.chars().count() > MAX_REASON_CHARACTERS {
        return Err(Problem::unprocessable(format!(
            "reason has at most {MAX_REASON_CHARACTERS} characters."
        )));
    }
    let mut matchers = asked.matchers;
    // A key that is limited to environments must not silence others.
    matchers.environment = caller.environment(matchers.environment)?;
    Ok(NewSilence {
        matchers,
        reason: asked.reason,
        author: caller.name().to_owned(),
        starts_at,
        ends_at: asked.ends_at,
    })
}

async fn end(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(id): Path<String>,
) -> Result<axum::Json<serde_json::Value>, Problem> {
    let now = app.clock.now();
    let known = app.state.silence(&id).await?;
    let may_end = known.is_some_and(|silence| match silence.matchers.environment.as_deref() {
        Some(environment) => caller.sees(environment),
        None => caller.environments().is_empty(),
    });
    if !may_end || !app.state.end_silence(&id, caller.name(), now).await? {
        return Err(Problem::not_found(format!("There is no silence {id} that still covers anything.")));
    }
    Ok(axum::Json(json!({ "ended": id })))
}
