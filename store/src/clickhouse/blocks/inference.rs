//! `inferences`: the halves of one inference side by side; readers take the log's through `whole_inferences`.

use std::collections::BTreeMap;

use clickhouse::native::Block;

use super::values::{Instant, Second};
use super::{Columns, Tabled};
use crate::clickhouse::TelemetryError;
use crate::clock::UnixNanos;
use crate::embedding;
use crate::records::{InferenceHalf, JoinedInference};

impl Tabled for JoinedInference {
    const TABLE: &'static str = "inferences";

    fn block(records: &[Self], _batch: u64) -> Result<Block, TelemetryError> {
        // One without a half never comes from the drain.
        Columns::of(records.iter().filter(|joined| halves(joined).next().is_some()))
            .with("model", either(|half| Some(half.model.as_str())))?
            .with("key_hour", |joined| Second(joined.key_hour))?
            .with("request_id", either(|half| Some(half.request_id.as_str())))?
            .with("event_time", first_of(|half| half.event_time))?
            .with("received_time", first_of(|half| half.received_time))?
            .with("partial", |joined| u8::from(joined.partial))?
            .with("superseded", |joined| u8::from(joined.superseded))?
            .with("has_log", |joined| u8::from(joined.log.is_some()))?
            .with("has_span", |joined| u8::from(joined.span.is_some()))?
            .with_halves("version", |half| half.version.as_deref())?
            .with_halves("environment", |half| half.environment.as_deref())?
            .with_halves("service", |half| half.service.as_deref())?
            .with_halves("segment", |half| half.segment.as_deref())?
            .with_halves("arm", |half| half.arm.as_deref())?
            .with_halves("prediction_label", |half| half.prediction_label.as_deref())?
            .with_halves("prediction_score", |half| half.prediction_score)?
            .with_halves("prediction_value", |half| half.prediction_value)?
            .with_halves("latency_ms", |half| half.latency_ms)?
            .with_halves("error_type", |half| half.error_type.as_deref())?
            .with_halves("trace_id", |half| half.trace_id.as_deref())?
            .with_halves("span_id", |half| half.span_id.as_deref())?
            .with("session_id", told(|half| half.session_id.as_deref()))?
            .with("input_text", told(|half| half.input_text.as_deref()))?
            .with("input_length", told(|half| half.input_length))?
            .with("input_hash", told(|half| half.input_hash.as_deref()))?
            .with("embedding_model", told(|half| half.embedding_model.as_deref()))?
            .with("embedding_created_at", told(|half| half.embedding_created_at.map(Instant)))?
            .with("embedding", vector_of)?
            .with("embedding_dimensions", |joined| {
                u16::try_from(vector_of(joined).len()).unwrap_or(u16::MAX)
            })?
            .with("embedding_projections", |joined| {
                embedding::buckets_of(vector_of(joined)).map(Vec::from).unwrap_or_default()
            })?
            .with("scores", merged(|half| &half.scores))?
            .with("numeric_features", merged(|half| &half.numeric_features))?
            .with("categorical_features", merged(|half| &half.categorical_features))?
            .build()
    }
}

impl<'a> Columns<'a, JoinedInference> {
    /// A column for the log's value and one for the span's.
    fn with_halves<T>(self, name: &str, value: impl Fn(&'a InferenceHalf) -> Option<T>) -> Result<Self, TelemetryError>
    where
        Option<T>: clickhouse::native::encode::Encode,
    {
        self.with(&format!("log_{name}"), |joined| joined.log.as_ref().and_then(&value))?
            .with(&format!("span_{name}"), |joined| joined.span.as_ref().and_then(&value))
    }
}

/// What there is, the log's first.
fn halves(joined: &JoinedInference) -> impl Iterator<Item = &InferenceHalf> {
    joined.log.iter().chain(&joined.span)
}

/// The embedding that the log tells, else the span's; empty where there is none.
fn vector_of(joined: &JoinedInference) -> &[f32] {
    let embeddings = halves(joined).map(|half| half.embedding.as_slice());
    embeddings.into_iter().find(|embedding| !embedding.is_empty()).unwrap_or(&[])
}

/// What the log says, else what the span says.
fn told<'a, T>(value: impl Fn(&'a InferenceHalf) -> Option<T>) -> impl Fn(&'a JoinedInference) -> Option<T> {
    move |joined| halves(joined).find_map(&value)
}

/// The same of a text that every half has.
fn either<'a>(value: impl Fn(&'a InferenceHalf) -> Option<&'a str>) -> impl Fn(&'a JoinedInference) -> &'a str {
    let told = told(value);
    move |joined| told(joined).unwrap_or_default()
}

/// The earlier of both times.
fn first_of<'a>(time: impl Fn(&'a InferenceHalf) -> UnixNanos) -> impl Fn(&'a JoinedInference) -> Instant {
    move |joined| Instant(halves(joined).map(&time).min().unwrap_or_default())
}

/// The keys of both halves; where both have one, the log's value.
fn merged<'a, V: 'a>(
    field: impl Fn(&'a InferenceHalf) -> &'a BTreeMap<String, V>,
) -> impl Fn(&'a JoinedInference) -> BTreeMap<&'a str, &'a V> {
    move |joined| {
        let halves = [&joined.span, &joined.log].into_iter().flatten();
        halves
            .flat_map(|half| field(half).iter().map(|(name, value)| (name.as_str(), value)))
            .collect()
    }
}
