//! An error as a document: what `_source`, `fields` and `highlight` show of it.

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::Hit;
use serde_json::{Map, Value, json};

use super::error::EsError;
use super::names::{ATTRIBUTES, LATENCY, is_like};

/// The document of a hit. Fields that an error has not are absent.
pub(super) fn source(hit: &Hit) -> Map<String, Value> {
    let error = &hit.error;
    let mut document = Map::new();
    document.insert("@timestamp".into(), json!(error.time.to_string()));
    let pattern = error.pattern.map(|pattern| pattern.to_string()).unwrap_or_default();
    for (name, value) in [
        ("message", &error.message),
        ("severity", &error.severity),
        ("service.name", &error.service),
        ("ml.model.name", &error.model),
        ("ml.model.version", &error.version),
        ("deployment.environment.name", &error.environment),
        ("error.type", &error.error_type),
        ("error.stack_trace", &error.stack),
        ("trace.id", &error.trace_id),
        ("span.id", &error.span_id),
        ("pattern_id", &pattern),
    ] {
        if !value.is_empty() {
            document.insert(name.into(), json!(value));
        }
    }
    let mut attributes = error.attributes.clone();
    if let Some(latency) = attributes.remove(LATENCY) {
        document.insert(LATENCY.into(), latency);
    }
    if !attributes.is_empty() {
        document.insert("attributes".into(), json!(attributes));
    }
    document
}

/// What of documents is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SourceFilter {
    is_shown: bool,
    includes: Vec<String>,
    excludes: Vec<String>,
}

impl Default for SourceFilter {
    fn default() -> Self {
        Self {
            is_shown: true,
            includes: Vec::new(),
            excludes: Vec::new(),
        }
    }
}

impl SourceFilter {
    /// Reads `_source`: a flag, a name, names, or names to include and to exclude.
    ///
    /// # Errors
    /// It is none of these.
    pub fn read(value: &Value) -> Result<Self, EsError> {
        let all = Self::default();
        Ok(match value {
            Value::Null => all,
            Value::Bool(is_shown) => Self {
                is_shown: *is_shown,
                ..all
            },
            Value::Object(parts) => Self {
                includes: names(parts.get("includes").or_else(|| parts.get("include")))?,
                excludes: names(parts.get("excludes").or_else(|| parts.get("exclude")))?,
                ..all
            },
            names_only => Self {
                includes: names(Some(names_only))?,
                ..all
            },
        })
    }

    /// Takes `_source`, `_source_includes` and `_source_excludes` of an address.
    pub fn with_parameters(mut self, shown: Option<&str>, includes: Option<&str>, excludes: Option<&str>) -> Self {
        let list = |names: &str| names.split(',').map(str::to_owned).collect();
        match shown {
            Some("true") => self.is_shown = true,
            Some("false") => self.is_shown = false,
            Some(names) => self.includes = list(names),
            None => {}
        }
        self.includes = includes.map_or(self.includes, list);
        self.excludes = excludes.map_or(self.excludes, list);
        self
    }

    /// What is shown of a document; `None`: nothing.
    pub fn apply(&self, document: &Map<String, Value>) -> Option<Value> {
        if !self.is_shown {
            return None;
        }
        if self.includes.is_empty() && self.excludes.is_empty() {
            return Some(Value::Object(document.clone()));
        }
        let is_shown = |name: &str| {
            let is_in = |patterns: &[String]| patterns.iter().any(|pattern| is_like(pattern, name) || is_below(pattern, name));
            (self.includes.is_empty() || is_in(&self.includes)) && !is_in(&self.excludes)
        };
        let mut shown = Map::new();
        for (name, value) in document {
            match value.as_object().filter(|_| name == "attributes") {
                Some(attributes) => {
                    let kept = attributes.iter().filter(|(name, _)| is_shown(&format!("{ATTRIBUTES}{name}")));
                    let kept: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
                    if !kept.is_empty() {
                        shown.insert(name.clone(), Value::Object(kept));
                    }
                }
                None if is_shown(name) => {
                    shown.insert(name.clone(), value.clone());
                }
                None => {}
            }
        }
        Some(Value::Object(shown))
    }
}

