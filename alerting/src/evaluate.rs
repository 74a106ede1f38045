//! Judges one signal by one rule: pure. What was, what is, and the present instant give what the alert
//! becomes, with the reason.
//!
//! `inactive → pending → firing → resolved`: the condition has to hold over `for` of window ends; no data is
//! never 0 but what the rule says it is; a window is judged once, and once more when a provisional value has
//! become final; windows that ended long ago are history and never alert.

pub mod reason;

use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, SignalState};
use driftlead_store::state::alerts::{Alert, AlertState, Side};

use crate::catalogue::Windows;
use crate::rule::{NoData, Rule};
use reason::{Comparison, NoDataBecause, Reason};

/// Rules see windows that ended within this many of their lengths from now.
pub const RECENT_LENGTHS: i64 = 2;

/// What stands for the length of a signal without windows: a verdict on a release counts as long as the
/// release is watched, 48 hours.
pub const INSTANT_LENGTH_SECONDS: i64 = 24 * 3_600;

/// Where an alert stands: what a judgement reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: AlertState,
    /// Since when.
    pub since: UnixNanos,
    /// Since when it fires, or fired last.
    pub firing_since: Option<UnixNanos>,
    /// When it was resolved last.
    pub resolved_at: Option<UnixNanos>,
    /// End of the last window that was judged.
    pub last_window_end: Option<UnixNanos>,
    /// That window's value was provisional.
    pub last_was_provisional: bool,
    /// Window end at which the condition began to hold.
    pub holds_since: Option<UnixNanos>,
}

impl Standing {
    /// Of a series that was never judged.
    pub fn new(now: UnixNanos) -> Self {
        Self {
            state: AlertState::Inactive,
            since: now,
            firing_since: None,
            resolved_at: None,
            last_window_end: None,
            last_was_provisional: false,
            holds_since: None,
        }
    }

    /// Of an alert that is kept.
    pub fn of(alert: &Alert) -> Self {
        Self {
            state: alert.state,
            since: alert.since,
            firing_since: alert.firing_since,
            resolved_at: alert.resolved_at,
            last_window_end: (alert.last_window_end.0 != 0).then_some(alert.last_window_end),
            last_was_provisional: alert.memory.last_was_provisional,
            holds_since: alert.memory.holds_since,
        }
    }

    /// Moves by one step; `end` is the end of the window that was looked at.
    fn step(&mut self, holds: bool, hold: Duration, end: UnixNanos, now: UnixNanos) {
        let next = match (self.state, holds) {
            (AlertState::Inactive | AlertState::Resolved | AlertState::Pending, true) => {
                let since = *self.holds_since.get_or_insert(end);
                if end.seconds_since(since) >= hold.as_secs_f64() {
                    AlertState::Firing
                } else {
                    AlertState::Pending
                }
            }
            (AlertState::Pending, false) => AlertState::Inactive,
            (AlertState::Firing, false) => AlertState::Resolved,
            (state, _) => state,
        };
        if !holds {
            self.holds_since = None;
        }
        self.move_to(next, now);
    }

    fn move_to(&mut self, next: AlertState, now: UnixNanos) {
        if next == self.state {
            return;
        }
        self.state = next;
        self.since = now;
        match next {
            AlertState::Firing => self.firing_since = Some(now),
            AlertState::Resolved => self.resolved_at = Some(now),
            AlertState::Inactive | AlertState::Pending => {}
        }
    }
}

/// What a judgement came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Where the alert stands now.
    pub standing: Standing,
    /// Why.
    pub reason: Reason,
    /// Whether the window was judged; it was not when there was no data.
    pub judged: bool,
}

/// Why a signal was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Its window was judged before.
    JudgedBefore,
    /// Its window ended too long ago.
    History,
    /// Its window ends between two looks: it is for display.
    BetweenLooks,
    /// Its window has not ended: it is for display.
    StillRuns,
}

/// What a judgement depends on beside rule, signal and alert.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// What the rule compares with for this model.
    pub threshold: f64,
    /// How long labels of this model usually take.
    pub label_delay: Duration,
    /// Ends of windows that count beside full hours and midnights.
    pub evaluate_at: &'a [UnixNanos],
    /// The present.
    pub now: UnixNanos,
}

