//! The folder of indexes: one tantivy index per day, open for reading, and which days are kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use tantivy::directory::MmapDirectory;
use tantivy::{Executor, Index, IndexReader, IndexSettings, ReloadPolicy, TantivyError};

use super::IndexError;
use super::analyzer::{ANALYZER, analyzer};
use super::day::Day;
use super::schema::{Fields, schema};
use crate::clock::UnixNanos;

/// A day's folder that is being deleted; what a crash leaves of one is deleted at the next start.
const DELETED_SUFFIX: &str = ".deleted";
/// A day's folder that could not be read: kept for whoever wants to look, never opened again.
const BROKEN_SUFFIX: &str = ".broken";

/// A day's folder that is being made again; deleted at the next start if it was not finished.
pub(super) const REBUILDING_SUFFIX: &str = ".rebuilding";
/// A day's folder that was made again and is about to take its place.
const REBUILT_SUFFIX: &str = ".rebuilt";

/// Cores that one search uses at most: the others are the collector's and the database's.
const MAX_CORES: usize = 4;
/// Blocks of stored documents that a reader keeps decompressed; one is 16 KiB.
const STORE_CACHE_BLOCKS: usize = 16;

/// Cores that one search may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_CORES)
}

/// A day's index, open.
pub(super) struct DayIndex {
    folder: PathBuf,
    pub index: Index,
    pub reader: IndexReader,
}

