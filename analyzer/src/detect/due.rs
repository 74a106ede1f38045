//! Which drift windows have to be computed, decided from what is known of them.

use std::time::Duration;

use driftlead_store::clock::UnixNanos;

use crate::window::{HOUR_SECONDS, Window};

/// Shortest time between two computations of a window that late data changes.
pub(super) const LATE_DATA_INTERVAL: Duration = Duration::from_secs(300);
/// Shortest time between two drawings of an hour that still runs.
pub(super) const REDRAW_INTERVAL: Duration = Duration::from_secs(60);

/// What is known of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub window: Window,
    /// Generation of the newest profile in it.
    pub profiled: u64,
    /// Generation that its signals were computed from, and when; `None`: never.
    pub computed: Option<Computed>,
}

/// When a window's signals were computed, and from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Computed {
    pub generation: u64,
    pub at: UnixNanos,
    /// The window had not ended, so rules have not seen it.
    pub provisional: bool,
}

/// What to do with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Its telemetry is complete: compute it for good.
    Final,
    /// It is an hour that still runs: draw what there is.
    Provisional,
    /// Nothing changed, or it is not its turn.
    Not,
}

/// Whether a window has to be computed at `now`, with the model's telemetry complete up to `watermark`.
pub(super) fn due(known: Known, watermark: UnixNanos, now: UnixNanos) -> Due {
    let since = |computed: Computed| now.seconds_since(computed.at);
    if known.window.end <= watermark {
        return match known.computed {
            Some(computed) if computed.provisional => Due::Final,
            Some(computed) if computed.generation >= known.profiled => Due::Not,
            Some(computed) if since(computed) < LATE_DATA_INTERVAL.as_secs_f64() => Due::Not,
            _ => Due::Final,
        };
    }
    let is_drawn = known.window.seconds == HOUR_SECONDS && known.window.start() <= now && now < known.window.end;
    match known.computed {
        _ if !is_drawn => Due::Not,
        Some(computed) if computed.generation >= known.profiled => Due::Not,
        Some(computed) if since(computed) < REDRAW_INTERVAL.as_secs_f64() => Due::Not,
        _ => Due::Provisional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    /// The hour from 3600 to 7200.
    fn check(profiled: u64, computed: Option<(u64, i64, bool)>, watermark: i64, now: i64, expected: Due) {
        let window = Window {
            end: at(2 * HOUR),
            seconds: 3_600,
        };
        let computed = computed.map(|(generation, seconds, provisional)| Computed {
            generation,
            at: at(seconds),
            provisional,
        });
        assert_eq!(
            due(
                Known {
                    window,
                    profiled,
                    computed
                },
                at(watermark),
                at(now)
            ),
            expected,
            "{profiled} {computed:?} {watermark} {now}"
        );
    }

    #[test]
    fn a_window_is_computed_when_complete_and_again_when_late_data_came() {
        check(5, None, 2 * HOUR, 2 * HOUR + 60, Due::Final);
        check(5, None, 2 * HOUR - 1, 2 * HOUR + 59, Due::Not);
        check(5, Some((4, 2 * HOUR - 30, true)), 2 * HOUR, 2 * HOUR + 60, Due::Final);
        check(5, Some((5, 2 * HOUR - 30, true)), 2 * HOUR, 2 * HOUR + 60, Due::Final);
        check(5, Some((5, 2 * HOUR + 60, false)), 3 * HOUR, 3 * HOUR, Due::Not);
        check(6, Some((5, 2 * HOUR + 60, false)), 3 * HOUR, 2 * HOUR + 359, Due::Not);
        check(6, Some((5, 2 * HOUR + 60, false)), 3 * HOUR, 2 * HOUR + 360, Due::Final);
    }

    #[test]
    fn a_window_that_runs_is_drawn_each_minute() {
        check(5, None, HOUR + 100, HOUR + 160, Due::Provisional);
        check(6, Some((5, HOUR + 160, true)), HOUR + 120, HOUR + 219, Due::Not);
        check(6, Some((5, HOUR + 160, true)), HOUR + 160, HOUR + 220, Due::Provisional);
        check(5, Some((5, HOUR + 160, true)), HOUR + 160, HOUR + 220, Due::Not);
        check(5, None, 0, HOUR - 1, Due::Not);
        let day = Window {
            end: at(86_400),
            seconds: 86_400,
        };
        let known = Known {
            window: day,
            profiled: 5,
            computed: None,
        };
        assert_eq!(due(known, at(HOUR), at(HOUR)), Due::Not, "a day is not drawn while it runs");
        assert_eq!(due(known, at(86_400), at(86_460)), Due::Final);
    }
}
