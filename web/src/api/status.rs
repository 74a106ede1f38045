//! `GET /api/v1/status`, `/healthz` and `/readyz`: how Driftlead itself is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use driftlead_store::clock::UnixNanos;
use driftlead_store::wal::LogStatus;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::auth::Access;
use crate::parts::{Addresses, CollectorPart, DrainPart, EnginePart, EngineState, Parts};
use crate::state::WebState;

/// A drain this far behind is worth a look; pages are then minutes old.
const LAG_WARNING_S: f64 = 30.0;
/// A drain this far behind means that alerts come late.
const LAG_CRITICAL_S: f64 = 300.0;
/// Errors are to be found within two seconds; this far behind something is wrong.
const INDEX_LAG_WARNING_S: f64 = 10.0;
/// An engine takes this long to start on a loaded machine; longer is worth a look.
const ENGINE_START_S: f64 = 15.0;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/status",
            "How Driftlead itself is: log, drain, engine, index, collector.",
            show,
        ),
        Endpoint::get("/healthz", "200 as long as the process answers.", healthy)
            .access(Access::Anybody)
            .content_type("text/plain"),
        Endpoint::get(
            "/readyz",
            "200 when telemetry is taken, else 503 with the reason; a database that is down is no reason, the log takes over.",
            ready,
        )
        .access(Access::Anybody)
        .content_type("text/plain"),
    ]
}

/// How Driftlead is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    at: UnixNanos,
    version: &'static str,
    started_at: UnixNanos,
    state: Condition,
    problems: Vec<StatusProblem>,
    log: LogPart,
    drain: DrainPart,
    engine: EnginePart,
    index: IndexPart,
    collector: CollectorPart,
    listen: Addresses,
}

impl Status {
    /// The moment that it describes.
    pub fn at(&self) -> UnixNanos {
        self.at
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    Ok,
    Warning,
    Critical,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct StatusProblem {
    state: Condition,
    code: &'static str,
    value: Option<f64>,
    message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct LogPart {
    bytes: u64,
    max_bytes: u64,
    full: bool,
    poisoned: bool,
    bad_frames: u64,
    torn_bytes: u64,
    repeats_forgotten_early: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct IndexPart {
    lag_s: f64,
    documents: u64,
    bytes: u64,
}

async fn show(State(app): State<Arc<WebState>>) -> axum::Json<Status> {
    axum::Json(status(&app))
}

/// The status as of now.
pub fn status(app: &WebState) -> Status {
    let now = app.clock.now();
    let parts = (app.parts)();
    let log = app.log.status();
    let index = app.index.status().borrow().clone();
    let index_lag_s = index.oldest_waiting.map_or(0.0, |oldest| now.seconds_since(oldest).max(0.0));
    let mut problems = problems(&parts, &log, index_lag_s, app.commands.rejected_rules().as_deref(), now);
    if let Some(failing) = index.failing {
        problems.push(warning("index_lag", Some(index_lag_s), Some(failing)));
    }
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.state));
    Status {
        at: now,
        version: env!("CARGO_PKG_VERSION"),
        started_at: parts.started_at,
        state: problems.first().map_or(Condition::Ok, |worst| worst.state),
        problems,
        log: LogPart {
            bytes: log.bytes,
            max_bytes: log.max_bytes,
            full: log.full,
            poisoned: log.poisoned.is_some(),
            bad_frames: log.bad_frames,
            torn_bytes: log.torn_bytes,
            repeats_forgotten_early: log.repeats_forgotten_early,
        },
        drain: parts.drain,
        engine: parts.engine,
        index: IndexPart {
            lag_s: index_lag_s,
            documents: index.documents,
            bytes: index.bytes,
        },
        collector: parts.collector,
        listen: parts.listen,
    }
}

fn warning(code: &'static str, value: Option<f64>, message: Option<String>) -> StatusProblem {
    StatusProblem {
        state: Condition::Warning,
        code,
        value,
        message,
    }
}

fn critical(code: &'static str, value: Option<f64>, message: Option<String>) -> StatusProblem {
    StatusProblem {
        state: Condition::Critical,
        ..warning(code, value, message)
    }
}

/// What is not well.
fn problems(parts: &Parts, log: &LogStatus, index_lag_s: f64, rejected_rules: Option<&str>, now: UnixNanos) -> Vec<StatusProblem> {
    let count = |count: u64| Some(count as f64);
    let mut problems = Vec::new();
    if let Some(reason) = &log.poisoned {
        problems.push(critical("log_poisoned", None, Some(reason.clone())));
    }
    if log.full {
        problems.push(critical("log_full", count(log.bytes), None));
    }
    if log.bad_frames > 0 {
        problems.push(warning("log_bad_frames", count(log.bad_frames), None));
    }
    match parts.drain.lag_s {
        lag if lag >= LAG_CRITICAL_S => problems.push(critical("drain_lag", Some(lag), parts.drain.last_error.clone())),
        lag if lag >= LAG_WARNING_S => problems.push(warning("drain_lag", Some(lag), parts.drain.last_error.clone())),
        _ => {}
    }
    if parts.drain.set_aside > 0 {
        problems.push(warning("records_set_aside", count(parts.drain.set_aside), None));
    }
    let engine_s = now.seconds_since(parts.engine.since);
    match parts.engine.state {
        EngineState::Down => problems.push(critical("engine_down", Some(engine_s), parts.engine.message.clone())),
        EngineState::Starting if engine_s > ENGINE_START_S => {
            problems.push(warning("engine_starting", Some(engine_s), parts.engine.message.clone()));
        }
        EngineState::Starting | EngineState::Up => {}
    }
    if parts.engine.restarts > 0 {
        problems.push(warning("engine_restarted", count(parts.engine.restarts), None));
    }
    if index_lag_s >= INDEX_LAG_WARNING_S {
        problems.push(warning("index_lag", Some(index_lag_s), None));
    }
    let refused = parts.collector.telemetry_refused();
    if refused > 0 {
        problems.push(warning("records_refused", count(refused), None));
    }
    if let Some(why) = rejected_rules {
        problems.push(warning("rules_invalid", None, Some(why.to_owned())));
    }
    problems
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<Arc<WebState>>) -> Response {
    let log = app.log.status();
    let reason = match (&log.poisoned, log.full) {
        (Some(reason), _) => format!("the log takes nothing until a restart: {reason}\n"),
        (None, true) => format!("the log is full: {} of {} bytes\n", log.bytes, log.max_bytes),
        (None, false) => return "ready\n".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}
