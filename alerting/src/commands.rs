//! What people see of alerts and actions, and what they do about them: the API's way in.

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

use crate::action::advance;
use crate::action::refusal::Refusal;
use crate::action::request::{Asked, Asker, begin, gather, request};
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
    shared: Arc<Shared>,
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
        })
    }

    #[cfg(test)]
    pub(crate) fn sharing(shared: Arc<Shared>) -> Self {
        Self { shared }
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

    /// Approves an action that waits for it; it is requested at once.
    ///
    /// # Errors
    /// There is no such action, it does not wait, or its webhook was taken out of the configuration.
    pub async fn approve(&self, action_id: &str, approved_by: &str) -> Result<Action, CommandError> {
        let now = self.shared.clock.now();
        let mut transaction = self.shared.state.begin().await?;
        let mut action = asked_action(&mut transaction, action_id).await?;
        let endpoint = self.shared.endpoint(action.kind, &action.model).cloned().ok_or_else(|| {
            CommandError::Refused(Refusal::NotConfigured {
                kind: action.kind,
                model: action.model.clone(),
            })
        })?;
        action.details.approved_by = Some(approved_by.to_owned());
        request(&self.shared, &mut transaction, &mut action, &endpoint, now).await?;
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

    /// Whether a person could roll back to a version now, for pages that offer it. `live` is the version
    /// that serves, `verdict` the gate's on the one that is offered.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn rollback_option(
        &self,
        model: &str,
        environment: &str,
        version: &str,
        live: Option<&str>,
        verdict: Option<VerdictKind>,
    ) -> Result<RollbackOption, StateError> {
        let kind = ActionKind::Rollback;
        let named = || (kind, model.to_owned());
        let refusal = match self.shared.endpoint(kind, model) {
            None => {
                let (kind, model) = named();
                Some(Refusal::NotConfigured { kind, model })
            }
            Some(endpoint) if endpoint.approval == Approval::Off => {
                let (kind, model) = named();
                Some(Refusal::SwitchedOff { kind, model })
            }
            Some(_) if live == Some(version) => Some(Refusal::IsLive { version: version.into() }),
            Some(_) if verdict == Some(VerdictKind::Fail) => Some(Refusal::FailedGate { version: version.into() }),
            Some(_) => {
                let filter = ActionFilter {
                    model: Some(model.into()),
                    environment: Some(environment.into()),
                    open_only: true,
                    limit: ACTIONS_OF_ALERT,
                    ..ActionFilter::default()
                };
                let open = self.shared.state.actions(&filter).await?;
                open.into_iter()
                    .find(|action| action.kind == kind)
                    .map(|action| Refusal::InProgress {
                        action: action.id,
                        state: action.state,
                    })
            }
        };
        Ok(RollbackOption {
            refusal,
            ungated: verdict.is_none(),
        })
    }

    /// Actions with their steps and messages, the newest first.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn actions(&self, filter: &ActionFilter) -> Result<Vec<ActionView>, StateError> {
        let mut views = Vec::new();
        for action in self.shared.state.actions(filter).await? {
            views.push(self.view_of(action).await?);
        }
        Ok(views)
    }

    /// One action with its steps and messages.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn action(&self, id: &str) -> Result<Option<ActionView>, StateError> {
        match self.shared.state.action(id).await? {
            Some(action) => Ok(Some(self.view_of(action).await?)),
            None => Ok(None),
        }
    }

    async fn view_of(&self, action: Action) -> Result<ActionView, StateError> {
        Ok(ActionView {
            events: self.shared.state.action_events(&action.id).await?,
            deliveries: self.shared.state.messages_of_action(&action.id).await?,
            action,
        })
    }

    /// Alerts with their transitions, messages and actions: firing first, the most severe first, then the
    /// newest.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<AlertView>, StateError> {
        let silences = self.shared.state.active_silences(self.shared.clock.now()).await?;
        let mut views = Vec::new();
        for alert in self.shared.state.alerts(filter).await? {
            views.push(self.view_of_alert(alert, &silences).await?);
        }
        Ok(views)
    }

    /// One alert, likewise.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn alert(&self, id: &str) -> Result<Option<AlertView>, StateError> {
        let silences = self.shared.state.active_silences(self.shared.clock.now()).await?;
        match self.shared.state.alert(id).await? {
            Some(alert) => Ok(Some(self.view_of_alert(alert, &silences).await?)),
            None => Ok(None),
        }
    }

    async fn view_of_alert(&self, alert: Alert, silences: &[Silence]) -> Result<AlertView, StateError> {
        let mut deliveries = Vec::new();
        for id in &alert.memory.messages {
            deliveries.extend(self.shared.state.message(id).await?);
        }
        let mut actions = Vec::new();
        for action in self.shared.state.actions_of_alert(&alert.id, ACTIONS_OF_ALERT).await? {
            actions.push(self.view_of(action).await?);
        }
        Ok(AlertView {
            silenced_until: silenced_until(&alert, silences),
            transitions: self.shared.state.alert_transitions(&alert.id).await?,
            deliveries,
            actions,
            alert,
        })
    }
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
    let action = actions::get(transaction, id)
        .await?
        .ok_or_else(|| CommandError::NotFound(id.to_owned()))?;
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
