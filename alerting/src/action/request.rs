//! How an action begins: the facts are gathered, a pure function decides, one transaction writes.

use driftlead_store::clickhouse::query::live::{LiveError, live_version, traffic_by_version};
use driftlead_store::clock::UnixNanos;
use driftlead_store::ids::{IdKind, new_id};
use driftlead_store::model_settings::Approval;
use driftlead_store::state::StateError;
use driftlead_store::state::actions::{self, Action, ActionDetails, ActionKind, ActionState};
use driftlead_store::state::verdicts::{self, VerdictKind};

use super::refusal::Refusal;
use super::{APPROVAL_DEADLINE_SECONDS, deadline_seconds};
use crate::config::ActionEndpoint;
use crate::shared::{Shared, StateTransaction};

/// A version serves when it had an inference in the last seconds.
const SERVED_WITHIN_SECONDS: i64 = 60;

/// Actions of the past that a decision looks at, the newest ones.
const REMEMBERED_ACTIONS: u32 = 20;

/// Reasons that one action carries at most: an alert a feature could be a thousand.
const MAX_REASONS: usize = 20;

/// Who asks for an action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asker {
    /// An alert of a rule, firing since an instant.
    Alert {
        rule: String,
        alert_id: String,
        firing_since: UnixNanos,
    },
    /// A person, by the label of the key.
    Person(String),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub kind: ActionKind,
    pub model: String,
    pub environment: String,
    /// The version that is complained about; `None`: the one that serves.
    pub version: Option<String>,
    /// The version to roll back to; `None`: the release's baseline.
    pub target: Option<String>,
    pub because: Vec<String>,
    pub asker: Asker,
    /// Who is told how it goes.
    pub receivers: Vec<String>,
}

impl Asked {
    /// What is asked for, whoever asks: the kind, the environment, the model, and the version.
    pub fn target_key(&self) -> (ActionKind, String, String, String) {
        let version = self.version.clone().unwrap_or_default();
        (self.kind, self.environment.clone(), self.model.clone(), version)
    }

    /// Since when the alert fires that asks; a person asks out of the blue.
    pub fn firing_since(&self) -> UnixNanos {
        match &self.asker {
            Asker::Alert { firing_since, .. } => *firing_since,
            Asker::Person(_) => UnixNanos(0),
        }
    }

    /// What an action that waits for approval asks for, asked again by the person who approves it.
    pub fn again(action: &Action, approved_by: &str) -> Self {
        Self {
            kind: action.kind,
            model: action.model.clone(),
            environment: action.environment.clone(),
            version: action.from_version.clone(),
            target: action.to_version.clone(),
            because: action.because.clone(),
            asker: Asker::Person(approved_by.to_owned()),
            receivers: action.details.receivers.clone(),
        }
    }
}

/// What is asked for, and everything that the decision depends on but the actions of the past.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub asked: Asked,
    endpoint: Option<ActionEndpoint>,
    facts: Facts,
}

#[derive(Debug, Clone)]
enum Facts {
    Rollback(RollbackFacts),
    Retrain { new_examples_since: Option<UnixNanos> },
}

/// What is known of the version that is complained about and of the target.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RollbackFacts {
    pub live: Option<String>,
    pub from: Option<String>,
    pub from_serves: bool,
    pub target: Option<String>,
    pub target_is_known: bool,
    pub target_verdict: Option<VerdictKind>,
    pub target_commit: Option<String>,
    pub target_artifact: Option<String>,
}

/// Gathers the facts, before the transaction.
pub(crate) async fn gather(shared: &Shared, asked: Asked, now: UnixNanos) -> Result<Proposal, LiveError> {
    let facts = match asked.kind {
        ActionKind::Rollback => Facts::Rollback(rollback_facts(shared, &asked, now).await?),
        ActionKind::Retrain => Facts::Retrain {
            new_examples_since: last_training(shared, &asked, now).await?,
        },
    };
    Ok(Proposal {
        endpoint: shared.endpoint(asked.kind, &asked.model).cloned(),
        asked,
        facts,
    })
}

