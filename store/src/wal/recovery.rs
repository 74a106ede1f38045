//! Opening a log: what an earlier run left is checked, its torn tail cut, its requests remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::watch;

use super::consumer::{self, Committed, Consumer};
use super::disk::Disk;
use super::repeats::{Repeats, Seen, hashes_path, read_hashes, write_hashes};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentReader, Step, number_of, segment_path};
use super::shared::{Counters, Segment, Shared};
use super::writer::{Active, CreateFailure, Writer, create_segment};
use super::{LogConfig, LogError, Position};
use crate::clock::{Clock, UnixNanos};

/// The bound when none is set, unless the disk is smaller.
const DEFAULT_MAX_BYTES: u64 = 20 << 30;
/// Share of the free space that the log may take when no bound is set.
const DEFAULT_SHARE_OF_FREE_SPACE: f64 = 0.8;
/// Segments that the bound should hold at least, so that deleting one makes room long before all is full.
const MIN_SEGMENTS_IN_BOUND: u64 = 4;
/// Smallest segment, whatever the bound.
const MIN_SEGMENT_BYTES: u64 = 4 << 10;

/// What the last segment of an earlier run holds.
struct Tail {
    /// Up to the end of the last whole frame.
    durable_bytes: u64,
    torn_bytes: u64,
    salt: u64,
    seen: Vec<Seen>,
    bad: Vec<(u64, u64)>,
}

/// Opens the log's folder and makes everything ready for the writer to run.
pub(super) fn open(config: &LogConfig, clock: Clock, mut disk: Box<dyn Disk>) -> Result<(Arc<Shared>, Writer), LogError> {
    let directory = &config.directory;
    fs::create_dir_all(directory).map_err(LogError::io("create", directory))?;
    let lock_file = acquire_lock(directory)?;
    let consumers = consumer::load_all(directory)?;
    let mut segments = list_segments(directory)?;
    let now = clock.steady();
    let (seen, mut hash_files) = load_hashes(directory, &segments)?;
    // Not to be kept for ever where the clock was set back.
    hash_files.values_mut().for_each(|newest| *newest = (*newest).min(now));
    let max_bytes = match config.max_bytes {
        Some(max_bytes) => max_bytes,
        None => default_max_bytes(directory, segments.values().map(|segment| segment.bytes).sum())?,
    };

    let mut bad = headerless(&segments);
    let last = take_up_last(disk.as_mut(), directory, &segments)?;
    let torn_bytes = last.as_ref().map_or(0, |(_, tail)| tail.torn_bytes);
    let active = match last {
        Some((active, tail)) => {
            segments.insert(
                active.number,
                Segment {
                    bytes: active.durable_bytes,
                    sealed: true,
                },
            );
            bad.extend(tail.bad.iter().map(|(offset, bytes)| {
                (
                    Position {
                        segment: active.number,
                        offset: *offset,
                    },
                    *bytes,
                )
            }));
            go_on_with(disk.as_mut(), directory, &consumers, active)?
        }
        None => {
            let number = segments
                .keys()
                .next_back()
                .copied()
                .unwrap_or(0)
                .max(last_committed(&consumers).segment)
                + 1;
            begin_segment(disk.as_mut(), directory, number)?
        }
    };
    segments.insert(
        active.number,
        Segment {
            bytes: active.durable_bytes,
            sealed: false,
        },
    );

    let mut repeats = Repeats::default();
    repeats.restore(seen.into_iter().chain(active.seen.iter().copied()).collect(), now);
    let (head_sender, head) = watch::channel(Position {
        segment: active.number,
        offset: active.durable_bytes,
    });
    let shared = Arc::new(Shared {
        directory: directory.clone(),
        max_bytes,
        torn_bytes,
        segments: Mutex::new(segments),
        consumers: Mutex::new(consumers),
        committing: Mutex::new(()),
        head,
        repeats: Mutex::new(repeats),
        poisoned: OnceLock::new(),
        full: false.into(),
        counters: Counters::default(),
        bad_places: Mutex::new(BTreeSet::new()),
        lock_file: Mutex::new(Some(lock_file)),
    });
    bad.into_iter().for_each(|(place, bytes)| shared.report_bad(place, bytes));
    for name in &config.consumers {
        Consumer::register(&shared, name)?;
    }
    shared.delete_committed();
    let segment_bytes = config.segment_bytes.min(max_bytes / MIN_SEGMENTS_IN_BOUND).max(MIN_SEGMENT_BYTES);
    let writer = Writer::new(shared.clone(), disk, clock, segment_bytes, head_sender, active, hash_files);
    Ok((shared, writer))
}

fn acquire_lock(directory: &Path) -> Result<File, LogError> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(LogError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::Locked {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(LogError::io("lock", &path)(error)),
    }
}

fn numbers(directory: &Path, extension: &str) -> Result<Vec<(u64, u64)>, LogError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(LogError::io("list", directory))? {
        let entry = entry.map_err(LogError::io("list", directory))?;
        if let Some(number) = number_of(&entry.path(), extension) {
            let metadata = entry.metadata().map_err(LogError::io("inspect", &entry.path()))?;
            found.push((number, metadata.len()));
        }
    }
    Ok(found)
}

fn list_segments(directory: &Path) -> Result<BTreeMap<u64, Segment>, LogError> {
    let found = numbers(directory, "log")?;
    Ok(found
        .into_iter()
        .map(|(number, bytes)| (number, Segment { bytes, sealed: true }))
        .collect())
}

/// Sealed segments that are cut before their first frame.
fn headerless(segments: &BTreeMap<u64, Segment>) -> Vec<(Position, u64)> {
    let last = segments.keys().next_back();
    let cut = segments
        .iter()
        .filter(|(number, segment)| segment.bytes < SEGMENT_HEADER_BYTES && Some(*number) != last);
    cut.map(|(number, segment)| {
        (
            Position {
                segment: *number,
                offset: 0,
            },
            segment.bytes,
        )
    })
    .collect()
}

