//! A glance at a request that was admitted: may it hold an error? Most requests hold none, and are spared the decoding
//! that the error index would do for nothing.

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::reader::{Reader, WireType};
use super::{MAX_DEPTH, ScanError};
use crate::decode::errors::FAILURES;
use crate::decode::severity::Severity;
use crate::signal::Signal;

/// Where a kind of record says that it failed, by field numbers of OTLP.
struct Fields {
    attributes: u32,
    /// `severity_number` of a log record.
    severity_number: Option<u32>,
    /// `severity_text` of a log record.
    severity_text: Option<u32>,
    /// `status` of a span.
    status: Option<u32>,
}

const LOG_RECORD: Fields = Fields {
    attributes: 6,
    severity_number: Some(2),
    severity_text: Some(3),
    status: None,
};
const SPAN: Fields = Fields {
    attributes: 9,
    severity_number: None,
    severity_text: None,
    status: Some(15),
};
/// `scope_logs` or `scope_spans` of a resource's message, and in turn the records of a scope's.
const INNER: u32 = 2;
/// The resources' messages of a request.
const GROUPS: u32 = 1;
/// Name of an attribute.
const KEY: u32 = 1;
/// `code` of a status.
const STATUS_CODE: u32 = 3;

/// Whether decoding may find an error; where it is not sure, it may. Metrics hold none.
pub(crate) fn may_hold_errors(signal: Signal, bytes: &[u8]) -> bool {
    let fields = match signal {
        Signal::Logs => &LOG_RECORD,
        Signal::Traces => &SPAN,
        Signal::Metrics => return false,
    };
    let in_record = |record| any_field(record, |field| tells_of_failure(fields, field));
    let in_scope = |scope| any_inner(scope, INNER, in_record);
    let in_group = |group| any_inner(group, INNER, in_scope);
    any_inner(bytes, GROUPS, in_group)
}

/// A field as it is written.
#[derive(Clone, Copy)]
enum Field<'a> {
    Varint(u32, u64),
    Bytes(u32, &'a [u8]),
}

fn tells_of_failure(fields: &Fields, field: Field<'_>) -> bool {
    match field {
        Field::Varint(number, value) => {
            // An enum is what the low 32 bits say.
            fields.severity_number == Some(number) && Severity::of_number(value as i32).is_some()
        }
        Field::Bytes(number, bytes) if number == fields.attributes => any_field(bytes, is_failure_key),
        Field::Bytes(number, bytes) if fields.severity_text == Some(number) => {
            std::str::from_utf8(bytes).is_ok_and(|text| Severity::of_text(text).is_some())
        }
        Field::Bytes(number, bytes) if fields.status == Some(number) => any_field(
            bytes,
            |field| matches!(field, Field::Varint(STATUS_CODE, code) if code as i32 == StatusCode::Error as i32),
        ),
        Field::Bytes(..) => false,
    }
}

fn is_failure_key(field: Field<'_>) -> bool {
    matches!(field, Field::Bytes(KEY, key) if FAILURES.iter().any(|name| name.as_bytes() == key))
}

fn any_inner<'a>(bytes: &'a [u8], number: u32, mut holds: impl FnMut(&'a [u8]) -> bool) -> bool {
    any_field(
        bytes,
        |field| matches!(field, Field::Bytes(found, inner) if found == number && holds(inner)),
    )
}

/// Whether something holds of any field of a message; of what cannot be read it may.
fn any_field<'a>(bytes: &'a [u8], mut holds: impl FnMut(Field<'a>) -> bool) -> bool {
    let mut reader = Reader::new(bytes);
    loop {
        match next_field(&mut reader) {
            Ok(None) => return false,
            Ok(Some(None)) => {}
            Ok(Some(Some(field))) if !holds(field) => {}
            Ok(Some(Some(_))) | Err(_) => return true,
        }
    }
}

/// The next field; within, `None` for one that is neither a number nor bytes.
fn next_field<'a>(reader: &mut Reader<'a>) -> Result<Option<Option<Field<'a>>>, ScanError> {
    let Some((number, wire_type)) = reader.key()? else {
        return Ok(None);
    };
    Ok(Some(match wire_type {
        WireType::Varint => Some(Field::Varint(number, reader.varint()?)),
        WireType::Length => Some(Field::Bytes(number, reader.delimited(wire_type)?)),
        _ => {
            reader.skip(number, wire_type, MAX_DEPTH)?;
            None
        }
    }))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use prost::Message;

    use super::*;
    use crate::samples;

    fn of_log(change: impl FnOnce(&mut LogRecord)) -> bool {
        let mut record = samples::log(vec![("ml.model.name", samples::text("m"))]);
        change(&mut record);
        let plain = samples::log(vec![]);
        may_hold_errors(Signal::Logs, &samples::logs(vec![], vec![plain, record]).encode_to_vec())
    }

    fn of_span(pairs: Vec<(&str, opentelemetry_proto::tonic::common::v1::any_value::Value)>, code: i32) -> bool {
        let span = Span {
            status: Some(Status {
                code,
                message: "error".into(),
            }),
            ..samples::span(pairs)
        };
        may_hold_errors(Signal::Traces, &samples::spans(vec![], vec![span]).encode_to_vec())
    }

    #[test]
    fn only_what_may_be_an_error_is_decoded() {
        assert!(!of_log(|_| {}));
        for (number, text, expected) in [
            (9, "", false),
            (16, "", false),
            (17, "", true),
            (24, "", true),
            (0, "error", true),
            (0, "info", false),
        ] {
            let found = of_log(|record| {
                record.severity_number = number;
                record.severity_text = text.into();
            });
            assert_eq!(found, expected, "{number} {text:?}");
        }
        for name in FAILURES {
            assert!(of_log(
                |record| record.attributes = samples::attributes(vec![(name, samples::text("x"))])
            ));
            assert!(of_span(vec![(name, samples::int(200))], 1), "{name}");
        }
        assert!(!of_log(
            |record| record.attributes = samples::attributes(vec![("x", samples::text("error.type"))])
        ));
        assert!(of_span(vec![], 2));
        assert!(!of_span(vec![], 1) && !of_span(vec![], 0));
    }

    #[test]
    fn what_cannot_be_read_may_be_an_error() {
        assert!(may_hold_errors(Signal::Logs, &[0xFF]) && may_hold_errors(Signal::Traces, &[0x0A, 5, 0]));
        assert!(!may_hold_errors(Signal::Logs, &[]));
        assert!(!may_hold_errors(Signal::Metrics, &samples::rich(Signal::Metrics)));
    }
}
