//! The router over HTTP: who may do what, and from where. Telemetry cannot be read here.

use axum::body::Body;
use axum::http::{Method, Request};
use driftlead_alerting::RuleSet;
use driftlead_alerting::commands::Commands;
use driftlead_alerting::config::AlertingConfig;
use driftlead_analyzer::References;
use driftlead_analyzer::clusters::ClusterKeeper;
use driftlead_store::clickhouse::query::records::RecordSearch;
use driftlead_store::clickhouse::{ClickHouse, ClickHouseConfig};
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::clusters::Clusterings;
use driftlead_store::index::{ErrorIndex, IndexConfig};
use driftlead_store::state::State;
use driftlead_store::state::key_rates::KeyRate;
use driftlead_store::state::keys::{Key, KeyRing, NewKey, Scope};
use driftlead_store::state::verdicts::{Verdict, VerdictKind};
use driftlead_store::state::versions::SeenVersion;
use driftlead_store::wal::{Log, LogConfig};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::api::live;
use crate::auth::Caller;
use crate::parts::{Addresses, CollectorPart, DrainPart, EngineKind, EnginePart, EngineState, Parts};

const HOST: &str = "127.0.0.1:8080";
const PUBLIC_URL: &str = "https://drift.example";

/// A server on a loopback listener that is published as [`PUBLIC_URL`].
struct Site {
    router: Router,
    app: Arc<WebState>,
    state: State,
    _folder: tempfile::TempDir,
}

/// An answer.
struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Answer {
    fn kind(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::System;
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let clickhouse = ClickHouse::connect(&ClickHouseConfig {
            url: "http://127.0.0.1:9".into(),
            ..ClickHouseConfig::default()
        });
        let alerting = AlertingConfig::default();
        let rules = RuleSet::load(&[], &alerting).unwrap();
        let commands = Commands::new(alerting, rules, clickhouse.clone(), state.clone(), &[], clock.clone()).unwrap();
        let references = References::new(clickhouse.clone(), state.clone(), Vec::new());
        let app = WebState {
            log: Log::open(LogConfig::new(folder.path().join("log")), clock.clone()).unwrap(),
            index: ErrorIndex::open(&IndexConfig::at(folder.path().join("index")), &clock).unwrap(),
            records: RecordSearch::new(clickhouse.clone(), clock.clone()),
            clusters: ClusterKeeper::new(references.clone(), Clusterings::default(), Vec::new()),
            references,
            clickhouse,
            keys: KeyRing::new(state.clone(), clock.clone()),
            state: state.clone(),
            commands,
            models: Arc::default(),
            label_delays: driftlead_store::label_delays::LabelDelays::default(),
            false_alerts_per_month: 1.0,
            parts: Arc::new(parts),
            public_url: Some(PUBLIC_URL.into()),
            clock,
        };
        let server = Server::new(Arc::new(app), true, CancellationToken::new());
        Self {
            app: server.app.clone(),
            router: router(server),
            state,
            _folder: folder,
        }
    }

    async fn key(&self, scope: Scope, environments: &[&str]) -> String {
        let new = NewKey {
            scopes: vec![scope],
            environments: environments.iter().map(|name| (*name).to_owned()).collect(),
            rate: KeyRate::default(),
            label: scope.name().into(),
        };
        let (_, secret) = self.state.create_key(new, Clock::System.now()).await.unwrap();
        secret.reveal().to_owned()
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", HOST);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn with_key(&self, method: Method, path: &str, key: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, body.to_string()).await
    }
}

fn parts() -> Parts {
    Parts {
        started_at: UnixNanos(0),
        listen: Addresses::default(),
        drain: DrainPart::default(),
        engine: EnginePart {
            kind: EngineKind::Embedded,
            state: EngineState::Down,
            since: UnixNanos(0),
            restarts: 0,
            message: None,
        },
        collector: CollectorPart::default(),
    }
}

fn silence(environment: Option<&str>) -> Value {
    json!({ "matchers": { "model": "m", "environment": environment }, "ends_at": Clock::System.now().plus_seconds(60), "reason": "" })
}

fn verdict(environment: &str) -> Verdict {
    Verdict {
        id: format!("ver_{environment}"),
        model: "m".into(),
        version: "1".into(),
        environment: environment.into(),
        baseline_version: None,
        set_id: "set".into(),
        replay_id: "rpl".into(),
        baseline_replay_id: None,
        verdict: VerdictKind::Fail,
        reasons: Vec::new(),
        flips: Vec::new(),
        details: json!({}),
        created_at: UnixNanos(1),
    }
}

