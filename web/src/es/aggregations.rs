//! Aggregations: from what a client asks for to what the index computes, and its results in the client's form.

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::query::Field;
use driftlead_store::index::{MAX_BUCKETS, column_of};
use serde_json::{Map, Value, json};

use super::document::{in_milliseconds, written};
use super::error::EsError;
use super::intervals::{FIRST_MONDAY_MS, calendar_ms, fixed_ms, offset_of_zone, signed_ms};
use super::names;
use super::query::Reading;

/// Most aggregations of one request, each inside of others counted too.
const MAX_AGGREGATIONS: usize = 100;
/// Deepest nesting.
const MAX_DEPTH: usize = 10;

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Aggregations {
    /// In the form of the index.
    pub request: Value,
    wanted: Vec<Wanted>,
}

/// One aggregation.
#[derive(Debug, PartialEq)]
struct Wanted {
    name: String,
    kind: String,
    shape: Shape,
    meta: Option<Value>,
    inner: Vec<Self>,
}

/// How its result differs from what the index gives.
#[derive(Debug, PartialEq)]
enum Shape {
    /// Not at all.
    AsIs,
    /// Keys are instants, written in a format.
    Instants(Option<String>),
    /// Values are nanoseconds, and are shown as milliseconds and in a format.
    Moments(Option<String>),
    /// What found no room is told of even where there was room.
    Terms,
}

impl Aggregations {
    /// Reads `aggs`; `None` where there are none.
    ///
    /// # Errors
    /// They are none, or of a kind that is not supported.
    pub fn read(value: Option<&Value>, now: UnixNanos) -> Result<Option<Self>, EsError> {
        let Some(value) = value.filter(|value| value.as_object().is_none_or(|parts| !parts.is_empty())) else {
            return Ok(None);
        };
        let mut reader = Reader { now, count: 0 };
        let (request, wanted) = reader.all(value, 0)?;
        Ok(Some(Self { request, wanted }))
    }

    /// The results as the client reads them; with their types before their names where those are wanted (`sterms#name`).
    pub fn shaped(&self, mut results: Value, with_types: bool) -> Value {
        shape_all(&self.wanted, &mut results, with_types);
        results
    }
}

struct Reader {
    now: UnixNanos,
    count: usize,
}

type Parameters = Map<String, Value>;

impl Reader {
    fn all(&mut self, value: &Value, depth: usize) -> Result<(Value, Vec<Wanted>), EsError> {
        let parts = value
            .as_object()
            .ok_or_else(|| EsError::parsing("[aggs] takes an object of aggregations by name"))?;
        self.count += parts.len();
        if depth == MAX_DEPTH || self.count > MAX_AGGREGATIONS {
            return Err(EsError::illegal(format!(
                "at most {MAX_AGGREGATIONS} aggregations, nested at most {MAX_DEPTH} deep, are computed at once"
            )));
        }
        let mut request = Map::new();
        let mut wanted = Vec::with_capacity(parts.len());
        for (name, body) in parts {
            let (part, one) = self.one(name, body, depth)?;
            request.insert(name.clone(), part);
            wanted.push(one);
        }
        Ok((Value::Object(request), wanted))
    }

