//! What tests of several parts share: alerts, and a state with receivers that answer as they are told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State as Extracted;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use driftlead_store::clickhouse::{ClickHouse, ClickHouseConfig};
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::ids::{IdKind, new_id};
use driftlead_store::model_settings::{ActionSettings, Approval, ModelSettings};
use driftlead_store::state::State;
use driftlead_store::state::actions::{Action, ActionDetails, ActionKind, ActionState};
use driftlead_store::state::alerts::{Alert, AlertMemory, AlertState, Series, Severity, Side};

use crate::config::{AlertingConfig, AlertingSettings, EmailConfig, ReceiverConfig, SmtpConfig, SmtpTls, WebhookConfig, resolve_models};
use crate::pack::RuleSet;
use crate::shared::Shared;

/// The secret of the published vectors.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An alert of the model `employment` 1.1 in production, firing since ten in the morning.
pub(crate) fn alert(signal: &str, state: AlertState) -> Alert {
    let since = UnixNanos::parse("2026-11-23T10:00:00Z").unwrap();
    Alert {
        id: format!("alr_{signal}"),
        rule: format!("{signal}-rule"),
        series: Series {
            environment: "production".into(),
            model: "employment".into(),
            version: "1.1".into(),
            ..Series::default()
        },
        signal: signal.into(),
        severity: Severity::Critical,
        state,
        since,
        firing_since: Some(since),
        resolved_at: None,
        last_window_end: since,
        last_notified_at: None,
        value: Some(0.61),
        lower: Some(0.52),
        upper: Some(0.7),
        threshold: Some(0.75),
        why: "The rule's own words.".into(),
        memory: AlertMemory {
            side: Some(Side::Below),
            reason: format!("{signal} 0.61 (0.52–0.7) below 0.75"),
            ..AlertMemory::default()
        },
        updated_at: since,
    }
}

/// How a receiver answers one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Status(u16),
    RetryAfter(u16, &'static str),
    /// Never.
    Hang,
    /// A body without end.
    Endless,
}

/// A request as a receiver got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub headers: HeaderMap,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A real HTTP receiver: answers as told, then 200.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    pub received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Receiver {
    /// Starts it and returns its address.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> (Self, String) {
        let receiver = Self::default();
        receiver.answers.lock().unwrap().extend(answers);
        let router = axum::Router::new().fallback(take).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn take(Extracted(receiver): Extracted<Receiver>, headers: HeaderMap, body: String) -> Response {
    receiver.received.lock().unwrap().push(Received { headers, body });
    let answer = receiver.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(200));
    match answer {
        Answer::Status(status) => (StatusCode::from_u16(status).unwrap(), "words\u{7} of the receiver").into_response(),
        Answer::RetryAfter(status, after) => (StatusCode::from_u16(status).unwrap(), [("retry-after", after)]).into_response(),
        Answer::Hang => std::future::pending().await,
        Answer::Endless => {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(64 * 1024)));
            (StatusCode::INTERNAL_SERVER_ERROR, axum::body::Body::from_stream(chunks)).into_response()
        }
    }
}

/// A state in a folder of its own with everything that alerting shares. No telemetry can be read.
pub(crate) struct Bench {
    pub shared: Arc<Shared>,
    folder: tempfile::TempDir,
}

/// What a bench is made of.
#[derive(Default)]
pub(crate) struct BenchSettings {
    pub webhook: Option<String>,
    pub smtp_port: Option<u16>,
    pub rollback: Option<(String, Approval)>,
    pub retrain: Option<(String, Approval)>,
    pub clock: Option<Clock>,
    pub rules: Option<&'static str>,
}

impl Bench {
    pub async fn new(settings: BenchSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut receivers = Vec::new();
        if let Some(url) = settings.webhook {
            receivers.push(ReceiverConfig {
                name: "oncall".into(),
                webhook: Some(WebhookConfig {
                    url,
                    secret: Some(SECRET.into()),
                }),
                email: None,
            });
        }
        let smtp = settings.smtp_port.map(|port| {
            receivers.push(ReceiverConfig {
                name: "mail".into(),
                webhook: None,
                email: Some(EmailConfig {
                    to: vec!["Ana <ana@example.org>".into(), "bo@example.org".into()],
                }),
            });
            SmtpConfig {
                host: "127.0.0.1".into(),
                port: Some(port),
                from: "Driftlead <driftlead@example.org>".into(),
                tls: SmtpTls::None,
                user: None,
                password: None,
            }
        });
        let config = AlertingConfig::resolve(&AlertingSettings {
            receivers,
            smtp,
            public_url: "http://127.0.0.1:8080".into(),
            ..AlertingSettings::default()
        })
        .unwrap();
        let action = |action: Option<(String, Approval)>| {
            action.map(|(url, approval)| ActionSettings {
                url,
                approval,
                secret: Some(SECRET.into()),
                cool_down: Duration::from_secs(600),
            })
        };
        let mut model = ModelSettings::undeclared("employment");
        model.rollback = action(settings.rollback);
        model.retrain = action(settings.retrain);
        let paths = settings.rules.map(|text| {
            let path = folder.path().join("rules.toml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let paths: Vec<_> = paths.into_iter().collect();
        let shared = Shared {
            rules: RuleSet::load(&paths, &config).unwrap(),
            config,
            models: resolve_models(&[model]).unwrap_or_else(|problems| panic!("{problems}")),
            clickhouse: nowhere(),
            state: State::open(&folder.path().join("state.db")).await.unwrap(),
            clock: settings.clock.unwrap_or(Clock::System),
        };
        Self {
            shared: Arc::new(shared),
            folder,
        }
    }
}

impl Bench {
    pub fn rules_path(&self) -> std::path::PathBuf {
        self.folder.path().join("rules.toml")
    }
}

/// A rollback of a version of `employment` in production, as it is asked for.
pub(crate) fn rollback(from: &str, now: UnixNanos) -> Action {
    Action {
        id: new_id(IdKind::Action),
        kind: ActionKind::Rollback,
        model: "employment".into(),
        environment: "production".into(),
        from_version: Some(from.into()),
        to_version: Some("0.9".into()),
        retrain_id: None,
        state: ActionState::Requested,
        because: vec!["control_f1 0.61 (0.52–0.7) below 0.75".into()],
        rule: None,
        alert_id: None,
        requested_by: "rule".into(),
        requested_at: now,
        accepted_at: None,
        finished_at: None,
        deadline: now,
        details: ActionDetails::default(),
        updated_at: now,
    }
}

/// A ClickHouse that does not answer.
fn nowhere() -> ClickHouse {
    ClickHouse::connect(&ClickHouseConfig {
        url: "http://127.0.0.1:9".into(),
        ..ClickHouseConfig::default()
    })
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain until {what}");
}
