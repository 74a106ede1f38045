//! An error as the index holds it.

use std::collections::BTreeMap;

use crate::clock::UnixNanos;

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
}
