//! The error index: one tantivy index per day of errors, fed from the log.
//!
//! The flow: [`run`] reads the log as a consumer of its own, decodes each frame and feeds its errors to the
//! days that they belong to (`writers`); what is dirty is committed within [`COMMIT_INTERVAL`], so that an error
//! is found within a second of its acknowledgement. [`ErrorIndex::search`] parses what a person typed
//! ([`query`]), plans it for tantivy, and collects hits, facets and a histogram in one pass over the days
//! (`collect`), newest first.
//!
//! Formats: a folder per UTC day, named by its date; in its metadata the end of the last frame that it covers;
//! beside the days a file `position`, from where the log is read after a start. Deliberately absent: deletion of
//! single errors and ranking; hits are ordered by time.

mod analyzer;
mod attributes;
mod collect;
mod day;
mod document;
mod highlight;
mod lookup;
mod patterns;
mod place;
mod points;
mod position;
pub mod query;
mod rebuild;
mod run;
mod schema;
mod search;
mod searched;
mod shelf;
mod source;
mod suggest;
mod tail;
mod writers;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tantivy::TantivyError;
use tokio::sync::{Semaphore, watch};

use crate::clock::{Clock, UnixNanos};
use attributes::Attributes;
pub use attributes::{AttributeKind, AttributeKinds, MAX_LISTED_ATTRIBUTES};
pub use day::Day;
pub use highlight::Part;
pub(crate) use highlight::{highlight, needles};
pub use lookup::{LookupError, LookupRequest, LookupResponse, MAX_ANSWER_BYTES, MAX_BUCKETS, MAX_WINDOW, column_of, place_of};
pub use patterns::{FoundPatterns, MAX_PATTERNS, PatternCount, PatternHours};
pub use place::{HitKey, Order};
use points::Points;
pub use points::{MAX_POINT_IDLE, MAX_POINTS, PointId};
pub use rebuild::Batch;
pub use run::{COMMIT_INTERVAL, CONSUMER, run};
pub use search::{Facet, Histogram, Hit, MAX_LIMIT, SearchError, SearchRequest, SearchResponse};
pub(crate) use search::{MAX_HITS_BYTES, MAX_SHOWN_VALUES, MAX_STEPS, PATIENCE, SEARCHES_AT_ONCE, steps_over};
pub use shelf::DayStatus;
use shelf::Shelf;
pub(crate) use suggest::{MAX_SUGGESTIONS, Typed, field_names_beginning, quoted as suggested_value, typed};
pub use suggest::{SuggestRequest, Suggestion, Suggestions};
use tail::Followers;
pub use tail::{Followed, Tail};

/// How many days of errors are kept unless the configuration says otherwise: as long as raw telemetry.
pub const DEFAULT_RETENTION_DAYS: u32 = 30;

/// Where the index lies and how long it keeps errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexConfig {
    /// Its folder; made where there is none.
    pub directory: PathBuf,
    /// Days of errors that are kept, by event time.
    pub retention_days: u32,
}

impl IndexConfig {
    /// An index in this folder, with the default retention.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            retention_days: DEFAULT_RETENTION_DAYS,
        }
    }
}

/// What can go wrong with the index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file cannot be read or written.
    #[error("the error index: {0}")]
    Io(#[from] std::io::Error),
    /// tantivy failed.
    #[error("the error index: {0}")]
    Tantivy(#[from] TantivyError),
    /// What was stored does not read back.
    #[error("the error index holds what this version cannot read: {0}")]
    Value(#[from] serde_json::Error),
    /// The log cannot be read.
    #[error("the error index reads the log: {0}")]
    Log(#[from] crate::wal::LogError),
    /// What was learnt of patterns cannot be kept or read.
    #[error("the error index keeps its patterns: {0}")]
    State(#[from] crate::state::StateError),
}

/// How the index is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexStatus {
    /// Errors that can be found.
    pub documents: u64,
    /// Bytes of all days on disk, as of the last commit.
    pub bytes: u64,
    /// Receive time of the oldest frame that was read but is not committed; `None`: nothing waits.
    pub oldest_waiting: Option<UnixNanos>,
    /// Commits that made new errors visible, since the start.
    pub commits: u64,
    /// Failures since the start; each was followed by another try from the last commit.
    pub failures: u64,
    /// The last failure in words, until a commit succeeds.
    pub failing: Option<String>,
    /// What was cut or left out of errors since the start, by reason.
    pub cut: BTreeMap<&'static str, u64>,
}

/// The index. A cheap handle: clones share everything.
#[derive(Clone)]
pub struct ErrorIndex {
    shelf: Arc<Shelf>,
    turns: Arc<Semaphore>,
    /// The turn of counts for rules.
    counting: Arc<Semaphore>,
    clock: Clock,
    attributes: Arc<Attributes>,
    points: Arc<Points>,
    followers: Followers,
    status: watch::Sender<IndexStatus>,
}

impl fmt::Debug for ErrorIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorIndex")
            .field("folder", &self.shelf.folder())
            .finish_non_exhaustive()
    }
}

impl ErrorIndex {
    /// Opens or creates the folder of indexes.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(config: &IndexConfig, clock: &Clock) -> Result<Self, IndexError> {
        let shelf = Shelf::open(&config.directory, config.retention_days)?;
        for day in shelf.expired(clock.now()) {
            shelf.delete(day)?;
        }
        let status = IndexStatus {
            documents: shelf.documents(),
            bytes: shelf.bytes()?,
            ..IndexStatus::default()
        };
        Ok(Self {
            shelf: Arc::new(shelf),
            turns: Arc::new(Semaphore::new(search::SEARCHES_AT_ONCE)),
            counting: Arc::new(Semaphore::new(1)),
            clock: clock.clone(),
            attributes: Arc::default(),
            points: Arc::default(),
            followers: Followers::default(),
            status: watch::Sender::new(status),
        })
    }

    /// The days that there are, newest first.
    pub fn existing_days(&self) -> Vec<Day> {
        self.shelf.newest_first().into_iter().map(|(day, _)| day).collect()
    }

    /// What each day holds, newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn days(&self) -> Result<Vec<DayStatus>, IndexError> {
        let shelf = self.shelf.clone();
        let listed = tokio::task::spawn_blocking(move || shelf.statuses());
        listed.await.map_err(std::io::Error::other)?
    }

    /// How the index is doing, now and when that changes.
    pub fn status(&self) -> watch::Receiver<IndexStatus> {
        self.status.subscribe()
    }
}
