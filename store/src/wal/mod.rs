//! The log: one frame per admitted request, fsynced before it is acknowledged.
//!
//! ```text
//! append ─► queue (bounded in bytes) ─► writer: one thread, many frames per fsync ─► segments
//!                                                                                     │
//! consumers: durable committed ranges ◄── whoever reads ◄── readers: only what is durable ◄─┘
//! ```
//!
//! The folder holds segments (`N.log`), for ten minutes the content hashes of each sealed one
//! (`N.hashes`), what each consumer has committed (`NAME.consumer`), and `lock`. The format of a frame is
//! in `frame`, that of a segment in `segment`.
//!
//! What always holds: an acknowledged frame was fsynced, and so was its segment's entry in the folder; a
//! reader never sees a frame that is not durable; after a failed write or fsync nothing is taken until a
//! restart, and the fsync is never tried again; a segment is deleted only when every consumer that ever
//! registered has committed all of it; memory does not grow with the backlog.
//!
//! Deliberately absent: any knowledge of what a payload means, and compression (the file system's).

mod consumer;
mod disk;
mod error;
mod frame;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod ranges;
mod reader;
mod recovery;
mod repeats;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{Semaphore, mpsc, oneshot};

pub use consumer::Consumer;
pub use error::{AppendError, LogError};
pub use frame::{Frame, FrameKind, MAX_PAYLOAD_BYTES, NewFrame, Position};
pub use ranges::RangeSet;
pub use reader::LogReader;

use crate::clock::Clock;
use disk::{Disk, RealDisk};
use frame::{MAX_KEY_ID_BYTES, frame_bytes};
use repeats::Admission;
use segment::{SEGMENT_HEADER_BYTES, SegmentReader, segment_path};
use shared::{Shared, lock};
use writer::{Append, Message};

/// Size at which a segment is sealed: what is deleted at once, and scanned at a start.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;
/// Bytes that wait for the writer; past it appenders wait. One largest request body fits, or thousands of
/// common ones: several fsyncs' worth, so that the disk is never idle.
const QUEUE_BYTES: usize = 64 << 20;

/// Where and how large.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The log's own folder.
    pub directory: PathBuf,
    /// Most bytes on the disk; unset: 20 GiB or 80 % of the free space, whichever is less.
    pub max_bytes: Option<u64>,
    /// Size at which a segment is sealed; at most a quarter of the bound is used.
    pub segment_bytes: u64,
    /// Everybody who is to read all of the log. They are registered when it opens, however late each begins
    /// to read: no segment is deleted that one of them has not committed.
    pub consumers: Vec<&'static str>,
}

impl LogConfig {
    /// The defaults.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: None,
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            consumers: Vec::new(),
        }
    }
}

/// What became of an append. Either way the request is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It lies here.
    New(Position),
    /// The same request came within the last ten minutes: answer as the first time.
    Repeated,
}

/// How the log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Most bytes on the disk.
    pub max_bytes: u64,
    /// Segments on the disk.
    pub segments: u64,
    /// Where the next frame will be.
    pub head: Position,
    /// The last request was refused because there is no room.
    pub full: bool,
    /// Why nothing is taken until a restart.
    pub poisoned: Option<String>,
    /// Places with bytes that are no frame, found since the start.
    pub bad_frames: u64,
    /// Bytes of the torn tail that was cut at the start.
    pub torn_bytes: u64,
    /// Frames appended since the start.
    pub frames: u64,
    /// Their bytes.
    pub frame_bytes: u64,
    /// Groups of frames that shared an fsync.
    pub groups: u64,
    /// Requests that repeated a recent one.
    pub repeated: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that are no longer recognised although they came within ten minutes, because too many did.
    pub repeats_forgotten_early: u64,
    /// Bytes that each consumer has not committed.
    pub backlog_bytes: BTreeMap<String, u64>,
}

/// A handle to the log; clones share it. The writer ends with the last handle, or at [`Log::close`].
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Message>,
    /// Bounds the queue.
    queue_space: Arc<Semaphore>,
    clock: Clock,
}

impl Log {
    /// Opens or creates a log and registers its consumers. Blocks while the last segment is checked.
    ///
    /// # Errors
    /// Another process has it open, it is of a newer release, a consumer's name is not a plain word, or the
    /// file system refused.
    pub fn open(config: LogConfig, clock: Clock) -> Result<Self, LogError> {
        Self::open_on(config, clock, Box::new(RealDisk))
    }

