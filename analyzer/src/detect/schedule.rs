//! Which drift windows there is work for: a pure account of what was profiled and what was computed from it.

use std::cmp::Reverse;
use std::collections::HashMap;

use driftlead_store::clock::UnixNanos;

use super::due::{Computed, Due, Known, LATE_DATA_INTERVAL, due};
use crate::failures::Failures;
use crate::window::Window;

/// How far back windows are looked for: the retention of minutes.
pub(super) const LOOK_BACK_SECONDS: i64 = 14 * 86_400;
/// Lengths of a window within which rules still look at it.
pub(crate) const LENGTHS_LOOKED_AT: i64 = 2;
/// How long a window that is due waits for late data to be profiled: some senders always have some on its way.
const LONGEST_HOLD_SECONDS: i64 = 300;

/// A model and a window of it.
pub(super) type Key = (String, Window);

#[derive(Debug, Clone, Copy)]
struct Open {
    /// Generation of the newest profile in it.
    profiled: u64,
    computed: Option<Computed>,
    /// Since when it is due but not clean.
    held_since: Option<UnixNanos>,
}

/// Windows that something is to be computed for, now or soon.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    open: HashMap<Key, Open>,
    failures: Failures<Key>,
}

impl Schedule {
    /// A window's profiles are of this generation now.
    pub fn note(&mut self, key: Key, generation: u64) {
        let open = self.open.entry(key).or_insert(Open {
            profiled: generation,
            computed: None,
            held_since: None,
        });
        open.profiled = open.profiled.max(generation);
    }

    /// Forgets what has expired, and what is computed and would not have to wait if more came.
    pub fn forget(&mut self, now: UnixNanos) {
        let oldest = now.plus_seconds(-LOOK_BACK_SECONDS);
        self.open.retain(|(_, window), open| {
            let is_done = open.computed.is_some_and(|computed| {
                let is_final = !computed.provisional && computed.generation >= open.profiled;
                is_final && now.seconds_since(computed.at) >= LATE_DATA_INTERVAL.as_secs_f64()
            });
            window.end > oldest && !is_done
        });
        let open = &self.open;
        self.failures.retain(|key| open.contains_key(key));
    }

    /// What is due at `now`: first the windows that rules wait for, then the drawing of those that run, then history,
    /// the newest first.
    pub fn due(&self, watermark: impl Fn(&str) -> Option<UnixNanos>, now: UnixNanos) -> Vec<(Key, Due)> {
        let mut all: Vec<(Key, Due)> = self
            .open
            .iter()
            .filter(|(key, _)| self.failures.may_try(key, now))
            .filter_map(|(key, open)| {
                let known = Known {
                    window: key.1,
                    profiled: open.profiled,
                    computed: open.computed,
                };
                let due = due(known, watermark(&key.0)?, now);
                (due != Due::Not).then(|| (key.clone(), due))
            })
            .collect();
        all.sort_by(|(a, due_a), (b, due_b)| {
            let rank = |window: Window, due: Due| match due {
                Due::Final if window.ended_within(LENGTHS_LOOKED_AT, now) => 0,
                Due::Provisional => 1,
                Due::Final | Due::Not => 2,
            };
            let order = |key: &Key, due: Due| (rank(key.1, due), Reverse(key.1.seconds), Reverse(key.1.end));
            order(a, *due_a).cmp(&order(b, *due_b)).then_with(|| a.0.cmp(&b.0))
        });
        all
    }

    /// Whether a window that is due but not clean has to wait on. It does so for a while only.
    pub fn hold(&mut self, key: &Key, now: UnixNanos) -> bool {
        let Some(open) = self.open.get_mut(key) else { return false };
        let since = *open.held_since.get_or_insert(now);
        now.seconds_since(since) < LONGEST_HOLD_SECONDS as f64
    }

    /// The generation that a window would be computed from now.
    pub fn generation(&self, key: &Key) -> u64 {
        self.open.get(key).map_or(0, |open| open.profiled)
    }

