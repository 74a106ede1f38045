//! Makes batches: collects frames, decodes and joins them, and writes the batch's boundaries before anybody
//! else sees it.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::dirty::Dirty;
use super::journal::{BatchRecord, Journal};
use super::labels::Labels;
use super::lanes::{Collected, Lanes, Next};
use super::recent::RecentIds;
use super::retry::{Retry, Stopped};
use super::rows::{self, NewRows, Rows};
use super::status::Tally;
use super::units::Units;
use super::{Bounds, Decode};
use crate::clickhouse::insert::Attempt;
use crate::clock::{Clock, UnixNanos};
use crate::wal::{Consumer, Frame, Log, LogError, Position};

/// A batch whose boundaries are durable.
pub(super) struct Batch {
    pub record: BatchRecord,
    pub frames: Arc<Vec<Frame>>,
    pub units: Units,
    pub dirty: Dirty,
    pub tally: Tally,
    /// Whether an earlier run may have inserted some of it.
    pub attempt: Attempt,
}

/// The planner's task.
pub(super) struct Planner {
    pub log: Log,
    pub consumer: Consumer,
    pub decode: Arc<dyn Decode>,
    pub clock: Clock,
    pub bounds: Bounds,
    pub journal: Journal,
    pub memory: RecentIds,
    pub labels: Labels,
    pub retry: Retry,
}

impl Planner {
    /// Sends the batches that an earlier run has left, as they were, and then new ones, until it is stopped
    /// or nobody takes them.
    pub async fn run(mut self, unfinished: Vec<BatchRecord>, batches: mpsc::Sender<Batch>) {
        // Being stopped is no failure: what is not done stays in the log.
        let _stopped = self.send_all(unfinished, batches).await;
    }

    async fn send_all(&mut self, unfinished: Vec<BatchRecord>, batches: mpsc::Sender<Batch>) -> Result<(), Stopped> {
        let mut done = self.consumer.committed();
        for record in unfinished {
            let room = batches.reserve().await.map_err(|_| Stopped)?;
            if let Some(batch) = self.take_up(record).await? {
                done.insert(batch.record.range.clone());
                self.announce(&batch, None);
                room.send(batch);
            }
        }
        let mut lanes = Lanes::new(&self.log, self.bounds, self.retry.pace, &done);
        loop {
            // Collecting begins when the batch can be handed on: under load it then fills up.
            let room = batches.reserve().await.map_err(|_| Stopped)?;
            match self.next(&mut lanes).await? {
                Next::Ended => return Ok(()),
                Next::StretchRead(rest) => {
                    self.commit_empty(rest).await?;
                    self.retry.status.backlog_reached(lanes.backlog_reached());
                }
                Next::Frames(collected) => {
                    let batch = self.plan(&mut lanes, collected).await?;
                    self.announce(&batch, lanes.backlog_reached());
                    room.send(batch);
                }
            }
        }
    }

    fn announce(&self, batch: &Batch, backlog_reached: Option<UnixNanos>) {
        let first_received = batch.frames.iter().map(|frame| frame.received_time).min();
        self.retry.status.planned(batch.record.sequence, first_received, backlog_reached);
    }

    async fn next(&self, lanes: &mut Lanes) -> Result<Next, Stopped> {
        let mut pauses = self.retry.pauses();
        loop {
            match lanes.next(&self.retry.cancel).await {
                Ok(next) => return Ok(next),
                Err(error) => pauses.after("read the log", error).await?,
            }
        }
    }

    /// Makes a new batch and writes its boundaries.
    async fn plan(&mut self, lanes: &mut Lanes, mut collected: Collected) -> Result<Batch, Stopped> {
        let now = self.clock.now();
        let (mut frames, made) = self.make(mem::take(&mut collected.frames), now).await;
        let left = frames.split_off(made.used);
        let range = lanes.planned(&collected, &frames, left);
        let record = BatchRecord {
            sequence: self.journal.next_sequence(),
            nonce: rand::random(),
            planned_at: now,
            range,
            salt: self.salt_of(&frames).await?.unwrap_or_default(),
            notes: made.notes,
            learnt: made.learnt,
            refused: Vec::new(),
        };
        self.keep_labels().await?;
        self.write(&record).await?;
        Ok(batch(record, frames, made.rows, Attempt::First))
    }

