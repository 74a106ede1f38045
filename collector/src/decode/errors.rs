//! Errors for the index: log records of severity ERROR and above, failed spans with their exceptions, and
//! failed inferences, one document each.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{ErrorDocument, FoundErrors, InferenceHalf};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use serde_json::Value as Json;

use super::attributes::{cut, number_text, text_of, text_of_named};
use super::bounds::{Bounds, Placed, instant};
use super::cuts::{Cuts, reasons};
use super::origin::Origin;
use super::severity::Severity;
use super::traces::is_failed;
use crate::ids;
use crate::limits::{MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES, MAX_EXCEPTIONS_PER_SPAN};
use crate::text::is_text_attribute;

const EXCEPTION_EVENT: &str = "exception";
const EXCEPTION_TYPE: &str = "exception.type";
const EXCEPTION_MESSAGE: &str = "exception.message";
const EXCEPTION_STACK: &str = "exception.stacktrace";

/// How long the inference or the span took, in milliseconds, where that is known.
const LATENCY: &str = "latency_ms";

/// Attributes that say that an inference failed, where severity and status do not.
pub const FAILURES: [&str; 3] = ["error.type", "http.response.status_code", "http.status_code"];

/// Arrays beyond this many values are vectors, which nobody searches for.
const MAX_ARRAY_VALUES: usize = 64;

/// Attributes that documents share.
type Shared = Arc<BTreeMap<String, Json>>;

/// The errors of one frame as they are found.
#[derive(Default)]
pub(super) struct Found {
    documents: Vec<ErrorDocument>,
    cuts: Cuts,
}

impl Found {
    pub(super) fn finish(self) -> FoundErrors {
        FoundErrors {
            documents: self.documents,
            cut: self.cuts.into_counts(),
        }
    }
}

/// Where errors come from: read when the first one is found, since most requests have none.
pub(super) struct Source {
    pub(super) origin: Origin,
    resource: Shared,
}

impl Source {
    pub(super) fn read(resource: Option<Resource>, schema_url: String) -> Self {
        // What is cut here is counted with the rows.
        let origin = Origin::read(resource, schema_url, &mut Cuts::default());
        let attributes = origin.resource.attributes.iter();
        let resource = attributes.map(|(name, value)| (format!("resource.{name}"), Json::String(value.clone())));
        Self {
            resource: Arc::new(resource.collect()),
            origin,
        }
    }
}

/// Whether a record that is no error by itself may tell of a failed inference.
pub(super) fn may_tell_of_failure(attributes: &[KeyValue]) -> bool {
    attributes.iter().any(|attribute| FAILURES.contains(&attribute.key.as_str()))
}

impl Found {
    /// Adds the document of a log record, if it is an error.
    pub(super) fn log(
        &mut self,
        record: &LogRecord,
        event_name: &str,
        body: &str,
        half: Option<&InferenceHalf>,
        source: &Source,
        time: UnixNanos,
    ) {
        let severity = Severity::of(record);
        if severity.is_none() && half.is_none_or(|half| half.error_type.is_none()) {
            return;
        }
        let mut document = base(&record.attributes, half, source, time);
        document.severity = severity.unwrap_or(Severity::Error).name().to_owned();
        document.trace_id = ids::trace_id_text(&record.trace_id);
        document.span_id = ids::span_id_text(&record.span_id);
        document.attributes = searchable(&record.attributes, half, None);
        let message = [body, &text(&record.attributes, EXCEPTION_MESSAGE), event_name, &document.error_type]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default()
            .to_owned();
        document.message = self.text(message);
        document.stack = self.text(text(&record.attributes, EXCEPTION_STACK));
        if !event_name.is_empty() {
            document
                .attributes
                .insert("event.name".to_owned(), Json::String(event_name.to_owned()));
        }
        self.documents.push(document);
    }

    /// Adds the documents of a failed span: one for each of its first exceptions, else one for its status.
    pub(super) fn span(
        &mut self,
        span: &Span,
        half: Option<&InferenceHalf>,
        duration_ms: Option<f64>,
        source: &Source,
        placed: Placed,
        bounds: &Bounds,
    ) {
        if !is_failed(span) && half.is_none_or(|half| half.error_type.is_none()) {
            return;
        }
        let mut document = base(&span.attributes, half, source, placed.time);
        document.severity = Severity::Error.name().to_owned();
        document.trace_id = ids::trace_id_text(&span.trace_id);
        document.span_id = ids::span_id_text(&span.span_id);
        let status_message = span.status.as_ref().map(|status| status.message.as_str()).unwrap_or_default();
        let mut attributes = searchable(&span.attributes, half, duration_ms);
        attributes.insert("span.name".to_owned(), Json::String(span.name.clone()));
        let mut exceptions = exceptions(span);
        let Some(first) = exceptions.next() else {
            document.attributes = attributes;
            document.message = self.text(if status_message.is_empty() {
                format!("{} failed", span.name)
            } else {
                status_message.to_owned()
            });
            self.documents.push(document);
            return;
        };
        if !status_message.is_empty() {
            attributes.insert("span.status_message".to_owned(), Json::String(status_message.to_owned()));
        }
        document.shared.push(Arc::new(attributes));
        for event in std::iter::once(first).chain(exceptions.by_ref().take(MAX_EXCEPTIONS_PER_SPAN - 1)) {
            let mut document = document.clone();
            if event.time_unix_nano != 0 && placed.aside.is_none() {
                document.time = bounds.place(instant(event.time_unix_nano)).time;
            }
            if let Some(error_type) = text_of_named(&event.attributes, EXCEPTION_TYPE).filter(|text| !text.is_empty()) {
                document.error_type = error_type;
            }
            let message = text(&event.attributes, EXCEPTION_MESSAGE);
            document.message = self.text(if message.is_empty() { status_message.to_owned() } else { message });
            document.stack = self.text(text(&event.attributes, EXCEPTION_STACK));
            self.documents.push(document);
        }
        self.cuts.add(reasons::TOO_MANY_EXCEPTIONS, exceptions.count() as u64);
    }

