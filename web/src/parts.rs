//! How the parts that this crate does not know stand: the root tells it.

use std::sync::Arc;

use driftlead_store::clock::UnixNanos;
use serde::Serialize;

/// Asked for on every status: cheap, and never waits.
pub type PartsSource = Arc<dyn Fn() -> Parts + Send + Sync>;

/// The parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// When this process started.
    pub started_at: UnixNanos,
    /// Where it listens.
    pub listen: Addresses,
    /// The drain.
    pub drain: DrainPart,
    /// The database.
    pub engine: EnginePart,
    /// The collector.
    pub collector: CollectorPart,
}

/// Addresses, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Addresses {
    /// Pages and API.
    pub web: String,
    /// OTLP over gRPC.
    pub otlp_grpc: String,
    /// OTLP over HTTP.
    pub otlp_http: String,
}

/// How the drain stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DrainPart {
    /// Age of the oldest record that is not drained, 0 when there is none.
    pub lag_s: f64,
    /// Bytes of the log that are not drained.
    pub backlog_bytes: u64,
    /// Records that are part of no window because of their event time, since the start.
    pub set_aside: u64,
    /// Why the last attempt to store something failed, until one succeeds.
    pub last_error: Option<String>,
    /// Attempts that failed and were made again, since the start.
    pub retries: u64,
    /// Requests that ClickHouse refused, set aside in the quarantine folder, since the start.
    pub quarantined: u64,
    /// Rows that ClickHouse took and does not have, since the start.
    pub missing_rows: u64,
    /// Halves of inferences that came too late to be counted, since the start.
    pub partial_inferences: u64,
    /// Rows written since the start.
    #[serde(skip)]
    pub rows: u64,
}

/// Who runs the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// A child process of this one.
    Embedded,
    /// A server given by its address.
    Server,
}

/// Whether the database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// Not yet.
    Starting,
    /// It does.
    Up,
    /// It does not.
    Down,
}

/// How the database stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnginePart {
    /// Who runs it.
    pub kind: EngineKind,
    /// Whether it answers.
    pub state: EngineState,
    /// Since when.
    pub since: UnixNanos,
    /// How often it was started again since the start.
    pub restarts: u64,
    /// The last error in words, while it is down.
    pub message: Option<String>,
}

/// What the collector counted since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CollectorPart {
    /// Requests accepted.
    pub requests: u64,
    /// Records in them.
    pub records: u64,
    /// Requests and records refused or cut.
    pub refused: Vec<Refused>,
}

/// How much was refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The reason's name.
    pub reason: String,
    /// How much.
    pub count: u64,
}
