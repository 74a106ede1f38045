//! Reads the log, decodes it and commits batches to ClickHouse, each exactly once.
//!
//! ```text
//! log ─► lanes ─► planner: decode, join halves, split ─► journal (fsync) ─► inserter ─► ClickHouse, one
//!                    ▲                                                        │       unit per table and day
//!                    └── memory of recent inferences                         ├─► dirty minutes (state)
//!                                                                            └─► commit of the range (log)
//! ```
//!
//! The folder holds `batches/` (the journal: the boundaries of each batch, durable before its first insert,
//! with everything that its rows take from earlier batches), `labels` (the models and values of labels that
//! are known, which are bounded) and `quarantine/` (frames that ClickHouse refuses). After a crash a batch that is not committed is made again from its frames and its record, so
//! its rows and tokens are the same and ClickHouse drops what it has already.
//!
//! What always holds: a range is committed only after everything in it is stored and marked; nothing is
//! dropped or skipped, a step that fails is tried again for ever; a request that ClickHouse refuses does not
//! hold up the others; the drain never waits for the other half of an inference.
//!
//! Deliberately absent: knowledge of OTLP (the root injects [`Decode`]) and of what dirty minutes are for.

mod dirty;
mod encoding;
mod expansion;
mod inserter;
mod join;
mod journal;
mod labels;
mod lanes;
mod meeting;
mod planner;
mod quarantine;
mod recent;
mod references;
mod retry;
mod rows;
mod sink;
mod status;
#[cfg(test)]
mod tests;
mod units;
mod waiting;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use status::{DrainStatus, StatusHandle};
pub use waiting::watch_waiting;

use crate::clickhouse::ClickHouse;
use crate::clock::Clock;
use crate::records::{Decoded, FoundErrors};
use crate::state::State;
use crate::wal::{Frame, Log, LogError};
use inserter::Inserter;
use journal::Journal;
use labels::Labels;
use planner::Planner;
use quarantine::Quarantine;
use recent::RecentIds;
use retry::Retry;
use sink::{Sink, Stores};

/// Name of the drain's consumer of the log.
pub const CONSUMER: &str = "drain";
/// Batches between planner and inserter, beside the one that each works on: one is ready when the last is
/// stored, and no more memory is held.
const READY_BATCHES: usize = 1;
/// How long the batch that is being stored may still take once the drain is told to end. What is cut off is
/// stored again after the next start.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes of a batch's rows: half of what the engine takes as one insert, since text as a row holds it is a
/// little longer than it is here.
const MAX_ROW_BYTES: usize = 128 << 20;

/// Turns a frame into records. Must be deterministic: a batch that is inserted again after a crash has
/// to be byte-identical. The root injects the collector's implementation.
pub trait Decode: Send + Sync + 'static {
    /// Decodes one frame into rows. A frame was admitted, so what cannot be read here is counted in
    /// [`Decoded::cut`], never an error.
    fn decode(&self, frame: &Frame) -> Decoded;

    /// The errors of one frame, for the index. Rows are not made for it, as [`Decode::decode`] makes no
    /// documents: each consumer of the log does its own work alone.
    fn errors(&self, frame: &Frame) -> FoundErrors;
}

/// Where the drain keeps its files, and how it is watched.
#[derive(Debug, Clone)]
pub struct DrainConfig {
    /// The drain's own folder.
    pub directory: PathBuf,
    /// Is kept up to date.
    pub status: StatusHandle,
    /// Sizes of batches.
    pub bounds: Bounds,
    /// Pauses.
    pub pace: Pace,
}

impl DrainConfig {
    /// The defaults.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            status: StatusHandle::default(),
            bounds: Bounds::default(),
            pace: Pace::default(),
        }
    }
}

