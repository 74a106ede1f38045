//! One frame: what an admitted request becomes, and how it lies on the disk.
//!
//! A frame is a header of [`HEADER_BYTES`], the key's id and the payload. All numbers are little-endian.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic |
//! | 4..8 | CRC32C of the segment's salt, the frame's offset and bytes 8..44 |
//! | 8..12 | CRC32C of key id and payload |
//! | 12..16 | length of the payload |
//! | 16..18 | length of the key id |
//! | 18 | kind |
//! | 19 | version of this layout |
//! | 20..28 | receive time, Unix nanoseconds |
//! | 28..44 | content hash |
//!
//! The header has a checksum of its own so that a damaged payload does not cost the frames after it. It
//! covers a random salt and the frame's place: bytes of a payload that look like a frame are never taken
//! for one, whoever sent them.

use bytes::Bytes;

use crate::clock::UnixNanos;

/// Bytes before the key id.
pub(super) const HEADER_BYTES: usize = 44;
/// First bytes of each frame; the rarer in telemetry, the cheaper the search for the next frame.
pub(super) const MAGIC: [u8; 4] = [0xD7, b'F', 0xB1, b'R'];
const FRAME_VERSION: u8 = 1;
/// Largest payload: twice the largest request body (64 MiB after decompression), so that whatever the
/// collector admits fits.
pub const MAX_PAYLOAD_BYTES: usize = 128 << 20;
/// Longest key id; ours have 36 bytes.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;

/// What a frame's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// `ExportLogsServiceRequest`, protobuf.
    Logs = 1,
    /// `ExportTraceServiceRequest`, protobuf.
    Traces = 2,
    /// `ExportMetricsServiceRequest`, protobuf.
    Metrics = 3,
    /// Outcomes, as the collector writes them.
    Outcomes = 4,
}

impl FrameKind {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Logs, Self::Traces, Self::Metrics, Self::Outcomes]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }

    /// Whether a request that repeats a recent one byte for byte is a client's second attempt. Outcomes
    /// are idempotent by what they say, and the last received wins.
    pub fn recognises_repeats(self) -> bool {
        matches!(self, Self::Logs | Self::Traces | Self::Metrics)
    }
}

/// Where a frame lies: the segment's number and the byte offset of the frame's header in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Number of the segment, counted from 1.
    pub segment: u64,
    /// Bytes from the segment's start.
    pub offset: u64,
}

/// A request on its way into the log.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFrame {
    /// What the payload is.
    pub kind: FrameKind,
    /// Id of the key that sent it, at most 256 bytes; empty without keys.
    pub key_id: String,
    /// xxh3-128 of kind, key and the client's own bytes before redaction.
    pub content_hash: u128,
    /// The request, after redaction; at most [`MAX_PAYLOAD_BYTES`].
    pub payload: Bytes,
}

/// One frame as readers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Where it lies.
    pub position: Position,
    /// Where the next frame begins, unless that begins a new segment.
    pub end: Position,
    /// What the payload is.
    pub kind: FrameKind,
    /// When the request was received.
    pub received_time: UnixNanos,
    /// Id of the key that sent it; empty without keys.
    pub key_id: String,
    /// The request, after redaction.
    pub payload: Bytes,
}

/// Bytes that a frame takes on the disk.
pub(super) fn frame_bytes(key_id_bytes: usize, payload_bytes: usize) -> u64 {
    (HEADER_BYTES + key_id_bytes + payload_bytes) as u64
}

/// A header whose checksum held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Header {
    pub kind: FrameKind,
    pub received_time: UnixNanos,
    pub content_hash: u128,
    pub key_id_bytes: usize,
    pub payload_bytes: usize,
    body_crc: u32,
}

impl Header {
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(self.key_id_bytes, self.payload_bytes)
    }

    /// Whether key id and payload are what was written.
    pub fn matches(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_crc
    }
}

/// The header of a frame that will lie at `offset` of the segment with this salt.
pub(super) fn encode_header(frame: &NewFrame, received_time: UnixNanos, salt: u64, offset: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let body_crc = crc32c::crc32c_append(crc32c::crc32c(frame.key_id.as_bytes()), &frame.payload);
    header[0..4].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&body_crc.to_le_bytes());
    header[12..16].copy_from_slice(&(frame.payload.len() as u32).to_le_bytes());
    header[16..18].copy_from_slice(&(frame.key_id.len() as u16).to_le_bytes());
    header[18] = frame.kind as u8;
    header[19] = FRAME_VERSION;
    header[20..28].copy_from_slice(&received_time.0.to_le_bytes());
    header[28..44].copy_from_slice(&frame.content_hash.to_le_bytes());
    let crc = header_crc(&header, salt, offset);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads a header; `None` when these bytes are not the header of a frame at this place.
pub(super) fn decode_header(bytes: &[u8], salt: u64, offset: u64) -> Option<Header> {
    let header: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
    if header[0..4] != MAGIC || header[19] != FRAME_VERSION || field::<4>(header, 4) != header_crc(header, salt, offset).to_le_bytes() {
        return None;
    }
    Some(Header {
        kind: FrameKind::from_code(header[18])?,
        received_time: UnixNanos(i64::from_le_bytes(field(header, 20))),
        content_hash: u128::from_le_bytes(field(header, 28)),
        key_id_bytes: usize::from(u16::from_le_bytes(field(header, 16))),
        payload_bytes: u32::from_le_bytes(field(header, 12)) as usize,
        body_crc: u32::from_le_bytes(field(header, 8)),
    })
}

fn header_crc(header: &[u8; HEADER_BYTES], salt: u64, offset: u64) -> u32 {
    let place = crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &offset.to_le_bytes());
    crc32c::crc32c_append(place, &header[8..])
}

fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("a constant range within the header")
}
