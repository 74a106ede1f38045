use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::samples;

fn read_log(record: Value) -> Result<opentelemetry_proto::tonic::logs::v1::LogRecord, JsonError> {
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
    let bytes = to_protobuf(Signal::Logs, body.to_string().as_bytes())?;
    Ok(ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap().resource_logs[0].scope_logs[0].log_records[0].clone())
}

fn read_value(value: Value) -> Result<Option<AnyKind>, JsonError> {
    let record = read_log(json!({"attributes": [{"key": "k", "value": value}]}))?;
    Ok(record.attributes[0].value.clone().and_then(|value| value.value))
}

#[test]
fn values_are_read_as_the_specification_writes_them() {
    for (value, expected) in [
        (json!({"stringValue": "x"}), Some(samples::text("x"))),
        (json!({"boolValue": true}), Some(AnyKind::BoolValue(true))),
        (json!({"intValue": "-9223372036854775808"}), Some(samples::int(i64::MIN))),
        (json!({"intValue": 5}), Some(samples::int(5))),
        (json!({"intValue": 5.0}), Some(samples::int(5))),
        (json!({"doubleValue": 1}), Some(samples::double(1.0))),
        (json!({"doubleValue": -2.5e-3}), Some(samples::double(-0.0025))),
        (json!({"doubleValue": "Infinity"}), Some(samples::double(f64::INFINITY))),
        (json!({"doubleValue": "-Infinity"}), Some(samples::double(f64::NEG_INFINITY))),
        (json!({"doubleValue": "1.5"}), Some(samples::double(1.5))),
        (json!({"bytesValue": "AP8+"}), Some(AnyKind::BytesValue(vec![0, 255, 62]))),
        (json!({"bytesValue": "AP8-"}), Some(AnyKind::BytesValue(vec![0, 255, 62]))),
        (json!({"bytesValue": "AA=="}), Some(AnyKind::BytesValue(vec![0]))),
        (json!({"bytesValue": "AA"}), Some(AnyKind::BytesValue(vec![0]))),
        (
            json!({"arrayValue": {"values": [{"intValue": 1}, {}]}}),
            Some(AnyKind::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue {
                values: vec![
                    AnyValue {
                        value: Some(samples::int(1)),
                    },
                    AnyValue::default(),
                ],
            })),
        ),
        (json!({"arrayValue": {}}), Some(samples::array(vec![]))),
        (
            json!({"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}}),
            Some(samples::map(vec![("a", samples::text("b"))])),
        ),
        (json!({"string_value": "x"}), Some(samples::text("x"))),
        (
            json!({"laterValue": {"deep": [1, {"x": null}]}, "stringValue": "x"}),
            Some(samples::text("x")),
        ),
        (json!({"laterValue": 1}), None),
        (json!({"stringValue": null}), None),
        (json!({}), None),
        (json!(null), None),
    ] {
        assert_eq!(read_value(value.clone()), Ok(expected), "{value}");
    }
    let Ok(Some(AnyKind::DoubleValue(nan))) = read_value(json!({"doubleValue": "NaN"})) else {
        panic!("NaN is a double")
    };
    assert!(nan.is_nan());
}

#[test]
fn fields_of_records_are_read_in_every_form() {
    let record = read_log(json!({
        "timeUnixNano": "1544712660300000000",
        "observedTimeUnixNano": 1_544_712_660_300_000_000_u64,
        "severityNumber": 17,
        "severityText": null,
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "flags": 1,
        "droppedAttributesCount": "2",
        "body": {"stringValue": "text"},
        "attributes": null,
        "eventName": "e",
        "unknown": {"nested": [1, 2, {"x": "y"}]},
    }))
    .unwrap();
    assert_eq!(
        (record.time_unix_nano, record.observed_time_unix_nano),
        (1_544_712_660_300_000_000, 1_544_712_660_300_000_000)
    );
    assert_eq!(
        (
            record.severity_number,
            record.severity_text.as_str(),
            record.flags,
            record.dropped_attributes_count
        ),
        (17, "", 1, 2)
    );
    assert_eq!(hex::encode(&record.trace_id), "5b8efff798038103d269b633813fc60c");
    assert_eq!(hex::encode(&record.span_id), "eee19b7ec3c1b174");
    assert_eq!(record.attributes, Vec::<KeyValue>::new());
    assert_eq!(
        read_log(json!({"severityNumber": "SEVERITY_NUMBER_WARN", "time_unix_nano": 7}))
            .unwrap()
            .severity_number,
        13
    );
}

#[test]
fn halves_of_surrogate_pairs_cost_their_character_alone() {
    for (written, expected) in [
        (r"a\ud83db", "a\u{fffd}b"),
        (r"\ude00", "\u{fffd}"),
        (r"cut \ud83d", "cut \u{fffd}"),
        (r"\ud83d\ude00 whole", "\u{1f600} whole"),
        (r"\u00df\n", "ß\n"),
        ("ß plain", "ß plain"),
    ] {
        let body = format!(r#"{{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [{{"eventName": "{written}"}}, {{}}]}}]}}]}}"#);
        let bytes = to_protobuf(Signal::Logs, body.as_bytes()).unwrap();
        let request = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
        let records = &request.resource_logs[0].scope_logs[0].log_records;
        // One replacement for each byte that the half would take, or one for all of them.
        let squeezed = records[0].event_name.replace("\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}");
        assert_eq!((squeezed.as_str(), records.len()), (expected, 2), "{written}");
    }
}

#[test]
fn messages_that_would_take_too_much_memory_are_too_many() {
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    let read = |records: usize| {
        let body = format!(
            r#"{{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [{}{{}}]}}]}}]}}"#,
            "{},".repeat(records)
        );
        read_message::<ExportLogsServiceRequest>(body.as_bytes(), 1_000 * size_of::<LogRecord>())
    };
    assert!(read(900).is_ok());
    assert!(matches!(read(1_100), Err(ReadError::OutOfRoom)));
    assert!(read(0).is_ok(), "the next text has room again");
}

#[test]
fn problems_repeat_little_of_the_text() {
    let body = format!(r#"{{"resourceLogs": "{}"}}"#, "x".repeat(100_000));
    let Err(JsonError::Malformed(problem)) = to_protobuf(Signal::Logs, body.as_bytes()) else {
        panic!("a string is no list")
    };
    assert!(problem.len() < 300, "{} bytes", problem.len());
}

#[test]
fn ids_that_are_no_hex_cost_their_record_alone() {
    for id in ["abc", "zz", "5B8EFFF798038103D269B633813FC60", "ß"] {
        let record = read_log(json!({"traceId": id})).unwrap();
        assert!(!crate::ids::log_ids_valid(&record.trace_id, &record.span_id), "{id}");
    }
    assert!(read_log(json!({"traceId": "", "spanId": null})).unwrap().trace_id.is_empty());
}

#[test]
fn what_is_no_request_is_malformed() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{} {}",
        r#"{"resourceLogs": {}}"#,
        r#"{"resourceLogs": [null]}"#,
        r#"{"resourceLogs": [[]]}"#,
        r#"{"resourceLogs": [{"scopeLogs": 7}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": -1}]}]}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "18446744073709551616"}]}]}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": 1.5}]}]}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "soon"}]}]}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": "LOUD"}]}]}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": "text"}]}]}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"bytesValue": "!"}}]}]}]}"#,
        r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"boolValue": "true"}}]}]}]}"#,
    ] {
        assert!(
            matches!(to_protobuf(Signal::Logs, body.as_bytes()), Err(JsonError::Malformed(_))),
            "{body}"
        );
    }
    let (open, close) = (r#"{"arrayValue": {"values": ["#, "]}}");
    let nested = |depth: usize| {
        let value = format!("{}{}", open.repeat(depth), close.repeat(depth));
        format!(r#"{{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [{{"body": {value}}}]}}]}}]}}"#)
    };
    assert!(to_protobuf(Signal::Logs, nested(35).as_bytes()).is_ok());
    assert!(matches!(
        to_protobuf(Signal::Logs, nested(100_000).as_bytes()),
        Err(JsonError::Malformed(_))
    ));
    let many = format!(r#"{{"resourceLogs": [{}{{}}]}}"#, "{},".repeat(MAX_MESSAGES_PER_REQUEST as usize));
    assert_eq!(to_protobuf(Signal::Logs, many.as_bytes()), Err(JsonError::TooMany));
}

#[test]
fn unknown_values_are_skipped_however_deep() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(
        to_protobuf(Signal::Logs, format!(r#"{{"unknown": {deep}}}"#).as_bytes()),
        Ok(vec![])
    );
}

#[test]
fn an_empty_request_is_one() {
    for signal in Signal::ALL {
        assert_eq!(to_protobuf(signal, b" {} "), Ok(vec![]));
        assert_eq!(
            to_protobuf(signal, br#"{"resourceLogs": [], "resourceSpans": null, "other": 1}"#),
            Ok(vec![])
        );
    }
}

/// A request as JSON, as `opentelemetry-proto` writes it.
fn json_of(signal: Signal) -> Value {
    let mut value = match signal {
        Signal::Logs => serde_json::to_value(samples::rich_logs()),
        Signal::Traces => serde_json::to_value(samples::rich_traces()),
        Signal::Metrics => serde_json::to_value(samples::rich_metrics()),
    }
    .unwrap();
    mend(&mut value);
    value
}

/// It writes some doubles that JSON cannot hold as `null`; the specification has names for them.
fn mend(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, stands_for) in [("doubleValue", "-Infinity"), ("asDouble", "Infinity")] {
                if fields.get(name).is_some_and(Value::is_null) {
                    fields[name] = json!(stands_for);
                }
            }
            fields.values_mut().for_each(mend);
        }
        Value::Array(values) => values.iter_mut().for_each(mend),
        _ => {}
    }
}

#[test]
fn json_and_protobuf_of_the_same_request_decode_to_the_same() {
    for signal in Signal::ALL {
        let mut body = json_of(signal).to_string();
        // The value of `nan` and of the feature is NaN, which `Value` cannot say by itself.
        for name in ["nan", "ml.feature.gap"] {
            let infinite = format!(r#"{{"key":"{name}","value":{{"doubleValue":"-Infinity"}}}}"#);
            body = body.replace(&infinite, &format!(r#"{{"key":"{name}","value":{{"doubleValue":"NaN"}}}}"#));
        }
        let from_json = samples::decode(signal, to_protobuf(signal, body.as_bytes()).unwrap());
        let from_protobuf = samples::decode(signal, samples::rich(signal));
        assert_eq!(format!("{from_json:?}"), format!("{from_protobuf:?}"), "{signal:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(signal in prop::sample::select(&Signal::ALL[..]), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = json_of(signal).to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = to_protobuf(signal, &body);
    }
}
