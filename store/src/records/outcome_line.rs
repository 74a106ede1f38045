//! Outcomes as clients post them and as frames of kind `Outcomes` hold them.
//!
//! A body is one JSON object, an array of objects, or NDJSON. Each item is
//! `{model, request_id, kind: label|verdict|conversion, label|verdict|value, id?, at?}`. Items are judged
//! one by one: what is wrong with one never costs the others. A frame's payload is the accepted items as
//! JSON lines, in the form that [`OutcomeLine`] serialises to.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::{MAX_NAME_BYTES, Outcome, OutcomeKind, bounded_request_id};
use crate::clock::UnixNanos;

/// Longest label in bytes: labels are classes or numbers, not documents.
pub const MAX_LABEL_BYTES: usize = 1_024;
/// Most items of one request: what a client can hold an answer for, and what is decoded at once.
pub const MAX_ITEMS: usize = 100_000;
/// How far ahead of the receiver's clock `at` may lie, in seconds: the bound that event times have.
pub const MAX_AHEAD_SECONDS: i64 = 600;

/// One outcome as a line of a frame's payload. `None` in `at` means: when the frame was received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutcomeLine {
    /// The model that inferred.
    pub model: String,
    /// The inference that it belongs to.
    pub request_id: String,
    /// What became known.
    #[serde(flatten)]
    pub value: OutcomeValue,
    /// The sender's own id of this outcome, else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// When it became known, by the sender's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixNanos>,
}

/// Kind and value in a line: `{"kind": "label", "label": "1"}`, `{"kind": "verdict", "verdict": true}`,
/// `{"kind": "conversion", "value": 12.5}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OutcomeValue {
    /// The truth.
    Label {
        /// A class, or a number written as text.
        label: String,
    },
    /// A person's verdict.
    Verdict {
        /// Whether the prediction was right.
        verdict: bool,
    },
    /// A conversion.
    Conversion {
        /// What it was worth; finite.
        value: f64,
    },
}

/// An item that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedOutcome {
    /// Which item, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// What a request's body holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutcomeBatch {
    /// Items to be appended, in the sender's order.
    pub accepted: Vec<OutcomeLine>,
    /// Items that are wrong, in the sender's order.
    pub rejected: Vec<RejectedOutcome>,
}

/// A body of which no item can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeBodyError {
    /// Nothing, or only white space.
    #[error("the body is empty: send one JSON object, an array of objects, or one object a line")]
    Empty,
    /// It begins like none of the three forms.
    #[error("the body is neither a JSON object, nor an array of objects, nor one object a line")]
    NotOutcomes,
    /// An array that is not JSON.
    #[error("the array is not valid JSON: {0}")]
    Malformed(String),
    /// More items than one request may hold.
    #[error("the body holds more than {MAX_ITEMS} outcomes: send them in several requests")]
    TooMany,
}

/// Reads a request's body: one object, an array or NDJSON.
///
/// # Errors
/// The body as a whole is unreadable; single wrong items are in [`OutcomeBatch::rejected`].
pub fn parse_body(body: &[u8], received_time: UnixNanos) -> Result<OutcomeBatch, OutcomeBodyError> {
    let items = items_of(body)?;
    if items.len() > MAX_ITEMS {
        return Err(OutcomeBodyError::TooMany);
    }
    let mut batch = OutcomeBatch::default();
    for (index, item) in items.into_iter().enumerate() {
        match item.and_then(|value| read_item(value, received_time)) {
            Ok(line) => batch.accepted.push(line),
            Err(reason) => batch.rejected.push(RejectedOutcome { index, reason }),
        }
    }
    Ok(batch)
}

/// The payload of a frame of kind `Outcomes`: one line per outcome.
pub fn write_payload(lines: &[OutcomeLine]) -> Vec<u8> {
    let mut payload = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut payload, line).expect("strings, bools and finite numbers always serialise");
        payload.push(b'\n');
    }
    payload
}

/// Reads a frame's payload back; the second value counts lines that this version cannot read.
pub fn read_payload(payload: &[u8], received_time: UnixNanos) -> (Vec<Outcome>, u64) {
    let mut outcomes = Vec::new();
    let mut unreadable = 0;
    for line in lines_of(payload) {
        match serde_json::from_slice::<OutcomeLine>(line) {
            Ok(line) => outcomes.push(line.into_outcome(received_time)),
            Err(_) => unreadable += 1,
        }
    }
    (outcomes, unreadable)
}

