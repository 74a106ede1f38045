//! Alerts with how they changed, what was sent and what was done.

use driftlead_alerting::commands::AlertView;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::alerts::{AlertState, AlertTransition, Severity, Side};
use serde::Serialize;

use super::action::{Action, Delivery};

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// `alr_…`.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// The environment.
    pub environment: String,
    /// The segment.
    pub segment: String,
    /// The signal.
    pub signal: String,
    /// The feature that it is about.
    pub subject: String,
    /// The value that was judged last.
    pub value: Option<f64>,
    /// Its lower bound.
    pub lower: Option<f64>,
    /// Its upper bound.
    pub upper: Option<f64>,
    /// Which side is bad.
    pub side: Option<Side>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// What the rule searches for, where it counts errors.
    pub query: Option<String>,
    /// Length of the window in seconds.
    pub window_s: Option<u32>,
    /// Start of the present state.
    pub since: UnixNanos,
    /// Since when it fires, or fired last.
    pub firing_since: Option<UnixNanos>,
    /// When it was resolved last.
    pub resolved_at: Option<UnixNanos>,
    /// The rule's own words.
    pub why: String,
    /// What led to it: the reasons that the signal gives, else the comparison and the parts of the traffic that carry it.
    pub because: Vec<String>,
    /// End of the silence that covers it.
    pub silenced_until: Option<UnixNanos>,
    /// How it changed, oldest first.
    pub transitions: Vec<AlertTransition>,
    /// What was sent.
    pub deliveries: Vec<Delivery>,
    /// What was done.
    pub actions: Vec<Action>,
}

impl From<AlertView> for Alert {
    fn from(view: AlertView) -> Self {
        let AlertView {
            alert: stored,
            silenced_until,
            transitions,
            deliveries,
            actions,
        } = view;
        Self {
            id: stored.id,
            rule: stored.rule,
            severity: stored.severity,
            state: stored.state,
            model: stored.series.model,
            version: stored.series.version,
            environment: stored.series.environment,
            segment: stored.series.segment,
            signal: stored.signal,
            subject: stored.series.subject,
            value: stored.value,
            lower: stored.lower,
            upper: stored.upper,
            side: stored.memory.side,
            threshold: stored.threshold,
            query: stored.memory.query,
            window_s: stored.memory.window_seconds,
            since: stored.since,
            firing_since: stored.firing_since,
            resolved_at: stored.resolved_at,
            why: stored.why,
            because: stored.memory.because,
            silenced_until,
            transitions,
            deliveries: deliveries.into_iter().map(Delivery::from).collect(),
            actions: actions.into_iter().map(Action::from).collect(),
        }
    }
}
