//! The schedule of drift windows. What was computed from which generation of profiles is kept in
//! ClickHouse, so that a restart finds exactly what it missed; the windows of the last two lengths are
//! computed again then, because alerting may have been stopped before it saw them. While the process runs, what is
//! profiled is told to the schedule, so that nothing has to be looked for.

use std::collections::HashMap;

use driftlead_store::clickhouse::query::generations::{
    Computed as Kind, profile_generation_between, profile_generations, window_generations, write_generations,
};
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::DirtyConsumer;

use super::drift;
use super::due::{Computed, Due};
use super::schedule::{Key, LENGTHS_LOOKED_AT, LOOK_BACK_SECONDS, Schedule};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::upkeep::{ComputedMinutes, WATERMARK_SECONDS};
use crate::window::{DAY_SECONDS, Days, HOUR_SECONDS, Window};

/// Windows of one step at most, so that new minutes are profiled between them.
const MAX_WINDOWS_PER_STEP: usize = 8;

/// What is known of all windows.
#[derive(Debug, Default)]
pub(crate) struct DriftWindows {
    schedule: Schedule,
}

impl DriftWindows {
    /// From what earlier runs profiled and computed.
    ///
    /// # Errors
    /// The telemetry cannot be read.
    pub async fn load(context: &Context) -> Result<Self, AnalyzerError> {
        let now = context.now();
        let from = now.plus_seconds(-LOOK_BACK_SECONDS);
        let mut computed: HashMap<Key, u64> = HashMap::new();
        for seconds in [HOUR_SECONDS, DAY_SECONDS] {
            for row in window_generations(&context.clickhouse, Kind::Drift(seconds), from).await? {
                let window = Window {
                    end: UnixNanos::from_seconds(row.window_end),
                    seconds,
                };
                if !window.ended_within(LENGTHS_LOOKED_AT, now) {
                    computed.insert((row.model, window), row.generation);
                }
            }
        }
        let mut schedule = Schedule::default();
        for (model, window, generation) in profiled_windows(context, from).await? {
            let key = (model, window);
            if window.end > from && computed.get(&key).is_none_or(|&computed| computed < generation) {
                schedule.note(key, generation);
            }
        }
        Ok(Self { schedule })
    }

    /// Minutes were profiled.
    pub fn note(&mut self, days: &Days, profiled: &[ComputedMinutes]) {
        for of_model in profiled {
            for &minute in &of_model.minutes {
                let minute = UnixNanos::from_seconds(minute);
                for window in std::iter::once(Window::hour_of(minute)).chain(days.of(minute)) {
                    self.schedule.note((of_model.model.clone(), window), of_model.generation);
                }
            }
        }
    }

    /// Computes windows that are due, and says whether there may be more.
    ///
    /// # Errors
    /// Telemetry or state cannot be reached; what is left stays due.
    pub async fn step(&mut self, context: &Context) -> Result<bool, AnalyzerError> {
        let now = context.now();
        self.schedule.forget(now);
        let due = self.schedule.due(|model| context.activity.watermark(model, now), now);
        if due.is_empty() {
            return Ok(false);
        }
        let dirty = context.state.oldest_dirty(DirtyConsumer::Profiles).await?;
        let drained_until = context.drained_until();
        let mut steps = 0;
        for (key, due) in due {
            if steps == MAX_WINDOWS_PER_STEP || context.stop.is_cancelled() {
                return Ok(true);
            }
            if due == Due::Final && self.has_to_wait(&key, &dirty, drained_until, now) {
                continue;
            }
            steps += 1;
            if let Err(error) = self.compute(context, &key, due == Due::Provisional).await {
                let (model, window) = &key;
                let retry_in_s = self.schedule.failed(key.clone(), now);
                if error.is_everybodys() {
                    return Err(error);
                }
                tracing::warn!(model, end = %window.end, seconds = window.seconds, retry_in_s, %error, "a drift window could not be computed");
            }
        }
        Ok(false)
    }

    /// Whether a window's telemetry is still on its way: in the log, or not profiled. What lies before the window
    /// counts too, because it is compared with that.
    fn has_to_wait(&mut self, key: &Key, dirty: &HashMap<String, UnixNanos>, drained_until: UnixNanos, now: UnixNanos) -> bool {
        let (model, window) = key;
        if drained_until < window.end.plus_seconds(WATERMARK_SECONDS) {
            return true;
        }
        dirty.get(model).is_some_and(|oldest| *oldest < window.end) && self.schedule.hold(key, now)
    }

    #[tracing::instrument(name = "analyzer.drift_window", level = "debug", skip_all)]
    async fn compute(&mut self, context: &Context, key: &Key, provisional: bool) -> Result<(), AnalyzerError> {
        let (model, window) = key;
        let generation = self.schedule.generation(key);
        let signals = drift::signals_of_window(context, model, *window, provisional).await?;
        tracing::debug!(model, end = %window.end, seconds = window.seconds, signals = signals.len(), provisional, "computed a window");
        context.emit(signals).await?;
        if !provisional {
            write_generations(
                &context.clickhouse,
                Kind::Drift(window.seconds),
                model,
                &[window.end.seconds()],
                generation,
            )
            .await?;
        }
        let computed = Computed {
            generation,
            at: context.now(),
            provisional,
        };
        self.schedule.computed(key, computed);
        Ok(())
    }
}

/// Every window with profiles, and the generation of the newest of them.
async fn profiled_windows(context: &Context, since: UnixNanos) -> Result<Vec<(String, Window, u64)>, AnalyzerError> {
    let from = since.floor_to(i64::from(DAY_SECONDS));
    let mut windows = by_length(context, from, HOUR_SECONDS).await?;
    match context.days.listed() {
        None => windows.extend(by_length(context, from, DAY_SECONDS).await?),
        Some(instants) => {
            for model in context.activity.models() {
                for &end in instants.iter().filter(|&&end| end > from) {
                    let window = Window { end, seconds: DAY_SECONDS };
                    let generation = profile_generation_between(&context.clickhouse, &model, window.start(), end).await?;
                    windows.extend(generation.map(|generation| (model.clone(), window, generation)));
                }
            }
        }
    }
    Ok(windows)
}

async fn by_length(context: &Context, from: UnixNanos, seconds: u32) -> Result<Vec<(String, Window, u64)>, AnalyzerError> {
    let rows = profile_generations(&context.clickhouse, from, seconds).await?;
    let window = |end: i64| Window {
        end: UnixNanos::from_seconds(end),
        seconds,
    };
    Ok(rows
        .into_iter()
        .map(|row| (row.model, window(row.window_end), row.generation))
        .collect())
}
