//! Points in time and scrolls: pages of what does not change meanwhile.
//!
//! A scroll's id holds all that the next page needs, so the server keeps nothing but the point in time below it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use driftlead_store::index::{HitKey, MAX_POINTS, PointId, place_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::EsError;
use super::intervals::fixed_ms;
use super::search::{NoParameters, Parameters, Search, Where, days_at, shards};
use crate::auth::Caller;
use crate::state::WebState;

/// Most bytes of the body of a scrolled search.
const MAX_SCROLLED_BYTES: usize = 64 * 1024;
/// Most scrolls that are closed by one request.
const MAX_CLOSED: usize = 1_000;

/// What a scroll's id holds.
#[derive(Debug, Serialize, Deserialize)]
struct Scroll {
    point: String,
    body: Value,
    /// Id of the last hit; `None` before the first page.
    after: Option<String>,
}

/// Opens a point in time over indexes.
///
/// # Errors
/// There is no such index, or too many points are open.
pub(super) async fn open_point(app: &WebState, at: &Where, keep_alive: Option<&str>) -> Result<Value, EsError> {
    let keep_alive = keep_alive.ok_or_else(|| EsError::illegal("[keep_alive] has to be set, as in keep_alive=1m"))?;
    let PointId(id) = open(app, at, keep_alive).await?;
    Ok(json!({"id": id, "_shards": shards()}))
}

async fn open(app: &WebState, at: &Where, keep_alive: &str) -> Result<PointId, EsError> {
    let days = days_at(app, at)?;
    let idle = Duration::from_millis(fixed_ms(keep_alive)?.unsigned_abs());
    let opened = app.index.open_point(days.as_ref(), idle);
    opened.ok_or_else(|| EsError::too_many_contexts(MAX_POINTS))
}

/// Closes a point in time.
///
/// # Errors
/// None is named.
pub(super) fn close_point(app: &WebState, body: &Value) -> Result<usize, EsError> {
    let id = body
        .get("id")
        .and_then(Value::as_str)
        .ok_or_else(|| EsError::parsing("the [id] of a point in time is needed"))?;
    Ok(usize::from(app.index.close_point(&PointId(id.to_owned()))))
}

/// A body that says all that the address beside it says, for the pages to come.
pub(super) fn whole(mut body: Value, parameters: &dyn Parameters) -> Value {
    if let Some(parts) = body.as_object_mut() {
        let query = parameters.parameter("q").map(|q| {
            let operator = parameters.parameter("default_operator").unwrap_or("or");
            ("query", json!({"query_string": {"query": q, "default_operator": operator}}))
        });
        let sort = parameters
            .parameter("sort")
            .map(|sort| ("sort", json!(sort.split(',').collect::<Vec<_>>())));
        let size = parameters.parameter("size").map(|size| ("size", json!(size)));
        for (key, value) in [query, sort, size].into_iter().flatten() {
            parts.entry(key).or_insert(value);
        }
    }
    body
}

/// Begins a scroll: its first page.
///
/// # Errors
/// As a search, or too many points are open.
pub(super) async fn begin(app: &WebState, at: &Where, body: Value, search: Search, keep_alive: &str) -> Result<Value, EsError> {
    if body.to_string().len() > MAX_SCROLLED_BYTES {
        return Err(EsError::illegal(format!(
            "the body of a scrolled search has at most {MAX_SCROLLED_BYTES} bytes"
        )));
    }
    if body.get("search_after").is_some() || body.get("pit").is_some() {
        return Err(EsError::illegal("a scroll takes neither [search_after] nor [pit]"));
    }
    let point = open(app, at, keep_alive).await?;
    page(app, search, point, body, None).await
}

/// The next page of a scroll.
///
/// # Errors
/// The id is none, or its time is over.
pub(super) async fn next(app: &WebState, caller: &Caller, id: &str) -> Result<Value, EsError> {
    let mut scroll = read(id)?;
    // Aggregations come with the first page only.
    if let Some(parts) = scroll.body.as_object_mut() {
        parts.remove("aggs");
        parts.remove("aggregations");
    }
    let everywhere = Where {
        index: String::new(),
        ignore_unavailable: true,
    };
    let search = Search::read(app, caller, &everywhere, &scroll.body, &NoParameters)?;
    let after = scroll.after.as_deref().map(place_of).transpose().map_err(|_| no_scroll())?;
    page(
        app,
        search,
        PointId(scroll.point),
        scroll.body,
        after.map(|place| (place, scroll.after.unwrap_or_default())),
    )
    .await
}

async fn page(app: &WebState, search: Search, point: PointId, body: Value, after: Option<(HitKey, String)>) -> Result<Value, EsError> {
    let (place, id) = after.unzip();
    let (mut answer, last) = search.page_of(point.clone(), place).run(app).await?;
    let last = last.and_then(|_| answer["hits"]["hits"].as_array()?.last()?["_id"].as_str().map(str::to_owned));
    let scroll = Scroll {
        point: point.0,
        body,
        after: last.or(id),
    };
    let bytes = serde_json::to_vec(&scroll).map_err(|error| EsError::illegal(error.to_string()))?;
    answer["_scroll_id"] = json!(URL_SAFE_NO_PAD.encode(bytes));
    Ok(answer)
}

/// Closes scrolls; how many were open.
///
/// # Errors
/// None is named, or too many are.
pub(super) fn close(app: &WebState, ids: &Value) -> Result<usize, EsError> {
    let ids = match ids {
        Value::Array(ids) => ids.as_slice(),
        one @ Value::String(_) => std::slice::from_ref(one),
        _ => return Err(EsError::parsing("[scroll_id] is needed")),
    };
    if ids.len() > MAX_CLOSED {
        return Err(EsError::illegal(format!("at most {MAX_CLOSED} scrolls are closed at once")));
    }
    let scrolls = ids.iter().filter_map(Value::as_str).filter_map(|id| read(id).ok());
    Ok(scrolls
        .filter(|scroll| app.index.close_point(&PointId(scroll.point.clone())))
        .count())
}

fn read(id: &str) -> Result<Scroll, EsError> {
    let bytes = URL_SAFE_NO_PAD.decode(id).map_err(|_| no_scroll())?;
    serde_json::from_slice(&bytes).map_err(|_| no_scroll())
}

fn no_scroll() -> EsError {
    EsError::no_context("this is no id of a scroll")
}