impl DayIndex {
    /// Bytes of its files. One that a merge deletes meanwhile does not count.
    pub fn bytes(&self) -> Result<u64, IndexError> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.folder)? {
            match entry?.metadata() {
                Ok(metadata) => bytes += metadata.len(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
    }
}

/// What a day's index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayStatus {
    /// The day.
    pub day: Day,
    /// Errors that can be found.
    pub documents: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// All days.
pub(super) struct Shelf {
    folder: PathBuf,
    retention_days: u32,
    pub fields: Fields,
    /// Threads on which the parts of a day are searched side by side.
    searchers: Executor,
    days: RwLock<BTreeMap<Day, Arc<DayIndex>>>,
}

impl Shelf {
    /// Opens the folder and the days in it. A day that cannot be read is put aside.
    pub fn open(folder: &Path, retention_days: u32) -> Result<Self, IndexError> {
        std::fs::create_dir_all(folder)?;
        let shelf = Self {
            folder: folder.to_owned(),
            retention_days,
            fields: schema().1,
            searchers: Executor::multi_thread(cores(), "search-")?,
            days: RwLock::default(),
        };
        let names = || -> Result<Vec<String>, IndexError> {
            let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            entries.collect()
        };
        // First what a crash left half done, so that days are opened as they are to be.
        for name in names()? {
            if name.ends_with(DELETED_SUFFIX) || name.ends_with(REBUILDING_SUFFIX) {
                std::fs::remove_dir_all(folder.join(&name))?;
            } else if let Some(day) = name.strip_suffix(REBUILT_SUFFIX).and_then(|day| day.parse().ok()) {
                shelf.take_rebuilt(day)?;
            }
        }
        for name in names()? {
            if let Ok(day) = name.parse::<Day>() {
                shelf.open_existing(day)?;
            }
        }
        Ok(shelf)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The days, newest first.
    pub fn newest_first(&self) -> Vec<(Day, Arc<DayIndex>)> {
        let days = self.days.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        days.iter().rev().map(|(day, index)| (*day, index.clone())).collect()
    }

    /// A day, if there is one.
    pub fn get(&self, day: Day) -> Option<Arc<DayIndex>> {
        let days = self.days.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        days.get(&day).cloned()
    }

    /// A day, made where there is none.
    pub fn get_or_create(&self, day: Day) -> Result<Arc<DayIndex>, IndexError> {
        match self.get(day) {
            Some(index) => Ok(index),
            None => self.open_existing(day),
        }
    }

    fn forget(&self, day: Day) {
        let mut days = self.days.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        days.remove(&day);
    }

    fn open_existing(&self, day: Day) -> Result<Arc<DayIndex>, IndexError> {
        let folder = self.folder.join(day.to_string());
        let opened = match open_folder(&folder, &self.searchers) {
            Err(error) if is_broken(&error) => {
                self.put_aside(day, &error)?;
                open_folder(&folder, &self.searchers)
            }
            other => other,
        };
        let index = Arc::new(opened?);
        let mut days = self.days.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        days.insert(day, index.clone());
        Ok(index)
    }

    /// Moves a day that cannot be read out of the way. Its errors are still in ClickHouse.
    fn put_aside(&self, day: Day, error: &TantivyError) -> Result<(), IndexError> {
        let from = self.folder.join(day.to_string());
        let to = (1..)
            .map(|n| self.folder.join(format!("{day}{BROKEN_SUFFIX}-{n}")))
            .find(|path| !path.exists())
            .expect("some number is free");
        tracing::error!(%day, %error, "a day's error index cannot be read: it is put aside and the day starts anew; `driftlead reindex` finds its older errors again");
        std::fs::rename(from, to)?;
        Ok(())
    }

    /// The first day that is kept.
    pub fn first_kept(&self, now: UnixNanos) -> Day {
        Day::of(now).minus(self.retention_days)
    }

    /// Days that are past the retention.
    pub fn expired(&self, now: UnixNanos) -> Vec<Day> {
        let first_kept = self.first_kept(now);
        let days = self.days.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        days.keys().copied().take_while(|day| *day < first_kept).collect()
    }

    /// Deletes a day. Searches that are reading it finish undisturbed.
    pub fn delete(&self, day: Day) -> Result<(), IndexError> {
        self.forget(day);
        let doomed = self.folder.join(format!("{day}{DELETED_SUFFIX}"));
        std::fs::rename(self.folder.join(day.to_string()), &doomed)?;
        std::fs::remove_dir_all(&doomed)?;
        Ok(())
    }

    /// Puts a folder that holds a day's index in the place of the one that is there.
    pub fn replace(&self, day: Day, folder: &Path) -> Result<(), IndexError> {
        std::fs::rename(folder, self.folder.join(format!("{day}{REBUILT_SUFFIX}")))?;
        self.forget(day);
        self.take_rebuilt(day)?;
        self.open_existing(day)?;
        Ok(())
    }

    /// From here on a crash is made good at the next start.
    fn take_rebuilt(&self, day: Day) -> Result<(), IndexError> {
        let place = self.folder.join(day.to_string());
        if place.exists() {
            let doomed = self.folder.join(format!("{day}{DELETED_SUFFIX}"));
            std::fs::rename(&place, &doomed)?;
            std::fs::remove_dir_all(&doomed)?;
        }
        std::fs::rename(self.folder.join(format!("{day}{REBUILT_SUFFIX}")), place)?;
        Ok(())
    }

    /// What each day holds, newest first.
    pub fn statuses(&self) -> Result<Vec<DayStatus>, IndexError> {
        let days = self.newest_first().into_iter();
        days.map(|(day, index)| {
            Ok(DayStatus {
                day,
                documents: index.reader.searcher().num_docs(),
                bytes: index.bytes()?,
            })
        })
        .collect()
    }

    /// Bytes of all days on disk.
    pub fn bytes(&self) -> Result<u64, IndexError> {
        self.newest_first().iter().map(|(_, index)| index.bytes()).sum()
    }

    /// Errors that can be found.
    pub fn documents(&self) -> u64 {
        self.newest_first()
            .iter()
            .map(|(_, index)| index.reader.searcher().num_docs())
            .sum()
    }
}

pub(super) fn open_folder(folder: &Path, searchers: &Executor) -> Result<DayIndex, TantivyError> {
    std::fs::create_dir_all(folder)?;
    let directory = MmapDirectory::open(folder)?;
    // `open_or_create` refuses an index whose schema is another.
    let settings = IndexSettings {
        // The thread that indexes compresses, too: to hand blocks over costs more than it gains.
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let mut index = Index::builder().schema(schema().0).settings(settings).open_or_create(directory)?;
    index.set_executor(searchers.clone());
    index.tokenizers().register(ANALYZER, analyzer());
    let reader = index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .doc_store_cache_num_blocks(STORE_CACHE_BLOCKS)
        .try_into()?;
    Ok(DayIndex {
        folder: folder.to_owned(),
        index,
        reader,
    })
}

/// Whether the files themselves are the trouble, and not, say, a full disk: only then may they be put aside.
fn is_broken(error: &TantivyError) -> bool {
    match error {
        TantivyError::DataCorruption(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::SchemaError(_)
        | TantivyError::DeserializeError(_) => true,
        TantivyError::OpenReadError(tantivy::directory::error::OpenReadError::FileDoesNotExist(_)) => true,
        TantivyError::OpenReadError(tantivy::directory::error::OpenReadError::IncompatibleIndex(_)) => true,
        TantivyError::IoError(error) => matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof),
        _ => false,
    }
}
