//! An error as its document keeps it: whole, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::clock::UnixNanos;
use crate::patterns::PatternId;
use crate::records::{AllAttributes, ErrorDocument};

/// The error with texts and attributes that are borrowed where it is written and owned where it is read.
#[derive(Serialize, Deserialize)]
struct Source<Text, Attributes> {
    time: i64,
    severity: Text,
    service: Text,
    model: Text,
    version: Text,
    environment: Text,
    trace_id: Text,
    span_id: Text,
    error_type: Text,
    message: Text,
    stack: Text,
    attributes: Attributes,
    #[serde(default)]
    pattern: Option<PatternId>,
}

/// Attributes that are written as an object.
struct ByName<'a>(AllAttributes<'a>);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// The error whole.
///
/// # Errors
/// None that is known: JSON can write all that attributes hold.
pub(super) fn to_source(error: &ErrorDocument) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Source::<&str, _> {
        time: error.time.0,
        severity: &error.severity,
        service: &error.service,
        model: &error.model,
        version: &error.version,
        environment: &error.environment,
        trace_id: &error.trace_id,
        span_id: &error.span_id,
        error_type: &error.error_type,
        message: &error.message,
        stack: &error.stack,
        attributes: ByName(error.all_attributes()),
        pattern: error.pattern,
    })
}

/// The error that a document keeps.
///
/// # Errors
/// Where the text is not what [`to_source`] wrote.
pub(super) fn from_source(text: &str) -> Result<ErrorDocument, serde_json::Error> {
    let source: Source<String, BTreeMap<String, Value>> = serde_json::from_str(text)?;
    Ok(ErrorDocument {
        time: UnixNanos(source.time),
        severity: source.severity,
        service: source.service,
        model: source.model,
        version: source.version,
        environment: source.environment,
        trace_id: source.trace_id,
        span_id: source.span_id,
        error_type: source.error_type,
        message: source.message,
        stack: source.stack,
        attributes: source.attributes,
        shared: Vec::new(),
        pattern: source.pattern,
    })
}
