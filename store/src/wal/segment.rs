//! Segments: their files, their header, and reading frames out of one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{HEADER_BYTES, Header, MAGIC, decode_header};
use super::{Frame, LogError, Position};

/// Bytes before a segment's first frame: the header twice, so that one damaged byte does not cost the
/// salt, and with it every frame.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 2 * COPY_BYTES as u64;
const COPY_BYTES: usize = 32;
const SEGMENT_MAGIC: [u8; 8] = *b"DLEADLOG";
const SEGMENT_VERSION: u32 = 1;
/// Bytes read at once: large enough that the system call costs nothing beside the checksums, small
/// enough that a reader of a long backlog stays small.
const READ_CHUNK_BYTES: u64 = 1 << 20;

/// Path of a segment.
pub(super) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.log"))
}

/// The number in the name of a file with this extension.
pub(super) fn number_of(path: &Path, extension: &str) -> Option<u64> {
    (path.extension()? == extension)
        .then(|| path.file_stem()?.to_str()?.parse().ok())
        .flatten()
}

/// The start of a segment: number, and the random salt that its frames' checksums cover.
pub(super) fn encode_segment_header(number: u64, salt: u64) -> [u8; SEGMENT_HEADER_BYTES as usize] {
    let mut copy = [0; COPY_BYTES];
    copy[0..8].copy_from_slice(&SEGMENT_MAGIC);
    copy[8..12].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
    copy[12..20].copy_from_slice(&number.to_le_bytes());
    copy[20..28].copy_from_slice(&salt.to_le_bytes());
    let crc = crc32c::crc32c(&copy[..28]);
    copy[28..32].copy_from_slice(&crc.to_le_bytes());
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    header[..COPY_BYTES].copy_from_slice(&copy);
    header[COPY_BYTES..].copy_from_slice(&copy);
    header
}

