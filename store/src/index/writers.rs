//! Writes errors into their days, each exactly once.
//!
//! A commit carries, in the day's own metadata, the end of the last frame that it covers; a frame that a
//! commit covers is skipped when the log is read again. The consumer's place is only kept after every day has
//! committed, so a crash between the two loses nothing and doubles nothing. What was learnt of patterns is kept before any
//! day commits what it was learnt from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tantivy::IndexWriter;
use tantivy::indexer::{IndexWriterOptions, UserOperation};

use super::day::Day;
use super::document::IndexedError;
use super::schema::sequence_of;
use super::shelf::Shelf;
use super::tail::{Batch, Followers};
use super::{IndexError, position};
use crate::clock::UnixNanos;
use crate::patterns::Learner;
use crate::records::ErrorDocument;
use crate::wal::Position;

/// Days that are written at once; errors of more days take turns. Errors are mostly of today.
const MAX_OPEN_WRITERS: usize = 4;
/// Most memory of one writer before it goes to disk. It is taken as errors come, so between two commits few have much of it;
/// a backlog that is read makes segments that are merged seldom.
const WRITER_MEMORY_BYTES: usize = 128_000_000;
/// A writer without work for this long is closed, and with it its memory and threads.
const WRITER_IDLE_SECONDS: f64 = 60.0;

/// The errors of one frame.
pub(super) struct Fed {
    /// Where the frame lies.
    pub frame: Position,
    /// Where the next one begins.
    pub end: Position,
    /// Its errors, in order.
    pub errors: Vec<ErrorDocument>,
}

/// The days that are being written.
pub(super) struct Writers {
    shelf: Arc<Shelf>,
    open: HashMap<Day, DayWriter>,
    learner: Learner,
    followers: Followers,
    /// What followers are told of after the next commit.
    batch: Batch,
    /// End of the last frame that was fed.
    fed_up_to: Position,
    /// What the position file says.
    kept: Position,
}

struct DayWriter {
    writer: IndexWriter<IndexedError>,
    /// End of the last frame whose errors of this day were taken.
    covers: Position,
    dirty: bool,
    used_at: UnixNanos,
}

impl Writers {
    /// Writers over these days, going on where the position file says. `head` is the log's.
    pub fn open(shelf: Arc<Shelf>, head: Position, learner: Learner, followers: Followers) -> Result<Self, IndexError> {
        let mut kept = position::read(shelf.folder())?;
        if kept > head {
            kept = start_anew(&shelf)?;
        }
        Ok(Self {
            shelf,
            open: HashMap::new(),
            learner,
            followers,
            batch: Batch::default(),
            fed_up_to: kept,
            kept,
        })
    }

    /// Where to read the log from.
    pub fn position(&self) -> Position {
        self.fed_up_to
    }

    /// Whether errors wait for a commit.
    pub fn is_dirty(&self) -> bool {
        self.open.values().any(|day| day.dirty)
    }

    /// Whether the position file is behind.
    pub fn is_ahead(&self) -> bool {
        self.fed_up_to != self.kept
    }

    /// Takes the errors of the next frame. Errors of days past the retention are not taken.
    pub fn feed(&mut self, fed: Fed, now: UnixNanos) -> Result<(), IndexError> {
        let first_kept = self.shelf.first_kept(now);
        let mut by_day: BTreeMap<Day, Vec<(u64, ErrorDocument)>> = BTreeMap::new();
        for (index, error) in fed.errors.into_iter().enumerate() {
            let day = Day::of(error.time);
            if day >= first_kept {
                by_day.entry(day).or_default().push((sequence_of(fed.frame, index), error));
            }
        }
        for (day, errors) in by_day {
            self.feed_day(day, fed.end, errors, now)?;
        }
        self.fed_up_to = fed.end;
        Ok(())
    }

    fn feed_day(&mut self, day: Day, end: Position, errors: Vec<(u64, ErrorDocument)>, now: UnixNanos) -> Result<(), IndexError> {
        let fields = self.shelf.fields;
        self.open_writer(day, now)?;
        let Self {
            open,
            learner,
            followers,
            batch,
            ..
        } = self;
        let is_followed = followers.are_any();
        let writer = open.get_mut(&day).expect("it has just been opened");
        if end <= writer.covers {
            return Ok(());
        }
        // All at once: a hand-over wakes the thread that indexes.
        let mut documents = Vec::with_capacity(errors.len());
        for (sequence, mut error) in errors {
            learner.take(&mut error);
            if is_followed {
                batch.add((error.time.0, sequence), &error);
            }
            documents.push(UserOperation::Add(IndexedError::new(&fields, sequence, error)?));
        }
        writer.writer.run(documents)?;
        writer.covers = end;
        writer.dirty = true;
        Ok(())
    }

