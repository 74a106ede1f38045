//! OTLP's JSON, read straight into the protobuf messages.
//!
//! The serde implementations of `opentelemetry-proto` refuse what the specification allows (`"NaN"` as a
//! double, unknown fields inside values, `null`, ids with a wrong number of digits, which are to cost one
//! record and not the request), so the fields are read here: lowerCamelCase names (and the original ones,
//! which protobuf's own JSON accepts), ids in hex of any case, 64-bit integers as strings or numbers, enums
//! as numbers or names, `"NaN"` and `"Infinity"`, bytes in either base64, unknown fields ignored.

mod common;
mod fields;
mod logs;
mod metrics;
mod scalars;
mod traces;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::limits::MAX_MESSAGES_PER_REQUEST;
use crate::signal::Signal;
use fields::{FromJson, read_message};

/// Why JSON cannot be read as a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// Not JSON, or a field of the wrong type.
    #[error("{0}")]
    Malformed(String),
    /// More objects than a request may hold.
    #[error("too many objects")]
    TooMany,
}

/// The request as protobuf.
///
/// # Errors
/// The text is not the JSON of such a request, or it holds too much.
pub(crate) fn to_protobuf(signal: Signal, body: &[u8]) -> Result<Vec<u8>, JsonError> {
    // An object of a few bytes becomes a message of some hundred: bounded before anything is built. Braces
    // in strings are counted with the rest, which only texts of millions of braces would notice.
    if body.iter().filter(|&&byte| byte == b'{').count() as u64 > MAX_MESSAGES_PER_REQUEST {
        return Err(JsonError::TooMany);
    }
    match signal {
        Signal::Logs => convert::<ExportLogsServiceRequest>(body),
        Signal::Traces => convert::<ExportTraceServiceRequest>(body),
        Signal::Metrics => convert::<ExportMetricsServiceRequest>(body),
    }
}

fn convert<M: FromJson + Message>(body: &[u8]) -> Result<Vec<u8>, JsonError> {
    read_message::<M>(body)
        .map(|message| message.encode_to_vec())
        .map_err(|error| JsonError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests;
