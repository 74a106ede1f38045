//! Inferences: which records tell of one, and what each of their attributes says.
//!
//! Three vocabularies are read: Driftlead's own `ml.…`, OpenTelemetry's GenAI conventions (with the names
//! that older SDKs send) and OpenInference. Where several say the same, the own attribute wins, then GenAI,
//! then OpenInference; among equals the first.

use std::collections::BTreeMap;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Half, InferenceHalf, bounded_request_id};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::Work;
use super::attributes::{cut, text_of};
use super::cuts::{Cuts, reasons};
use super::origin::Origin;
use crate::limits::{MAX_ATTRIBUTE_VALUE_BYTES, MAX_EMBEDDING_DIMENSIONS, MAX_FEATURES, MAX_NAME_BYTES};
use crate::text::{HASH_SUFFIX, INPUT_TEXTS, LENGTH_SUFFIX, OUTPUT_TEXTS, TextFacts};

/// Name of the log event that tells of an inference.
const INFERENCE_EVENT: &str = "ml.inference";
const MODEL: &str = "ml.model.name";
const GENAI_OPERATION: &str = "gen_ai.operation.name";
const OPENINFERENCE_KIND: &str = "openinference.span.kind";

/// GenAI operations that wrap inferences without being one: the calls inside them are spans of their own.
const WRAPPING_OPERATIONS: [&str; 4] = ["create_agent", "invoke_agent", "invoke_workflow", "execute_tool"];
const OPENINFERENCE_INFERENCES: [&str; 2] = ["LLM", "EMBEDDING"];

/// Kind of an error whose sender names none.
const UNNAMED_ERROR: &str = "error";
/// Length of the text that a model wrote, as a feature.
const OUTPUT_LENGTH: &str = "output_length";

/// Whether a log record tells of an inference.
pub(super) fn is_inference_log(event_name: &str, attributes: &[KeyValue]) -> bool {
    event_name == INFERENCE_EVENT || (!super::outcomes::is_outcome(event_name) && attributes.iter().any(|attribute| attribute.key == MODEL))
}

/// Whether a span tells of an inference.
pub(super) fn is_inference_span(attributes: &[KeyValue]) -> bool {
    attributes.iter().any(|attribute| {
        let text = || attribute.value.as_ref().map(text_of).unwrap_or_default();
        match attribute.key.as_str() {
            MODEL => true,
            GENAI_OPERATION => !WRAPPING_OPERATIONS.contains(&text().as_str()),
            OPENINFERENCE_KIND => OPENINFERENCE_INFERENCES.contains(&text().to_ascii_uppercase().as_str()),
            _ => false,
        }
    })
}

/// A record that may tell of an inference or an outcome.
pub(super) struct Told<'a> {
    pub(super) half: Half,
    pub(super) origin: &'a Origin,
    pub(super) attributes: &'a [KeyValue],
    /// As the sender states it.
    pub(super) event_time: UnixNanos,
    /// Hex, or empty.
    pub(super) trace_id: String,
    /// Hex, or empty.
    pub(super) span_id: String,
    /// How long the record itself says that it took.
    pub(super) duration_ms: Option<f64>,
    /// Whether the record itself says that it failed.
    pub(super) failed: bool,
}

