//! `GET /api/v1/search`, `/api/v1/search/patterns` and `/api/v1/search/hits/{id}`: errors and their patterns, log records and spans.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use driftlead_store::clock::UnixNanos;
use driftlead_store::index::query::{Keyword, MAX_QUERY_BYTES};
use driftlead_store::index::{
    FoundPatterns, Hit, MAX_LIMIT, MAX_PATTERNS, Part, SearchError, SearchRequest, SearchResponse, SuggestRequest, Suggestion,
};
use driftlead_store::patterns::{PatternId, PatternSighting, Template};
use driftlead_store::state::versions::SeenVersion;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use super::sources::{PARAMETER as SOURCE, Source, StatedSource};
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::{WebState, telemetry_problem};

const DEFAULT_LIMIT: usize = 50;
const DEFAULT_PATTERNS: usize = 100;
/// Seconds after which a search that was too slow may be tried again.
const RETRY_SECONDS: u32 = 5;

const PARAMETERS: &[(&str, &str)] = &[
    (
        "q",
        "words, \"phrases\", wor*, *or*, field:value, field:>5, field:[a TO b], time:>now-15m, AND, OR, NOT, brackets; blank: everything",
    ),
    ("from", "first event time, RFC 3339"),
    ("to", "end of the event times, exclusive, RFC 3339"),
    ("environment", "only errors of this environment"),
    ("limit", "most hits, at most 500, 50 by default"),
    ("cursor", "`next` of the page before"),
    SOURCE,
];

const PATTERN_PARAMETERS: &[(&str, &str)] = &[
    PARAMETERS[0],
    PARAMETERS[1],
    PARAMETERS[2],
    PARAMETERS[3],
    ("limit", "most patterns, at most 500, 100 by default"),
];

const SUGGEST_PARAMETERS: &[(&str, &str)] = &[
    ("q", "the query as it is typed so far"),
    ("caret", "characters before the caret; the query's end by default"),
    PARAMETERS[1],
    PARAMETERS[2],
    PARAMETERS[3],
    SOURCE,
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/search",
            "Errors, log records or spans, newest first, with facets and a histogram.",
            search,
        )
        .query(PARAMETERS),
        Endpoint::get(
            "/api/v1/search/patterns",
            "What a search finds, counted by the pattern of its messages, with where each pattern was met first.",
            patterns,
        )
        .query(PATTERN_PARAMETERS),
        Endpoint::get(
            "/api/v1/search/suggest",
            "What may follow while a query is typed: fields, and values with how many errors have them.",
            suggest,
        )
        .query(SUGGEST_PARAMETERS),
        Endpoint::get("/api/v1/search/hits/{id}", "One error, log record or span.", show).query(&[SOURCE]),
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
    source: Source,
}

