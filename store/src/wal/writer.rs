//! The one thread that writes: takes what has queued up, writes it, fsyncs once, answers all of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::disk::{Disk, SegmentFile, is_out_of_room, write_all_at};
use super::frame::{encode_header, frame_bytes};
use super::repeats::{Answer, REPEAT_WINDOW_SECONDS, Seen, hashes_path, still_recognised, write_hashes};
use super::segment::{SEGMENT_HEADER_BYTES, encode_segment_header, segment_path};
use super::shared::{Segment, Shared, lock};
use super::{AppendError, Appended, NewFrame, Position};
use crate::clock::{Clock, UnixNanos};

/// Bytes written at once: frames are gathered up to this size, larger payloads go straight to the disk.
pub(super) const WRITE_BUFFER_BYTES: usize = 256 << 10;
/// Most bytes that share one fsync: what a slow disk (100 MB/s) writes in 80 ms, so that the first of a
/// group does not wait for the last.
const MAX_GROUP_BYTES: u64 = 8 << 20;

/// What appenders send to the writer.
pub(super) enum Message {
    Append(Append),
    /// Write what came before, then end.
    Close(oneshot::Sender<()>),
}

/// A frame in the queue.
pub(super) struct Append {
    pub frame: NewFrame,
    pub received_time: UnixNanos,
    /// The same by the clock that nobody sets.
    pub steady_time: UnixNanos,
    pub answer: oneshot::Sender<Answer>,
    /// Its share of the queue's bytes, given back when the frame is answered.
    pub queue_space: OwnedSemaphorePermit,
}

impl Append {
    fn bytes(&self) -> u64 {
        frame_bytes(self.frame.key_id.len(), self.frame.payload.len())
    }
}

/// A frame that is written but not yet durable.
struct Written {
    position: Position,
    seen: Option<Seen>,
    answer: oneshot::Sender<Answer>,
    _queue_space: OwnedSemaphorePermit,
}

/// The segment that is being appended to.
pub(super) struct Active {
    pub number: u64,
    pub salt: u64,
    pub file: Box<dyn SegmentFile>,
    /// Bytes that are durable.
    pub durable_bytes: u64,
    /// What of it may be repeated.
    pub seen: Vec<Seen>,
}