impl OutcomeLine {
    /// The outcome as the domain knows it.
    pub fn into_outcome(self, received_time: UnixNanos) -> Outcome {
        let id = match self.at {
            Some(at) if self.id.is_empty() => Outcome::id_of_instant(at),
            _ => self.id,
        };
        Outcome {
            model: self.model,
            request_id: self.request_id,
            kind: match self.value {
                OutcomeValue::Label { label } => OutcomeKind::Label(label),
                OutcomeValue::Verdict { verdict } => OutcomeKind::Verdict(verdict),
                OutcomeValue::Conversion { value } => OutcomeKind::Conversion(value),
            },
            id,
            at: self.at.unwrap_or(received_time),
            received_time,
        }
    }
}

/// A number as labels write it: `1` for 1.0, so that a label sent as a number meets a prediction sent as text.
pub fn label_of_number(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 {
        format!("{}", number as i64)
    } else {
        format!("{number}")
    }
}

/// Reads a verdict as people and their tools write it.
pub fn verdict_of_text(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "correct" | "true" | "pass" | "passed" => Some(true),
        "incorrect" | "false" | "fail" | "failed" => Some(false),
        _ => None,
    }
}

type Item = Result<Value, String>;

fn items_of(body: &[u8]) -> Result<Vec<Item>, OutcomeBodyError> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(OutcomeBodyError::Empty),
        Some(b'[') => serde_json::from_slice::<Vec<Value>>(body)
            .map(|values| values.into_iter().map(Ok).collect())
            .map_err(|error| OutcomeBodyError::Malformed(error.to_string())),
        Some(b'{') => Ok(match serde_json::from_slice::<Value>(body) {
            Ok(object) => vec![Ok(object)],
            Err(_) => lines_of(body).take(MAX_ITEMS + 1).map(read_line).collect(),
        }),
        Some(_) => Err(OutcomeBodyError::NotOutcomes),
    }
}

fn lines_of(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

fn read_line(line: &[u8]) -> Item {
    serde_json::from_slice(line).map_err(|error| format!("not valid JSON: {error}"))
}

fn read_item(item: Value, received_time: UnixNanos) -> Result<OutcomeLine, String> {
    let Value::Object(mut fields) = item else {
        return Err("not a JSON object".to_owned());
    };
    let model = required_name(fields.remove("model"), "model")?;
    let request_id = required_text(fields.remove("request_id"), "request_id").map(bounded_request_id)?;
    let kind = match fields.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err("kind is not a string".to_owned()),
        None => return Err("kind is missing: label, verdict or conversion".to_owned()),
    };
    let value = match kind.as_str() {
        "label" => OutcomeValue::Label {
            label: read_label(fields.remove("label"))?,
        },
        "verdict" => OutcomeValue::Verdict {
            verdict: read_verdict(fields.remove("verdict"))?,
        },
        "conversion" => OutcomeValue::Conversion {
            value: read_value(fields.remove("value"))?,
        },
        _ => return Err("kind is none of label, verdict and conversion".to_owned()),
    };
    Ok(OutcomeLine {
        model,
        request_id,
        value,
        id: read_id(fields.remove("id"))?,
        at: read_at(fields.remove("at"), received_time)?,
    })
}

fn required_name(value: Option<Value>, field: &str) -> Result<String, String> {
    let name = required_text(value, field)?;
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("{field} is longer than {MAX_NAME_BYTES} bytes"));
    }
    Ok(name)
}

fn required_text(value: Option<Value>, field: &str) -> Result<String, String> {
    let name = match value {
        Some(Value::String(name)) => name,
        Some(Value::Number(number)) if field == "request_id" => number.to_string(),
        Some(_) => return Err(format!("{field} is not a string")),
        None => return Err(format!("{field} is missing")),
    };
    if name.is_empty() {
        return Err(format!("{field} is empty"));
    }
    Ok(name)
}

fn read_label(value: Option<Value>) -> Result<String, String> {
    let label = match value {
        Some(Value::String(label)) => label,
        Some(Value::Number(number)) => label_of_json_number(&number),
        Some(Value::Bool(label)) => label.to_string(),
        Some(_) => return Err("label is neither a string, nor a number, nor a boolean".to_owned()),
        None => return Err("label is missing".to_owned()),
    };
    if label.is_empty() {
        return Err("label is empty".to_owned());
    }
    if label.len() > MAX_LABEL_BYTES {
        return Err(format!("label is longer than {MAX_LABEL_BYTES} bytes"));
    }
    Ok(label)
}

fn label_of_json_number(number: &Number) -> String {
    if number.is_f64() {
        number.as_f64().map_or_else(|| number.to_string(), label_of_number)
    } else {
        number.to_string()
    }
}

