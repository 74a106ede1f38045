//! A model's state in one word, with its reasons: what fires, what failed, what is silent.

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{Action, ActionState};
use driftlead_store::state::alerts::{Alert, AlertState, Severity, Side};
use serde::Serialize;

/// In the order of how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// Nothing is wrong.
    Ok,
    /// Nothing is known.
    Unknown,
    /// Somebody should look.
    Warning,
    /// Somebody has to act.
    Critical,
}

/// State and reasons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// The worst of the reasons.
    pub state: HealthState,
    /// Since when it is so.
    pub since: Option<UnixNanos>,
    /// Most severe first.
    pub reasons: Vec<HealthReason>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthReason {
    /// Kind of the reason.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Since when.
    pub since: Option<UnixNanos>,
    /// The alert.
    pub alert_id: Option<String>,
    /// The rule.
    pub rule: Option<String>,
    /// The signal.
    pub signal: Option<String>,
    /// The feature.
    pub subject: String,
    /// The version.
    pub version: String,
    /// The signal's value.
    pub value: Option<f64>,
    /// The bound that was compared.
    pub bound: Option<f64>,
    /// Which side is bad.
    pub side: Option<Side>,
    /// What it was compared with.
    pub threshold: Option<f64>,
}

/// Judges by open alerts and by the actions that ended badly or are overdue. `has_signals` tells a model that is well
/// from one of which nothing is known yet.
pub fn judge(alerts: &[Alert], actions: &[Action], has_signals: bool) -> Health {
    let open = alerts.iter().filter_map(alert_reason);
    let mut reasons: Vec<_> = open.chain(actions.iter().filter_map(action_reason)).collect();
    // Firing before pending, the most severe first, then the oldest.
    reasons.sort_by_key(|reason| {
        (
            reason.code == "pending_alert",
            std::cmp::Reverse(rank(reason.severity)),
            reason.since,
        )
    });
    let worst = reasons
        .iter()
        .filter(|reason| reason.code != "pending_alert")
        .map(|reason| rank(reason.severity))
        .max();
    let state = match worst {
        Some(2) => HealthState::Critical,
        Some(1) => HealthState::Warning,
        _ if !has_signals => HealthState::Unknown,
        _ => HealthState::Ok,
    };
    Health {
        state,
        since: reasons.iter().filter_map(|reason| reason.since).min(),
        reasons,
    }
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}

fn alert_reason(alert: &Alert) -> Option<HealthReason> {
    let code = match alert.state {
        AlertState::Firing => "alert",
        AlertState::Pending => "pending_alert",
        AlertState::Inactive | AlertState::Resolved => return None,
    };
    Some(HealthReason {
        code,
        severity: alert.severity,
        since: Some(
            alert
                .firing_since
                .filter(|_| alert.state == AlertState::Firing)
                .unwrap_or(alert.since),
        ),
        alert_id: Some(alert.id.clone()),
        rule: Some(alert.rule.clone()),
        signal: Some(alert.signal.clone()),
        subject: alert.series.subject.clone(),
        version: alert.series.version.clone(),
        value: alert.value,
        bound: alert.memory.bound,
        side: alert.memory.side,
        threshold: alert.threshold,
    })
}

fn action_reason(action: &Action) -> Option<HealthReason> {
    matches!(action.state, ActionState::Failed | ActionState::Overdue | ActionState::Unobserved).then(|| HealthReason {
        code: "action_failed",
        severity: Severity::Critical,
        since: Some(action.finished_at.unwrap_or(action.updated_at)),
        alert_id: action.alert_id.clone(),
        rule: action.rule.clone(),
        signal: None,
        subject: action.kind.as_str().to_owned(),
        version: action.from_version.clone().unwrap_or_default(),
        value: None,
        bound: None,
        side: None,
        threshold: None,
    })
}
