//! `GET /api/v1/search` and `/api/v1/search/hits/{id}`: errors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use driftlead_store::clock::UnixNanos;
use driftlead_store::index::{Hit, MAX_LIMIT, Part, SearchError, SearchRequest, SearchResponse};
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

const DEFAULT_LIMIT: usize = 50;
/// Seconds after which a search that was too slow may be tried again.
const RETRY_SECONDS: u32 = 5;

const PARAMETERS: &[(&str, &str)] = &[
    (
        "q",
        "words, \"phrases\", wor*, field:value, field:>5, field:[a TO b], AND, OR, NOT, brackets; blank: everything",
    ),
    ("from", "first event time, RFC 3339"),
    ("to", "end of the event times, exclusive, RFC 3339"),
    ("environment", "only errors of this environment"),
    ("limit", "most hits, at most 500, 50 by default"),
    ("cursor", "`next` of the page before"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/search", "Errors, newest first, with facets and a histogram.", search).query(PARAMETERS),
        Endpoint::get("/api/v1/search/hits/{id}", "One error.", show),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    q: String,
    from: Option<String>,
    to: Option<String>,
    environment: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// What was found, as pages read it.
#[derive(Debug, Serialize)]
struct Found {
    total: u64,
    took_ms: u64,
    hits: Vec<SearchHit>,
    facets: Vec<Facet>,
    histogram: Histogram,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct SearchHit {
    id: String,
    time: UnixNanos,
    severity: String,
    service: String,
    model: String,
    version: String,
    environment: String,
    trace_id: String,
    span_id: String,
    error_type: String,
    message: String,
    stack: String,
    attributes: BTreeMap<String, serde_json::Value>,
    highlights: Vec<Highlight>,
}

#[derive(Debug, Serialize)]
struct Highlight {
    field: &'static str,
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Facet {
    field: &'static str,
    values: Vec<FacetValue>,
    other: u64,
}

#[derive(Debug, Serialize)]
struct FacetValue {
    value: String,
    count: u64,
}

#[derive(Debug, Serialize)]
struct Histogram {
    from: i64,
    step_s: i64,
    counts: Vec<u64>,
}

async fn search(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Found>, Problem> {
    let request = SearchRequest {
        query: asked.q,
        from: parameters::instant("from", asked.from.as_deref())?,
        to: parameters::instant("to", asked.to.as_deref())?,
        environments: environments(&caller, asked.environment)?,
        limit: asked.limit.unwrap_or(DEFAULT_LIMIT),
        cursor: asked.cursor.filter(|cursor| !cursor.is_empty()),
    };
    let began = Instant::now();
    let found = app.index.search(&request).await.map_err(problem)?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(axum::Json(answer(found, took_ms)))
}

async fn show(State(app): State<Arc<WebState>>, Asked(caller): Asked, Path(id): Path<String>) -> Result<axum::Json<SearchHit>, Problem> {
    let found = app.index.error(&id, caller.environments()).await.map_err(problem)?;
    let hit = found.ok_or_else(|| Problem::not_found("This error is not kept any more."))?;
    Ok(axum::Json(search_hit(hit)))
}

/// The environments that the search is limited to; empty: none.
fn environments(caller: &Caller, asked: Option<String>) -> Result<Vec<String>, Problem> {
    match asked {
        Some(asked) => caller.check_environment(&asked).map(|()| vec![asked]),
        None => Ok(caller.environments().to_vec()),
    }
}

fn problem(error: SearchError) -> Problem {
    match error {
        SearchError::Query(_) | SearchError::Cursor(_) | SearchError::Limit(_) | SearchError::Range => {
            Problem::bad_request(error.to_string())
        }
        SearchError::TooSlow => Problem::unavailable(error.to_string(), RETRY_SECONDS),
        SearchError::Index(error) => Problem::internal(&error),
    }
}

fn answer(found: SearchResponse, took_ms: u64) -> Found {
    let facets = found.facets.into_iter().map(|facet| Facet {
        field: facet.field,
        values: facet.values.into_iter().map(|(value, count)| FacetValue { value, count }).collect(),
        other: facet.other,
    });
    Found {
        total: found.total,
        took_ms,
        hits: found.hits.into_iter().map(search_hit).collect(),
        facets: facets.collect(),
        histogram: Histogram {
            from: found.histogram.from_seconds,
            step_s: found.histogram.step_seconds,
            counts: found.histogram.counts,
        },
        next: found.next,
    }
}

fn search_hit(hit: Hit) -> SearchHit {
    let Hit { id, error, highlights } = hit;
    let highlights = highlights.into_iter().map(|(field, parts)| Highlight {
        field: field.name(),
        parts,
    });
    SearchHit {
        id,
        time: error.time,
        severity: error.severity,
        service: error.service,
        model: error.model,
        version: error.version,
        environment: error.environment,
        trace_id: error.trace_id,
        span_id: error.span_id,
        error_type: error.error_type,
        message: error.message,
        stack: error.stack,
        attributes: error.attributes,
        highlights: highlights.collect(),
    }
}

const _: () = assert!(DEFAULT_LIMIT <= MAX_LIMIT);
