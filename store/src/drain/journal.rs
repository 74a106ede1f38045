//! The journal of batches: one small file per batch, durable before its first insert. It says which frames
//! the batch holds, what its rows take from earlier batches, which of them the bounds change, and what the
//! memory learnt from it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::encoding::{Reader, Writer};
use super::join::Taken;
use super::labels::Capped;
use super::recent::{FORGOTTEN_AFTER_SECONDS, Learnt, MAX_REMEMBERED};
use super::references::LearntReferences;
use super::rows::Notes;
use crate::clock::UnixNanos;
use crate::durable_file;
use crate::wal::Position;

const MAGIC: [u8; 8] = *b"DLBATCH3";
const EXTENSION: &str = "batch";

/// What is durable of a batch before its first insert.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BatchRecord {
    /// Counted from 1.
    pub sequence: u64,
    /// Makes the batch's tokens its own: positions come again when a log is made anew.
    pub nonce: u64,
    pub planned_at: UnixNanos,
    /// The frames: all that begin in this range of the log.
    pub range: Range<Position>,
    /// Salt of the segment in which the range begins: whether this is still the same log.
    pub salt: u64,
    pub notes: Notes,
    pub learnt: Learnt,
    /// Parts that ClickHouse refused as a whole: they are inserted in halves, also after a restart.
    pub refused: Vec<String>,
}

impl BatchRecord {
    /// The first part of the batch's deduplication tokens.
    pub fn token_prefix(&self) -> String {
        let Range { start, end } = self.range;
        format!(
            "{}.{}-{}.{}-{:016x}",
            start.segment, start.offset, end.segment, end.offset, self.nonce
        )
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.u64(self.sequence).u64(self.nonce).u64(self.planned_at.0 as u64).u64(self.salt);
        for position in [self.range.start, self.range.end] {
            out.u64(position.segment).u64(position.offset);
        }
        out.list(&self.notes.capped, |out, capped| {
            out.u32(capped.half).u32(capped.what);
        });
        out.list(&self.notes.met, Writer::met);
        out.list(&self.notes.taken, |out, taken| {
            out.u32(taken.ordinal).known(&taken.known).u32(u32::from(taken.partial));
        });
        out.list(&self.learnt.inferences, |out, (id, known)| {
            out.u64(*id).known(known);
        });
        for hashes in [&self.learnt.models_with_logs, &self.learnt.early_outcomes] {
            out.list(hashes, |out, hash| {
                out.u64(*hash);
            });
        }
        out.list(&self.learnt.references.spans, |out, (reference, what)| {
            out.u64(*reference).reference(what);
        });
        out.list(&self.learnt.references.requests, |out, (model, requests)| {
            out.text(model).list(requests, |out, request| {
                out.u64(*request);
            });
        });
        out.list(&self.learnt.references.waiting, Writer::outcome);
        out.list(&self.refused, |out, path| {
            out.text(path);
        });
        let crc = crc32c::crc32c(&out.0);
        out.u32(crc);
        out.0
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(bytes).to_le_bytes() != *crc {
            return None;
        }
        let mut input = Reader(bytes.strip_prefix(&MAGIC)?);
        let (sequence, nonce, planned_at, salt) = (input.u64()?, input.u64()?, UnixNanos(input.u64()? as i64), input.u64()?);
        let start = Position {
            segment: input.u64()?,
            offset: input.u64()?,
        };
        let end = Position {
            segment: input.u64()?,
            offset: input.u64()?,
        };
        let capped = input.list(|input| {
            Some(Capped {
                half: input.u32()?,
                what: input.u32()?,
            })
        })?;
        let met = input.list(Reader::met)?;
        let taken = input.list(|input| {
            Some(Taken {
                ordinal: input.u32()?,
                known: input.known()?,
                partial: input.u32()? != 0,
            })
        })?;
        let learnt = Learnt {
            inferences: input.list(|input| Some((input.u64()?, input.known()?)))?,
            models_with_logs: input.list(Reader::u64)?,
            early_outcomes: input.list(Reader::u64)?,
            references: LearntReferences {
                spans: input.list(|input| Some((input.u64()?, input.reference()?)))?,
                requests: input.list(|input| Some((input.text()?, input.list(Reader::u64)?)))?,
                waiting: input.list(Reader::outcome)?,
            },
        };
        let refused = input.list(Reader::text)?;
        Some(Self {
            sequence,
            nonce,
            planned_at,
            range: start..end,
            salt,
            notes: Notes { capped, met, taken },
            learnt,
            refused,
        })
    }
}

