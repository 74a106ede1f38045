//! `GET /api/v1/models/{model}/timeline`: releases, alerts, actions and verdicts in the order in which they happened.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{ActionFilter, ActionKind, ActionState};
use driftlead_store::state::alerts::{Severity, Side};
use driftlead_store::state::deployments::DeploymentEvent;
use driftlead_store::state::verdicts::VerdictKind;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

const DEFAULT_RANGE_SECONDS: i64 = 86_400;
/// Firings of alerts and actions of one answer: more cannot be drawn.
const MAX_ITEMS: u32 = 500;

const PARAMETERS: &[(&str, &str)] = &[
    ("environment", "only this environment"),
    ("from", "start of the range, RFC 3339"),
    ("to", "end of the range, exclusive, RFC 3339; now by default"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/timeline",
            "Releases, alerts, actions and verdicts of a model, oldest first.",
            show,
        )
        .query(PARAMETERS),
    ]
}

/// Which part of a model's life.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimelineQuery {
    environment: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct TimelineResponse {
    from: UnixNanos,
    to: UnixNanos,
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Item {
    Release {
        id: String,
        at: UnixNanos,
        version: String,
        event: DeploymentEvent,
        source: String,
        baseline_version: Option<String>,
        retrain_id: Option<String>,
        watch_until: UnixNanos,
    },
    Alert {
        id: String,
        from: UnixNanos,
        to: Option<UnixNanos>,
        rule: String,
        signal: String,
        subject: String,
        version: String,
        severity: Severity,
        value: Option<f64>,
        threshold: Option<f64>,
        side: Option<Side>,
    },
    Action {
        id: String,
        from: UnixNanos,
        to: Option<UnixNanos>,
        action: ActionKind,
        state: ActionState,
        from_version: Option<String>,
        to_version: Option<String>,
    },
    Verdict {
        id: String,
        at: UnixNanos,
        version: String,
        verdict: VerdictKind,
    },
}

impl Item {
    fn at(&self) -> UnixNanos {
        match self {
            Self::Release { at, .. } | Self::Verdict { at, .. } => *at,
            Self::Alert { from, .. } | Self::Action { from, .. } => *from,
        }
    }
}

/// The handler.
///
/// # Errors
/// 400 when a parameter is wrong.
pub async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(mut query): Query<TimelineQuery>,
) -> Result<Json<TimelineResponse>, Problem> {
    query.environment = caller.environment(query.environment)?;
    let (from, to) = parameters::range(query.from.as_deref(), query.to.as_deref(), DEFAULT_RANGE_SECONDS, app.clock.now())?;
    let is_here = |environment: &str| query.environment.as_deref().is_none_or(|wanted| wanted == environment);
    let mut items = Vec::new();

    for release in app.state.deployments(Some(&model)).await? {
        if is_here(&release.environment) && from <= release.at && release.at < to {
            items.push(Item::Release {
                id: release.id,
                at: release.at,
                version: release.version,
                event: release.event,
                source: release.source,
                baseline_version: release.baseline_version,
                retrain_id: release.retrain_id,
                watch_until: release.watch_until,
            });
        }
    }
    for firing in app.state.firings(&model, query.environment.as_deref(), from, to, MAX_ITEMS).await? {
        let alert = firing.alert;
        items.push(Item::Alert {
            id: alert.id,
            from: firing.from,
            to: firing.to,
            rule: alert.rule,
            signal: alert.signal,
            subject: alert.series.subject,
            version: alert.series.version,
            severity: alert.severity,
            value: firing.value,
            threshold: alert.threshold,
            side: alert.memory.side,
        });
    }
    let actions = ActionFilter {
        model: Some(model.clone()),
        environment: query.environment.clone(),
        from: Some(from),
        to: Some(to),
        open_only: false,
        limit: MAX_ITEMS,
    };
    for action in app.state.actions(&actions).await? {
        items.push(Item::Action {
            id: action.id,
            from: action.requested_at,
            to: action.finished_at,
            action: action.kind,
            state: action.state,
            from_version: action.from_version,
            to_version: action.to_version,
        });
    }
    for verdict in app.state.verdicts(&model).await? {
        if is_here(&verdict.environment) && from <= verdict.created_at && verdict.created_at < to {
            items.push(Item::Verdict {
                id: verdict.id,
                at: verdict.created_at,
                version: verdict.version,
                verdict: verdict.verdict,
            });
        }
    }
    items.sort_by_key(Item::at);
    Ok(Json(TimelineResponse { from, to, items }))
}
