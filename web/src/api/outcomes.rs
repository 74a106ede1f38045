//! `POST /api/v1/outcomes`: what became known of inferences later. Durable in the log before it is answered.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::outcome_line::{RejectedOutcome, parse_body, write_payload};
use driftlead_store::state::keys::Scope;
use driftlead_store::wal::{AppendError, FrameKind, NewFrame};
use flate2::read::MultiGzDecoder;
use serde::Serialize;

use super::endpoint::{Accepts, Endpoint, MAX_UPLOAD_BYTES};
use super::parameters::content_type;
use crate::auth::{Access, Asked};
use crate::error::Problem;
use crate::extract::Upload;
use crate::state::WebState;

/// Seconds after which a client sends again when the log takes nothing.
const RETRY_SECONDS: u32 = 10;
const FORMATS: &[&str] = &["application/json", "application/x-ndjson", "application/jsonl"];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "One JSON object, an array, or NDJSON of {model, request_id, kind: label|verdict|conversion, label|verdict|value, id?, at?} \
                   → {accepted, rejected: [{index, reason}]}.";
    vec![
        Endpoint::post("/api/v1/outcomes", summary, take)
            .access(Access::Scope(Scope::Ingest))
            .accepts(Accepts::Upload(FORMATS)),
    ]
}

/// Bodies larger than this, and compressed ones, are read off the async threads.
const LARGE_BODY_BYTES: usize = 64 * 1024;

#[derive(Debug, Serialize)]
struct Taken {
    accepted: usize,
    rejected: Vec<RejectedOutcome>,
}

async fn take(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    headers: HeaderMap,
    Upload(body): Upload,
) -> Result<axum::Json<Taken>, Problem> {
    let is_gzip = check_headers(&headers)?;
    let key = app.keys.get(caller.key_id()).await?;
    if let Some(key) = &key {
        app.keys.within_rate(key).map_err(too_fast)?;
    }
    let (payload, taken) = read(body, is_gzip, app.clock.now()).await?;
    if taken.accepted > 0 {
        let bytes = payload.len() as u64;
        let frame = NewFrame {
            kind: FrameKind::Outcomes,
            key_id: caller.key_id().to_owned(),
            // Outcomes are idempotent by their own ids; the log does not look for repeats among them.
            content_hash: 0,
            payload: payload.into(),
        };
        app.log.append(frame).await.map_err(problem)?;
        if let Some(key) = &key {
            app.keys.charge(&key.id, key.rate, taken.accepted as u64, bytes);
        }
    }
    Ok(axum::Json(taken))
}

/// Whether the body is compressed; refuses what is not read here.
fn check_headers(headers: &HeaderMap) -> Result<bool, Problem> {
    let kind = content_type(headers).to_ascii_lowercase();
    if !kind.is_empty() && !FORMATS.contains(&kind.as_str()) {
        return Err(Problem::with_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("{kind:?} is not read here: send one of {}.", FORMATS.join(", ")),
        ));
    }
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.to_str().unwrap_or_default().trim());
    match encoding {
        None | Some("" | "identity") => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => Ok(true),
        Some(other) => Err(Problem::with_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {other:?} is not read here: send gzip, or nothing compressed."),
        )),
    }
}

/// Decompresses up to the bound that bodies have, whatever a small one claims to hold.
fn decompressed(body: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let bound = MAX_UPLOAD_BYTES as u64 + 1;
    MultiGzDecoder::new(body)
        .take(bound)
        .read_to_end(&mut text)
        .map_err(|error| Problem::bad_request(format!("The body is not gzip: {error}.")))?;
    if text.len() > MAX_UPLOAD_BYTES {
        return Err(Problem::too_large(format!(
            "The body has more than {MAX_UPLOAD_BYTES} bytes once it is decompressed: send the outcomes in several requests."
        )));
    }
    Ok(text)
}

/// The payload of the frame, and what is answered once it is durable.
async fn read(body: Bytes, is_gzip: bool, received_time: UnixNanos) -> Result<(Vec<u8>, Taken), Problem> {
    let is_large = is_gzip || body.len() > LARGE_BODY_BYTES;
    let read = move || {
        let body = if is_gzip { decompressed(&body)?.into() } else { body };
        let batch = parse_body(&body, received_time).map_err(|error| Problem::bad_request(error.to_string()))?;
        let taken = Taken {
            accepted: batch.accepted.len(),
            rejected: batch.rejected,
        };
        Ok::<_, Problem>((write_payload(&batch.accepted), taken))
    };
    match is_large {
        true => tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))?,
        false => read(),
    }
}

fn too_fast(wait: Duration) -> Problem {
    Problem::too_fast(u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX))
}

fn problem(error: AppendError) -> Problem {
    match error {
        AppendError::TooLarge { .. } => Problem::too_large("Send the outcomes in several requests."),
        error => {
            tracing::warn!(%error, "outcomes cannot be taken");
            Problem::unavailable(error.to_string(), RETRY_SECONDS)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn headers(kind: &str, encoding: &str) -> HeaderMap {
        let pairs = [(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, encoding)];
        let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    #[test]
    fn json_and_gzip_are_read_and_nothing_else() {
        let check = |kind: &str, encoding: &str, expected: Result<bool, u16>| {
            let found = check_headers(&headers(kind, encoding)).map_err(|problem| problem.status().as_u16());
            assert_eq!(found, expected, "{kind:?} {encoding:?}");
        };
        check("", "", Ok(false));
        check("application/json; charset=utf-8", "identity", Ok(false));
        check("Application/X-NDJSON", "GZIP", Ok(true));
        check("text/csv", "", Err(415));
        check("application/json", "br", Err(415));
    }

    #[tokio::test]
    async fn a_compressed_body_is_read_up_to_the_bound() {
        let gzip = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        let line = br#"{"model": "m", "request_id": "r", "kind": "label", "label": "1"}"#;
        let (_, taken) = read(gzip(line), true, UnixNanos(1)).await.unwrap();
        assert_eq!((taken.accepted, taken.rejected.len()), (1, 0));
        let bomb = gzip(&vec![b' '; MAX_UPLOAD_BYTES + 1]);
        assert!(bomb.len() < MAX_UPLOAD_BYTES / 100);
        assert_eq!(
            read(bomb, true, UnixNanos(1)).await.unwrap_err().status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
        let plain = Bytes::from_static(line);
        assert_eq!(read(plain, true, UnixNanos(1)).await.unwrap_err().status(), StatusCode::BAD_REQUEST);
    }
}
