//! What there is: the server, the indexes, their fields.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use driftlead_store::index::DayStatus;
use serde_json::{Map, Value, json};

use super::error::EsError;
use super::names;
use super::request::EsRequest;
use super::search::{Where, days_at};
use crate::state::WebState;

/// The release of Elasticsearch whose answers these are like; clients look at it.
pub(super) const VERSION: &str = "8.17.0";

/// `GET /`.
pub(super) fn information() -> Value {
    json!({
        "name": "driftlead",
        "cluster_name": "driftlead",
        "cluster_uuid": "driftlead",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "docker",
            "build_hash": "unknown",
            "build_date": "1970-01-01T00:00:00.000000000Z",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    })
}

/// `GET /_cluster/health`.
pub(super) fn health() -> Value {
    json!({
        "cluster_name": "driftlead",
        "status": "green",
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": 1,
        "active_shards": 1,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": 0,
        "active_shards_percent_as_number": 100.0,
    })
}

async fn statuses(app: &WebState, request: &EsRequest) -> Result<Vec<DayStatus>, EsError> {
    let at = Where {
        index: request.index().to_owned(),
        ignore_unavailable: request.flag("ignore_unavailable"),
    };
    let wanted = days_at(app, &at)?;
    let mut statuses = app.index.days().await.map_err(EsError::failed)?;
    statuses.retain(|status| wanted.as_ref().is_none_or(|wanted| wanted.contains(&status.day)));
    Ok(statuses)
}

/// Columns of `_cat/indices`.
const COLUMNS: [&str; 10] = [
    "health",
    "status",
    "index",
    "uuid",
    "pri",
    "rep",
    "docs.count",
    "docs.deleted",
    "store.size",
    "pri.store.size",
];

/// `GET /_cat/indices`: how many errors each day has and what they take on disk. Counts are of the whole index, which
/// a caller who sees only some environments is not shown.
pub(super) async fn cat(app: &WebState, request: &EsRequest, headers: &HeaderMap) -> Result<Response, EsError> {
    let statuses = statuses(app, request).await?;
    let sees_all = request.caller.environments().is_empty();
    let columns: Vec<&str> = match request.parameter("h") {
        None => COLUMNS.to_vec(),
        Some(names) => names.split(',').map(str::trim).collect(),
    };
    if let Some(unknown) = columns.iter().find(|column| !COLUMNS.contains(column)) {
        return Err(EsError::illegal(format!(
            "there is no column [{unknown}]: there are {}",
            COLUMNS.join(", ")
        )));
    }
    let in_bytes = request.parameter("bytes").is_some();
    let value = |status: &DayStatus, column: &str| match column {
        "health" => "green".to_owned(),
        "status" => "open".to_owned(),
        "index" | "uuid" => names::index_name(status.day),
        "pri" => "1".to_owned(),
        "docs.count" if sees_all => status.documents.to_string(),
        "store.size" | "pri.store.size" if sees_all => match in_bytes {
            true => status.bytes.to_string(),
            false => human(status.bytes),
        },
        "docs.count" | "store.size" | "pri.store.size" => String::new(),
        _ => "0".to_owned(),
    };
    let accepts_json = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let accepts_json = accepts_json
        .is_some_and(|accept| accept.starts_with("application/json") || accept.starts_with("application/vnd.elasticsearch+json"));
    let is_json = request.parameter("format").map_or(accepts_json, |format| format == "json");
    let rows = statuses
        .iter()
        .map(|status| columns.iter().map(|column| value(status, column)).collect::<Vec<_>>());
    if is_json {
        let object = |row: Vec<String>| {
            columns
                .iter()
                .map(|column| (*column).to_owned())
                .zip(row.into_iter().map(Value::String))
                .collect()
        };
        return Ok(axum::Json(rows.map(object).collect::<Vec<Map<String, Value>>>()).into_response());
    }
    let mut lines: Vec<Vec<String>> = rows.collect();
    if request.flag("v") {
        lines.insert(0, columns.iter().map(|column| (*column).to_owned()).collect());
    }
    Ok(table(&lines).into_response())
}

/// Columns as wide as their widest value.
fn table(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(value, width)| format!("{value:width$}")).collect();
        text.push_str(padded.join(" ").trim_end());
        text.push('\n');
    }
    text
}

/// `1.2mb`, as Elasticsearch writes sizes.
fn human(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["b", "kb", "mb", "gb"] {
        if size < 1024.0 {
            return format!("{}{unit}", (size * 10.0).floor() / 10.0);
        }
        size /= 1024.0;
    }
    format!("{}tb", (size * 10.0).floor() / 10.0)
}