/// The requests that sealed segments still recognise, and the files that say so.
fn load_hashes(directory: &Path, segments: &BTreeMap<u64, Segment>) -> Result<(Vec<Seen>, BTreeMap<u64, UnixNanos>), LogError> {
    let mut seen = Vec::new();
    let mut files = BTreeMap::new();
    for (number, _) in numbers(directory, "hashes")? {
        let of_segment = match (read_hashes(&hashes_path(directory, number)), segments.get(&number)) {
            (Some(hashes), _) => hashes,
            // Damaged: the segment itself knows as well.
            (None, Some(segment)) => scan(directory, number, segment.bytes)?.map(|tail| tail.seen).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        files.insert(number, of_segment.iter().map(|seen| seen.received_time).max().unwrap_or_default());
        seen.extend(of_segment);
    }
    Ok((seen, files))
}

/// Reads a whole segment; `None` when its header is damaged.
fn scan(directory: &Path, number: u64, bytes: u64) -> Result<Option<Tail>, LogError> {
    let path = segment_path(directory, number);
    let mut reader = SegmentReader::open(&path, number)?;
    let Some(salt) = reader.salt() else { return Ok(None) };
    let mut tail = Tail {
        durable_bytes: SEGMENT_HEADER_BYTES,
        torn_bytes: 0,
        salt,
        seen: Vec::new(),
        bad: Vec::new(),
    };
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut suspect = Vec::new();
    loop {
        match reader.step_blocking(offset, bytes).map_err(LogError::io("read", &path))? {
            Step::Frame(frame, content_hash) => {
                if frame.kind.recognises_repeats() {
                    tail.seen.push(Seen {
                        content_hash,
                        received_time: frame.received_time,
                    });
                }
                offset = frame.end.offset;
                tail.durable_bytes = offset;
                tail.bad.append(&mut suspect);
            }
            Step::Bad { from, to } => {
                suspect.push((from, to - from));
                offset = to;
            }
            Step::End | Step::Missing { .. } => break,
        }
    }
    tail.torn_bytes = bytes.saturating_sub(tail.durable_bytes);
    Ok(Some(tail))
}

/// Cuts the torn tail of the last segment and goes on with it. `None`: a new segment has to begin.
fn take_up_last(disk: &mut dyn Disk, directory: &Path, segments: &BTreeMap<u64, Segment>) -> Result<Option<(Active, Tail)>, LogError> {
    let Some((&number, &segment)) = segments.iter().next_back() else {
        return Ok(None);
    };
    let path = segment_path(directory, number);
    if segment.bytes < SEGMENT_HEADER_BYTES {
        // The crash came while it was being created.
        let tail = Tail {
            durable_bytes: SEGMENT_HEADER_BYTES,
            torn_bytes: segment.bytes,
            salt: 0,
            seen: Vec::new(),
            bad: Vec::new(),
        };
        return Ok(Some((begin_segment(disk, directory, number)?, tail)));
    }
    let Some(mut tail) = scan(directory, number, segment.bytes)? else {
        return Ok(None);
    };
    let mut file = disk.open(&path).map_err(LogError::io("open", &path))?;
    if tail.torn_bytes > 0 {
        tracing::warn!(
            segment = number,
            offset = tail.durable_bytes,
            bytes = tail.torn_bytes,
            "the log's torn tail was cut"
        );
        file.truncate(tail.durable_bytes).map_err(LogError::io("cut", &path))?;
    }
    // A killed process may have written frames without making them durable: from here on they count.
    file.sync().map_err(LogError::io("fsync", &path))?;
    let active = Active {
        number,
        salt: tail.salt,
        file,
        durable_bytes: tail.durable_bytes,
        seen: std::mem::take(&mut tail.seen),
    };
    Ok(Some((active, tail)))
}

/// Where the last of the frames ends that any consumer has committed.
fn last_committed(consumers: &BTreeMap<String, Committed>) -> Position {
    consumers.values().filter_map(Committed::end).max().unwrap_or_default()
}

/// Appends to the last segment, unless the disk has lost frames of it that a consumer has committed: what
/// were written in their place would never be read.
fn go_on_with(disk: &mut dyn Disk, directory: &Path, consumers: &BTreeMap<String, Committed>, active: Active) -> Result<Active, LogError> {
    let committed = last_committed(consumers);
    if committed
        <= (Position {
            segment: active.number,
            offset: active.durable_bytes,
        })
    {
        return Ok(active);
    }
    let hashes = hashes_path(directory, active.number);
    write_hashes(&hashes, &active.seen).map_err(LogError::io("write", &hashes))?;
    let begun = begin_segment(disk, directory, active.number.max(committed.segment) + 1)?;
    Ok(Active {
        seen: active.seen,
        ..begun
    })
}

fn begin_segment(disk: &mut dyn Disk, directory: &Path, number: u64) -> Result<Active, LogError> {
    create_segment(disk, directory, number).map_err(|failure| {
        let (CreateFailure::NoRoom(error) | CreateFailure::NotDurable(error)) = failure;
        LogError::io("create", &segment_path(directory, number))(error)
    })
}

fn default_max_bytes(directory: &Path, log_bytes: u64) -> Result<u64, LogError> {
    let space = rustix::fs::statvfs(directory).map_err(|error| LogError::io("inspect", directory)(io::Error::from(error)))?;
    let free = (space.f_bavail.saturating_mul(space.f_frsize) + log_bytes) as f64;
    Ok(DEFAULT_MAX_BYTES.min((free * DEFAULT_SHARE_OF_FREE_SPACE) as u64))
}
