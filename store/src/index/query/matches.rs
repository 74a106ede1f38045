//! What a query finds, decided without an index, error by error: for those that are followed as they come. The index's
//! tests hold both against each other.

use std::borrow::Cow;
use std::ops::Bound;

use serde_json::Value;

use super::expression::{Expression, Field, Keyword, Number, Text};
use super::shape::Shape;
use crate::index::analyzer::words_of;
use crate::records::ErrorDocument;

/// Whether the error is what the expression means; `sequence` tells it apart from others of its instant.
pub(in crate::index) fn matches(expression: &Expression, sequence: u64, error: &ErrorDocument) -> bool {
    match expression {
        Expression::All => true,
        Expression::And(parts) => parts.iter().all(|part| matches(part, sequence, error)),
        Expression::Or(parts) => parts.iter().any(|part| matches(part, sequence, error)),
        Expression::AtLeast(count, parts) => parts.iter().filter(|part| matches(part, sequence, error)).count() >= *count,
        Expression::Not(inner) => !matches(inner, sequence, error),
        Expression::One(time, wanted) => error.time == *time && sequence == *wanted,
        Expression::Text { field, words, prefix } => match field {
            Some(Text::Message) => holds(&error.message, words, *prefix),
            Some(Text::Stack) => holds(&error.stack, words, *prefix),
            None => anywhere(error, words, *prefix),
        },
        Expression::Keyword { field, value, prefix } => {
            let actual = field.normal(&name(error, *field));
            if *prefix { actual.starts_with(value) } else { actual == *value }
        }
        Expression::Fits { field, shape } => match field {
            None => searched_texts(error).into_iter().any(|text| has_word(text, shape)),
            Some(Field::Text(Text::Message)) => has_word(&error.message, shape),
            Some(Field::Text(Text::Stack)) => has_word(&error.stack, shape),
            Some(Field::Keyword(field)) => {
                let actual = field.normal(&name(error, *field));
                !actual.is_empty() && shape.fits(&actual)
            }
            Some(Field::Attribute(path)) => values(error, path, false)
                .iter()
                .any(|actual| actual.as_str().is_some_and(|text| has_word(text, shape))),
            Some(Field::Time) => false,
        },
        Expression::Whole { path, shape } => values(error, path, false)
            .iter()
            .any(|actual| actual.as_str().is_some_and(|text| shape.fits(text))),
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
    let is_id = |id: &String, digits| !prefix && words.len() == 1 && words[0].len() == digits && *id == words[0];
    searched_texts(error).into_iter().any(|text| holds(text, words, prefix)) || is_id(&error.trace_id, 32) || is_id(&error.span_id, 16)
}

fn searched_texts(error: &ErrorDocument) -> [&str; 5] {
    [&error.message, &error.stack, &error.error_type, &error.service, &error.model]
}

fn has_word(text: &str, shape: &Shape) -> bool {
    words_of(text).iter().any(|word| shape.fits(word))
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

fn name(error: &ErrorDocument, keyword: Keyword) -> Cow<'_, str> {
    Cow::Borrowed(match keyword {
        Keyword::Severity => &error.severity,
        Keyword::Service => &error.service,
        Keyword::Model => &error.model,
        Keyword::Version => &error.version,
        Keyword::Environment => &error.environment,
        Keyword::TraceId => &error.trace_id,
        Keyword::SpanId => &error.span_id,
        Keyword::ErrorType => &error.error_type,
        Keyword::PatternId => return error.pattern.map(|id| id.to_string()).unwrap_or_default().into(),
    })
}

/// The leaves under a path; dots in keys and nesting are the same.
fn values<'a>(error: &'a ErrorDocument, path: &str, below: bool) -> Vec<&'a Value> {
    let mut leaves = Vec::new();
    for (key, value) in error.all_attributes() {
        flatten(key.to_owned(), value, &mut leaves);
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