    pub fn computed(&mut self, key: &Key, computed: Computed) {
        self.failures.succeeded(key);
        if let Some(open) = self.open.get_mut(key) {
            open.computed = Some(computed);
            open.held_since = None;
        }
    }

    /// Gives the seconds until it is tried again.
    pub fn failed(&mut self, key: Key, now: UnixNanos) -> i64 {
        self.failures.failed(key, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{DAY_SECONDS, HOUR_SECONDS};

    const NOW: i64 = 20 * 86_400 + 3_700;

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    fn hour(end: i64) -> Key {
        window(end, HOUR_SECONDS)
    }

    fn window(end: i64, seconds: u32) -> Key {
        ("m".to_owned(), Window { end: at(end), seconds })
    }

    fn due_ends(schedule: &Schedule, now: i64) -> Vec<(i64, u32)> {
        let due = schedule.due(|_| Some(at(now - 60)), at(now));
        due.into_iter()
            .map(|((_, window), _)| (window.end.seconds(), window.seconds))
            .collect()
    }

    fn finish(schedule: &mut Schedule, key: &Key, now: i64) {
        let generation = schedule.generation(key);
        let done = Computed {
            generation,
            at: at(now),
            provisional: false,
        };
        schedule.computed(key, done);
    }

    #[test]
    fn what_rules_wait_for_goes_first_then_what_runs_then_history() {
        let mut schedule = Schedule::default();
        let day = 20 * 86_400;
        let (runs, ended, last_day, history, old_day) = (
            hour(day + 7_200),
            hour(day + 3_600),
            window(day, DAY_SECONDS),
            hour(day - 86_400),
            window(day - 5 * 86_400, DAY_SECONDS),
        );
        for key in [&history, &runs, &old_day, &ended, &last_day] {
            schedule.note(key.clone(), 1);
        }
        let order = [last_day, ended, runs, old_day, history].map(|(_, window)| (window.end.seconds(), window.seconds));
        assert_eq!(due_ends(&schedule, NOW), order);
    }

    #[test]
    fn a_window_that_expires_is_forgotten_and_never_computed_again() {
        let mut schedule = Schedule::default();
        let first = 20 * 86_400;
        for hours in 0..48 {
            schedule.note(hour(first + hours * 3_600), 1);
        }
        let mut computed = 0;
        // Every quarter of an hour for 16 days, the clock moved by hand.
        for quarter in 0..16 * 96 {
            let now = first + 50 * 3_600 + quarter * 900;
            schedule.forget(at(now));
            for (key, _) in schedule.due(|_| Some(at(now - 60)), at(now)) {
                finish(&mut schedule, &key, now);
                computed += 1;
            }
        }
        assert_eq!(computed, 48);
        schedule.note(hour(first), 2);
        schedule.forget(at(first + 50 * 3_600 + 16 * 86_400));
        assert!(schedule.open.is_empty());
    }

    #[test]
    fn late_data_holds_a_window_for_minutes_and_computes_it_again_later() {
        let mut schedule = Schedule::default();
        let key = hour(NOW - 100);
        schedule.note(key.clone(), 1);
        assert!(schedule.hold(&key, at(NOW)) && schedule.hold(&key, at(NOW + 299)));
        assert!(!schedule.hold(&key, at(NOW + 300)));
        finish(&mut schedule, &key, NOW + 300);
        schedule.note(key.clone(), 2);
        assert_eq!(due_ends(&schedule, NOW + 599), []);
        assert_eq!(due_ends(&schedule, NOW + 600).len(), 1);
        assert!(schedule.hold(&key, at(NOW + 600)), "each computation waits anew");
    }

    #[test]
    fn a_window_that_fails_waits_by_itself() {
        let mut schedule = Schedule::default();
        let (bad, good) = (hour(NOW - 100), hour(NOW - 3_700));
        schedule.note(bad.clone(), 1);
        schedule.note(good.clone(), 1);
        schedule.failed(bad.clone(), at(NOW));
        assert_eq!(due_ends(&schedule, NOW), [(good.1.end.seconds(), HOUR_SECONDS)]);
        assert_eq!(due_ends(&schedule, NOW + 1).len(), 2);
    }
}
