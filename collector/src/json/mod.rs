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

use crate::limits::{MAX_MESSAGE_BYTES, MAX_MESSAGES_PER_REQUEST};
use crate::refusal::echo;
use crate::signal::Signal;
use fields::{FromJson, ReadError, read_message};

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
    if objects_in(body) > MAX_MESSAGES_PER_REQUEST {
        return Err(JsonError::TooMany);
    }
    match signal {
        Signal::Logs => convert::<ExportLogsServiceRequest>(body),
        Signal::Traces => convert::<ExportTraceServiceRequest>(body),
        Signal::Metrics => convert::<ExportMetricsServiceRequest>(body),
    }
}

/// How many objects a text holds at most: those of its strings are counted with the rest.
pub(crate) fn objects_in(body: &[u8]) -> u64 {
    body.iter().filter(|&&byte| byte == b'{').count() as u64
}

fn convert<M: FromJson + Message>(body: &[u8]) -> Result<Vec<u8>, JsonError> {
    match read_message::<M>(body, MAX_MESSAGE_BYTES) {
        Ok(message) => Ok(message.encode_to_vec()),
        Err(ReadError::NotUtf8(error)) => Err(JsonError::Malformed(format!("the text is not UTF-8: {error}"))),
        Err(ReadError::Json(error)) => Err(JsonError::Malformed(echo(&error.to_string()))),
        Err(ReadError::OutOfRoom) => Err(JsonError::TooMany),
    }
}

#[cfg(test)]
mod tests;
