//! Which windows of series without an alert were looked at, so that each counts once: a window that is drawn
//! again, or one that ended before another that was judged, must not fire later.
//!
//! Kept in memory only. After a restart the windows of the last two lengths are looked at once more.

use std::collections::{BTreeMap, HashMap};

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::Signal;
use driftlead_store::state::alerts::Series;

use crate::book::series_of;

/// Ends that are remembered of one series, the latest ones: two days of hours and more, which is what rules
/// look at, with the day that labels usually take.
const MAX_ENDS: usize = 96;

/// Windows by rule and series.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    by_rule: HashMap<String, HashMap<Series, Ends>>,
}

/// Ends of windows, each with whether its value was provisional.
type Ends = BTreeMap<UnixNanos, bool>;

impl Looked {
    /// Whether a signal's window counts: it was not looked at, or its provisional value has become final, and
    /// none that ended later was looked at in the same way.
    pub fn counts(&self, rule: &str, signal: &Signal) -> bool {
        let Some(ends) = self.by_rule.get(rule).and_then(|series| series.get(&series_of(signal))) else {
            return true;
        };
        let is_new = match ends.get(&signal.window_end) {
            None => true,
            Some(was_provisional) => *was_provisional && !signal.provisional,
        };
        // Final values come `label_delay` after provisional ones of later windows: those do not pass them.
        let passed = ends
            .range(signal.window_end..)
            .any(|(end, provisional)| *end > signal.window_end && (signal.provisional || !provisional));
        is_new && !passed
    }

    /// Remembers a window that was judged.
    pub fn note(&mut self, rule: &str, signal: &Signal) {
        let series = self.by_rule.entry(rule.to_owned()).or_default();
        let ends = series.entry(series_of(signal)).or_default();
        ends.insert(signal.window_end, signal.provisional);
        while ends.len() > MAX_ENDS {
            ends.pop_first();
        }
    }

    /// Forgets series whose last window ended before `before`: rules do not look at those any more.
    pub fn forget_before(&mut self, before: UnixNanos) {
        for series in self.by_rule.values_mut() {
            series.retain(|_, ends| ends.last_key_value().is_some_and(|(end, _)| *end >= before));
        }
        self.by_rule.retain(|_, series| !series.is_empty());
    }
}
