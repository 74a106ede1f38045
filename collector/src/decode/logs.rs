//! Log records: raw rows, and what they tell of inferences and outcomes; and their errors.

use std::sync::Arc;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{self, Half, Scope};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::attributes::{EVENT_NAME, pairs_of, text_counted, text_of, text_of_named};
use super::bounds::instant;
use super::cuts::reasons;
use super::errors::{Found, Source, may_tell_of_failure};
use super::origin::{Origin, scope_of};
use super::predictions::{self, Told};
use super::severity::Severity;
use super::{Work, outcomes};
use crate::ids;

pub(super) fn decode(request: ExportLogsServiceRequest, work: &mut Work) {
    for group in request.resource_logs {
        let origin = Origin::read(group.resource, group.schema_url, &mut work.cuts);
        for scope_logs in group.scope_logs {
            let scope = scope_of(scope_logs.scope, scope_logs.schema_url, &mut work.cuts);
            for record in scope_logs.log_records {
                work.next_record();
                if ids::log_ids_valid(&record.trace_id, &record.span_id) {
                    log_record(record, &origin, &scope, work);
                } else {
                    work.cuts.add(reasons::INVALID_IDS, 1);
                }
            }
        }
    }
}

/// Finds the errors of a request.
pub(super) fn errors(request: ExportLogsServiceRequest, work: &mut Work, found: &mut Found) {
    for mut group in request.resource_logs {
        let mut source = None;
        for record in group.scope_logs.iter().flat_map(|scope_logs| &scope_logs.log_records) {
            work.next_record();
            let concerned = Severity::of(record).is_some() || may_tell_of_failure(&record.attributes);
            if concerned && ids::log_ids_valid(&record.trace_id, &record.span_id) {
                let source = source.get_or_insert_with(|| Source::read(group.resource.take(), std::mem::take(&mut group.schema_url)));
                error(record, source, work, found);
            }
        }
    }
}

fn error(record: &LogRecord, source: &Source, work: &mut Work, found: &mut Found) {
    let stated = event_time(record, work.received_time);
    let event_name = event_name(record);
    let half = predictions::is_inference_log(&event_name, &record.attributes)
        .then(|| told(record, &source.origin, stated).read(work))
        .flatten();
    let body = record.body.as_ref().map(text_of).unwrap_or_default();
    found.log(record, &event_name, &body, half.as_ref(), source, work.bounds.place(stated).time);
}

fn log_record(record: LogRecord, origin: &Origin, scope: &Arc<Scope>, work: &mut Work) {
    let stated = event_time(&record, work.received_time);
    let placed = work.bounds.place(stated);
    work.set_aside.add(&placed);
    let event_name = event_name(&record);
    let told = told(&record, origin, stated);
    if outcomes::is_outcome(&event_name) {
        outcomes::decode(&event_name, &told, work);
    }
    let half = predictions::is_inference_log(&event_name, &record.attributes)
        .then(|| told.read(work))
        .flatten();
    let (trace_id, span_id) = (told.trace_id, told.span_id);
    let body = record
        .body
        .as_ref()
        .map(|body| text_counted(body, &mut work.cuts))
        .unwrap_or_default();
    if let Some(half) = half.filter(|_| work.bounds.in_windows(stated)) {
        work.decoded.halves.push(half);
    }
    let mut attributes = pairs_of(record.attributes, &mut work.cuts);
    placed.flag(&mut attributes);
    work.decoded.logs.push(records::LogRecord {
        resource: Arc::clone(&origin.resource),
        scope: Arc::clone(scope),
        timestamp: placed.time,
        trace_id,
        span_id,
        // The low byte holds the W3C flags; the others are reserved.
        trace_flags: (record.flags & 0xFF) as u8,
        severity_text: record.severity_text,
        severity_number: u8::try_from(record.severity_number).unwrap_or(0),
        body,
        event_name: record.event_name,
        attributes,
    });
}

fn event_name(record: &LogRecord) -> String {
    if record.event_name.is_empty() {
        text_of_named(&record.attributes, EVENT_NAME).unwrap_or_default()
    } else {
        record.event_name.clone()
    }
}

fn told<'a>(record: &'a LogRecord, origin: &'a Origin, event_time: UnixNanos) -> Told<'a> {
    Told {
        half: Half::Log,
        origin,
        attributes: &record.attributes,
        event_time,
        trace_id: ids::trace_id_text(&record.trace_id),
        span_id: ids::span_id_text(&record.span_id),
        duration_ms: None,
        failed: Severity::of(record).is_some(),
    }
}

/// Event time, else observed time, else receive time.
fn event_time(record: &LogRecord, received_time: UnixNanos) -> UnixNanos {
    match (record.time_unix_nano, record.observed_time_unix_nano) {
        (0, 0) => received_time,
        (0, observed) => instant(observed),
        (time, _) => instant(time),
    }
}
