//! What a query finds, decided without an index, error by error.

use std::ops::Bound;

use serde_json::Value;

use crate::index::analyzer::words_of;
use crate::index::query::{Expression, Keyword, Number, Text};
use crate::records::ErrorDocument;

/// Whether the error is what the expression means.
pub fn matches(expression: &Expression, error: &ErrorDocument) -> bool {
    match expression {
        Expression::All => true,
        Expression::And(parts) => parts.iter().all(|part| matches(part, error)),
        Expression::Or(parts) => parts.iter().any(|part| matches(part, error)),
        Expression::Not(inner) => !matches(inner, error),
        Expression::Text { field, words, prefix } => match field {
            Some(Text::Message) => holds(&error.message, words, *prefix),
            Some(Text::Stack) => holds(&error.stack, words, *prefix),
            None => anywhere(error, words, *prefix),
        },
        Expression::Keyword { field, value, prefix } => {
            let actual = field.normal(name(error, *field));
            if *prefix { actual.starts_with(value) } else { actual == *value }
        }
        Expression::HasKeyword(field) => !name(error, *field).is_empty(),
        Expression::HasAttribute(path) => !values(error, path, true).is_empty(),
        Expression::Attribute { path, value } => values(error, path, false).iter().any(|actual| equals(actual, value)),
        Expression::Time(lower, upper) => within(&error.time, lower, upper),
        Expression::Numbers { path, lower, upper } => values(error, path, false).iter().any(|actual| {
            let bound = |bound: &Bound<Number>| bound.map(Number::value);
            actual.as_f64().is_some_and(|number| within(&number, &bound(lower), &bound(upper)))
        }),
    }
}

fn within<T: PartialOrd>(value: &T, lower: &Bound<T>, upper: &Bound<T>) -> bool {
    (lower.as_ref(), upper.as_ref()).contains(&value)
}

trait Contains<T> {
    fn contains(&self, value: &T) -> bool;
}

impl<T: PartialOrd> Contains<&T> for (Bound<&T>, Bound<&T>) {
    fn contains(&self, value: &&T) -> bool {
        std::ops::RangeBounds::contains(&(self.0, self.1), *value)
    }
}

fn anywhere(error: &ErrorDocument, words: &[String], prefix: bool) -> bool {
    let texts = [&error.message, &error.stack, &error.error_type, &error.service, &error.model];
    let is_id = |id: &String, digits| !prefix && words.len() == 1 && words[0].len() == digits && *id == words[0];
    texts.into_iter().any(|text| holds(text, words, prefix)) || is_id(&error.trace_id, 32) || is_id(&error.span_id, 16)
}

fn holds(text: &str, wanted: &[String], prefix: bool) -> bool {
    words_of(text).windows(wanted.len()).any(|window| {
        window.iter().zip(wanted).enumerate().all(|(index, (word, wanted))| {
            if prefix && index + 1 == window.len() {
                word.starts_with(wanted)
            } else {
                word == wanted
            }
        })
    })
}

fn name(error: &ErrorDocument, keyword: Keyword) -> &str {
    match keyword {
        Keyword::Severity => &error.severity,
        Keyword::Service => &error.service,
        Keyword::Model => &error.model,
        Keyword::Version => &error.version,
        Keyword::Environment => &error.environment,
        Keyword::TraceId => &error.trace_id,
        Keyword::SpanId => &error.span_id,
        Keyword::ErrorType => &error.error_type,
        Keyword::PatternId => "",
    }
}

/// The leaves under a path; dots in keys and nesting are the same.
fn values<'a>(error: &'a ErrorDocument, path: &str, below: bool) -> Vec<&'a Value> {
    let mut leaves = Vec::new();
    for (key, value) in &error.attributes {
        flatten(key.clone(), value, &mut leaves);
    }
    leaves
        .into_iter()
        .filter(|(key, _)| key == path || (below && key.starts_with(&format!("{path}."))))
        .map(|(_, value)| value)
        .collect()
}

fn flatten<'a>(path: String, value: &'a Value, leaves: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(format!("{path}.{key}"), value, leaves);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| flatten(path.clone(), value, leaves)),
        Value::Null => {}
        _ => leaves.push((path, value)),
    }
}

fn equals(actual: &Value, wanted: &str) -> bool {
    match actual {
        Value::String(text) => !words_of(wanted).is_empty() && holds(text, &words_of(wanted), false),
        Value::Number(number) => Number::parse(wanted).is_some_and(|wanted| number.as_f64() == Some(wanted.value())),
        Value::Bool(flag) => wanted.parse() == Ok(*flag),
        _ => false,
    }
}
