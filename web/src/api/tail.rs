//! `GET /api/v1/search/tail`: errors as they come, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use driftlead_store::index::{Followed, Tail};
use driftlead_store::state::keys::Scope;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::endpoint::Endpoint;
use super::live::Hub;
use super::search::{SearchHit, environments, problem, search_hit};
use crate::auth::{Asked, Gate};
use crate::error::Problem;
use crate::extract::Query;
use crate::state::WebState;

/// An event comes at least this often, so that both ends know that the other one is there.
const HEART_BEAT: Duration = Duration::from_secs(5);
/// Seconds after which a client beyond the limit tries again.
const RETRY_SECONDS: u32 = 30;

const PARAMETERS: &[(&str, &str)] = &[("q", "as in /api/v1/search"), ("environment", "only errors of this environment")];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Server-sent events `errors`: {hits, left_out, unseen}, of what a search finds from now on.";
    vec![
        Endpoint::get("/api/v1/search/tail", summary, follow)
            .query(PARAMETERS)
            .content_type("text/event-stream"),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    q: String,
    environment: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Errors {
    /// In the order in which they were stored.
    hits: Vec<SearchHit>,
    /// Errors that match and are not among them.
    left_out: u64,
    /// Errors that nobody looked at: too many came, or this stream was too slow.
    unseen: u64,
}

/// One open stream.
struct Open {
    tail: Tail,
    gate: Arc<Gate>,
    /// What it was opened with: who asks is found out again at every event.
    opened_with: (Uri, HeaderMap),
    token: CancellationToken,
    _slot: OwnedSemaphorePermit,
}

async fn follow(
    State(app): State<Arc<WebState>>,
    State(hub): State<Hub>,
    State(gate): State<Arc<Gate>>,
    Asked(caller): Asked,
    uri: Uri,
    headers: HeaderMap,
    Query(asked): Query<Parameters>,
) -> Result<Response, Problem> {
    let slot = hub
        .tail_slot()
        .ok_or_else(|| Problem::unavailable("Too many searches are followed at once.", RETRY_SECONDS))?;
    let tail = app
        .index
        .tail(&asked.q, environments(&caller, asked.environment)?)
        .map_err(problem)?;
    let open = Open {
        tail,
        gate,
        opened_with: (uri, headers),
        token: hub.token(),
        _slot: slot,
    };
    Ok(Sse::new(stream::unfold(open, next_errors)).into_response())
}

async fn next_errors(mut open: Open) -> Option<(Result<Event, Infallible>, Open)> {
    let followed = tokio::select! {
        () = open.token.cancelled() => return None,
        followed = tokio::time::timeout(HEART_BEAT, open.tail.next()) => match followed {
            Ok(Ok(Some(followed))) => followed,
            Ok(Ok(None)) => return None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a search is not followed any more");
                return None;
            }
            Err(_heart_beat) => Followed::default(),
        },
    };
    let (uri, headers) = &open.opened_with;
    let caller = open.gate.identify(uri, headers).await.ok()?;
    caller.check_scope(Scope::Read).ok()?;
    let errors = Errors {
        hits: followed.hits.into_iter().map(search_hit).collect(),
        left_out: followed.matching_left_out,
        unseen: followed.unseen,
    };
    let event = Event::default().event("errors").json_data(errors).unwrap_or_default();
    Some((Ok(event), open))
}
