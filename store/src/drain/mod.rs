//! Reads the log, decodes it and commits batches to ClickHouse, each exactly once.

use crate::records::Decoded;
use crate::wal::Frame;

/// Turns a frame into records. Must be deterministic: a batch that is inserted again after a crash has
/// to be byte-identical. The root injects the collector's implementation.
pub trait Decode: Send + Sync + 'static {
    /// Decodes one frame. A frame was admitted, so what cannot be read here is counted in
    /// [`Decoded::cut`], never an error.
    fn decode(&self, frame: &Frame) -> Decoded;
}
