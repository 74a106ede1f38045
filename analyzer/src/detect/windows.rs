//! The schedule of drift windows. What was computed from which generation of profiles is kept in
//! ClickHouse, so that a restart finds exactly what it missed; the windows of the last two lengths are
//! computed again then, because alerting may have been stopped before it saw them.

use std::collections::HashMap;

use driftlead_store::clickhouse::query::generations::{
    Computed as Kind, profile_generation_between, profile_generations, window_generations, write_generations,
};
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::DirtyConsumer;

use super::drift;
use super::due::{Computed, Due, Known, due};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::window::{DAY_SECONDS, HOUR_SECONDS, Window};

/// How far back windows are looked for: the retention of minutes.
const LOOK_BACK_SECONDS: i64 = 14 * 86_400;
/// Windows of one step at most, so that new minutes are profiled between them.
const MAX_WINDOWS_PER_STEP: usize = 8;
/// Lengths of a window within which rules still look at it.
const LENGTHS_AFTER_RESTART: i64 = 2;

/// What is known of all windows.
#[derive(Debug, Default)]
pub(crate) struct DriftWindows {
    computed: HashMap<(String, Window), Computed>,
}

impl DriftWindows {
    /// From what earlier runs computed.
    ///
    /// # Errors
    /// The telemetry cannot be read.
    pub async fn load(context: &Context) -> Result<Self, AnalyzerError> {
        let now = context.now();
        let mut computed = HashMap::new();
        for seconds in [HOUR_SECONDS, DAY_SECONDS] {
            for row in window_generations(&context.clickhouse, Kind::Drift(seconds), now.plus_seconds(-LOOK_BACK_SECONDS)).await? {
                let window = Window {
                    end: UnixNanos::from_seconds(row.window_end),
                    seconds,
                };
                if !window.ended_within(LENGTHS_AFTER_RESTART, now) {
                    let what = Computed {
                        generation: row.generation,
                        at: UnixNanos(0),
                        provisional: false,
                    };
                    computed.insert((row.model, window), what);
                }
            }
        }
        Ok(Self { computed })
    }

    /// Computes windows that are due, days before hours and the newest first, and says whether there may be
    /// more.
    ///
    /// # Errors
    /// Telemetry or state cannot be read or written; what is left stays due.
    pub async fn step(&mut self, context: &Context) -> Result<bool, AnalyzerError> {
        let now = context.now();
        self.computed
            .retain(|(_, window), _| window.end > now.plus_seconds(-LOOK_BACK_SECONDS));
        let mut profiled = profiled_windows(context, now).await?;
        profiled.sort_by_key(|(_, window, _)| (std::cmp::Reverse(window.seconds), std::cmp::Reverse(window.end)));
        let mut steps = 0;
        for (model, window, generation) in profiled {
            let Some(watermark) = context.activity.watermark(&model, now) else {
                continue;
            };
            let key = (model, window);
            let known = Known {
                window,
                profiled: generation,
                computed: self.computed.get(&key).copied(),
            };
            let due = due(known, watermark, now);
            if due == Due::Not {
                continue;
            }
            if steps == MAX_WINDOWS_PER_STEP || context.stop.is_cancelled() {
                return Ok(true);
            }
            if due == Due::Final
                && context
                    .state
                    .is_dirty_between(DirtyConsumer::Profiles, &key.0, window.start(), window.end)
                    .await?
            {
                continue;
            }
            self.compute(context, key, generation, due == Due::Provisional).await?;
            steps += 1;
        }
        Ok(false)
    }

    async fn compute(&mut self, context: &Context, key: (String, Window), generation: u64, provisional: bool) -> Result<(), AnalyzerError> {
        let (model, window) = &key;
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
        self.computed.insert(
            key,
            Computed {
                generation,
                at: context.now(),
                provisional,
            },
        );
        Ok(())
    }
}

/// Every window with profiles, and the generation of the newest of them.
async fn profiled_windows(context: &Context, now: UnixNanos) -> Result<Vec<(String, Window, u64)>, AnalyzerError> {
    let from = now.plus_seconds(-LOOK_BACK_SECONDS).floor_to(i64::from(DAY_SECONDS));
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