async fn rollback_facts(shared: &Shared, asked: &Asked, now: UnixNanos) -> Result<RollbackFacts, LiveError> {
    let (state, model, environment) = (&shared.state, asked.model.as_str(), asked.environment.as_str());
    let live = live_version(&shared.clickhouse, state, model, environment, None, now).await?;
    let live = live.map(|live| live.version);
    let from = asked.version.clone().or_else(|| live.clone());
    let mut facts = RollbackFacts {
        live,
        from: from.clone(),
        target: asked.target.clone(),
        ..RollbackFacts::default()
    };
    if let Some(from) = &from {
        let since = now.plus_seconds(-SERVED_WITHIN_SECONDS);
        let traffic = traffic_by_version(&shared.clickhouse, Some(model), since, now).await?;
        let served = traffic.iter().any(|row| row.environment == environment && row.version == *from);
        facts.from_serves = served || facts.live.as_ref() == Some(from);
        if facts.target.is_none() {
            let release = state.release_of(model, from, environment).await?;
            facts.target = release.and_then(|release| release.baseline_version);
        }
    }
    if let Some(target) = &facts.target {
        let verdict = state.latest_verdict(model, target, Some(environment)).await?;
        facts.target_verdict = verdict.map(|verdict| verdict.verdict);
        let release = state.release_of(model, target, environment).await?;
        let seen = state.seen_versions(Some(model)).await?;
        facts.target_is_known = release.is_some() || seen.iter().any(|seen| seen.version == *target && seen.environment == environment);
        if let Some(release) = release {
            facts.target_commit = release.commit_id;
            facts.target_artifact = release.artifact;
        }
    }
    Ok(facts)
}

/// Since when examples are new to the version that serves: its release took effect then. By what was
/// announced, else by what was seen last; telemetry is not needed to train.
async fn last_training(shared: &Shared, asked: &Asked, now: UnixNanos) -> Result<Option<UnixNanos>, StateError> {
    let (state, model, environment) = (&shared.state, asked.model.as_str(), asked.environment.as_str());
    if let Some(announced) = state.latest_live_deployment(model, environment, None, now).await? {
        return Ok(Some(announced.at));
    }
    let seen = state.seen_versions(Some(model)).await?;
    let Some(seen) = seen.iter().find(|seen| seen.environment == environment) else {
        return Ok(None);
    };
    let release = state.release_of(model, &seen.version, environment).await?;
    Ok(release.map(|release| release.at))
}

