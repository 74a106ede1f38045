//! `GET /api/v1/search/versions`: the errors of two versions side by side.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use driftlead_store::clickhouse::query::buckets::requests_by_version;
use driftlead_store::clock::UnixNanos;
use driftlead_store::index::{MAX_PATTERNS, PatternCount, SearchRequest};
use driftlead_store::patterns::{PatternId, PatternSighting, Template};
use driftlead_store::state::versions::SeenVersion;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use super::search::{FirstSeen, SearchHit, environments, first_seen, milliseconds_since, problem, search_hit, sightings};
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::Query;
use crate::state::WebState;

const DEFAULT_SECONDS: i64 = 7 * 86_400;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/search/versions",
            "What a search finds of two versions of a model, by pattern: what is new, what comes more or less often, what is gone.",
            compare,
        )
        .query(&[
            ("model", "the model"),
            ("before", "the version to compare with"),
            ("after", "the version that is compared"),
            ("q", "as in /api/v1/search"),
            ("from", "first event time, RFC 3339; seven days before `to` if unsaid"),
            ("to", "end of the event times, exclusive, RFC 3339; now if unsaid"),
            ("environment", "only errors of this environment"),
        ]),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    model: String,
    before: String,
    after: String,
    #[serde(default)]
    q: String,
    from: Option<String>,
    to: Option<String>,
    environment: Option<String>,
}

#[derive(Debug, Serialize)]
struct Comparison {
    total_before: u64,
    total_after: u64,
    took_ms: u64,
    /// Inferences of the versions in the range; 0 where none is known.
    inferences_before: u64,
    inferences_after: u64,
    patterns: Vec<Compared>,
    /// Patterns that are not listed.
    hidden: u64,
}

#[derive(Debug, Serialize)]
struct Compared {
    id: PatternId,
    /// `null` where it was forgotten.
    template: Option<String>,
    before: u64,
    after: u64,
    /// The version before had it at any time, also outside of the range.
    ever_before: bool,
    first_seen: Option<FirstSeen>,
    example: SearchHit,
}

/// Which versions are compared.
struct Versions<'a> {
    model: &'a str,
    before: &'a str,
    after: &'a str,
}

async fn compare(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Query(asked): Query<Parameters>,
) -> Result<axum::Json<Comparison>, Problem> {
    if asked.before == asked.after {
        return Err(Problem::bad_request("before and after have to be different versions"));
    }
    let (from, to) = parameters::range(asked.from.as_deref(), asked.to.as_deref(), DEFAULT_SECONDS, app.clock.now())?;
    let environments = environments(&caller, asked.environment)?;
    let request = SearchRequest {
        query: asked.q,
        from: Some(from),
        to: Some(to),
        environments,
        limit: MAX_PATTERNS,
        cursor: None,
    };
    let versions = Versions {
        model: &asked.model,
        before: &asked.before,
        after: &asked.after,
    };
    let began = Instant::now();
    let wanted = [asked.before.clone(), asked.after.clone()];
    let found = app.index.patterns_of(&request, &asked.model, &wanted).await.map_err(problem)?;
    let took_ms = milliseconds_since(began);
    let ids: Vec<PatternId> = found.patterns.iter().map(|pattern| pattern.id).collect();
    let templates = app.state.pattern_templates(&ids).await?;
    let sightings = sightings(&app, &ids, &request.environments).await?;
    let seen_versions = app.state.seen_versions(None).await?;
    let served = inferences(&app, &versions, &request.environments, &seen_versions, from, to).await?;
    let patterns: Vec<Compared> = found
        .patterns
        .into_iter()
        .map(|pattern| compared(pattern, &versions, &templates, &sightings, &seen_versions))
        .collect();
    let sum = |of: fn(&Compared) -> u64| patterns.iter().map(of).sum();
    Ok(axum::Json(Comparison {
        total_before: sum(|pattern| pattern.before),
        total_after: sum(|pattern| pattern.after),
        took_ms,
        inferences_before: served.get(asked.before.as_str()).copied().unwrap_or(0),
        inferences_after: served.get(asked.after.as_str()).copied().unwrap_or(0),
        patterns,
        hidden: found.hidden,
    }))
}

fn compared(
    pattern: PatternCount,
    versions: &Versions<'_>,
    templates: &HashMap<PatternId, Template>,
    sightings: &[PatternSighting],
    seen_versions: &[SeenVersion],
) -> Compared {
    let count = |version: &str| {
        pattern
            .versions
            .iter()
            .find(|(name, _)| name == version)
            .map_or(0, |(_, count)| *count)
    };
    // They come in the order of their first errors.
    let own: Vec<&PatternSighting> = sightings.iter().filter(|seen| seen.pattern == pattern.id).collect();
    let before = count(versions.before);
    let was_seen = own
        .iter()
        .any(|seen| seen.model == versions.model && seen.version == versions.before);
    Compared {
        id: pattern.id,
        template: templates.get(&pattern.id).map(ToString::to_string),
        before,
        after: count(versions.after),
        ever_before: before > 0 || was_seen,
        first_seen: own.first().map(|seen| first_seen(seen, seen_versions)),
        example: search_hit(pattern.example),
    }
}

/// Inferences by version, of all environments that may be seen.
async fn inferences(
    app: &WebState,
    versions: &Versions<'_>,
    allowed: &[String],
    seen_versions: &[SeenVersion],
    from: UnixNanos,
    to: UnixNanos,
) -> Result<HashMap<String, u64>, Problem> {
    let own = seen_versions.iter().filter(|seen| seen.model == versions.model);
    let environments: BTreeSet<&str> = own
        .map(|seen| seen.environment.as_str())
        .filter(|environment| allowed.is_empty() || allowed.iter().any(|name| name == environment))
        .collect();
    let mut served = HashMap::new();
    for environment in environments {
        let counted = requests_by_version(&app.clickhouse, versions.model, environment, from, to).await;
        for (version, requests) in counted.map_err(|error| app.telemetry_problem(&error))? {
            *served.entry(version).or_default() += requests;
        }
    }
    Ok(served)
}
