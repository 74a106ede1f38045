//! `_search` and `_count`: one body, one page of hits.

use std::collections::BTreeSet;
use std::time::Instant;

use driftlead_store::index::query::Field;
use driftlead_store::index::{Day, Hit, HitKey, LookupRequest, LookupResponse, Order, PointId, place_of};
use serde_json::{Map, Value, json};

use super::aggregations::Aggregations;
use super::document::{Highlighting, ShownField, SourceFilter, fields, source};
use super::error::EsError;
use super::names;
use super::query::{self, Reading};
use crate::auth::Caller;
use crate::state::WebState;

const DEFAULT_SIZE: usize = 10;

/// Keys of a body that change what is found or shown in ways that are not possible here.
const UNSUPPORTED: [&str; 10] = [
    "collapse",
    "knn",
    "post_filter",
    "rank",
    "rescore",
    "retriever",
    "runtime_mappings",
    "script_fields",
    "slice",
    "suggest",
];

/// Keys that are taken, or that mean nothing where hits are ordered by time and counted exactly.
const KNOWN: [&str; 25] = [
    "_source",
    "aggregations",
    "aggs",
    "docvalue_fields",
    "explain",
    "ext",
    "fields",
    "from",
    "highlight",
    "indices_boost",
    "min_score",
    "pit",
    "profile",
    "query",
    "search_after",
    "seq_no_primary_term",
    "size",
    "sort",
    "stats",
    "stored_fields",
    "terminate_after",
    "timeout",
    "track_scores",
    "track_total_hits",
    "version",
];

/// A search as it was asked for.
pub(super) struct Search {
    lookup: LookupRequest,
    shows_sort: bool,
    is_point: bool,
    source: SourceFilter,
    fields: Vec<ShownField>,
    highlighting: Option<Highlighting>,
    aggregations: Option<Aggregations>,
    counts_as_number: bool,
    with_types: bool,
    /// What was not understood and left out.
    pub ignored: Vec<String>,
}

/// Parameters of an address that say what a body could say.
pub(super) trait Parameters: Sync {
    /// One by its name.
    fn parameter(&self, name: &str) -> Option<&str>;
}

impl Parameters for super::request::EsRequest {
    fn parameter(&self, name: &str) -> Option<&str> {
        Self::parameter(self, name)
    }
}

/// The lines of `_msearch` have none of their own.
pub(super) struct NoParameters;

impl Parameters for NoParameters {
    fn parameter(&self, _name: &str) -> Option<&str> {
        None
    }
}

/// Where to search.
pub(super) struct Where {
    /// Index names and patterns.
    pub index: String,
    /// Names of no index are passed over.
    pub ignore_unavailable: bool,
}

impl Search {
    /// Reads a body and the parameters beside it.
    ///
    /// # Errors
    /// What cannot be read or is not supported.
    pub fn read(app: &WebState, caller: &Caller, at: &Where, body: &Value, parameters: &dyn Parameters) -> Result<Self, EsError> {
        let parts = body
            .as_object()
            .ok_or_else(|| EsError::parsing("the body has to be a JSON object"))?;
        let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if let Some((key, _)) = parts
            .iter()
            .find(|(key, value)| UNSUPPORTED.contains(&key.as_str()) && !is_empty(value))
        {
            return Err(EsError::unsupported(format!("[{key}] in a search")));
        }
        let is_strange = |key: &&String| !KNOWN.contains(&key.as_str()) && !UNSUPPORTED.contains(&key.as_str());
        let ignored = parts.keys().filter(is_strange).cloned().collect();
        let now = app.clock.now();
        let stated = |key: &str| parts.get(key).filter(|value| !value.is_null());
        let expression = match (stated("query"), parameters.parameter("q")) {
            (None, Some(q)) => query::text(q, parameters.parameter("default_operator"), now)?,
            (query, _) => query::expression(query.unwrap_or(&Value::Null), now)?,
        };
        let point = stated("pit").map(point_of).transpose()?;
        let sort = match (stated("sort"), parameters.parameter("sort")) {
            (None, Some(sort)) => Some(json!(sort.split(',').collect::<Vec<_>>())),
            (sort, _) => sort.cloned(),
        };
        let order = order_of(sort.as_ref())?;
        let after = stated("search_after").map(|after| after_place(after, order, app)).transpose()?;
        let number = |key: &str, otherwise: usize| number(key, stated(key), parameters.parameter(key), otherwise);
        let skip = number("from", 0)?;
        if after.is_some() && skip > 0 {
            return Err(EsError::illegal("`from` parameter must be set to 0 when `search_after` is used"));
        }
        let aggregations = Aggregations::read(stated("aggs").or_else(|| stated("aggregations")), now)?;
        let mut shown = ShownField::read_all("fields", stated("fields"))?;
        shown.extend(ShownField::read_all("docvalue_fields", stated("docvalue_fields"))?);
        let filter = SourceFilter::read(stated("_source").unwrap_or(&Value::Null))?;
        let of = |name| parameters.parameter(name);
        let is_set = |name| of(name).is_some_and(|value| value != "false");
        Ok(Self {
            lookup: LookupRequest {
                expression,
                environments: caller.environments().to_vec(),
                days: days_at(app, at)?,
                order,
                after,
                skip,
                limit: number("size", DEFAULT_SIZE)?,
                aggregations: aggregations
                    .as_ref()
                    .map_or(Value::Null, |aggregations| aggregations.request.clone()),
                point: point.clone(),
            },
            shows_sort: sort.is_some() || after.is_some() || point.is_some(),
            is_point: point.is_some(),
            source: filter.with_parameters(of("_source"), of("_source_includes"), of("_source_excludes")),
            fields: shown,
            highlighting: Highlighting::read(stated("highlight"))?,
            aggregations,
            counts_as_number: is_set("rest_total_hits_as_int"),
            with_types: is_set("typed_keys"),
            ignored,
        })
    }