    fn text(&mut self, text: String) -> String {
        cut(text, MAX_ATTRIBUTE_VALUE_BYTES, reasons::ERROR_TEXT_TOO_LONG, &mut self.cuts)
    }
}

/// A failed span that names no error takes the type of its exception.
pub(super) fn take_exception_type(half: &mut InferenceHalf, span: &Span) {
    let names_its_own = ["error.type", EXCEPTION_TYPE]
        .iter()
        .any(|name| !text(&span.attributes, name).is_empty());
    if half.error_type.is_some() && !names_its_own && is_failed(span) {
        let exception = exceptions(span).last().map(|event| text(&event.attributes, EXCEPTION_TYPE));
        if let Some(exception) = exception.filter(|text| !text.is_empty()) {
            half.error_type = Some(exception);
        }
    }
}

fn exceptions(span: &Span) -> impl Iterator<Item = &Event> {
    span.events.iter().filter(|event| event.name == EXCEPTION_EVENT)
}

fn base(attributes: &[KeyValue], half: Option<&InferenceHalf>, source: &Source, time: UnixNanos) -> ErrorDocument {
    let origin = &source.origin;
    let stated = |name: &str| text_of_named(attributes, name).filter(|text| !text.is_empty());
    ErrorDocument {
        time,
        service: origin.resource.service_name.clone(),
        model: half
            .map(|half| half.model.clone())
            .or_else(|| origin.model.clone())
            .unwrap_or_default(),
        version: half
            .and_then(|half| half.version.clone())
            .or_else(|| origin.version.clone())
            .unwrap_or_default(),
        environment: origin.environment.clone().unwrap_or_default(),
        error_type: half
            .and_then(|half| half.error_type.clone())
            .or_else(|| stated("error.type"))
            .or_else(|| stated(EXCEPTION_TYPE))
            .unwrap_or_default(),
        shared: vec![Arc::clone(&source.resource)],
        ..ErrorDocument::default()
    }
}

/// Attributes by name. Texts that models read and write are left
/// out, so that the index never holds what a deletion would have to find in it; so are vectors.
fn searchable(attributes: &[KeyValue], half: Option<&InferenceHalf>, duration_ms: Option<f64>) -> BTreeMap<String, Json> {
    let mut found = BTreeMap::new();
    for attribute in attributes.iter().take(MAX_ATTRIBUTES) {
        let known = [EXCEPTION_MESSAGE, EXCEPTION_STACK].contains(&attribute.key.as_str());
        if known || is_text_attribute(&attribute.key) {
            continue;
        }
        if let Some(value) = attribute.value.as_ref().and_then(|value| json_of(value, 1)) {
            found.insert(attribute.key.clone(), value);
        }
    }
    if let Some(half) = half {
        found.insert("ml.request.id".to_owned(), Json::String(half.request_id.clone()));
    }
    let latency_ms = half.and_then(|half| half.latency_ms).or(duration_ms);
    if let Some(latency) = latency_ms.and_then(serde_json::Number::from_f64) {
        found.insert(LATENCY.to_owned(), Json::Number(latency));
    }
    found
}

/// A value as JSON; vectors and what nests deeper than two levels are left out.
fn json_of(value: &AnyValue, depth: usize) -> Option<Json> {
    const MAX_DEPTH: usize = 3;
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(Json::String(cut(text.clone(), MAX_ATTRIBUTE_VALUE_BYTES, "", &mut Cuts::default()))),
        Value::BoolValue(bool) => Some(Json::Bool(*bool)),
        Value::IntValue(int) => Some(Json::from(*int)),
        Value::DoubleValue(double) => {
            Some(serde_json::Number::from_f64(*double).map_or_else(|| Json::String(number_text(*double)), Json::Number))
        }
        Value::BytesValue(_) => Some(Json::String(text_of(value))),
        Value::ArrayValue(array) if depth < MAX_DEPTH && array.values.len() <= MAX_ARRAY_VALUES => {
            Some(array.values.iter().filter_map(|value| json_of(value, depth + 1)).collect())
        }
        Value::KvlistValue(list) if depth < MAX_DEPTH => Some(Json::Object(
            list.values
                .iter()
                .filter_map(|attribute| Some((attribute.key.clone(), json_of(attribute.value.as_ref()?, depth + 1)?)))
                .collect(),
        )),
        Value::ArrayValue(_) | Value::KvlistValue(_) | Value::StringValueStrindex(_) => None,
    }
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    text_of_named(attributes, name).unwrap_or_default()
}
