//! What people see of alerts and actions, and what they do about them: the API's way in.

use std::collections::HashMap;
use std::sync::Arc;

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::live::LiveError;
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::model_settings::{Approval, ModelSettings};
use driftlead_store::state::actions::{self, Action, ActionEvent, ActionFilter, ActionKind, ActionState};
use driftlead_store::state::alerts::{Alert, AlertFilter, AlertTransition};
use driftlead_store::state::audit::{AuditEntry, record_audit_in};
use driftlead_store::state::outbox::Message;
use driftlead_store::state::silences::{AlertLabels, Silence};
use driftlead_store::state::verdicts::VerdictKind;
use driftlead_store::state::{State, StateError};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::action::advance;
use crate::action::refusal::Refusal;
use crate::action::request::{self, Asked, Asker, begin, gather};
use crate::config::{AlertingConfig, resolve_models};
use crate::pack::{RuleSet, Rules};
use crate::problem::Problems;
use crate::shared::{Shared, StateTransaction};

/// Actions of an alert that are shown beside it.
const ACTIONS_OF_ALERT: u32 = 20;

/// Characters of a reason that a person gives.
const MAX_REASON_CHARACTERS: usize = 1_000;

/// What people do and see. Clones share everything.
#[derive(Clone)]
pub struct Commands {
    pub(crate) shared: Arc<Shared>,
    /// Held while kept rules are read and put in use, so that what was read last is in use last.
    pub(crate) reading_rules: Arc<Mutex<()>>,
}

/// A person's request to roll a model back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackRequest {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version that is to serve again; `None`: the baseline of the one that serves.
    pub to: Option<String>,
    /// Why.
    pub reason: String,
    /// Label of the key.
    pub requested_by: String,
}

/// A person's request to train a model again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrainRequest {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// Why.
    pub reason: String,
    /// Label of the key.
    pub requested_by: String,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It may not begin; the words say what to do.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no action of this id.
    #[error("there is no action {0}")]
    NotFound(String),
    /// Only an action that waits for approval can be approved or dismissed.
    #[error("{id} does not wait for approval: it is {}", .state.as_str())]
    NotAsked {
        /// The action.
        id: String,
        /// Where it stands.
        state: ActionState,
    },
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// It cannot be seen what serves.
    #[error("it cannot be seen what serves at present: {0}")]
    Telemetry(#[from] LiveError),
}

/// An action with its steps and messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionView {
    /// The action.
    #[serde(flatten)]
    pub action: Action,
    /// Its steps, the oldest first.
    pub events: Vec<ActionEvent>,
    /// What was sent about it, the oldest first.
    pub deliveries: Vec<Message>,
}

/// An alert with its transitions, messages and actions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertView {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Until when a silence covers it.
    pub silenced_until: Option<UnixNanos>,
    /// Its changes, the oldest first.
    pub transitions: Vec<AlertTransition>,
    /// What was sent about it lately, the oldest first.
    pub deliveries: Vec<Message>,
    /// What it asked for, the newest first.
    pub actions: Vec<ActionView>,
}

/// Whether a version can be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackOption {
    /// Why not; `None`: it can.
    pub refusal: Option<Refusal>,
    /// The gate never judged it.
    pub ungated: bool,
}

