//! The three kinds of telemetry that OTLP carries.

use driftlead_store::wal::FrameKind;

/// Logs, traces or metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// `ExportLogsServiceRequest`; its records are log records.
    Logs,
    /// `ExportTraceServiceRequest`; its records are spans.
    Traces,
    /// `ExportMetricsServiceRequest`; its records are data points.
    Metrics,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Traces, Self::Metrics];

    /// `logs`, `traces` or `metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// Where OTLP/HTTP posts it.
    pub fn http_path(self) -> &'static str {
        match self {
            Self::Logs => "/v1/logs",
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// The method that OTLP/gRPC calls.
    pub fn grpc_path(self) -> &'static str {
        match self {
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    /// Kind of the frame that holds a request.
    pub fn frame_kind(self) -> FrameKind {
        match self {
            Self::Logs => FrameKind::Logs,
            Self::Traces => FrameKind::Traces,
            Self::Metrics => FrameKind::Metrics,
        }
    }

    /// Name of the count in a partial success over JSON.
    pub fn rejected_field(self) -> &'static str {
        match self {
            Self::Logs => "rejectedLogRecords",
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}
