//! Requests of the last ten minutes by their content, so that a client's second attempt is not stored
//! twice. In memory, and for restarts one small file per sealed segment.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use super::{AppendError, Appended};
use crate::clock::UnixNanos;
use crate::durable_file;

/// How long a request is recognised: longer than any exporter keeps trying (five minutes by default).
pub(super) const REPEAT_WINDOW_SECONDS: i64 = 600;
/// Most requests remembered (about 80 MB): ten minutes at 1,600 requests a second. Past it the oldest are
/// forgotten early, and counted.
const MAX_REMEMBERED: usize = 1_000_000;
const HASHES_MAGIC: [u8; 8] = *b"DLHASH01";
const ENTRY_BYTES: usize = 24;

/// What the writer answers.
pub(super) type Answer = Result<Appended, AppendError>;

/// A request that is durable: its content and when it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub content_hash: u128,
    /// In memory by the clock that nobody sets, so that a step of the wall clock makes nothing forgotten; in files by
    /// the wall clock, which the next process begins with.
    pub received_time: UnixNanos,
}

enum Known {
    /// In the queue or being written; these wait for what becomes of it.
    Pending(Vec<oneshot::Sender<Answer>>),
    Durable(UnixNanos),
}

/// What to do with a request.
pub(super) enum Admission {
    /// It is durable already.
    Repeated,
    /// The same request is on its way: its answer holds for both.
    Wait(oneshot::Receiver<Answer>),
    /// It is new, and pending from now on.
    New,
}

/// The requests of the last ten minutes.
#[derive(Default)]
pub(super) struct Repeats {
    known: HashMap<u128, Known>,
    order: VecDeque<Seen>,
    forgotten_early: u64,
}

impl Repeats {
    /// Remembers requests that earlier runs made durable. What seems to come later than now, since the clock was set
    /// back, counts as received now.
    pub fn restore(&mut self, mut seen: Vec<Seen>, now: UnixNanos) {
        seen.sort_by_key(|seen| seen.received_time);
        for Seen {
            content_hash,
            received_time,
        } in seen
        {
            let received_time = received_time.min(now);
            self.remember(Seen {
                content_hash,
                received_time,
            });
        }
        self.forget(now);
    }

    /// Decides about a request, and takes note of a new one.
    pub fn admit(&mut self, content_hash: u128, now: UnixNanos) -> Admission {
        self.forget(now);
        match self.known.get_mut(&content_hash) {
            Some(Known::Durable(_)) => Admission::Repeated,
            Some(Known::Pending(waiting)) => {
                let (answer, outcome) = oneshot::channel();
                waiting.push(answer);
                Admission::Wait(outcome)
            }
            None => {
                self.known.insert(content_hash, Known::Pending(Vec::new()));
                Admission::New
            }
        }
    }

    /// A pending request has become durable.
    pub fn settle(&mut self, seen: Seen) {
        for waiting in self.remember(seen) {
            let _gone = waiting.send(Ok(Appended::Repeated));
        }
    }

    /// A pending request was refused: so are those that wait for it, and the next attempt is new.
    pub fn refuse(&mut self, content_hash: u128, error: &AppendError) {
        if let Some(Known::Pending(waiting)) = self.known.remove(&content_hash) {
            for waiting in waiting {
                let _gone = waiting.send(Err(error.clone()));
            }
        }
    }

    /// Nothing that is pending will be written.
    pub fn refuse_pending(&mut self, error: &AppendError) {
        let pending: Vec<u128> = self
            .known
            .iter()
            .filter(|(_, known)| matches!(known, Known::Pending(_)))
            .map(|(hash, _)| *hash)
            .collect();
        pending.into_iter().for_each(|content_hash| self.refuse(content_hash, error));
    }

    /// Requests that were forgotten before their time because too many came.
    pub fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }

    fn remember(&mut self, seen: Seen) -> Vec<oneshot::Sender<Answer>> {
        self.order.push_back(seen);
        match self.known.insert(seen.content_hash, Known::Durable(seen.received_time)) {
            Some(Known::Pending(waiting)) => waiting,
            _ => Vec::new(),
        }
    }

    fn forget(&mut self, now: UnixNanos) {
        let oldest_kept = now.plus_seconds(-REPEAT_WINDOW_SECONDS);
        while let Some(oldest) = self.order.front().copied() {
            let early = oldest.received_time >= oldest_kept;
            if early && self.order.len() <= MAX_REMEMBERED {
                break;
            }
            self.order.pop_front();
            self.forgotten_early += u64::from(early);
            if matches!(self.known.get(&oldest.content_hash), Some(Known::Durable(at)) if *at == oldest.received_time) {
                self.known.remove(&oldest.content_hash);
            }
        }
    }
}

/// Path of the file of a sealed segment's hashes.
pub(super) fn hashes_path(directory: &Path, segment: u64) -> PathBuf {
    directory.join(format!("{segment:020}.hashes"))
}

/// Writes what of a sealed segment may still be repeated.
pub(super) fn write_hashes(path: &Path, seen: &[Seen]) -> io::Result<()> {
    let mut content = Vec::with_capacity(HASHES_MAGIC.len() + seen.len() * ENTRY_BYTES + 4);
    content.extend(HASHES_MAGIC);
    for seen in seen {
        content.extend(seen.content_hash.to_le_bytes());
        content.extend(seen.received_time.0.to_le_bytes());
    }
    let crc = crc32c::crc32c(&content);
    content.extend(crc.to_le_bytes());
    durable_file::replace(path, &content)
}

/// Reads such a file; `None` when there is none or it is damaged.
pub(super) fn read_hashes(path: &Path) -> Option<Vec<Seen>> {
    let content = fs::read(path).ok()?;
    let (content, crc) = content.split_last_chunk::<4>()?;
    let entries = content.strip_prefix(&HASHES_MAGIC)?;
    if crc32c::crc32c(content).to_le_bytes() != *crc || entries.len() % ENTRY_BYTES != 0 {
        return None;
    }
    Some(
        entries
            .chunks_exact(ENTRY_BYTES)
            .map(|entry| Seen {
                content_hash: u128::from_le_bytes(entry[..16].try_into().expect("sixteen bytes")),
                received_time: UnixNanos(i64::from_le_bytes(entry[16..].try_into().expect("eight bytes"))),
            })
            .collect(),
    )
}

/// What may still be repeated at `steady_now`, with the times that the wall clock would have shown.
pub(super) fn still_recognised(seen: &[Seen], steady_now: UnixNanos, wall_now: UnixNanos) -> Vec<Seen> {
    let oldest_kept = steady_now.plus_seconds(-REPEAT_WINDOW_SECONDS);
    let recent = seen.iter().filter(|seen| seen.received_time >= oldest_kept);
    let by_the_wall = |seen: &Seen| Seen {
        received_time: UnixNanos(wall_now.0 - (steady_now.0 - seen.received_time.0)),
        ..*seen
    };
    recent.map(by_the_wall).collect()
}
