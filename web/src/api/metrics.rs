//! `GET /metrics`: Driftlead's own numbers and the state of its alerts, as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use driftlead_store::state::alerts::{AlertFilter, AlertState};

use super::endpoint::Endpoint;
use crate::auth::Asked;
use crate::error::Problem;
use crate::parts::EngineState;
use crate::state::WebState;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Most alerts that are counted.
const MAX_ALERTS: u32 = 10_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Driftlead's own numbers and firing alerts, for Prometheus.";
    vec![Endpoint::get("/metrics", summary, show).content_type("text/plain")]
}

async fn show(State(app): State<Arc<WebState>>, Asked(caller): Asked) -> Result<Response, Problem> {
    let mut page = Page::default();
    own(&app, &mut page);
    let outbox = app.state.outbox_counts().await?;
    page.gauge("driftlead_outbox_pending", "Messages that are to be sent.", outbox.pending as f64);
    page.gauge("driftlead_outbox_dead", "Messages that were given up.", outbox.dead as f64);
    let filter = AlertFilter {
        states: vec![AlertState::Firing],
        limit: MAX_ALERTS,
        ..AlertFilter::default()
    };
    let mut firing: BTreeMap<Vec<(&str, String)>, f64> = BTreeMap::new();
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
    page.head("driftlead_alerts_firing", "Alerts that fire.", "gauge");
    for (labels, count) in &firing {
        page.line("driftlead_alerts_firing", labels, *count);
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], page.0).into_response())
}

fn own(app: &WebState, page: &mut Page) {
    let now = app.clock.now();
    let (parts, log, index) = ((app.parts)(), app.log.status(), app.index.status().borrow().clone());
    page.gauge("driftlead_log_bytes", "Bytes of the log on the disk.", log.bytes as f64);
    page.gauge("driftlead_log_max_bytes", "Most bytes of the log.", log.max_bytes as f64);
    page.gauge(
        "driftlead_log_full",
        "1 when the log refuses requests because it is full.",
        f64::from(u8::from(log.full)),
    );
    let poisoned = f64::from(u8::from(log.poisoned.is_some()));
    page.gauge("driftlead_log_poisoned", "1 when the log takes nothing until a restart.", poisoned);
    page.counter("driftlead_log_frames_total", "Requests appended.", log.frames as f64);
    page.counter(
        "driftlead_log_repeated_total",
        "Requests that repeated a recent one.",
        log.repeated as f64,
    );
    page.counter("driftlead_log_refused_total", "Requests that the log refused.", log.refused as f64);
    page.counter(
        "driftlead_log_bad_frames_total",
        "Places in the log that are no frame.",
        log.bad_frames as f64,
    );
    page.gauge(
        "driftlead_log_torn_bytes",
        "Bytes of the torn tail that was cut at the start.",
        log.torn_bytes as f64,
    );
    page.counter(
        "driftlead_log_repeats_forgotten_early_total",
        "Requests whose repeats are no longer recognised although they came within ten minutes.",
        log.repeats_forgotten_early as f64,
    );
    page.head("driftlead_log_backlog_bytes", "Bytes that a consumer has not committed.", "gauge");
    for (consumer, bytes) in &log.backlog_bytes {
        page.line("driftlead_log_backlog_bytes", &[("consumer", consumer.clone())], *bytes as f64);
    }
    page.gauge(
        "driftlead_drain_lag_seconds",
        "Age of the oldest record that is not drained.",
        parts.drain.lag_s,
    );
    page.counter("driftlead_drain_rows_total", "Rows written to ClickHouse.", parts.drain.rows as f64);
    let failing = f64::from(u8::from(parts.drain.last_error.is_some()));
    page.gauge(
        "driftlead_drain_failing",
        "1 while the last attempt to store something failed.",
        failing,
    );
    page.counter(
        "driftlead_drain_retries_total",
        "Attempts that failed and were made again.",
        parts.drain.retries as f64,
    );
    page.counter(
        "driftlead_drain_quarantined_total",
        "Requests that ClickHouse refused, set aside in the quarantine folder.",
        parts.drain.quarantined as f64,
    );
    page.counter(
        "driftlead_drain_missing_rows_total",
        "Rows that ClickHouse took and does not have.",
        parts.drain.missing_rows as f64,
    );
    page.counter(
        "driftlead_partial_inferences_total",
        "Halves of inferences that came too late to be counted.",
        parts.drain.partial_inferences as f64,
    );
    page.counter(
        "driftlead_records_set_aside_total",
        "Records that are part of no window because of their event time.",
        parts.drain.set_aside as f64,
    );
    let up = f64::from(u8::from(parts.engine.state == EngineState::Up));
    page.gauge("driftlead_engine_up", "1 when the database answers.", up);
    page.counter(
        "driftlead_engine_restarts_total",
        "Restarts of the embedded engine.",
        parts.engine.restarts as f64,
    );
    page.gauge("driftlead_index_documents", "Errors that can be found.", index.documents as f64);
    let index_lag = index.oldest_waiting.map_or(0.0, |oldest| now.seconds_since(oldest).max(0.0));
    page.gauge(
        "driftlead_index_lag_seconds",
        "Age of the oldest error that cannot be found yet.",
        index_lag,
    );
    page.counter(
        "driftlead_index_failures_total",
        "Failures of the error index.",
        index.failures as f64,
    );
    page.counter(
        "driftlead_collector_requests_total",
        "Requests accepted.",
        parts.collector.requests as f64,
    );
    page.counter(
        "driftlead_collector_records_total",
        "Records accepted.",
        parts.collector.records as f64,
    );
    page.head(
        "driftlead_collector_refused_total",
        "Requests and records refused or cut.",
        "counter",
    );
    for refused in &parts.collector.refused {
        let labels = [("reason", refused.reason.clone())];
        page.line("driftlead_collector_refused_total", &labels, refused.count as f64);
    }
    page.gauge("driftlead_uptime_seconds", "Since the start.", now.seconds_since(parts.started_at));
    page.head("driftlead_build_info", "The version.", "gauge");
    page.line("driftlead_build_info", &[("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0);
}

/// The exposition.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, String)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        match labels.is_empty() {
            true => self.push(format_args!("{name} {value}\n")),
            false => self.push(format_args!("{name}{{{}}} {value}\n", labels.join(","))),
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "gauge");
        self.line(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "counter");
        self.line(name, &[], value);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a text takes any text");
    }
}

/// A label's value as the format has it: backslash, quote and line feed are escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn names_from_outside_cannot_break_the_format() {
        let mut page = Page::default();
        page.line("m", &[("model", "a\"} 1\nevil 2\\".to_owned())], 3.0);
        assert_eq!(page.0, "m{model=\"a\\\"} 1\\nevil 2\\\\\"} 3\n");
    }
}