impl Commands {
    /// Commands on the same state that [`crate::run`] works on.
    ///
    /// # Errors
    /// A model's webhook is not well formed.
    pub fn new(
        config: AlertingConfig,
        rules: RuleSet,
        clickhouse: ClickHouse,
        state: State,
        models: &[ModelSettings],
        clock: Clock,
    ) -> Result<Self, Problems> {
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                models: resolve_models(models)?,
                rules,
                clickhouse,
                state,
                clock,
            }),
            reading_rules: Arc::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn sharing(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            reading_rules: Arc::default(),
        }
    }

    /// The rules in use.
    pub fn rules(&self) -> Arc<Rules> {
        self.shared.rules.current()
    }

    /// Why the last reload of the rule files was rejected; `None`: the rules in use are those of the files.
    pub fn rejected_rules(&self) -> Option<Arc<str>> {
        self.shared.rules.rejected()
    }

    /// Asks for a rollback. A person's request is approval enough, and need not wait for the cool-down.
    ///
    /// # Errors
    /// [`CommandError::Refused`] with the reason, or state or telemetry cannot be used.
    pub async fn request_rollback(&self, request: RollbackRequest) -> Result<Action, CommandError> {
        self.ask(Asked {
            kind: ActionKind::Rollback,
            model: request.model,
            environment: request.environment,
            version: None,
            target: request.to,
            because: vec![given_by(&request.requested_by, &request.reason)],
            asker: Asker::Person(request.requested_by),
            receivers: self.shared.all_receivers(),
        })
        .await
    }

    /// Asks for a retraining, likewise.
    ///
    /// # Errors
    /// As [`Commands::request_rollback`].
    pub async fn request_retrain(&self, request: RetrainRequest) -> Result<Action, CommandError> {
        self.ask(Asked {
            kind: ActionKind::Retrain,
            model: request.model,
            environment: request.environment,
            version: None,
            target: None,
            because: vec![given_by(&request.requested_by, &request.reason)],
            asker: Asker::Person(request.requested_by),
            receivers: self.shared.all_receivers(),
        })
        .await
    }

    async fn ask(&self, asked: Asked) -> Result<Action, CommandError> {
        let now = self.shared.clock.now();
        let (kind, model, asker) = (asked.kind, asked.model.clone(), asked.asker.clone());
        let proposal = gather(&self.shared, asked, now).await?;
        let mut transaction = self.shared.state.begin().await?;
        let action = begin(&self.shared, &mut transaction, &proposal, now)
            .await?
            .map_err(CommandError::Refused)?;
        if let Asker::Person(label) = &asker {
            audit(&mut transaction, label, &format!("{}.request", kind.as_str()), &model, &action, now).await?;
        }
        transaction.commit().await.map_err(StateError::from)?;
        Ok(action)
    }

    /// Approves an action that waits for it; it is requested at once, unless what was true when it was asked
    /// for is not true any more: it is checked like a new one.
    ///
    /// # Errors
    /// There is no such action, it does not wait, it may not begin any more, or state or telemetry cannot be
    /// used.
    pub async fn approve(&self, action_id: &str, approved_by: &str) -> Result<Action, CommandError> {
        let now = self.shared.clock.now();
        let asked = self.shared.state.action(action_id).await?;
        let asked = waiting(asked, action_id)?;
        let proposal = gather(&self.shared, Asked::again(&asked, approved_by), now).await?;
        let mut transaction = self.shared.state.begin().await?;
        let mut action = asked_action(&mut transaction, action_id).await?;
        request::approve(&self.shared, &mut transaction, &mut action, &proposal, now)
            .await?
            .map_err(CommandError::Refused)?;
        audit(&mut transaction, approved_by, "action.approve", action_id, &action, now).await?;
        transaction.commit().await.map_err(StateError::from)?;
        Ok(action)
    }

    /// Refuses an action that waits for approval.
    ///
    /// # Errors
    /// There is no such action, or it does not wait.
    pub async fn dismiss(&self, action_id: &str, dismissed_by: &str, reason: &str) -> Result<Action, CommandError> {
        let now = self.shared.clock.now();
        let mut transaction = self.shared.state.begin().await?;
        let mut action = asked_action(&mut transaction, action_id).await?;
        let note = given_by(dismissed_by, reason);
        advance(&self.shared, &mut transaction, &mut action, ActionState::Dismissed, &note, now).await?;
        audit(&mut transaction, dismissed_by, "action.dismiss", action_id, &action, now).await?;
        transaction.commit().await.map_err(StateError::from)?;
        Ok(action)
    }

    /// Whether a person could roll back to each of these versions now, for pages that offer it: versions with
    /// the gate's verdict on them. `live` is the version that serves.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn rollback_options(
        &self,
        model: &str,
        environment: &str,
        versions: &[(&str, Option<VerdictKind>)],
        live: Option<&str>,
    ) -> Result<Vec<RollbackOption>, StateError> {
        let kind = ActionKind::Rollback;
        let endpoint = self.shared.endpoint(kind, model);
        let filter = ActionFilter {
            model: Some(model.into()),
            environment: Some(environment.into()),
            open_only: true,
            limit: ACTIONS_OF_ALERT,
            ..ActionFilter::default()
        };
        let open = self.shared.state.actions(&filter).await?;
        let open = open.into_iter().find(|action| action.kind == kind);
        let model = || model.to_owned();
        let refusal = |version: &str, verdict: Option<VerdictKind>| match endpoint {
            None => Some(Refusal::NotConfigured { kind, model: model() }),
            Some(endpoint) if endpoint.approval == Approval::Off => Some(Refusal::SwitchedOff { kind, model: model() }),
            Some(_) if live == Some(version) => Some(Refusal::IsLive { version: version.into() }),
            Some(_) if verdict == Some(VerdictKind::Fail) => Some(Refusal::FailedGate { version: version.into() }),
            Some(_) => open.as_ref().map(|action| Refusal::InProgress {
                action: action.id.clone(),
                state: action.state,
            }),
        };
        let options = versions.iter().map(|(version, verdict)| RollbackOption {
            refusal: refusal(version, *verdict),
            ungated: verdict.is_none(),
        });
        Ok(options.collect())
    }

    /// Actions with their steps and messages, the newest first. Messages come without their bodies.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn actions(&self, filter: &ActionFilter) -> Result<Vec<ActionView>, StateError> {
        self.views_of(self.shared.state.actions(filter).await?).await
    }

    /// One action, likewise.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn action(&self, id: &str) -> Result<Option<ActionView>, StateError> {
        let found = self.shared.state.action(id).await?;
        Ok(self.views_of(found.into_iter().collect()).await?.pop())
    }

    /// Actions that are at hand, with their steps and messages, in a few queries for all of them.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn views_of(&self, actions: Vec<Action>) -> Result<Vec<ActionView>, StateError> {
        let ids: Vec<String> = actions.iter().map(|action| action.id.clone()).collect();
        let events = self.shared.state.action_events(&ids).await?;
        let mut events = by(events, |event| event.action_id.clone());
        let messages = self.shared.state.messages_of_actions(&ids).await?;
        let mut messages = by(messages, |message| message.action_id.clone().unwrap_or_default());
        let view = |action: Action| ActionView {
            events: events.remove(&action.id).unwrap_or_default(),
            deliveries: messages.remove(&action.id).unwrap_or_default(),
            action,
        };
        Ok(actions.into_iter().map(view).collect())
    }

    /// Alerts with their transitions, messages and actions: firing first, the most severe first, then the
    /// newest. Messages come without their bodies.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<AlertView>, StateError> {
        self.views_of_alerts(self.shared.state.alerts(filter).await?).await
    }

    /// One alert, likewise.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn alert(&self, id: &str) -> Result<Option<AlertView>, StateError> {
        let found = self.shared.state.alert(id).await?;
        Ok(self.views_of_alerts(found.into_iter().collect()).await?.pop())
    }

    async fn views_of_alerts(&self, alerts: Vec<Alert>) -> Result<Vec<AlertView>, StateError> {
        let state = &self.shared.state;
        let silences = state.active_silences(self.shared.clock.now()).await?;
        let ids: Vec<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
        let mut transitions = by(state.transitions_of(&ids).await?, |transition| transition.alert_id.clone());
        let actions = self.views_of(state.actions_of_alerts(&ids, ACTIONS_OF_ALERT).await?).await?;
        let mut actions = by(actions, |view| view.action.alert_id.clone().unwrap_or_default());
        // A message about several alerts is each one's.
        let mut told: Vec<String> = alerts.iter().flat_map(|alert| alert.memory.messages.iter().cloned()).collect();
        told.sort_unstable();
        told.dedup();
        let messages = state.messages_of_ids(&told).await?;
        let messages: HashMap<&str, &Message> = messages.iter().map(|message| (message.id.as_str(), message)).collect();
        let view = |alert: Alert| AlertView {
            silenced_until: silenced_until(&alert, &silences),
            transitions: transitions.remove(&alert.id).unwrap_or_default(),
            deliveries: alert
                .memory
                .messages
                .iter()
                .filter_map(|id| messages.get(id.as_str()).copied().cloned())
                .collect(),
            actions: actions.remove(&alert.id).unwrap_or_default(),
            alert,
        };
        Ok(alerts.into_iter().map(view).collect())
    }
}