fn decode_copy(copy: &[u8], number: u64) -> Option<(u32, u64)> {
    let word = |at: usize| u32::from_le_bytes(copy[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_le_bytes(copy[at..at + 8].try_into().expect("eight bytes"));
    let whole = copy.len() == COPY_BYTES && copy[0..8] == SEGMENT_MAGIC && word(28) == crc32c::crc32c(&copy[..28]) && long(12) == number;
    whole.then(|| (word(8), long(20)))
}

/// What lies at a place of a segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A frame, and its content hash.
    Frame(Box<Frame>, u128),
    /// Bytes that are no frame, up to where the next one (or the end) lies.
    Bad { from: u64, to: u64 },
    /// Nothing before the given end.
    End,
    /// These bytes have to be read first: [`SegmentReader::fill`].
    Missing { from: u64, len: u64 },
}

/// Reads the frames of one segment through a buffer. Cheap to clone: clones share file and buffer.
#[derive(Debug, Clone)]
pub(super) struct SegmentReader {
    file: Arc<File>,
    number: u64,
    /// `None`: both copies of the header are damaged, and no frame can be told from noise.
    salt: Option<u64>,
    chunk: Bytes,
    chunk_start: u64,
    /// Where the file turned out to end before the end that was asked for.
    cut_at: Option<u64>,
    /// A search for the next frame: where the bad bytes began and where to look next.
    search: Option<(u64, u64)>,
}

impl SegmentReader {
    /// Opens a segment and reads its header.
    pub fn open(path: &Path, number: u64) -> Result<Self, LogError> {
        let file = File::open(path).map_err(LogError::io("open", path))?;
        let mut header = vec![0; SEGMENT_HEADER_BYTES as usize];
        let read = read_up_to(&file, &mut header, 0).map_err(LogError::io("read", path))?;
        let copies = header[..read].chunks(COPY_BYTES).filter_map(|copy| decode_copy(copy, number));
        let mut salt = None;
        for (version, copy_salt) in copies {
            if version > SEGMENT_VERSION {
                return Err(LogError::NewerFormat {
                    path: path.to_owned(),
                    version,
                });
            }
            salt = Some(copy_salt);
        }
        Ok(Self {
            file: Arc::new(file),
            number,
            salt,
            chunk: Bytes::new(),
            chunk_start: 0,
            cut_at: None,
            search: None,
        })
    }

    /// The segment's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The salt of the segment; `None` when its header is damaged.
    pub fn salt(&self) -> Option<u64> {
        self.salt
    }

    /// What lies at `offset` of a segment that is durable up to `end`.
    pub fn step(&mut self, offset: u64, end: u64) -> Step {
        let limit = self.cut_at.unwrap_or(end).min(end);
        let Some(salt) = self.salt.filter(|_| offset < limit) else {
            return if offset < end {
                Step::Bad { from: offset, to: end }
            } else {
                Step::End
            };
        };
        if let Some((from, at)) = self.search {
            return self.search_from(from, at, salt, limit, end);
        }
        if limit - offset < HEADER_BYTES as u64 {
            return Step::Bad { from: offset, to: end };
        }
        let Some(header_bytes) = self.buffered(offset, HEADER_BYTES as u64) else {
            return Step::Missing {
                from: offset,
                len: HEADER_BYTES as u64,
            };
        };
        let Some(header) = decode_header(header_bytes, salt, offset) else {
            return self.search_from(offset, offset + 1, salt, limit, end);
        };
        self.body(header, offset, limit, end)
    }

    fn body(&mut self, header: Header, offset: u64, limit: u64, end: u64) -> Step {
        let frame_bytes = header.frame_bytes();
        if limit - offset < frame_bytes {
            // The header is right, so the frame does reach past the end: the rest was never written, or is lost.
            return Step::Bad { from: offset, to: end };
        }
        if self.buffered(offset, frame_bytes).is_none() {
            return Step::Missing {
                from: offset,
                len: frame_bytes,
            };
        }
        let start = (offset - self.chunk_start) as usize;
        let body = self.chunk.slice(start + HEADER_BYTES..start + frame_bytes as usize);
        let next = offset + frame_bytes;
        if !header.matches(&body) {
            return Step::Bad { from: offset, to: next };
        }
        let Ok(key_id) = std::str::from_utf8(&body[..header.key_id_bytes]) else {
            return Step::Bad { from: offset, to: next };
        };
        let frame = Frame {
            position: Position {
                segment: self.number,
                offset,
            },
            end: Position {
                segment: self.number,
                offset: next,
            },
            kind: header.kind,
            received_time: header.received_time,
            key_id: key_id.to_owned(),
            payload: body.slice(header.key_id_bytes..),
        };
        Step::Frame(Box::new(frame), header.content_hash)
    }

    /// Looks for the next header at or after `at`; the bad bytes began at `from`.
    fn search_from(&mut self, from: u64, mut at: u64, salt: u64, limit: u64, end: u64) -> Step {
        let found = loop {
            if limit.saturating_sub(at) < HEADER_BYTES as u64 {
                break end;
            }
            let chunk_end = self.chunk_start + self.chunk.len() as u64;
            if self.buffered(at, HEADER_BYTES as u64).is_none() {
                self.search = Some((from, at));
                return Step::Missing {
                    from: at,
                    len: HEADER_BYTES as u64,
                };
            }
            let start = (at - self.chunk_start) as usize;
            match memchr::memmem::find(&self.chunk[start..], &MAGIC) {
                // A magic may begin in the last three bytes of the buffer.
                None => at = (chunk_end - 3).max(at + 1),
                Some(skipped) => {
                    at += skipped as u64;
                    let Some(header) = self.buffered(at, HEADER_BYTES as u64) else {
                        continue;
                    };
                    if decode_header(header, salt, at).is_some() {
                        break at;
                    }
                    at += 1;
                }
            }
        };
        self.search = None;
        Step::Bad { from, to: found }
    }

    fn buffered(&self, from: u64, len: u64) -> Option<&[u8]> {
        let start = usize::try_from(from.checked_sub(self.chunk_start)?).ok()?;
        self.chunk.get(start..start.checked_add(len as usize)?)
    }

    /// Reads at least `len` bytes from `from` into the buffer, unless the file ends before.
    pub fn fill(&mut self, from: u64, len: u64, end: u64) -> io::Result<()> {
        let want = len.max(READ_CHUNK_BYTES).min(end.saturating_sub(from));
        let mut chunk = vec![0; want as usize];
        let read = read_up_to(&self.file, &mut chunk, from)?;
        chunk.truncate(read);
        if (read as u64) < want {
            self.cut_at = Some(from + read as u64);
        }
        self.chunk = chunk.into();
        self.chunk_start = from;
        Ok(())
    }

    /// [`SegmentReader::step`] that reads what is missing, for callers that may block.
    pub fn step_blocking(&mut self, offset: u64, end: u64) -> io::Result<Step> {
        loop {
            match self.step(offset, end) {
                Step::Missing { from, len } => self.fill(from, len, end)?,
                step => return Ok(step),
            }
        }
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