    fn one(&mut self, name: &str, body: &Value, depth: usize) -> Result<(Value, Wanted), EsError> {
        let parts = body
            .as_object()
            .ok_or_else(|| EsError::parsing(format!("[{name}] is no aggregation")))?;
        let mut kinds = parts
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "aggs" | "aggregations" | "meta"));
        let (Some((kind, parameters)), None) = (kinds.next(), kinds.next()) else {
            return Err(EsError::parsing(format!("[{name}] has to say exactly one type of aggregation")));
        };
        let parameters = parameters
            .as_object()
            .ok_or_else(|| EsError::parsing(format!("[{kind}] of [{name}] takes an object")))?;
        let (translated, shape) = match kind.as_str() {
            "terms" => terms(parameters)?,
            "date_histogram" => self.date_histogram(parameters)?,
            "histogram" => histogram(parameters)?,
            "range" => range(parameters)?,
            "percentiles" => metric(kind, parameters, &["percents", "keyed", "missing", "tdigest", "hdr"])?,
            "cardinality" => metric(kind, parameters, &["missing", "precision_threshold", "execution_hint"])?,
            "min" | "max" | "avg" | "sum" | "value_count" | "stats" | "extended_stats" => {
                metric(kind, parameters, &["missing", "format", "sigma"])?
            }
            other => return Err(EsError::unsupported(format!("the aggregation [{other}] of [{name}]"))),
        };
        let mut request = Map::new();
        request.insert(kind.clone(), Value::Object(translated));
        let mut inner = Vec::new();
        if let Some(below) = parts.get("aggs").or_else(|| parts.get("aggregations")) {
            if !matches!(kind.as_str(), "terms" | "date_histogram" | "histogram" | "range") {
                return Err(EsError::parsing(format!(
                    "[{kind}] of [{name}] has no buckets for aggregations inside of it"
                )));
            }
            let (below, wanted) = self.all(below, depth + 1)?;
            request.insert("aggs".into(), below);
            inner = wanted;
        }
        let wanted = Wanted {
            name: name.to_owned(),
            kind: kind.clone(),
            shape,
            meta: parts.get("meta").cloned(),
            inner,
        };
        Ok((Value::Object(request), wanted))
    }

    fn date_histogram(&self, parameters: &Parameters) -> Result<(Parameters, Shape), EsError> {
        let known = [
            "field",
            "fixed_interval",
            "calendar_interval",
            "interval",
            "offset",
            "time_zone",
            "format",
            "min_doc_count",
            "extended_bounds",
            "hard_bounds",
            "keyed",
            "order",
        ];
        only("date_histogram", parameters, &known)?;
        let (field, column) = column("date_histogram", parameters)?;
        if field != Field::Time {
            return Err(EsError::illegal("[date_histogram] works on @timestamp"));
        }
        oldest_first("date_histogram", parameters)?;
        let text = |key: &str| parameters.get(key).and_then(Value::as_str);
        let (interval, is_week) = match (text("fixed_interval"), text("calendar_interval"), text("interval")) {
            (Some(fixed), None, None) => (fixed_ms(fixed)?, false),
            (None, Some(calendar), None) => calendar_ms(calendar)?,
            (None, None, Some(either)) => calendar_ms(either).or_else(|_| fixed_ms(either).map(|ms| (ms, false)))?,
            _ => {
                return Err(EsError::parsing(
                    "[date_histogram] needs one of [fixed_interval] and [calendar_interval]",
                ));
            }
        };
        let mut offset = if is_week { FIRST_MONDAY_MS } else { 0 };
        offset += text("offset").map(signed_ms).transpose()?.unwrap_or(0);
        offset -= text("time_zone").map(offset_of_zone).transpose()?.unwrap_or(0);
        let mut translated = Map::new();
        translated.insert("field".into(), json!(column));
        translated.insert("fixed_interval".into(), json!(format!("{interval}ms")));
        let offset = offset.rem_euclid(interval);
        if offset != 0 {
            translated.insert("offset".into(), json!(format!("{offset}ms")));
        }
        let least = parameters.get("min_doc_count").and_then(Value::as_u64).unwrap_or(0);
        translated.insert("min_doc_count".into(), json!(least));
        let reading = Reading::new(self.now, text("format"), text("time_zone"))?;
        for key in ["extended_bounds", "hard_bounds"] {
            // Empty buckets at the ends are not shown where empty buckets are not.
            let is_wanted = key == "hard_bounds" || least == 0;
            if let Some(bounds) = parameters.get(key).filter(|bounds| bounds.is_object() && is_wanted) {
                let (min, max) = (instant_ms(&reading, bounds, "min")?, instant_ms(&reading, bounds, "max")?);
                if (max - min) / interval > i64::from(MAX_BUCKETS) {
                    return Err(EsError::illegal(format!(
                        "[{key}] makes more than {MAX_BUCKETS} buckets: use a longer interval"
                    )));
                }
                translated.insert(key.into(), json!({"min": min, "max": max}));
            }
        }
        if let Some(keyed) = parameters.get("keyed") {
            translated.insert("keyed".into(), keyed.clone());
        }
        Ok((translated, Shape::Instants(text("format").map(str::to_owned))))
    }
}