fn read_verdict(value: Option<Value>) -> Result<bool, String> {
    match value {
        Some(Value::Bool(verdict)) => Ok(verdict),
        Some(Value::String(text)) => verdict_of_text(&text).ok_or_else(|| "verdict is neither correct nor incorrect".to_owned()),
        Some(_) => Err("verdict is neither a boolean nor one of correct and incorrect".to_owned()),
        None => Err("verdict is missing".to_owned()),
    }
}

fn read_value(value: Option<Value>) -> Result<f64, String> {
    match value {
        Some(Value::Number(number)) => number
            .as_f64()
            .filter(|value| value.is_finite())
            .ok_or_else(|| "value is not finite".to_owned()),
        Some(_) => Err("value is not a number".to_owned()),
        None => Err("value is missing".to_owned()),
    }
}

fn read_id(value: Option<Value>) -> Result<String, String> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(id)) if id.len() <= MAX_NAME_BYTES => Ok(id),
        Some(Value::String(_)) => Err(format!("id is longer than {MAX_NAME_BYTES} bytes")),
        Some(_) => Err("id is not a string".to_owned()),
    }
}

fn read_at(value: Option<Value>, received_time: UnixNanos) -> Result<Option<UnixNanos>, String> {
    let at = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => UnixNanos::parse(&text).map_err(|_| "at is not an RFC 3339 time".to_owned())?,
        Some(_) => return Err("at is not an RFC 3339 time".to_owned()),
    };
    if at > received_time.plus_seconds(MAX_AHEAD_SECONDS) {
        return Err(format!("at lies more than {MAX_AHEAD_SECONDS} s in the future"));
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixNanos = UnixNanos(1_760_000_000_000_000_000);

    fn reasons(body: &str) -> Vec<(usize, String)> {
        parse_body(body.as_bytes(), NOW)
            .unwrap()
            .rejected
            .into_iter()
            .map(|item| (item.index, item.reason))
            .collect()
    }

    #[test]
    fn the_three_forms_mean_the_same() {
        let one = r#"{"model":"m","request_id":"r1","kind":"label","label":"1"}"#;
        let two = r#"{"model":"m","request_id":"r2","kind":"verdict","verdict":"incorrect","id":"v1","at":"2025-10-09T08:53:20Z"}"#;
        let array = parse_body(format!("[{one},\n{two}]").as_bytes(), NOW).unwrap();
        let lines = parse_body(format!("{one}\r\n\n{two}\n").as_bytes(), NOW).unwrap();
        assert_eq!(array, lines);
        assert_eq!(array.accepted.len(), 2);
        let pretty = "{\n \"model\": \"m\",\n \"request_id\": \"r1\", \"kind\": \"label\",\n \"label\": \"1\"}";
        assert_eq!(parse_body(pretty.as_bytes(), NOW).unwrap().accepted, array.accepted[..1]);
    }

    #[test]
    fn labels_are_text_however_they_are_sent() {
        for (label, expected) in [
            ("\"1\"", "1"),
            ("1", "1"),
            ("1.0", "1"),
            ("0.25", "0.25"),
            ("true", "true"),
            ("-3", "-3"),
        ] {
            let body = format!(r#"{{"model":"m","request_id":7,"kind":"label","label":{label}}}"#);
            let batch = parse_body(body.as_bytes(), NOW).unwrap();
            assert_eq!(
                batch.accepted[0].value,
                OutcomeValue::Label {
                    label: expected.to_owned()
                },
                "{label}"
            );
            assert_eq!(batch.accepted[0].request_id, "7");
        }
    }

    #[test]
    fn long_request_ids_are_shortened_as_those_of_telemetry_are() {
        let long = "r".repeat(MAX_NAME_BYTES + 1);
        let body = format!(r#"{{"model":"m","request_id":"{long}","kind":"label","label":1}}"#);
        let batch = parse_body(body.as_bytes(), NOW).unwrap();
        assert_eq!(batch.accepted[0].request_id, bounded_request_id(long));
    }

    #[test]
    fn wrong_items_are_told_apart_and_cost_no_other() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let body = format!(
            r#"{{"model":"m","request_id":"r","kind":"conversion","value":2.5}}
not json
[1]
{{"request_id":"r","kind":"label","label":"1"}}
{{"model":"","request_id":"r","kind":"label","label":"1"}}
{{"model":"{long}","request_id":"r","kind":"label","label":"1"}}
{{"model":"m","kind":"label","label":"1"}}
{{"model":"m","request_id":"r","label":"1"}}
{{"model":"m","request_id":"r","kind":"truth","label":"1"}}
{{"model":"m","request_id":"r","kind":"label"}}
{{"model":"m","request_id":"r","kind":"label","label":{{}}}}
{{"model":"m","request_id":"r","kind":"verdict","verdict":"maybe"}}
{{"model":"m","request_id":"r","kind":"conversion","value":"2"}}
{{"model":"m","request_id":"r","kind":"label","label":"1","at":"yesterday"}}
{{"model":"m","request_id":"r","kind":"label","label":"1","at":"2999-01-01T00:00:00Z"}}
{{"model":"m","request_id":"r","kind":"label","label":"1","extra":1}}"#
        );
        let batch = parse_body(body.as_bytes(), NOW).unwrap();
        assert_eq!(batch.accepted.len(), 2);
        assert_eq!(
            batch.rejected.iter().map(|item| item.index).collect::<Vec<_>>(),
            (1..15).collect::<Vec<_>>()
        );
        assert_eq!(
            reasons(r#"[{"model":"m","kind":"label"}]"#),
            [(0, "request_id is missing".to_owned())]
        );
    }

    #[test]
    fn unreadable_bodies_are_refused_whole() {
        for (body, expected) in [
            ("", OutcomeBodyError::Empty),
            (" \n\t", OutcomeBodyError::Empty),
            ("hello", OutcomeBodyError::NotOutcomes),
            ("\"text\"", OutcomeBodyError::NotOutcomes),
        ] {
            assert_eq!(parse_body(body.as_bytes(), NOW), Err(expected));
        }
        assert!(matches!(parse_body(b"[{]", NOW), Err(OutcomeBodyError::Malformed(_))));
        assert_eq!(
            parse_body("{}\n".repeat(MAX_ITEMS + 1).as_bytes(), NOW),
            Err(OutcomeBodyError::TooMany)
        );
        assert_eq!(parse_body(b"[]", NOW), Ok(OutcomeBatch::default()));
    }

    #[test]
    fn an_outcome_is_named_by_its_id_else_by_its_stated_instant() {
        let check = |rest: &str, expected: &str| {
            let body = format!(r#"{{"model":"m","request_id":"r","kind":"conversion","value":1{rest}}}"#);
            let mut batch = parse_body(body.as_bytes(), NOW).unwrap();
            assert_eq!(batch.accepted.remove(0).into_outcome(NOW).id, expected, "{rest}");
        };
        check("", "");
        check(r#","id":"order-1""#, "order-1");
        check(r#","at":"2025-10-09T08:53:20Z""#, "at:1760000000000000000");
        check(r#","at":"2025-10-09T08:53:20.5Z""#, "at:1760000000500000000");
        check(r#","id":"order-1","at":"2025-10-09T08:53:20Z""#, "order-1");
    }

    #[test]
    fn lines_that_a_later_version_wrote_are_counted() {
        let payload = b"{\"model\":\"m\",\"request_id\":\"r\",\"kind\":\"prize\",\"prize\":1}\n{\"model\":\"m\",\"request_id\":\"r\",\"kind\":\"verdict\",\"verdict\":true}\n";
        let (outcomes, unreadable) = read_payload(payload, NOW);
        assert_eq!((outcomes.len(), unreadable), (1, 1));
        assert_eq!(outcomes[0].at, NOW);
    }

    fn value() -> impl Strategy<Value = OutcomeValue> {
        prop_oneof![
            ".{1,20}".prop_map(|label| OutcomeValue::Label { label }),
            any::<bool>().prop_map(|verdict| OutcomeValue::Verdict { verdict }),
            prop::num::f64::NORMAL.prop_map(|value| OutcomeValue::Conversion { value }),
        ]
    }

    proptest! {
        #[test]
        fn a_payload_reads_back_as_written(lines in prop::collection::vec((".{1,9}", ".{1,9}", value(), ".{0,9}", prop::option::of(0..i64::MAX)), 0..20)) {
            let lines: Vec<OutcomeLine> = lines
                .into_iter()
                .map(|(model, request_id, value, id, at)| OutcomeLine { model, request_id, value, id, at: at.map(UnixNanos) })
                .collect();
            let (outcomes, unreadable) = read_payload(&write_payload(&lines), NOW);
            prop_assert_eq!(unreadable, 0);
            let expected: Vec<Outcome> = lines.into_iter().map(|line| line.into_outcome(NOW)).collect();
            prop_assert_eq!(outcomes, expected);
        }

        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_body(&body, NOW);
        }
    }
}
