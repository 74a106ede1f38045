//! What the parts of alerting share, and how a message gets into the outbox.

use std::borrow::Cow;
use std::collections::BTreeMap;

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::ids::{IdKind, new_id};
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::state::actions::{Action, ActionKind};
use driftlead_store::state::outbox::{Channel, NewMessage, enqueue};
use driftlead_store::state::{State, StateError};

use crate::config::{ActionEndpoint, AlertingConfig, ModelActions};
use crate::notify::email::Mail;
use crate::notify::notice;
use crate::pack::RuleSet;
use crate::rule::Notify;

/// A write transaction of the state.
pub(crate) use driftlead_store::state::outbox::StateTransaction;

/// What the parts of alerting share.
pub(crate) struct Shared {
    pub config: AlertingConfig,
    pub models: BTreeMap<String, ModelActions>,
    pub rules: RuleSet,
    pub clickhouse: ClickHouse,
    pub state: State,
    pub clock: Clock,
}

impl Shared {
    /// What is declared about a model, or the defaults.
    pub fn model_settings(&self, name: &str) -> Cow<'_, ModelSettings> {
        match self.models.get(name) {
            Some(model) => Cow::Borrowed(&model.settings),
            None => Cow::Owned(ModelSettings::undeclared(name)),
        }
    }

    /// How a model is acted upon; `None` where that was not declared.
    pub fn endpoint(&self, kind: ActionKind, model: &str) -> Option<&ActionEndpoint> {
        let model = self.models.get(model)?;
        match kind {
            ActionKind::Rollback => model.rollback.as_ref(),
            ActionKind::Retrain => model.retrain.as_ref(),
        }
    }

    /// Names of the receivers that a rule tells.
    pub fn receivers(&self, notify: &Notify) -> Vec<String> {
        match notify {
            Notify::Everybody => self.config.receivers.keys().cloned().collect(),
            Notify::Receivers(names) => names.clone(),
        }
    }

    /// Everybody: for what no rule asked for.
    pub fn all_receivers(&self) -> Vec<String> {
        self.receivers(&Notify::Everybody)
    }

    /// Puts one message for each address of each receiver into the outbox and returns the messages' ids.
    pub async fn tell(
        &self,
        transaction: &mut StateTransaction,
        receivers: &[String],
        said: &Said,
        now: UnixNanos,
    ) -> Result<Vec<String>, StateError> {
        let mut ids = Vec::new();
        for name in receivers {
            let Some(receiver) = self.config.receivers.get(name) else {
                continue;
            };
            let webhook = receiver
                .webhook
                .iter()
                .map(|endpoint| (Channel::Webhook, endpoint.shown(), &said.json));
            let mail = receiver.email.iter().map(|to| (Channel::Email, to.email.to_string(), &said.mail));
            for (channel, destination, body) in webhook.chain(mail) {
                let message = NewMessage {
                    id: new_id(IdKind::Message),
                    channel,
                    route: name.clone(),
                    destination,
                    body: body.clone(),
                    action_id: said.action_id.clone(),
                    group_key: said.group_key.clone(),
                };
                enqueue(transaction, &message, now).await?;
                ids.push(message.id);
            }
        }
        Ok(ids)
    }

    /// Puts the request of an action into the outbox.
    pub async fn request(
        &self,
        transaction: &mut StateTransaction,
        action: &Action,
        endpoint: &ActionEndpoint,
        now: UnixNanos,
    ) -> Result<(), StateError> {
        let url = &self.config.public_url;
        let body = match action.kind {
            ActionKind::Rollback => notice::rollback_requested(action, url).to_json(),
            ActionKind::Retrain => notice::retrain_requested(action, url).to_json(),
        };
        let message = NewMessage {
            id: new_id(IdKind::Message),
            channel: Channel::Webhook,
            route: action.kind.as_str().into(),
            destination: endpoint.endpoint.shown(),
            body,
            action_id: Some(action.id.clone()),
            group_key: action.id.clone(),
        };
        enqueue(transaction, &message, now).await
    }
}

/// What receivers are told, rendered for every channel.
pub(crate) struct Said {
    pub json: String,
    pub mail: String,
    pub action_id: Option<String>,
    pub group_key: String,
}

impl Said {
    pub fn new(json: String, mail: &Mail, action_id: Option<String>, group_key: String) -> Self {
        Self {
            json,
            mail: mail.to_json(),
            action_id,
            group_key,
        }
    }
}