/// Types by the name of a field: one mostly.
async fn types(app: &WebState, request: &EsRequest) -> Result<BTreeMap<String, BTreeSet<&'static str>>, EsError> {
    let attributes = app.index.attributes(request.caller.environments().to_vec()).await?;
    let mut types: BTreeMap<String, BTreeSet<&str>> = names::FIELDS
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), BTreeSet::from([*kind])))
        .collect();
    for (name, kinds) in attributes.into_iter().filter(|(name, _)| name != names::LATENCY) {
        let kinds = kinds.into_iter().map(names::type_of).collect();
        types.insert(format!("{}{name}", names::ATTRIBUTES), kinds);
    }
    Ok(types)
}

/// `_field_caps`: what can be searched and aggregated.
pub(super) async fn field_caps(app: &WebState, request: &EsRequest) -> Result<Value, EsError> {
    let body = request.body()?;
    let patterns: Vec<String> = match (request.parameter("fields"), body.get("fields")) {
        (Some(names), _) => names.split(',').map(str::to_owned).collect(),
        (None, Some(Value::Array(names))) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        (None, Some(Value::String(name))) => vec![name.clone()],
        _ => return Err(EsError::illegal("specify [fields], as in fields=*")),
    };
    let indexes: Vec<String> = statuses(app, request)
        .await?
        .iter()
        .map(|status| names::index_name(status.day))
        .collect();
    let mut fields = Map::new();
    for (name, kinds) in types(app, request).await? {
        if !patterns.iter().any(|pattern| names::is_like(pattern, &name)) {
            continue;
        }
        let capabilities = kinds.into_iter().map(|kind| {
            let is_aggregated = kind != "text";
            let capability = json!({"type": kind, "metadata_field": false, "searchable": true, "aggregatable": is_aggregated});
            (kind.to_owned(), capability)
        });
        fields.insert(name, Value::Object(capabilities.collect()));
    }
    Ok(json!({"indices": indexes, "fields": fields}))
}

/// The fields of every index, as a mapping.
async fn mapping(app: &WebState, request: &EsRequest) -> Result<Value, EsError> {
    let mut properties = Map::new();
    let mut attributes = Map::new();
    for (name, kinds) in types(app, request).await? {
        let kind = kinds.into_iter().next().unwrap_or("keyword");
        match name.strip_prefix(names::ATTRIBUTES) {
            Some(path) => {
                attributes.insert(path.to_owned(), json!({"type": kind}));
            }
            None => put(&mut properties, &name, kind),
        }
    }
    properties.insert("attributes".into(), json!({"properties": attributes}));
    Ok(json!({"dynamic": "true", "properties": properties}))
}

/// Puts `service.name` below `service`.
fn put(properties: &mut Map<String, Value>, name: &str, kind: &str) {
    match name.split_once('.') {
        None => {
            properties.insert(name.to_owned(), json!({"type": kind}));
        }
        Some((object, rest)) => {
            let below = properties.entry(object).or_insert_with(|| json!({"properties": {}}));
            if let Some(below) = below["properties"].as_object_mut() {
                put(below, rest, kind);
            }
        }
    }
}

/// `_mapping`.
pub(super) async fn mappings(app: &WebState, request: &EsRequest) -> Result<Value, EsError> {
    let mapping = mapping(app, request).await?;
    let of = |status: &DayStatus| (names::index_name(status.day), json!({"mappings": mapping}));
    Ok(Value::Object(statuses(app, request).await?.iter().map(of).collect()))
}

/// An index, or whether there is one.
pub(super) async fn describe(app: &WebState, request: &EsRequest) -> Result<Value, EsError> {
    let mapping = mapping(app, request).await?;
    let of = |status: &DayStatus| {
        let mut aliases = Map::new();
        aliases.insert(names::ALIAS.to_owned(), json!({}));
        let settings = json!({"index": {"number_of_shards": "1", "number_of_replicas": "0"}});
        let described = json!({"aliases": aliases, "mappings": mapping, "settings": settings});
        (names::index_name(status.day), described)
    };
    Ok(Value::Object(statuses(app, request).await?.iter().map(of).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_tables_are_written_as_elasticsearch_does() {
        for (bytes, text) in [(0, "0b"), (1_023, "1023b"), (1_024, "1kb"), (1_290_000, "1.2mb"), (5 << 40, "5tb")] {
            assert_eq!(human(bytes), text);
        }
        let lines = [
            vec!["index".to_owned(), "n".to_owned()],
            vec!["errors-2026.10.05".to_owned(), "12".to_owned()],
        ];
        assert_eq!(table(&lines), "index             n\nerrors-2026.10.05 12\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn names_with_dots_are_objects_in_a_mapping() {
        let mut properties = Map::new();
        for name in ["ml.model.name", "ml.model.version", "message"] {
            put(&mut properties, name, "keyword");
        }
        let version = json!({"name": {"type": "keyword"}, "version": {"type": "keyword"}});
        assert_eq!(
            Value::Object(properties),
            json!({
                "ml": {"properties": {"model": {"properties": version}}},
                "message": {"type": "keyword"},
            })
        );
    }
}
