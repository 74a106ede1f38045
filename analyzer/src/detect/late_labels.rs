//! The schedule of quality: which windows labels changed, and when each is computed.
//!
//! A mark of the drain says which inferences labels came for, or, where it does not know them, when the labels
//! came; it is resolved to the hours and days of the inferences, and cleared when all of those were computed. A
//! window is computed at once when its first labels come, then at most once in a while, once a day when it is
//! old, and once more when it ends and when its labels are due.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use driftlead_store::clickhouse::query::quality::hours_of_labels_received;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::SignalState;
use driftlead_store::state::dirty::{DirtyConsumer, DirtyMark, MAX_DIRTY_MINUTES};

use super::beside::beside;
use super::frame::Frame;
use super::schedule::LENGTHS_LOOKED_AT;
use super::{decay, experiment, quality};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::failures::Failures;
use crate::upkeep::WATERMARK_SECONDS;
use crate::window::{Days, HOUR_SECONDS, Window};

/// How far back labels are followed: the retention of inferences.
const LOOK_BACK_SECONDS: i64 = 90 * 86_400;
/// Age from which on a window is computed once a day.
const OLD_SECONDS: f64 = 7.0 * 86_400.0;
/// How often an old window is computed.
const OLD_INTERVAL: Duration = Duration::from_secs(86_400);
/// Shortest time between two computations of a window with too few labels for a value: somebody waits for the first.
const FEW_LABELS_INTERVAL: Duration = Duration::from_secs(15);
/// Windows of one step at most.
const MAX_WINDOWS_PER_STEP: usize = 16;
/// Marks whose minutes lie this close are resolved by one query.
const MAX_GAP_SECONDS: i64 = 3_600;

type Key = (String, Window);

/// Marks that were resolved together, and the windows that they still wait for.
#[derive(Debug)]
struct Group {
    marks: HashSet<DirtyMark>,
    windows: BTreeSet<Key>,
}

/// When a window was computed last.
#[derive(Debug, Clone, Copy)]
struct Computed {
    at: UnixNanos,
    has_values: bool,
}

/// What is known of late labels.
#[derive(Debug, Default)]
pub(crate) struct LateLabels {
    open: Vec<Group>,
    /// Windows that have to be computed whatever comes, and when.
    planned: BTreeMap<Key, UnixNanos>,
    computed: HashMap<Key, Computed>,
    failed_windows: Failures<Key>,
    failed_marks: Failures<DirtyMark>,
}

impl LateLabels {
    /// Plans the windows that alerting may have missed while the process was stopped, and those whose labels are not
    /// due yet: they are looked at once more then.
    pub fn load(context: &Context) -> Self {
        let now = context.now();
        let mut labels = Self::default();
        for model in context.activity.models() {
            let label_delay = context.label_delay(&model);
            for window in unfinished(&context.days, label_delay, now) {
                let at = if window.ended_within(LENGTHS_LOOKED_AT, now) {
                    Some(now)
                } else {
                    next_turn(window, label_delay, now)
                };
                labels.planned.extend(at.map(|at| ((model.clone(), window), at)));
            }
        }
        labels
    }

    /// Resolves new marks, computes windows whose turn it is, and says whether there may be more.
    ///
    /// # Errors
    /// Telemetry or state cannot be reached; what is left stays marked.
    pub async fn step(&mut self, context: &Context) -> Result<bool, AnalyzerError> {
        let mut marks = context.state.take_dirty(DirtyConsumer::Quality, MAX_DIRTY_MINUTES).await?;
        marks.extend(context.state.take_dirty(DirtyConsumer::Outcomes, MAX_DIRTY_MINUTES).await?);
        self.resolve(context, marks).await?;
        let now = context.now();
        let due = self.due(context.quality_interval, now);
        let more = due.len() > MAX_WINDOWS_PER_STEP;
        for key in due.into_iter().take(MAX_WINDOWS_PER_STEP) {
            if context.stop.is_cancelled() {
                return Ok(false);
            }
            if let Err(error) = self.compute(context, &key).await {
                let retry_in_s = self.failed_windows.failed(key.clone(), now);
                if error.is_everybodys() {
                    return Err(error);
                }
                let (model, window) = &key;
                tracing::warn!(model, end = %window.end, seconds = window.seconds, retry_in_s, %error, "the quality of a window could not be computed");
            }
        }
        self.computed
            .retain(|_, computed| now.seconds_since(computed.at) < OLD_INTERVAL.as_secs_f64());
        Ok(more)
    }

