//! `GET /metrics`: Driftlead's own numbers and the state of its alerts, as Prometheus reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use driftlead_store::state::StateError;
use driftlead_store::state::alerts::{AlertFilter, AlertState};

use super::endpoint::Endpoint;
use crate::auth::Asked;
use crate::error::Problem;
use crate::measured::{Families, Kind};
use crate::parts::{CollectorPart, Counted, EngineState, ServicePart};
use crate::state::WebState;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Most alerts that are counted.
const MAX_ALERTS: u32 = 10_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Driftlead's own numbers and firing alerts, for Prometheus.";
    vec![Endpoint::get("/metrics", summary, show).content_type("text/plain")]
}

async fn show(State(app): State<Arc<WebState>>, Asked(caller): Asked) -> Result<Response, Problem> {
    let mut families = measured(&app).await?;
    let filter = AlertFilter {
        states: vec![AlertState::Firing],
        limit: MAX_ALERTS,
        ..AlertFilter::default()
    };
    let mut firing: BTreeMap<Vec<(&'static str, String)>, f64> = BTreeMap::new();
    for alert in app.state.alerts(&filter).await? {
        if caller.sees(&alert.series.environment) {
            let labels = vec![
                ("rule", alert.rule),
                ("severity", alert.severity.as_str().to_owned()),
                ("model", alert.series.model),
                ("version", alert.series.version),
                ("environment", alert.series.environment),
            ];
            *firing.entry(labels).or_default() += 1.0;
        }
    }
    families.head("driftlead_alerts_firing", "Alerts that fire.", Kind::Gauge);
    for (labels, count) in firing {
        families.point(labels, count);
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], families.text()).into_response())
}

/// Everything about Driftlead itself that no caller may be kept from.
///
/// # Errors
/// The state cannot be read.
pub async fn measured(app: &WebState) -> Result<Families, StateError> {
    let mut families = Families::default();
    own(app, &mut families);
    let outbox = app.state.outbox_counts().await?;
    families.gauge("driftlead_outbox_pending", "Messages that are to be sent.", outbox.pending as f64);
    families.gauge("driftlead_outbox_dead", "Messages that were given up.", outbox.dead as f64);
    Ok(families)
}

fn own(app: &WebState, families: &mut Families) {
    let now = app.clock.now();
    let (parts, log, index) = ((app.parts)(), app.log.status(), app.index.status().borrow().clone());
    families.gauge("driftlead_log_bytes", "Bytes of the log on the disk.", log.bytes as f64);
    families.gauge("driftlead_log_max_bytes", "Most bytes of the log.", log.max_bytes as f64);
    families.gauge(
        "driftlead_log_full",
        "1 when the log refuses requests because it is full.",
        f64::from(u8::from(log.full)),
    );
    let poisoned = f64::from(u8::from(log.poisoned.is_some()));
    families.gauge("driftlead_log_poisoned", "1 when the log takes nothing until a restart.", poisoned);
    families.counter("driftlead_log_frames_total", "Requests appended.", log.frames as f64);
    families.counter(
        "driftlead_log_repeated_total",
        "Requests that repeated a recent one.",
        log.repeated as f64,
    );
    families.counter("driftlead_log_refused_total", "Requests that the log refused.", log.refused as f64);
    families.counter(
        "driftlead_log_bad_frames_total",
        "Places in the log that are no frame.",
        log.bad_frames as f64,
    );
    families.gauge(
        "driftlead_log_torn_bytes",
        "Bytes of the torn tail that was cut at the start.",
        log.torn_bytes as f64,
    );
    families.counter(
        "driftlead_log_repeats_forgotten_early_total",
        "Requests whose repeats are no longer recognised although they came within ten minutes.",
        log.repeats_forgotten_early as f64,
    );
    families.head(
        "driftlead_log_backlog_bytes",
        "Bytes that a consumer has not committed.",
        Kind::Gauge,
    );
    for (consumer, bytes) in &log.backlog_bytes {
        families.point(vec![("consumer", consumer.clone())], *bytes as f64);
    }
    families.gauge(
        "driftlead_drain_lag_seconds",
        "Age of the oldest record that is not drained.",
        parts.drain.lag_s,
    );
    families.counter("driftlead_drain_rows_total", "Rows written to ClickHouse.", parts.drain.rows as f64);
    let failing = f64::from(u8::from(parts.drain.last_error.is_some()));
    families.gauge(
        "driftlead_drain_failing",
        "1 while the last attempt to store something failed.",
        failing,
    );
    families.counter(
        "driftlead_drain_retries_total",
        "Attempts that failed and were made again.",
        parts.drain.retries as f64,
    );
    families.counter(
        "driftlead_drain_quarantined_total",
        "Requests that ClickHouse refused, set aside in the quarantine folder.",
        parts.drain.quarantined as f64,
    );
    families.counter(
        "driftlead_drain_missing_rows_total",
        "Rows that ClickHouse took and does not have.",
        parts.drain.missing_rows as f64,
    );
    families.counter(
        "driftlead_partial_inferences_total",
        "Halves of inferences that came too late to be counted.",
        parts.drain.partial_inferences as f64,
    );
    families.counter(
        "driftlead_records_set_aside_total",
        "Records that are part of no window because of their event time.",
        parts.drain.set_aside as f64,
    );
    let up = f64::from(u8::from(parts.engine.state == EngineState::Up));
    families.gauge("driftlead_engine_up", "1 when the database answers.", up);
    families.counter(
        "driftlead_engine_restarts_total",
        "Restarts of the embedded engine.",
        parts.engine.restarts as f64,
    );
    families.gauge("driftlead_index_documents", "Errors that can be found.", index.documents as f64);
    families.gauge("driftlead_index_bytes", "Bytes of the error index on disk.", index.bytes as f64);
    let index_lag = index.oldest_waiting.map_or(0.0, |oldest| now.seconds_since(oldest).max(0.0));
    families.gauge(
        "driftlead_index_lag_seconds",
        "Age of the oldest error that cannot be found yet.",
        index_lag,
    );
    families.counter(
        "driftlead_index_failures_total",
        "Failures of the error index.",
        index.failures as f64,
    );
    families.counter(
        "driftlead_collector_requests_total",
        "Requests accepted.",
        parts.collector.requests as f64,
    );
    families.counter(
        "driftlead_collector_records_total",
        "Records accepted.",
        parts.collector.records as f64,
    );
    collector(&parts.collector, families);
    families.gauge("driftlead_uptime_seconds", "Since the start.", now.seconds_since(parts.started_at));
    families.head("driftlead_build_info", "The version.", Kind::Gauge);
    families.point(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0);
}

