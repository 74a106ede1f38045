//! Alert rules that people make from a search.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use driftlead_alerting::search_rules::{MadeRule, SearchRuleError};
use driftlead_store::clock::UnixNanos;
use driftlead_store::index::query::parse;
use driftlead_store::state::alerts::{AlertState, Severity};
use driftlead_store::state::search_rules::SearchRule;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Body, Path};
use crate::state::WebState;

/// How long the errors that match are counted for one answer.
const COUNTING_PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/search/rules",
            "Alert rules that people made from searches, how they stand, and the receivers that there are.",
            list,
        ),
        Endpoint::post(
            "/api/v1/search/rules",
            "Alert when more than `above` errors match within `window_s`: {name, query, environment?, above, window_s, severity, notify?}.",
            make,
        )
        .status(201),
        Endpoint::delete(
            "/api/v1/search/rules/{name}",
            "Take a rule that was made from a search away.",
            forget,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Rules {
    rules: Vec<Rule>,
    receivers: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Rule {
    name: String,
    query: String,
    environment: Option<String>,
    above: u64,
    window_s: u32,
    severity: Severity,
    /// `null`: everybody.
    notify: Option<Vec<String>>,
    created_by: String,
    created_time: UnixNanos,
    /// How its alert stands; `null`: it is not in use, because a rule of the files has its name or it cannot be read any more.
    state: Option<AlertState>,
    /// Errors that match now; `null`: not counted, or not in time.
    matching: Option<u64>,
}

impl From<MadeRule> for Rule {
    fn from(made: MadeRule) -> Self {
        let MadeRule { rule, state } = made;
        Self {
            name: rule.name,
            query: rule.query,
            environment: rule.environment,
            above: rule.above,
            window_s: rule.window_seconds,
            severity: rule.severity,
            notify: rule.notify,
            created_by: rule.created_by,
            created_time: rule.created_time,
            state,
            matching: None,
        }
    }
}

async fn list(State(app): State<Arc<WebState>>, Asked(caller): Asked) -> Result<axum::Json<Rules>, Problem> {
    let made = app.commands.search_rules().await?;
    let seen = made.into_iter().filter(|made| sees(&caller, &made.rule));
    let mut rules: Vec<Rule> = seen.map(Rule::from).collect();
    // Whoever opens the list does not wait for all of them.
    let counting = async {
        for rule in &mut rules {
            rule.matching = matching(&app, rule).await;
        }
    };
    let _late = tokio::time::timeout(COUNTING_PATIENCE, counting).await;
    Ok(axum::Json(Rules {
        rules,
        receivers: app.commands.receivers(),
    }))
}

async fn matching(app: &WebState, rule: &Rule) -> Option<u64> {
    let now = app.clock.now();
    let expression = parse(&rule.query, now).ok()?;
    let environments: Vec<String> = rule.environment.iter().cloned().collect();
    let range = (now.plus_seconds(-i64::from(rule.window_s)), now);
    app.index.count(expression, range, &environments).await.ok()
}

fn sees(caller: &Caller, rule: &SearchRule) -> bool {
    match rule.environment.as_deref() {
        Some(environment) => caller.sees(environment),
        None => caller.environments().is_empty(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Make {
    name: String,
    query: String,
    environment: Option<String>,
    above: u64,
    window_s: u32,
    severity: Severity,
    notify: Option<Vec<String>>,
}

async fn make(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Body(asked): Body<Make>,
) -> Result<(StatusCode, axum::Json<Rule>), Problem> {
    let rule = SearchRule {
        name: asked.name.trim().to_owned(),
        query: asked.query,
        // A key that is limited to an environment counts errors of that one.
        environment: caller.environment(asked.environment)?,
        above: asked.above,
        window_seconds: asked.window_s,
        severity: asked.severity,
        notify: asked.notify,
        created_by: caller.name().to_owned(),
        created_time: app.clock.now(),
    };
    match app.commands.make_search_rule(rule).await {
        Ok(made) => Ok((StatusCode::CREATED, axum::Json(made.into()))),
        Err(SearchRuleError::NameTaken(error)) => Err(Problem::conflict(error)),
        Err(SearchRuleError::Wrong(error)) => Err(Problem::unprocessable(error)),
        Err(SearchRuleError::State(error)) => Err(error.into()),
    }
}

async fn forget(State(app): State<Arc<WebState>>, Asked(caller): Asked, Path(name): Path<String>) -> Result<axum::Json<Value>, Problem> {
    let made = app.commands.search_rules().await?;
    let may = made.iter().any(|made| made.rule.name == name && sees(&caller, &made.rule));
    if !may || !app.commands.forget_search_rule(&name, caller.name()).await? {
        return Err(Problem::not_found(format!("There is no rule {name} that was made from a search.")));
    }
    Ok(axum::Json(json!({ "forgotten": name })))
}
