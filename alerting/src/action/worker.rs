//! Polls the actions that are under way and takes the step that is due for each.

use std::collections::HashMap;
use std::time::Duration;

use driftlead_store::clickhouse::query::serving::{ServingQuestion, serving};
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::StateError;
use driftlead_store::state::actions::{self, Action, ActionKind, ActionState};
use driftlead_store::state::outbox::mark_request_dead;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{RETRAIN_DEADLINE_SECONDS, advance, retrain, rollback};
use crate::shared::Shared;

/// How often actions are looked at. A rollback is confirmed at most this long after telemetry shows it.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A retraining whose version is rolled back later than this is history.
const RETRAIN_MEMORY_SECONDS: i64 = 30 * RETRAIN_DEADLINE_SECONDS;

/// Runs until it is cancelled.
pub(crate) async fn run(shared: &Shared, token: &CancellationToken) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = Looks::default();
    while token.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = poll(shared, &mut looks, shared.clock.now()).await {
            tracing::warn!(%error, "actions could not be looked at; trying again");
        }
    }
}

/// When telemetry is asked next about each rollback that is under way.
#[derive(Debug, Default)]
pub(crate) struct Looks(HashMap<String, UnixNanos>);

/// Looks at every action once.
pub(crate) async fn poll(shared: &Shared, looks: &mut Looks, now: UnixNanos) -> Result<(), StateError> {
    let since = now.plus_seconds(-RETRAIN_MEMORY_SECONDS);
    let unsettled = shared.state.unsettled_actions(since).await?;
    looks.0.retain(|id, _| unsettled.iter().any(|action| action.id == *id));
    if unsettled.is_empty() {
        return Ok(());
    }
    let rollbacks = shared.state.rollbacks_finished_since(since).await?;
    for action in unsettled {
        if let Some((state, note)) = step(shared, looks, &action, &rollbacks, now).await? {
            take(shared, &action, state, note, now).await?;
        }
    }
    Ok(())
}

/// What an action comes to, and why, with the version that a retraining made.
struct Note {
    words: String,
    made_version: Option<String>,
}

impl From<String> for Note {
    fn from(words: String) -> Self {
        Self { words, made_version: None }
    }
}

async fn step(
    shared: &Shared,
    looks: &mut Looks,
    action: &Action,
    rollbacks: &[Action],
    now: UnixNanos,
) -> Result<Option<(ActionState, Note)>, StateError> {
    if action.state == ActionState::Asked {
        let expired = now >= action.deadline;
        return Ok(expired.then(|| (ActionState::Failed, "nobody approved it in time".to_owned().into())));
    }
    if action.state == ActionState::Requested && now >= action.deadline {
        let words = format!("the {} request was not taken in time", action.kind.as_str());
        return Ok(Some((ActionState::Failed, words.into())));
    }
    Ok(match action.kind {
        ActionKind::Rollback => rollback_step(shared, looks, action, now).await,
        ActionKind::Retrain => retrain_step(shared, action, rollbacks, now).await?,
    })
}

async fn rollback_step(shared: &Shared, looks: &mut Looks, action: &Action, now: UnixNanos) -> Option<(ActionState, Note)> {
    let (Some(accepted_at), Some(target)) = (action.accepted_at, action.to_version.as_deref()) else {
        return None;
    };
    let since = rollback::counts_from(accepted_at);
    if now <= since || looks.0.get(&action.id).is_some_and(|next| now < *next) {
        return None;
    }
    looks.0.insert(action.id.clone(), rollback::look_again_at(accepted_at, now));
    let question = ServingQuestion {
        model: &action.model,
        environment: &action.environment,
        target,
        since,
        now,
        latest: rollback::LATEST_INFERENCES,
    };
    let serving = match serving(&shared.clickhouse, &question).await {
        Ok(serving) => Some(serving),
        Err(error) => {
            tracing::debug!(%error, action = %action.id, "what serves cannot be read; trying again");
            None
        }
    };
    match rollback::decide(accepted_at, target, serving.as_ref(), now) {
        rollback::Step::Wait(_) => None,
        rollback::Step::Confirm(evidence) => Some((ActionState::Confirmed, evidence.into())),
        rollback::Step::Unobserved(evidence) => Some((ActionState::Unobserved, evidence.into())),
        rollback::Step::Overdue(evidence) => Some((ActionState::Overdue, evidence.into())),
    }
}

async fn retrain_step(
    shared: &Shared,
    action: &Action,
    rollbacks: &[Action],
    now: UnixNanos,
) -> Result<Option<(ActionState, Note)>, StateError> {
    let deployment = match &action.retrain_id {
        Some(retrain_id) if action.state != ActionState::Done => {
            let (model, environment) = (&action.model, &action.environment);
            shared.state.deployment_of_retraining(retrain_id, model, environment).await?
        }
        _ => None,
    };
    Ok(match retrain::decide(action, deployment.as_ref(), rollbacks, now) {
        retrain::Step::Wait => None,
        retrain::Step::Done { version } => {
            let note = Note {
                words: format!("it made version {version}"),
                made_version: Some(version),
            };
            Some((ActionState::Done, note))
        }
        retrain::Step::Overdue(reason) => Some((ActionState::Overdue, reason.into())),
        retrain::Step::Undone(reason) => Some((ActionState::Undone, reason.into())),
    })
}

/// Takes the step, unless something else has moved the action meanwhile.
async fn take(shared: &Shared, action: &Action, state: ActionState, note: Note, now: UnixNanos) -> Result<(), StateError> {
    let mut transaction = shared.state.begin().await?;
    let Some(mut action) = actions::get(&mut transaction, &action.id)
        .await?
        .filter(|present| present.state == action.state)
    else {
        return Ok(());
    };
    if note.made_version.is_some() {
        action.details.made_version = note.made_version;
    }
    if action.state == ActionState::Requested && state == ActionState::Failed {
        // What waits for its next attempt must not be sent after people were told that it failed.
        mark_request_dead(&mut transaction, &action.id, action.kind.as_str(), &note.words).await?;
    }
    action.details.evidence = Some(note.words.clone());
    advance(shared, &mut transaction, &mut action, state, &note.words, now).await?;
    transaction.commit().await?;
    Ok(())
}