/// A file of the journal, for knowing when it is no longer needed.
#[derive(Debug)]
struct Kept {
    sequence: u64,
    planned_at: UnixNanos,
    range: Range<Position>,
    learnt: usize,
}

/// The journal's folder.
#[derive(Debug, Default)]
pub(super) struct Journal {
    directory: PathBuf,
    kept: VecDeque<Kept>,
    next_sequence: u64,
}

impl Journal {
    /// Opens or creates the folder and reads what is in it, oldest batch first.
    ///
    /// # Errors
    /// The file system refused.
    pub fn open(directory: &Path) -> io::Result<(Self, Vec<BatchRecord>)> {
        fs::create_dir_all(directory)?;
        durable_file::sync_parent(directory)?;
        let mut records = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            match BatchRecord::decode(&fs::read(&path)?) {
                Some(record) => records.push(record),
                None => {
                    // The crash came while it was written: then nothing of the batch was inserted.
                    tracing::warn!(path = %path.display(), "a batch's boundaries do not read back: its frames are drained as new");
                    fs::remove_file(&path)?;
                }
            }
        }
        records.sort_by_key(|record| record.sequence);
        let mut journal = Self {
            directory: directory.to_owned(),
            kept: VecDeque::new(),
            next_sequence: 1,
        };
        records.iter().for_each(|record| journal.keep(record));
        Ok((journal, records))
    }

    /// The number of the next batch.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Writes a new batch, durably.
    ///
    /// # Errors
    /// The file system refused; it may be tried again.
    pub fn add(&mut self, record: &BatchRecord) -> io::Result<()> {
        let path = path_of(&self.directory, record.sequence);
        let mut file = File::create(&path)?;
        file.write_all(&record.encode())?;
        file.sync_all()?;
        durable_file::sync_parent(&path)?;
        self.keep(record);
        Ok(())
    }

    /// Deletes a batch that cannot be inserted any more.
    ///
    /// # Errors
    /// The file system refused.
    pub fn remove(&mut self, record: &BatchRecord) -> io::Result<()> {
        self.kept.retain(|kept| kept.sequence != record.sequence);
        fs::remove_file(path_of(&self.directory, record.sequence))
    }

    fn keep(&mut self, record: &BatchRecord) {
        self.kept.push_back(Kept {
            sequence: record.sequence,
            planned_at: record.planned_at,
            range: record.range.clone(),
            learnt: record.learnt.inferences.len(),
        });
        self.next_sequence = self.next_sequence.max(record.sequence + 1);
    }

    /// Deletes the batches that are committed and of which nothing is remembered any more.
    pub fn forget(&mut self, now: UnixNanos, is_committed: impl Fn(&Range<Position>) -> bool) {
        let mut learnt: usize = self.kept.iter().map(|kept| kept.learnt).sum();
        while let Some(oldest) = self.kept.front() {
            let remembered =
                now.seconds_since(oldest.planned_at) < FORGOTTEN_AFTER_SECONDS as f64 && learnt - oldest.learnt < MAX_REMEMBERED;
            if remembered || !is_committed(&oldest.range) {
                break;
            }
            let path = path_of(&self.directory, oldest.sequence);
            // Left behind, it is found and deleted after the next start.
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot delete the boundaries of an old batch");
            }
            learnt -= oldest.learnt;
            self.kept.pop_front();
        }
    }
}

/// Replaces what is written of a batch, durably.
///
/// # Errors
/// The file system refused; the old record still stands.
pub(super) fn replace(directory: &Path, record: &BatchRecord) -> io::Result<()> {
    durable_file::replace(&path_of(directory, record.sequence), &record.encode())
}

