//! How much came in the last minute, from counts of ten seconds.

use driftlead_store::clock::UnixNanos;

/// Seconds of one count.
const SLOT_SECONDS: i64 = 10;
/// Whole counts of the last minute, and the one that is being filled.
const SLOTS: usize = 7;

/// Counts of the last seventy seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    /// Number of the newest slot, counted from 1970.
    newest: i64,
    /// Slot `n` lies at `n` modulo the length.
    counts: [u64; SLOTS],
}

impl Recent {
    /// Counts what came at `now`. A clock that was set back counts into the newest slot.
    pub(crate) fn add(&mut self, count: u64, now: UnixNanos) {
        self.advance(now);
        self.counts[place(self.newest)] += count;
    }

    /// What came in the last whole minute of slots.
    pub(crate) fn of_last_minute(mut self, now: UnixNanos) -> u64 {
        self.advance(now);
        let unfinished = self.counts[place(self.newest)];
        self.counts.iter().sum::<u64>() - unfinished
    }

    fn advance(&mut self, now: UnixNanos) {
        let slot = now.seconds().div_euclid(SLOT_SECONDS);
        let passed = usize::try_from(slot.saturating_sub(self.newest)).unwrap_or(0).min(SLOTS);
        for step in 1..=passed {
            self.counts[place(slot - (passed - step) as i64)] = 0;
        }
        self.newest = self.newest.max(slot);
    }
}

fn place(slot: i64) -> usize {
    slot.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    #[test]
    fn the_last_minute_is_what_came_in_it() {
        let mut recent = Recent::default();
        for second in 1_000..1_200 {
            recent.add(3, at(second));
        }
        assert_eq!(recent.of_last_minute(at(1_200)), 180);
        assert_eq!(recent.of_last_minute(at(1_209)), 180);
        assert_eq!(recent.of_last_minute(at(1_230)), 90);
        assert_eq!(recent.of_last_minute(at(1_269)), 0);
        assert_eq!(recent.of_last_minute(at(9_999_999)), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let mut recent = Recent::default();
        recent.add(5, at(1_000));
        recent.add(7, at(500));
        assert_eq!(recent.of_last_minute(at(1_010)), 12);
    }
}