fn only(kind: &str, parameters: &Parameters, known: &[&str]) -> Result<(), EsError> {
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(EsError::unsupported(format!("[{name}] in [{kind}]"))),
        None => Ok(()),
    }
}

/// The field and the column under which the index has it by value.
fn column(kind: &str, parameters: &Parameters) -> Result<(Field, String), EsError> {
    let name = parameters.get("field").and_then(Value::as_str);
    let name = name.ok_or_else(|| EsError::parsing(format!("[{kind}] needs a [field]")))?;
    let field = names::field(name);
    let column = column_of(&field);
    let column = column.ok_or_else(|| {
        EsError::illegal(format!(
            "[{kind}] on [{name}] is not possible: texts are kept by their words, not by value"
        ))
    })?;
    Ok((field, column))
}

/// Buckets of histograms come in ascending order.
fn oldest_first(kind: &str, parameters: &Parameters) -> Result<(), EsError> {
    match parameters.get("order") {
        None => Ok(()),
        Some(order) if *order == json!({"_key": "asc"}) => Ok(()),
        Some(_) => Err(EsError::unsupported(format!("[order] other than by ascending _key in [{kind}]"))),
    }
}

fn copy(from: &Parameters, keys: &[&str], to: &mut Parameters) {
    for key in keys {
        if let Some(value) = from.get(*key).filter(|value| !value.is_null()) {
            to.insert((*key).to_owned(), value.clone());
        }
    }
}

fn terms(parameters: &Parameters) -> Result<(Parameters, Shape), EsError> {
    let known = [
        "field",
        "size",
        "shard_size",
        "min_doc_count",
        "shard_min_doc_count",
        "missing",
        "order",
        "include",
        "exclude",
        "show_term_doc_count_error",
        "collect_mode",
        "execution_hint",
        "value_type",
    ];
    only("terms", parameters, &known)?;
    let (_, column) = column("terms", parameters)?;
    let mut translated = Map::new();
    translated.insert("field".into(), json!(column));
    let size = match parameters.get("size") {
        None | Some(Value::Null) => 10,
        Some(size) => number(size)
            .filter(|size| *size >= 1.0)
            .ok_or_else(|| EsError::parsing(format!("[size] of [terms] is {size}")))? as u64,
    };
    let most = u64::from(MAX_BUCKETS);
    translated.insert("size".into(), json!(size.min(most)));
    // Each part of the index tells all that it has, so that counts are exact.
    translated.insert("segment_size".into(), json!(most));
    copy(
        parameters,
        &["min_doc_count", "missing", "include", "exclude", "show_term_doc_count_error"],
        &mut translated,
    );
    let order = match parameters.get("order") {
        Some(Value::Array(orders)) => orders.first(),
        order => order,
    };
    if let Some(order) = order.filter(|order| !order.is_null()) {
        let by = order.as_object().and_then(|order| order.iter().next());
        let (by, direction) = by.ok_or_else(|| EsError::parsing("[order] of [terms] takes an object such as {\"_count\": \"desc\"}"))?;
        let by = if by == "_term" { "_key" } else { by };
        translated.insert("order".into(), json!({by: direction}));
    }
    Ok((translated, Shape::Terms))
}

fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.filter(|number| number.is_finite())
}

fn histogram(parameters: &Parameters) -> Result<(Parameters, Shape), EsError> {
    let known = [
        "field",
        "interval",
        "offset",
        "min_doc_count",
        "extended_bounds",
        "hard_bounds",
        "keyed",
        "order",
        "format",
    ];
    only("histogram", parameters, &known)?;
    oldest_first("histogram", parameters)?;
    let (field, column) = column("histogram", parameters)?;
    if !matches!(field, Field::Attribute(_)) {
        return Err(EsError::illegal("[histogram] works on numbers: on latency_ms and on attributes"));
    }
    let interval = parameters.get("interval").and_then(number).filter(|interval| *interval > 0.0);
    let interval = interval.ok_or_else(|| EsError::parsing("[interval] of [histogram] has to be a number above zero"))?;
    for key in ["extended_bounds", "hard_bounds"] {
        let end = |end: &str| {
            parameters
                .get(key)
                .and_then(|bounds| bounds.get(end))
                .and_then(number)
                .unwrap_or(0.0)
        };
        if (end("max") - end("min")) / interval > f64::from(MAX_BUCKETS) {
            return Err(EsError::illegal(format!(
                "[{key}] makes more than {MAX_BUCKETS} buckets: use a longer interval"
            )));
        }
    }
    let mut translated = Map::new();
    translated.insert("field".into(), json!(column));
    translated.insert("interval".into(), json!(interval));
    copy(parameters, &["offset", "min_doc_count", "hard_bounds", "keyed"], &mut translated);
    if parameters.get("min_doc_count").and_then(Value::as_u64).unwrap_or(0) == 0 {
        copy(parameters, &["extended_bounds"], &mut translated);
    }
    Ok((translated, Shape::AsIs))
}

