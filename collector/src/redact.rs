//! Takes out of a request what must not be stored, before it reaches the log.
//!
//! Attributes are named exactly or by `prefix.*`, at every level: of resources, scopes, records, points,
//! events, links and exemplars, inside nested values and inside structured bodies (there by their own name
//! or by the path that leads to them). Their values become `[redacted]`. Unless texts are kept, the texts
//! that models read and write are replaced by their length and hash. What expressions and detectors
//! ([`patterns`]) find is replaced wherever a text stands: in values, bodies, names of spans and messages of
//! statuses; but not in what names a service, a model or a request, since two that became one would be lost.

mod detectors;
pub(crate) mod patterns;

use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::decode::attributes::{EVENT_NAME, text_of, text_of_named};
use crate::signal::Signal;
use crate::text::{HASH_SUFFIX, LENGTH_SUFFIX, TextFacts, is_identity, is_message_event, is_text_attribute, may_end_text_name};
pub use patterns::PatternError;
use patterns::Patterns;

/// What stands in place of a redacted value.
pub const REDACTED: &str = "[redacted]";

/// What is redacted, as declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedactConfig {
    /// Names of attributes, each exact or `prefix.*`.
    pub attributes: Vec<String>,
    /// Regular expressions: what they find is replaced, wherever it stands.
    pub patterns: Vec<String>,
    /// Names of built-in detectors: `email`, `phone`, `card`, `key`.
    pub detect: Vec<String>,
    /// Keep the texts that models read and write; otherwise only their lengths and hashes.
    pub keep_text: bool,
}

/// What is declared cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// A name that is neither exact nor `prefix.*`.
    #[error("{0:?} does not name attributes to redact: write a whole name, or a prefix and `.*` at the end")]
    Name(String),
    /// An expression or a detector.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// What is redacted, ready to be asked for each attribute.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    exact: HashSet<String>,
    prefixes: Vec<String>,
    /// Last parts of the names above: a nested attribute of which no part is one of them cannot be concerned.
    last_parts: HashSet<String>,
    patterns: Patterns,
    keep_text: bool,
}

impl Redaction {
    /// Reads what is declared.
    ///
    /// # Errors
    /// A name is empty or has a `*` anywhere but in `.*` at its end, or an expression or a detector is none.
    pub fn new(config: &RedactConfig) -> Result<Self, RedactError> {
        let mut redaction = Self {
            patterns: Patterns::new(&config.patterns, &config.detect)?,
            keep_text: config.keep_text,
            ..Self::default()
        };
        for name in &config.attributes {
            let prefix = name.strip_suffix(".*");
            let whole = prefix.unwrap_or(name);
            if whole.is_empty() || whole.contains('*') {
                return Err(RedactError::Name(name.clone()));
            }
            redaction.last_parts.extend(whole.rsplit('.').next().map(str::to_owned));
            match prefix {
                Some(prefix) => redaction.prefixes.push(format!("{prefix}.")),
                None => {
                    redaction.exact.insert(name.clone());
                }
            }
        }
        Ok(redaction)
    }

    /// Whether an attribute of this name may have to change. May say yes too often.
    pub(crate) fn may_concern_attribute(&self, name: &str) -> bool {
        (!self.keep_text && (is_text_attribute(name) || name == EVENT_NAME)) || self.may_name(name)
    }

    /// The same of an attribute inside a value: the path to it, which counts as well, is not known here.
    pub(crate) fn may_concern_nested(&self, name: &str) -> bool {
        (!self.keep_text && may_end_text_name(name)) || self.may_name(name)
    }

    fn may_name(&self, name: &str) -> bool {
        !self.last_parts.is_empty() && (self.names(name) || name.split('.').any(|part| self.last_parts.contains(part)))
    }

    /// Whether a text may have to change for what stands in it. May say yes too often.
    pub(crate) fn may_concern_text(&self, text: &str) -> bool {
        self.patterns.may_concern(text)
    }

    /// The same of a whole number.
    pub(crate) fn may_concern_number(&self, number: i64) -> bool {
        self.patterns.may_concern_number(number)
    }

    /// Whether the body of a log record with this event name has to change.
    pub(crate) fn concerns_body_of(&self, event_name: &str) -> bool {
        !self.keep_text && is_message_event(event_name)
    }

    /// The request without what must not be stored; `None` when nothing had to change.
    ///
    /// # Errors
    /// The bytes are not such a request.
    pub(crate) fn apply(&self, signal: Signal, bytes: &[u8]) -> Result<Option<Vec<u8>>, prost::DecodeError> {
        match signal {
            Signal::Logs => self.rewrite(bytes, |pass, request: &mut ExportLogsServiceRequest| {
                for group in &mut request.resource_logs {
                    pass.resource(&mut group.resource);
                    for scope in &mut group.scope_logs {
                        pass.scope(&mut scope.scope);
                        scope.log_records.iter_mut().for_each(|record| pass.log(record));
                    }
                }
            }),
            Signal::Traces => self.rewrite(bytes, |pass, request: &mut ExportTraceServiceRequest| {
                for group in &mut request.resource_spans {
                    pass.resource(&mut group.resource);
                    for scope in &mut group.scope_spans {
                        pass.scope(&mut scope.scope);
                        scope.spans.iter_mut().for_each(|span| pass.span(span));
                    }
                }
            }),
            Signal::Metrics => self.rewrite(bytes, |pass, request: &mut ExportMetricsServiceRequest| {
                for group in &mut request.resource_metrics {
                    pass.resource(&mut group.resource);
                    for scope in &mut group.scope_metrics {
                        pass.scope(&mut scope.scope);
                        scope.metrics.iter_mut().for_each(|metric| pass.metric(metric));
                    }
                }
            }),
        }
    }