impl Told<'_> {
    /// The half of the inference; `None` when no model is named.
    pub(super) fn read(&self, work: &mut Work) -> Option<InferenceHalf> {
        let mut facts = Facts::read(self.attributes, &mut work.cuts);
        let Some(model) = facts.model.take().or_else(|| self.origin.model.clone()) else {
            // A span of a GenAI operation may lack the model; an inference event should name one.
            work.cuts.add(reasons::INFERENCE_WITHOUT_MODEL, u64::from(self.half == Half::Log));
            return None;
        };
        let request_id = match facts.request_id.take().or_else(|| self.span_reference()) {
            Some(request_id) => request_id,
            None => work.anonymous_request_id(),
        };
        let mut half = InferenceHalf::new(self.half, model, request_id, self.event_time, work.received_time);
        half.trace_id = Some(self.trace_id.clone()).filter(|id| !id.is_empty());
        half.span_id = Some(self.span_id.clone()).filter(|id| !id.is_empty());
        half.environment = self.origin.environment.clone();
        half.service = self.origin.service();
        half.version = facts.version.take().or_else(|| self.origin.version.clone());
        half.latency_ms = facts.latency_ms.or(self.duration_ms);
        half.error_type = facts.error_type(self.failed);
        facts.tell(&mut half);
        Some(half)
    }

    /// What names the span, where nothing names the request: trace id and span id.
    pub(super) fn span_reference(&self) -> Option<String> {
        (!self.trace_id.is_empty() && !self.span_id.is_empty()).then(|| format!("{}-{}", self.trace_id, self.span_id))
    }
}

/// A value of which several attributes may speak; the lowest rank wins, among equals the first.
#[derive(Debug)]
pub(super) struct Ranked<T>(Option<(usize, T)>);

impl<T> Default for Ranked<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Ranked<T> {
    fn offer(&mut self, rank: usize, value: Option<T>) {
        if let Some(value) = value
            && self.0.as_ref().is_none_or(|(known, _)| rank < *known)
        {
            self.0 = Some((rank, value));
        }
    }

    pub(super) fn take(&mut self) -> Option<T> {
        self.0.take().map(|(_, value)| value)
    }
}

/// What the attributes of one record say.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) model: Ranked<String>,
    pub(super) request_id: Ranked<String>,
    version: Ranked<String>,
    label: Ranked<String>,
    score: Option<f64>,
    value: Option<f64>,
    scores: BTreeMap<String, f64>,
    numeric: BTreeMap<String, f64>,
    categorical: BTreeMap<String, String>,
    segment: Option<String>,
    arm: Ranked<String>,
    session_id: Ranked<String>,
    latency_ms: Option<f64>,
    stated_error: Ranked<String>,
    input_text: Ranked<String>,
    input_length: Ranked<u64>,
    input_hash: Ranked<String>,
    output_length: Ranked<f64>,
    embedding: Ranked<Vec<f32>>,
    embedding_model: Ranked<String>,
    embedding_created_at: Option<UnixNanos>,
}

impl Facts {
    pub(super) fn read(attributes: &[KeyValue], cuts: &mut Cuts) -> Self {
        let mut facts = Self::default();
        for attribute in attributes {
            if let Some(value) = &attribute.value {
                facts.attribute(&attribute.key, value, cuts);
            }
        }
        facts
    }