/// Groups items by a key, keeping their order.
fn by<T>(items: Vec<T>, key: impl Fn(&T) -> String) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for item in items {
        groups.entry(key(&item)).or_default().push(item);
    }
    groups
}

/// Until when silences cover an alert.
pub(crate) fn silenced_until(alert: &Alert, silences: &[Silence]) -> Option<UnixNanos> {
    let labels = AlertLabels {
        rule: &alert.rule,
        model: &alert.series.model,
        version: &alert.series.version,
        environment: &alert.series.environment,
        segment: &alert.series.segment,
        signal: &alert.signal,
        subject: &alert.series.subject,
    };
    let covering = silences.iter().filter(|silence| silence.matchers.matches(&labels));
    covering.map(|silence| silence.ends_at).max()
}

fn given_by(person: &str, reason: &str) -> String {
    let reason: String = reason.trim().chars().take(MAX_REASON_CHARACTERS).collect();
    if reason.is_empty() {
        format!("asked for by {person}")
    } else {
        format!("{person}: {reason}")
    }
}

async fn asked_action(transaction: &mut StateTransaction, id: &str) -> Result<Action, CommandError> {
    waiting(actions::get(transaction, id).await?, id)
}

/// An action that waits for approval.
fn waiting(action: Option<Action>, id: &str) -> Result<Action, CommandError> {
    let action = action.ok_or_else(|| CommandError::NotFound(id.to_owned()))?;
    if action.state == ActionState::Asked {
        Ok(action)
    } else {
        Err(CommandError::NotAsked {
            id: action.id,
            state: action.state,
        })
    }
}

async fn audit(
    transaction: &mut StateTransaction,
    actor: &str,
    what: &str,
    subject: &str,
    action: &Action,
    now: UnixNanos,
) -> Result<(), StateError> {
    let entry = AuditEntry {
        at: now,
        actor: actor.to_owned(),
        action: what.to_owned(),
        subject: subject.to_owned(),
        details: serde_json::json!({
            "action": action.id, "model": action.model, "environment": action.environment,
            "from": action.from_version, "to": action.to_version, "state": action.state,
        }),
    };
    record_audit_in(transaction, &entry).await
}