/// How large a batch may become (each bound but that of the rows may be exceeded by the last frame), and how many
/// series are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Payload bytes; decoded they take some five times that, for each of the batches in flight.
    pub max_bytes: usize,
    /// Frames.
    pub max_frames: usize,
    /// Records of all kinds.
    pub max_records: usize,
    /// Bytes of the rows, in which each record carries its resource and its scope; only a frame that is alone
    /// in its batch may exceed it.
    pub max_row_bytes: usize,
    /// Backlog from which on the freshest frames are drained in turn with the oldest.
    pub fresh_first_bytes: u64,
    /// Models whose inferences are kept; what names another is set aside.
    pub max_models: usize,
    /// Values of a model's version, of its segment and of its arm; another is `other`.
    pub max_label_values: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_bytes: 8 << 20,
            max_frames: 10_000,
            max_records: 25_000,
            max_row_bytes: MAX_ROW_BYTES,
            fresh_first_bytes: 128 << 20,
            max_models: 10_000,
            max_label_values: 1_000,
        }
    }
}

impl Bounds {
    /// Whether a batch of this size takes another frame.
    fn admits(&self, frames: usize, bytes: usize) -> bool {
        frames < self.max_frames && bytes < self.max_bytes
    }
}

/// How long the drain pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a first frame waits for company when the last batch was some time ago.
    pub linger: Duration,
    /// Under steady light traffic a batch begins this long after the one before: ClickHouse merges two parts
    /// a second and table with ease, twenty not.
    pub min_interval: Duration,
    /// Pause after a first failure: an engine that restarts is back within seconds.
    pub first_pause: Duration,
    /// Longest pause after failures: so much freshness is lost once the other side is well again.
    pub longest_pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            linger: ms(50),
            min_interval: ms(500),
            first_pause: ms(100),
            longest_pause: ms(5_000),
        }
    }
}

/// The drain cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// Its consumer of the log cannot be registered.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Its folder cannot be opened.
    #[error("cannot open the drain's folder {}: {source}", directory.display())]
    Folder {
        /// The folder.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Drains the log until `cancel` fires or the log is closed and empty. Waits for ClickHouse for as long as
/// it takes.
///
/// # Errors
/// It cannot begin; once it runs it does not fail.
pub async fn run(
    config: DrainConfig,
    log: Log,
    decode: Arc<dyn Decode>,
    clickhouse: ClickHouse,
    state: State,
    clock: Clock,
    cancel: CancellationToken,
) -> Result<(), DrainError> {
    run_into(Stores { clickhouse, state }, config, log, decode, clock, cancel).await
}

async fn run_into<S: Sink>(
    sink: S,
    config: DrainConfig,
    log: Log,
    decode: Arc<dyn Decode>,
    clock: Clock,
    cancel: CancellationToken,
) -> Result<(), DrainError> {
    let consumer = log.register_consumer(CONSUMER)?;
    let journal_directory = config.directory.join("batches");
    let quarantine_directory = config.directory.join("quarantine");
    let folder = |source| DrainError::Folder {
        directory: config.directory.clone(),
        source,
    };
    let (journal, records) = Journal::open(&journal_directory).map_err(folder)?;
    let quarantine = Arc::new(Quarantine::open(&quarantine_directory).map_err(folder)?);
    let labels = Labels::open(&config.directory.join("labels")).map_err(folder)?;
    let retry = Retry {
        status: config.status,
        cancel: cancel.clone(),
        pace: config.pace,
    };

    let mut memory = RecentIds::default();
    records.iter().for_each(|record| memory.learn(&record.learnt, record.planned_at));
    let committed = consumer.committed();
    let unfinished = records.into_iter().filter(|record| !committed.covers(&record.range)).collect();

    let (sender, batches) = mpsc::channel(READY_BATCHES);
    let inserter = Inserter {
        sink,
        consumer: consumer.clone(),
        decode: decode.clone(),
        clock: clock.clone(),
        journal_directory,
        quarantine,
        retry: retry.clone(),
    };
    let planner = Planner {
        log,
        consumer,
        decode,
        clock,
        bounds: config.bounds,
        journal,
        memory,
        labels,
        retry,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(planner.run(unfinished, sender));
    tokio::select! {
        () = inserter.run(batches) => {}
        () = out_of_grace(&cancel) => {}
    }
    // Whichever ended, the planner sees it: nobody takes its batches, or the token has fired.
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    Ok(())
}

async fn out_of_grace(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(GRACE).await;
}
