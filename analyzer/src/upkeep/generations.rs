//! Numbers for computations: they rise with the clock and never fall.

use std::sync::atomic::{AtomicU64, Ordering};

use driftlead_store::clock::UnixNanos;

/// Gives out generations.
#[derive(Debug)]
pub struct Generations {
    last: AtomicU64,
}

impl Generations {
    /// Above the highest one that was ever given out.
    pub fn after(highest: u64) -> Self {
        Self {
            last: AtomicU64::new(highest),
        }
    }

    /// A generation above all earlier ones: the clock where it is ahead of them.
    pub fn next(&self, now: UnixNanos) -> u64 {
        let clock = now.0.max(0).unsigned_abs();
        let before = self
            .last
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(clock.max(last + 1)));
        before.map_or(clock, |before| clock.max(before + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_gives_no_lower_number() {
        let generations = Generations::after(100);
        assert_eq!(
            [
                generations.next(UnixNanos(500)),
                generations.next(UnixNanos(200)),
                generations.next(UnixNanos(501))
            ],
            [500, 501, 502]
        );
    }
}
