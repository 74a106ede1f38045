//! `otel_logs`: log records as the OpenTelemetry Collector's exporter writes them.

use clickhouse::native::Block;

use super::values::{Instant, Pairs};
use super::{Columns, Tabled};
use crate::clickhouse::TelemetryError;
use crate::records::LogRecord;

impl Tabled for LogRecord {
    const TABLE: &'static str = "otel_logs";

    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError> {
        Columns::of(records)
            .with("Timestamp", |log| Instant(log.timestamp))?
            .with("TraceId", |log| log.trace_id.as_str())?
            .with("SpanId", |log| log.span_id.as_str())?
            .with("TraceFlags", |log| log.trace_flags)?
            .with("SeverityText", |log| log.severity_text.as_str())?
            .with("SeverityNumber", |log| log.severity_number)?
            .with("ServiceName", |log| log.resource.service_name.as_str())?
            .with("Body", |log| log.body.as_str())?
            .with("ResourceSchemaUrl", |log| log.resource.schema_url.as_str())?
            .with("ResourceAttributes", |log| Pairs(&log.resource.attributes))?
            .with("ScopeSchemaUrl", |log| log.scope.schema_url.as_str())?
            .with("ScopeName", |log| log.scope.name.as_str())?
            .with("ScopeVersion", |log| log.scope.version.as_str())?
            .with("ScopeAttributes", |log| Pairs(&log.scope.attributes))?
            .with("LogAttributes", |log| Pairs(&log.attributes))?
            .with("EventName", |log| log.event_name.as_str())?
            .with("DriftleadBatch", |_| batch)?
            .build()
    }
}