    fn rewrite<M: Message + Default>(
        &self,
        bytes: &[u8],
        visit: impl FnOnce(&mut Pass<'_>, &mut M),
    ) -> Result<Option<Vec<u8>>, prost::DecodeError> {
        let mut request = M::decode(bytes)?;
        let mut pass = Pass {
            redaction: self,
            changed: false,
        };
        visit(&mut pass, &mut request);
        Ok(pass.changed.then(|| request.encode_to_vec()))
    }

    fn names(&self, name: &str) -> bool {
        self.exact.contains(name) || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    fn is_text(&self, name: &str) -> bool {
        !self.keep_text && is_text_attribute(name)
    }
}

/// One pass over one request.
struct Pass<'r> {
    redaction: &'r Redaction,
    changed: bool,
}

impl Pass<'_> {
    fn resource(&mut self, resource: &mut Option<Resource>) {
        if let Some(resource) = resource {
            self.attributes(&mut resource.attributes, "");
        }
    }

    fn scope(&mut self, scope: &mut Option<InstrumentationScope>) {
        if let Some(scope) = scope {
            self.attributes(&mut scope.attributes, "");
        }
    }

    fn log(&mut self, record: &mut LogRecord) {
        let is_message = self.redaction.concerns_body_of(&record.event_name)
            || text_of_named(&record.attributes, EVENT_NAME).is_some_and(|name| self.redaction.concerns_body_of(&name));
        self.attributes(&mut record.attributes, "");
        match &mut record.body {
            Some(body) if is_message => {
                let facts = TextFacts::of(&text_of(body));
                record.attributes.extend(facts_as_attributes("body", facts));
                body.value = Some(Value::StringValue(REDACTED.to_owned()));
                self.changed = true;
            }
            Some(body) => self.value(body, ""),
            None => {}
        }
    }

    fn span(&mut self, span: &mut Span) {
        self.text(&mut span.name);
        if let Some(status) = &mut span.status {
            self.text(&mut status.message);
        }
        self.attributes(&mut span.attributes, "");
        span.events.iter_mut().for_each(|event| self.attributes(&mut event.attributes, ""));
        span.links.iter_mut().for_each(|link| self.attributes(&mut link.attributes, ""));
    }

    fn metric(&mut self, metric: &mut Metric) {
        self.attributes(&mut metric.metadata, "");
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => gauge
                .data_points
                .iter_mut()
                .for_each(|p| self.point(&mut p.attributes, &mut p.exemplars)),
            Some(Data::Sum(sum)) => sum
                .data_points
                .iter_mut()
                .for_each(|p| self.point(&mut p.attributes, &mut p.exemplars)),
            Some(Data::Histogram(histogram)) => {
                histogram
                    .data_points
                    .iter_mut()
                    .for_each(|p| self.point(&mut p.attributes, &mut p.exemplars));
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                histogram
                    .data_points
                    .iter_mut()
                    .for_each(|p| self.point(&mut p.attributes, &mut p.exemplars));
            }
            Some(Data::Summary(summary)) => summary.data_points.iter_mut().for_each(|p| self.point(&mut p.attributes, &mut [])),
            None => {}
        }
    }

    fn point(&mut self, attributes: &mut Vec<KeyValue>, exemplars: &mut [Exemplar]) {
        self.attributes(attributes, "");
        exemplars
            .iter_mut()
            .for_each(|exemplar| self.attributes(&mut exemplar.filtered_attributes, ""));
    }

    /// `path` leads to the attributes when they are nested, with a dot at its end; else it is empty.
    fn attributes(&mut self, attributes: &mut Vec<KeyValue>, path: &str) {
        let mut facts = Vec::new();
        attributes.retain_mut(|attribute| {
            let whole = format!("{path}{}", attribute.key);
            if self.redaction.names(&attribute.key) || self.redaction.names(&whole) {
                attribute.value = Some(AnyValue {
                    value: Some(Value::StringValue(REDACTED.to_owned())),
                });
                self.changed = true;
            } else if self.redaction.is_text(&attribute.key) || self.redaction.is_text(&whole) {
                let text = attribute.value.as_ref().map(text_of).unwrap_or_default();
                facts.extend(facts_as_attributes(&attribute.key, TextFacts::of(&text)));
                self.changed = true;
                return false;
            } else if let Some(value) = &mut attribute.value
                && !is_identity(&whole)
            {
                self.value(value, &format!("{whole}."));
            }
            true
        });
        attributes.append(&mut facts);
    }

    fn value(&mut self, value: &mut AnyValue, path: &str) {
        match &mut value.value {
            Some(Value::KvlistValue(list)) => self.attributes(&mut list.values, path),
            Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(|value| self.value(value, path)),
            Some(Value::StringValue(text)) => self.text(text),
            Some(Value::IntValue(number)) if self.redaction.may_concern_number(*number) => {
                if let Some(redacted) = self.redaction.patterns.redacted(&number.to_string()) {
                    value.value = Some(Value::StringValue(redacted));
                    self.changed = true;
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &mut String) {
        if let Some(redacted) = self.redaction.patterns.redacted(text) {
            *text = redacted;
            self.changed = true;
        }
    }
}

fn facts_as_attributes(name: &str, facts: TextFacts) -> [KeyValue; 2] {
    let attribute = |suffix: &str, value: Value| KeyValue {
        key: format!("{name}{suffix}"),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    [
        attribute(LENGTH_SUFFIX, Value::IntValue(i64::try_from(facts.length).unwrap_or(i64::MAX))),
        attribute(HASH_SUFFIX, Value::StringValue(facts.hash)),
    ]
}

#[cfg(test)]
mod tests;
