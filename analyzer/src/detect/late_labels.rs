//! The schedule of quality: which windows labels changed, and when each is computed.
//!
//! A mark of the drain says that labels came; it is resolved to the hours and days of their inferences, and
//! cleared when all of those were computed. A window is computed at once when its first labels come, then
//! at most once in a while, once a day when it is old, and once more when it ends and when its labels are
//! due.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use driftlead_store::clickhouse::query::quality::hours_of_labels_received;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::SignalState;
use driftlead_store::state::dirty::{DirtyConsumer, DirtyMark, MAX_DIRTY_MINUTES};

use super::quality;
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::upkeep::WATERMARK_SECONDS;
use crate::window::{HOUR_SECONDS, Window};

/// How far back labels are followed: the retention of inferences.
const LOOK_BACK_SECONDS: i64 = 90 * 86_400;
/// Age from which on a window is computed once a day.
const OLD_SECONDS: f64 = 7.0 * 86_400.0;
/// How often an old window is computed.
const OLD_INTERVAL: Duration = Duration::from_secs(86_400);
/// Windows of one step at most.
const MAX_WINDOWS_PER_STEP: usize = 16;
/// Marks whose minutes lie this close are resolved by one query.
const MAX_GAP_SECONDS: i64 = 3_600;

type Key = (String, Window);

/// What is known of late labels.
#[derive(Debug, Default)]
pub(crate) struct LateLabels {
    /// Windows that each mark still waits for.
    open: HashMap<DirtyMark, BTreeSet<Key>>,
    /// Windows that have to be computed whatever comes, and when.
    planned: BTreeMap<Key, UnixNanos>,
    /// When windows were computed last.
    computed: HashMap<Key, UnixNanos>,
}

impl LateLabels {
    /// Plans the windows that alerting may have missed while the process was stopped.
    pub fn load(context: &Context) -> Self {
        let now = context.now();
        let mut labels = Self::default();
        for model in context.activity.models() {
            let hour = Window {
                end: now.floor_to(i64::from(HOUR_SECONDS)),
                seconds: HOUR_SECONDS,
            };
            let before = Window {
                end: hour.start(),
                seconds: HOUR_SECONDS,
            };
            let days = context.days.last_before(now);
            for window in [Some(hour), Some(before), days].into_iter().flatten() {
                labels.planned.insert((model.clone(), window), now);
            }
        }
        labels
    }

    /// Resolves new marks, computes windows whose turn it is, and says whether there may be more.
    ///
    /// # Errors
    /// Telemetry or state cannot be read or written; what is left stays marked.
    pub async fn step(&mut self, context: &Context) -> Result<bool, AnalyzerError> {
        let marks = context.state.take_dirty(DirtyConsumer::Quality, MAX_DIRTY_MINUTES).await?;
        self.resolve(context, marks).await?;
        let now = context.now();
        let due = self.due(context.quality_interval, now);
        let more = due.len() > MAX_WINDOWS_PER_STEP;
        for key in due.into_iter().take(MAX_WINDOWS_PER_STEP) {
            if context.stop.is_cancelled() {
                return Ok(false);
            }
            self.compute(context, key).await?;
        }
        self.computed.retain(|_, at| now.seconds_since(*at) < OLD_INTERVAL.as_secs_f64());
        Ok(more)
    }

    /// Finds the windows of marks that are not known yet.
    async fn resolve(&mut self, context: &Context, marks: Vec<DirtyMark>) -> Result<(), AnalyzerError> {
        // A mark that was made again replaces the one that was known.
        let current: std::collections::HashSet<&DirtyMark> = marks.iter().collect();
        self.open.retain(|mark, _| current.contains(mark));
        let new: Vec<DirtyMark> = marks.iter().filter(|mark| !self.open.contains_key(*mark)).cloned().collect();
        for group in groups(new) {
            let model = group[0].model.clone();
            let (from, until) = (group[0].start, group.iter().map(DirtyMark::end).max().unwrap_or(group[0].start));
            let oldest = context.now().plus_seconds(-LOOK_BACK_SECONDS);
            let hours = hours_of_labels_received(&context.clickhouse, &model, from, until, oldest).await?;
            let received: Vec<UnixNanos> = hours.into_iter().map(UnixNanos::from_seconds).collect();
            let of_labels: BTreeSet<Key> = received.iter().flat_map(|&hour| hour_and_days(context, &model, hour)).collect();
            for mark in group {
                let mut windows = of_labels.clone();
                windows.extend(minutes(&mark).flat_map(|minute| hour_and_days(context, &model, minute)));
                self.open.insert(mark, windows);
            }
        }
        Ok(())
    }

