//! Consumers: who reads the log, and what each has dealt with for good.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ranges::RangeSet;
use super::segment::SEGMENT_HEADER_BYTES;
use super::shared::{Segment, Shared, lock};
use super::{LogError, Position};
use crate::durable_file;

const EXTENSION: &str = "consumer";

/// What one consumer has committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Committed(RangeSet);

impl Committed {
    /// Whether it has committed every frame of a segment.
    pub fn completes(&self, number: u64, segment: Segment) -> bool {
        self.0.covers(&frames_of(number, segment))
    }

    /// Bytes that it has not committed.
    pub fn backlog_bytes(&self, segments: &BTreeMap<u64, Segment>) -> u64 {
        let gaps = segments
            .iter()
            .flat_map(|(number, segment)| self.0.gaps(frames_of(*number, *segment)));
        gaps.map(|gap| gap.end.offset - gap.start.offset).sum()
    }

    /// The end of everything that it has committed.
    pub fn end(&self) -> Option<Position> {
        self.0.end()
    }

    /// Segments that are gone count as committed, as one range.
    fn forget_before(&mut self, start: Position) {
        self.0.insert(Position::default()..start);
    }
}

fn frames_of(number: u64, segment: Segment) -> Range<Position> {
    let at = |offset| Position { segment: number, offset };
    at(SEGMENT_HEADER_BYTES)..at(segment.bytes)
}

fn path_of(directory: &Path, name: &str) -> PathBuf {
    directory.join(name).with_extension(EXTENSION)
}

/// Reads what all consumers that ever registered have committed.
pub(super) fn load_all(directory: &Path) -> Result<BTreeMap<String, Committed>, LogError> {
    let mut consumers = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(LogError::io("list", directory))? {
        let path = entry.map_err(LogError::io("list", directory))?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            consumers.insert(name.to_owned(), load(&path)?);
        }
    }
    Ok(consumers)
}

fn load(path: &Path) -> Result<Committed, LogError> {
    let damaged = |reason: String| LogError::Consumer {
        path: path.to_owned(),
        reason,
    };
    let content = fs::read_to_string(path).map_err(LogError::io("read", path))?;
    let (ranges, crc) = content
        .trim_end()
        .rsplit_once('\n')
        .ok_or_else(|| damaged("it is cut".to_owned()))?;
    if crc != checksum(ranges) {
        return Err(damaged("its checksum is wrong".to_owned()));
    }
    Ok(Committed(serde_json::from_str(ranges).map_err(|error| damaged(error.to_string()))?))
}

fn save(path: &Path, committed: &Committed) -> Result<(), LogError> {
    let ranges = serde_json::to_string(&committed.0).expect("ranges of numbers are JSON");
    let content = format!("{ranges}\n{}\n", checksum(&ranges));
    durable_file::replace(path, content.as_bytes()).map_err(LogError::io("write", path))
}

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32c::crc32c(text.as_bytes()))
}

/// One consumer's hold on the log: a segment stays until every consumer has committed all of it.
#[derive(Clone)]
pub struct Consumer {
    shared: Arc<Shared>,
    name: String,
}

impl Consumer {
    /// Takes up a consumer where it left off; a new one begins with the oldest frame that is there.
    pub(super) fn register(shared: &Arc<Shared>, name: &str) -> Result<Self, LogError> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return Err(LogError::ConsumerName { name: name.to_owned() });
        }
        let _one_at_a_time = lock(&shared.committing);
        let known = lock(&shared.consumers).contains_key(name);
        if !known {
            let mut committed = Committed::default();
            committed.forget_before(shared.start());
            save(&path_of(&shared.directory, name), &committed)?;
            lock(&shared.consumers).insert(name.to_owned(), committed);
        }
        Ok(Self {
            shared: shared.clone(),
            name: name.to_owned(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that it has committed.
    pub fn committed(&self) -> RangeSet {
        lock(&self.shared.consumers)
            .get(&self.name)
            .map(|committed| committed.0.clone())
            .unwrap_or_default()
    }

    /// Where the first frame lies that it has not committed.
    pub fn position(&self) -> Position {
        let start = self.shared.start();
        let head = *self.shared.head.borrow();
        self.committed().gaps(start..head).first().map_or(head, |gap| gap.start)
    }

    /// Bytes in the log that it has not committed.
    pub fn backlog_bytes(&self) -> u64 {
        let consumers = lock(&self.shared.consumers);
        let segments = lock(&self.shared.segments);
        consumers.get(&self.name).map_or(0, |committed| committed.backlog_bytes(&segments))
    }

    /// Commits everything before `position`, durably.
    ///
    /// # Errors
    /// The file system refused; nothing has changed.
    pub async fn commit_up_to(&self, position: Position) -> Result<(), LogError> {
        self.commit(Position::default()..position).await
    }

    /// Commits a range, durably, and deletes the segments that nobody needs any more.
    ///
    /// # Errors
    /// The file system refused; nothing has changed.
    pub async fn commit(&self, range: Range<Position>) -> Result<(), LogError> {
        let consumer = self.clone();
        let committing = tokio::task::spawn_blocking(move || consumer.commit_blocking(range));
        committing.await.expect("a commit does not panic and is not aborted")
    }

    fn commit_blocking(&self, range: Range<Position>) -> Result<(), LogError> {
        let _one_at_a_time = lock(&self.shared.committing);
        let mut committed = Committed(self.committed());
        committed.forget_before(self.shared.start());
        committed.0.insert(range);
        save(&path_of(&self.shared.directory, &self.name), &committed)?;
        lock(&self.shared.consumers).insert(self.name.clone(), committed);
        self.shared.delete_committed();
        Ok(())
    }
}