/// The writer's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    disk: Box<dyn Disk>,
    clock: Clock,
    segment_bytes: u64,
    head: watch::Sender<Position>,
    active: Active,
    /// Bytes handed to the file or in the buffer, beyond those that are durable.
    pending_bytes: u64,
    buffer: Vec<u8>,
    written: Vec<Written>,
    /// Files of hashes on the disk, and when, by the clock that nobody sets, their newest request was received.
    hash_files: BTreeMap<u64, UnixNanos>,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        disk: Box<dyn Disk>,
        clock: Clock,
        segment_bytes: u64,
        head: watch::Sender<Position>,
        active: Active,
        hash_files: BTreeMap<u64, UnixNanos>,
    ) -> Self {
        let buffer = Vec::with_capacity(WRITE_BUFFER_BYTES);
        Self {
            shared,
            disk,
            clock,
            segment_bytes,
            head,
            active,
            pending_bytes: 0,
            buffer,
            written: Vec::new(),
            hash_files,
        }
    }

    /// Writes until the log is closed or its last handle is gone.
    pub fn run(mut self, mut queue: mpsc::UnboundedReceiver<Message>) {
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = queue.blocking_recv() else { break };
            let mut next = Some(first);
            let mut group_bytes = 0;
            while let Some(message) = next {
                match message {
                    Message::Append(append) => {
                        group_bytes += append.bytes();
                        self.place(append);
                    }
                    Message::Close(done) => {
                        closing = Some(done);
                        break;
                    }
                }
                next = if group_bytes < MAX_GROUP_BYTES {
                    queue.try_recv().ok()
                } else {
                    None
                };
            }
            self.commit();
        }
        *lock(&self.shared.lock_file) = None;
        // Closes the watch of the head: readers that have read everything end.
        drop(self);
        if let Some(done) = closing {
            let _gone = done.send(());
        }
    }

    /// Writes a frame, or refuses it.
    fn place(&mut self, append: Append) {
        if let Err(error) = self.make_room(append.bytes()) {
            return self.refuse(append, error);
        }
        let offset = self.active.durable_bytes + self.pending_bytes;
        let header = encode_header(&append.frame, append.received_time, self.active.salt, offset);
        let position = Position {
            segment: self.active.number,
            offset,
        };
        let recognised = append.frame.kind.recognises_repeats();
        self.written.push(Written {
            position,
            seen: recognised.then_some(Seen {
                content_hash: append.frame.content_hash,
                received_time: append.steady_time,
            }),
            answer: append.answer,
            _queue_space: append.queue_space,
        });
        let parts = [&header[..], append.frame.key_id.as_bytes(), &append.frame.payload];
        if let Err(error) = parts.into_iter().try_for_each(|part| self.write(part)) {
            self.give_up_group(&error);
        }
    }

    /// Makes sure that a frame of this size may follow.
    fn make_room(&mut self, bytes: u64) -> Result<(), AppendError> {
        let used = self.active.durable_bytes + self.pending_bytes;
        if used > SEGMENT_HEADER_BYTES && used + bytes > self.segment_bytes {
            self.commit();
            self.rotate()?;
        }
        self.check_poison()?;
        if self.has_room(bytes) {
            return Ok(());
        }
        // What is full may hold nothing but frames that everybody has committed.
        self.commit();
        self.check_poison()?;
        if self.active_is_done_with() {
            self.rotate()?;
        }
        if self.has_room(bytes) {
            Ok(())
        } else {
            Err(self.full("its bound is reached".to_owned()))
        }
    }

    fn check_poison(&self) -> Result<(), AppendError> {
        match self.shared.poisoned.get() {
            Some(reason) => Err(AppendError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.shared.bytes() + self.pending_bytes + bytes <= self.shared.max_bytes
    }

    fn active_is_done_with(&self) -> bool {
        let active = Segment {
            bytes: self.active.durable_bytes,
            sealed: false,
        };
        let consumers = lock(&self.shared.consumers);
        active.bytes > SEGMENT_HEADER_BYTES && !consumers.is_empty() && consumers.values().all(|c| c.completes(self.active.number, active))
    }

    fn full(&self, reason: String) -> AppendError {
        self.shared.full.store(true, Relaxed);
        AppendError::Full {
            bytes: self.shared.bytes(),
            max_bytes: self.shared.max_bytes,
            reason,
        }
    }

    fn write(&mut self, part: &[u8]) -> io::Result<()> {
        if self.buffer.len() + part.len() > WRITE_BUFFER_BYTES {
            self.flush()?;
        }
        self.pending_bytes += part.len() as u64;
        if part.len() < WRITE_BUFFER_BYTES {
            self.buffer.extend_from_slice(part);
            return Ok(());
        }
        let offset = self.active.durable_bytes + self.pending_bytes - part.len() as u64;
        write_all_at(self.active.file.as_mut(), part, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        let offset = self.active.durable_bytes + self.pending_bytes - self.buffer.len() as u64;
        write_all_at(self.active.file.as_mut(), &self.buffer, offset)?;
        self.buffer.clear();
        Ok(())
    }

    /// Makes what is written durable, shows it to readers, and answers it.
    fn commit(&mut self) {
        if self.written.is_empty() {
            return;
        }
        if let Err(error) = self.flush() {
            return self.give_up_group(&error);
        }
        if let Err(error) = self.active.file.sync() {
            return self.poison(&format!("an fsync failed: {error}"));
        }
        let bytes = std::mem::take(&mut self.pending_bytes);
        self.active.durable_bytes += bytes;
        self.shared.full.store(false, Relaxed);
        self.publish(false);
        let counters = &self.shared.counters;
        counters.frames.fetch_add(self.written.len() as u64, Relaxed);
        counters.frame_bytes.fetch_add(bytes, Relaxed);
        counters.groups.fetch_add(1, Relaxed);
        let mut repeats = lock(&self.shared.repeats);
        for written in self.written.drain(..) {
            if let Some(seen) = written.seen {
                self.active.seen.push(seen);
                repeats.settle(seen);
            }
            let _gone = written.answer.send(Ok(Appended::New(written.position)));
        }
    }

    fn publish(&self, sealed: bool) {
        lock(&self.shared.segments).insert(
            self.active.number,
            Segment {
                bytes: self.active.durable_bytes,
                sealed,
            },
        );
        self.head.send_replace(Position {
            segment: self.active.number,
            offset: self.active.durable_bytes,
        });
    }

    /// A write failed: without room the group is refused and the log goes on, else it is poisoned.
    fn give_up_group(&mut self, error: &io::Error) {
        if !is_out_of_room(error) {
            return self.poison(&format!("a write failed: {error}"));
        }
        if let Err(error) = self.active.file.truncate(self.active.durable_bytes) {
            return self.poison(&format!("the disk is full, and what was half written cannot be removed: {error}"));
        }
        tracing::warn!(%error, "the disk is full: requests are refused until there is room");
        let refusal = self.full(error.to_string());
        self.refuse_written(&refusal);
    }

    fn poison(&mut self, reason: &str) {
        tracing::error!(reason, "the log takes nothing until a restart");
        let reason = self.shared.poisoned.get_or_init(|| reason.to_owned()).clone();
        // After a failed fsync the system may show pages that never reached the disk. Nobody was told that
        // they are safe, so nobody shall find them after a restart either.
        if let Err(error) = self.active.file.truncate(self.active.durable_bytes) {
            tracing::warn!(%error, "cannot cut what was not made durable");
        }
        self.refuse_written(&AppendError::Poisoned { reason });
    }

    fn refuse_written(&mut self, error: &AppendError) {
        self.buffer.clear();
        self.pending_bytes = 0;
        self.shared.counters.refused.fetch_add(self.written.len() as u64, Relaxed);
        let mut repeats = lock(&self.shared.repeats);
        for written in self.written.drain(..) {
            if let Some(seen) = written.seen {
                repeats.refuse(seen.content_hash, error);
            }
            let _gone = written.answer.send(Err(error.clone()));
        }
    }

    fn refuse(&self, append: Append, error: AppendError) {
        self.shared.counters.refused.fetch_add(1, Relaxed);
        if append.frame.kind.recognises_repeats() {
            lock(&self.shared.repeats).refuse(append.frame.content_hash, &error);
        }
        let _gone = append.answer.send(Err(error));
    }

    /// Seals the active segment, everything of which is durable, and begins the next.
    fn rotate(&mut self) -> Result<(), AppendError> {
        self.check_poison()?;
        let now = self.clock.steady();
        let recognised = still_recognised(&self.active.seen, now, self.clock.now());
        let hashes = hashes_path(&self.shared.directory, self.active.number);
        write_hashes(&hashes, &recognised).map_err(|error| self.full(format!("cannot write {}: {error}", hashes.display())))?;
        let next = self.create_segment(self.active.number + 1)?;
        let newest = self.active.seen.iter().map(|seen| seen.received_time).max();
        self.hash_files.insert(self.active.number, newest.unwrap_or(now));
        self.publish(true);
        self.active = next;
        self.publish(false);
        self.shared.delete_committed();
        self.delete_old_hashes(now);
        Ok(())
    }

    fn create_segment(&mut self, number: u64) -> Result<Active, AppendError> {
        create_segment(self.disk.as_mut(), &self.shared.directory, number).map_err(|failure| match failure {
            CreateFailure::NoRoom(error) => self.full(format!("cannot create a segment: {error}")),
            CreateFailure::NotDurable(error) => {
                self.poison(&format!("a new segment could not be made durable: {error}"));
                AppendError::Poisoned {
                    reason: self.shared.poisoned.get().cloned().unwrap_or_default(),
                }
            }
        })
    }

    fn delete_old_hashes(&mut self, now: UnixNanos) {
        let oldest_kept = now.plus_seconds(-REPEAT_WINDOW_SECONDS);
        self.hash_files.retain(|number, newest| {
            let path = hashes_path(&self.shared.directory, *number);
            *newest >= oldest_kept || fs::remove_file(&path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
        });
    }
}

impl Drop for Writer {
    /// Whoever waits for a request that will never be written has to be told.
    fn drop(&mut self) {
        lock(&self.shared.repeats).refuse_pending(&AppendError::Closed);
    }
}

/// Why there is no new segment.
pub(super) enum CreateFailure {
    /// It could not be created or written; nothing is lost and it may be tried again.
    NoRoom(io::Error),
    /// An fsync failed.
    NotDurable(io::Error),
}

/// Creates a segment with its header, durable together with its entry in the folder.
pub(super) fn create_segment(disk: &mut dyn Disk, directory: &Path, number: u64) -> Result<Active, CreateFailure> {
    let path = segment_path(directory, number);
    let salt = rand::random();
    let mut file = disk.create(&path).map_err(CreateFailure::NoRoom)?;
    if let Err(error) = write_all_at(file.as_mut(), &encode_segment_header(number, salt), 0) {
        // An empty or cut file without frames is replaced by the next attempt.
        return Err(CreateFailure::NoRoom(error));
    }
    file.sync().map_err(CreateFailure::NotDurable)?;
    disk.sync_directory(directory).map_err(CreateFailure::NotDurable)?;
    Ok(Active {
        number,
        salt,
        file,
        durable_bytes: SEGMENT_HEADER_BYTES,
        seen: Vec::new(),
    })
}