    async fn make(&mut self, frames: Vec<Frame>, now: UnixNanos) -> (Vec<Frame>, NewRows) {
        let (decode, bounds) = (self.decode.clone(), self.bounds);
        let (mut memory, mut labels) = (mem::take(&mut self.memory), mem::take(&mut self.labels));
        let making = tokio::task::spawn_blocking(move || {
            let made = rows::make(&frames, &bounds, decode.as_ref(), &mut memory, &mut labels, now);
            (frames, made, memory, labels)
        });
        let (frames, made, memory, labels) = making.await.expect("decoding does not panic and is not aborted");
        (self.memory, self.labels) = (memory, labels);
        (frames, made)
    }

    async fn keep_labels(&mut self) -> Result<(), Stopped> {
        let mut pauses = self.retry.pauses();
        loop {
            let mut labels = mem::take(&mut self.labels);
            let keeping = tokio::task::spawn_blocking(move || {
                let kept = labels.keep();
                (labels, kept)
            });
            let (labels, kept) = keeping.await.expect("writing does not panic and is not aborted");
            self.labels = labels;
            match kept {
                Ok(()) => return Ok(()),
                Err(error) => pauses.after("write the known labels", error).await?,
            }
        }
    }

    async fn write(&mut self, record: &BatchRecord) -> Result<(), Stopped> {
        let committed = self.consumer.committed();
        let now = self.clock.now();
        let mut pauses = self.retry.pauses();
        loop {
            let (mut journal, record) = (mem::take(&mut self.journal), record.clone());
            let committed = committed.clone();
            let writing = tokio::task::spawn_blocking(move || {
                journal.forget(now, |range| committed.covers(range));
                let written = journal.add(&record);
                (journal, written)
            });
            let (journal, written) = writing.await.expect("writing does not panic and is not aborted");
            self.journal = journal;
            match written {
                Ok(()) => return Ok(()),
                Err(error) => pauses.after("write the boundaries of a batch", error).await?,
            }
        }
    }

    /// Makes a batch of an earlier run again. `None` when the log is not the one that it was made from.
    async fn take_up(&mut self, record: BatchRecord) -> Result<Option<Batch>, Stopped> {
        let mut pauses = self.retry.pauses();
        let frames = loop {
            match self.read(record.range.clone()).await {
                Ok(frames) => break frames,
                Err(error) => pauses.after("read a batch again", error).await?,
            }
        };
        if !frames.is_empty() && self.salt_of(&frames).await?.is_some_and(|salt| salt != record.salt) {
            tracing::error!(
                sequence = record.sequence,
                "a batch of an earlier run belongs to another log: its boundaries are given up"
            );
            if let Err(error) = self.journal.remove(&record) {
                tracing::warn!(%error, "cannot delete the boundaries of a batch");
            }
            return Ok(None);
        }
        let decode = self.decode.clone();
        let memory = mem::take(&mut self.memory);
        let making = tokio::task::spawn_blocking(move || {
            let rows = rows::make_again(&frames, &record.notes, decode.as_ref(), &memory);
            (batch(record, frames, rows, Attempt::Again), memory)
        });
        let (batch, memory) = making.await.expect("decoding does not panic and is not aborted");
        self.memory = memory;
        Ok(Some(batch))
    }

    /// The frames that begin in a range.
    async fn read(&self, range: Range<Position>) -> Result<Vec<Frame>, LogError> {
        let mut reader = self.log.reader(range.start);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_ready().await?.filter(|frame| frame.position < range.end) {
            frames.push(frame);
        }
        Ok(frames)
    }

    async fn salt_of(&self, frames: &[Frame]) -> Result<Option<u64>, Stopped> {
        let Some(first) = frames.first() else { return Ok(None) };
        let mut pauses = self.retry.pauses();
        loop {
            match self.log.segment_salt(first.position.segment).await {
                Ok(salt) => return Ok(salt),
                Err(error) => pauses.after("read a segment's header", error).await?,
            }
        }
    }

    async fn commit_empty(&self, range: Range<Position>) -> Result<(), Stopped> {
        let mut pauses = self.retry.pauses();
        while !range.is_empty()
            && let Err(error) = self.consumer.commit(range.clone()).await
        {
            pauses.after("commit a stretch without frames", error).await?;
        }
        Ok(())
    }
}

fn batch(record: BatchRecord, frames: Vec<Frame>, rows: Rows, attempt: Attempt) -> Batch {
    Batch {
        record,
        frames: Arc::new(frames),
        units: rows.units,
        dirty: rows.dirty,
        tally: rows.tally,
        attempt,
    }
}
