//! Everything that one frame of the log holds for the tables, decoded.

use super::{InferenceHalf, LogRecord, MetricPoints, Outcome, SpanRecord};

/// The records of one frame. Decoding is deterministic: the same frame gives the same value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// Log records, as they go to `otel_logs`.
    pub logs: Vec<LogRecord>,
    /// Spans, as they go to `otel_traces`.
    pub spans: Vec<SpanRecord>,
    /// Data points of metrics, as they go to the `otel_metrics_…` tables.
    pub metrics: MetricPoints,
    /// What is known of inferences, one value per half that the frame carries.
    pub halves: Vec<InferenceHalf>,
    /// Labels, verdicts and conversions.
    pub outcomes: Vec<Outcome>,
    /// Records whose event time is out of bounds: kept raw under their receive time, in no window.
    pub set_aside: Vec<SetAside>,
    /// What was cut or ignored while decoding, by reason.
    pub cut: Vec<(&'static str, u64)>,
}

/// Why records of a frame are part of no window.
#[derive(Debug, Clone, PartialEq)]
pub struct SetAside {
    /// `event_time_in_future` or `event_time_beyond_retention`.
    pub reason: &'static str,
    /// How many records.
    pub count: u64,
}