#[tokio::test]
async fn each_scope_may_do_what_it_says_and_no_more() {
    let site = Site::new().await;
    let outcome = json!({ "model": "m", "request_id": "r", "kind": "label", "label": "1" });
    let silence = silence(None);
    // Made before the first request: the ring looks for new ones every other second only.
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push(site.key(scope, &[]).await);
    }
    let expected = [
        (Scope::Ingest, 403, 403, 200),
        (Scope::Read, 200, 403, 403),
        (Scope::Operate, 200, 201, 403),
        (Scope::Admin, 200, 201, 200),
    ];
    for ((scope, reads, operates, ingests), key) in expected.into_iter().zip(keys) {
        let status = async |method, path, body: &Value| site.with_key(method, path, &key, body.clone()).await.status;
        assert_eq!(status(Method::GET, "/api/v1/alerts", &Value::Null).await, reads, "{scope:?}");
        assert_eq!(status(Method::POST, "/api/v1/silences", &silence).await, operates, "{scope:?}");
        assert_eq!(status(Method::POST, "/api/v1/outcomes", &outcome).await, ingests, "{scope:?}");
    }
    for headers in [
        &[] as &[(&str, &str)],
        &[("authorization", "Bearer dl_wrong")],
        &[("authorization", "Basic x")],
    ] {
        let refused = site.send(Method::GET, "/api/v1/alerts", headers, "").await;
        assert_eq!((refused.status, refused.kind()), (401, "application/problem+json"));
    }
}

#[tokio::test]
async fn without_keys_all_is_open_under_a_name_of_loopback_only() {
    let site = Site::new().await;
    let read = async |host: &str| site.send(Method::GET, "/api/v1/alerts", &[("host", host)], "").await.status;
    for (host, expected) in [
        (HOST, 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("drift.example", 401),
        ("evil.example", 403),
    ] {
        assert_eq!(read(host).await, expected, "{host}");
    }
    // A key that was made and revoked does not open it again.
    let (key, _) = site
        .state
        .create_key(
            NewKey {
                scopes: vec![Scope::Admin],
                environments: Vec::new(),
                rate: KeyRate::default(),
                label: String::new(),
            },
            UnixNanos(1),
        )
        .await
        .unwrap();
    site.state.revoke_key(&key.id, UnixNanos(2)).await.unwrap();
    let elsewhere = KeyRing::new(site.state.clone(), Clock::System);
    assert!(!elsewhere.is_open().await.unwrap());
}

#[tokio::test]
async fn changes_come_from_our_own_pages_or_from_no_page() {
    let site = Site::new().await;
    let body = silence(None).to_string();
    for (origin, expected) in [
        (None, 201),
        (Some("http://127.0.0.1:8080"), 201),
        (Some("https://drift.example"), 201),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
    ] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let answer = site.send(Method::POST, "/api/v1/silences", &headers, body.clone()).await;
        assert_eq!(answer.status, expected, "{origin:?}");
    }
    let read = site
        .send(Method::GET, "/api/v1/silences", &[("origin", "https://evil.example")], "")
        .await;
    assert_eq!(read.status, 200, "what changes nothing is the browser's to keep apart");
}

