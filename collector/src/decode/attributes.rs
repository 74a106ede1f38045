//! Values of attributes as the raw tables hold them: as text, exactly as the OpenTelemetry Collector's
//! ClickHouse exporter writes them (`pcommon.Value.AsString`), so that what was built on its tables reads
//! ours. One deviation: where that exporter writes an error message for a number that JSON cannot hold, or
//! loses the whole value around it, we write `NaN`, `Infinity` or `-Infinity`.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driftlead_store::records::Attributes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::cuts::{Cuts, reasons};
use crate::limits::{MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES, MAX_NAME_BYTES, MAX_NESTING};

/// Attribute that names a log record's event where the sender predates the field for it.
pub(crate) const EVENT_NAME: &str = "event.name";

/// Names and texts of a record's attributes, cut to the limits.
pub(crate) fn pairs_of(attributes: Vec<KeyValue>, cuts: &mut Cuts) -> Attributes {
    cuts.add(reasons::TOO_MANY_ATTRIBUTES, attributes.len().saturating_sub(MAX_ATTRIBUTES) as u64);
    attributes
        .into_iter()
        .take(MAX_ATTRIBUTES)
        .map(|attribute| {
            let value = match attribute.value {
                Some(AnyValue {
                    value: Some(Value::StringValue(text)),
                }) => text,
                Some(value) => text_counted(&value, cuts),
                None => String::new(),
            };
            (
                cut(attribute.key, MAX_NAME_BYTES, reasons::NAME_TOO_LONG, cuts),
                cut(value, MAX_ATTRIBUTE_VALUE_BYTES, reasons::ATTRIBUTE_VALUE_TOO_LONG, cuts),
            )
        })
        .collect()
}

/// The value as text; empty when there is none.
pub(crate) fn text_of(value: &AnyValue) -> String {
    text_counted(value, &mut Cuts::default())
}

/// The value as text; what nests too deep is counted and left out.
pub(crate) fn text_counted(value: &AnyValue, cuts: &mut Cuts) -> String {
    match &value.value {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(bool)) => bool.to_string(),
        Some(Value::IntValue(int)) => int.to_string(),
        Some(Value::DoubleValue(double)) => number_text(*double),
        Some(Value::BytesValue(bytes)) => STANDARD.encode(bytes),
        Some(Value::ArrayValue(_) | Value::KvlistValue(_)) => {
            let mut json = String::new();
            write_json(&mut json, value, 1, cuts);
            json
        }
        // Belongs to profiles, which are not received.
        Some(Value::StringValueStrindex(_)) => String::new(),
    }
}

/// The first attribute of this name as text.
pub(crate) fn text_of_named(attributes: &[KeyValue], name: &str) -> Option<String> {
    value_of_named(attributes, name).map(text_of)
}

/// The first attribute of this name that has a value.
pub(crate) fn value_of_named<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a AnyValue> {
    attributes
        .iter()
        .find(|attribute| attribute.key == name)
        .and_then(|attribute| attribute.value.as_ref())
}

/// The text, cut to `limit` bytes at the start of a character.
pub(crate) fn cut(mut text: String, limit: usize, reason: &'static str, cuts: &mut Cuts) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        cuts.add(reason, 1);
    }
    text
}

/// A number as ECMAScript, and with it Go's JSON, writes it.
pub(crate) fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) {
        let text = format!("{number:e}");
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    number.to_string()
}

fn write_json(out: &mut String, value: &AnyValue, depth: usize, cuts: &mut Cuts) {
    if depth > MAX_NESTING {
        cuts.add(reasons::NESTING_TOO_DEEP, 1);
        out.push_str("null");
        return;
    }
    match &value.value {
        None | Some(Value::StringValueStrindex(_)) => out.push_str("null"),
        Some(Value::StringValue(text)) => write_string(out, text),
        Some(Value::BoolValue(bool)) => out.push_str(if *bool { "true" } else { "false" }),
        Some(Value::IntValue(int)) => {
            let _ = write!(out, "{int}");
        }
        Some(Value::DoubleValue(double)) if double.is_finite() => out.push_str(&number_text(*double)),
        Some(Value::DoubleValue(double)) => write_string(out, &number_text(*double)),
        Some(Value::BytesValue(bytes)) => write_string(out, &STANDARD.encode(bytes)),
        Some(Value::ArrayValue(array)) => {
            out.push('[');
            for (index, value) in array.values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(out, value, depth + 1, cuts);
            }
            out.push(']');
        }
        Some(Value::KvlistValue(list)) => write_object(out, &list.values, depth, cuts),
    }
}

