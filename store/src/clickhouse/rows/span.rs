//! `otel_traces`.

use clickhouse::Row;
use serde::Serialize;

use super::Map;
use crate::records::SpanRecord;

/// A span as the OpenTelemetry Collector's exporter writes it.
#[derive(Row, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SpanRow<'a> {
    timestamp: i64,
    trace_id: &'a str,
    span_id: &'a str,
    parent_span_id: &'a str,
    trace_state: &'a str,
    span_name: &'a str,
    span_kind: &'a str,
    service_name: &'a str,
    resource_attributes: Map<'a>,
    scope_name: &'a str,
    scope_version: &'a str,
    span_attributes: Map<'a>,
    duration: u64,
    status_code: &'a str,
    status_message: &'a str,
    #[serde(rename = "Events.Timestamp")]
    event_timestamps: Vec<i64>,
    #[serde(rename = "Events.Name")]
    event_names: Vec<&'a str>,
    #[serde(rename = "Events.Attributes")]
    event_attributes: Vec<Map<'a>>,
    #[serde(rename = "Links.TraceId")]
    link_trace_ids: Vec<&'a str>,
    #[serde(rename = "Links.SpanId")]
    link_span_ids: Vec<&'a str>,
    #[serde(rename = "Links.TraceState")]
    link_trace_states: Vec<&'a str>,
    #[serde(rename = "Links.Attributes")]
    link_attributes: Vec<Map<'a>>,
    driftlead_batch: u64,
}

impl<'a> SpanRow<'a> {
    /// The row of a span that is inserted with this batch.
    pub fn new(span: &'a SpanRecord, batch: u64) -> Option<Self> {
        Some(Self {
            timestamp: span.timestamp.0,
            trace_id: &span.trace_id,
            span_id: &span.span_id,
            parent_span_id: &span.parent_span_id,
            trace_state: &span.trace_state,
            span_name: &span.name,
            span_kind: span.kind,
            service_name: &span.resource.service_name,
            resource_attributes: &span.resource.attributes,
            scope_name: &span.scope.name,
            scope_version: &span.scope.version,
            span_attributes: &span.attributes,
            duration: span.duration_ns,
            status_code: span.status_code,
            status_message: &span.status_message,
            event_timestamps: span.events.iter().map(|event| event.timestamp.0).collect(),
            event_names: span.events.iter().map(|event| event.name.as_str()).collect(),
            event_attributes: span.events.iter().map(|event| event.attributes.as_slice()).collect(),
            link_trace_ids: span.links.iter().map(|link| link.trace_id.as_str()).collect(),
            link_span_ids: span.links.iter().map(|link| link.span_id.as_str()).collect(),
            link_trace_states: span.links.iter().map(|link| link.trace_state.as_str()).collect(),
            link_attributes: span.links.iter().map(|link| link.attributes.as_slice()).collect(),
            driftlead_batch: batch,
        })
    }
}