fn range(parameters: &Parameters) -> Result<(Parameters, Shape), EsError> {
    only("range", parameters, &["field", "ranges", "keyed"])?;
    let (field, column) = column("range", parameters)?;
    if !matches!(field, Field::Attribute(_)) {
        return Err(EsError::illegal("[range] works on numbers: on latency_ms and on attributes"));
    }
    let mut translated = Map::new();
    translated.insert("field".into(), json!(column));
    copy(parameters, &["ranges", "keyed"], &mut translated);
    Ok((translated, Shape::AsIs))
}

fn metric(kind: &str, parameters: &Parameters, known: &[&str]) -> Result<(Parameters, Shape), EsError> {
    only(kind, parameters, &[known, &["field"]].concat())?;
    let (field, column) = column(kind, parameters)?;
    let is_counted = matches!(kind, "value_count" | "cardinality");
    let is_number = matches!(field, Field::Attribute(_) | Field::Time);
    let is_time = field == Field::Time;
    if !is_number && !is_counted {
        return Err(EsError::illegal(format!(
            "[{kind}] works on numbers: on latency_ms, on attributes and on @timestamp"
        )));
    }
    if is_time && !is_counted && !matches!(kind, "min" | "max" | "avg") {
        return Err(EsError::unsupported(format!("[{kind}] on @timestamp")));
    }
    let mut translated = Map::new();
    translated.insert("field".into(), json!(column));
    copy(parameters, &["missing", "percents", "keyed", "sigma"], &mut translated);
    let format = parameters.get("format").and_then(Value::as_str).map(str::to_owned);
    Ok((
        translated,
        if is_time && !is_counted {
            Shape::Moments(format)
        } else {
            Shape::AsIs
        },
    ))
}

fn instant_ms(reading: &Reading, bounds: &Value, key: &str) -> Result<i64, EsError> {
    let value = bounds
        .get(key)
        .ok_or_else(|| EsError::parsing(format!("bounds of a histogram need [{key}]")))?;
    Ok(reading.read(value)?.start.millis())
}

fn shape_all(wanted: &[Wanted], results: &mut Value, with_types: bool) {
    let Some(results) = results.as_object_mut() else { return };
    for one in wanted {
        if let Some(result) = results.get_mut(&one.name) {
            one.shape(result, with_types);
            if with_types && let Some(result) = results.remove(&one.name) {
                results.insert(format!("{}#{}", one.type_of(&result), one.name), result);
            }
        }
    }
}

impl Wanted {
    /// What Elasticsearch calls the result: of terms that depends on their keys.
    fn type_of(&self, result: &Value) -> &str {
        match (self.kind.as_str(), result.pointer("/buckets/0/key")) {
            ("terms", Some(Value::Number(key))) if key.is_f64() => "dterms",
            ("terms", Some(Value::Number(_))) => "lterms",
            ("terms", _) => "sterms",
            ("percentiles", _) => "tdigest_percentiles",
            (kind, _) => kind,
        }
    }

