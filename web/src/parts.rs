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
    /// Requests refused.
    pub refused: Vec<Counted>,
    /// Records refused: those of refused requests as far as they are known, and those that an accepted request
    /// held and that could not be kept.
    pub refused_records: Vec<Counted>,
    /// Attributes, values and texts that were cut or left out of records that were kept.
    pub cut: Vec<Counted>,
    /// Of the requests accepted, those that repeated an earlier one and were not kept again.
    #[serde(skip)]
    pub repeated: u64,
    /// Of the requests accepted, those of which something was redacted.
    #[serde(skip)]
    pub redacted: u64,
    /// Bytes of the accepted requests' bodies after decompression.
    #[serde(skip)]
    pub bytes: u64,
    /// Connections that are open.
    #[serde(skip)]
    pub connections: u64,
    /// Bytes of bodies that are held now.
    #[serde(skip)]
    pub bytes_in_flight: u64,
    /// What each service sent; the collector bounds how many are told apart.
    #[serde(skip)]
    pub services: Vec<ServicePart>,
    /// How its listeners are encrypted.
    pub encryption: Encryption,
}

/// How telemetry comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// As it is.
    #[default]
    None,
    /// Over TLS.
    Tls,
    /// Over TLS, from senders that have a certificate.
    MutualTls,
}

/// What one service sent since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServicePart {
    /// `service.name`, or empty.
    pub service: String,
    /// When its last request was accepted.
    pub last_seen: UnixNanos,
    /// Records accepted in the last minute.
    pub last_minute: u64,
    /// Records accepted, by signal: `logs`, `traces` and `metrics`.
    pub records: [(&'static str, u64); 3],
    /// Records refused.
    pub refused: Vec<Counted>,
    /// Attributes and values that are cut.
    pub cut: Vec<Counted>,
}

/// How much there was for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The reason's name.
    pub reason: String,
    /// How much.
    pub count: u64,
}

impl CollectorPart {
    /// What was refused of telemetry: records, and requests of which the records are not known. Requests that
    /// lacked a key, or that looked for what is not there, are not: no telemetry was in them, or nobody's.
    pub fn telemetry_refused(&self) -> u64 {
        const NO_TELEMETRY: [&str; 5] = ["not_found", "method_not_allowed", "key_missing", "key_unknown", "tls_handshake"];
        let known = |reason: &str| self.refused_records.iter().any(|records| records.reason == reason);
        let requests = self.refused.iter().filter(|requests| {
            let reason = requests.reason.as_str();
            !NO_TELEMETRY.contains(&reason) && !known(reason)
        });
        requests.chain(&self.refused_records).map(|counted| counted.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_no_refused_telemetry_and_records_count_once() {
        let counted = |counts: &[(&str, u64)]| {
            let counts = counts.iter();
            counts
                .map(|(reason, count)| Counted {
                    reason: (*reason).to_owned(),
                    count: *count,
                })
                .collect()
        };
        for (refused, refused_records, cut, expected) in [
            (&[][..], &[][..], &[][..], 0),
            (
                &[("not_found", 3), ("method_not_allowed", 1), ("key_missing", 2), ("key_unknown", 1)],
                &[],
                &[],
                0,
            ),
            (&[], &[], &[("name_too_long", 9)], 0),
            (&[("malformed", 2)], &[], &[], 2),
            (&[], &[("invalid_ids", 5)], &[], 5),
            (&[("log_full", 2), ("not_grpc", 1)], &[("log_full", 700)], &[], 701),
        ] {
            let part = CollectorPart {
                refused: counted(refused),
                refused_records: counted(refused_records),
                cut: counted(cut),
                ..CollectorPart::default()
            };
            assert_eq!(part.telemetry_refused(), expected, "{part:?}");
        }
    }
}
