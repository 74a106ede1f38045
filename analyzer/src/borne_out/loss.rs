//! Quality of a window against the days before it.

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, SignalState};
use serde::Serialize;

use crate::detect::{LENGTHS_LOOKED_AT, MEASURES, Z};

/// The share of the quality before that was lost; of errors by how much they grew.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loss {
    /// What is measured.
    pub of: &'static str,
    /// The mean of the days before, by their labels.
    pub before: f64,
    /// Labels of those days.
    pub before_n: u64,
    /// In the window.
    pub after: f64,
    /// Labels of the window.
    pub n: u64,
    /// The share of `before` that was lost, negative where it was gained.
    pub value: f64,
    /// Lower bound at 99 %.
    pub lower: f64,
    /// Upper bound at 99 %.
    pub upper: f64,
}

/// The mean of windows and its variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Before {
    mean: f64,
    variance: f64,
    n: u64,
}

/// The point of quality of the window that an alert which began to fire at an instant is about: the last one that had ended, of the
/// two lengths in which rules look at windows.
pub(super) fn quality_in(points: &[Signal], at: UnixNanos, window_seconds: u32) -> Option<(&'static str, bool, &Signal)> {
    let earliest = at.plus_seconds(-LENGTHS_LOOKED_AT * i64::from(window_seconds));
    MEASURES.iter().find_map(|&(name, is_gain)| {
        let in_time = |point: &&Signal| point.name == name && point.window_end > earliest && point.window_end <= at;
        let last = points.iter().filter(in_time).max_by_key(|point| point.window_end)?;
        (last.state == SignalState::Ok || last.provisional).then_some((name, is_gain, last))
    })
}

/// The same of the windows before, that do not overlap it and whose labels have all come.
pub(super) fn quality_before(points: &[Signal], name: &str, now: &Signal) -> Option<Before> {
    let begin = now.window_end.plus_seconds(-i64::from(now.window_seconds));
    let is_before =
        |point: &&Signal| point.name == name && point.window_end <= begin && point.state == SignalState::Ok && !point.provisional;
    let known: Vec<(f64, f64, u64)> = points
        .iter()
        .filter(is_before)
        .filter_map(|point| Some((point.value?, variance(point)?, point.n)))
        .collect();
    let n: u64 = known.iter().map(|(.., n)| n).sum();
    let share = |of: u64| of as f64 / n as f64;
    if n == 0 {
        return None;
    }
    let mean: f64 = known.iter().map(|(value, _, of)| value * share(*of)).sum();
    let of_chance: f64 = known.iter().map(|(_, variance, of)| variance * share(*of).powi(2)).sum();
    // Windows differ by more than chance: what the next one may be varies as they do.
    let among: f64 = known.iter().map(|(value, _, of)| (value - mean).powi(2) * share(*of)).sum();
    let expected: f64 = known.iter().map(|(_, variance, of)| variance * share(*of)).sum();
    Some(Before {
        mean,
        variance: of_chance + (among - expected).max(0.0),
        n,
    })
}

/// Of the bounds of a signal.
fn variance(point: &Signal) -> Option<f64> {
    let width = point.upper? - point.lower?;
    Some((width / (2.0 * Z)).powi(2))
}

impl Loss {
    /// `None` where quality was nothing before, or the window has no bounds.
    pub(super) fn between(of: &'static str, is_gain: bool, before: &Before, now: &Signal) -> Option<Self> {
        let after = now.value?;
        if before.mean <= 0.0 {
            return None;
        }
        let lost = if is_gain { before.mean - after } else { after - before.mean };
        let half_width = Z * (before.variance + variance(now)?).sqrt();
        Some(Self {
            of,
            before: before.mean,
            before_n: before.n,
            after,
            n: now.n,
            value: lost / before.mean,
            lower: (lost - half_width) / before.mean,
            upper: (lost + half_width) / before.mean,
        })
    }
}
