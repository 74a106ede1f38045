//! `otel_logs`.

use clickhouse::Row;
use serde::Serialize;

use super::Map;
use crate::records::LogRecord;

/// A log record as the OpenTelemetry Collector's exporter writes it.
#[derive(Row, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogRow<'a> {
    timestamp: i64,
    trace_id: &'a str,
    span_id: &'a str,
    trace_flags: u8,
    severity_text: &'a str,
    severity_number: u8,
    service_name: &'a str,
    body: &'a str,
    resource_schema_url: &'a str,
    resource_attributes: Map<'a>,
    scope_schema_url: &'a str,
    scope_name: &'a str,
    scope_version: &'a str,
    scope_attributes: Map<'a>,
    log_attributes: Map<'a>,
    event_name: &'a str,
    driftlead_batch: u64,
}

impl<'a> LogRow<'a> {
    /// The row of a record that is inserted with this batch.
    pub fn new(record: &'a LogRecord, batch: u64) -> Option<Self> {
        Some(Self {
            timestamp: record.timestamp.0,
            trace_id: &record.trace_id,
            span_id: &record.span_id,
            trace_flags: record.trace_flags,
            severity_text: &record.severity_text,
            severity_number: record.severity_number,
            service_name: &record.resource.service_name,
            body: &record.body,
            resource_schema_url: &record.resource.schema_url,
            resource_attributes: &record.resource.attributes,
            scope_schema_url: &record.scope.schema_url,
            scope_name: &record.scope.name,
            scope_version: &record.scope.version,
            scope_attributes: &record.scope.attributes,
            log_attributes: &record.attributes,
            event_name: &record.event_name,
            driftlead_batch: batch,
        })
    }
}