    /// Searches in a point in time, after a place: a page of a scroll.
    pub fn page_of(mut self, point: PointId, after: Option<HitKey>) -> Self {
        self.lookup.point = Some(point);
        self.lookup.after = after.or(self.lookup.after);
        self.lookup.days = None;
        self
    }

    /// Finds, and says it as Elasticsearch does.
    ///
    /// # Errors
    /// As a lookup.
    pub async fn run(self, app: &WebState) -> Result<(Value, Option<HitKey>), EsError> {
        let began = Instant::now();
        let point = self.lookup.point.clone().filter(|_| self.is_point);
        let found = app.index.lookup(self.lookup.clone()).await?;
        let last = found.hits.last().and_then(|hit| place_of(&hit.id).ok());
        let mut answer = Map::new();
        answer.insert("took".into(), json!(began.elapsed().as_millis() as u64));
        answer.insert("timed_out".into(), json!(false));
        answer.insert("_shards".into(), shards());
        answer.insert("hits".into(), self.hits(&found));
        if let (Some(aggregations), Some(results)) = (&self.aggregations, found.aggregations) {
            answer.insert("aggregations".into(), aggregations.shaped(results, self.with_types));
        }
        if let Some(PointId(id)) = point {
            answer.insert("pit_id".into(), json!(id));
        }
        Ok((Value::Object(answer), last))
    }

    fn hits(&self, found: &LookupResponse) -> Value {
        let hits: Vec<Value> = found.hits.iter().map(|hit| self.hit(hit)).collect();
        let total = match self.counts_as_number {
            true => json!(found.total),
            false => json!({"value": found.total, "relation": "eq"}),
        };
        let score = if self.shows_sort || hits.is_empty() {
            Value::Null
        } else {
            json!(1.0)
        };
        json!({"total": total, "max_score": score, "hits": hits})
    }

    fn hit(&self, hit: &Hit) -> Value {
        let document = source(hit);
        let mut shown = Map::new();
        shown.insert("_index".into(), json!(names::index_name(Day::of(hit.error.time))));
        shown.insert("_id".into(), json!(hit.id));
        shown.insert("_score".into(), if self.shows_sort { Value::Null } else { json!(1.0) });
        if let Some(source) = self.source.apply(&document) {
            shown.insert("_source".into(), source);
        }
        if !self.fields.is_empty() {
            shown.insert("fields".into(), Value::Object(fields(&self.fields, hit, &document)));
        }
        if let Some(highlighting) = &self.highlighting {
            let highlighted = highlighting.apply(hit);
            if !highlighted.is_empty() {
                shown.insert("highlight".into(), Value::Object(highlighted));
            }
        }
        if self.shows_sort {
            // The id tells errors of one millisecond apart: with both, `search_after` leaves none out.
            shown.insert("sort".into(), json!([hit.error.time.millis(), hit.id]));
        }
        Value::Object(shown)
    }
}

/// Counts what a body's query finds.
///
/// # Errors
/// As a search.
pub(super) async fn count(
    app: &WebState,
    caller: &Caller,
    at: &Where,
    body: &Value,
    parameters: &dyn Parameters,
) -> Result<Value, EsError> {
    if let Some(key) = body.as_object().and_then(|parts| parts.keys().find(|key| *key != "query")) {
        return Err(EsError::parsing(format!("request does not support [{key}]")));
    }
    let mut search = Search::read(app, caller, at, body, parameters)?;
    search.lookup.limit = 0;
    search.lookup.skip = 0;
    let found = app.index.lookup(search.lookup).await?;
    Ok(json!({"count": found.total, "_shards": shards()}))
}

/// The days that index names mean; `None`: all.
///
/// # Errors
/// There is no such index.
pub(super) fn days_at(app: &WebState, at: &Where) -> Result<Option<BTreeSet<Day>>, EsError> {
    names::days(&at.index, &app.index.existing_days(), at.ignore_unavailable)
}

