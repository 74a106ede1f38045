//! `otel_traces`: spans as the OpenTelemetry Collector's exporter writes them.

use clickhouse::native::Block;

use super::values::{Instant, Pairs};
use super::{Columns, Tabled};
use crate::clickhouse::TelemetryError;
use crate::records::{SpanEvent, SpanLink, SpanRecord};

/// A column of the events of each span.
fn events<'a, T>(value: impl Fn(&'a SpanEvent) -> T) -> impl Fn(&'a SpanRecord) -> Vec<T> {
    move |span| span.events.iter().map(&value).collect()
}

/// A column of the links of each span.
fn links<'a, T>(value: impl Fn(&'a SpanLink) -> T) -> impl Fn(&'a SpanRecord) -> Vec<T> {
    move |span| span.links.iter().map(&value).collect()
}

impl Tabled for SpanRecord {
    const TABLE: &'static str = "otel_traces";

    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError> {
        Columns::of(records)
            .with("Timestamp", |span| Instant(span.timestamp))?
            .with("TraceId", |span| span.trace_id.as_str())?
            .with("SpanId", |span| span.span_id.as_str())?
            .with("ParentSpanId", |span| span.parent_span_id.as_str())?
            .with("TraceState", |span| span.trace_state.as_str())?
            .with("SpanName", |span| span.name.as_str())?
            .with("SpanKind", |span| span.kind)?
            .with("ServiceName", |span| span.resource.service_name.as_str())?
            .with("ResourceAttributes", |span| Pairs(&span.resource.attributes))?
            .with("ScopeName", |span| span.scope.name.as_str())?
            .with("ScopeVersion", |span| span.scope.version.as_str())?
            .with("SpanAttributes", |span| Pairs(&span.attributes))?
            .with("Duration", |span| span.duration_ns)?
            .with("StatusCode", |span| span.status_code)?
            .with("StatusMessage", |span| span.status_message.as_str())?
            .with("Events.Timestamp", events(|event| Instant(event.timestamp)))?
            .with("Events.Name", events(|event| event.name.as_str()))?
            .with("Events.Attributes", events(|event| Pairs(&event.attributes)))?
            .with("Links.TraceId", links(|link| link.trace_id.as_str()))?
            .with("Links.SpanId", links(|link| link.span_id.as_str()))?
            .with("Links.TraceState", links(|link| link.trace_state.as_str()))?
            .with("Links.Attributes", links(|link| Pairs(&link.attributes)))?
            .with("DriftleadBatch", |_| batch)?
            .build()
    }
}