impl Parameters {
    fn request(self, caller: &Caller, default_limit: usize) -> Result<SearchRequest, Problem> {
        Ok(SearchRequest {
            query: self.q,
            from: parameters::instant("from", self.from.as_deref())?,
            to: parameters::instant("to", self.to.as_deref())?,
            environments: environments(caller, self.environment)?,
            limit: self.limit.unwrap_or(default_limit),
            cursor: self.cursor.filter(|cursor| !cursor.is_empty()),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SuggestParameters {
    q: String,
    caret: Option<usize>,
    from: Option<String>,
    to: Option<String>,
    environment: Option<String>,
    source: Source,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ShowParameters {
    source: Source,
}

#[derive(Debug, Serialize)]
struct Suggested {
    /// First character of the query that a suggestion replaces; up to the caret.
    from: usize,
    items: Vec<SuggestedItem>,
}

#[derive(Debug, Serialize)]
struct SuggestedItem {
    text: String,
    /// `null` for a field.
    count: Option<u64>,
}

/// What was found, as pages read it.
#[derive(Debug, Serialize)]
struct Found {
    source: StatedSource,
    total: u64,
    took_ms: u64,
    hits: Vec<SearchHit>,
    facets: Vec<Facet>,
    histogram: Histogram,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct SearchHit {
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
    pattern_id: Option<PatternId>,
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
    /// What the value stands for, where it is an id: the template of a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<String>,
}

/// Errors by pattern, as pages read them.
#[derive(Debug, Serialize)]
struct Patterns {
    total: u64,
    took_ms: u64,
    patterns: Vec<Pattern>,
    /// Patterns that are not listed.
    hidden: u64,
    /// Errors from before there were patterns.
    without: u64,
    /// Start of the first step of `counts`, in Unix seconds, and length of a step.
    from: i64,
    step_s: i64,
}

#[derive(Debug, Serialize)]
struct Pattern {
    id: PatternId,
    /// `null` where it was forgotten.
    template: Option<String>,
    count: u64,
    counts: Vec<u64>,
    versions: Vec<VersionCount>,
    /// Event times of the first and last error that was found.
    first: UnixNanos,
    last: UnixNanos,
    /// The last error that was found.
    example: SearchHit,
    /// Where it was met first, whatever was searched for; `null` where that was forgotten.
    first_seen: Option<FirstSeen>,
}

#[derive(Debug, Serialize)]
struct VersionCount {
    version: String,
    count: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct FirstSeen {
    time: UnixNanos,
    service: String,
    model: String,
    version: String,
    environment: String,
    /// The model had other versions before, none of which had it.
    is_new_in_version: bool,
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
    let source = asked.source;
    let request = asked.request(&caller, DEFAULT_LIMIT)?;
    let began = Instant::now();
    let (found, stated) = tokio::try_join!(source.search(&app, &request), source.stated(&app)).map_err(problem)?;
    let took_ms = milliseconds_since(began);
    let ids: Vec<PatternId> = pattern_values(&found).collect();
    let templates = app.state.pattern_templates(&ids).await?;
    Ok(axum::Json(answer(stated, found, &templates, took_ms)))
}

async fn suggest(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<SuggestParameters>,
) -> Result<axum::Json<Suggested>, Problem> {
    if asked.q.len() > MAX_QUERY_BYTES {
        return Err(Problem::bad_request(format!("the query is longer than {MAX_QUERY_BYTES} bytes")));
    }
    let source = asked.source;
    let request = SuggestRequest {
        caret: asked.caret.unwrap_or(usize::MAX),
        query: asked.q,
        from: parameters::instant("from", asked.from.as_deref())?,
        to: parameters::instant("to", asked.to.as_deref())?,
        environments: environments(&caller, asked.environment)?,
    };
    let found = source.suggest(&app, &request).await.map_err(problem)?;
    let item = |item: Suggestion| SuggestedItem {
        text: item.text,
        count: item.count,
    };
    Ok(axum::Json(Suggested {
        from: found.from,
        items: found.items.into_iter().map(item).collect(),
    }))
}

pub(super) fn milliseconds_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The ids in the facet of patterns.
fn pattern_values(found: &SearchResponse) -> impl Iterator<Item = PatternId> {
    let facets = found.facets.iter().filter(|facet| facet.field == Keyword::PatternId.name());
    facets.flat_map(|facet| &facet.values).filter_map(|(value, _)| value.parse().ok())
}

async fn patterns(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Patterns>, Problem> {
    let request = asked.request(&caller, DEFAULT_PATTERNS)?;
    let began = Instant::now();
    let found = app.index.patterns(&request).await.map_err(problem)?;
    let took_ms = milliseconds_since(began);
    let ids: Vec<PatternId> = found.patterns.iter().map(|pattern| pattern.id).collect();
    let templates = app.state.pattern_templates(&ids).await?;
    let sightings = sightings(&app, &ids, &request.environments).await?;
    let versions = app.state.seen_versions(None).await?;
    Ok(axum::Json(answer_patterns(found, &templates, &sightings, &versions, took_ms)))
}

/// Where patterns were met, in these environments; empty: in all.
pub(super) async fn sightings(app: &WebState, ids: &[PatternId], environments: &[String]) -> Result<Vec<PatternSighting>, Problem> {
    let mut sightings = app.state.pattern_sightings(ids).await?;
    sightings.retain(|seen| environments.is_empty() || environments.contains(&seen.environment));
    Ok(sightings)
}

fn answer_patterns(
    found: FoundPatterns,
    templates: &HashMap<PatternId, Template>,
    sightings: &[PatternSighting],
    versions: &[SeenVersion],
    took_ms: u64,
) -> Patterns {
    let mut first: HashMap<PatternId, &PatternSighting> = HashMap::new();
    // They come in the order of their first errors.
    for seen in sightings {
        first.entry(seen.pattern).or_insert(seen);
    }
    let patterns = found.patterns.into_iter().map(|pattern| Pattern {
        id: pattern.id,
        template: templates.get(&pattern.id).map(ToString::to_string),
        count: pattern.count,
        counts: pattern.counts,
        versions: pattern
            .versions
            .into_iter()
            .map(|(version, count)| VersionCount { version, count })
            .collect(),
        first: pattern.first,
        last: pattern.last,
        example: search_hit(pattern.example),
        first_seen: first.get(&pattern.id).map(|seen| first_seen(seen, versions)),
    });
    Patterns {
        total: found.total,
        took_ms,
        patterns: patterns.collect(),
        hidden: found.hidden,
        without: found.without,
        from: found.from_seconds,
        step_s: found.step_seconds,
    }
}

pub(super) fn first_seen(seen: &PatternSighting, versions: &[SeenVersion]) -> FirstSeen {
    let own = |version: &&SeenVersion| version.model == seen.model && version.environment == seen.environment;
    let known = versions.iter().filter(own).find(|version| version.version == seen.version);
    // Versions are noted some seconds after their first inference.
    let began = known.map_or(seen.first_event_time, |version| version.first_event_time);
    let is_new = versions.iter().filter(own).any(|version| version.first_event_time < began);
    FirstSeen {
        time: seen.first_event_time,
        service: seen.service.clone(),
        model: seen.model.clone(),
        version: seen.version.clone(),
        environment: seen.environment.clone(),
        is_new_in_version: is_new,
    }
}

async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(id): Path<String>,
    Query(asked): Query<ShowParameters>,
) -> Result<axum::Json<SearchHit>, Problem> {
    let found = asked.source.hit(&app, &id, caller.environments()).await.map_err(problem)?;
    let hit = found.ok_or_else(|| Problem::not_found("This is not kept any more."))?;
    Ok(axum::Json(search_hit(hit)))
}

/// The environments that the search is limited to; empty: none.
pub(super) fn environments(caller: &Caller, asked: Option<String>) -> Result<Vec<String>, Problem> {
    match asked {
        Some(asked) => caller.check_environment(&asked).map(|()| vec![asked]),
        None => Ok(caller.environments().to_vec()),
    }
}

pub(super) fn problem(error: SearchError) -> Problem {
    match error {
        SearchError::Query(_) | SearchError::Cursor(_) | SearchError::Limit(_) | SearchError::Range | SearchError::TooWide(_) => {
            Problem::bad_request(error.to_string())
        }
        SearchError::TooSlow => Problem::unavailable(error.to_string(), RETRY_SECONDS),
        SearchError::Index(error) => Problem::internal(&error),
        SearchError::Telemetry(error) => telemetry_problem(&error),
    }
}

fn answer(source: StatedSource, found: SearchResponse, templates: &HashMap<PatternId, Template>, took_ms: u64) -> Found {
    let facets = found.facets.into_iter().map(|facet| Facet {
        field: facet.field,
        values: facet
            .values
            .into_iter()
            .map(|(value, count)| FacetValue {
                meaning: value.parse().ok().and_then(|id| templates.get(&id)).map(ToString::to_string),
                value,
                count,
            })
            .collect(),
        other: facet.other,
    });
    Found {
        source,
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

/// As pages read it.
pub(super) fn search_hit(hit: Hit) -> SearchHit {
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
        pattern_id: error.pattern,
        highlights: highlights.collect(),
    }
}

const _: () = assert!(DEFAULT_LIMIT <= MAX_LIMIT && DEFAULT_PATTERNS <= MAX_PATTERNS);
