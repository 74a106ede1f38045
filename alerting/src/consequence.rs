//! What alerts that fire want done: gathered by model, asked for once, and noted beside the alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::StateError;
use driftlead_store::state::actions::{Action, ActionFilter, ActionKind};
use driftlead_store::state::alerts::{Alert, AlertState, Series};

use crate::action::refusal::Refusal;
use crate::action::request::{Asked, Asker, Proposal, begin, gather, refuse_early};
use crate::evaluator::Changes;
use crate::notify::notice::{ActionNote, AlertNews};
use crate::pack::Rules;
use crate::route::Telling;
use crate::shared::{Shared, StateTransaction};

/// How long facts about what serves are waited for: an evaluation must not hang on the telemetry.
const FACTS_TIMEOUT: Duration = Duration::from_secs(5);

/// Actions of the past that are looked at before facts are gathered.
const PAST_ACTIONS: u32 = 50;

/// Something that alerts want done, and which alerts.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    asked: Asked,
    by: Vec<(String, Series)>,
}

/// What became of it in this evaluation.
#[derive(Debug, Clone)]
pub(crate) struct Pursued {
    kind: ActionKind,
    by: Vec<(String, Series)>,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum Outcome {
    /// The facts are there; the transaction decides.
    Proposed(Box<Proposal>),
    Begun(Box<Action>),
    Refused(Refusal),
    /// It cannot be decided now; the alert asks again.
    Unknown(String),
}

/// What the alerts of an evaluation want: those that fire and are not muted, the most severe first.
pub(crate) fn wanted(shared: &Shared, rules: &Rules, changes: &Changes, tellings: &BTreeMap<(String, Series), Telling>) -> Vec<Wanted> {
    let mut asking: Vec<&Alert> = changes
        .iter()
        .filter(|(key, change)| change.alert.state == AlertState::Firing && !matches!(tellings.get(key), Some(Telling::Muted(_))))
        .map(|(_, change)| &change.alert)
        .collect();
    asking.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.firing_since));
    let mut by_target: BTreeMap<(ActionKind, String, String, String), Wanted> = BTreeMap::new();
    for alert in asking {
        let Some(rule) = rules.get(&alert.rule) else { continue };
        for kind in &rule.actions {
            let series = &alert.series;
            let version = if *kind == ActionKind::Rollback {
                series.version.clone()
            } else {
                String::new()
            };
            let target = (*kind, series.environment.clone(), series.model.clone(), version.clone());
            let wanted = by_target.entry(target).or_insert_with(|| Wanted {
                asked: Asked {
                    kind: *kind,
                    model: series.model.clone(),
                    environment: series.environment.clone(),
                    version: Some(version).filter(|version| !version.is_empty()),
                    target: None,
                    because: Vec::new(),
                    asker: Asker::Alert {
                        rule: alert.rule.clone(),
                        alert_id: alert.id.clone(),
                        firing_since: alert.firing_since.unwrap_or(alert.since),
                    },
                    receivers: Vec::new(),
                },
                by: Vec::new(),
            });
            wanted.by.push((alert.rule.clone(), series.clone()));
            wanted.asked.because.extend(alert.memory.because.iter().cloned());
            for receiver in shared.receivers(&rule.notify) {
                if !wanted.asked.receivers.contains(&receiver) {
                    wanted.asked.receivers.push(receiver);
                }
            }
            // What was done since one of them fires was done about it; the youngest asks.
            if let Asker::Alert { firing_since, .. } = &mut wanted.asked.asker {
                *firing_since = (*firing_since).max(alert.firing_since.unwrap_or(alert.since));
            }
        }
    }
    by_target.into_values().collect()
}

