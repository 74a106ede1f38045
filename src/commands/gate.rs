//! `driftlead gate`: asks a running server to replay a version's control set, waits, and says whether it may go out.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cli::GateArguments;

mod report;

/// How often the server is asked whether the replay is over.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Longest time for one answer of the server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that may fail on the way, one after the other, before the server counts as gone: a restart of it takes seconds.
const MAX_FAILED_POLLS: u32 = 10;

/// Exit code when the version may go out.
const PASS: u8 = 0;
/// Exit code when it may not.
const FAIL: u8 = 1;
/// Exit code when nobody could be asked, or nothing could be measured.
const ERROR: u8 = 2;
/// Exit code when the control set cannot tell.
const INCONCLUSIVE: u8 = 3;

/// What the server says of a replay.
#[derive(Debug, Clone, Deserialize)]
struct Replay {
    state: String,
    reason: Option<String>,
    verdict: Option<Verdict>,
}

/// What the gate says of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Verdict {
    model: String,
    version: String,
    baseline_version: Option<String>,
    verdict: Outcome,
    reasons: Vec<String>,
    flips: Vec<Flip>,
    set_id: String,
    replay_id: String,
    details: serde_json::Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Pass,
    Fail,
    Inconclusive,
}

impl Outcome {
    fn exit_code(self) -> u8 {
        match self {
            Self::Pass => PASS,
            Self::Fail => FAIL,
            Self::Inconclusive => INCONCLUSIVE,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flip {
    example: String,
    expected: String,
    before: String,
    after: String,
    harmed: bool,
}

/// Prints the verdict and gives the exit code: 0 pass, 1 fail, 2 error, 3 inconclusive. What went wrong is one line on
/// standard error.
pub async fn gate_command(arguments: &GateArguments) -> ExitCode {
    match judge(arguments).await {
        Ok(verdict) => ExitCode::from(verdict.verdict.exit_code()),
        Err(error) => {
            eprintln!("driftlead gate: {error:#}");
            ExitCode::from(ERROR)
        }
    }
}

async fn judge(arguments: &GateArguments) -> anyhow::Result<Verdict> {
    let verdict = Server::new(arguments)?.verdict().await?;
    match arguments.format.as_str() {
        "json" => println!("{}", serde_json::to_string_pretty(&verdict)?),
        _ => print!("{}", report::text(&verdict)),
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, report::junit(&verdict)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(verdict)
}

/// The server that is asked.
struct Server {
    client: reqwest::Client,
    replays: Url,
    key: Option<String>,
    version: String,
    patience: Duration,
}

impl Server {
    fn new(arguments: &GateArguments) -> anyhow::Result<Self> {
        let mut replays: Url = arguments
            .server
            .parse()
            .with_context(|| format!("{:?} is not an address such as http://127.0.0.1:8080", arguments.server))?;
        replays
            .path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{:?} is not an http address", arguments.server))?
            .pop_if_empty()
            .extend(["api", "v1", "models", &arguments.model, "replays"]);
        Ok(Self {
            client: reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?,
            replays,
            key: arguments.key.clone(),
            version: arguments.version.clone(),
            patience: Duration::from_secs(arguments.timeout),
        })
    }

    async fn verdict(&self) -> anyhow::Result<Verdict> {
        #[derive(Deserialize)]
        struct Requested {
            replay: String,
        }
        let body = serde_json::json!({"version": self.version});
        let requested: Requested = self.ask(self.client.post(self.replays.clone()).json(&body)).await?;
        let mut address = self.replays.clone();
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.push(&requested.replay);
        }
        self.wait(address, &requested.replay).await
    }

    async fn wait(&self, address: Url, id: &str) -> anyhow::Result<Verdict> {
        let deadline = Instant::now() + self.patience;
        let mut failed_polls = 0;
        loop {
            let state = match self.ask::<Replay>(self.client.get(address.clone())).await {
                Ok(Replay {
                    verdict: Some(verdict), ..
                }) => return Ok(verdict),
                Ok(replay) if replay.state == "skipped" => {
                    bail!("the replay was skipped: {}", replay.reason.unwrap_or_default())
                }
                Ok(replay) => {
                    failed_polls = 0;
                    replay.state
                }
                Err(error) if failed_polls == MAX_FAILED_POLLS => return Err(error),
                Err(error) => {
                    failed_polls += 1;
                    format!("not known: {error}")
                }
            };
            if Instant::now() >= deadline {
                bail!(
                    "there is no verdict after {} s: the state of replay {id} is {state}",
                    self.patience.as_secs()
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let response = request
            .send()
            .await
            .with_context(|| format!("the server at {} does not answer", self.replays.origin().ascii_serialization()))?;
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            bail!("{}", problem(status, &body));
        }
        serde_json::from_slice(&body).with_context(|| format!("the server's answer to {} is not what was expected", self.replays))
    }
}

/// What a problem document says, with what to do where it is plain.
fn problem(status: StatusCode, body: &[u8]) -> String {
    let detail = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|problem| Some(problem.get("detail")?.as_str()?.to_owned()));
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => " (give a key with the scope operate by --key or DRIFTLEAD_KEY)",
        _ => "",
    };
    format!(
        "the server answered {status}{hint}{}{}",
        if detail.is_some() { ": " } else { "" },
        detail.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::{get, post};
    use axum::{Json, Router};
    use serde_json::{Value, json};

    use super::*;

    fn verdict(outcome: &str) -> Value {
        json!({"id": "ver_1", "model": "m", "version": "1.1", "baseline_version": "1.0", "verdict": outcome, "reasons": ["why"],
            "flips": [{"example": "e<1>", "expected": "1", "before": "1", "after": "0", "harmed": true, "segment": null, "tags": []}],
            "set_id": "abc", "replay_id": "rpl_1", "details": {"measured": {"examples": 100}}})
    }

    /// A server that answers the polls one after the other, the last for ever.
    async fn server(polls: Vec<(u16, Value)>) -> String {
        let asked = Arc::new(AtomicUsize::new(0));
        let poll = move || {
            let (status, body) = polls[asked.fetch_add(1, Ordering::SeqCst).min(polls.len() - 1)].clone();
            async move { (StatusCode::from_u16(status).unwrap(), Json(body)) }
        };
        let app = Router::new()
            .route(
                "/api/v1/models/m%2F1/replays",
                post(|| async { (StatusCode::ACCEPTED, Json(json!({"replay": "rpl_1"}))) }),
            )
            .route("/api/v1/models/m%2F1/replays/rpl_1", get(poll));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    fn arguments(server: String) -> GateArguments {
        GateArguments {
            model: "m/1".to_owned(),
            version: "1.1".to_owned(),
            server,
            key: None,
            junit: None,
            format: "text".to_owned(),
            timeout: 1,
        }
    }

    #[tokio::test]
    async fn the_verdict_decides_the_exit_code() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (outcome, code) in [("pass", 0), ("fail", 1), ("inconclusive", 3)] {
            let queued = (200, json!({"state": "queued", "reason": null, "verdict": null}));
            let restarting = (503, json!({"detail": "restarting"}));
            let done = (200, json!({"state": "done", "reason": null, "verdict": verdict(outcome)}));
            let asked = Server::new(&arguments(server(vec![queued, restarting, done]).await))
                .unwrap()
                .verdict()
                .await
                .unwrap();
            assert_eq!(asked.verdict.exit_code(), code);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_judged_is_an_error_in_one_line() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let skipped = json!({"state": "skipped", "reason": "the model declares no runner", "verdict": null});
        let queued = json!({"state": "queued", "reason": null, "verdict": null});
        for (address, reason) in [
            (
                server(vec![(200, skipped)]).await,
                "the replay was skipped: the model declares no runner",
            ),
            (
                server(vec![(200, queued)]).await,
                "there is no verdict after 1 s: the state of replay rpl_1 is queued",
            ),
            ("http://127.0.0.1:9".to_owned(), "the server at http://127.0.0.1:9 does not answer"),
            ("nowhere".to_owned(), "\"nowhere\" is not an address"),
        ] {
            let asked = match Server::new(&arguments(address)) {
                Ok(server) => server.verdict().await,
                Err(error) => Err(error),
            };
            let line = format!("{:#}", asked.unwrap_err());
            assert!(line.contains(reason) && !line.contains('\n'), "{line}");
        }
        let refused = problem(StatusCode::UNAUTHORIZED, br#"{"detail": "no key"}"#);
        assert_eq!(
            refused,
            "the server answered 401 Unauthorized (give a key with the scope operate by --key or DRIFTLEAD_KEY): no key"
        );
    }

    #[test]
    fn reports_say_the_same_in_text_and_junit() {
        let verdict: Verdict = serde_json::from_value(verdict("fail")).unwrap();
        assert_eq!(
            report::text(&verdict),
            "fail: m 1.1 against 1.0, 100 examples\n  - why\n1 example lost, 0 gained\n  lost   e<1>: expected 1, was 1, is 0\n"
        );
        let junit = report::junit(&verdict);
        assert!(
            junit.contains(r#"<testsuite name="driftlead gate m 1.1" tests="2" failures="2" errors="0">"#),
            "{junit}"
        );
        assert!(
            junit.contains(r#"<testcase classname="m 1.1" name="example e&lt;1&gt;"><failure message="expected 1, was 1, is 0"/>"#),
            "{junit}"
        );
        let unsure = Verdict {
            verdict: Outcome::Inconclusive,
            flips: Vec::new(),
            ..verdict
        };
        let junit = report::junit(&unsure);
        assert!(junit.contains(r#"tests="1" failures="0" errors="1""#), "{junit}");
        assert!(junit.contains(r#"<error type="inconclusive" message="why"/>"#), "{junit}");
    }
}