    /// Windows whose turn it is: planned ones, and those that marks wait for, days first and the newest first.
    fn due(&self, interval: Duration, now: UnixNanos) -> Vec<Key> {
        let marked = self
            .open
            .values()
            .flatten()
            .filter(|key| key.1.start() <= now && self.may_run(key, interval, now));
        let planned = self.planned.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key);
        let mut due: Vec<Key> = marked.chain(planned).cloned().collect::<BTreeSet<_>>().into_iter().collect();
        due.sort_by_key(|(_, window)| (std::cmp::Reverse(window.seconds), std::cmp::Reverse(window.end)));
        due
    }

    fn may_run(&self, key: &Key, interval: Duration, now: UnixNanos) -> bool {
        let is_old = now.seconds_since(key.1.end) > OLD_SECONDS;
        let interval = if is_old { OLD_INTERVAL } else { interval };
        self.computed
            .get(key)
            .is_none_or(|at| now.seconds_since(*at) >= interval.as_secs_f64())
    }

    async fn compute(&mut self, context: &Context, key: Key) -> Result<(), AnalyzerError> {
        let now = context.now();
        let (model, window) = &key;
        let signals = quality::signals_of_window(context, model, *window).await?;
        let has_values = signals.iter().any(|signal| signal.state == SignalState::Ok);
        tracing::debug!(model, end = %window.end, seconds = window.seconds, signals = signals.len(), "computed quality");
        context.emit(signals).await?;

        self.planned.remove(&key);
        if has_values {
            let label_delay = context.references.settings(model).label_delay;
            self.planned
                .extend(next_turn(*window, label_delay, now).map(|at| (key.clone(), at)));
            self.computed.insert(key.clone(), now);
        }
        let mut done = Vec::new();
        for (mark, windows) in &mut self.open {
            windows.remove(&key);
            if windows.is_empty() {
                done.push(mark.clone());
            }
        }
        context.state.clear_dirty(DirtyConsumer::Quality, &done).await?;
        self.open.retain(|_, windows| !windows.is_empty());
        Ok(())
    }
}

/// When a window has to be looked at whatever comes: when it ends, and when its labels are due.
fn next_turn(window: Window, label_delay: Duration, now: UnixNanos) -> Option<UnixNanos> {
    let ended = window.end.plus_seconds(WATERMARK_SECONDS);
    let due = window.end.plus_seconds(i64::try_from(label_delay.as_secs()).unwrap_or(i64::MAX));
    [ended, due].into_iter().filter(|&at| at > now).min()
}

fn hour_and_days(context: &Context, model: &str, instant: UnixNanos) -> Vec<Key> {
    let days = context.days.of(instant);
    std::iter::once(Window::hour_of(instant))
        .chain(days)
        .map(|window| (model.to_owned(), window))
        .collect()
}

fn minutes(mark: &DirtyMark) -> impl Iterator<Item = UnixNanos> + use<> {
    let start = mark.start;
    (0..mark.seconds / 60).map(move |minute| start.plus_seconds(minute * 60))
}

/// Marks of one model that lie close together.
fn groups(mut marks: Vec<DirtyMark>) -> Vec<Vec<DirtyMark>> {
    marks.sort_by(|a, b| (&a.model, a.start).cmp(&(&b.model, b.start)));
    let mut groups: Vec<Vec<DirtyMark>> = Vec::new();
    for mark in marks {
        match groups.last_mut() {
            Some(group) if is_close(group, &mark) => group.push(mark),
            _ => groups.push(vec![mark]),
        }
    }
    groups
}

fn is_close(group: &[DirtyMark], mark: &DirtyMark) -> bool {
    group
        .last()
        .is_some_and(|last| last.model == mark.model && mark.start.seconds() - last.end().seconds() <= MAX_GAP_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    #[test]
    fn a_window_is_looked_at_when_it_ends_and_when_its_labels_are_due() {
        let window = Window {
            end: at(7_200),
            seconds: 3_600,
        };
        let delay = Duration::from_secs(1_800);
        assert_eq!(next_turn(window, delay, at(7_000)), Some(at(7_260)));
        assert_eq!(next_turn(window, delay, at(7_300)), Some(at(9_000)));
        assert_eq!(next_turn(window, delay, at(9_000)), None);
    }

    #[test]
    fn windows_run_at_once_then_after_the_interval_and_old_ones_once_a_day() {
        let mut labels = LateLabels::default();
        let key = (
            "m".to_owned(),
            Window {
                end: at(7_200),
                seconds: 3_600,
            },
        );
        let interval = Duration::from_secs(300);
        assert!(labels.may_run(&key, interval, at(8_000)));
        labels.computed.insert(key.clone(), at(8_000));
        assert!(!labels.may_run(&key, interval, at(8_299)) && labels.may_run(&key, interval, at(8_300)));
        let old = at(7_200 + 8 * 86_400);
        labels.computed.insert(key.clone(), old);
        assert!(!labels.may_run(&key, interval, old.plus_seconds(86_399)) && labels.may_run(&key, interval, old.plus_seconds(86_400)));
    }
}