/// Gathers the facts for what may begin at all.
pub(crate) async fn pursue(shared: &Shared, wanted: Vec<Wanted>, now: UnixNanos) -> Result<Vec<Pursued>, StateError> {
    let mut pursued = Vec::new();
    for Wanted { asked, by } in wanted {
        let kind = asked.kind;
        let filter = ActionFilter {
            model: Some(asked.model.clone()),
            environment: Some(asked.environment.clone()),
            limit: PAST_ACTIONS,
            ..ActionFilter::default()
        };
        let mut past = shared.state.actions(&filter).await?;
        past.retain(|action| action.kind == kind);
        let outcome = match refuse_early(shared.endpoint(kind, &asked.model), &asked, &past, now) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(()) => match tokio::time::timeout(FACTS_TIMEOUT, gather(shared, asked, now)).await {
                Ok(Ok(proposal)) => Outcome::Proposed(Box::new(proposal)),
                Ok(Err(error)) => Outcome::Unknown(format!("it cannot be seen what serves at present: {error}")),
                Err(_) => Outcome::Unknown("it cannot be seen what serves at present".into()),
            },
        };
        pursued.push(Pursued { kind, by, outcome });
    }
    Ok(pursued)
}

impl Pursued {
    /// Decides and writes, where the facts are there.
    pub async fn begin(&mut self, shared: &Shared, transaction: &mut StateTransaction, now: UnixNanos) -> Result<(), StateError> {
        if let Outcome::Proposed(proposal) = &self.outcome {
            self.outcome = match begin(shared, transaction, proposal, now).await? {
                Ok(action) => Outcome::Begun(Box::new(action)),
                Err(refusal) => Outcome::Refused(refusal),
            };
        }
        Ok(())
    }

    /// Whether this evaluation may write because of it.
    pub fn is_proposed(&self) -> bool {
        matches!(self.outcome, Outcome::Proposed(_))
    }

    /// Why it was not begun; `None` when it was, or is under way.
    fn reason(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Refused(Refusal::InProgress { .. }) | Outcome::Begun(_) | Outcome::Proposed(_) => None,
            Outcome::Refused(refusal) => Some(refusal.to_string()),
            Outcome::Unknown(reason) => Some(reason.clone()),
        }
    }

    /// Whether the alerts say already why it was not begun.
    pub fn is_noted(&self, changes: &Changes) -> bool {
        let reason = self.reason();
        self.by.iter().all(|key| {
            let noted = changes
                .get(key)
                .and_then(|change| change.alert.memory.actions_not_taken.get(self.kind.as_str()));
            noted == reason.as_ref()
        })
    }

    /// Notes beside the alerts why it was not begun.
    pub fn note(&self, changes: &mut Changes) {
        let reason = self.reason();
        for key in &self.by {
            let Some(change) = changes.get_mut(key) else { continue };
            let noted = &mut change.alert.memory.actions_not_taken;
            if noted.get(self.kind.as_str()) == reason.as_ref() {
                continue;
            }
            match &reason {
                Some(reason) => noted.insert(self.kind.as_str().into(), reason.clone()),
                None => noted.remove(self.kind.as_str()),
            };
            change.dirty = true;
        }
    }

    fn action_note(&self) -> ActionNote {
        let (action, state) = match &self.outcome {
            Outcome::Begun(action) => (Some(action.id.clone()), Some(action.state)),
            Outcome::Refused(Refusal::InProgress { action, state } | Refusal::AlreadyTried { action, state }) => {
                (Some(action.clone()), Some(*state))
            }
            _ => (None, None),
        };
        ActionNote {
            kind: self.kind,
            reason: if action.is_some() { None } else { self.reason() },
            action,
            state,
        }
    }
}

/// What is said of actions beside an alert. The end of an alert needs none.
pub(crate) fn note_for(alert: &Alert, pursued: &[Pursued], news: AlertNews) -> Vec<ActionNote> {
    if news == AlertNews::Resolved {
        return Vec::new();
    }
    let asked_by = |pursued: &&Pursued| {
        pursued
            .by
            .iter()
            .any(|(rule, series)| *rule == alert.rule && *series == alert.series)
    };
    pursued.iter().filter(asked_by).map(Pursued::action_note).collect()
}
