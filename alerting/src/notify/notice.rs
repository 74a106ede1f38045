//! What can be said, and the JSON of it (design §6): typed, so that names and their order are stated once.

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{Action, ActionKind, ActionState};
use driftlead_store::state::alerts::{Alert, AlertState, Severity};
use serde::Serialize;

/// Alerts of one group beyond this many are counted in a message, not listed.
pub const MAX_ALERTS_LISTED: usize = 50;

/// The JSON of one message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Body<Data> {
    /// Such as `alert.firing` or `rollback.requested`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was decided.
    pub timestamp: UnixNanos,
    /// What it is about.
    pub data: Data,
}

impl<Data: Serialize> Body<Data> {
    /// As it is sent.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("bodies hold texts, numbers and lists, which JSON can say")
    }
}

/// Whether alerts began or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertNews {
    /// They fire.
    Firing,
    /// They were resolved.
    Resolved,
}

impl AlertNews {
    fn kind(self) -> &'static str {
        match self {
            Self::Firing => "alert.firing",
            Self::Resolved => "alert.resolved",
        }
    }
}

/// An action beside an alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionNote {
    /// `rollback` or `retrain`.
    pub kind: ActionKind,
    /// The action; `None` where none was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Where it stands; `None` where none was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ActionState>,
    /// Why none was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An alert and the actions beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSaid<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// What is done about it.
    pub actions: Vec<ActionNote>,
}

/// What a message about alerts says: the most severe one in the fields of the message itself, and where
/// there are several, all of them under `alerts`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertsData {
    #[serde(flatten)]
    first: AlertData,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<AlertData>,
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct AlertData {
    alert: String,
    rule: String,
    severity: Severity,
    model: String,
    version: String,
    environment: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    segment: String,
    signal: String,
    subject: String,
    value: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    threshold: Option<f64>,
    since: UnixNanos,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<UnixNanos>,
    why: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<String>,
    actions: Vec<ActionNote>,
    page: String,
}

/// The message about alerts of one group. The most severe comes first, then the one that fires longest.
pub fn about_alerts(news: AlertNews, alerts: &[AlertSaid<'_>], public_url: &str, now: UnixNanos) -> Body<AlertsData> {
    let mut ordered: Vec<&AlertSaid<'_>> = alerts.iter().collect();
    ordered.sort_by_key(|said| {
        (
            std::cmp::Reverse(said.alert.severity),
            said.alert.firing_since,
            said.alert.rule.clone(),
            said.alert.series.clone(),
        )
    });
    let mut listed: Vec<AlertData> = ordered
        .iter()
        .take(MAX_ALERTS_LISTED)
        .map(|said| alert_data(said, public_url))
        .collect();
    let first = listed.first().cloned().expect("a message is about at least one alert");
    if ordered.len() == 1 {
        listed.clear();
    }
    Body {
        kind: news.kind().into(),
        timestamp: now,
        data: AlertsData {
            first,
            alerts: listed,
            more: ordered.len().saturating_sub(MAX_ALERTS_LISTED),
        },
    }
}

fn alert_data(said: &AlertSaid<'_>, public_url: &str) -> AlertData {
    let alert = said.alert;
    AlertData {
        alert: alert.id.clone(),
        rule: alert.rule.clone(),
        severity: alert.severity,
        model: alert.series.model.clone(),
        version: alert.series.version.clone(),
        environment: alert.series.environment.clone(),
        segment: alert.series.segment.clone(),
        signal: alert.signal.clone(),
        subject: alert.series.subject.clone(),
        value: alert.value,
        lower: alert.lower,
        upper: alert.upper,
        threshold: alert.threshold,
        since: alert.firing_since.unwrap_or(alert.since),
        resolved_at: alert.resolved_at.filter(|_| alert.state == AlertState::Resolved),
        why: alert.why.clone(),
        because: alert.memory.because.clone(),
        actions: said.actions.clone(),
        page: page_of(alert, public_url),
    }
}

/// What a deployer is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RollbackData {
    action: String,
    model: String,
    environment: String,
    from: Option<String>,
    to: Option<String>,
    to_commit: Option<String>,
    to_artifact: Option<String>,
    because: Vec<String>,
    deadline: UnixNanos,
    page: String,
}

