//! Raw telemetry as the tables of the OpenTelemetry Collector's ClickHouse exporter hold it.

use std::sync::Arc;

use crate::clock::UnixNanos;

/// Attributes as the exporter stores them: names with values written as text, in the sender's order.
pub type Attributes = Vec<(String, String)>;

/// Where telemetry comes from. Shared by all records of one `Resource…` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// `service.name`, or empty.
    pub service_name: String,
    /// Schema of the resource's attributes.
    pub schema_url: String,
    /// The resource's attributes.
    pub attributes: Attributes,
}

/// The instrumentation scope. Shared by all records of one `Scope…` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// Name of the library.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Schema of the scope's records.
    pub schema_url: String,
    /// The scope's attributes.
    pub attributes: Attributes,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A log record.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// Where it comes from.
    pub resource: Arc<Resource>,
    /// Its scope.
    pub scope: Arc<Scope>,
    /// Event time, else observed time, else receive time.
    pub timestamp: UnixNanos,
    /// 32 lower-case hex digits, or empty.
    pub trace_id: String,
    /// 16 lower-case hex digits, or empty.
    pub span_id: String,
    /// W3C trace flags.
    pub trace_flags: u8,
    /// Severity as text.
    pub severity_text: String,
    /// Severity from 1 to 24; 0 unset.
    pub severity_number: u8,
    /// The body as text; structured bodies as JSON.
    pub body: String,
    /// Name of the event, or empty.
    pub event_name: String,
    /// The record's attributes.
    pub attributes: Attributes,
}

/// A span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanRecord {
    /// Where it comes from.
    pub resource: Arc<Resource>,
    /// Its scope.
    pub scope: Arc<Scope>,
    /// Start.
    pub timestamp: UnixNanos,
    /// 32 lower-case hex digits.
    pub trace_id: String,
    /// 16 lower-case hex digits.
    pub span_id: String,
    /// 16 lower-case hex digits, or empty.
    pub parent_span_id: String,
    /// W3C trace state.
    pub trace_state: String,
    /// Name of the operation.
    pub name: String,
    /// `Unspecified`, `Internal`, `Server`, `Client`, `Producer` or `Consumer`.
    pub kind: &'static str,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
    /// `Unset`, `Ok` or `Error`.
    pub status_code: &'static str,
    /// Message of the status.
    pub status_message: String,
    /// The span's attributes.
    pub attributes: Attributes,
    /// Events in the span.
    pub events: Vec<SpanEvent>,
    /// Links to other spans.
    pub links: Vec<SpanLink>,
}

/// An event in a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// When.
    pub timestamp: UnixNanos,
    /// Name, for example `exception`.
    pub name: String,
    /// The event's attributes.
    pub attributes: Attributes,
}

/// A link to another span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanLink {
    /// The other span's trace.
    pub trace_id: String,
    /// The other span.
    pub span_id: String,
    /// Its trace state.
    pub trace_state: String,
    /// The link's attributes.
    pub attributes: Attributes,
}

/// Data points of one frame by kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricPoints {
    /// Gauges.
    pub gauges: Vec<MetricPoint<Gauge>>,
    /// Sums.
    pub sums: Vec<MetricPoint<Sum>>,
    /// Histograms.
    pub histograms: Vec<MetricPoint<Histogram>>,
    /// Exponential histograms.
    pub exponential_histograms: Vec<MetricPoint<ExponentialHistogram>>,
    /// Summaries.
    pub summaries: Vec<MetricPoint<Summary>>,
}

/// What all data points have, and the value of its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint<Value> {
    /// Where it comes from.
    pub resource: Arc<Resource>,
    /// Its scope.
    pub scope: Arc<Scope>,
    /// Name of the metric.
    pub name: Arc<str>,
    /// Description of the metric.
    pub description: Arc<str>,
    /// Unit of the metric.
    pub unit: Arc<str>,
    /// The point's attributes.
    pub attributes: Attributes,
    /// Start of the interval; 0 unknown.
    pub start_time: UnixNanos,
    /// Time of the point.
    pub time: UnixNanos,
    /// Data-point flags.
    pub flags: u32,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
    /// The value.
    pub value: Value,
}

/// A measurement that stands for others.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Attributes left out of the point.
    pub filtered_attributes: Attributes,
    /// When.
    pub time: UnixNanos,
    /// The measurement.
    pub value: f64,
    /// Span that made it, or empty.
    pub span_id: String,
    /// Trace of that span, or empty.
    pub trace_id: String,
}

/// Value of a gauge.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// The measured number.
    pub value: f64,
}

/// Value of a sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// The number.
    pub value: f64,
    /// 1 delta, 2 cumulative.
    pub aggregation_temporality: i32,
    /// Whether it only grows.
    pub is_monotonic: bool,
}

/// Value of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Measurements.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Counts per bucket.
    pub bucket_counts: Vec<u64>,
    /// Upper bounds of all buckets but the last.
    pub explicit_bounds: Vec<f64>,
    /// Smallest measurement.
    pub min: f64,
    /// Largest measurement.
    pub max: f64,
    /// 1 delta, 2 cumulative.
    pub aggregation_temporality: i32,
}

/// Value of an exponential histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct ExponentialHistogram {
    /// Measurements.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Resolution.
    pub scale: i32,
    /// Measurements that are zero.
    pub zero_count: u64,
    /// Index of the first positive bucket.
    pub positive_offset: i32,
    /// Counts of positive buckets.
    pub positive_bucket_counts: Vec<u64>,
    /// Index of the first negative bucket.
    pub negative_offset: i32,
    /// Counts of negative buckets.
    pub negative_bucket_counts: Vec<u64>,
    /// Smallest measurement.
    pub min: f64,
    /// Largest measurement.
    pub max: f64,
    /// 1 delta, 2 cumulative.
    pub aggregation_temporality: i32,
}

/// Value of a summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Measurements.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// (quantile from 0 to 1, value).
    pub quantiles: Vec<(f64, f64)>,
}
