//! One frame: what an admitted request becomes.

use bytes::Bytes;

use crate::clock::UnixNanos;

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
    /// Deletions by request id or user, as the web's API writes them.
    Deletions = 5,
}

/// Where a frame lies: the segment's number and the byte offset of the frame's header in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Number of the segment, counted from 1.
    pub segment: u64,
    /// Bytes from the segment's start.
    pub offset: u64,
}

/// One frame as readers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Where it lies.
    pub position: Position,
    /// Where the next frame begins.
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
