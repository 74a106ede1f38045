//! An error as the index holds it.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::UnixNanos;
use crate::patterns::PatternId;

/// A log record of severity ERROR or above, a failed span or its exception event, or a failed inference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorDocument {
    /// Event time, clamped to receive time ± the bounds of design.
    pub time: UnixNanos,
    /// `ERROR`, `FATAL`, …
    pub severity: String,
    /// `service.name`.
    pub service: String,
    /// Model, or empty.
    pub model: String,
    /// Model's version, else the service's, or empty.
    pub version: String,
    /// Environment, or empty.
    pub environment: String,
    /// 32 hex digits, or empty.
    pub trace_id: String,
    /// 16 hex digits, or empty.
    pub span_id: String,
    /// `error.type` or `exception.type`, or empty.
    pub error_type: String,
    /// The message in full.
    pub message: String,
    /// Stack trace, or empty.
    pub stack: String,
    /// Everything else that the record carried.
    pub attributes: BTreeMap<String, Value>,
    /// What it has in common with other documents: the attributes of its resource and of its span, which are
    /// held once however many errors there are. A name that is also in `attributes` or in a later one of these
    /// has the value from there.
    pub shared: Vec<Arc<BTreeMap<String, Value>>>,
    /// The pattern of its message; the index's consumer gives it.
    pub pattern: Option<PatternId>,
}

impl ErrorDocument {
    /// Bytes of its texts, as far as their length depends on the sender.
    pub fn text_bytes(&self) -> usize {
        let shared = self.shared.iter().flat_map(|attributes| attributes.iter());
        let attributes = shared.chain(&self.attributes).map(|(name, value)| name.len() + value_bytes(value));
        self.message.len() + self.stack.len() + attributes.sum::<usize>()
    }

    /// Its own attributes and the shared ones, by name.
    pub fn all_attributes(&self) -> AllAttributes<'_> {
        let shared = self.shared.iter().map(AsRef::as_ref);
        let sources = shared.chain([&self.attributes]).map(|attributes| attributes.iter().peekable());
        AllAttributes(sources.collect())
    }
}

/// The attributes of an error in the order of their names, each once: merged as they are read.
#[derive(Debug, Clone)]
pub struct AllAttributes<'a>(Vec<Peekable<btree_map::Iter<'a, String, Value>>>);

impl<'a> Iterator for AllAttributes<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.0.iter_mut().filter_map(|source| source.peek().map(|(name, _)| *name)).min()?;
        // The last of those that have it decides.
        let values = self.0.iter_mut().filter_map(|source| source.next_if(|(name, _)| *name == first));
        values.last().map(|(name, value)| (name.as_str(), value))
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(values) => values.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
        _ => size_of::<Value>(),
    }
}

/// The errors of one frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoundErrors {
    /// In the order of their records.
    pub documents: Vec<ErrorDocument>,
    /// What was cut or left out of the documents, by reason.
    pub cut: Vec<(&'static str, u64)>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(pairs: &[(&str, i64)]) -> BTreeMap<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }

    #[test]
    fn attributes_come_by_name_and_the_last_that_has_one_decides() {
        let mut error = ErrorDocument {
            attributes: attributes(&[("b", 3), ("e", 3)]),
            shared: vec![
                attributes(&[("a", 1), ("b", 1), ("c", 1)]).into(),
                attributes(&[("c", 2), ("d", 2)]).into(),
            ],
            ..ErrorDocument::default()
        };
        let all = |error: &ErrorDocument| -> Vec<(String, i64)> {
            let all = error.all_attributes();
            all.map(|(name, value)| (name.to_owned(), value.as_i64().unwrap())).collect()
        };
        let expected = [("a", 1), ("b", 3), ("c", 2), ("d", 2), ("e", 3)];
        assert_eq!(all(&error), expected.map(|(name, value)| (name.to_owned(), value)));
        error.shared.clear();
        assert_eq!(all(&error), [("b".to_owned(), 3), ("e".to_owned(), 3)]);
        error.attributes.clear();
        assert!(all(&error).is_empty());
    }
}
