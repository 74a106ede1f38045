//! OTLP over gRPC: the `Export` methods of the three services.
//!
//! A request is one message in one length-prefixed frame, so the framing is read here: the message reaches
//! the log as the bytes that came, and the limits hold while it comes. Generated services would build the
//! message first, and answer one that is too large with OUT_OF_RANGE, which clients take as a reason to
//! send it again for ever.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::any;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use tonic::Code;
use tracing::Instrument as _;

use crate::answer;
use crate::body::{self, Compression};
use crate::gate::{Gate, span_of};
use crate::limits::MAX_REQUEST_BYTES;
use crate::receive::{Answer, Encoding, Request};
use crate::refusal::Refusal;
use crate::signal::Signal;

/// Flag and length before a message.
const PREFIX_BYTES: usize = 5;
const GRPC: &str = "application/grpc";
const UNDERSTOOD_TYPES: &str = "application/grpc";
const UNDERSTOOD_ENCODINGS: &str = "identity,gzip,zstd";
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The routes of the gRPC listener.
pub(crate) fn router(gate: Arc<Gate>) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let handle = move |gate, request: HttpRequest| {
            let span = span_of(signal, "grpc", request.headers());
            handle(gate, signal, request).instrument(span)
        };
        router = router.route(signal.grpc_path(), any(handle));
    }
    router.fallback(unknown_method).with_state(gate)
}

async fn handle(State(gate): State<Arc<Gate>>, signal: Signal, request: HttpRequest) -> Response {
    if !begins_as_grpc(request.headers()) {
        return refuse_http(&gate, request.method());
    }
    match receive(&gate, signal, request).await {
        Ok(answer) => success(signal, &answer),
        Err(refusal) => refuse(&gate.refused(refusal)),
    }
}

async fn unknown_method(State(gate): State<Arc<Gate>>, request: HttpRequest) -> Response {
    if !begins_as_grpc(request.headers()) {
        return refuse_http(&gate, request.method());
    }
    refuse(&gate.refused(Refusal::NotFound))
}

async fn receive(gate: &Gate, signal: Signal, request: HttpRequest) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Err(Refusal::MethodNotAllowed);
    }
    if !is_grpc(&parts.headers) {
        return Err(Refusal::UnsupportedMediaType {
            expected: UNDERSTOOD_TYPES,
        });
    }
    let grant = gate.admit(&parts.headers).await?;
    let named = named_compression(&parts.headers)?;
    let mut held = gate.receiver.status().bytes_in_flight().hold();
    let framed = body::read(&parts.headers, body, MAX_REQUEST_BYTES + PREFIX_BYTES, &mut held, check_length).await?;
    let (compressed, body) = unframe(framed)?;
    let compression = match (compressed, named) {
        (false, _) => Compression::Identity,
        (true, Some(compression)) => compression,
        (true, None) => return Err(Refusal::CompressionNotNamed),
    };
    gate.receiver
        .receive(Request {
            signal,
            encoding: Encoding::Protobuf,
            compression,
            grant,
            body,
            held,
        })
        .await
}

fn content_type(headers: &HeaderMap) -> String {
    let stated = headers.get(CONTENT_TYPE).and_then(|stated| stated.to_str().ok());
    stated.unwrap_or_default().to_ascii_lowercase()
}

/// Whether the client reads answers of gRPC. To any other an answer with the HTTP status 200 is a success,
/// whatever its trailers say.
fn begins_as_grpc(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with(GRPC)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    // `application/grpc`, with parameters or with the message format after a plus; not `application/grpc-web`.
    content_type(headers)
        .strip_prefix(GRPC)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(';') || rest.starts_with("+proto"))
}

