//! The answers to requests that were kept. `partial_success` is set only when something was not.

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde_json::{Value, json};

use crate::receive::Answer;
use crate::signal::Signal;

/// The answer as protobuf.
pub(crate) fn protobuf(signal: Signal, answer: &Answer) -> Vec<u8> {
    let partial = (answer.rejected > 0).then(|| (i64::try_from(answer.rejected).unwrap_or(i64::MAX), answer.message.clone()));
    match signal {
        Signal::Logs => ExportLogsServiceResponse {
            partial_success: partial.map(|(rejected_log_records, error_message)| ExportLogsPartialSuccess {
                rejected_log_records,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Traces => ExportTraceServiceResponse {
            partial_success: partial.map(|(rejected_spans, error_message)| ExportTracePartialSuccess {
                rejected_spans,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceResponse {
            partial_success: partial.map(|(rejected_data_points, error_message)| ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message,
            }),
        }
        .encode_to_vec(),
    }
}

/// The answer as JSON; counts of 64 bits are strings there.
pub(crate) fn json(signal: Signal, answer: &Answer) -> Value {
    match answer.rejected {
        0 => json!({}),
        rejected => json!({"partialSuccess": {signal.rejected_field(): rejected.to_string(), "errorMessage": answer.message}}),
    }
}
