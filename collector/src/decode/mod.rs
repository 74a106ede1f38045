//! From frames of the log to records: raw rows, halves of inferences and outcomes for the drain, errors for
//! the index. The two are asked for apart, and neither does the other's work.
//!
//! Decoding is deterministic: it reads the frame (with its position and receive time) and the decoder's
//! settings, and nothing else. A batch that is inserted again after a crash is therefore byte-identical.
//! What was refused when the request was received is left out here by the same rules.

pub(crate) mod attributes;
mod bounds;
pub mod cuts;
pub(crate) mod errors;
mod logs;
mod metrics;
mod origin;
mod outcomes;
mod predictions;
pub(crate) mod severity;
pub(crate) mod stored;
mod traces;

use driftlead_store::clock::UnixNanos;
use driftlead_store::drain::Decode;
use driftlead_store::records::{Decoded, FoundErrors, outcome_line};
use driftlead_store::wal::{Frame, FrameKind, Position};
use prost::Message;

use crate::signal::Signal;
use crate::wire;
use bounds::{Bounds, SetAsideCounts};
pub use bounds::{DEFAULT_INFERENCE_RETENTION_DAYS, DEFAULT_RAW_RETENTION_DAYS, EVENT_TIME, SET_ASIDE};
use cuts::{Cuts, reasons};

/// Settings of the decoder. They decide what is set aside, so they are those of the tables' retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderConfig {
    /// Days for which raw telemetry is kept; older events are kept under their receive time.
    pub raw_retention_days: u32,
    /// Days for which inferences are kept; older ones are part of no window.
    pub inference_retention_days: u32,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            raw_retention_days: DEFAULT_RAW_RETENTION_DAYS,
            inference_retention_days: DEFAULT_INFERENCE_RETENTION_DAYS,
        }
    }
}

/// Turns frames into records, for the drain and for the error index.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    config: DecoderConfig,
}

impl Decoder {
    /// A decoder with these settings.
    pub fn new(config: DecoderConfig) -> Self {
        Self { config }
    }
}

impl Decode for Decoder {
    fn decode(&self, frame: &Frame) -> Decoded {
        let mut work = Work::new(self.config, frame);
        let payload = frame.payload.as_ref();
        match frame.kind {
            FrameKind::Logs => work.read(payload, logs::decode),
            FrameKind::Traces => work.read(payload, traces::decode),
            FrameKind::Metrics => work.read(payload, metrics::decode),
            FrameKind::Outcomes => work.outcome_lines(payload),
        }
        work.finish()
    }

    fn errors(&self, frame: &Frame) -> FoundErrors {
        let signal = match frame.kind {
            FrameKind::Logs => Signal::Logs,
            FrameKind::Traces => Signal::Traces,
            FrameKind::Metrics | FrameKind::Outcomes => return FoundErrors::default(),
        };
        match wire::may_hold_errors(signal, &frame.payload) {
            true => self.find_errors(frame),
            false => FoundErrors::default(),
        }
    }
}

impl Decoder {
    /// The errors of a frame, found by decoding all of it.
    pub(crate) fn find_errors(&self, frame: &Frame) -> FoundErrors {
        let mut work = Work::new(self.config, frame);
        let mut found = errors::Found::default();
        let payload = frame.payload.as_ref();
        match frame.kind {
            FrameKind::Logs => work.read(payload, |request, work| logs::errors(request, work, &mut found)),
            FrameKind::Traces => work.read(payload, |request, work| traces::errors(request, work, &mut found)),
            FrameKind::Metrics | FrameKind::Outcomes => {}
        }
        found.finish()
    }
}

/// One frame while it is decoded.
struct Work {
    decoded: Decoded,
    cuts: Cuts,
    set_aside: SetAsideCounts,
    bounds: Bounds,
    received_time: UnixNanos,
    position: Position,
    /// Which record of the frame is read, counted from 1.
    record: u64,
}

impl Work {
    fn new(config: DecoderConfig, frame: &Frame) -> Self {
        Self {
            decoded: Decoded::default(),
            cuts: Cuts::default(),
            set_aside: SetAsideCounts::default(),
            bounds: Bounds::new(config, frame.received_time),
            received_time: frame.received_time,
            position: frame.position,
            record: 0,
        }
    }

    fn read<M: Message + Default>(&mut self, payload: &[u8], decode: impl FnOnce(M, &mut Self)) {
        match M::decode(payload) {
            Ok(request) => decode(request, self),
            Err(_) => self.cuts.add(reasons::UNREADABLE_FRAME, 1),
        }
    }

    fn outcome_lines(&mut self, payload: &[u8]) {
        let (outcomes, unreadable) = outcome_line::read_payload(payload, self.received_time);
        self.decoded.outcomes = outcomes;
        self.cuts.add(reasons::UNREADABLE_OUTCOME, unreadable);
    }

    /// Every record is counted, whatever becomes of it: rows and errors count alike.
    fn next_record(&mut self) {
        self.record += 1;
    }

    /// Names an inference that its sender did not name: by its place in the log, which never changes.
    fn anonymous_request_id(&self) -> String {
        format!("anonymous-{}-{}-{}", self.position.segment, self.position.offset, self.record)
    }

    fn finish(mut self) -> Decoded {
        self.decoded.cut = self.cuts.into_counts();
        self.decoded.set_aside = self.set_aside.into_list();
        self.decoded
    }
}

#[cfg(test)]
mod tests;
