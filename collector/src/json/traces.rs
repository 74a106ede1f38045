//! Spans.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::fields::{List, Message, json_fields};
use super::scalars::{Enumeration, Id, Named, Text, Unsigned32, Unsigned64};

json_fields!(ExportTraceServiceRequest {
    "resourceSpans" | "resource_spans" => resource_spans: List<ResourceSpans>,
});

json_fields!(ResourceSpans {
    "resource" => resource: Message<Resource>,
    "scopeSpans" | "scope_spans" => scope_spans: List<ScopeSpans>,
    "schemaUrl" | "schema_url" => schema_url: Text,
});

json_fields!(ScopeSpans {
    "scope" => scope: Message<InstrumentationScope>,
    "spans" => spans: List<Span>,
    "schemaUrl" | "schema_url" => schema_url: Text,
});

json_fields!(Span {
    "traceId" | "trace_id" => trace_id: Id,
    "spanId" | "span_id" => span_id: Id,
    "traceState" | "trace_state" => trace_state: Text,
    "parentSpanId" | "parent_span_id" => parent_span_id: Id,
    "flags" => flags: Unsigned32,
    "name" => name: Text,
    "kind" => kind: Enumeration<SpanKind>,
    "startTimeUnixNano" | "start_time_unix_nano" => start_time_unix_nano: Unsigned64,
    "endTimeUnixNano" | "end_time_unix_nano" => end_time_unix_nano: Unsigned64,
    "attributes" => attributes: List<KeyValue>,
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count: Unsigned32,
    "events" => events: List<Event>,
    "droppedEventsCount" | "dropped_events_count" => dropped_events_count: Unsigned32,
    "links" => links: List<Link>,
    "droppedLinksCount" | "dropped_links_count" => dropped_links_count: Unsigned32,
    "status" => status: Message<Status>,
});

json_fields!(Event {
    "timeUnixNano" | "time_unix_nano" => time_unix_nano: Unsigned64,
    "name" => name: Text,
    "attributes" => attributes: List<KeyValue>,
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count: Unsigned32,
});

json_fields!(Link {
    "traceId" | "trace_id" => trace_id: Id,
    "spanId" | "span_id" => span_id: Id,
    "traceState" | "trace_state" => trace_state: Text,
    "attributes" => attributes: List<KeyValue>,
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count: Unsigned32,
    "flags" => flags: Unsigned32,
});

json_fields!(Status {
    "message" => message: Text,
    "code" => code: Enumeration<StatusCode>,
});

impl Named for SpanKind {
    fn number_of(name: &str) -> Option<i32> {
        Self::from_str_name(name).map(|value| value as i32)
    }
}

impl Named for StatusCode {
    fn number_of(name: &str) -> Option<i32> {
        Self::from_str_name(name).map(|value| value as i32)
    }
}
