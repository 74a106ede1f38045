//! Rollbacks and retrainings: asked for by rules or people, requested from the systems that carry them out,
//! and followed until it is known what became of them.
//!
//! [`request`] decides whether one may begin and writes it; [`rollback`] and [`retrain`] are the pure steps
//! from there to the end; [`worker`] polls those that are under way. A decision is one transaction with
//! the message that it causes. Deliberately absent: anything that replaces a version by itself.

pub mod refusal;
pub mod request;
pub mod retrain;
pub mod rollback;
pub(crate) mod worker;

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{self, Action, ActionState};
use driftlead_store::state::alerts::Series;
use driftlead_store::state::{StateError, actions::ActionKind};

use crate::notify::{email, notice};
use crate::shared::{Said, Shared, StateTransaction};

/// How long after its request a rollback has to be accepted, and after its acceptance confirmed.
pub const ROLLBACK_DEADLINE_SECONDS: i64 = 15 * 60;

/// How long after its request a retraining has to be deployed: training takes hours, not days.
pub const RETRAIN_DEADLINE_SECONDS: i64 = 24 * 3_600;

/// How long an action waits for a person's approval.
pub const APPROVAL_DEADLINE_SECONDS: i64 = 24 * 3_600;

/// Seconds until the deadline of an action that is requested now.
pub fn deadline_seconds(kind: ActionKind) -> i64 {
    match kind {
        ActionKind::Rollback => ROLLBACK_DEADLINE_SECONDS,
        ActionKind::Retrain => RETRAIN_DEADLINE_SECONDS,
    }
}

/// Moves an action to a state and tells its receivers, in the transaction that decided so.
pub(crate) async fn advance(
    shared: &Shared,
    transaction: &mut StateTransaction,
    action: &mut Action,
    state: ActionState,
    note: &str,
    now: UnixNanos,
) -> Result<(), StateError> {
    action.state = state;
    action.updated_at = now;
    if !state.is_open() {
        action.finished_at = Some(now);
    }
    actions::save(transaction, action, note).await?;
    tracing::info!(action = %action.id, kind = action.kind.as_str(), model = %action.model, state = state.as_str(), note, "action");
    if is_news(state) {
        let said = said(shared, action, note);
        // A rule that tells nobody still acts, and somebody has to hear how that went.
        let receivers = match action.details.receivers.as_slice() {
            [] => shared.all_receivers(),
            named => named.to_vec(),
        };
        shared.tell(transaction, &receivers, &said, now).await?;
    }
    Ok(())
}

/// People are told of what needs them and of how it ended; that it was requested they read in the alert.
fn is_news(state: ActionState) -> bool {
    !matches!(state, ActionState::Requested | ActionState::Accepted)
}

fn said(shared: &Shared, action: &Action, note: &str) -> Said {
    let url = &shared.config.public_url;
    let series = Series {
        environment: action.environment.clone(),
        model: action.model.clone(),
        version: action.from_version.clone().unwrap_or_default(),
        ..Series::default()
    };
    Said::new(
        notice::about_action(action, note, url).to_json(),
        &email::about_action(action, note, url),
        Some(action.id.clone()),
        series.group_key(),
    )
}