/// Whether a field lies below the object that is named: `error` holds `error.type`.
fn is_below(object: &str, name: &str) -> bool {
    name.strip_prefix(object).is_some_and(|rest| rest.starts_with('.'))
}

fn names(value: Option<&Value>) -> Result<Vec<String>, EsError> {
    let wrong = || EsError::parsing("[_source] takes true, false, a name, a list of names, or includes and excludes");
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(name)) => Ok(vec![name.clone()]),
        Some(Value::Array(list)) => list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

/// One of `fields` or `docvalue_fields`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ShownField {
    pattern: String,
    format: Option<String>,
}

impl ShownField {
    /// Reads a list of names, each with a format perhaps.
    ///
    /// # Errors
    /// It is no such list.
    pub fn read_all(key: &str, value: Option<&Value>) -> Result<Vec<Self>, EsError> {
        let wrong = || EsError::parsing(format!("[{key}] takes a list of names, or of objects with a field and a format"));
        let list = match value {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let read = |one: &Value| match one {
            Value::String(pattern) => Some(Self {
                pattern: pattern.clone(),
                format: None,
            }),
            Value::Object(parts) => Some(Self {
                pattern: parts.get("field")?.as_str()?.to_owned(),
                format: parts.get("format").and_then(Value::as_str).map(str::to_owned),
            }),
            _ => None,
        };
        list.iter().map(|one| read(one).ok_or_else(wrong)).collect()
    }
}

/// Values by field, each in a list.
pub(super) fn fields(wanted: &[ShownField], hit: &Hit, document: &Map<String, Value>) -> Map<String, Value> {
    let mut leaves: Vec<(String, Vec<Value>)> = Vec::new();
    for (name, value) in document {
        flatten(name.clone(), value, &mut leaves);
    }
    let mut found = Map::new();
    for field in wanted {
        for (name, values) in leaves.iter().filter(|(name, _)| is_like(&field.pattern, name)) {
            let values = match name.as_str() {
                "@timestamp" => vec![written(hit.error.time, field.format.as_deref())],
                _ => values.clone(),
            };
            found.insert(name.clone(), Value::Array(values));
        }
    }
    found
}

fn flatten(name: String, value: &Value, leaves: &mut Vec<(String, Vec<Value>)>) {
    match value {
        Value::Object(parts) => {
            for (part, value) in parts {
                flatten(format!("{name}.{part}"), value, leaves);
            }
        }
        Value::Array(values) if values.iter().all(|value| !value.is_object()) => leaves.push((name, values.clone())),
        Value::Array(values) => values.iter().for_each(|value| flatten(name.clone(), value, leaves)),
        Value::Null => {}
        leaf => leaves.push((name, vec![leaf.clone()])),
    }
}

/// An instant in a date format of Elasticsearch: the ones that its clients ask for.
pub(super) fn written(time: UnixNanos, format: Option<&str>) -> Value {
    match format {
        Some("epoch_millis") => json!(time.millis().to_string()),
        Some("epoch_second") => json!(time.seconds().to_string()),
        Some(format) if format.contains("nanos") => json!(time.to_string()),
        _ => json!(in_milliseconds(time)),
    }
}

/// `2026-10-05T14:00:00.000Z`.
pub(super) fn in_milliseconds(time: UnixNanos) -> String {
    let whole = UnixNanos::from_seconds(time.seconds()).to_string();
    let millis = time.millis().rem_euclid(1_000);
    format!("{}.{millis:03}Z", whole.trim_end_matches('Z'))
}

/// Which texts come with the words that matched, and what stands around those.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Highlighting {
    patterns: Vec<String>,
    before: String,
    after: String,
}

