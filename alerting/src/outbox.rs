//! Delivers what the outbox holds: at least once, in the order of each group, bounded in every way.
//!
//! A message is claimed (an attempt counted, a lease taken), sent, and marked, each in a transaction of its
//! own. A process that dies in between leaves a claim that runs out, and the message goes out again under
//! the same id. What cannot be delivered is `dead` and stays visible; a dead request fails its action.

pub mod backoff;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::StateError;
use driftlead_store::state::actions::{self, Action, ActionKind, ActionState};
use driftlead_store::state::outbox::{Channel, Message, mark_dead, mark_delivered, mark_failed};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::action::{ROLLBACK_DEADLINE_SECONDS, advance};
use crate::notify::{ATTEMPT_TIMEOUT, Delivery, email, webhook};
use crate::shared::{Shared, StateTransaction};
use backoff::{NOTIFICATIONS, REQUESTS};

/// How often the outbox is looked at: a message is on its way a fraction of a second after its decision.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Messages on their way at once: bounds sockets and memory.
const MAX_IN_FLIGHT: usize = 32;

/// Messages on their way to one destination at once: a burst must not overrun a small receiver, and one
/// that hangs leaves room for the others.
const MAX_IN_FLIGHT_PER_DESTINATION: usize = 4;

/// How long a claim holds: an attempt, and the time to write down how it ended.
const LEASE_SECONDS: i64 = ATTEMPT_TIMEOUT.as_secs() as i64 + 10;

/// Delivers until it is cancelled, then waits for what is on its way.
pub(crate) async fn run(shared: Arc<Shared>, client: reqwest::Client, token: &CancellationToken) {
    let mut on_the_way = OnTheWay::default();
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = token.cancelled() => break,
            Some(()) = on_the_way.landed() => {}
            _ = ticks.tick() => {
                if let Err(error) = claim(&shared, &client, &mut on_the_way).await {
                    tracing::warn!(%error, "the outbox cannot be read; trying again");
                }
            }
        }
    }
    while on_the_way.landed().await.is_some() {}
}

/// Messages that are being sent, by destination.
#[derive(Default)]
struct OnTheWay {
    tasks: JoinSet<()>,
    destinations: HashMap<tokio::task::Id, String>,
    by_destination: HashMap<String, usize>,
}