    fn attribute(&mut self, name: &str, value: &AnyValue, cuts: &mut Cuts) {
        match name {
            MODEL => self.model.offer(0, name_text(value, cuts)),
            "gen_ai.response.model" => self.model.offer(1, name_text(value, cuts)),
            "gen_ai.request.model" => self.model.offer(2, name_text(value, cuts)),
            "llm.model_name" => self.model.offer(3, name_text(value, cuts)),
            "llm.response.model_name" => self.model.offer(4, name_text(value, cuts)),
            "llm.request.model_name" => self.model.offer(5, name_text(value, cuts)),
            "embedding.model_name" => {
                self.model.offer(6, name_text(value, cuts));
                self.embedding_model.offer(1, name_text(value, cuts));
            }
            "ml.model.version" => self.version.offer(0, name_text(value, cuts)),
            "ml.request.id" => self.request_id.offer(0, request_id_text(value)),
            "gen_ai.response.id" => self.request_id.offer(1, request_id_text(value)),
            "ml.prediction.label" => self.label.offer(0, label_text(value, cuts)),
            "ml.prediction.score" => self.score = self.score.or_else(|| own_number(value, cuts)),
            "ml.prediction.value" => self.value = self.value.or_else(|| own_number(value, cuts)),
            "ml.segment" => self.segment = self.segment.take().or_else(|| name_text(value, cuts)),
            "ml.arm" => self.arm.offer(0, name_text(value, cuts)),
            "feature_flag.result.variant" => self.arm.offer(1, name_text(value, cuts)),
            "feature_flag.variant" => self.arm.offer(2, name_text(value, cuts)),
            "ml.session.id" => self.session_id.offer(0, request_id_text(value)),
            "gen_ai.conversation.id" => self.session_id.offer(1, request_id_text(value)),
            "session.id" => self.session_id.offer(2, request_id_text(value)),
            "ml.latency_ms" => self.latency_ms = self.latency_ms.or_else(|| own_duration(value, cuts)),
            "error.type" => self.stated_error.offer(0, name_text(value, cuts)),
            "exception.type" => self.stated_error.offer(2, name_text(value, cuts)),
            "http.response.status_code" | "http.status_code" => self.stated_error.offer(1, server_error(value)),
            "ml.embedding" => self.embedding.offer(0, embedding(value, cuts)),
            "embedding.vector" | "embedding.embeddings.0.embedding.vector" => self.embedding.offer(1, embedding(value, cuts)),
            "ml.embedding.model" => self.embedding_model.offer(0, name_text(value, cuts)),
            "ml.embedding.created_at" => self.embedding_created_at = self.embedding_created_at.or_else(|| own_instant(value, cuts)),
            _ => {
                if let Some(feature) = name.strip_prefix("ml.feature.") {
                    self.feature(feature, value, cuts);
                } else if let Some(class) = name.strip_prefix("ml.prediction.scores.") {
                    self.class_score(class, value, cuts);
                } else if let Some(feature) = usage_feature(name) {
                    self.usage(feature, value, cuts);
                } else {
                    self.text(name, value, cuts);
                }
            }
        }
    }

    fn feature(&mut self, name: &str, value: &AnyValue, cuts: &mut Cuts) {
        if !self.has_room(name, cuts) {
            return;
        }
        match &value.value {
            Some(Value::DoubleValue(number)) => _ = self.numeric.insert(name.to_owned(), *number),
            Some(Value::IntValue(number)) => _ = self.numeric.insert(name.to_owned(), *number as f64),
            Some(Value::BoolValue(bool)) => _ = self.categorical.insert(name.to_owned(), bool.to_string()),
            Some(Value::StringValue(text)) => {
                let text = cut(text.clone(), MAX_ATTRIBUTE_VALUE_BYTES, reasons::ATTRIBUTE_VALUE_TOO_LONG, cuts);
                self.categorical.insert(name.to_owned(), text);
            }
            // A feature without a value is absent.
            None => {}
            Some(_) => cuts.add(reasons::WRONG_TYPE, 1),
        }
    }

    fn class_score(&mut self, class: &str, value: &AnyValue, cuts: &mut Cuts) {
        if class.is_empty() || class.len() > MAX_NAME_BYTES {
            cuts.add(reasons::NAME_TOO_LONG, 1);
        } else if self.scores.len() >= MAX_FEATURES {
            cuts.add(reasons::TOO_MANY_FEATURES, 1);
        } else if let Some(score) = own_number(value, cuts) {
            self.scores.insert(class.to_owned(), score);
        }
    }

    fn usage(&mut self, feature: &'static str, value: &AnyValue, cuts: &mut Cuts) {
        if self.numeric.contains_key(feature) || self.categorical.contains_key(feature) || !self.has_room(feature, cuts) {
            return;
        }
        match (&value.value, number(value)) {
            (_, Some(number)) => _ = self.numeric.insert(feature.to_owned(), number),
            (None, None) => {}
            (Some(Value::ArrayValue(array)), None) => {
                let joined = array.values.iter().map(text_of).collect::<Vec<_>>().join(",");
                self.categorical.insert(
                    feature.to_owned(),
                    cut(joined, MAX_NAME_BYTES, reasons::ATTRIBUTE_VALUE_TOO_LONG, cuts),
                );
            }
            (Some(_), None) => {
                self.categorical.insert(
                    feature.to_owned(),
                    cut(text_of(value), MAX_NAME_BYTES, reasons::ATTRIBUTE_VALUE_TOO_LONG, cuts),
                );
            }
        }
    }

