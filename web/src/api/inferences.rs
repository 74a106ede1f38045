//! `GET /api/v1/models/{model}/inferences`: every inference, page by page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use driftlead_store::clickhouse::query::inferences::{
    InferenceCursor, InferenceFilter, ListedInference, ListedOutcome, MAX_PAGE, count_inferences, outcomes_of, page_of_inferences,
};
use driftlead_store::clock::UnixNanos;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;

const DEFAULT_LIMIT: u32 = 100;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/inferences",
            "Inferences with their outcomes, the latest hours first: {total, items, next}. total is exact; next is null at the end.",
            list,
        )
        .query(&[
            ("environment", "only this one's"),
            ("version", "only this one's"),
            ("session", "only those of this conversation or session"),
            ("request_id", "only this one"),
            ("from", "event time at or after this instant"),
            ("to", "event time before this instant"),
            ("limit", "at most this many, up to 5,000; 100 if unsaid"),
            ("cursor", "next of the page before"),
        ]),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    environment: Option<String>,
    version: Option<String>,
    session: Option<String>,
    request_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct Page {
    total: u64,
    items: Vec<Item>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Item {
    request_id: String,
    time: UnixNanos,
    version: String,
    environment: String,
    service: String,
    segment: String,
    arm: String,
    prediction_label: Option<String>,
    prediction_score: Option<f64>,
    prediction_value: Option<f64>,
    latency_ms: Option<f64>,
    error_type: Option<String>,
    trace_id: Option<String>,
    span_id: Option<String>,
    session_id: Option<String>,
    features: BTreeMap<String, Value>,
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    kind: String,
    value: Value,
    at: UnixNanos,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Page>, Problem> {
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > MAX_PAGE {
        return Err(Problem::bad_request(format!("limit must be between 1 and {MAX_PAGE}")));
    }
    let environments = match caller.environment(asked.environment)? {
        Some(environment) => vec![environment],
        None => caller.environments().to_vec(),
    };
    let filter = InferenceFilter {
        model,
        environments,
        version: asked.version,
        session: asked.session,
        request: asked.request_id,
        from: parameters::instant("from", asked.from.as_deref())?,
        to: parameters::instant("to", asked.to.as_deref())?,
    };
    let cursor = asked.cursor.as_deref().map(read_cursor).transpose()?;
    let problem = |error: clickhouse::error::Error| app.telemetry_problem(&error);
    let total = async {
        match &cursor {
            Some(cursor) => Ok(cursor.total),
            None => count_inferences(&app.clickhouse, &filter).await,
        }
    };
    let after = cursor.as_ref().map(|cursor| &cursor.after);
    let page = page_of_inferences(&app.clickhouse, &filter, after, limit);
    let (total, rows) = tokio::try_join!(total, page).map_err(problem)?;
    let ids: Vec<String> = rows.iter().map(|row| row.request_id.clone()).collect();
    let mut outcomes = outcomes_of(&app.clickhouse, &filter.model, &ids).await.map_err(problem)?;
    let is_full = rows.len() == limit as usize;
    let next = rows.last().filter(|_| is_full).map(|last| write_cursor(last, total));
    let items = rows.into_iter().map(|row| {
        let known = outcomes.remove(&row.request_id).unwrap_or_default();
        item(row, known)
    });
    Ok(Json(Page {
        total,
        items: items.collect(),
        next,
    }))
}

fn item(row: ListedInference, outcomes: Vec<ListedOutcome>) -> Item {
    // What is not finite has no form in JSON: null.
    let numbers = row.numeric_features.into_iter().map(|(name, value)| (name, json!(value)));
    let categories = row.categorical_features.into_iter().map(|(name, value)| (name, json!(value)));
    Item {
        request_id: row.request_id,
        time: UnixNanos(row.event_time),
        version: row.version,
        environment: row.environment,
        service: row.service,
        segment: row.segment,
        arm: row.arm,
        prediction_label: row.prediction_label,
        prediction_score: row.prediction_score,
        prediction_value: row.prediction_value,
        latency_ms: row.latency_ms,
        error_type: row.error_type,
        trace_id: row.trace_id,
        span_id: row.span_id,
        session_id: row.session_id,
        features: numbers.chain(categories).collect(),
        outcomes: outcomes.into_iter().map(outcome).collect(),
    }
}

fn outcome(row: ListedOutcome) -> Outcome {
    let value = match (row.label, row.verdict) {
        (Some(label), _) => json!(label),
        (None, Some(verdict)) => json!(verdict != 0),
        (None, None) => json!(row.conversion),
    };
    Outcome {
        kind: row.kind,
        value,
        at: UnixNanos(row.at),
    }
}

/// `next` of a page: where it ends, and what was counted for the first page, so that the others need not count.
#[derive(Debug, PartialEq)]
struct Cursor {
    total: u64,
    after: InferenceCursor,
}

fn write_cursor(last: &ListedInference, total: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{total}/{}/{}", last.key_hour, last.request_id))
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (total, after) = text.split_once('/')?;
        let (hour, request_id) = after.split_once('/')?;
        Some(Cursor {
            total: total.parse().ok()?,
            after: InferenceCursor {
                key_hour: hour.parse().ok()?,
                request_id: request_id.to_owned(),
            },
        })
    };
    read().ok_or_else(|| Problem::bad_request("cursor is not one that was given out: take `next` of the page before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_carries_the_total_and_any_request_id() {
        let cursor = |text: &str| read_cursor(&URL_SAFE_NO_PAD.encode(text)).ok();
        let expected = Cursor {
            total: 7,
            after: InferenceCursor {
                key_hour: 3_600,
                request_id: "a/b".to_owned(),
            },
        };
        assert_eq!(cursor("7/3600/a/b"), Some(expected));
        for wrong in ["", "7", "7/3600", "x/3600/a", "7/x/a"] {
            assert_eq!(cursor(wrong), None, "{wrong}");
        }
    }
}
