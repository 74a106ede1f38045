//! `inferences`: the halves of one inference side by side; readers take the log's through `whole_inferences`.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Serialize;

use crate::records::{InferenceHalf, JoinedInference};

/// A row of `inferences`.
#[derive(Row, Serialize)]
pub struct InferenceRow<'a> {
    model: &'a str,
    key_hour: u32,
    request_id: &'a str,
    event_time: i64,
    received_time: i64,
    partial: u8,
    superseded: u8,
    has_log: u8,
    has_span: u8,
    log_version: Option<&'a str>,
    span_version: Option<&'a str>,
    log_environment: Option<&'a str>,
    span_environment: Option<&'a str>,
    log_service: Option<&'a str>,
    span_service: Option<&'a str>,
    log_segment: Option<&'a str>,
    span_segment: Option<&'a str>,
    log_arm: Option<&'a str>,
    span_arm: Option<&'a str>,
    log_prediction_label: Option<&'a str>,
    span_prediction_label: Option<&'a str>,
    log_prediction_score: Option<f64>,
    span_prediction_score: Option<f64>,
    log_prediction_value: Option<f64>,
    span_prediction_value: Option<f64>,
    log_latency_ms: Option<f64>,
    span_latency_ms: Option<f64>,
    log_error_type: Option<&'a str>,
    span_error_type: Option<&'a str>,
    log_trace_id: Option<&'a str>,
    span_trace_id: Option<&'a str>,
    log_span_id: Option<&'a str>,
    span_span_id: Option<&'a str>,
    session_id: Option<&'a str>,
    input_text: Option<&'a str>,
    input_length: Option<u64>,
    input_hash: Option<&'a str>,
    embedding_model: Option<&'a str>,
    embedding_created_at: Option<i64>,
    embedding: &'a [f32],
    scores: Vec<(&'a str, f64)>,
    numeric_features: Vec<(&'a str, f64)>,
    categorical_features: Vec<(&'a str, &'a str)>,
}

impl<'a> InferenceRow<'a> {
    /// The row of an inference; `None` when it has no half, which never comes from the drain.
    pub fn new(joined: &'a JoinedInference) -> Option<Self> {
        let (log, span) = (joined.log.as_ref(), joined.span.as_ref());
        let first = log.or(span)?;
        let halves = || [log, span].into_iter().flatten();
        Some(Self {
            model: &first.model,
            key_hour: u32::try_from(joined.key_hour).unwrap_or(0),
            request_id: &first.request_id,
            event_time: halves().map(|half| half.event_time.0).min().unwrap_or(0),
            received_time: halves().map(|half| half.received_time.0).min().unwrap_or(0),
            partial: joined.partial.into(),
            superseded: joined.superseded.into(),
            has_log: log.is_some().into(),
            has_span: span.is_some().into(),
            log_version: text(log, |half| &half.version),
            span_version: text(span, |half| &half.version),
            log_environment: text(log, |half| &half.environment),
            span_environment: text(span, |half| &half.environment),
            log_service: text(log, |half| &half.service),
            span_service: text(span, |half| &half.service),
            log_segment: text(log, |half| &half.segment),
            span_segment: text(span, |half| &half.segment),
            log_arm: text(log, |half| &half.arm),
            span_arm: text(span, |half| &half.arm),
            log_prediction_label: text(log, |half| &half.prediction_label),
            span_prediction_label: text(span, |half| &half.prediction_label),
            log_prediction_score: log.and_then(|half| half.prediction_score),
            span_prediction_score: span.and_then(|half| half.prediction_score),
            log_prediction_value: log.and_then(|half| half.prediction_value),
            span_prediction_value: span.and_then(|half| half.prediction_value),
            log_latency_ms: log.and_then(|half| half.latency_ms),
            span_latency_ms: span.and_then(|half| half.latency_ms),
            log_error_type: text(log, |half| &half.error_type),
            span_error_type: text(span, |half| &half.error_type),
            log_trace_id: text(log, |half| &half.trace_id),
            span_trace_id: text(span, |half| &half.trace_id),
            log_span_id: text(log, |half| &half.span_id),
            span_span_id: text(span, |half| &half.span_id),
            session_id: halves().find_map(|half| half.session_id.as_deref()),
            input_text: halves().find_map(|half| half.input_text.as_deref()),
            input_length: halves().find_map(|half| half.input_length),
            input_hash: halves().find_map(|half| half.input_hash.as_deref()),
            embedding_model: halves().find_map(|half| half.embedding_model.as_deref()),
            embedding_created_at: halves().find_map(|half| half.embedding_created_at).map(|at| at.0),
            embedding: halves()
                .map(|half| half.embedding.as_slice())
                .find(|embedding| !embedding.is_empty())
                .unwrap_or(&[]),
            scores: merged(log, span, |half| &half.scores)
                .into_iter()
                .map(|(name, score)| (name, *score))
                .collect(),
            numeric_features: merged(log, span, |half| &half.numeric_features)
                .into_iter()
                .map(|(name, value)| (name, *value))
                .collect(),
            categorical_features: merged(log, span, |half| &half.categorical_features)
                .into_iter()
                .map(|(name, value)| (name, value.as_str()))
                .collect(),
        })
    }
}

fn text(half: Option<&InferenceHalf>, field: impl FnOnce(&InferenceHalf) -> &Option<String>) -> Option<&str> {
    half.and_then(|half| field(half).as_deref())
}

/// The keys of both halves; where both have one, the log's value.
fn merged<'a, V>(
    log: Option<&'a InferenceHalf>,
    span: Option<&'a InferenceHalf>,
    field: impl Fn(&'a InferenceHalf) -> &'a BTreeMap<String, V>,
) -> BTreeMap<&'a str, &'a V> {
    let halves = [span, log].into_iter().flatten();
    halves
        .flat_map(|half| field(half).iter().map(|(name, value)| (name.as_str(), value)))
        .collect()
}
