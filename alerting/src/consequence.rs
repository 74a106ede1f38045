//! What alerts that fire want done: gathered by model, asked for once, and noted beside the alerts.

use std::collections::{BTreeMap, HashMap};
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
use crate::shared::{Shared, StateTransaction};

/// How long facts about what serves are waited for, for all that is wanted together: an evaluation must not
/// hang on the telemetry.
const FACTS_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait before facts are gathered again that gave no action; it doubles up to [`MAX_WAIT_SECONDS`]. What was
/// refused may be allowed by then (a candidate begins to serve), and finding out costs queries.
const FIRST_WAIT_SECONDS: i64 = 2;

/// Longest such wait: half of what a bad version may serve before it is rolled back.
const MAX_WAIT_SECONDS: i64 = 30;

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
    target: Target,
    firing_since: UnixNanos,
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

/// What the alerts of an evaluation want: those that fire, the most severe first. A silence holds back what
/// people are told, not what is done.
pub(crate) fn wanted(shared: &Shared, rules: &Rules, changes: &Changes) -> Vec<Wanted> {
    let mut asking: Vec<&Alert> = changes
        .values()
        .map(|change| &change.alert)
        .filter(|alert| alert.state == AlertState::Firing)
        .collect();
    asking.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.firing_since));
    let mut by_target: BTreeMap<Target, Wanted> = BTreeMap::new();
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

/// What is wanted: the kind, the environment, the model, and for rollbacks the version.
type Target = (ActionKind, String, String, String);

/// What was pursued in vain, and when it is pursued again.
#[derive(Debug, Default)]
pub(crate) struct Pursuits {
    waiting: HashMap<Target, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Since when the alert fires that it was pursued for: a younger one is pursued at once.
    firing_since: UnixNanos,
    until: UnixNanos,
    wait_seconds: i64,
    outcome: Outcome,
}

impl Pursuits {
    /// Gathers the facts for what may begin at all.
    pub async fn pursue(&mut self, shared: &Shared, wanted: Vec<Wanted>, now: UnixNanos) -> Result<Vec<Pursued>, StateError> {
        self.waiting
            .retain(|_, waiting| now.seconds_since(waiting.until) < (2 * MAX_WAIT_SECONDS) as f64);
        let deadline = tokio::time::Instant::now() + FACTS_TIMEOUT;
        let mut pursued = Vec::new();
        for Wanted { asked, by } in wanted {
            let (kind, target, firing_since) = (asked.kind, asked.target_key(), asked.firing_since());
            let outcome = match self.still_waiting(&target, firing_since, now) {
                Some(outcome) => outcome,
                None => look(shared, asked, deadline, now).await?,
            };
            pursued.push(Pursued {
                kind,
                target,
                firing_since,
                by,
                outcome,
            });
        }
        Ok(pursued)
    }

    fn still_waiting(&self, target: &Target, firing_since: UnixNanos, now: UnixNanos) -> Option<Outcome> {
        let waiting = self.waiting.get(target)?;
        (waiting.firing_since == firing_since && now < waiting.until).then(|| waiting.outcome.clone())
    }

    /// Remembers what came of it. A refusal that only the past gives costs no query and is not waited for.
    pub fn note(&mut self, pursued: &[Pursued], now: UnixNanos) {
        for item in pursued {
            let costly = match &item.outcome {
                Outcome::Refused(refusal) => refusal.needs_facts(),
                Outcome::Unknown(_) => true,
                Outcome::Begun(_) => false,
                Outcome::Proposed(_) => continue,
            };
            if !costly {
                self.waiting.remove(&item.target);
                continue;
            }
            if self.still_waiting(&item.target, item.firing_since, now).is_some() {
                continue;
            }
            let before = self
                .waiting
                .get(&item.target)
                .filter(|before| before.firing_since == item.firing_since);
            let wait_seconds = before.map_or(FIRST_WAIT_SECONDS, |before| (before.wait_seconds * 2).min(MAX_WAIT_SECONDS));
            let waiting = Waiting {
                firing_since: item.firing_since,
                until: now.plus_seconds(wait_seconds),
                wait_seconds,
                outcome: item.outcome.clone(),
            };
            self.waiting.insert(item.target.clone(), waiting);
        }
    }
}

/// Whether it may begin, by the past and by the facts.
async fn look(shared: &Shared, asked: Asked, deadline: tokio::time::Instant, now: UnixNanos) -> Result<Outcome, StateError> {
    let kind = asked.kind;
    let filter = ActionFilter {
        model: Some(asked.model.clone()),
        environment: Some(asked.environment.clone()),
        limit: PAST_ACTIONS,
        ..ActionFilter::default()
    };
    let mut past = shared.state.actions(&filter).await?;
    past.retain(|action| action.kind == kind);
    Ok(match refuse_early(shared.endpoint(kind, &asked.model), &asked, &past, now) {
        Err(refusal) => Outcome::Refused(refusal),
        Ok(()) => match tokio::time::timeout_at(deadline, gather(shared, asked, now)).await {
            Ok(Ok(proposal)) => Outcome::Proposed(Box::new(proposal)),
            Ok(Err(error)) => Outcome::Unknown(format!("it cannot be seen what serves at present: {error}")),
            Err(_) => Outcome::Unknown("it cannot be seen what serves at present".into()),
        },
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pursued(firing_since: UnixNanos, outcome: Outcome) -> Pursued {
        Pursued {
            kind: ActionKind::Rollback,
            target: target(),
            firing_since,
            by: Vec::new(),
            outcome,
        }
    }

    fn target() -> Target {
        (ActionKind::Rollback, "production".into(), "employment".into(), "1.1".into())
    }

    #[test]
    fn what_was_refused_by_facts_is_pursued_again_ever_later_and_at_once_for_a_younger_alert() {
        let since = UnixNanos::from_seconds(1_000);
        let refused = || Outcome::Refused(Refusal::FailedGate { version: "1.0".into() });
        let mut pursuits = Pursuits::default();
        let (mut now, mut waits) = (since, Vec::new());
        for _ in 0..6 {
            pursuits.note(&[pursued(since, refused())], now);
            let until = pursuits.waiting[&target()].until;
            assert!(pursuits.still_waiting(&target(), since, until.plus_seconds(-1)).is_some());
            assert!(pursuits.still_waiting(&target(), since, until).is_none());
            waits.push(until.seconds() - now.seconds());
            now = until;
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
        assert!(pursuits.still_waiting(&target(), since.plus_seconds(1), since).is_none());
        // What only the past refuses costs no query.
        let cooling = Outcome::Refused(Refusal::CoolingDown { until: now });
        pursuits.note(&[pursued(since, cooling)], now);
        assert!(pursuits.waiting.is_empty());
    }
}