    fn shape(&self, result: &mut Value, with_types: bool) {
        match &self.shape {
            Shape::AsIs => {}
            Shape::Terms => {
                let parts = result.as_object_mut();
                let parts = parts.into_iter();
                parts.for_each(|parts| {
                    parts.entry("doc_count_error_upper_bound").or_insert(json!(0));
                    parts.entry("sum_other_doc_count").or_insert(json!(0));
                });
            }
            Shape::Moments(format) => moment(result, format.as_deref()),
            Shape::Instants(format) => rename_keys(result, format.as_deref()),
        }
        if let (Some(meta), Some(parts)) = (&self.meta, result.as_object_mut()) {
            parts.insert("meta".into(), meta.clone());
        }
        if self.inner.is_empty() {
            return;
        }
        match result.get_mut("buckets") {
            Some(Value::Array(buckets)) => buckets.iter_mut().for_each(|bucket| shape_all(&self.inner, bucket, with_types)),
            Some(Value::Object(buckets)) => buckets.values_mut().for_each(|bucket| shape_all(&self.inner, bucket, with_types)),
            _ => {}
        }
    }
}

/// Nanoseconds become milliseconds, and a text beside them.
fn moment(result: &mut Value, format: Option<&str>) {
    let Some(nanos) = result.get("value").and_then(Value::as_f64) else {
        return;
    };
    let time = UnixNanos(nanos as i64);
    result["value"] = json!(time.millis() as f64);
    result["value_as_string"] = written(time, format);
}

