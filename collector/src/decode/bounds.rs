//! Which event times are believed. Events from the far future or from before the retention would open
//! partitions and windows that nothing else is in, so they are set aside: their raw rows are kept under their
//! receive time, flagged, and they are part of no window.

use std::collections::BTreeMap;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Attributes, SetAside};

use super::DecoderConfig;
use crate::limits::MAX_AHEAD_SECONDS;

/// Days for which raw telemetry is kept unless configured.
pub const DEFAULT_RAW_RETENTION_DAYS: u32 = 30;
/// Days for which inferences are kept unless configured.
pub const DEFAULT_INFERENCE_RETENTION_DAYS: u32 = 90;

/// Attribute that flags a raw row as set aside; its value is the reason.
pub const SET_ASIDE: &str = "driftlead.set_aside";
/// Attribute of a raw row that was set aside: the event time that its sender stated.
pub const EVENT_TIME: &str = "driftlead.event_time";

const IN_FUTURE: &str = "event_time_in_future";
const BEYOND_RETENTION: &str = "event_time_beyond_retention";

const DAY_SECONDS: i64 = 86_400;

/// The bounds of one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    received_time: UnixNanos,
    latest: UnixNanos,
    earliest_raw: UnixNanos,
    earliest_inference: UnixNanos,
}

/// Where a raw row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// The event time, or the receive time of a row that is set aside.
    pub(super) time: UnixNanos,
    /// The event time as its sender stated it.
    pub(super) stated: UnixNanos,
    /// Why the row is set aside.
    pub(super) aside: Option<&'static str>,
}

impl Bounds {
    pub(super) fn new(config: DecoderConfig, received_time: UnixNanos) -> Self {
        let days_ago = |days: u32| received_time.plus_seconds(-i64::from(days) * DAY_SECONDS);
        Self {
            received_time,
            latest: received_time.plus_seconds(MAX_AHEAD_SECONDS),
            earliest_raw: days_ago(config.raw_retention_days),
            earliest_inference: days_ago(config.inference_retention_days),
        }
    }

    /// Places a raw row.
    pub(super) fn place(&self, stated: UnixNanos) -> Placed {
        let aside = if stated > self.latest {
            Some(IN_FUTURE)
        } else if stated < self.earliest_raw {
            Some(BEYOND_RETENTION)
        } else {
            None
        };
        Placed {
            time: if aside.is_some() { self.received_time } else { stated },
            stated,
            aside,
        }
    }

    /// Whether an inference or an outcome of this time is part of windows.
    pub(super) fn in_windows(&self, stated: UnixNanos) -> bool {
        stated <= self.latest && stated >= self.earliest_inference
    }
}

impl Placed {
    /// Flags a row that is set aside.
    pub(super) fn flag(&self, attributes: &mut Attributes) {
        if let Some(reason) = self.aside {
            attributes.push((SET_ASIDE.to_owned(), reason.to_owned()));
            attributes.push((EVENT_TIME.to_owned(), self.stated.to_string()));
        }
    }
}

/// Rows set aside, by reason.
#[derive(Debug, Default)]
pub(super) struct SetAsideCounts(BTreeMap<&'static str, u64>);

impl SetAsideCounts {
    pub(super) fn add(&mut self, placed: &Placed) {
        if let Some(reason) = placed.aside {
            *self.0.entry(reason).or_default() += 1;
        }
    }

    pub(super) fn into_list(self) -> Vec<SetAside> {
        self.0.into_iter().map(|(reason, count)| SetAside { reason, count }).collect()
    }
}

/// Nanoseconds as OTLP has them; what lies beyond 2262 is as far in the future as can be.
pub(super) fn instant(unix_nano: u64) -> UnixNanos {
    UnixNanos(i64::try_from(unix_nano).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_760_000_000_000_000_000);

    #[test]
    fn event_times_out_of_bounds_are_placed_at_the_receive_time() {
        let bounds = Bounds::new(DecoderConfig::default(), NOW);
        for (stated, aside, in_windows) in [
            (NOW, None, true),
            (NOW.plus_seconds(600), None, true),
            (NOW.plus_seconds(601), Some(IN_FUTURE), false),
            (instant(u64::MAX), Some(IN_FUTURE), false),
            (NOW.plus_seconds(-30 * DAY_SECONDS), None, true),
            (NOW.plus_seconds(-30 * DAY_SECONDS - 1), Some(BEYOND_RETENTION), true),
            (NOW.plus_seconds(-90 * DAY_SECONDS - 1), Some(BEYOND_RETENTION), false),
            (UnixNanos(0), Some(BEYOND_RETENTION), false),
        ] {
            let placed = bounds.place(stated);
            assert_eq!((placed.aside, bounds.in_windows(stated)), (aside, in_windows), "{stated}");
            assert_eq!(placed.time, if aside.is_some() { NOW } else { stated });
        }
    }
}
