//! Tests of the drain as a whole, against a model of ClickHouse that knows tokens and can fail at each step.

mod crash;
mod halves;
mod lanes;
mod model;
mod refusal;

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::*;
use crate::clock::UnixNanos;
use crate::records::{Half, InferenceHalf, LogRecord, Outcome, OutcomeKind, Resource, SetAside};
use crate::wal::{FrameKind, LogConfig, NewFrame};
use model::{Fault, Model};

const NOW: i64 = 1_790_000_000;
const HOUR: i64 = 3_600;
const AT_ONCE: Pace = Pace {
    linger: Duration::from_millis(1),
    min_interval: Duration::ZERO,
    first_pause: Duration::from_micros(100),
    longest_pause: Duration::from_millis(1),
};

/// Frames are lines of text: `log DAY TEXT`, `wide DAY TEXT` (of a resource of 1,000 bytes), `half log|span ID SECONDS
/// [VERSION]`, `within TRACE log|span ID SECONDS [LATENCY_MS [ERROR_TYPE]]` (of span `s`; ID `-`: it names no request),
/// `outcome ID`, `evaluation ID` (names no model), `aside`; seconds count from [`NOW`].
struct Lines;

impl Decode for Lines {
    fn errors(&self, _: &Frame) -> FoundErrors {
        unreachable!("the drain asks for rows alone")
    }

    fn decode(&self, frame: &Frame) -> Decoded {
        let mut decoded = Decoded::default();
        for line in std::str::from_utf8(&frame.payload).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let at = |seconds: &str| UnixNanos::from_seconds(NOW + seconds.parse::<i64>().unwrap());
            match words[..] {
                ["log", day, text] => decoded.logs.push(log_record(day.parse().unwrap(), text)),
                ["wide", day, text] => decoded.logs.push(LogRecord {
                    resource: Arc::new(Resource {
                        attributes: vec![("host".to_owned(), "h".repeat(996))],
                        ..Resource::default()
                    }),
                    ..log_record(day.parse().unwrap(), text)
                }),
                ["half", kind, id, seconds, ref version @ ..] => {
                    let kind = if kind == "log" { Half::Log } else { Half::Span };
                    decoded.halves.push(InferenceHalf {
                        version: version.first().map(|version| (*version).to_owned()),
                        ..InferenceHalf::new(kind, "m", id, at(seconds), frame.received_time)
                    });
                }
                ["within", trace, kind, id, seconds, ref failure @ ..] => {
                    let kind = if kind == "log" { Half::Log } else { Half::Span };
                    let id = if id == "-" { format!("{trace}-s") } else { id.to_owned() };
                    decoded.halves.push(InferenceHalf {
                        trace_id: Some(trace.to_owned()),
                        span_id: Some("s".to_owned()),
                        latency_ms: failure.first().map(|latency_ms| latency_ms.parse().unwrap()),
                        error_type: failure.get(1).map(|error_type| (*error_type).to_owned()),
                        ..InferenceHalf::new(kind, "m", id, at(seconds), frame.received_time)
                    });
                }
                [what @ ("outcome" | "evaluation"), id] => decoded.outcomes.push(Outcome {
                    model: if what == "outcome" { "m".to_owned() } else { String::new() },
                    request_id: id.to_owned(),
                    kind: OutcomeKind::Verdict(true),
                    id: String::new(),
                    at: frame.received_time,
                    received_time: frame.received_time,
                }),
                ["aside"] => decoded.set_aside.push(SetAside {
                    reason: "event_time_in_future",
                    count: 1,
                }),
                _ => panic!("{line}"),
            }
        }
        decoded
    }
}

fn log_record(day: i64, text: &str) -> LogRecord {
    LogRecord {
        resource: Arc::default(),
        scope: Arc::default(),
        timestamp: UnixNanos::from_seconds(NOW + day * 86_400),
        trace_id: String::new(),
        span_id: String::new(),
        trace_flags: 0,
        severity_text: String::new(),
        severity_number: 0,
        body: text.to_owned(),
        event_name: String::new(),
        attributes: Vec::new(),
    }
}

