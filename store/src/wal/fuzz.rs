//! What must hold for a segment that was damaged anywhere; called by the fuzzers (`make fuzz`), panics where it does not.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::frame::{FrameKind, NewFrame, encode_header};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentReader, Step, encode_segment_header};
use crate::clock::UnixNanos;

const NUMBER: u64 = 7;

/// A file that each case is written to.
#[derive(Debug)]
pub struct Segment {
    file: File,
    path: std::path::PathBuf,
}

impl Segment {
    /// Makes the file in a folder.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn create(folder: &Path) -> Self {
        let path = folder.join("fuzzed.log");
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .expect("a file");
        Self { file, path }
    }

    /// Writes frames whose payloads are `payloads`, does `damage` to their bytes, and reads them: each frame whose bytes are
    /// what they were comes back, and nothing else does.
    ///
    /// # Panics
    /// That does not hold, or the file cannot be written.
    pub fn check(&mut self, payloads: &[&[u8]], damage: impl FnOnce(&mut Vec<u8>)) {
        // Random in earnest, so that nobody can write a payload that holds a frame. A constant one a fuzzer learns within a
        // million cases; one that follows from the payloads changes with each that it tries.
        let salt = payloads
            .iter()
            .fold(payloads.len() as u64, |salt, payload| xxh3_64_with_seed(payload, salt));
        let mut bytes = encode_segment_header(NUMBER, salt).to_vec();
        let mut written = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            let frame = NewFrame {
                kind: FrameKind::Logs,
                key_id: "k".repeat(index % 3),
                content_hash: index as u128,
                payload: Bytes::copy_from_slice(payload),
            };
            let start = bytes.len();
            bytes.extend(encode_header(&frame, UnixNanos(index as i64), salt, start as u64));
            bytes.extend(frame.key_id.as_bytes());
            bytes.extend(&frame.payload);
            written.push((start..bytes.len(), frame));
        }
        let original = bytes.clone();
        damage(&mut bytes);
        let is_whole = |range: &Range<usize>| bytes.get(range.clone()) == Some(&original[range.clone()]);
        self.file.set_len(0).expect("an empty file");
        self.file.seek(SeekFrom::Start(0)).expect("its start");
        self.file.write_all(&bytes).expect("the bytes are written");

        let found = self.read(original.len() as u64);
        let Some(found) = found else {
            // Both copies of the header were damaged: nothing can be told from noise.
            let copy = SEGMENT_HEADER_BYTES as usize / 2;
            return assert!(!is_whole(&(0..copy)) && !is_whole(&(copy..2 * copy)));
        };
        let expected: Vec<_> = written.iter().filter(|(range, _)| is_whole(range)).collect();
        for (range, frame) in &expected {
            let found = found.iter().find(|(offset, _)| *offset == range.start as u64);
            let (_, found) = found.unwrap_or_else(|| panic!("the frame at {} is whole and was not found", range.start));
            assert_eq!((&found.key_id, &found.payload), (&frame.key_id, &frame.payload));
        }
        assert_eq!(
            found.len(),
            expected.len(),
            "a frame was found that was not written, or was damaged"
        );
    }

    /// The frames up to `end`; `None` when the segment's header is lost.
    fn read(&self, end: u64) -> Option<Vec<(u64, super::Frame)>> {
        let mut reader = SegmentReader::open(&self.path, NUMBER).expect("the file opens");
        reader.salt()?;
        let mut found = Vec::new();
        let mut offset = SEGMENT_HEADER_BYTES;
        loop {
            match reader.step_blocking(offset, end).expect("the file is read") {
                Step::Frame(frame, _) => {
                    let next = frame.end.offset;
                    assert!(next > offset);
                    found.push((offset, *frame));
                    offset = next;
                }
                Step::Bad { from, to } => {
                    assert!(from == offset && to > offset, "a search goes forward");
                    offset = to;
                }
                Step::End => return Some(found),
                Step::Missing { .. } => unreachable!("it was read"),
            }
        }
    }
}
