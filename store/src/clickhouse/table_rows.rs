//! Rows on their way into ClickHouse.

use crate::records::{JoinedInference, LogRecord, MetricPoints, Outcome, SpanRecord};

/// Rows by table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableRows {
    /// Rows of `otel_logs`.
    pub logs: Vec<LogRecord>,
    /// Rows of `otel_traces`.
    pub spans: Vec<SpanRecord>,
    /// Rows of the `otel_metrics_…` tables.
    pub metrics: MetricPoints,
    /// Rows of `inferences`.
    pub inferences: Vec<JoinedInference>,
    /// Rows of `outcomes`.
    pub outcomes: Vec<Outcome>,
}