    /// Finds the windows of marks that are not known yet.
    async fn resolve(&mut self, context: &Context, marks: Vec<DirtyMark>) -> Result<(), AnalyzerError> {
        let now = context.now();
        for marks in groups(self.unknown(marks, now)) {
            match windows_of(context, &marks).await {
                Ok(windows) => self.wait_for(marks, windows),
                Err(error) => {
                    let model = marks[0].model.clone();
                    marks.into_iter().for_each(|mark| {
                        self.failed_marks.failed(mark, now);
                    });
                    if error.is_everybodys() {
                        return Err(error);
                    }
                    tracing::warn!(model, %error, "the inferences of labels could not be looked up; they are looked up again later");
                }
            }
        }
        Ok(())
    }

    /// The marks that no group has. A mark that was made again replaces the one that was known.
    fn unknown(&mut self, marks: Vec<DirtyMark>, now: UnixNanos) -> Vec<DirtyMark> {
        let current: HashSet<DirtyMark> = marks.into_iter().collect();
        for group in &mut self.open {
            group.marks.retain(|mark| current.contains(mark));
        }
        self.open.retain(|group| !group.marks.is_empty());
        self.failed_marks.retain(|mark| current.contains(mark));
        let known: HashSet<&DirtyMark> = self.open.iter().flat_map(|group| &group.marks).collect();
        let is_new = |mark: &DirtyMark| !known.contains(mark) && self.failed_marks.may_try(mark, now);
        current.iter().filter(|mark| is_new(mark)).cloned().collect()
    }

    fn wait_for(&mut self, marks: Vec<DirtyMark>, windows: BTreeSet<Key>) {
        marks.iter().for_each(|mark| self.failed_marks.succeeded(mark));
        self.open.push(Group {
            marks: marks.into_iter().collect(),
            windows,
        });
    }

    /// Windows whose turn it is: planned ones, and those that marks wait for, days first and the newest first.
    fn due(&self, interval: Duration, now: UnixNanos) -> Vec<Key> {
        let marked = self
            .open
            .iter()
            .flat_map(|group| &group.windows)
            .filter(|key| key.1.start() <= now && self.may_run(key, interval, now));
        let planned = self.planned.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key);
        let all: BTreeSet<&Key> = marked.chain(planned).collect();
        let mut due: Vec<Key> = all
            .into_iter()
            .filter(|key| self.failed_windows.may_try(key, now))
            .cloned()
            .collect();
        due.sort_by_key(|(_, window)| (std::cmp::Reverse(window.seconds), std::cmp::Reverse(window.end)));
        due
    }

    fn may_run(&self, key: &Key, interval: Duration, now: UnixNanos) -> bool {
        let is_old = now.seconds_since(key.1.end) > OLD_SECONDS;
        self.computed.get(key).is_none_or(|computed| {
            let interval = match computed.has_values {
                _ if is_old => OLD_INTERVAL,
                true => interval,
                false => interval.min(FEW_LABELS_INTERVAL),
            };
            now.seconds_since(computed.at) >= interval.as_secs_f64()
        })
    }

    #[tracing::instrument(name = "analyzer.quality_window", level = "debug", skip_all)]
    async fn compute(&mut self, context: &Context, key: &Key) -> Result<(), AnalyzerError> {
        let now = context.now();
        let (model, window) = key;
        let signals = quality::signals_of_window(context, model, *window).await?;
        let lifts = experiment::signals_of_window(context, model, *window);
        context
            .emit(beside(&Frame::of_all(model, *window), "experiments", lifts).await)
            .await?;
        let has_labels = !signals.is_empty();
        let has_values = signals.iter().any(|signal| signal.state == SignalState::Ok);
        tracing::debug!(model, end = %window.end, seconds = window.seconds, signals = signals.len(), "computed quality");
        context.emit(signals.clone()).await?;
        context
            .emit(decay::signals_of_day(context, model, *window, &signals).await?)
            .await?;
        let done = self.finished_with(key);
        context.state.clear_dirty(&done).await?;

        self.failed_windows.succeeded(key);
        self.planned.remove(key);
        self.computed.insert(key.clone(), Computed { at: now, has_values });
        if has_labels {
            let label_delay = context.label_delay(model);
            self.planned
                .extend(next_turn(*window, label_delay, now).map(|at| (key.clone(), at)));
        }
        for group in &mut self.open {
            group.windows.remove(key);
        }
        self.open.retain(|group| !group.windows.is_empty());
        Ok(())
    }

    /// The marks that wait for nothing but this window.
    fn finished_with(&self, key: &Key) -> Vec<DirtyMark> {
        let waits_for_nothing_else = |group: &&Group| group.windows.iter().all(|window| window == key);
        self.open
            .iter()
            .filter(waits_for_nothing_else)
            .flat_map(|group| group.marks.iter().cloned())
            .collect()
    }
}