/// The compression that the headers name; `None` when they name none.
fn named_compression(headers: &HeaderMap) -> Result<Option<Compression>, Refusal> {
    let Some(name) = headers.get(GRPC_ENCODING) else { return Ok(None) };
    let refusal = Refusal::UnsupportedEncoding {
        understood: UNDERSTOOD_ENCODINGS,
    };
    match Compression::parse(name.to_str().unwrap_or("?")) {
        Some(Compression::Identity) => Ok(None),
        Some(compression) => Ok(Some(compression)),
        None => Err(refusal),
    }
}

/// Refuses a message as soon as its length is known to be beyond the limit.
fn check_length(read: &[u8]) -> Result<(), Refusal> {
    match length_of(read) {
        Some(length) if length > MAX_REQUEST_BYTES => Err(Refusal::TooLarge {
            limit_bytes: MAX_REQUEST_BYTES,
        }),
        _ => Ok(()),
    }
}

fn length_of(read: &[u8]) -> Option<usize> {
    let prefix = read.first_chunk::<PREFIX_BYTES>()?;
    Some(u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize)
}

/// Whether the one message is compressed, and its bytes.
fn unframe(framed: Bytes) -> Result<(bool, Bytes), Refusal> {
    let malformed = |problem: &str| Refusal::Malformed {
        problem: problem.to_owned(),
    };
    let length = length_of(&framed).ok_or_else(|| malformed("there is no message"))?;
    let compressed = match framed[0] {
        0 => false,
        1 => true,
        _ => return Err(malformed("the message's flag is neither 0 nor 1")),
    };
    let message = framed.slice(PREFIX_BYTES..);
    match message.len() {
        bytes if bytes < length => Err(malformed("the message is cut off")),
        bytes if bytes > length => Err(malformed("there is more than one message")),
        _ => Ok((compressed, message)),
    }
}

fn success(signal: Signal, answer: &Answer) -> Response {
    let message = answer::protobuf(signal, answer);
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(&message);
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(Code::Ok as i32))]);
    let body = Full::new(framed.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(UNDERSTOOD_ENCODINGS));
    response
}

/// Answers what is no gRPC in plain HTTP. A POST is telemetry that went astray, anything else somebody who looks.
fn refuse_http(gate: &Gate, method: &Method) -> Response {
    let refusal = gate.refused(if method == Method::POST {
        Refusal::NotGrpc
    } else {
        Refusal::NotFound
    });
    let mut response = Response::new(Body::from(format!("{}\n", Refusal::NotGrpc)));
    *response.status_mut() = refusal.http_status();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn refuse(refusal: &Refusal) -> Response {
    let mut response: Response = refusal.to_status().into_http();
    match refusal {
        // The gRPC specification answers what is no gRPC in plain HTTP.
        Refusal::UnsupportedMediaType { .. } => *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::MethodNotAllowed => *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED,
        Refusal::UnsupportedEncoding { .. } => {
            response
                .headers_mut()
                .insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(UNDERSTOOD_ENCODINGS));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_unframed() {
        for (framed, expected) in [
            (&b"\0\0\0\0\0"[..], Some((false, &b""[..]))),
            (b"\x01\0\0\0\x02ab", Some((true, b"ab"))),
            (b"", None),
            (b"\0\0\0\0", None),
            (b"\x02\0\0\0\0", None),
            (b"\0\0\0\0\x03ab", None),
            (b"\0\0\0\0\x01ab", None),
        ] {
            let unframed = unframe(Bytes::copy_from_slice(framed)).ok();
            assert_eq!(
                unframed,
                expected.map(|(flag, message)| (flag, Bytes::from_static(message))),
                "{framed:?}"
            );
        }
        assert!(check_length(b"\0\x04\0\0\0").is_ok());
        assert!(check_length(b"\0\x04\0\0\x01").is_err());
    }

    #[test]
    fn content_types_of_grpc_are_told_from_others() {
        for (stated, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web+proto", false),
            ("application/grpc+json", false),
            ("application/x-protobuf", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(stated))]);
            assert_eq!(is_grpc(&headers), expected, "{stated}");
        }
    }
}
