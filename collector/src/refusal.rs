//! Every way in which a request is refused, and what each means over HTTP and over gRPC.
//!
//! The class decides what the client does: retryable answers are sent again, all others are final and the
//! client drops the data. So overload, a full log and a stop are retryable, and whatever the same bytes would
//! meet again is final. Who sends too fast is told so (429, RESOURCE_EXHAUSTED with RetryInfo); where this
//! collector cannot take anything (503, UNAVAILABLE with RetryInfo) a load balancer may try another.

use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::limits::{
    BODY_IDLE_TIMEOUT, MAX_ECHO_BYTES, MAX_EXPANDED_BYTES, MAX_GROUPS_PER_REQUEST, MAX_MESSAGES_PER_REQUEST, MAX_RECORDS_PER_REQUEST,
    RETRY_AFTER,
};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such path or method of a service.
    #[error("there is nothing here: telemetry goes to /v1/logs, /v1/traces and /v1/metrics")]
    NotFound,
    /// Another method than POST.
    #[error("only POST is understood here")]
    MethodNotAllowed,
    /// A content type that is neither protobuf nor JSON.
    #[error("the content type is not understood: send {expected}")]
    UnsupportedMediaType {
        /// What is understood.
        expected: &'static str,
    },
    /// A compression that is not understood.
    #[error("the compression is not understood: send {understood}")]
    UnsupportedEncoding {
        /// What is understood.
        understood: &'static str,
    },
    /// Plain HTTP on the port of gRPC: most often an exporter of OTLP/HTTP that was given the wrong port.
    #[error("this port speaks gRPC; OTLP/HTTP is on the other port (4318 by default)")]
    NotGrpc,
    /// A page of another site sent it, from a browser, and no key protects this listener.
    #[error("this origin may not send telemetry: list it in [otlp] allowed_origins of the configuration")]
    OriginRefused,
    /// Keys are configured and the request has none.
    #[error("a key is needed: send the header `authorization: Bearer <key>`")]
    KeyMissing,
    /// No such key.
    #[error("the key is not known or was revoked")]
    KeyUnknown,
    /// The key lacks the scope `ingest`.
    #[error("the key may not send telemetry: it lacks the scope ingest")]
    ScopeMissing,
    /// The key is limited to other environments.
    #[error("the key may not send for the environment {environment:?}")]
    EnvironmentRefused {
        /// What the telemetry names.
        environment: String,
    },
    /// More bytes than a request may hold, before or after decompression.
    #[error("the request is larger than {limit_bytes} bytes: send smaller batches")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// More records or values than a request may hold.
    #[error(
        "the request holds more than {MAX_RECORDS_PER_REQUEST} records, {MAX_GROUPS_PER_REQUEST} resources or {MAX_MESSAGES_PER_REQUEST} attributes and values, or more than {MAX_EXPANDED_BYTES} bytes when each record carries its resource and scope: send smaller batches"
    )]
    TooManyRecords,
    /// Bytes that do not decompress, parse or frame.
    #[error("the request cannot be read: {problem}")]
    Malformed {
        /// What is wrong, in one line.
        problem: String,
    },
    /// The compressed flag of a gRPC message without a compression named in its headers.
    #[error("the message is flagged as compressed but grpc-encoding names no compression")]
    CompressionNotNamed,
    /// The body stood still.
    #[error("the body stood still for {} s", BODY_IDLE_TIMEOUT.as_secs())]
    BodyTimeout,
    /// The key has sent more than its rate allows.
    #[error("this key sends faster than it may: wait {} s", whole_seconds(*wait))]
    TooFast {
        /// How long it has to wait.
        wait: Duration,
    },
    /// Too many bytes are in flight.
    #[error("too much is being received at the moment: try again")]
    Busy,
    /// The log reached its disk bound.
    #[error("the log is full until its backlog is drained: try again")]
    LogFull,
    /// The log cannot write.
    #[error("the log cannot write at the moment: try again")]
    LogUnavailable,
    /// The keys cannot be read.
    #[error("the keys cannot be checked at the moment: try again")]
    KeysUnavailable,
}

/// Seconds as headers have them, rounded up: whoever came back sooner would be refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The beginning of a client's text, for an answer to repeat.
pub(crate) fn echo(text: &str) -> String {
    if text.len() <= MAX_ECHO_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_ECHO_BYTES).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