impl Highlighting {
    /// Reads `highlight`; `None` where it is absent.
    ///
    /// # Errors
    /// It has no fields.
    pub fn read(value: Option<&Value>) -> Result<Option<Self>, EsError> {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let patterns = match value.get("fields") {
            Some(Value::Object(fields)) => fields.keys().cloned().collect(),
            Some(Value::Array(list)) => list
                .iter()
                .filter_map(Value::as_object)
                .flat_map(|one| one.keys().cloned())
                .collect(),
            _ => return Err(EsError::parsing("[highlight] needs [fields]")),
        };
        let tag = |key: &str, otherwise: &str| {
            let tags = value.get(key).and_then(Value::as_array);
            let tag = tags.and_then(|tags| tags.first()).and_then(Value::as_str);
            tag.unwrap_or(otherwise).to_owned()
        };
        Ok(Some(Self {
            patterns,
            before: tag("pre_tags", "<em>"),
            after: tag("post_tags", "</em>"),
        }))
    }

    /// Highlighted texts by field.
    pub fn apply(&self, hit: &Hit) -> Map<String, Value> {
        let mut found = Map::new();
        for (field, parts) in &hit.highlights {
            let name = match field.name() {
                "stack" => "error.stack_trace",
                other => other,
            };
            if !self.patterns.iter().any(|pattern| is_like(pattern, name)) {
                continue;
            }
            let text: String = parts
                .iter()
                .map(|part| match part.is_match {
                    true => format!("{}{}{}", self.before, part.text, self.after),
                    false => part.text.clone(),
                })
                .collect();
            found.insert(name.to_owned(), json!([text]));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::ErrorDocument;

    use super::*;

    fn hit() -> Hit {
        let attributes = json!({"http.route": "/predict", "latency_ms": 12.5, "peer": {"name": "db"}, "tags": ["a", "b"]});
        Hit {
            id: "0".repeat(32),
            error: ErrorDocument {
                time: UnixNanos::parse("2026-10-05T14:00:00.123456789Z").unwrap(),
                severity: "ERROR".into(),
                service: "scorer".into(),
                message: "no <b>".into(),
                error_type: "ValueError".into(),
                attributes: serde_json::from_value(attributes).unwrap(),
                ..ErrorDocument::default()
            },
            highlights: Vec::new(),
        }
    }

    #[test]
    fn a_document_has_the_names_of_the_contract() {
        let document = source(&hit());
        assert_eq!(
            Value::Object(document),
            json!({
                "@timestamp": "2026-10-05T14:00:00.123456789Z",
                "message": "no <b>",
                "severity": "ERROR",
                "service.name": "scorer",
                "error.type": "ValueError",
                "latency_ms": 12.5,
                "attributes": {"http.route": "/predict", "peer": {"name": "db"}, "tags": ["a", "b"]},
            })
        );
    }

    #[test]
    fn a_part_of_a_document_is_shown_on_demand() {
        let document = source(&hit());
        for (filter, expected) in [
            (json!(false), None),
            (json!("message"), Some(json!({"message": "no <b>"}))),
            (
                json!(["error", "attributes.http*"]),
                Some(json!({"error.type": "ValueError", "attributes": {"http.route": "/predict"}})),
            ),
            (
                json!({"includes": ["s*"], "excludes": ["severity"]}),
                Some(json!({"service.name": "scorer"})),
            ),
        ] {
            assert_eq!(SourceFilter::read(&filter).unwrap().apply(&document), expected, "{filter}");
        }
        assert!(SourceFilter::read(&json!(5)).is_err());
        let wanted = json!(["attributes.*", {"field": "@timestamp", "format": "epoch_millis"}, "nothing"]);
        let wanted = ShownField::read_all("fields", Some(&wanted)).unwrap();
        assert_eq!(
            Value::Object(fields(&wanted, &hit(), &document)),
            json!({
                "@timestamp": ["1791208800123"],
                "attributes.http.route": ["/predict"],
                "attributes.peer.name": ["db"],
                "attributes.tags": ["a", "b"],
            })
        );
        assert_eq!(written(hit().error.time, None), json!("2026-10-05T14:00:00.123Z"));
        assert_eq!(
            written(hit().error.time, Some("strict_date_optional_time_nanos")),
            json!("2026-10-05T14:00:00.123456789Z")
        );
    }
}
