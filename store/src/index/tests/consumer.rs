//! The consumer on a real log.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::drain::Decode;
use crate::index::{Day, IndexError, run};
use crate::patterns::PatternId;
use crate::records::{Decoded, FoundErrors};
use crate::state::State;
use crate::wal::{Frame, FrameKind, Log, LogConfig, NewFrame};

/// A payload is a message; its error is of the 19th.
struct Messages;

impl Decode for Messages {
    fn decode(&self, _: &Frame) -> Decoded {
        unreachable!("the index asks for errors alone")
    }

    fn errors(&self, frame: &Frame) -> FoundErrors {
        let message = String::from_utf8(frame.payload.to_vec()).unwrap();
        let documents = match message.as_str() {
            "no error" => Vec::new(),
            message => vec![error("2026-10-19", message)],
        };
        FoundErrors {
            documents,
            cut: vec![("looked_at", 1)],
        }
    }
}

struct Running {
    index: ErrorIndex,
    log: Log,
    state: State,
    token: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), IndexError>>,
}

async fn start(folder: &Path) -> Running {
    let index = open(&folder.join("index"));
    let log = Log::open(LogConfig::new(folder.join("log")), clock()).unwrap();
    let state = State::open(&folder.join("state.db")).await.unwrap();
    let token = CancellationToken::new();
    let task = tokio::spawn(run(
        index.clone(),
        log.clone(),
        state.clone(),
        Arc::new(Messages),
        clock(),
        token.clone(),
    ));
    Running {
        index,
        log,
        state,
        token,
        task,
    }
}

impl Running {
    async fn append(&self, message: &str) {
        let frame = NewFrame {
            kind: FrameKind::Logs,
            key_id: String::new(),
            content_hash: u128::from(xxhash_rust::xxh3::xxh3_64(message.as_bytes())),
            payload: Bytes::copy_from_slice(message.as_bytes()),
        };
        self.log.append(frame).await.unwrap();
    }

    async fn wait_for(&self, query: &str, total: u64) {
        let give_up = Instant::now() + Duration::from_secs(20);
        while search(&self.index, query).await.total != total {
            assert!(Instant::now() < give_up, "{query} never had {total} hits");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) {
        self.token.cancel();
        self.task.await.unwrap().unwrap();
        self.log.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_found_soon_after_it_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    running.append("no error").await;
    running.append("first failure").await;
    running.wait_for("failure", 1).await;
    let status = running.index.status().borrow().clone();
    assert_eq!((status.documents, status.failures, status.failing), (1, 0, None));
    assert_eq!(status.cut["looked_at"], 2);
    running.append("second failure").await;
    running.wait_for("failure", 2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_was_and_a_stop_commits_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    running.append("one").await;
    running.wait_for("one", 1).await;
    running.append("two").await;
    running.stop().await;
    let running = start(folder.path()).await;
    running.append("three").await;
    running.wait_for("three", 1).await;
    running.wait_for("", 3).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_mid_work_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let running = start(folder.path()).await;
        for n in 0..20 {
            running.append(&format!("round {round} number {n}")).await;
        }
        if round == 1 {
            running.wait_for("\"round 1\"", 20).await;
        }
        running.task.abort();
        let _aborted = running.task.await;
        running.log.close().await;
        // The writer's thread notices that its channel has closed and ends by itself.
        let give_up = Instant::now() + Duration::from_secs(20);
        while Arc::strong_count(&running.index.shelf) > 1 {
            assert!(Instant::now() < give_up, "the writer did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let running = start(folder.path()).await;
    running.wait_for("", 60).await;
    let found = search(&running.index, "").await;
    let mut seen: Vec<&str> = found.hits.iter().map(|hit| hit.error.message.as_str()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 60);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_have_their_pattern_which_a_restart_does_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    for user in ["alice", "bob"] {
        running.append(&format!("user {user} is unknown")).await;
    }
    running.append("out of memory").await;
    running.wait_for("", 3).await;
    running.stop().await;
    let running = start(folder.path()).await;
    running.append("user carol is unknown").await;
    running.wait_for("", 4).await;
    let found = running.index.patterns(&request("")).await.unwrap();
    let templates = running
        .state
        .pattern_templates(&found.patterns.iter().map(|pattern| pattern.id).collect::<Vec<PatternId>>())
        .await
        .unwrap();
    let counted: Vec<_> = found
        .patterns
        .iter()
        .map(|pattern| {
            (
                templates[&pattern.id].to_string(),
                pattern.count,
                pattern.example.error.message.as_str(),
            )
        })
        .collect();
    assert_eq!(counted[0].0, "user <*> is unknown");
    assert_eq!(counted[0].1, 3);
    assert_eq!(counted[1], ("out of memory".to_owned(), 1, "out of memory"));
    let by_pattern = search(&running.index, &format!("pattern_id:{}", found.patterns[0].id)).await;
    assert_eq!(by_pattern.total, 3);
    assert!(by_pattern.hits.iter().all(|hit| hit.error.pattern == Some(found.patterns[0].id)));
    let sightings = running.state.pattern_sightings(&[found.patterns[0].id]).await.unwrap();
    assert_eq!(sightings.len(), 1);
    assert_eq!(sightings[0].first_event_time, at("2026-10-19"));
    running.stop().await;
}

#[tokio::test]
async fn many_commits_leave_few_parts() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writers = writers(&index);
    for number in 0..200 {
        let error = error("2026-10-19T10:00:00Z", &format!("number {number}"));
        writers.feed(frame(number, vec![error]), now()).unwrap();
        writers.commit(now()).unwrap();
    }
    writers.close_all().unwrap();
    let day = index.shelf.get(Day::of(at("2026-10-19"))).unwrap();
    let parts = day.index.searchable_segment_metas().unwrap().len();
    assert!(parts <= 10, "200 commits left {parts} parts");
    day.reader.reload().unwrap();
    assert_eq!(search(&index, "number").await.total, 200);
}