    fn open_writer(&mut self, day: Day, now: UnixNanos) -> Result<(), IndexError> {
        if !self.open.contains_key(&day) {
            if self.open.len() >= MAX_OPEN_WRITERS {
                self.close_longest_unused()?;
            }
            let writer = DayWriter::open(&self.shelf, day, now)?;
            self.open.insert(day, writer);
        }
        if let Some(writer) = self.open.get_mut(&day) {
            writer.used_at = now;
        }
        Ok(())
    }

    fn close_longest_unused(&mut self) -> Result<(), IndexError> {
        self.learner.keep()?;
        let longest_unused = self.open.iter().min_by_key(|(_, writer)| writer.used_at).map(|(day, _)| *day);
        if let Some(day) = longest_unused
            && let Some(mut writer) = self.open.remove(&day)
        {
            writer.commit(&self.shelf, day)?;
        }
        Ok(())
    }

    /// Commits every dirty day, so that what was fed can be found, and returns up to where.
    pub fn commit(&mut self, now: UnixNanos) -> Result<Position, IndexError> {
        self.learner.keep()?;
        for (day, writer) in &mut self.open {
            writer.commit(&self.shelf, *day)?;
        }
        self.open
            .retain(|_, writer| now.seconds_since(writer.used_at) < WRITER_IDLE_SECONDS);
        self.followers.tell(std::mem::take(&mut self.batch));
        Ok(self.fed_up_to)
    }

    /// Errors whose pattern's version, service or environment found no room among the sightings, since the last call.
    pub fn take_unsighted(&mut self) -> u64 {
        self.learner.take_refused()
    }

    /// Keeps the place. Only right after [`Self::commit`].
    pub fn keep_position(&mut self) -> Result<(), IndexError> {
        debug_assert!(!self.is_dirty(), "the place is kept only when every day has committed");
        position::write(self.shelf.folder(), self.fed_up_to)?;
        self.kept = self.fed_up_to;
        Ok(())
    }

    /// Commits one day only, as a process does that dies right after.
    #[cfg(test)]
    pub fn commit_day(&mut self, day: Day) -> Result<(), IndexError> {
        self.learner.keep()?;
        match self.open.get_mut(&day) {
            Some(writer) => writer.commit(&self.shelf, day),
            None => Ok(()),
        }
    }

    /// Commits, and waits for merges that are under way.
    #[cfg(test)]
    pub fn close_all(&mut self) -> Result<(), IndexError> {
        self.learner.keep()?;
        for (day, mut writer) in self.open.drain() {
            writer.commit(&self.shelf, day)?;
            writer.writer.wait_merging_threads()?;
        }
        Ok(())
    }

    /// Deletes the days past the retention.
    pub fn delete_expired(&mut self, now: UnixNanos) -> Result<(), IndexError> {
        for day in self.shelf.expired(now) {
            self.open.remove(&day);
            self.shelf.delete(day)?;
            tracing::info!(%day, "deleted the errors of a day past the retention");
        }
        Ok(())
    }
}

/// One thread that writes and one that merges: errors are few beside everything else.
pub(super) fn writer_options(memory_bytes: usize) -> IndexWriterOptions {
    IndexWriterOptions::builder()
        .memory_budget_per_thread(memory_bytes)
        .num_worker_threads(1)
        .num_merge_threads(1)
        .build()
}

impl DayWriter {
    fn open(shelf: &Shelf, day: Day, now: UnixNanos) -> Result<Self, IndexError> {
        let index = shelf.get_or_create(day)?;
        let writer = index.index.writer_with_options(writer_options(WRITER_MEMORY_BYTES))?;
        let covers = match index.index.load_metas()?.payload {
            Some(payload) => serde_json::from_str(&payload)?,
            None => Position::default(),
        };
        Ok(Self {
            writer,
            covers,
            dirty: false,
            used_at: now,
        })
    }

    /// Says that the day covers nothing of the log.
    fn forget_position(&mut self) -> Result<(), IndexError> {
        self.covers = Position::default();
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&serde_json::to_string(&self.covers)?);
        commit.commit()?;
        Ok(())
    }

    fn commit(&mut self, shelf: &Shelf, day: Day) -> Result<(), IndexError> {
        if !self.dirty {
            return Ok(());
        }
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&serde_json::to_string(&self.covers)?);
        commit.commit()?;
        self.dirty = false;
        if let Some(index) = shelf.get(day) {
            index.reader.reload()?;
        }
        Ok(())
    }
}

/// The log ends before the place that was kept: it is another log, which nothing here covers.
fn start_anew(shelf: &Shelf) -> Result<Position, IndexError> {
    tracing::warn!("the log is not the one that the error index was fed from; it reads the new one from its beginning");
    for (day, _) in shelf.newest_first() {
        DayWriter::open(shelf, day, UnixNanos::default())?.forget_position()?;
    }
    position::write(shelf.folder(), Position::default())?;
    Ok(Position::default())
}