/// What a trainer is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrainData {
    action: String,
    retrain_id: Option<String>,
    model: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    environment: String,
    because: Vec<String>,
    since: Option<UnixNanos>,
    examples: String,
    page: String,
}

/// The body of `rollback.requested`.
pub fn rollback_requested(action: &Action, public_url: &str) -> Body<RollbackData> {
    Body {
        kind: "rollback.requested".into(),
        timestamp: action.updated_at,
        data: RollbackData {
            action: action.id.clone(),
            model: action.model.clone(),
            environment: action.environment.clone(),
            from: action.from_version.clone(),
            to: action.to_version.clone(),
            to_commit: action.details.to_commit.clone(),
            to_artifact: action.details.to_artifact.clone(),
            because: action.because.clone(),
            deadline: action.deadline,
            page: page(public_url, &action.model, &action.environment),
        },
    }
}

/// The body of `retrain.requested`.
pub fn retrain_requested(action: &Action, public_url: &str) -> Body<RetrainData> {
    Body {
        kind: "retrain.requested".into(),
        timestamp: action.updated_at,
        data: RetrainData {
            action: action.id.clone(),
            retrain_id: action.retrain_id.clone(),
            model: action.model.clone(),
            environment: action.environment.clone(),
            because: action.because.clone(),
            since: action.details.new_examples_since,
            examples: examples(public_url, action),
            page: page(public_url, &action.model, &action.environment),
        },
    }
}

/// What people are told of an action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionNewsData {
    action: String,
    kind: ActionKind,
    state: ActionState,
    model: String,
    environment: String,
    from: Option<String>,
    to: Option<String>,
    retrain_id: Option<String>,
    because: Vec<String>,
    note: String,
    requested_by: String,
    page: String,
}

/// The body of `rollback.confirmed`, `rollback.overdue`, `retrain.failed` and so on.
pub fn about_action(action: &Action, note: &str, public_url: &str) -> Body<ActionNewsData> {
    Body {
        kind: format!("{}.{}", action.kind.as_str(), action.state.as_str()),
        timestamp: action.updated_at,
        data: ActionNewsData {
            action: action.id.clone(),
            kind: action.kind,
            state: action.state,
            model: action.model.clone(),
            environment: action.environment.clone(),
            from: action.from_version.clone(),
            to: action.to_version.clone(),
            retrain_id: action.retrain_id.clone(),
            because: action.because.clone(),
            note: note.to_owned(),
            requested_by: action.requested_by.clone(),
            page: page(public_url, &action.model, &action.environment),
        },
    }
}

/// The page of a model, or of all alerts for what is about Driftlead itself.
pub fn page(public_url: &str, model: &str, environment: &str) -> String {
    match (model, environment) {
        ("", _) => format!("{public_url}/alerts"),
        (model, "") => format!("{public_url}/models/{}", escaped(model)),
        (model, environment) => format!("{public_url}/models/{}?env={}", escaped(model), escaped(environment)),
    }
}

/// Address of the page that shows what an alert is about.
pub fn page_of(alert: &Alert, public_url: &str) -> String {
    match &alert.memory.query {
        Some(query) => searched(public_url, query, &alert.series.environment),
        None => page(public_url, &alert.series.model, &alert.series.environment),
    }
}

/// Address of the errors that a rule searches for.
fn searched(public_url: &str, query: &str, environment: &str) -> String {
    let environment = match environment {
        "" => String::new(),
        environment => format!("&env={}", escaped(environment)),
    };
    format!("{public_url}/errors?q={}{environment}", escaped(query))
}

fn examples(public_url: &str, action: &Action) -> String {
    let inferences = format!("{public_url}/api/v1/models/{}/inferences", escaped(&action.model));
    let since = action.details.new_examples_since.map(|since| ("from", since.to_string()));
    let environment = (!action.environment.is_empty()).then(|| ("environment", action.environment.clone()));
    let query: Vec<String> = since
        .into_iter()
        .chain(environment)
        .map(|(name, value)| format!("{name}={}", escaped(&value)))
        .collect();
    if query.is_empty() {
        inferences
    } else {
        format!("{inferences}?{}", query.join("&"))
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
