//! Requests made again from what is stored of them, so that errors are found in them as they were the first time.
//!
//! Stored attributes are texts. What is written as numbers, `true`, `false`, lists and objects are becomes that again, so that
//! ranges of numbers find it; a text that looked like a number all along becomes one too, unless it is an id or a version.

use bytes::Bytes;
use driftlead_store::clickhouse::query::raw::{RawLog, RawSpan};
use driftlead_store::clock::UnixNanos;
use driftlead_store::wal::{Frame, FrameKind, Position};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::attributes::number_text;
use super::bounds::{EVENT_TIME, SET_ASIDE};

/// A request with this record alone, received when it happened.
pub fn log_frame(stored: RawLog) -> Frame {
    let time = UnixNanos(stored.time);
    let record = LogRecord {
        time_unix_nano: stored.time.unsigned_abs(),
        severity_number: i32::from(stored.severity_number),
        severity_text: stored.severity_text,
        event_name: stored.event_name,
        trace_id: bytes_of(&stored.trace_id),
        span_id: bytes_of(&stored.span_id),
        body: Some(AnyValue {
            value: Some(Value::StringValue(stored.body)),
        }),
        attributes: typed_all(stored.attributes),
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource(stored.resource)),
            scope_logs: vec![ScopeLogs {
                log_records: vec![record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    frame(FrameKind::Logs, time, request.encode_to_vec())
}

/// A request with this span alone, received when it ended.
pub fn span_frame(stored: RawSpan) -> Frame {
    let start = stored.time.unsigned_abs();
    let end = start.saturating_add(stored.duration_ns);
    let times = stored.event_times.into_iter().map(i64::unsigned_abs);
    let events = times.zip(stored.event_names).zip(stored.event_attributes);
    let events = events.map(|((time, name), attributes)| Event {
        time_unix_nano: time,
        name,
        attributes: typed_all(attributes),
        ..Event::default()
    });
    let span = Span {
        trace_id: bytes_of(&stored.trace_id),
        span_id: bytes_of(&stored.span_id),
        parent_span_id: bytes_of(&stored.parent_span_id),
        name: stored.name,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        status: Some(Status {
            code: match stored.status.as_str() {
                "Ok" => 1,
                "Error" => 2,
                _ => 0,
            },
            message: stored.status_message,
        }),
        events: events.collect(),
        attributes: typed_all(stored.attributes),
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(stored.resource)),
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let received = UnixNanos(i64::try_from(end).unwrap_or(i64::MAX));
    frame(FrameKind::Traces, received, request.encode_to_vec())
}

fn frame(kind: FrameKind, received_time: UnixNanos, payload: Vec<u8>) -> Frame {
    Frame {
        position: Position::default(),
        end: Position::default(),
        kind,
        received_time,
        key_id: String::new(),
        payload: Bytes::from(payload),
    }
}

fn resource(attributes: Vec<(String, String)>) -> Resource {
    Resource {
        attributes: attributes
            .into_iter()
            .map(|(key, text)| attribute(key, Value::StringValue(text)))
            .collect(),
        ..Resource::default()
    }
}

fn attribute(key: String, value: Value) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn typed_all(attributes: Vec<(String, String)>) -> Vec<KeyValue> {
    let own = attributes.into_iter().filter(|(key, _)| key != SET_ASIDE && key != EVENT_TIME);
    let of = |(key, text): (String, String)| {
        let value = if is_name(&key) { Value::StringValue(text) } else { typed(text) };
        attribute(key, value)
    };
    own.map(of).collect()
}

/// Whether an attribute's values are names, whatever they look like.
fn is_name(key: &str) -> bool {
    [".id", "_id", ".version", ".name"].iter().any(|end| key.ends_with(end))
}

/// The value that a text was written from.
fn typed(text: String) -> Value {
    if let Ok(whole) = text.parse::<i64>()
        && whole.to_string() == text
    {
        return Value::IntValue(whole);
    }
    if text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        && let Ok(real) = text.parse::<f64>()
        && real.is_finite()
        && number_text(real) == text
    {
        return Value::DoubleValue(real);
    }
    match text.as_str() {
        "true" => Value::BoolValue(true),
        "false" => Value::BoolValue(false),
        _ if text.starts_with(['[', '{']) => match serde_json::from_str(&text) {
            Ok(json) => from_json(json).unwrap_or(Value::StringValue(text)),
            Err(_) => Value::StringValue(text),
        },
        _ => Value::StringValue(text),
    }
}

fn from_json(json: serde_json::Value) -> Option<Value> {
    let any = |json| AnyValue { value: from_json(json) };
    Some(match json {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => Value::BoolValue(flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::IntValue(whole),
            None => Value::DoubleValue(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::StringValue(text),
        serde_json::Value::Array(values) => Value::ArrayValue(ArrayValue {
            values: values.into_iter().map(any).collect(),
        }),
        serde_json::Value::Object(parts) => Value::KvlistValue(KeyValueList {
            values: parts
                .into_iter()
                .map(|(key, json)| KeyValue {
                    key,
                    value: Some(any(json)),
                    ..KeyValue::default()
                })
                .collect(),
        }),
    })
}

/// What is no hex is no id, and is left out.
fn bytes_of(id: &str) -> Vec<u8> {
    hex::decode(id).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_they_were_written_from() {
        for (text, expected) in [
            ("500", Value::IntValue(500)),
            ("-3", Value::IntValue(-3)),
            ("0.5", Value::DoubleValue(0.5)),
            ("12.0", Value::StringValue("12.0".into())),
            ("true", Value::BoolValue(true)),
            ("007", Value::StringValue("007".into())),
            ("1e5", Value::StringValue("1e5".into())),
            ("1.50", Value::StringValue("1.50".into())),
            ("inf", Value::StringValue("inf".into())),
            ("", Value::StringValue(String::new())),
            ("[oops", Value::StringValue("[oops".into())),
        ] {
            assert_eq!(typed(text.to_owned()), expected, "{text}");
        }
        let attributes = typed_all(vec![("ml.model.version".into(), "1".into()), (SET_ASIDE.into(), "x".into())]);
        let version = attributes[0].value.as_ref().and_then(|value| value.value.clone());
        assert_eq!((attributes.len(), version), (1, Some(Value::StringValue("1".into()))));
        let Value::ArrayValue(list) = typed("[\"a\",1]".into()) else {
            panic!("it is a list")
        };
        assert_eq!(list.values[1].value, Some(Value::IntValue(1)));
    }
}
