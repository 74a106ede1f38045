//! How the drain stands, for /readyz, /metrics and pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::labels::Lost;
use crate::clock::UnixNanos;
use crate::records::Decoded;

/// How the drain stands; counts are those since the start of the process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DrainStatus {
    /// Batches committed.
    pub batches: u64,
    /// Frames in them.
    pub frames: u64,
    /// Rows in them, by kind.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows that are not in ClickHouse although it has said, again and again, that it took them.
    pub missing_rows: u64,
    /// Halves that do not count as requests: they came too late, or wrap requests that count.
    pub partial_inferences: u64,
    /// Records that are part of no window because of their event time, or because there are too many models, by reason.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// What decoding cut or ignored, by reason.
    pub cut: BTreeMap<&'static str, u64>,
    /// Frames (or the part of one that goes to one table) that ClickHouse refused; they are in the quarantine.
    pub quarantined: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// What the last attempt met; `None` once one has succeeded.
    pub last_error: Option<String>,
    /// When the last batch was committed.
    pub last_commit: Option<UnixNanos>,
    /// Receive time of the first frame of each batch that is planned but not committed, by its number.
    in_flight: BTreeMap<u64, UnixNanos>,
    /// Receive time of the frame that an old backlog has been drained up to.
    backlog_reached: Option<UnixNanos>,
    /// Receive time of the first frame that is not committed, while none is planned.
    waiting: Option<UnixNanos>,
}

impl DrainStatus {
    /// Whether batches are planned and not committed: then the lag is theirs.
    pub(super) fn has_planned(&self) -> bool {
        !self.in_flight.is_empty() || self.backlog_reached.is_some()
    }

    /// Age of the oldest frame that is not drained yet, in seconds; 0 when all are.
    pub fn lag_seconds(&self, now: UnixNanos) -> f64 {
        let planned = self.in_flight.values().chain(&self.backlog_reached).min();
        planned
            .or(self.waiting.as_ref())
            .map_or(0.0, |oldest| now.seconds_since(*oldest).max(0.0))
    }
}

/// A handle to the status; clones share it. Made by whoever starts the drain and given to it.
#[derive(Debug, Clone)]
pub struct StatusHandle(Arc<watch::Sender<DrainStatus>>);

impl Default for StatusHandle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(DrainStatus::default())))
    }
}

impl StatusHandle {
    /// How the drain stands.
    pub fn get(&self) -> DrainStatus {
        self.0.borrow().clone()
    }

    /// For waiting until something has happened.
    pub fn subscribe(&self) -> watch::Receiver<DrainStatus> {
        self.0.subscribe()
    }

    pub(super) fn planned(&self, sequence: u64, first_received: Option<UnixNanos>, backlog_reached: Option<UnixNanos>) {
        self.0.send_modify(|status| {
            status.in_flight.extend(first_received.map(|first| (sequence, first)));
            status.backlog_reached = backlog_reached;
        });
    }

    pub(super) fn waiting(&self, first: Option<UnixNanos>) {
        self.0
            .send_if_modified(|status| std::mem::replace(&mut status.waiting, first) != first);
    }

    pub(super) fn backlog_reached(&self, reached: Option<UnixNanos>) {
        self.0.send_modify(|status| status.backlog_reached = reached);
    }

    pub(super) fn committed(&self, sequence: u64, tally: &Tally, now: UnixNanos) {
        self.0.send_modify(|status| {
            status.in_flight.remove(&sequence);
            status.waiting = None;
            status.last_commit = Some(now);
            status.last_error = None;
            status.batches += 1;
            status.frames += tally.frames;
            status.missing_rows += tally.missing_rows;
            status.partial_inferences += tally.partial_inferences;
            add(&mut status.rows, &tally.rows);
            add(&mut status.set_aside, &tally.set_aside);
            add(&mut status.cut, &tally.cut);
        });
    }

    pub(super) fn failed(&self, error: String) {
        self.0.send_modify(|status| {
            status.retries += 1;
            status.last_error = Some(error);
        });
    }

    pub(super) fn quarantined(&self) {
        self.0.send_modify(|status| status.quarantined += 1);
    }
}

fn add(totals: &mut BTreeMap<&'static str, u64>, counts: &BTreeMap<&'static str, u64>) {
    for (name, count) in counts {
        *totals.entry(name).or_default() += count;
    }
}

/// What one batch adds to the counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tally {
    pub frames: u64,
    pub missing_rows: u64,
    pub partial_inferences: u64,
    pub rows: BTreeMap<&'static str, u64>,
    pub set_aside: BTreeMap<&'static str, u64>,
    pub cut: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts what the bounds on models and labels changed.
    pub fn add_lost(&mut self, lost: Lost) {
        for (counts, reason, count) in [
            (&mut self.set_aside, "models_beyond_bound", lost.halves),
            (&mut self.cut, "label_values_beyond_bound", lost.values),
        ] {
            if count > 0 {
                *counts.entry(reason).or_default() += count;
            }
        }
    }

    /// Counts the outcomes that named no model and whose inference did not come.
    pub fn add_given_up(&mut self, outcomes: u64) {
        if outcomes > 0 {
            *self.cut.entry("outcome_without_model").or_default() += outcomes;
        }
    }

    /// Counts what decoding left out.
    pub fn add_decoded(&mut self, decoded: &Decoded) {
        self.frames += 1;
        for set_aside in &decoded.set_aside {
            *self.set_aside.entry(set_aside.reason).or_default() += set_aside.count;
        }
        for (reason, count) in &decoded.cut {
            *self.cut.entry(reason).or_default() += count;
        }
    }
}
