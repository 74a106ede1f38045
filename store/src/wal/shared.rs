//! What the writer, the readers and the consumers of one log share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use super::consumer::Committed;
use super::repeats::Repeats;
use super::segment::{SEGMENT_HEADER_BYTES, segment_path};
use super::{LogStatus, Position};

/// Places of bad bytes that are told apart: enough for any disk that is worth keeping. Past it readers
/// still skip, and the count stands still.
const MAX_BAD_PLACES: usize = 10_000;

/// A segment as far as it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub bytes: u64,
    pub sealed: bool,
}

/// The log's memory. Nothing in it grows with the backlog but the table of segments.
pub(super) struct Shared {
    pub directory: PathBuf,
    pub max_bytes: u64,
    pub torn_bytes: u64,
    pub segments: Mutex<BTreeMap<u64, Segment>>,
    pub consumers: Mutex<BTreeMap<String, Committed>>,
    /// One commit at a time: each replaces a consumer's file by what the one before wrote.
    pub committing: Mutex<()>,
    /// Where the next frame will be durable; closed when the writer has ended.
    pub head: watch::Receiver<Position>,
    pub repeats: Mutex<Repeats>,
    pub poisoned: OnceLock<String>,
    pub full: AtomicBool,
    pub counters: Counters,
    pub bad_places: Mutex<BTreeSet<Position>>,
    /// Held while the log is open.
    pub lock_file: Mutex<Option<File>>,
}

/// Counts since the log was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub frames: AtomicU64,
    pub frame_bytes: AtomicU64,
    pub groups: AtomicU64,
    pub repeated: AtomicU64,
    pub refused: AtomicU64,
}

/// A panic in another thread does not make these plain values wrong.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Where the oldest frame lies, if there is one.
    pub fn start(&self) -> Position {
        let segments = lock(&self.segments);
        let segment = segments.keys().next().copied().unwrap_or(1);
        Position {
            segment,
            offset: SEGMENT_HEADER_BYTES,
        }
    }

    /// The segment with this number, else the next that exists.
    pub fn segment_at_or_after(&self, number: u64) -> Option<(u64, Segment)> {
        lock(&self.segments)
            .range(number..)
            .next()
            .map(|(number, segment)| (*number, *segment))
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        lock(&self.segments).values().map(|segment| segment.bytes).sum()
    }

    /// Bytes of all segments from this position on.
    pub fn bytes_from(&self, position: Position) -> u64 {
        let segments = lock(&self.segments);
        let from = |number: u64| {
            if number == position.segment {
                position.offset
            } else {
                SEGMENT_HEADER_BYTES
            }
        };
        segments
            .range(position.segment..)
            .map(|(number, segment)| segment.bytes.saturating_sub(from(*number)))
            .sum()
    }

    /// Takes note of bytes that are no frame; the same place is counted once.
    pub fn report_bad(&self, place: Position, bytes: u64) {
        let mut places = lock(&self.bad_places);
        if places.len() < MAX_BAD_PLACES && places.insert(place) {
            tracing::error!(
                segment = place.segment,
                offset = place.offset,
                bytes,
                "bytes in the log are no frame: skipped; the disk may be failing"
            );
        }
    }

    /// Deletes the sealed segments that every consumer has committed. Without consumers nothing is.
    pub fn delete_committed(&self) {
        let deletable = {
            let consumers = lock(&self.consumers);
            let mut segments = lock(&self.segments);
            let deletable: Vec<u64> = segments
                .iter()
                .filter(|(number, segment)| {
                    segment.sealed && !consumers.is_empty() && consumers.values().all(|c| c.completes(**number, **segment))
                })
                .map(|(number, _)| *number)
                .collect();
            segments.retain(|number, _| !deletable.contains(number));
            deletable
        };
        for number in deletable {
            self.full.store(false, Relaxed);
            let path = segment_path(&self.directory, number);
            // Left behind, it is found and deleted again at the next start.
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot delete a segment that everybody has committed");
            }
        }
    }

    /// How the log stands.
    pub fn status(&self) -> LogStatus {
        let (bytes, segments) = {
            let segments = lock(&self.segments);
            (segments.values().map(|segment| segment.bytes).sum(), segments.len() as u64)
        };
        let backlog_bytes = {
            let consumers = lock(&self.consumers);
            let segments = lock(&self.segments);
            consumers
                .iter()
                .map(|(name, committed)| (name.clone(), committed.backlog_bytes(&segments)))
                .collect()
        };
        LogStatus {
            bytes,
            max_bytes: self.max_bytes,
            segments,
            head: *self.head.borrow(),
            full: self.full.load(Relaxed),
            poisoned: self.poisoned.get().cloned(),
            bad_frames: lock(&self.bad_places).len() as u64,
            torn_bytes: self.torn_bytes,
            frames: self.counters.frames.load(Relaxed),
            frame_bytes: self.counters.frame_bytes.load(Relaxed),
            groups: self.counters.groups.load(Relaxed),
            repeated: self.counters.repeated.load(Relaxed),
            refused: self.counters.refused.load(Relaxed),
            repeats_forgotten_early: lock(&self.repeats).forgotten_early(),
            backlog_bytes,
        }
    }
}