    fn open_on(config: LogConfig, clock: Clock, disk: Box<dyn Disk>) -> Result<Self, LogError> {
        let (shared, writer) = recovery::open(&config, clock.clone(), disk)?;
        let (queue, receiver) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(LogError::io("start the writer of", &config.directory))?;
        Ok(Self {
            shared,
            queue,
            queue_space: Arc::new(Semaphore::new(QUEUE_BYTES)),
            clock,
        })
    }

    /// Appends a request and returns once it is durable. Waits while the queue is full. A dropped call may
    /// have appended; the client's next attempt is then a repeat.
    ///
    /// # Errors
    /// The request was not taken; [`AppendError::is_retryable`] says whether it may be later.
    pub async fn append(&self, frame: NewFrame) -> Result<Appended, AppendError> {
        let bytes = frame_bytes(frame.key_id.len(), frame.payload.len());
        let max_bytes = (MAX_PAYLOAD_BYTES as u64).min(self.shared.max_bytes.saturating_sub(2 * SEGMENT_HEADER_BYTES));
        if bytes > max_bytes || frame.key_id.len() > MAX_KEY_ID_BYTES {
            return Err(AppendError::TooLarge { bytes, max_bytes });
        }
        let space = usize::try_from(bytes).unwrap_or(QUEUE_BYTES).min(QUEUE_BYTES) as u32;
        let queue_space = self
            .queue_space
            .clone()
            .acquire_many_owned(space)
            .await
            .map_err(|_| AppendError::Closed)?;
        let (received_time, steady_time) = (self.clock.now(), self.clock.steady());
        if frame.kind.recognises_repeats() {
            let admission = lock(&self.shared.repeats).admit(frame.content_hash, steady_time);
            match admission {
                Admission::Repeated => return Ok(self.count_repeat()),
                Admission::Wait(first) => {
                    drop(queue_space);
                    return first.await.map_err(|_| AppendError::Closed)?.map(|_| self.count_repeat());
                }
                Admission::New => {}
            }
        }
        let content_hash = frame.content_hash;
        let (answer, outcome) = oneshot::channel();
        // Should the writer have ended, the answer is dropped with the message.
        let _ended = self.queue.send(Message::Append(Append {
            frame,
            received_time,
            steady_time,
            answer,
            queue_space,
        }));
        outcome.await.unwrap_or_else(|_| {
            lock(&self.shared.repeats).refuse(content_hash, &AppendError::Closed);
            Err(AppendError::Closed)
        })
    }

    fn count_repeat(&self) -> Appended {
        self.shared.counters.repeated.fetch_add(1, Relaxed);
        Appended::Repeated
    }

    /// A reader that begins with the first frame at or after `from`, which has to be a position that the
    /// log gave out, or [`Position::default`] for the oldest frame.
    pub fn reader(&self, from: Position) -> LogReader {
        LogReader::new(self.shared.clone(), from)
    }

    /// Takes up the consumer of this name where it left off; a new one begins with the oldest frame that is
    /// still there, so whoever is to see all of them is named in [`LogConfig::consumers`].
    ///
    /// # Errors
    /// The name is not a plain word, or the file system refused.
    pub fn register_consumer(&self, name: &str) -> Result<Consumer, LogError> {
        Consumer::register(&self.shared, name)
    }

    /// Where the oldest frame lies.
    pub fn start(&self) -> Position {
        self.shared.start()
    }

    /// Where the next frame will be durable.
    pub fn head(&self) -> Position {
        *self.shared.head.borrow()
    }

    /// Bytes in the log from this position on.
    pub fn bytes_from(&self, position: Position) -> u64 {
        self.shared.bytes_from(position)
    }

    /// The random number that a segment was given when it was made; tells a log from one made anew. `None`
    /// when the segment is gone or its header is damaged.
    ///
    /// # Errors
    /// The file system refused.
    pub async fn segment_salt(&self, number: u64) -> Result<Option<u64>, LogError> {
        if self.shared.segment_at_or_after(number).is_none_or(|(found, _)| found != number) {
            return Ok(None);
        }
        let path = segment_path(&self.shared.directory, number);
        let opening = tokio::task::spawn_blocking(move || SegmentReader::open(&path, number));
        Ok(opening.await.expect("opening does not panic and is not aborted")?.salt())
    }

    /// How the log stands.
    pub fn status(&self) -> LogStatus {
        self.shared.status()
    }

    /// Writes what is queued, ends the writer and gives up the lock. Later appends are refused; readers
    /// end when they have read everything.
    pub async fn close(&self) {
        self.queue_space.close();
        let (done, ended) = oneshot::channel();
        if self.queue.send(Message::Close(done)).is_ok() {
            let _ended_before = ended.await;
        }
    }
}