/// There are none; clients look at what failed.
pub(super) fn shards() -> Value {
    json!({"total": 1, "successful": 1, "skipped": 0, "failed": 0})
}

fn point_of(value: &Value) -> Result<PointId, EsError> {
    let id = value.get("id").and_then(Value::as_str);
    id.map(|id| PointId(id.to_owned()))
        .ok_or_else(|| EsError::parsing("[pit] needs an [id]"))
}

fn number(key: &str, stated: Option<&Value>, parameter: Option<&str>, otherwise: usize) -> Result<usize, EsError> {
    let wrong = |value: &dyn std::fmt::Display| EsError::illegal(format!("[{key}] has to be a whole number from 0 on, it is {value}"));
    match (stated, parameter) {
        (Some(value), _) => {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| wrong(value))
        }
        (None, Some(text)) => text.parse().map_err(|_| wrong(&text)),
        (None, None) => Ok(otherwise),
    }
}

/// The order that a sort asks for: by time, whatever else tells hits of one instant apart.
fn order_of(sort: Option<&Value>) -> Result<Order, EsError> {
    let clauses = match sort {
        None => return Ok(Order::NewestFirst),
        Some(Value::Array(clauses)) => clauses.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    for clause in clauses {
        let (name, rest) = match clause {
            Value::String(text) => match text.split_once(':') {
                Some((name, direction)) => (name, json!(direction)),
                None => (text.as_str(), Value::Null),
            },
            Value::Object(parts) if parts.len() == 1 => match parts.iter().next() {
                Some((name, rest)) => (name.as_str(), rest.clone()),
                None => continue,
            },
            _ => return Err(EsError::parsing("[sort] takes names, or objects with one name")),
        };
        if matches!(name, "_doc" | "_shard_doc" | "_score" | "_id") {
            continue;
        }
        if names::field(name) != Field::Time {
            // What no document has orders nothing, and clients say so.
            if rest.get("unmapped_type").is_some() && matches!(names::field(name), Field::Attribute(_)) {
                continue;
            }
            return Err(EsError::unsupported(format!(
                "a sort by [{name}]: errors are sorted by @timestamp; another order"
            )));
        }
        let direction = rest.as_str().or_else(|| rest.get("order").and_then(Value::as_str)).unwrap_or("asc");
        return match direction {
            "desc" => Ok(Order::NewestFirst),
            "asc" => Ok(Order::OldestFirst),
            other => Err(EsError::parsing(format!("[order] is {other:?}: write asc or desc"))),
        };
    }
    Ok(Order::NewestFirst)
}

/// The place after which a page begins: a hit's `sort`, or its time alone.
fn after_place(after: &Value, order: Order, app: &WebState) -> Result<HitKey, EsError> {
    let wrong = || EsError::parsing("[search_after] takes the sort values of the last hit");
    let values = after.as_array().filter(|values| !values.is_empty()).ok_or_else(wrong)?;
    if let Some(id) = values.get(1).and_then(Value::as_str) {
        return place_of(id).map_err(|_| wrong());
    }
    let period = Reading::new(app.clock.now(), None, None)?.read(&values[0])?;
    Ok(match order {
        Order::NewestFirst => (period.start.0, 0),
        Order::OldestFirst => (period.end.0.saturating_sub(1), u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_is_by_time_or_refused() {
        for (sort, expected) in [
            (json!(null), Order::NewestFirst),
            (json!(["_doc"]), Order::NewestFirst),
            (json!("@timestamp"), Order::OldestFirst),
            (json!(["@timestamp:desc"]), Order::NewestFirst),
            (
                json!([{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}, {"_doc": {"order": "desc"}}]),
                Order::NewestFirst,
            ),
            (json!({"@timestamp": "asc"}), Order::OldestFirst),
            (
                json!([{"nothing": {"order": "asc", "unmapped_type": "long"}}, {"@timestamp": "asc"}]),
                Order::OldestFirst,
            ),
        ] {
            let sort = Some(&sort).filter(|sort| !sort.is_null());
            assert_eq!(order_of(sort).unwrap(), expected, "{sort:?}");
        }
        for wrong in [
            json!(["severity"]),
            json!([5]),
            json!([{"@timestamp": "up"}]),
            json!([{"a": 1, "b": 2}]),
        ] {
            assert!(order_of(Some(&wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_whole_and_not_negative() {
        assert_eq!(number("size", None, None, 10), Ok(10));
        assert_eq!(number("size", Some(&json!(3)), Some("4"), 10), Ok(3));
        assert_eq!(number("size", None, Some("4"), 10), Ok(4));
        for wrong in [json!(-1), json!(1.5), json!("x")] {
            assert!(number("size", Some(&wrong), None, 10).is_err(), "{wrong}");
        }
    }
}
