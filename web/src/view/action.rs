//! Actions with their steps and what was sent about them.

use driftlead_alerting::commands::ActionView;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{ActionEvent, ActionKind, ActionState};
use driftlead_store::state::outbox::{Channel, Message, MessageState};
use serde::Serialize;

/// An action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// `act_…`.
    pub id: String,
    /// What is done.
    pub kind: ActionKind,
    /// To which model.
    pub model: String,
    /// Where.
    pub environment: String,
    /// The version that is taken out of service.
    pub from_version: Option<String>,
    /// The version that is to serve again.
    pub to_version: Option<String>,
    /// What the deployment that comes of a retraining names.
    pub retrain_id: Option<String>,
    /// Where it stands.
    pub state: ActionState,
    /// What led to it, in words.
    pub because: Vec<String>,
    /// The rule that asked for it.
    pub rule: Option<String>,
    /// The alert that asked for it.
    pub alert_id: Option<String>,
    /// `rule`, or the label of the key that asked.
    pub requested_by: String,
    /// When it was asked for.
    pub requested_at: UnixNanos,
    /// When the deployer or trainer answered 2xx.
    pub accepted_at: Option<UnixNanos>,
    /// When it came to its end.
    pub finished_at: Option<UnixNanos>,
    /// Until when it has to have happened.
    pub deadline: UnixNanos,
    /// Its steps, the oldest first.
    pub events: Vec<ActionEvent>,
    /// What was sent about it, the oldest first.
    pub deliveries: Vec<Delivery>,
}

impl From<ActionView> for Action {
    fn from(view: ActionView) -> Self {
        let ActionView {
            action,
            events,
            deliveries,
        } = view;
        Self {
            id: action.id,
            kind: action.kind,
            model: action.model,
            environment: action.environment,
            from_version: action.from_version,
            to_version: action.to_version,
            retrain_id: action.retrain_id,
            state: action.state,
            because: action.because,
            rule: action.rule,
            alert_id: action.alert_id,
            requested_by: action.requested_by,
            requested_at: action.requested_at,
            accepted_at: action.accepted_at,
            finished_at: action.finished_at,
            deadline: action.deadline,
            events,
            deliveries: deliveries.into_iter().map(Delivery::from).collect(),
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivery {
    /// `msg_…`.
    pub id: String,
    /// How it travels.
    pub channel: Channel,
    /// Name of the receiver, or `rollback` or `retrain`.
    pub route: String,
    /// Host or mail address: never a whole URL, which may hold a secret.
    pub destination: String,
    /// Where it stands.
    pub state: MessageState,
    /// Attempts begun.
    pub attempts: u32,
    /// Status of the last answer.
    pub last_status: Option<u16>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was decided.
    pub created_at: UnixNanos,
    /// When it was delivered.
    pub delivered_at: Option<UnixNanos>,
}

impl From<Message> for Delivery {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            channel: message.channel,
            route: message.route,
            destination: message.destination,
            state: message.state,
            attempts: message.attempts,
            last_status: message.last_status,
            last_error: message.last_error,
            created_at: message.created_at,
            delivered_at: message.delivered_at,
        }
    }
}