/// Judges a signal that the rule covers.
///
/// # Errors
/// Why it is not looked at.
pub fn judge(rule: &Rule, previous: &Standing, signal: &Signal, circumstances: &Circumstances<'_>) -> Result<Judgement, Skip> {
    refuse(rule, previous, signal, circumstances)?;
    let mut standing = previous.clone();
    let (end, now) = (signal.window_end, circumstances.now);
    let Some(comparison) = compare(rule, signal, circumstances.threshold) else {
        no_data(rule, &mut standing, end, now);
        return Ok(Judgement {
            standing,
            reason: Reason::NoData {
                because: NoDataBecause::TooFew(signal.n),
                means: rule.no_data,
            },
            judged: false,
        });
    };
    standing.step(comparison.holds, rule.hold, end, now);
    standing.last_window_end = Some(end);
    standing.last_was_provisional = signal.provisional;
    let reason = if standing.state == AlertState::Pending {
        Reason::Waits(comparison, rule.hold)
    } else {
        Reason::Compared(comparison)
    };
    Ok(Judgement {
        standing,
        reason,
        judged: true,
    })
}

/// Judges that a series is not reported any more: `None` while its last window is recent, or when that
/// changes nothing.
pub fn judge_absence(rule: &Rule, previous: &Standing, circumstances: &Circumstances<'_>) -> Option<Judgement> {
    let last = previous.last_window_end?;
    // A verdict stays what it is.
    rule.window_length()?;
    if !is_history(rule, last, circumstances) || rule.no_data == NoData::Keep {
        return None;
    }
    let mut standing = previous.clone();
    no_data(rule, &mut standing, circumstances.now, circumstances.now);
    (standing != *previous).then_some(Judgement {
        standing,
        reason: Reason::NoData {
            because: NoDataBecause::NotReported(last),
            means: rule.no_data,
        },
        judged: false,
    })
}

/// Ends an alert for a reason that no signal gives; `None` when there is nothing to end.
pub fn end(previous: &Standing, reason: Reason, now: UnixNanos) -> Option<Judgement> {
    let mut standing = previous.clone();
    standing.step(false, Duration::ZERO, now, now);
    (standing.state != previous.state).then_some(Judgement {
        standing,
        reason,
        judged: false,
    })
}

fn no_data(rule: &Rule, standing: &mut Standing, end: UnixNanos, now: UnixNanos) {
    match rule.no_data {
        NoData::Keep => {}
        NoData::Ok => standing.step(false, rule.hold, end, now),
        NoData::Alert => standing.step(true, rule.hold, end, now),
    }
}

fn refuse(rule: &Rule, previous: &Standing, signal: &Signal, circumstances: &Circumstances<'_>) -> Result<(), Skip> {
    let end = signal.window_end;
    let now_final = previous.last_was_provisional && !signal.provisional;
    if let Some(last) = previous.last_window_end
        && (end < last || (end == last && !now_final))
    {
        return Err(Skip::JudgedBefore);
    }
    if rule.signal.windows == Windows::HourOrDay {
        if end > circumstances.now {
            return Err(Skip::StillRuns);
        }
        if !is_look(end, signal.window_seconds, circumstances.evaluate_at) {
            return Err(Skip::BetweenLooks);
        }
    }
    if is_history(rule, end, circumstances) {
        return Err(Skip::History);
    }
    Ok(())
}

/// Rules look at full hours and midnights, and at the instants that were asked for.
fn is_look(end: UnixNanos, window_seconds: u32, evaluate_at: &[UnixNanos]) -> bool {
    end == end.floor_to(i64::from(window_seconds.max(1))) || evaluate_at.contains(&end)
}

fn is_history(rule: &Rule, end: UnixNanos, circumstances: &Circumstances<'_>) -> bool {
    let length = rule.window_length().map_or(INSTANT_LENGTH_SECONDS, i64::from);
    let mut recent = (RECENT_LENGTHS * length) as f64;
    if rule.signal.by_labels {
        recent += circumstances.label_delay.as_secs_f64();
    }
    circumstances.now.seconds_since(end) > recent
}

/// Compares the bound that makes it sure, where the signal has one; `None`: there is nothing to compare.
fn compare(rule: &Rule, signal: &Signal, threshold: f64) -> Option<Comparison> {
    let value = signal.value.filter(|_| signal.state == SignalState::Ok)?;
    let bound = match rule.side {
        Side::Above => signal.decision_lower,
        Side::Below => signal.decision_upper,
    };
    let compared = bound.unwrap_or(value);
    if !compared.is_finite() {
        return None;
    }
    Some(Comparison {
        signal: rule.signal.name,
        subject: signal.subject.clone(),
        value,
        lower: signal.lower,
        upper: signal.upper,
        bound,
        side: rule.side,
        threshold,
        holds: match rule.side {
            Side::Above => compared > threshold,
            Side::Below => compared < threshold,
        },
    })
}

#[cfg(test)]
mod tests;
