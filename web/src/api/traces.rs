//! `GET /api/v1/traces/{trace_id}`: the spans of a trace and what was told in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_store::clickhouse::query::traces::{TraceRecord, TraceSpan, trace};
use driftlead_store::clock::UnixNanos;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

const TRACE_ID_DIGITS: usize = 32;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/traces/{trace_id}",
            "A trace as far as it is stored: {spans, span_count, records}, the earliest first.",
            show,
        )
        .query(&[
            ("at", "an instant of the trace: finds its log records where no span is stored"),
            ("environment", "only what this environment told"),
        ]),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    at: Option<String>,
    environment: Option<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    spans: Vec<Span>,
    /// All spans that there are; the first 1,000 are listed.
    span_count: u64,
    records: Vec<Record>,
}

#[derive(Debug, Serialize)]
struct Span {
    span_id: String,
    /// `null`: it has none.
    parent_span_id: Option<String>,
    name: String,
    kind: String,
    service: String,
    start: UnixNanos,
    /// Since the trace's first span began, in milliseconds.
    offset_ms: f64,
    duration_ms: f64,
    status: String,
    status_message: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct Record {
    time: UnixNanos,
    span_id: String,
    severity: String,
    service: String,
    body: String,
}

async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(trace_id): Path<String>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Shown>, Problem> {
    if trace_id.len() != TRACE_ID_DIGITS || !trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Problem::bad_request("a trace id has 32 hexadecimal digits"));
    }
    let environments = match caller.environment(asked.environment)? {
        Some(environment) => vec![environment],
        None => caller.environments().to_vec(),
    };
    let at = parameters::instant("at", asked.at.as_deref())?.unwrap_or_else(|| app.clock.now());
    let found = trace(&app.clickhouse, &trace_id.to_ascii_lowercase(), at.seconds(), &environments)
        .await
        .map_err(|error| app.telemetry_problem(&error))?;
    let began = found.spans.first().map_or(0, |span| span.start);
    Ok(Json(Shown {
        spans: found.spans.into_iter().map(|one| span(one, began)).collect(),
        span_count: found.span_count,
        records: found.records.into_iter().map(record).collect(),
    }))
}

fn span(span: TraceSpan, began: i64) -> Span {
    Span {
        span_id: span.span_id,
        parent_span_id: Some(span.parent_span_id).filter(|id| !id.is_empty()),
        name: span.name,
        kind: span.kind,
        service: span.service,
        start: UnixNanos(span.start),
        offset_ms: milliseconds((span.start - began).max(0).unsigned_abs()),
        duration_ms: milliseconds(span.duration_ns),
        status: span.status,
        status_message: span.status_message,
        attributes: span.attributes.into_iter().collect(),
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

fn record(record: TraceRecord) -> Record {
    Record {
        time: UnixNanos(record.time),
        span_id: record.span_id,
        severity: record.severity,
        service: record.service,
        body: record.body,
    }
}