/// Decides in a transaction, and writes the action and the message that requests it.
pub(crate) async fn begin(
    shared: &Shared,
    transaction: &mut StateTransaction,
    proposal: &Proposal,
    now: UnixNanos,
) -> Result<Result<Action, Refusal>, StateError> {
    let asked = &proposal.asked;
    let past = actions::latest(transaction, asked.kind, &asked.model, &asked.environment, REMEMBERED_ACTIONS).await?;
    let proposal = &as_of_now(transaction, proposal).await?;
    let endpoint = match decide(proposal, &past, now) {
        Ok(endpoint) => endpoint,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut action = write(proposal, &endpoint, now);
    if action.state == ActionState::Asked {
        super::advance(
            shared,
            transaction,
            &mut action,
            ActionState::Asked,
            "waits for a person's approval",
            now,
        )
        .await?;
    } else {
        request(shared, transaction, &mut action, &endpoint, now).await?;
    }
    Ok(Ok(action))
}

/// Requests an action that a person approved, unless it may not begin any more: the target may have failed the
/// gate since it was asked for, or the version that it complains about may be gone. `proposal` holds the facts
/// of now.
pub(crate) async fn approve(
    shared: &Shared,
    transaction: &mut StateTransaction,
    action: &mut Action,
    proposal: &Proposal,
    now: UnixNanos,
) -> Result<Result<(), Refusal>, StateError> {
    let asked = &proposal.asked;
    let mut past = actions::latest(transaction, asked.kind, &asked.model, &asked.environment, REMEMBERED_ACTIONS).await?;
    past.retain(|other| other.id != action.id);
    let proposal = as_of_now(transaction, proposal).await?;
    let endpoint = match decide(&proposal, &past, now).and_then(|endpoint| match &proposal.facts {
        Facts::Rollback(facts) => refuse_bystander(facts).map(|()| endpoint),
        Facts::Retrain { .. } => Ok(endpoint),
    }) {
        Ok(endpoint) => endpoint,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Asker::Person(label) = &asked.asker {
        action.details.approved_by = Some(label.clone());
    }
    request(shared, transaction, action, &endpoint, now).await?;
    Ok(Ok(()))
}

/// The proposal with the verdict that stands now: the gate may have spoken since the facts were gathered.
async fn as_of_now(transaction: &mut StateTransaction, proposal: &Proposal) -> Result<Proposal, StateError> {
    let mut proposal = proposal.clone();
    if let Facts::Rollback(facts) = &mut proposal.facts
        && let Some(target) = &facts.target
    {
        let (model, environment) = (&proposal.asked.model, &proposal.asked.environment);
        facts.target_verdict = verdicts::latest_kind(transaction, model, target, environment).await?;
    }
    Ok(proposal)
}

/// Writes the request of an action that may begin: state and message together.
pub(crate) async fn request(
    shared: &Shared,
    transaction: &mut StateTransaction,
    action: &mut Action,
    endpoint: &ActionEndpoint,
    now: UnixNanos,
) -> Result<(), StateError> {
    action.deadline = now.plus_seconds(deadline_seconds(action.kind));
    let note = match &action.details.approved_by {
        Some(person) => format!("approved by {person}"),
        None => format!("asked for by {}", action.requested_by),
    };
    super::advance(shared, transaction, action, ActionState::Requested, &note, now).await?;
    shared.request(transaction, action, endpoint, now).await
}

/// What the past alone refuses, before any fact is gathered: pure.
pub(crate) fn refuse_early(endpoint: Option<&ActionEndpoint>, asked: &Asked, past: &[Action], now: UnixNanos) -> Result<(), Refusal> {
    let (kind, model) = (asked.kind, asked.model.clone());
    let Some(endpoint) = endpoint else {
        return Err(Refusal::NotConfigured { kind, model });
    };
    if endpoint.approval == Approval::Off {
        return Err(Refusal::SwitchedOff { kind, model });
    }
    if let Some(open) = past.iter().find(|action| action.state.is_open()) {
        return Err(Refusal::InProgress {
            action: open.id.clone(),
            state: open.state,
        });
    }
    match &asked.asker {
        Asker::Alert { firing_since, .. } => refuse_repetition(kind, past, *firing_since, endpoint, now),
        Asker::Person(_) => Ok(()),
    }
}

/// Whether the action may begin: pure.
fn decide(proposal: &Proposal, past: &[Action], now: UnixNanos) -> Result<ActionEndpoint, Refusal> {
    let asked = &proposal.asked;
    refuse_early(proposal.endpoint.as_ref(), asked, past, now)?;
    if let Facts::Rollback(facts) = &proposal.facts {
        refuse_target(facts)?;
        if matches!(asked.asker, Asker::Alert { .. }) {
            refuse_bystander(facts)?;
        }
    }
    let (kind, model) = (asked.kind, asked.model.clone());
    proposal.endpoint.clone().ok_or(Refusal::NotConfigured { kind, model })
}

fn refuse_target(facts: &RollbackFacts) -> Result<(), Refusal> {
    let Some(target) = facts.target.clone() else {
        return Err(Refusal::NoTarget { from: facts.from.clone() });
    };
    let version = target;
    if facts.from.as_ref() == Some(&version) {
        return Err(Refusal::IsLive { version });
    }
    if !facts.target_is_known {
        return Err(Refusal::UnknownVersion { version });
    }
    if facts.target_verdict == Some(VerdictKind::Fail) {
        return Err(Refusal::FailedGate { version });
    }
    Ok(())
}

/// A candidate that failed, or a version that is gone already, is nothing to roll back.
fn refuse_bystander(facts: &RollbackFacts) -> Result<(), Refusal> {
    match &facts.from {
        Some(from) if !facts.from_serves => Err(Refusal::NotServing {
            version: from.clone(),
            live: facts.live.clone(),
        }),
        _ => Ok(()),
    }
}

/// While an alert fires, a rule asks again only for what failed or was undone, and never before the
/// cool-down is over. A rollback that was accepted and did not show is for people to look at.
fn refuse_repetition(
    kind: ActionKind,
    past: &[Action],
    firing_since: UnixNanos,
    endpoint: &ActionEndpoint,
    now: UnixNanos,
) -> Result<(), Refusal> {
    let Some(last) = past.first() else { return Ok(()) };
    let ended = last.finished_at.unwrap_or(last.updated_at);
    let settled = matches!(
        (kind, last.state),
        (_, ActionState::Dismissed)
            | (
                ActionKind::Rollback,
                ActionState::Confirmed | ActionState::Unobserved | ActionState::Overdue
            )
            | (ActionKind::Retrain, ActionState::Done)
    );
    if settled && ended >= firing_since {
        return Err(Refusal::AlreadyTried {
            action: last.id.clone(),
            state: last.state,
        });
    }
    let cool_down = i64::try_from(endpoint.cool_down.as_secs()).unwrap_or(i64::MAX);
    let until = ended.plus_seconds(cool_down);
    if now < until {
        return Err(Refusal::CoolingDown { until });
    }
    Ok(())
}

fn write(proposal: &Proposal, endpoint: &ActionEndpoint, now: UnixNanos) -> Action {
    let asked = &proposal.asked;
    let approved = match &asked.asker {
        Asker::Person(label) => Some(label.clone()),
        Asker::Alert { .. } => None,
    };
    let state = if endpoint.approval == Approval::Ask && approved.is_none() {
        ActionState::Asked
    } else {
        ActionState::Requested
    };
    let mut because = asked.because.clone();
    because.truncate(MAX_REASONS);
    let mut details = ActionDetails {
        receivers: asked.receivers.clone(),
        approved_by: approved,
        ..ActionDetails::default()
    };
    let (mut from_version, mut to_version) = (None, None);
    match &proposal.facts {
        Facts::Rollback(facts) => {
            (from_version, to_version) = (facts.from.clone(), facts.target.clone());
            details.target_ungated = facts.target_verdict.is_none();
            details.to_commit = facts.target_commit.clone();
            details.to_artifact = facts.target_artifact.clone();
            if let (true, Some(target)) = (details.target_ungated, &facts.target) {
                because.push(format!("the target {target} was never judged by the gate"));
            }
        }
        Facts::Retrain { new_examples_since } => details.new_examples_since = *new_examples_since,
    }
    let (rule, alert_id, requested_by) = match &asked.asker {
        Asker::Alert { rule, alert_id, .. } => (Some(rule.clone()), Some(alert_id.clone()), "rule".to_owned()),
        Asker::Person(label) => (None, None, label.clone()),
    };
    Action {
        id: new_id(IdKind::Action),
        kind: asked.kind,
        model: asked.model.clone(),
        environment: asked.environment.clone(),
        from_version,
        to_version,
        retrain_id: (asked.kind == ActionKind::Retrain).then(|| new_id(IdKind::Retrain)),
        state,
        because,
        rule,
        alert_id,
        requested_by,
        requested_at: now,
        accepted_at: None,
        finished_at: None,
        deadline: now.plus_seconds(APPROVAL_DEADLINE_SECONDS),
        details,
        updated_at: now,
    }
}

#[cfg(test)]
mod tests;