/// The product around a drain: its folder, its clock, and what survives in ClickHouse.
struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    model: Arc<Model>,
    bounds: Bounds,
    segment_bytes: u64,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Clock::manual(UnixNanos::from_seconds(NOW)),
            model: Arc::default(),
            bounds: Bounds {
                max_frames: 3,
                ..Bounds::default()
            },
            segment_bytes: 4 << 10,
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn open_log(&self) -> Log {
        let config = LogConfig {
            segment_bytes: self.segment_bytes,
            max_bytes: Some(64 << 20),
            ..LogConfig::new(self.path("log"))
        };
        Log::open(config, self.clock.clone()).unwrap()
    }

    fn start(&self, log: &Log) -> Running {
        let status = StatusHandle::default();
        let config = DrainConfig {
            bounds: self.bounds,
            pace: AT_ONCE,
            status: status.clone(),
            ..DrainConfig::new(self.path("drain"))
        };
        let cancel = CancellationToken::new();
        let drain = run_into(
            self.model.clone(),
            config,
            log.clone(),
            Arc::new(Lines),
            self.clock.clone(),
            cancel.clone(),
        );
        Running {
            drain: tokio::spawn(drain),
            status,
            cancel,
            log: log.clone(),
        }
    }

    /// Frames in the quarantine.
    fn quarantined(&self) -> usize {
        std::fs::read_dir(self.path("drain/quarantine")).map_or(0, Iterator::count)
    }
}

/// A drain at work.
struct Running {
    drain: JoinHandle<Result<(), DrainError>>,
    status: StatusHandle,
    cancel: CancellationToken,
    log: Log,
}

impl Running {
    /// Waits until everything in the log is committed.
    async fn drained(&self) {
        let mut changes = self.status.subscribe();
        while self.log.status().backlog_bytes.get(CONSUMER).is_none_or(|bytes| *bytes > 0) {
            changes.changed().await.unwrap();
        }
    }

    /// The process dies: nothing more is done, the log's lock is free.
    async fn crash(self) {
        self.drain.abort();
        let _aborted = self.drain.await;
        self.log.close().await;
    }

    async fn stop(self) -> DrainStatus {
        self.cancel.cancel();
        self.drain.await.unwrap().unwrap();
        self.log.close().await;
        self.status.get()
    }
}

/// Appends a frame whose content makes it unique.
async fn append(log: &Log, lines: impl Into<String>) {
    let payload = lines.into();
    let content_hash = xxhash_rust::xxh3::xxh3_128(payload.as_bytes());
    let frame = NewFrame {
        kind: FrameKind::Logs,
        key_id: String::new(),
        content_hash,
        payload: payload.into(),
    };
    log.append(frame).await.unwrap();
}

#[tokio::test]
async fn an_idle_drain_commits_and_counts_what_comes() {
    let world = World::new();
    let log = world.open_log();
    let running = world.start(&log);
    append(&log, "log 0 a\nlog 1 b\nhalf log x 0\naside").await;
    append(&log, "outcome x").await;
    running.drained().await;
    let status = running.stop().await;
    assert_eq!(world.model.logs(), ["a", "b"]);
    assert_eq!(
        (status.frames, status.set_aside["event_time_in_future"], status.last_error),
        (2, 1, None)
    );
    assert_eq!(
        status.rows.into_iter().collect::<Vec<_>>(),
        [("inferences", 1), ("logs", 2), ("outcomes", 1)]
    );
    assert_eq!(status.last_commit, Some(world.clock.now()));
}

#[tokio::test]
async fn what_waits_is_lag_and_nothing_is_dropped_while_clickhouse_is_away() {
    let world = World::new();
    let log = world.open_log();
    world.model.fail_next(Fault::Unavailable, 40);
    let running = world.start(&log);
    append(&log, "log 0 a").await;
    let mut changes = running.status.subscribe();
    changes.wait_for(|status| status.retries >= 20).await.unwrap();
    world.clock.set(world.clock.now().plus_seconds(30));
    let status = running.status.get();
    assert_eq!(status.lag_seconds(world.clock.now()), 30.0);
    assert!(status.last_error.unwrap().contains("ClickHouse"));
    running.drained().await;
    let status = running.stop().await;
    assert_eq!((status.lag_seconds(world.clock.now()), status.retries), (0.0, 40));
    assert_eq!(world.model.logs(), ["a"]);
}

