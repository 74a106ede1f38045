//! Stores batches: every unit once, then the marks, then the commit. One batch after the other.

use std::mem;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Decode;
use super::journal;
use super::planner::Batch;
use super::quarantine::Quarantine;
use super::retry::{Retry, Stopped};
use super::rows;
use super::sink::{Sink, SinkError};
use super::units::{Unit, UnitKey};
use crate::clickhouse::insert::Attempt;
use crate::clock::Clock;
use crate::wal::Consumer;

/// The inserter's task.
pub(super) struct Inserter<S> {
    pub sink: S,
    pub consumer: Consumer,
    pub decode: Arc<dyn Decode>,
    pub clock: Clock,
    pub journal_directory: PathBuf,
    pub quarantine: Arc<Quarantine>,
    pub retry: Retry,
}

/// The rows of a unit that come from some of the batch's frames.
struct Part {
    frames: Range<usize>,
    /// Names the part within the batch; the rest of its token.
    path: String,
    /// Made already; else they are made from the frames.
    unit: Option<Unit>,
}

impl Part {
    fn halves(&self) -> [Self; 2] {
        let Range { start, end } = self.frames;
        let middle = start + (end - start) / 2;
        let half = |frames, name| Self {
            frames,
            path: format!("{}/{name}", self.path),
            unit: None,
        };
        [half(start..middle, 0), half(middle..end, 1)]
    }
}

impl<S: Sink> Inserter<S> {
    /// Stores batches until there are no more or it is stopped.
    pub async fn run(self, mut batches: mpsc::Receiver<Batch>) {
        while let Some(batch) = batches.recv().await {
            if self.retry.cancel.is_cancelled() || self.store(batch).await.is_err() {
                return;
            }
        }
    }

    #[tracing::instrument(name = "drain.batch", level = "debug", skip_all)]
    async fn store(&self, mut batch: Batch) -> Result<(), Stopped> {
        for (key, unit) in mem::take(&mut batch.units) {
            self.store_unit(&mut batch, key, unit).await?;
        }
        let mut pauses = self.retry.pauses();
        while let Err(SinkError::Unavailable(error) | SinkError::Refused(error)) = self.sink.mark(&batch.dirty).await {
            pauses.after("mark what is dirty", error).await?;
        }
        let mut pauses = self.retry.pauses();
        while let Err(error) = self.consumer.commit(batch.record.range.clone()).await {
            pauses.after("commit a batch", error).await?;
        }
        self.retry.status.committed(batch.record.sequence, &batch.tally, self.clock.now());
        Ok(())
    }

    /// Stores a unit. What ClickHouse refuses is halved until the frame is found that it is about.
    async fn store_unit(&self, batch: &mut Batch, key: UnitKey, unit: Unit) -> Result<(), Stopped> {
        let mut parts = vec![Part {
            frames: 0..batch.frames.len(),
            path: key.to_string(),
            unit: Some(unit),
        }];
        while let Some(mut part) = parts.pop() {
            if batch.record.refused.contains(&part.path) {
                parts.extend(part.halves());
                continue;
            }
            let unit = match part.unit.take() {
                Some(unit) => unit,
                None => match self.make(batch, &part, key).await {
                    Some(unit) => unit,
                    None => continue,
                },
            };
            let token = format!("{}/{}", batch.record.token_prefix(), part.path);
            match self.insert(&unit, &token, batch.attempt).await? {
                Ok(missing) => {
                    *batch.tally.rows.entry(key.table.name()).or_default() += unit.count - missing.min(unit.count);
                    batch.tally.missing_rows += missing;
                }
                Err(reason) if part.frames.len() <= 1 => self.set_aside(batch, part, key, reason).await?,
                Err(_) => {
                    // Durable before the halves are tried: whole and halves must never both be stored.
                    batch.record.refused.push(part.path.clone());
                    self.rewrite(batch).await?;
                    parts.extend(part.halves());
                }
            }
        }
        Ok(())
    }

    /// Inserts until it is done, and says how many rows are missing, or refused, and says why.
    async fn insert(&self, unit: &Unit, token: &str, mut attempt: Attempt) -> Result<Result<u64, String>, Stopped> {
        let mut pauses = self.retry.pauses();
        loop {
            match self.sink.insert(&unit.rows, token, attempt).await {
                Ok(missing) => return Ok(Ok(missing)),
                Err(SinkError::Refused(reason)) => return Ok(Err(reason)),
                Err(SinkError::Unavailable(error)) => pauses.after("insert into ClickHouse", error).await?,
            }
            attempt = Attempt::Again;
        }
    }

    async fn make(&self, batch: &Batch, part: &Part, key: UnitKey) -> Option<Unit> {
        let (frames, notes) = (batch.frames.clone(), batch.record.notes.clone());
        let (decode, part) = (self.decode.clone(), part.frames.clone());
        let making = tokio::task::spawn_blocking(move || rows::make_part(&frames, part, &notes, key, decode.as_ref()));
        making.await.expect("decoding does not panic and is not aborted")
    }

    async fn rewrite(&self, batch: &Batch) -> Result<(), Stopped> {
        let mut pauses = self.retry.pauses();
        loop {
            let (directory, record) = (self.journal_directory.clone(), batch.record.clone());
            let writing = tokio::task::spawn_blocking(move || journal::replace(&directory, &record));
            match writing.await.expect("writing does not panic and is not aborted") {
                Ok(()) => return Ok(()),
                Err(error) => pauses.after("write the boundaries of a batch", error).await?,
            }
        }
    }

    async fn set_aside(&self, batch: &Batch, part: Part, key: UnitKey, reason: String) -> Result<(), Stopped> {
        let mut pauses = self.retry.pauses();
        loop {
            let (quarantine, frames) = (self.quarantine.clone(), batch.frames.clone());
            let (at, reason) = (part.frames.start, reason.clone());
            let writing = tokio::task::spawn_blocking(move || quarantine.add(&frames[at], &key.to_string(), &reason));
            match writing.await.expect("writing does not panic and is not aborted") {
                Ok(()) => break,
                Err(error) => pauses.after("set a refused frame aside", error).await?,
            }
        }
        let frame = &batch.frames[part.frames.start];
        let (segment, offset) = (frame.position.segment, frame.position.offset);
        tracing::error!(segment, offset, rows = %key, "ClickHouse refuses what a request holds: it is set aside in the quarantine folder");
        self.retry.status.quarantined();
        Ok(())
    }
}