/// What the collector counts, as a whole and per service.
fn collector(part: &CollectorPart, families: &mut Families) {
    families.counter(
        "driftlead_collector_requests_repeated_total",
        "Requests accepted that repeated an earlier one and were not kept again.",
        part.repeated as f64,
    );
    families.counter(
        "driftlead_collector_requests_redacted_total",
        "Requests accepted of which something was redacted.",
        part.redacted as f64,
    );
    families.counter(
        "driftlead_collector_bytes_total",
        "Bytes of the accepted requests after decompression.",
        part.bytes as f64,
    );
    families.gauge(
        "driftlead_collector_connections",
        "Connections that are open.",
        part.connections as f64,
    );
    families.gauge(
        "driftlead_collector_bytes_in_flight",
        "Bytes of requests that are held now.",
        part.bytes_in_flight as f64,
    );
    for (name, help, counts) in [
        ("driftlead_collector_refused_total", "Requests refused.", &part.refused),
        (
            "driftlead_collector_records_refused_total",
            "Records refused.",
            &part.refused_records,
        ),
        (
            "driftlead_collector_cut_total",
            "Attributes, values and texts cut or left out.",
            &part.cut,
        ),
    ] {
        families.head(name, help, Kind::Counter);
        for counted in counts {
            families.point(vec![("reason", counted.reason.clone())], counted.count as f64);
        }
    }
    families.head("driftlead_service_records_total", "Records accepted of a service.", Kind::Counter);
    for service in &part.services {
        for (signal, count) in service.records {
            let labels = vec![("service", service.service.clone()), ("signal", signal.to_owned())];
            families.point(labels, count as f64);
        }
    }
    families.head(
        "driftlead_service_last_seen_seconds",
        "When a service was last heard of, since 1970.",
        Kind::Gauge,
    );
    for service in &part.services {
        let labels = vec![("service", service.service.clone())];
        families.point(labels, service.last_seen.seconds() as f64);
    }
    let mut by_reason = |name: &'static str, help: &'static str, counts_of: fn(&ServicePart) -> &[Counted]| {
        families.head(name, help, Kind::Counter);
        for service in &part.services {
            for counted in counts_of(service) {
                let labels = vec![("service", service.service.clone()), ("reason", counted.reason.clone())];
                families.point(labels, counted.count as f64);
            }
        }
    };
    by_reason(
        "driftlead_service_records_refused_total",
        "Records refused of a service.",
        |service| &service.refused,
    );
    by_reason(
        "driftlead_service_cut_total",
        "Attributes and values of a service that are cut.",
        |service| &service.cut,
    );
}

#[cfg(test)]
mod tests {
    use super::{CollectorPart, Counted, Families, ServicePart, collector};

    #[test]
    fn refused_and_cut_are_told_per_service() {
        let counted = |reason: &str, count| {
            vec![Counted {
                reason: reason.to_owned(),
                count,
            }]
        };
        let part = CollectorPart {
            refused: counted("malformed", 2),
            services: vec![ServicePart {
                service: "shop".to_owned(),
                records: [("logs", 3), ("traces", 0), ("metrics", 0)],
                refused: counted("invalid_ids", 5),
                cut: counted("too_many_attributes", 7),
                ..ServicePart::default()
            }],
            ..CollectorPart::default()
        };
        let mut families = Families::default();
        collector(&part, &mut families);
        let text = families.text();
        for line in [
            "driftlead_collector_refused_total{reason=\"malformed\"} 2\n",
            "driftlead_service_records_total{service=\"shop\",signal=\"logs\"} 3\n",
            "driftlead_service_records_refused_total{service=\"shop\",reason=\"invalid_ids\"} 5\n",
            "driftlead_service_cut_total{service=\"shop\",reason=\"too_many_attributes\"} 7\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