#[tokio::test]
async fn what_waits_for_a_drain_that_has_not_begun_is_lag() {
    let world = World::new();
    let log = world.open_log();
    let (status, cancel) = (StatusHandle::default(), CancellationToken::new());
    append(&log, "log 0 a").await;
    world.clock.set(world.clock.now().plus_seconds(30));
    append(&log, "log 0 b").await;
    let watching = tokio::spawn(watch_waiting(log.clone(), status.clone(), cancel.clone()));
    let mut changes = status.subscribe();
    let now = world.clock.now();
    changes.wait_for(|status| status.lag_seconds(now) == 30.0).await.unwrap();
    cancel.cancel();
    watching.await.unwrap().unwrap();
    let running = world.start(&log);
    running.drained().await;
    running.stop().await;
}

#[tokio::test]
async fn rows_that_were_taken_and_are_not_there_are_counted() {
    let world = World::new();
    let log = world.open_log();
    let running = world.start(&log);
    append(&log, "log 0 a\nlog 0 expired").await;
    running.drained().await;
    let status = running.stop().await;
    assert_eq!((status.missing_rows, status.rows["logs"]), (1, 1));
}

#[tokio::test]
async fn a_batch_ends_with_each_of_its_bounds() {
    let by_records = Bounds {
        max_records: 4,
        ..Bounds::default()
    };
    let by_bytes = Bounds {
        max_bytes: 60,
        ..Bounds::default()
    };
    let by_frames = Bounds {
        max_frames: 2,
        ..Bounds::default()
    };
    for bounds in [by_records, by_bytes, by_frames] {
        let world = World { bounds, ..World::new() };
        let log = world.open_log();
        for n in 0..10 {
            append(&log, format!("log 0 first-of-{n:05}\nlog 0 second-of-{n:04}")).await;
        }
        let running = world.start(&log);
        running.drained().await;
        assert_eq!(running.stop().await.batches, 5, "{bounds:?}");
        assert_eq!(world.model.logs().len(), 20);
    }
}

#[tokio::test]
async fn a_batch_holds_no_more_than_its_bound_of_what_rows_repeat() {
    for (max_row_bytes, batches) in [(3_500, 4), (1_100, 10), (10, 10)] {
        let bounds = Bounds {
            max_row_bytes,
            ..Bounds::default()
        };
        let world = World { bounds, ..World::new() };
        let log = world.open_log();
        for n in 0..10 {
            append(&log, format!("wide 0 text{n}")).await;
        }
        let running = world.start(&log);
        running.drained().await;
        assert_eq!(running.stop().await.batches, batches, "{bounds:?}");
        assert_eq!(world.model.logs().len(), 10);
    }
}

#[tokio::test]
async fn old_boundaries_do_not_touch_a_log_made_anew() {
    let world = World::new();
    let log = world.open_log();
    append(&log, "log 0 old").await;
    world.model.crash_at(0, Fault::CrashAfter);
    let running = world.start(&log);
    world.model.crashed().await;
    running.crash().await;
    std::fs::remove_dir_all(world.path("log")).unwrap();

    let log = world.open_log();
    append(&log, "log 0 new").await;
    let running = world.start(&log);
    running.drained().await;
    running.stop().await;
    assert_eq!(world.model.logs(), ["old", "new"]);
}

#[tokio::test]
async fn the_journal_and_the_log_do_not_grow() {
    let world = World::new();
    let log = world.open_log();
    let running = world.start(&log);
    for n in 0..200 {
        append(&log, format!("log 0 {n:0500}")).await;
        running.drained().await;
        world.clock.set(world.clock.now().plus_seconds(60));
    }
    assert!(log.status().segments <= 2);
    let batches = std::fs::read_dir(world.path("drain/batches")).unwrap().count();
    assert!(batches <= 22, "{batches} batches are kept");
    running.stop().await;
}

fn exists(path: &Path) -> bool {
    path.exists()
}