fn write_object(out: &mut String, attributes: &[KeyValue], depth: usize, cuts: &mut Cuts) {
    // Go's maps marshal in the order of their keys, and the last of equal keys wins.
    let sorted: std::collections::BTreeMap<&str, Option<&AnyValue>> = attributes
        .iter()
        .map(|attribute| (attribute.key.as_str(), attribute.value.as_ref()))
        .collect();
    out.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        match value {
            Some(value) => write_json(out, value, depth + 1, cuts),
            None => out.push_str("null"),
        }
    }
    out.push('}');
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn array(values: Vec<AnyValue>) -> AnyValue {
        any(Value::ArrayValue(ArrayValue { values }))
    }

    fn attribute(key: &str, value: AnyValue) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(value),
            ..KeyValue::default()
        }
    }

    #[test]
    fn numbers_read_as_go_writes_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-10, "1.5e-10"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.25e300, "-1.25e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(number_text(number), expected);
        }
    }

    #[test]
    fn values_read_as_the_exporter_writes_them() {
        let map = any(Value::KvlistValue(KeyValueList {
            values: vec![
                attribute("b", any(Value::BytesValue(vec![0xFF, 0xFE]))),
                attribute(
                    "a",
                    array(vec![
                        any(Value::IntValue(1)),
                        AnyValue::default(),
                        any(Value::DoubleValue(f64::NAN)),
                    ]),
                ),
                attribute("b", any(Value::StringValue("<last & \"wins\">\n\u{1}".into()))),
            ],
        }));
        for (value, expected) in [
            (AnyValue::default(), ""),
            (any(Value::StringValue("<as is>".into())), "<as is>"),
            (any(Value::BoolValue(true)), "true"),
            (any(Value::IntValue(-7)), "-7"),
            (any(Value::DoubleValue(2.0)), "2"),
            (any(Value::BytesValue(vec![1, 2, 3])), "AQID"),
            (array(vec![]), "[]"),
            (map, r#"{"a":[1,null,"NaN"],"b":"\u003clast \u0026 \"wins\"\u003e\n\u0001"}"#),
        ] {
            assert_eq!(text_of(&value), expected);
        }
    }

    #[test]
    fn what_is_too_much_is_cut_and_counted() {
        let mut deep = any(Value::IntValue(1));
        for _ in 0..MAX_NESTING {
            deep = array(vec![deep]);
        }
        let mut attributes = vec![
            attribute("deep", deep),
            attribute("long", any(Value::StringValue("ß".repeat(MAX_ATTRIBUTE_VALUE_BYTES)))),
            attribute(&"k".repeat(MAX_NAME_BYTES + 1), any(Value::IntValue(1))),
        ];
        attributes.extend((0..MAX_ATTRIBUTES).map(|i| attribute(&format!("a{i}"), any(Value::IntValue(1)))));
        let mut cuts = Cuts::default();
        let pairs = pairs_of(attributes, &mut cuts);
        assert_eq!(pairs.len(), MAX_ATTRIBUTES);
        assert!(pairs[0].1.ends_with(&format!("[null{}", "]".repeat(MAX_NESTING))));
        assert_eq!(pairs[1].1.len(), MAX_ATTRIBUTE_VALUE_BYTES);
        assert_eq!(pairs[2].0.len(), MAX_NAME_BYTES);
        assert_eq!(
            cuts.into_counts(),
            [
                (reasons::ATTRIBUTE_VALUE_TOO_LONG, 1),
                (reasons::NAME_TOO_LONG, 1),
                (reasons::NESTING_TOO_DEEP, 1),
                (reasons::TOO_MANY_ATTRIBUTES, 3)
            ]
        );
    }
}
