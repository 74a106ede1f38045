//! From frames to the rows of a batch: decode, join, split. Pure but for the memory of recent inferences,
//! and in a retry pure but for the notes in the batch's record.

use std::collections::HashMap;
use std::ops::Range;

use super::dirty::{self, Dirty};
use super::expansion::expanded_bytes;
use super::join::{self, Inferences, Taken};
use super::labels::{self, Capped, Labels, Lost};
use super::recent::{Learnt, RecentIds};
use super::status::Tally;
use super::units::{self, Unit, UnitKey, Units};
use super::{Bounds, Decode};
use crate::clock::UnixNanos;
use crate::records::Decoded;
use crate::wal::Frame;

/// What a batch stores, marks and counts.
pub(super) struct Rows {
    pub units: Units,
    pub dirty: Dirty,
    pub tally: Tally,
}

/// A new batch.
pub(super) struct NewRows {
    pub rows: Rows,
    pub taken: Vec<Taken>,
    pub learnt: Learnt,
    pub capped: Vec<Capped>,
    /// How many of the frames went into it.
    pub used: usize,
}

/// Makes a batch of as many of the frames as fit; the memory learns it.
pub(super) fn make(
    frames: &[Frame],
    bounds: &Bounds,
    decode: &dyn Decode,
    memory: &mut RecentIds,
    labels: &mut Labels,
    now: UnixNanos,
) -> NewRows {
    let (mut records, mut row_bytes) = (0, 0_usize);
    let mut decoded = Vec::new();
    for frame in frames {
        let next = decode.decode(frame);
        records += count(&next);
        row_bytes = row_bytes.saturating_add(expanded_bytes(frame.payload.len(), &next));
        if row_bytes > bounds.max_row_bytes && !decoded.is_empty() {
            break;
        }
        decoded.push(next);
        if records >= bounds.max_records {
            break;
        }
    }
    let used = decoded.len();
    let capped = labels.cap(&decoded, bounds, now);
    let lost = labels::apply(&mut decoded, &capped);
    memory.forget(now);
    let inferences = join::list(&decoded);
    let (taken, learnt) = join::plan(&inferences, &decoded, memory);
    memory.learn(&learnt, now);
    let rows = rows_of(decoded, &inferences, &taken, lost, memory);
    NewRows {
        rows,
        taken,
        learnt,
        capped,
        used,
    }
}

/// Makes a batch again as it was planned.
pub(super) fn make_again(frames: &[Frame], taken: &[Taken], capped: &[Capped], decode: &dyn Decode, memory: &RecentIds) -> Rows {
    let mut decoded: Vec<Decoded> = frames.iter().map(|frame| decode.decode(frame)).collect();
    let lost = labels::apply(&mut decoded, capped);
    let inferences = join::list(&decoded);
    rows_of(decoded, &inferences, taken, lost, memory)
}

/// Makes the rows of one unit that come from a part of the batch's frames, if there are any.
pub(super) fn make_part(
    frames: &[Frame],
    part: Range<usize>,
    taken: &[Taken],
    capped: &[Capped],
    key: UnitKey,
    decode: &dyn Decode,
) -> Option<Unit> {
    let mut decoded: Vec<Decoded> = frames.iter().map(|frame| decode.decode(frame)).collect();
    labels::apply(&mut decoded, capped);
    let inferences = join::list(&decoded);
    let mut decoded: Vec<Decoded> = decoded.drain(part).collect();
    let joined = join::join(&inferences, taken, &mut decoded);
    units::split(decoded, joined).remove(&key)
}

fn rows_of(mut decoded: Vec<Decoded>, inferences: &Inferences, taken: &[Taken], lost: Lost, memory: &RecentIds) -> Rows {
    let mut tally = Tally::default();
    decoded.iter().for_each(|decoded| tally.add_decoded(decoded));
    tally.add_lost(lost);
    let by_ordinal: HashMap<u32, Taken> = taken.iter().map(|taken| (taken.ordinal, *taken)).collect();
    let dirty = dirty::list(&decoded, inferences, &by_ordinal, memory);
    let joined = join::join(inferences, taken, &mut decoded);
    tally.partial_inferences = joined.iter().filter(|row| row.partial).count() as u64;
    Rows {
        units: units::split(decoded, joined),
        dirty,
        tally,
    }
}

fn count(decoded: &Decoded) -> usize {
    let metrics = &decoded.metrics;
    let points = metrics.gauges.len()
        + metrics.sums.len()
        + metrics.histograms.len()
        + metrics.exponential_histograms.len()
        + metrics.summaries.len();
    decoded.logs.len() + decoded.spans.len() + points + decoded.halves.len() + decoded.outcomes.len()
}
