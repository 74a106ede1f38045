//! An inference as telemetry tells it: one half from a log record, one from a span.

use std::collections::BTreeMap;

use super::RequestId;
use crate::clock::UnixNanos;

/// Which of the two signals told this half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    /// A log record.
    Log,
    /// A span.
    Span,
}

/// What one log record or one span says of an inference. Absent fields are `None` or empty; where both
/// halves carry a field, readers take the log's.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceHalf {
    /// Where it comes from.
    pub half: Half,
    /// `ml.model.name` or what stands for it; never empty.
    pub model: String,
    /// Joins halves and outcomes; never empty.
    pub request_id: RequestId,
    /// When it happened, by the sender's clock (a span's start).
    pub event_time: UnixNanos,
    /// When the frame was received.
    pub received_time: UnixNanos,
    /// The model's version.
    pub version: Option<String>,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// `service.name`.
    pub service: Option<String>,
    /// Segment of users or traffic, as declared by the sender.
    pub segment: Option<String>,
    /// Arm of an experiment; `shadow`, `replay` and `drill` are never counted as traffic served.
    pub arm: Option<String>,
    /// Predicted class.
    pub prediction_label: Option<String>,
    /// Score of the predicted (or positive) class.
    pub prediction_score: Option<f64>,
    /// Predicted number.
    pub prediction_value: Option<f64>,
    /// Score per class.
    pub scores: BTreeMap<String, f64>,
    /// Numeric features; may hold NaN and infinities, which profiles count apart.
    pub numeric_features: BTreeMap<String, f64>,
    /// Features with string or boolean values.
    pub categorical_features: BTreeMap<String, String>,
    /// Milliseconds that the inference took.
    pub latency_ms: Option<f64>,
    /// Kind of the error, when the inference failed.
    pub error_type: Option<String>,
    /// Trace id, 32 lower-case hex digits.
    pub trace_id: Option<String>,
    /// Span id, 16 lower-case hex digits.
    pub span_id: Option<String>,
    /// The conversation or session that it is part of.
    pub session_id: Option<String>,
    /// The input's text; only when `[privacy] keep_text` is set.
    pub input_text: Option<String>,
    /// Length of the input's text in characters.
    pub input_length: Option<u64>,
    /// Hash of the input's text, 16 hex digits.
    pub input_hash: Option<String>,
    /// Embedding of the input.
    pub embedding: Vec<f32>,
    /// What made the embedding.
    pub embedding_model: Option<String>,
    /// When the embedding was made.
    pub embedding_created_at: Option<UnixNanos>,
}

impl InferenceHalf {
    /// A half that says nothing but which inference it belongs to.
    pub fn new(
        half: Half,
        model: impl Into<String>,
        request_id: impl Into<String>,
        event_time: UnixNanos,
        received_time: UnixNanos,
    ) -> Self {
        Self {
            half,
            model: model.into(),
            request_id: request_id.into(),
            event_time,
            received_time,
            version: None,
            environment: None,
            service: None,
            segment: None,
            arm: None,
            prediction_label: None,
            prediction_score: None,
            prediction_value: None,
            scores: BTreeMap::new(),
            numeric_features: BTreeMap::new(),
            categorical_features: BTreeMap::new(),
            latency_ms: None,
            error_type: None,
            trace_id: None,
            span_id: None,
            session_id: None,
            input_text: None,
            input_length: None,
            input_hash: None,
            embedding: Vec::new(),
            embedding_model: None,
            embedding_created_at: None,
        }
    }
}

/// The halves of one inference that one batch holds, as a row of `inferences`.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedInference {
    /// Hour of the earliest of the halves that came first, in Unix seconds: with model and request id the key
    /// under which ClickHouse merges later halves. At most one hour after that of the inference's event time.
    pub key_hour: i64,
    /// A half that came after the first was forgotten, or that began hours before it: kept, not counted as a
    /// request.
    pub partial: bool,
    /// The inference is stored under another request id since: it counts no longer, whatever else is told of it.
    pub superseded: bool,
    /// What the log record says.
    pub log: Option<InferenceHalf>,
    /// What the span says.
    pub span: Option<InferenceHalf>,
}