/// Keys are whole milliseconds, with a text beside them in the format that was asked for.
fn rename_keys(result: &mut Value, format: Option<&str>) {
    let named = |bucket: &mut Value| -> Option<String> {
        let time = UnixNanos::from_millis(bucket.get("key")?.as_f64()?.round() as i64);
        bucket["key"] = json!(time.millis());
        let text = match written(time, format) {
            Value::String(text) => text,
            _ => in_milliseconds(time),
        };
        bucket["key_as_string"] = json!(text);
        Some(text)
    };
    match result.get_mut("buckets") {
        Some(Value::Array(buckets)) => buckets.iter_mut().for_each(|bucket| {
            named(bucket);
        }),
        Some(Value::Object(buckets)) => {
            let renamed = std::mem::take(buckets)
                .into_iter()
                .map(|(key, mut bucket)| (named(&mut bucket).unwrap_or(key), bucket));
            *buckets = renamed.collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Value, EsError> {
        let now = UnixNanos::parse("2026-10-20T12:00:00Z").unwrap();
        Aggregations::read(Some(&value), now).map(|read| read.unwrap().request)
    }

    #[test]
    fn requests_are_translated_with_the_names_of_the_index() {
        assert_eq!(
            read(json!({"2": {
                "date_histogram": {
                    "field": "@timestamp", "fixed_interval": "30s", "min_doc_count": 0, "format": "epoch_millis",
                    "extended_bounds": {"min": 1_791_208_800_000_i64, "max": "1791212400000"},
                },
                "aggs": {"3": {"terms": {"field": "service.name", "size": 5, "order": {"_term": "desc"}}}},
            }}))
            .unwrap(),
            json!({"2": {
                "date_histogram": {
                    "field": "ts", "fixed_interval": "30000ms", "min_doc_count": 0,
                    "extended_bounds": {"min": 1_791_208_800_000_i64, "max": 1_791_212_400_000_i64},
                },
                "aggs": {"3": {"terms": {"field": "service", "size": 5, "segment_size": 65_000, "order": {"_key": "desc"}}}},
            }})
        );
        let week = json!({"w": {"date_histogram": {"field": "@timestamp", "calendar_interval": "week", "time_zone": "+02:00"}}});
        let week = read(week).unwrap();
        assert_eq!(week["w"]["date_histogram"]["fixed_interval"], "604800000ms");
        assert_eq!(week["w"]["date_histogram"]["offset"], format!("{}ms", FIRST_MONDAY_MS - 7_200_000));
        let latency = json!({"p": {"percentiles": {"field": "latency_ms", "percents": [50, 99]}}});
        assert_eq!(
            read(latency).unwrap(),
            json!({"p": {"percentiles": {"field": "attributes.latency_ms", "percents": [50, 99]}}})
        );
    }

    #[test]
    fn what_is_not_supported_or_too_large_is_refused() {
        for wrong in [
            json!([]),
            json!({"a": 5}),
            json!({"a": {}}),
            json!({"a": {"terms": {}, "avg": {}}}),
            json!({"a": {"terms": {"field": "message"}}}),
            json!({"a": {"terms": {"field": "severity", "size": 0}}}),
            json!({"a": {"terms": {"field": "severity", "script": "x"}}}),
            json!({"a": {"avg": {"field": "severity"}}}),
            json!({"a": {"avg": {"field": "latency_ms"}, "aggs": {"b": {"avg": {"field": "latency_ms"}}}}}),
            json!({"a": {"geohash_grid": {"field": "x"}}}),
            json!({"a": {"date_histogram": {"field": "latency_ms", "fixed_interval": "1m"}}}),
            json!({"a": {"date_histogram": {"field": "@timestamp"}}}),
            json!({"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1y"}}}),
            json!({"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "0s"}}}),
            json!({"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "99999999999999999d"}}}),
            json!({"a": {"date_histogram": {"field": "@timestamp", "calendar_interval": "month"}}}),
            json!({"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1ms", "extended_bounds": {"min": 0, "max": 1_791_208_800_000_i64}}}}),
            json!({"a": {"histogram": {"field": "latency_ms", "interval": 0}}}),
            json!({"a": {"histogram": {"field": "latency_ms", "interval": 1e-9, "extended_bounds": {"min": 0, "max": 1}}}}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        let mut deep = json!({"avg": {"field": "latency_ms"}});
        for _ in 0..MAX_DEPTH {
            deep = json!({"terms": {"field": "severity"}, "aggs": {"a": deep}});
        }
        assert!(read(json!({"a": deep})).is_err());
    }

    #[test]
    fn results_have_milliseconds_and_formats() {
        let now = UnixNanos::default();
        let asked = json!({
            "2": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "format": "epoch_millis"},
                  "aggs": {"last": {"max": {"field": "@timestamp"}}}, "meta": {"panel": 1}},
            "3": {"terms": {"field": "severity"}},
        });
        let read = Aggregations::read(Some(&asked), now).unwrap().unwrap();
        let shaped = read.shaped(
            json!({
                "2": {"buckets": [{"key": 1_791_208_800_000.0, "key_as_string": "2026-10-05T14:00:00Z", "doc_count": 2,
                                   "last": {"value": 1_791_209_000_123_456_789.0}}]},
                "3": {"buckets": []},
            }),
            false,
        );
        assert_eq!(
            shaped,
            json!({
                "2": {"buckets": [{"key": 1_791_208_800_000_i64, "key_as_string": "1791208800000", "doc_count": 2,
                                   "last": {"value": 1_791_209_000_123.0, "value_as_string": "2026-10-05T14:03:20.123Z"}}],
                      "meta": {"panel": 1}},
                "3": {"buckets": [], "doc_count_error_upper_bound": 0, "sum_other_doc_count": 0},
            })
        );
        assert_eq!(Aggregations::read(Some(&json!({})), now), Ok(None));
    }

    #[test]
    fn names_say_their_types_where_that_is_wanted() {
        let asked = json!({
            "by": {"terms": {"field": "severity"}, "aggs": {"slow": {"percentiles": {"field": "latency_ms"}}}},
            "codes": {"terms": {"field": "attributes.code"}}, "sizes": {"terms": {"field": "attributes.size"}},
            "none": {"terms": {"field": "attributes.none"}}, "most": {"max": {"field": "latency_ms"}},
        });
        let read = Aggregations::read(Some(&asked), UnixNanos::default()).unwrap().unwrap();
        let results = json!({
            "by": {"buckets": [{"key": "ERROR", "doc_count": 1, "slow": {"values": {}}}]},
            "codes": {"buckets": [{"key": 5, "doc_count": 1}]}, "sizes": {"buckets": [{"key": 0.5, "doc_count": 1}]},
            "none": {"buckets": []}, "most": {"value": 1.0},
        });
        let shaped = read.shaped(results, true);
        let names: Vec<&String> = shaped.as_object().unwrap().keys().collect();
        assert_eq!(names, ["dterms#sizes", "lterms#codes", "max#most", "sterms#by", "sterms#none"]);
        assert!(shaped["sterms#by"]["buckets"][0]["tdigest_percentiles#slow"].is_object());
    }
}
