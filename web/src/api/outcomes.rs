//! `POST /api/v1/outcomes`: what became known of inferences later. Durable in the log before it is answered.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::outcome_line::{OutcomeBodyError, RejectedOutcome, parse_body, write_payload};
use driftlead_store::state::keys::Scope;
use driftlead_store::wal::{AppendError, FrameKind, NewFrame};
use serde::Serialize;

use super::endpoint::{Accepts, Endpoint};
use crate::auth::{Access, Asked};
use crate::error::Problem;
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

/// Bodies larger than this are read off the async threads.
const LARGE_BODY_BYTES: usize = 64 * 1024;

#[derive(Debug, Serialize)]
struct Taken {
    accepted: usize,
    rejected: Vec<RejectedOutcome>,
}

async fn take(State(app): State<Arc<WebState>>, Asked(caller): Asked, body: Bytes) -> Result<axum::Json<Taken>, Problem> {
    let (payload, taken) = read(body, app.clock.now()).await?;
    if taken.accepted > 0 {
        let frame = NewFrame {
            kind: FrameKind::Outcomes,
            key_id: caller.key_id().to_owned(),
            // Outcomes are idempotent by their own ids; the log does not look for repeats among them.
            content_hash: 0,
            payload: payload.into(),
        };
        app.log.append(frame).await.map_err(problem)?;
    }
    Ok(axum::Json(taken))
}

/// The payload of the frame, and what is answered once it is durable.
async fn read(body: Bytes, received_time: UnixNanos) -> Result<(Vec<u8>, Taken), Problem> {
    let is_large = body.len() > LARGE_BODY_BYTES;
    let read = move || {
        let batch = parse_body(&body, received_time)?;
        let taken = Taken {
            accepted: batch.accepted.len(),
            rejected: batch.rejected,
        };
        Ok::<_, OutcomeBodyError>((write_payload(&batch.accepted), taken))
    };
    let outcome = match is_large {
        true => tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))?,
        false => read(),
    };
    outcome.map_err(|error| Problem::bad_request(error.to_string()))
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