#[tokio::test]
async fn a_session_changes_things_only_with_its_token() {
    let site = Site::new().await;
    let (key, ingest) = (site.key(Scope::Operate, &[]).await, site.key(Scope::Ingest, &[]).await);
    let json = ("content-type", "application/json");
    let signed_in = site
        .send(Method::POST, "/api/v1/session", &[json], json!({ "key": key }).to_string())
        .await;
    assert_eq!(signed_in.status, 200);
    let cookie = signed_in.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap();
    let csrf = signed_in.body["csrf"].as_str().unwrap();
    let body = silence(None).to_string();
    let change = async |token: Option<&str>| {
        let mut headers = vec![json, ("cookie", cookie)];
        headers.extend(token.map(|token| ("x-csrf-token", token)));
        site.send(Method::POST, "/api/v1/silences", &headers, body.clone()).await.status
    };
    assert_eq!(change(None).await, 403);
    assert_eq!(change(Some("guess")).await, 403);
    assert_eq!(change(Some(csrf)).await, 201);
    let out = [("cookie", cookie), ("x-csrf-token", csrf)];
    assert_eq!(site.send(Method::DELETE, "/api/v1/session", &out, "").await.status, 200);
    assert_eq!(change(Some(csrf)).await, 401);
    let refused = site
        .send(Method::POST, "/api/v1/session", &[json], json!({ "key": ingest }).to_string())
        .await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn a_key_of_one_environment_changes_and_sees_no_other() {
    let site = Site::new().await;
    let (key, everywhere) = (site.key(Scope::Operate, &["staging"]).await, site.key(Scope::Operate, &[]).await);
    for environment in ["staging", "production"] {
        site.state.insert_verdict(&verdict(environment)).await.unwrap();
    }
    let status = async |method, path: &str, key: &str, body: Value| site.with_key(method, path, key, body).await.status;
    let stretch = json!({ "from": "2026-10-01T00:00:00Z", "to": "2026-10-02T00:00:00Z" });
    for path in ["/api/v1/models/m/control", "/api/v1/models/m/references/r"] {
        assert_eq!(status(Method::PUT, path, &key, stretch.clone()).await, 403, "{path}");
        assert_ne!(status(Method::PUT, path, &everywhere, stretch.clone()).await, 403, "{path}");
    }
    assert_eq!(
        status(Method::POST, "/api/v1/silences", &key, silence(Some("production"))).await,
        403
    );
    assert_eq!(
        status(Method::POST, "/api/v1/silences", &key, silence(None)).await,
        201,
        "its own is meant"
    );
    let deployment = |environment| json!({ "model": "m", "version": "1", "environment": environment, "event": "live" });
    assert_eq!(
        status(Method::POST, "/api/v1/deployments", &key, deployment("production")).await,
        403
    );
    assert_eq!(status(Method::POST, "/api/v1/deployments", &key, deployment("staging")).await, 201);

    let of = async |query: &str, key: &str| {
        let path = format!("/api/v1/models/m/versions/1/verdict{query}");
        let answer = site.with_key(Method::GET, &path, key, Value::Null).await;
        (answer.status, answer.body["id"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(of("", &key).await, (200, "ver_staging".into()));
    assert_eq!(of("?environment=production", &key).await, (403, String::new()));
    assert_eq!(of("?environment=production", &everywhere).await, (200, "ver_production".into()));
    assert_eq!(of("?environment=qa", &everywhere).await.0, 404);
}

#[tokio::test]
async fn a_rule_from_a_search_is_seen_and_taken_away_by_who_sees_its_environment() {
    let site = Site::new().await;
    let (staging, production) = (
        site.key(Scope::Operate, &["staging"]).await,
        site.key(Scope::Operate, &["production"]).await,
    );
    let (everywhere, reader) = (site.key(Scope::Operate, &[]).await, site.key(Scope::Read, &[]).await);
    let path = "/api/v1/search/rules";
    let rule = |name: &str| json!({"name": name, "query": "a", "above": 0, "window_s": 60, "severity": "info"});
    assert_eq!(site.with_key(Method::POST, path, &reader, rule("one")).await.status, 403);
    let made = site.with_key(Method::POST, path, &staging, rule("one")).await;
    assert_eq!(
        (made.status, &made.body["environment"]),
        (201, &json!("staging")),
        "its own is meant"
    );
    assert_eq!(site.with_key(Method::POST, path, &everywhere, rule("all")).await.status, 201);
    let mut of_another = rule("two");
    of_another["environment"] = json!("production");
    assert_eq!(site.with_key(Method::POST, path, &staging, of_another).await.status, 403);

    let seen = async |key: &str| {
        let answer = site.with_key(Method::GET, path, key, Value::Null).await;
        let rules = answer.body["rules"].as_array().unwrap().iter();
        rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen(&staging).await, ["one"]);
    assert_eq!(seen(&production).await, Vec::<String>::new());
    assert_eq!(seen(&reader).await, ["all", "one"]);
    let listed = site.with_key(Method::GET, path, &staging, Value::Null).await;
    let rule = &listed.body["rules"][0];
    assert_eq!((&rule["state"], &rule["matching"]), (&json!("inactive"), &json!(0)));
    let forget = async |name: &str, key: &str| {
        let path = format!("{path}/{name}");
        site.with_key(Method::DELETE, &path, key, Value::Null).await.status
    };
    assert_eq!((forget("one", &production).await, forget("all", &staging).await), (404, 404));
    assert_eq!((forget("one", &reader).await, forget("one", &staging).await), (403, 200));
}

#[tokio::test]
async fn a_silence_is_ended_by_who_sees_its_environment() {
    let site = Site::new().await;
    let (key, everywhere) = (site.key(Scope::Operate, &["staging"]).await, site.key(Scope::Operate, &[]).await);
    let made = site.with_key(Method::POST, "/api/v1/silences", &everywhere, silence(None)).await;
    let path = format!("/api/v1/silences/{}", made.body["id"].as_str().unwrap());
    let end = async |key: &str| site.with_key(Method::DELETE, &path, key, Value::Null).await.status;
    assert_eq!(end(&key).await, 404, "it covers other environments too");
    assert_eq!(end(&everywhere).await, 200);
    assert_eq!(end(&everywhere).await, 404);
}

#[tokio::test]
async fn a_stream_names_no_models_of_other_environments() {
    let site = Site::new().await;
    let seen = |model: &str, environment: &str| SeenVersion {
        model: model.into(),
        version: "1".into(),
        environment: environment.into(),
        first_event_time: UnixNanos(1),
        last_event_time: UnixNanos(1),
    };
    let versions = [seen("here", "staging"), seen("there", "production")];
    site.state.note_versions(&versions, UnixNanos(2)).await.unwrap();
    let heard = async |environments: &[&str]| {
        let key = Key {
            id: "key_1".into(),
            scopes: vec![Scope::Read],
            environments: environments.iter().map(|name| (*name).to_owned()).collect(),
            rate: KeyRate::default(),
            label: String::new(),
            created_at: UnixNanos(1),
            revoked_at: None,
        };
        let topics = ["alerts", "model:here", "model:there"].map(str::to_owned);
        let heard = live::seen_by(&site.app, &Caller::with_key(&key), topics.into()).await;
        heard.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(heard(&["staging"]).await, ["alerts", "model:here"]);
    assert_eq!(heard(&["qa"]).await, ["alerts"]);
    assert_eq!(heard(&[]).await, ["alerts", "model:here", "model:there"]);
}

#[tokio::test]
async fn what_is_too_large_or_of_another_type_is_a_problem() {
    let site = Site::new().await;
    let too_large = vec![b' '; crate::api::endpoint::MAX_UPLOAD_BYTES + 1];
    for path in ["/api/v1/models/m/control", "/api/v1/models/m/references/r"] {
        let answer = site
            .send(Method::PUT, path, &[("content-type", "text/csv")], too_large.clone())
            .await;
        assert_eq!((answer.status, answer.kind()), (413, "application/problem+json"), "{path}");
    }
    let answer = site.send(Method::POST, "/api/v1/outcomes", &[], too_large).await;
    assert_eq!((answer.status, answer.kind()), (413, "application/problem+json"));
    let answer = site
        .send(Method::POST, "/api/v1/outcomes", &[("content-type", "text/csv")], "a,b")
        .await;
    assert_eq!((answer.status, answer.kind()), (415, "application/problem+json"));
    let bad = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let answer = site.send(Method::POST, "/api/v1/outcomes", &bad, "{}").await;
    assert_eq!((answer.status, answer.kind()), (400, "application/problem+json"));
}

#[tokio::test]
async fn outcomes_keep_to_the_rate_of_their_key() {
    let site = Site::new().await;
    let new = NewKey {
        scopes: vec![Scope::Ingest],
        environments: Vec::new(),
        rate: KeyRate {
            records_per_second: Some(1),
            bytes_per_second: None,
        },
        label: "labels".into(),
    };
    let (_, limited) = site.state.create_key(new, Clock::System.now()).await.unwrap();
    let free = site.key(Scope::Ingest, &[]).await;
    let outcome = |n: usize| json!({"model": "m", "request_id": format!("r-{n}"), "kind": "label", "label": "1"});
    let many: Value = (0..30).map(outcome).collect();
    let send = async |key: &str, body: Value| site.with_key(Method::POST, "/api/v1/outcomes", key, body).await;
    assert_eq!(send(limited.reveal(), many.clone()).await.status, 200);
    let answer = send(limited.reveal(), outcome(31)).await;
    assert_eq!((answer.status, answer.kind()), (429, "application/problem+json"));
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((15..=30).contains(&wait), "{wait} s");
    for _ in 0..2 {
        assert_eq!(send(&free, many.clone()).await.status, 200);
    }
}
