//! `GET /api/v1/collection`: what came, from whom, what was refused and why, and how far it has got.

use std::sync::Arc;

use axum::extract::State;
use driftlead_store::clock::UnixNanos;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::parts::{Addresses, Counted, Encryption, Parts, ServicePart};
use crate::state::WebState;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get(
        "/api/v1/collection",
        "What came since the start, per service; what was refused and cut, and why; lag, backlog and where to send.",
        show,
    )]
}

/// Counts are since `since`, the start of this process.
#[derive(Debug, PartialEq, Serialize)]
struct Collection {
    at: UnixNanos,
    since: UnixNanos,
    listen: Addresses,
    encryption: Encryption,
    requests: Requests,
    /// Requests refused, by reason.
    refused: Vec<Counted>,
    /// Records refused, by reason.
    refused_records: Vec<Counted>,
    /// What was cut of records that were kept, by reason.
    cut: Vec<Counted>,
    /// The last that sent first.
    services: Vec<Service>,
    log: Log,
    drain: Drain,
}

#[derive(Debug, PartialEq, Serialize)]
struct Requests {
    accepted: u64,
    repeated: u64,
    redacted: u64,
    /// Of the accepted ones' bodies, before compression.
    bytes: u64,
    connections: u64,
    bytes_in_flight: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Service {
    /// `service.name`; "" where senders state none, "other" for those beyond the number that is told apart.
    name: String,
    last_seen: UnixNanos,
    logs: u64,
    traces: u64,
    metrics: u64,
    /// Over the last minute.
    records_per_second: f64,
    refused: Vec<Counted>,
    cut: Vec<Counted>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Log {
    /// On disk.
    bytes: u64,
    max_bytes: u64,
    /// Not stored yet.
    backlog_bytes: u64,
    full: bool,
    bad_frames: u64,
    torn_bytes: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Drain {
    lag_s: f64,
    set_aside: u64,
    quarantined: u64,
    partial_inferences: u64,
    last_error: Option<String>,
}

async fn show(State(app): State<Arc<WebState>>) -> axum::Json<Collection> {
    let log = app.log.status();
    let parts = (app.parts)();
    let log = Log {
        bytes: log.bytes,
        max_bytes: log.max_bytes,
        backlog_bytes: parts.drain.backlog_bytes,
        full: log.full,
        bad_frames: log.bad_frames,
        torn_bytes: log.torn_bytes,
    };
    axum::Json(collection(parts, log, app.clock.now()))
}

fn collection(parts: Parts, log: Log, at: UnixNanos) -> Collection {
    let Parts {
        started_at,
        listen,
        drain,
        collector,
        ..
    } = parts;
    let mut services: Vec<Service> = collector.services.into_iter().map(service).collect();
    services.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.name.cmp(&b.name)));
    Collection {
        at,
        since: started_at,
        listen,
        encryption: collector.encryption,
        requests: Requests {
            accepted: collector.requests,
            repeated: collector.repeated,
            redacted: collector.redacted,
            bytes: collector.bytes,
            connections: collector.connections,
            bytes_in_flight: collector.bytes_in_flight,
        },
        refused: collector.refused,
        refused_records: collector.refused_records,
        cut: collector.cut,
        services,
        log,
        drain: Drain {
            lag_s: drain.lag_s,
            set_aside: drain.set_aside,
            quarantined: drain.quarantined,
            partial_inferences: drain.partial_inferences,
            last_error: drain.last_error,
        },
    }
}

fn service(part: ServicePart) -> Service {
    let of = |signal: &str| part.records.iter().find(|(name, _)| *name == signal).map_or(0, |(_, count)| *count);
    Service {
        last_seen: part.last_seen,
        logs: of("logs"),
        traces: of("traces"),
        metrics: of("metrics"),
        records_per_second: part.last_minute as f64 / 60.0,
        name: part.service,
        refused: part.refused,
        cut: part.cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::{CollectorPart, DrainPart, EngineKind, EnginePart, EngineState};

    #[test]
    fn services_are_those_that_sent_last_first() {
        let sent = |name: &str, last_seen: i64, last_minute| ServicePart {
            service: name.to_owned(),
            last_seen: UnixNanos(last_seen),
            last_minute,
            records: [("logs", 1), ("traces", 2), ("metrics", 3)],
            ..ServicePart::default()
        };
        let parts = Parts {
            started_at: UnixNanos(1),
            listen: Addresses::default(),
            drain: DrainPart::default(),
            engine: EnginePart {
                kind: EngineKind::Embedded,
                state: EngineState::Up,
                since: UnixNanos(0),
                restarts: 0,
                message: None,
            },
            collector: CollectorPart {
                services: vec![sent("b", 5, 0), sent("a", 5, 90), sent("c", 9, 30)],
                ..CollectorPart::default()
            },
        };
        let log = Log {
            bytes: 0,
            max_bytes: 0,
            backlog_bytes: 0,
            full: false,
            bad_frames: 0,
            torn_bytes: 0,
        };
        let shown = collection(parts, log, UnixNanos(10));
        let rows: Vec<_> = shown
            .services
            .iter()
            .map(|service| {
                (
                    service.name.as_str(),
                    service.records_per_second,
                    service.logs,
                    service.traces,
                    service.metrics,
                )
            })
            .collect();
        assert_eq!(rows, [("c", 0.5, 1, 2, 3), ("a", 1.5, 1, 2, 3), ("b", 0.0, 1, 2, 3)]);
    }
}
