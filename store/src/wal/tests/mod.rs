//! Tests of the log as a whole.

mod append;
mod damage;
mod faults;
mod model;

use std::path::Path;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::UnixNanos;

/// A clock that stands still at an instant of 2026.
fn clock() -> Clock {
    Clock::manual(UnixNanos::from_seconds(1_790_000_000))
}

fn config(directory: &Path) -> LogConfig {
    LogConfig {
        directory: directory.to_owned(),
        max_bytes: Some(64 << 20),
        segment_bytes: DEFAULT_SEGMENT_BYTES,
        consumers: Vec::new(),
    }
}

/// A request whose content is its hash.
fn request(hash: u128, payload: impl Into<Bytes>) -> NewFrame {
    NewFrame {
        kind: FrameKind::Logs,
        key_id: "key_a".to_owned(),
        content_hash: hash,
        payload: payload.into(),
    }
}

async fn append_new(log: &Log, hash: u128, payload: impl Into<Bytes>) -> Position {
    match log.append(request(hash, payload)).await.unwrap() {
        Appended::New(position) => position,
        Appended::Repeated => panic!("request {hash} was taken for a repeat"),
    }
}

/// Everything that is durable, from the oldest frame on.
async fn read_all(log: &Log) -> Vec<Frame> {
    let mut reader = log.reader(Position::default());
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_ready().await.unwrap() {
        frames.push(frame);
    }
    frames
}

async fn payloads(log: &Log) -> Vec<Bytes> {
    read_all(log).await.into_iter().map(|frame| frame.payload).collect()
}

/// A token that nobody cancels.
fn never() -> CancellationToken {
    CancellationToken::new()
}