    fn has_room(&self, name: &str, cuts: &mut Cuts) -> bool {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            cuts.add(reasons::NAME_TOO_LONG, 1);
            return false;
        }
        let full = self.numeric.len() + self.categorical.len() >= MAX_FEATURES;
        cuts.add(reasons::TOO_MANY_FEATURES, u64::from(full));
        !full
    }

    /// Texts, or what stands in their place when texts are not kept.
    fn text(&mut self, name: &str, value: &AnyValue, cuts: &mut Cuts) {
        let rank = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
        if let Some(rank) = rank(&INPUT_TEXTS, name) {
            let text = text_of(value);
            let facts = TextFacts::of(&text);
            self.input_length.offer(rank, Some(facts.length));
            self.input_hash.offer(rank, Some(facts.hash));
            self.input_text.offer(
                rank,
                Some(cut(text, MAX_ATTRIBUTE_VALUE_BYTES, reasons::ATTRIBUTE_VALUE_TOO_LONG, cuts)),
            );
        } else if let Some(rank) = rank(&OUTPUT_TEXTS, name) {
            self.output_length.offer(rank, Some(TextFacts::of(&text_of(value)).length as f64));
            self.label.offer(rank + 1, label_text(value, cuts));
        } else if let Some(text_name) = name.strip_suffix(LENGTH_SUFFIX) {
            let length = number(value).filter(|length| *length >= 0.0);
            if let Some(rank) = rank(&INPUT_TEXTS, text_name) {
                self.input_length.offer(rank, length.map(|length| length as u64));
            } else if let Some(rank) = rank(&OUTPUT_TEXTS, text_name) {
                self.output_length.offer(rank, length);
            }
        } else if let Some(text_name) = name.strip_suffix(HASH_SUFFIX)
            && let Some(rank) = rank(&INPUT_TEXTS, text_name)
        {
            self.input_hash.offer(rank, name_text(value, cuts));
        }
    }

    fn error_type(&mut self, failed: bool) -> Option<String> {
        // The type of an exception alone does not say that the inference failed: it may have been handled.
        match self.stated_error.0.take() {
            Some((rank, error)) if failed || rank < 2 => Some(error),
            _ => failed.then(|| UNNAMED_ERROR.to_owned()),
        }
    }

    fn tell(mut self, half: &mut InferenceHalf) {
        if let Some(length) = self.output_length.take()
            && self.numeric.len() + self.categorical.len() < MAX_FEATURES
        {
            self.numeric.entry(OUTPUT_LENGTH.to_owned()).or_insert(length);
        }
        half.segment = self.segment;
        half.arm = self.arm.take();
        half.session_id = self.session_id.take();
        half.prediction_label = self.label.take();
        half.prediction_score = self.score;
        half.prediction_value = self.value;
        half.scores = self.scores;
        half.numeric_features = self.numeric;
        half.categorical_features = self.categorical;
        half.input_text = self.input_text.take();
        half.input_length = self.input_length.take();
        half.input_hash = self.input_hash.take();
        half.embedding = self.embedding.take().unwrap_or_default();
        half.embedding_model = self.embedding_model.take();
        half.embedding_created_at = self.embedding_created_at;
    }
}

