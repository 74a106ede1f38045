//! The alerts that are kept, in memory as they are in the state, and how a judgement changes one.

use std::collections::HashMap;

use driftlead_store::clock::UnixNanos;
use driftlead_store::ids::{IdKind, new_id};
use driftlead_store::records::Signal;
use driftlead_store::state::alerts::{Alert, AlertMemory, AlertState, AlertTransition, Series};

use crate::evaluate::{Judgement, Standing};
use crate::route::FLAP_FIRINGS;
use crate::rule::Rule;

/// An alert that did not change its state is written at most this often, so that pages show its value
/// without a write for every signal.
const REFRESH_SECONDS: f64 = 30.0;

/// Alerts by rule and series.
#[derive(Debug, Default)]
pub(crate) struct Book {
    by_rule: HashMap<String, HashMap<Series, Alert>>,
}

impl Book {
    pub fn new(alerts: Vec<Alert>) -> Self {
        let mut book = Self::default();
        for alert in alerts {
            book.put(alert);
        }
        book
    }

    pub fn put(&mut self, alert: Alert) {
        let series = alert.series.clone();
        self.by_rule.entry(alert.rule.clone()).or_default().insert(series, alert);
    }

    /// The alert of a rule and series. Costs nothing where a rule has none.
    pub fn get(&self, rule: &str, signal: &Signal) -> Option<&Alert> {
        self.by_rule.get(rule).filter(|alerts| !alerts.is_empty())?.get(&series_of(signal))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.by_rule.values().flat_map(HashMap::values)
    }

    /// Forgets alerts that ended before `before`.
    pub fn forget_ended_before(&mut self, before: UnixNanos) {
        for alerts in self.by_rule.values_mut() {
            alerts.retain(|_, alert| is_active(alert) || alert.updated_at >= before);
        }
    }
}

/// Whether an alert pends or fires.
pub(crate) fn is_active(alert: &Alert) -> bool {
    matches!(alert.state, AlertState::Pending | AlertState::Firing)
}

/// What a signal is about.
pub(crate) fn series_of(signal: &Signal) -> Series {
    Series {
        environment: signal.environment.clone(),
        model: signal.model.clone(),
        version: signal.version.clone(),
        segment: signal.segment.clone(),
        subject: signal.subject.clone(),
    }
}

/// An alert that is being changed: written when its transaction commits, and only then in the book.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub alert: Alert,
    pub transitions: Vec<AlertTransition>,
    /// Whether it has to be written.
    pub dirty: bool,
}

impl Change {
    pub fn of(alert: Alert) -> Self {
        Self {
            alert,
            transitions: Vec::new(),
            dirty: false,
        }
    }

    /// Of a series that has no alert yet.
    pub fn new(rule: &Rule, signal: &Signal, now: UnixNanos) -> Self {
        Self::of(Alert {
            id: new_id(IdKind::Alert),
            rule: rule.name.clone(),
            series: series_of(signal),
            signal: rule.signal.name.into(),
            severity: rule.severity,
            state: AlertState::Inactive,
            since: now,
            firing_since: None,
            resolved_at: None,
            last_window_end: UnixNanos(0),
            last_notified_at: None,
            value: None,
            lower: None,
            upper: None,
            threshold: None,
            why: rule.why.clone(),
            memory: AlertMemory::default(),
            updated_at: UnixNanos(0),
        })
    }

    /// Takes what a signal came to.
    pub fn judged(&mut self, rule: &Rule, threshold: f64, signal: &Signal, judgement: &Judgement, now: UnixNanos) {
        let alert = &mut self.alert;
        if judgement.judged {
            (alert.value, alert.lower, alert.upper) = (signal.value, signal.lower, signal.upper);
            alert.memory.n = signal.n;
            alert.memory.bound = match rule.side {
                driftlead_store::state::alerts::Side::Above => signal.decision_lower,
                driftlead_store::state::alerts::Side::Below => signal.decision_upper,
            };
            alert.memory.because = because(signal, judgement);
        }
        alert.threshold = Some(threshold);
        alert.severity = rule.severity;
        alert.why.clone_from(&rule.why);
        alert.memory.window_seconds = rule.window_length();
        alert.memory.query = rule.search.as_ref().map(|search| search.query.clone());
        alert.memory.side = Some(rule.side);
        self.moved(judgement, now);
    }

    /// Takes a new standing.
    pub fn moved(&mut self, judgement: &Judgement, now: UnixNanos) {
        let (alert, next) = (&mut self.alert, &judgement.standing);
        let from = alert.state;
        alert.state = next.state;
        alert.since = next.since;
        alert.firing_since = next.firing_since;
        alert.resolved_at = next.resolved_at;
        alert.last_window_end = next.last_window_end.unwrap_or(UnixNanos(0));
        alert.memory.last_was_provisional = next.last_was_provisional;
        alert.memory.holds_since = next.holds_since;
        // No data that changes nothing leaves the words for what was seen last.
        if judgement.judged || from != next.state {
            alert.memory.reason = judgement.reason.to_string();
        }
        if from == next.state {
            self.dirty |= is_active(alert) && now.seconds_since(alert.updated_at) >= REFRESH_SECONDS;
            return;
        }
        if next.state == AlertState::Firing {
            alert.memory.recent_firings.push(now);
            let surplus = alert.memory.recent_firings.len().saturating_sub(FLAP_FIRINGS);
            alert.memory.recent_firings.drain(..surplus);
            alert.memory.actions_not_taken.clear();
        }
        self.dirty = true;
        // Several changes at one instant keep their order and their own key.
        let at = UnixNanos(now.0.saturating_add(self.transitions.len() as i64));
        self.transitions.push(AlertTransition {
            alert_id: alert.id.clone(),
            at,
            from,
            to: next.state,
            value: alert.value,
            reason: alert.memory.reason.clone(),
        });
    }

    pub fn standing(&self) -> Standing {
        Standing::of(&self.alert)
    }
}

/// What led to it, as webhooks have it: the reasons that the signal itself gives, else the comparison, and the parts of the traffic
/// that carry it.
fn because(signal: &Signal, judgement: &Judgement) -> Vec<String> {
    /// Reasons of one signal that are kept.
    const MAX_REASONS: usize = 10;
    let given = |key: &str| -> Vec<String> {
        let texts = signal.details.get(key).and_then(serde_json::Value::as_array);
        let texts = texts.into_iter().flatten().filter_map(serde_json::Value::as_str);
        texts.map(str::to_owned).take(MAX_REASONS).collect()
    };
    let reasons = given("reasons");
    if reasons.is_empty() {
        let carried = given("carried_by").into_iter().map(|slice| format!("carried by {slice}"));
        std::iter::once(judgement.reason.because()).chain(carried).collect()
    } else {
        reasons
    }
}
