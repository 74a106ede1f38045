//! Windows: stretches of event time that end at an instant, and which of them there are.

use driftlead_store::clock::UnixNanos;

/// Seconds of an hour.
pub const HOUR_SECONDS: u32 = 3_600;
/// Seconds of a day.
pub const DAY_SECONDS: u32 = 86_400;
/// The stretch over which looks are counted: 30 days.
const LOOKS_SECONDS: i64 = 30 * 86_400;

/// A window of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// Exclusive end.
    pub end: UnixNanos,
    /// Length in seconds.
    pub seconds: u32,
}

impl Window {
    /// Inclusive start.
    pub fn start(self) -> UnixNanos {
        self.end.plus_seconds(-i64::from(self.seconds))
    }

    /// The hour that holds an instant.
    pub fn hour_of(instant: UnixNanos) -> Self {
        let hour = i64::from(HOUR_SECONDS);
        Self {
            end: instant.floor_to(hour).plus_seconds(hour),
            seconds: HOUR_SECONDS,
        }
    }

    /// Whether it ended less than `lengths` of its own length before `now`.
    pub fn ended_within(self, lengths: i64, now: UnixNanos) -> bool {
        self.end <= now && self.end.plus_seconds(lengths * i64::from(self.seconds)) > now
    }
}

/// When days end: at midnight UTC, or at the instants that `[drift] evaluate_at` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days {
    instants: Vec<UnixNanos>,
}

impl Days {
    /// At these instants, floored to minutes because profiles know no less; at midnights where there are
    /// none.
    pub fn new(evaluate_at: &[UnixNanos]) -> Self {
        let mut instants: Vec<UnixNanos> = evaluate_at.iter().map(|instant| instant.floor_to(60)).collect();
        instants.sort_unstable();
        instants.dedup();
        Self { instants }
    }

    /// The instants, where they are listed.
    pub fn listed(&self) -> Option<&[UnixNanos]> {
        (!self.instants.is_empty()).then_some(&self.instants)
    }

    /// The days that hold an instant.
    pub fn of(&self, instant: UnixNanos) -> Vec<Window> {
        let day = i64::from(DAY_SECONDS);
        let window = |end: UnixNanos| Window { end, seconds: DAY_SECONDS };
        match self.listed() {
            None => vec![window(instant.floor_to(day).plus_seconds(day))],
            Some(instants) => instants
                .iter()
                .map(|&end| window(end))
                .filter(|day| day.start() <= instant && instant < day.end)
                .collect(),
        }
    }

    /// The day that ended last at or before an instant.
    pub fn last_before(&self, instant: UnixNanos) -> Option<Window> {
        let end = match self.listed() {
            None => Some(instant.floor_to(i64::from(DAY_SECONDS))),
            Some(instants) => instants.iter().copied().filter(|&end| end <= instant).max(),
        };
        end.map(|end| Window { end, seconds: DAY_SECONDS })
    }

    /// How often a rule looks at windows like this one in the 30 days around it: what shares the allowed
    /// error.
    pub fn looks(&self, window: Window) -> u64 {
        let evenly = (LOOKS_SECONDS / i64::from(window.seconds.max(1))).unsigned_abs().max(1);
        match self.listed() {
            Some(instants) if window.seconds == DAY_SECONDS => {
                let near = instants
                    .iter()
                    .filter(|instant| instant.seconds_since(window.end).abs() <= LOOKS_SECONDS as f64)
                    .count();
                (near as u64).max(1)
            }
            _ => evenly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixNanos {
        UnixNanos::parse(text).unwrap()
    }

    #[test]
    fn days_end_at_midnight_unless_instants_are_listed() {
        let midnight = Days::new(&[]);
        let noon = at("2026-11-20T12:00:00Z");
        assert_eq!(
            midnight.of(noon),
            [Window {
                end: at("2026-11-21T00:00:00Z"),
                seconds: DAY_SECONDS
            }]
        );
        assert_eq!(midnight.looks(midnight.of(noon)[0]), 30);
        assert_eq!(midnight.last_before(noon).map(|day| day.end), Some(at("2026-11-20T00:00:00Z")));

        let listed = Days::new(&[at("2026-11-20T10:30:30Z"), at("2026-11-21T10:30:30Z")]);
        assert_eq!(
            listed.of(noon).iter().map(|day| day.end).collect::<Vec<_>>(),
            [at("2026-11-21T10:30:00Z")]
        );
        assert_eq!(listed.looks(listed.of(noon)[0]), 2);
        assert_eq!(listed.of(at("2026-11-25T00:00:00Z")), []);
        assert_eq!(listed.looks(Window::hour_of(noon)), 720);
    }

    #[test]
    fn an_hour_begins_and_ends_at_full_hours() {
        let hour = Window::hour_of(at("2026-11-20T12:00:00Z"));
        assert_eq!((hour.start(), hour.end), (at("2026-11-20T12:00:00Z"), at("2026-11-20T13:00:00Z")));
        assert!(hour.ended_within(2, at("2026-11-20T14:59:59Z")) && !hour.ended_within(2, at("2026-11-20T15:00:00Z")));
        assert!(!hour.ended_within(2, at("2026-11-20T12:59:59Z")));
    }
}