/// What GenAI and OpenInference tell of a request, under one name for each thing.
fn usage_feature(name: &str) -> Option<&'static str> {
    Some(match name {
        "gen_ai.usage.input_tokens" | "gen_ai.usage.prompt_tokens" | "llm.token_count.prompt" => "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens" | "gen_ai.usage.completion_tokens" | "llm.token_count.completion" => "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens" | "llm.token_count.prompt_details.cache_read" => "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.reasoning.output_tokens" | "llm.token_count.completion_details.reasoning" => "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.request.temperature" => "gen_ai.request.temperature",
        "gen_ai.request.top_p" => "gen_ai.request.top_p",
        "gen_ai.request.max_tokens" => "gen_ai.request.max_tokens",
        "gen_ai.response.time_to_first_chunk" | "gen_ai.server.time_to_first_token" => "gen_ai.response.time_to_first_chunk",
        "gen_ai.response.finish_reasons" => "gen_ai.response.finish_reasons",
        GENAI_OPERATION => GENAI_OPERATION,
        "gen_ai.provider.name" | "gen_ai.system" | "llm.provider" => "gen_ai.provider.name",
        _ => return None,
    })
}

fn number(value: &AnyValue) -> Option<f64> {
    match value.value {
        Some(Value::DoubleValue(number)) => Some(number),
        Some(Value::IntValue(number)) => Some(number as f64),
        _ => None,
    }
}

fn own_number(value: &AnyValue, cuts: &mut Cuts) -> Option<f64> {
    let number = number(value);
    cuts.add(reasons::WRONG_TYPE, u64::from(number.is_none()));
    number
}

fn own_duration(value: &AnyValue, cuts: &mut Cuts) -> Option<f64> {
    let duration = number(value).filter(|duration| duration.is_finite() && *duration >= 0.0);
    cuts.add(reasons::WRONG_TYPE, u64::from(duration.is_none()));
    duration
}

/// RFC 3339, or nanoseconds since 1970.
fn own_instant(value: &AnyValue, cuts: &mut Cuts) -> Option<UnixNanos> {
    let instant = match &value.value {
        Some(Value::StringValue(text)) => UnixNanos::parse(text).ok(),
        Some(Value::IntValue(nanos)) => Some(UnixNanos(*nanos)),
        _ => None,
    };
    cuts.add(reasons::WRONG_TYPE, u64::from(instant.is_none()));
    instant
}

/// A name: whatever the value is, as text of at most 256 bytes; an empty one says nothing.
fn name_text(value: &AnyValue, cuts: &mut Cuts) -> Option<String> {
    let text = text_of(value);
    (!text.is_empty()).then(|| cut(text, MAX_NAME_BYTES, reasons::NAME_TOO_LONG, cuts))
}

fn request_id_text(value: &AnyValue) -> Option<String> {
    let text = text_of(value);
    (!text.is_empty()).then(|| bounded_request_id(text))
}

fn label_text(value: &AnyValue, cuts: &mut Cuts) -> Option<String> {
    let text = text_of(value);
    (!text.is_empty()).then(|| cut(text, MAX_ATTRIBUTE_VALUE_BYTES, reasons::ATTRIBUTE_VALUE_TOO_LONG, cuts))
}

fn server_error(value: &AnyValue) -> Option<String> {
    let status = match &value.value {
        Some(Value::IntValue(status)) => Some(*status),
        Some(Value::StringValue(text)) => text.parse().ok(),
        _ => None,
    };
    status.filter(|status| (500..600).contains(status)).map(|status| status.to_string())
}

fn embedding(value: &AnyValue, cuts: &mut Cuts) -> Option<Vec<f32>> {
    let Some(Value::ArrayValue(array)) = &value.value else {
        cuts.add(reasons::EMBEDDING_NOT_NUMERIC, 1);
        return None;
    };
    if array.values.len() > MAX_EMBEDDING_DIMENSIONS {
        cuts.add(reasons::EMBEDDING_TOO_LONG, 1);
        return None;
    }
    let vector: Option<Vec<f32>> = array
        .values
        .iter()
        .map(|value| number(value).map(|number| number as f32).filter(|number| number.is_finite()))
        .collect();
    cuts.add(reasons::EMBEDDING_NOT_NUMERIC, u64::from(vector.is_none()));
    vector
}
