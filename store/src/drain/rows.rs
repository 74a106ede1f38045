//! From frames to the rows of a batch: decode, join, split. Pure but for the memory of recent inferences,
//! and in a retry pure but for the notes in the batch's record.

use std::collections::HashMap;
use std::ops::Range;

use super::dirty::{self, Dirty};
use super::expansion::expanded_bytes;
use super::join::{self, Inferences, Taken};
use super::labels::{self, Capped, Labels, Lost};
use super::meeting::{self, Met, Superseded};
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

/// What was decided when a batch was planned: with its frames it makes the same rows again.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Notes {
    /// Halves that the bounds on models and labels changed.
    pub capped: Vec<Capped>,
    /// Halves and outcomes that found their request.
    pub met: Vec<Met>,
    /// What the rows take from earlier batches.
    pub taken: Vec<Taken>,
}

/// A new batch.
pub(super) struct NewRows {
    pub rows: Rows,
    pub notes: Notes,
    pub learnt: Learnt,
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
    memory.forget(now);
    let capped = labels.cap(&decoded, bounds, now);
    let lost = labels::apply(&mut decoded, &capped);
    let (met, references) = meeting::find(&decoded, memory);
    let superseded = meeting::apply(&mut decoded, &met);
    let inferences = join::list(&decoded);
    let wrapping = meeting::wrapping(&decoded, &met);
    let (taken, mut learnt) = join::plan(&inferences, &wrapping, &decoded, memory);
    learnt.references = references;
    memory.learn(&learnt, now);
    let notes = Notes { capped, met, taken };
    let mended = Mended { decoded, superseded, lost };
    let mut rows = rows_of(mended, &inferences, &notes.taken, memory);
    rows.tally.add_given_up(memory.references.take_given_up());
    NewRows { rows, notes, learnt, used }
}

/// Makes a batch again as it was planned.
pub(super) fn make_again(frames: &[Frame], notes: &Notes, decode: &dyn Decode, memory: &RecentIds) -> Rows {
    let mended = mend(frames, notes, decode);
    let inferences = join::list(&mended.decoded);
    rows_of(mended, &inferences, &notes.taken, memory)
}

/// Makes the rows of one unit that come from a part of the batch's frames, if there are any.
pub(super) fn make_part(frames: &[Frame], part: Range<usize>, notes: &Notes, key: UnitKey, decode: &dyn Decode) -> Option<Unit> {
    let Mended {
        mut decoded, superseded, ..
    } = mend(frames, notes, decode);
    let inferences = join::list(&decoded);
    let superseded = superseded
        .into_iter()
        .filter(|superseded| part.contains(&superseded.frame))
        .collect();
    let mut decoded: Vec<Decoded> = decoded.drain(part).collect();
    let joined = join::join(&inferences, &notes.taken, superseded, &mut decoded);
    units::split(decoded, joined).remove(&key)
}

/// The frames of a batch, decoded and changed as its notes say.
struct Mended {
    decoded: Vec<Decoded>,
    superseded: Vec<Superseded>,
    lost: Lost,
}

fn mend(frames: &[Frame], notes: &Notes, decode: &dyn Decode) -> Mended {
    let mut decoded: Vec<Decoded> = frames.iter().map(|frame| decode.decode(frame)).collect();
    let lost = labels::apply(&mut decoded, &notes.capped);
    let superseded = meeting::apply(&mut decoded, &notes.met);
    Mended { decoded, superseded, lost }
}

fn rows_of(mended: Mended, inferences: &Inferences, taken: &[Taken], memory: &RecentIds) -> Rows {
    let Mended {
        mut decoded,
        superseded,
        lost,
    } = mended;
    let mut tally = Tally::default();
    decoded.iter().for_each(|decoded| tally.add_decoded(decoded));
    tally.add_lost(lost);
    let by_ordinal: HashMap<u32, Taken> = taken.iter().map(|taken| (taken.ordinal, *taken)).collect();
    let dirty = dirty::list(&decoded, inferences, &by_ordinal, &superseded, memory);
    let joined = join::join(inferences, taken, superseded, &mut decoded);
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