impl Refusal {
    /// Name under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::UnsupportedEncoding { .. } => "unsupported_encoding",
            Self::NotGrpc => "not_grpc",
            Self::OriginRefused => "origin_refused",
            Self::KeyMissing => "key_missing",
            Self::KeyUnknown => "key_unknown",
            Self::ScopeMissing => "scope_missing",
            Self::EnvironmentRefused { .. } => "environment_refused",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyRecords => "too_many_records",
            Self::Malformed { .. } => "malformed",
            Self::CompressionNotNamed => "compression_not_named",
            Self::BodyTimeout => "body_timeout",
            Self::TooFast { .. } => "too_fast",
            Self::Busy => "busy",
            Self::LogFull => "log_full",
            Self::LogUnavailable => "log_unavailable",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    /// Its meaning over HTTP.
    pub fn http_status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType { .. } | Self::UnsupportedEncoding { .. } | Self::NotGrpc => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::OriginRefused | Self::ScopeMissing | Self::EnvironmentRefused { .. } => StatusCode::FORBIDDEN,
            Self::KeyMissing | Self::KeyUnknown => StatusCode::UNAUTHORIZED,
            Self::TooLarge { .. } | Self::TooManyRecords => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed { .. } | Self::CompressionNotNamed => StatusCode::BAD_REQUEST,
            Self::TooFast { .. } | Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            // Not 408, which clients of OTLP take as final.
            Self::BodyTimeout | Self::LogFull | Self::LogUnavailable | Self::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Its meaning over gRPC.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound
            | Self::MethodNotAllowed
            | Self::UnsupportedMediaType { .. }
            | Self::UnsupportedEncoding { .. }
            | Self::NotGrpc => Code::Unimplemented,
            Self::OriginRefused | Self::ScopeMissing | Self::EnvironmentRefused { .. } => Code::PermissionDenied,
            Self::KeyMissing | Self::KeyUnknown => Code::Unauthenticated,
            Self::TooLarge { .. } | Self::TooManyRecords | Self::TooFast { .. } | Self::Busy => Code::ResourceExhausted,
            Self::Malformed { .. } => Code::InvalidArgument,
            Self::CompressionNotNamed => Code::Internal,
            Self::BodyTimeout | Self::LogFull | Self::LogUnavailable | Self::KeysUnavailable => Code::Unavailable,
        }
    }

    /// When to come back; `None`: the refusal is final.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooFast { wait } => Some(Duration::from_secs(whole_seconds(*wait))),
            Self::BodyTimeout | Self::Busy | Self::LogFull | Self::LogUnavailable | Self::KeysUnavailable => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// The gRPC status; its details are the `google.rpc.Status` that HTTP bodies carry.
    pub fn to_status(&self) -> Status {
        let details = match self.retry_after() {
            Some(delay) => ErrorDetails::with_retry_info(Some(delay)),
            None => ErrorDetails::new(),
        };
        Status::with_error_details(self.code(), self.to_string(), details)
    }

    /// The `google.rpc.Status` as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let mut status = serde_json::json!({"code": self.code() as i32, "message": self.to_string()});
        if let Some(delay) = self.retry_after() {
            status["details"] = serde_json::json!([
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{}s", delay.as_secs())}
            ]);
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic_types::pb;

    use super::*;

    const RETRYABLE_OVER_HTTP: [u16; 4] = [429, 502, 503, 504];
    /// RESOURCE_EXHAUSTED is one with RetryInfo, and final without.
    const RETRYABLE_OVER_GRPC: [Code; 7] = [
        Code::ResourceExhausted,
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
    ];

    fn all() -> Vec<Refusal> {
        vec![
            Refusal::NotFound,
            Refusal::MethodNotAllowed,
            Refusal::UnsupportedMediaType { expected: "x" },
            Refusal::UnsupportedEncoding { understood: "x" },
            Refusal::NotGrpc,
            Refusal::OriginRefused,
            Refusal::KeyMissing,
            Refusal::KeyUnknown,
            Refusal::ScopeMissing,
            Refusal::EnvironmentRefused { environment: "x".into() },
            Refusal::TooLarge { limit_bytes: 1 },
            Refusal::TooManyRecords,
            Refusal::Malformed { problem: "x".into() },
            Refusal::CompressionNotNamed,
            Refusal::BodyTimeout,
            Refusal::TooFast {
                wait: Duration::from_millis(1_001),
            },
            Refusal::Busy,
            Refusal::LogFull,
            Refusal::LogUnavailable,
            Refusal::KeysUnavailable,
        ]
    }

    #[test]
    fn retryable_means_the_same_over_http_and_grpc() {
        for refusal in all() {
            let retryable = refusal.retry_after().is_some();
            assert_eq!(
                RETRYABLE_OVER_HTTP.contains(&refusal.http_status().as_u16()),
                retryable,
                "{refusal:?}"
            );
            let status = refusal.to_status();
            let has_retry_info = status.get_error_details().retry_info().is_some();
            let over_grpc = RETRYABLE_OVER_GRPC.contains(&refusal.code()) && (refusal.code() != Code::ResourceExhausted || has_retry_info);
            assert_eq!((over_grpc, has_retry_info), (retryable, retryable), "{refusal:?}");
            assert_eq!(refusal.to_json()["details"].is_array(), retryable, "{refusal:?}");
        }
    }

    #[test]
    fn the_details_of_a_status_are_the_status_itself() {
        for refusal in all() {
            let status = refusal.to_status();
            let body = pb::Status::decode(status.details()).unwrap();
            assert_eq!((body.code, body.message.as_str()), (status.code() as i32, status.message()));
            assert_eq!(refusal.to_json()["code"], body.code);
        }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        for (wait, seconds) in [
            (Duration::ZERO, 0),
            (Duration::from_millis(1), 1),
            (Duration::from_secs(2), 2),
            (Duration::from_millis(2_001), 3),
        ] {
            assert_eq!(Refusal::TooFast { wait }.retry_after(), Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn an_answer_repeats_little_of_a_request() {
        for (text, expected) in [("short".to_owned(), "short".len()), ("ß".repeat(1_000), MAX_ECHO_BYTES + "…".len())] {
            assert_eq!(echo(&text).len(), expected);
        }
        assert_eq!(echo(&format!("x{}", "ß".repeat(1_000))).len(), MAX_ECHO_BYTES - 1 + "…".len());
    }

    #[test]
    fn reasons_are_told_apart() {
        let reasons: std::collections::BTreeSet<_> = all().iter().map(Refusal::reason).collect();
        assert_eq!(reasons.len(), all().len());
    }
}