fn path_of(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("{sequence:020}.{EXTENSION}"))
}

#[cfg(test)]
mod tests {
    use super::super::meeting::Met;
    use super::super::recent::Known;
    use super::super::references::{Course, Reference};
    use super::*;
    use crate::records::{Half, Outcome, OutcomeKind};

    fn outcome(kind: OutcomeKind) -> Outcome {
        Outcome {
            model: "m".to_owned(),
            request_id: "r".to_owned(),
            kind,
            id: String::new(),
            at: UnixNanos(-1),
            received_time: UnixNanos(2),
        }
    }

    fn course() -> Course {
        Course {
            latency_ms: Some(0.5),
            error_type: Some("ß".into()),
        }
    }

    fn record(sequence: u64) -> BatchRecord {
        let known = Known {
            key_hour: 480_000,
            minute: 28_800_001,
        };
        BatchRecord {
            sequence,
            nonce: 7,
            planned_at: UnixNanos::from_seconds(100),
            range: Position {
                segment: 1,
                offset: 64 + sequence,
            }..Position { segment: 2, offset: 64 },
            salt: 8,
            notes: Notes {
                capped: vec![Capped { half: 5, what: 3 }],
                met: vec![
                    Met::Half(1, "ß".to_owned()),
                    Met::Wrapping(2),
                    Met::Supersedes(3, known, course()),
                    Met::Outcome(4, "m".to_owned(), "r".to_owned()),
                    Met::Waited(5, outcome(OutcomeKind::Conversion(-0.5))),
                ],
                taken: vec![Taken {
                    ordinal: 3,
                    known,
                    partial: true,
                }],
            },
            learnt: Learnt {
                inferences: vec![(9, known), (10, known)],
                models_with_logs: vec![11],
                early_outcomes: vec![12, 13],
                references: LearntReferences {
                    spans: vec![
                        (14, Reference::Unnamed(Half::Span, course())),
                        (15, Reference::Unnamed(Half::Log, Course::default())),
                        (15, Reference::Named(Half::Log, None)),
                        (16, Reference::Named(Half::Log, Some("r".into()))),
                    ],
                    requests: vec![("m".to_owned(), vec![17, 18])],
                    waiting: vec![outcome(OutcomeKind::Label("ß".to_owned())), outcome(OutcomeKind::Verdict(true))],
                },
            },
            refused: vec!["logs/20000".to_owned(), String::new()],
        }
    }

    #[test]
    fn a_batch_reads_back_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, found) = Journal::open(folder.path()).unwrap();
        assert_eq!(found, []);
        for sequence in [1, 2, 3] {
            journal.add(&record(sequence)).unwrap();
        }
        let changed = BatchRecord {
            refused: Vec::new(),
            ..record(2)
        };
        replace(folder.path(), &changed).unwrap();
        let last = path_of(folder.path(), 3);
        let content = fs::read(&last).unwrap();
        for length in 0..content.len() {
            fs::write(&last, &content[..length]).unwrap();
            let (journal, found) = Journal::open(folder.path()).unwrap();
            assert_eq!(found, [record(1), changed.clone()], "cut at {length}");
            assert_eq!(journal.next_sequence(), 3);
        }
    }

    #[test]
    fn what_is_remembered_or_not_committed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        (1..=4).for_each(|sequence| journal.add(&record(sequence)).unwrap());
        let left = |journal: &Journal| journal.kept.iter().map(|kept| kept.sequence).collect::<Vec<_>>();
        journal.forget(UnixNanos::from_seconds(101), |_| true);
        assert_eq!(left(&journal), [1, 2, 3, 4]);
        let later = UnixNanos::from_seconds(100 + FORGOTTEN_AFTER_SECONDS);
        journal.forget(later, |range| range.start.offset != 64 + 3);
        assert_eq!(left(&journal), [3, 4]);
        assert_eq!(Journal::open(folder.path()).unwrap().1.len(), 2);
    }
}
