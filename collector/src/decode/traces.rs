//! Spans: raw rows, and what they tell of inferences; and their errors.

use std::sync::Arc;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Half, InferenceHalf, Scope, SpanEvent, SpanLink, SpanRecord};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, status};

use super::Work;
use super::attributes::pairs_of;
use super::bounds::instant;
use super::cuts::{Cuts, reasons};
use super::errors::{self, Found, Source, may_tell_of_failure};
use super::origin::{Origin, scope_of};
use super::predictions::{self, Told};
use crate::ids;

const NANOS_PER_MILLI: f64 = 1e6;

pub(super) fn decode(request: ExportTraceServiceRequest, work: &mut Work) {
    for group in request.resource_spans {
        let origin = Origin::read(group.resource, group.schema_url, &mut work.cuts);
        for scope_spans in group.scope_spans {
            let scope = scope_of(scope_spans.scope, scope_spans.schema_url, &mut work.cuts);
            for span in scope_spans.spans {
                work.next_record();
                if ids::span_ids_valid(&span.trace_id, &span.span_id, &span.parent_span_id) {
                    decode_span(span, &origin, &scope, work);
                } else {
                    work.cuts.add(reasons::INVALID_IDS, 1);
                }
            }
        }
    }
}

/// Finds the errors of a request.
pub(super) fn errors(request: ExportTraceServiceRequest, work: &mut Work, found: &mut Found) {
    for mut group in request.resource_spans {
        let mut source = None;
        for span in group.scope_spans.iter().flat_map(|scope_spans| &scope_spans.spans) {
            work.next_record();
            let concerned = is_failed(span) || may_tell_of_failure(&span.attributes);
            if concerned && ids::span_ids_valid(&span.trace_id, &span.span_id, &span.parent_span_id) {
                let source = source.get_or_insert_with(|| Source::read(group.resource.take(), std::mem::take(&mut group.schema_url)));
                let (stated, duration_ns) = times(span, work.received_time);
                let told = told(span, &source.origin, stated, duration_ns);
                let (half, duration_ms) = (half_of(span, &told, work), told.duration_ms);
                found.span(span, half.as_ref(), duration_ms, source, work.bounds.place(stated), &work.bounds);
            }
        }
    }
}

fn decode_span(span: Span, origin: &Origin, scope: &Arc<Scope>, work: &mut Work) {
    let (stated, duration_ns) = times(&span, work.received_time);
    let placed = work.bounds.place(stated);
    work.set_aside.add(&placed);
    let told = told(&span, origin, stated, duration_ns);
    let half = half_of(&span, &told, work);
    let (trace_id, span_id) = (told.trace_id, told.span_id);
    if let Some(half) = half.filter(|_| work.bounds.in_windows(stated)) {
        work.decoded.halves.push(half);
    }
    let mut attributes = pairs_of(span.attributes, &mut work.cuts);
    placed.flag(&mut attributes);
    let status = span.status.unwrap_or_default();
    work.decoded.spans.push(SpanRecord {
        resource: Arc::clone(&origin.resource),
        scope: Arc::clone(scope),
        timestamp: placed.time,
        trace_id,
        span_id,
        parent_span_id: ids::span_id_text(&span.parent_span_id),
        trace_state: span.trace_state,
        name: span.name,
        kind: kind_name(span.kind),
        duration_ns: duration_ns.unwrap_or(0),
        status_code: status_name(status.code),
        status_message: status.message,
        attributes,
        events: span.events.into_iter().map(|event| span_event(event, &mut work.cuts)).collect(),
        links: span.links.into_iter().map(|link| span_link(link, &mut work.cuts)).collect(),
    });
}

fn told<'a>(span: &'a Span, origin: &'a Origin, event_time: UnixNanos, duration_ns: Option<u64>) -> Told<'a> {
    Told {
        half: Half::Span,
        origin,
        attributes: &span.attributes,
        event_time,
        trace_id: ids::trace_id_text(&span.trace_id),
        span_id: ids::span_id_text(&span.span_id),
        duration_ms: duration_ns.map(|nanos| nanos as f64 / NANOS_PER_MILLI),
        failed: is_failed(span),
    }
}

fn half_of(span: &Span, told: &Told<'_>, work: &mut Work) -> Option<InferenceHalf> {
    let mut half = predictions::is_inference_span(&span.attributes)
        .then(|| told.read(work))
        .flatten()?;
    errors::take_exception_type(&mut half, span);
    Some(half)
}

/// Start and duration. A span without a start is taken to begin when it ended. How long it took is only known
/// of one with both, in their order.
fn times(span: &Span, received_time: UnixNanos) -> (UnixNanos, Option<u64>) {
    match (span.start_time_unix_nano, span.end_time_unix_nano) {
        (0, 0) => (received_time, None),
        (0, end) => (instant(end), None),
        (start, end) => (instant(start), end.checked_sub(start)),
    }
}

/// Whether the span's status is Error.
pub(super) fn is_failed(span: &Span) -> bool {
    span.status
        .as_ref()
        .is_some_and(|status| status.code == status::StatusCode::Error as i32)
}

fn kind_name(kind: i32) -> &'static str {
    match kind {
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "Unspecified",
    }
}

fn status_name(code: i32) -> &'static str {
    match code {
        1 => "Ok",
        2 => "Error",
        _ => "Unset",
    }
}

fn span_event(event: Event, cuts: &mut Cuts) -> SpanEvent {
    SpanEvent {
        timestamp: instant(event.time_unix_nano),
        name: event.name,
        attributes: pairs_of(event.attributes, cuts),
    }
}

fn span_link(link: Link, cuts: &mut Cuts) -> SpanLink {
    let valid = ids::log_ids_valid(&link.trace_id, &link.span_id);
    cuts.add(reasons::INVALID_LINKED_ID, u64::from(!valid));
    SpanLink {
        trace_id: ids::trace_id_text(&link.trace_id),
        span_id: ids::span_id_text(&link.span_id),
        trace_state: link.trace_state,
        attributes: pairs_of(link.attributes, cuts),
    }
}
