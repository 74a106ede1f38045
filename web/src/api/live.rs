//! `GET /api/v1/live`: server-sent events that say what changed, so that pages read again only what they show.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use driftlead_store::clickhouse::query::buckets::last_arrivals;
use driftlead_store::clickhouse::query::signals::newest_computations;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::changes::{Look, Noun};
use driftlead_store::state::keys::Scope;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::answers::ListAnswers;
use super::endpoint::Endpoint;
use super::status::{Status, status};
use crate::auth::{Caller, Gate};
use crate::error::Problem;
use crate::state::WebState;

/// A tick comes at least this often; it is the heart beat too.
const HEART_BEAT: Duration = Duration::from_secs(5);
/// How often decisions are looked at: a person waits for them.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Every how many looks telemetry is looked at too: signals come every 5 s.
const LOOKS_PER_TELEMETRY: u32 = 5;
/// Changes that wait for a slow stream; one that misses some is told that everything changed.
const QUEUE: usize = 64;
/// Streams at once: pages that are open, over all people.
const MAX_STREAMS: usize = 1_000;
/// Searches that are followed at once: each looks at the words of every error that comes.
const MAX_TAILS: usize = 32;
/// Seconds after which a client beyond the limit tries again.
const RETRY_SECONDS: u32 = 30;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Server-sent events `tick`: {at, status, changed: [models, alerts, actions, errors, model:<name>]}.";
    vec![Endpoint::get("/api/v1/live", summary, stream_ticks).content_type("text/event-stream")]
}

/// Names of what changed, as pages have them.
pub(crate) type Topics = BTreeSet<String>;

/// Tells all streams what changed.
#[derive(Clone)]
pub struct Hub {
    /// Answers that hold until something changes.
    pub answers: ListAnswers,
    changes: broadcast::Sender<Topics>,
    streams: Arc<Semaphore>,
    tails: Arc<Semaphore>,
    token: CancellationToken,
}

impl Hub {
    /// A hub whose streams end when the token fires.
    pub fn new(token: CancellationToken) -> Self {
        Self {
            answers: ListAnswers::default(),
            changes: broadcast::Sender::new(QUEUE),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            tails: Arc::new(Semaphore::new(MAX_TAILS)),
            token,
        }
    }

    /// A place among the searches that are followed; `None` when there are too many.
    pub(super) fn tail_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.tails.clone().try_acquire_owned().ok()
    }

    /// Fires when streams have to end.
    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    fn tell(&self, topics: Topics) {
        if !topics.is_empty() {
            self.answers.forget();
            // Without streams nobody has to be told.
            let _listeners = self.changes.send(topics);
        }
    }
}

/// Watches for changes as long as somebody listens.
pub(crate) async fn watch(app: Arc<WebState>, hub: Hub, token: CancellationToken) {
    let mut index = app.index.status();
    let mut watching = Watching::default();
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            // The index lives as long as this server.
            _changed = index.changed() => {
                let commits = index.borrow_and_update().commits;
                if watching.commits.replace(commits) != Some(commits) {
                    hub.tell(Topics::from(["errors".to_owned()]));
                }
            }
            _due = looks.tick() => {
                if hub.changes.receiver_count() == 0 {
                    watching = Watching::default();
                } else {
                    hub.tell(watching.look(&app).await);
                }
            }
        }
    }
}

/// What was seen last.
#[derive(Default)]
struct Watching {
    looks: u32,
    decided: Option<Look>,
    telemetry: Option<BTreeMap<String, (i64, i64)>>,
    commits: Option<u64>,
}

impl Watching {
    async fn look(&mut self, app: &WebState) -> Topics {
        let mut topics = Topics::new();
        match app.state.look().await {
            Ok(look) => {
                if let Some(before) = &self.decided {
                    for (noun, model) in look.changes_since(before) {
                        topics.extend(named(noun, &model));
                    }
                }
                self.decided = Some(look);
            }
            Err(error) => tracing::warn!(%error, "open pages cannot be told what was decided"),
        }
        if self.looks.is_multiple_of(LOOKS_PER_TELEMETRY) {
            topics.extend(self.look_at_telemetry(app).await);
        }
        self.looks = self.looks.wrapping_add(1);
        topics
    }