/// The windows that labels of these marks may have changed.
async fn windows_of(context: &Context, marks: &[DirtyMark]) -> Result<BTreeSet<Key>, AnalyzerError> {
    let model = &marks[0].model;
    let instants: Vec<UnixNanos> = if marks[0].consumer == DirtyConsumer::Outcomes {
        let (from, until) = (marks[0].start, marks.iter().map(DirtyMark::end).max().unwrap_or(marks[0].start));
        let oldest = context.now().plus_seconds(-LOOK_BACK_SECONDS);
        let hours = hours_of_labels_received(&context.clickhouse, model, from, until, oldest).await?;
        hours.into_iter().map(UnixNanos::from_seconds).collect()
    } else {
        marks.iter().flat_map(minutes).collect()
    };
    Ok(instants
        .into_iter()
        .flat_map(|instant| hour_and_days(context, model, instant))
        .collect())
}

/// Windows that run, whose labels are not due yet, or that rules still look at.
fn unfinished(days: &Days, label_delay: Duration, now: UnixNanos) -> BTreeSet<Window> {
    let delay = i64::try_from(label_delay.as_secs())
        .unwrap_or(LOOK_BACK_SECONDS)
        .min(LOOK_BACK_SECONDS);
    let hour = i64::from(HOUR_SECONDS);
    let since = now.plus_seconds(-delay.max(LENGTHS_LOOKED_AT * hour)).floor_to(hour);
    let hours = (0..).map(|step| since.plus_seconds(step * hour)).take_while(|&start| start <= now);
    hours
        .flat_map(|start| std::iter::once(Window::hour_of(start)).chain(days.of(start)))
        .chain(days.last_before(now))
        .filter(|window| window.end.plus_seconds(delay) > now || window.ended_within(LENGTHS_LOOKED_AT, now))
        .collect()
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

/// Marks of one kind and model that lie close together.
fn groups(mut marks: Vec<DirtyMark>) -> Vec<Vec<DirtyMark>> {
    marks.sort_by(|a, b| (a.consumer, &a.model, a.start).cmp(&(b.consumer, &b.model, b.start)));
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
    group.last().is_some_and(|last| {
        (last.consumer, &last.model) == (mark.consumer, &mark.model) && mark.start.seconds() - last.end().seconds() <= MAX_GAP_SECONDS
    })
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

    fn hour(end: i64) -> Key {
        (
            "m".to_owned(),
            Window {
                end: at(end),
                seconds: 3_600,
            },
        )
    }

    #[test]
    fn windows_run_at_once_then_after_the_interval_and_old_ones_once_a_day() {
        let interval = Duration::from_secs(300);
        let key = hour(7_200);
        let old = 7_200 + 8 * 86_400;
        for (computed, now, expected) in [
            (None, 8_000, true),
            (Some((8_000, true)), 8_299, false),
            (Some((8_000, true)), 8_300, true),
            (Some((8_000, false)), 8_014, false),
            (Some((8_000, false)), 8_015, true),
            (Some((old, true)), old + 86_399, false),
            (Some((old, false)), old + 86_399, false),
            (Some((old, true)), old + 86_400, true),
        ] {
            let mut labels = LateLabels::default();
            let known = computed.map(|(seconds, has_values)| Computed {
                at: at(seconds),
                has_values,
            });
            labels.computed.extend(known.map(|known| (key.clone(), known)));
            assert_eq!(labels.may_run(&key, interval, at(now)), expected, "{computed:?} {now}");
        }
    }

    #[tokio::test]
    async fn marks_are_finished_with_the_last_of_their_windows_and_one_made_again_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let state = driftlead_store::state::State::open(&folder.path().join("state.db")).await.unwrap();
        let take = async || state.take_dirty(DirtyConsumer::Quality, 10).await.unwrap();
        let instants = [60, 120].map(|seconds| ("m".to_owned(), at(seconds)));
        state.mark_dirty(&[DirtyConsumer::Quality], &instants).await.unwrap();
        let mut labels = LateLabels::default();
        let marks = labels.unknown(take().await, at(200));
        assert_eq!(marks.len(), 2);
        labels.wait_for(marks, BTreeSet::from([hour(3_600), hour(7_200)]));
        assert!(labels.unknown(take().await, at(200)).is_empty());
        assert!(labels.finished_with(&hour(3_600)).is_empty());
        labels.open[0].windows.remove(&hour(3_600));
        assert_eq!(labels.finished_with(&hour(7_200)).len(), 2);

        state.mark_dirty(&[DirtyConsumer::Quality], &instants[..1]).await.unwrap();
        assert_eq!(labels.unknown(take().await, at(200)).len(), 1);
        assert_eq!(labels.finished_with(&hour(7_200)).len(), 1);
    }

    #[tokio::test]
    async fn marks_of_one_kind_that_lie_close_are_resolved_together() {
        let folder = tempfile::tempdir().unwrap();
        let state = driftlead_store::state::State::open(&folder.path().join("state.db")).await.unwrap();
        let mark = async |consumer, seconds: &[i64]| {
            let instants: Vec<_> = seconds.iter().map(|&seconds| ("m".to_owned(), at(seconds))).collect();
            state.mark_dirty(&[consumer], &instants).await.unwrap();
            state.take_dirty(consumer, 10).await.unwrap()
        };
        let mut marks = mark(DirtyConsumer::Quality, &[0, 600, 9_000]).await;
        marks.extend(mark(DirtyConsumer::Outcomes, &[0, 60]).await);
        let starts: Vec<Vec<i64>> = groups(marks)
            .iter()
            .map(|group| group.iter().map(|mark| mark.start.seconds()).collect())
            .collect();
        assert_eq!(starts, [vec![0, 600], vec![9_000], vec![0, 60]]);
    }

    #[test]
    fn a_restart_plans_every_window_whose_labels_are_not_due() {
        let now = at(10 * 86_400 + 5_400);
        let windows = unfinished(&Days::new(&[]), Duration::from_secs(6 * 3_600), now);
        let ends = |seconds: u32| -> Vec<i64> {
            let of_length = windows.iter().filter(|window| window.seconds == seconds);
            of_length.map(|window| (window.end.seconds() - 10 * 86_400) / 3_600).collect()
        };
        assert_eq!(ends(3_600), [-4, -3, -2, -1, 0, 1, 2]);
        assert_eq!(ends(86_400), [0, 24]);
        assert_eq!(unfinished(&Days::new(&[]), Duration::ZERO, now).len(), 5);
    }
}