impl OnTheWay {
    /// Waits until one has landed; `None` when none is on its way. A task that panicked has landed too: its
    /// claim runs out.
    async fn landed(&mut self) -> Option<()> {
        let id = match self.tasks.join_next_with_id().await? {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        let destination = self.destinations.remove(&id)?;
        if let Some(count) = self.by_destination.get_mut(&destination) {
            *count -= 1;
            if *count == 0 {
                self.by_destination.remove(&destination);
            }
        }
        Some(())
    }

    fn start(&mut self, shared: Arc<Shared>, client: reqwest::Client, message: Message) {
        let destination = message.destination.clone();
        *self.by_destination.entry(destination.clone()).or_default() += 1;
        let task = self.tasks.spawn(async move { deliver(&shared, &client, &message).await });
        self.destinations.insert(task.id(), destination);
    }
}

async fn claim(shared: &Arc<Shared>, client: &reqwest::Client, on_the_way: &mut OnTheWay) -> Result<(), StateError> {
    let now = shared.clock.now();
    let free = MAX_IN_FLIGHT.saturating_sub(on_the_way.tasks.len());
    if free == 0 || !shared.state.has_due_message(now).await? {
        return Ok(());
    }
    let lease_until = now.plus_seconds(LEASE_SECONDS);
    let claimed = shared
        .state
        .claim_messages(now, lease_until, free, MAX_IN_FLIGHT_PER_DESTINATION, &on_the_way.by_destination)
        .await?;
    for message in claimed {
        on_the_way.start(shared.clone(), client.clone(), message);
    }
    Ok(())
}

/// Sends a claimed message and writes down how it ended.
#[tracing::instrument(name = "alerting.deliver", level = "debug", skip_all)]
pub(crate) async fn deliver(shared: &Shared, client: &reqwest::Client, message: &Message) {
    let delivery = match attempt(shared, client, message).await {
        Ok(delivery) => delivery,
        Err(error) => {
            tracing::warn!(%error, message = %message.id, "a message could not be sent; its claim runs out");
            return;
        }
    };
    if let Err(error) = settle(shared, message, &delivery, shared.clock.now()).await {
        tracing::warn!(%error, message = %message.id, "how a delivery ended could not be written; it goes out again");
    }
}

async fn attempt(shared: &Shared, client: &reqwest::Client, message: &Message) -> Result<Delivery, StateError> {
    let now = shared.clock.now();
    if let Some(kind) = requested_kind(message) {
        let action = match &message.action_id {
            Some(id) => shared.state.action(id).await?,
            None => None,
        };
        return Ok(match action {
            Some(action) => attempt_request(shared, client, message, kind, &action, now).await,
            None => impossible("the action that it requests does not exist"),
        });
    }
    let Some(receiver) = shared.config.receivers.get(&message.route) else {
        return Ok(impossible("the receiver is no longer configured"));
    };
    Ok(match message.channel {
        Channel::Webhook => match &receiver.webhook {
            Some(endpoint) => webhook::post(client, endpoint, message, now).await,
            None => impossible("the receiver no longer has a webhook"),
        },
        Channel::Email => {
            let to = receiver.email.iter().find(|to| to.email.to_string() == message.destination);
            match (to, &shared.config.smtp) {
                (Some(to), Some(smtp)) => email::send(smtp, to, message).await,
                (None, _) => impossible("the receiver no longer has this address"),
                (_, None) => impossible("there is no mail server any more"),
            }
        }
    })
}

/// A request is not sent late: after its deadline the world may be another.
async fn attempt_request(
    shared: &Shared,
    client: &reqwest::Client,
    message: &Message,
    kind: ActionKind,
    action: &Action,
    now: UnixNanos,
) -> Delivery {
    if action.state != ActionState::Requested {
        return impossible("the action is no longer requested");
    }
    if now > action.deadline {
        return impossible("its deadline has passed");
    }
    match shared.endpoint(kind, &action.model) {
        Some(endpoint) => webhook::post(client, &endpoint.endpoint, message, now).await,
        None => impossible("the webhook is no longer configured"),
    }
}

fn impossible(error: &str) -> Delivery {
    Delivery::Impossible {
        status: None,
        error: error.into(),
    }
}

/// What kind of action a message requests; `None` for what goes to receivers.
fn requested_kind(message: &Message) -> Option<ActionKind> {
    [ActionKind::Rollback, ActionKind::Retrain]
        .into_iter()
        .find(|kind| kind.as_str() == message.route)
}

/// Writes down how an attempt ended, with what follows from it for the action that it requests.
pub(crate) async fn settle(shared: &Shared, message: &Message, delivery: &Delivery, now: UnixNanos) -> Result<(), StateError> {
    let requests = requested_kind(message).is_some();
    let policy = if requests { REQUESTS } else { NOTIFICATIONS };
    let mut transaction = shared.state.begin().await?;
    match delivery {
        Delivery::Delivered { status } => {
            let first = mark_delivered(&mut transaction, &message.id, *status, now).await?;
            if requests && first {
                accepted(shared, &mut transaction, message, *status, now).await?;
            }
            tracing::debug!(message = %message.id, route = %message.route, attempts = message.attempts, "delivered");
        }
        Delivery::Failed {
            status,
            error,
            retry_after,
        } if message.attempts < policy.max_attempts => {
            let wait = policy.wait(message.attempts, *retry_after, rand::random());
            let mut due = UnixNanos(now.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)));
            if requests && let Some(action) = requested_action(&mut transaction, message).await? {
                // A deployer that asks for an hour's rest must not make the request outlive its deadline.
                due = due.min(action.deadline);
            }
            mark_failed(&mut transaction, &message.id, *status, error, due).await?;
            tracing::debug!(message = %message.id, route = %message.route, attempts = message.attempts, %error, "not delivered; trying again");
        }
        Delivery::Failed { status, error, .. } | Delivery::Impossible { status, error } => {
            let first = mark_dead(&mut transaction, &message.id, *status, error).await?;
            tracing::warn!(message = %message.id, route = %message.route, attempts = message.attempts, %error, "a message was given up");
            if requests && first {
                failed(shared, &mut transaction, message, error, now).await?;
            }
        }
    }
    transaction.commit().await?;
    Ok(())
}

async fn requested_action(transaction: &mut StateTransaction, message: &Message) -> Result<Option<Action>, StateError> {
    let Some(id) = &message.action_id else { return Ok(None) };
    let action = actions::get(transaction, id).await?;
    Ok(action.filter(|action| action.state == ActionState::Requested))
}

async fn accepted(
    shared: &Shared,
    transaction: &mut StateTransaction,
    message: &Message,
    status: Option<u16>,
    now: UnixNanos,
) -> Result<(), StateError> {
    let Some(mut action) = requested_action(transaction, message).await? else {
        return Ok(());
    };
    action.accepted_at = Some(now);
    if action.kind == ActionKind::Rollback {
        action.deadline = now.plus_seconds(ROLLBACK_DEADLINE_SECONDS);
    }
    let note = format!("{} answered {}", message.destination, status.unwrap_or_default());
    advance(shared, transaction, &mut action, ActionState::Accepted, &note, now).await
}

async fn failed(
    shared: &Shared,
    transaction: &mut StateTransaction,
    message: &Message,
    error: &str,
    now: UnixNanos,
) -> Result<(), StateError> {
    let Some(mut action) = requested_action(transaction, message).await? else {
        return Ok(());
    };
    let note = format!("the request could not be delivered in {} attempts: {error}", message.attempts);
    advance(shared, transaction, &mut action, ActionState::Failed, &note, now).await
}

#[cfg(test)]
mod tests;