    async fn look_at_telemetry(&mut self, app: &WebState) -> Topics {
        let mut newest: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let read = async {
            for (model, generation) in last_arrivals(&app.clickhouse).await? {
                newest.entry(model).or_default().0 = generation;
            }
            for (model, computed_at) in newest_computations(&app.clickhouse, app.clock.now()).await? {
                newest.entry(model).or_default().1 = computed_at;
            }
            Ok::<(), clickhouse::error::Error>(())
        };
        if read.await.is_err() {
            // The status of each tick says that the database does not answer.
            return Topics::new();
        }
        let before = self.telemetry.replace(newest.clone());
        let Some(before) = before else { return Topics::new() };
        let changed = newest.iter().filter(|(model, marks)| before.get(*model) != Some(*marks));
        changed
            .flat_map(|(model, _)| ["models".to_owned(), format!("model:{model}")])
            .collect()
    }
}

fn named(noun: Noun, model: &str) -> Topics {
    let mut topics = Topics::from(["models".to_owned()]);
    match noun {
        Noun::Alerts => topics.extend(["alerts".to_owned(), "actions".to_owned()]),
        Noun::Actions => topics.extend(["actions".to_owned(), "alerts".to_owned()]),
        Noun::Models => {}
    }
    if !model.is_empty() {
        topics.insert(format!("model:{model}"));
    }
    topics
}

#[derive(Serialize)]
struct Tick {
    at: UnixNanos,
    status: Status,
    changed: Topics,
}

/// One open stream.
struct Open {
    app: Arc<WebState>,
    gate: Arc<Gate>,
    /// What it was opened with: who asks is found out again at every tick, so that a key that was revoked and a
    /// session that was closed hear no more.
    opened_with: (Uri, HeaderMap),
    changes: broadcast::Receiver<Topics>,
    token: CancellationToken,
    is_first: bool,
    _slot: OwnedSemaphorePermit,
}

async fn stream_ticks(
    State(app): State<Arc<WebState>>,
    State(hub): State<Hub>,
    State(gate): State<Arc<Gate>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let slot = hub.streams.clone().try_acquire_owned();
    let slot = slot.map_err(|_| Problem::unavailable("Too many pages are open.", RETRY_SECONDS))?;
    let open = Open {
        app,
        gate,
        opened_with: (uri, headers),
        changes: hub.changes.subscribe(),
        token: hub.token.clone(),
        is_first: true,
        _slot: slot,
    };
    Ok(Sse::new(stream::unfold(open, next_tick)).into_response())
}

async fn next_tick(mut open: Open) -> Option<(Result<Event, Infallible>, Open)> {
    let changed = match std::mem::take(&mut open.is_first) {
        true => Topics::new(),
        false => tokio::select! {
            () = open.token.cancelled() => return None,
            told = tokio::time::timeout(HEART_BEAT, open.changes.recv()) => match told {
                Ok(Ok(topics)) => topics,
                Ok(Err(RecvError::Lagged(_))) => everything(&open.app).await,
                Ok(Err(RecvError::Closed)) => return None,
                Err(_heart_beat) => Topics::new(),
            },
        },
    };
    let (uri, headers) = &open.opened_with;
    let caller = open.gate.identify(uri, headers).await.ok()?;
    caller.check_scope(Scope::Read).ok()?;
    let changed = seen_by(&open.app, &caller, changed).await;
    let status = status(&open.app);
    let tick = Tick {
        at: status.at(),
        status,
        changed,
    };
    let event = Event::default().event("tick").json_data(tick).unwrap_or_default();
    Some((Ok(event), open))
}

/// The topics that a caller may hear of: no models of environments that the key is not for.
pub(crate) async fn seen_by(app: &WebState, caller: &Caller, mut topics: Topics) -> Topics {
    if caller.environments().is_empty() || topics.is_empty() {
        return topics;
    }
    let models = match app.state.models_in(caller.environments()).await {
        Ok(models) => models,
        Err(error) => {
            tracing::warn!(%error, "a page cannot be told which models changed");
            Default::default()
        }
    };
    topics.retain(|topic| topic.strip_prefix("model:").is_none_or(|model| models.contains(model)));
    topics
}

/// All topics, for a stream that has missed some.
async fn everything(app: &WebState) -> Topics {
    let mut topics: Topics = ["models", "alerts", "actions", "errors"].map(str::to_owned).into();
    let seen = app.state.seen_versions(None).await.unwrap_or_default();
    topics.extend(seen.into_iter().map(|seen| format!("model:{}", seen.model)));
    topics
}
