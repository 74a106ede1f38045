//! An error as the index holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::UnixNanos;
use crate::patterns::PatternId;

/// A log record of severity ERROR or above, a failed span or its exception event, or a failed inference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorDocument {
    /// Event time, clamped to receive time ± the bounds of design.
    pub time: UnixNanos,
    /// `ERROR`, `FATAL`, …
    pub severity: String,
    /// `service.name`.
    pub service: String,
    /// Model, or empty.
    pub model: String,
    /// Model's version, else the service's, or empty.
    pub version: String,
    /// Environment, or empty.
    pub environment: String,
    /// 32 hex digits, or empty.
    pub trace_id: String,
    /// 16 hex digits, or empty.
    pub span_id: String,
    /// `error.type` or `exception.type`, or empty.
    pub error_type: String,
    /// The message in full.
    pub message: String,
    /// Stack trace, or empty.
    pub stack: String,
    /// Everything else that the record carried.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// What it has in common with other documents: the attributes of its resource and of its span, which are
    /// held once however many errors there are. A name that is also in `attributes` or in a later one of these
    /// has the value from there.
    pub shared: Vec<Arc<BTreeMap<String, serde_json::Value>>>,
    /// The pattern of its message; the index's consumer gives it.
    pub pattern: Option<PatternId>,
}

impl ErrorDocument {
    /// Bytes of its texts, as far as their length depends on the sender.
    pub fn text_bytes(&self) -> usize {
        let shared = self.shared.iter().flat_map(|attributes| attributes.iter());
        let attributes = shared.chain(&self.attributes).map(|(name, value)| name.len() + value_bytes(value));
        self.message.len() + self.stack.len() + attributes.sum::<usize>()
    }

    /// Its own attributes and the shared ones.
    pub fn all_attributes(&self) -> BTreeMap<&str, &serde_json::Value> {
        let shared = self.shared.iter().flat_map(|attributes| attributes.iter());
        shared.chain(&self.attributes).map(|(name, value)| (name.as_str(), value)).collect()
    }
}

fn value_bytes(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(values) => values.iter().map(value_bytes).sum(),
        serde_json::Value::Object(values) => values.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
        _ => size_of::<serde_json::Value>(),
    }
}

/// The errors of one frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoundErrors {
    /// In the order of their records.
    pub documents: Vec<ErrorDocument>,
    /// What was cut or left out of the documents, by reason.
    pub cut: Vec<(&'static str, u64)>,
}
