//! Keeping `buckets_10s`, `profiles_minute` and what is rolled up from it true: every minute that the drain marked as dirty is computed
//! again as a whole, buckets soon, profiles when the model's watermark has passed the minute.
//!
//! A mark is cleared after its minute was written, so that a crash or an engine that restarts computes the
//! minute again, under a higher generation, with the same result. What cannot be computed waits by itself.

mod activity;
mod batches;
mod generations;
mod pace;
mod rollups;

use std::collections::HashSet;

use driftlead_store::clickhouse::query::buckets::{last_arrivals, newest_events, write_buckets};
use driftlead_store::clickhouse::query::generations::highest_generation;
use driftlead_store::clickhouse::query::positive::Positive;
use driftlead_store::clickhouse::query::profiles::write_profiles;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::{DirtyConsumer, DirtyMark, MAX_DIRTY_MINUTES};

pub use activity::{Activity, WATERMARK_SECONDS};
pub use generations::Generations;
pub(crate) use rollups::Rollups;

use crate::context::Context;
use crate::error::AnalyzerError;
use batches::Batch;
use pace::Pace;

/// How often the buckets of a running minute are computed, in seconds: as often as service signals are.
const BUCKETS_PAUSE_SECONDS: i64 = 5;
/// How often profiles of the present are computed again for what came late, in seconds.
const PROFILES_PAUSE_SECONDS: i64 = 60;

/// Minutes of a model that were computed, as Unix seconds of their starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ComputedMinutes {
    pub model: String,
    pub minutes: Vec<i64>,
    pub generation: u64,
}

/// What the analyzer has to know before its first step.
///
/// # Errors
/// The telemetry cannot be read.
pub(crate) async fn load(context: &Context) -> Result<Generations, AnalyzerError> {
    let now = context.now();
    for (model, at) in last_arrivals(&context.clickhouse).await? {
        context.activity.note_arrival(&model, UnixNanos(at));
    }
    context.activity.note_newest(&newest_events(&context.clickhouse).await?, now);
    Ok(Generations::after(highest_generation(&context.clickhouse).await?))
}

/// Keeps `buckets_10s`.
#[derive(Debug)]
pub(crate) struct Buckets {
    pace: Pace,
    /// Marks that were there at the step before: the others arrived since.
    known: HashSet<DirtyMark>,
}

impl Buckets {
    pub fn new() -> Self {
        Self {
            pace: Pace::new(BUCKETS_PAUSE_SECONDS),
            known: HashSet::new(),
        }
    }

    /// Computes the buckets of dirty minutes, and says whether there are more.
    ///
    /// # Errors
    /// Telemetry or state cannot be reached; what is left stays dirty.
    pub async fn step(&mut self, context: &Context, generations: &Generations) -> Result<bool, AnalyzerError> {
        let marks = context.state.take_dirty(DirtyConsumer::Buckets, MAX_DIRTY_MINUTES).await?;
        let now = context.now();
        let arrived: Vec<&DirtyMark> = marks.iter().filter(|mark| !self.known.contains(*mark)).collect();
        if !arrived.is_empty() {
            arrived.iter().for_each(|mark| context.activity.note_arrival(&mark.model, now));
            context.activity.note_newest(&newest_events(&context.clickhouse).await?, now);
        }
        self.known = marks.iter().cloned().collect();
        let (batches, more) = self.pace.batches(marks, now);
        compute(
            context,
            generations,
            DirtyConsumer::Buckets,
            &mut self.pace,
            batches,
            &mut Vec::new(),
        )
        .await?;
        Ok(more)
    }
}

/// Keeps `profiles_minute`.
#[derive(Debug)]
pub(crate) struct Profiles {
    pace: Pace,
}

impl Profiles {
    pub fn new() -> Self {
        Self {
            pace: Pace::new(PROFILES_PAUSE_SECONDS),
        }
    }

    /// Computes the profiles of dirty minutes that the watermark has passed, adds them to `computed` even where it
    /// fails, and says whether there are more.
    ///
    /// # Errors
    /// As [`Buckets::step`].
    pub async fn step(
        &mut self,
        context: &Context,
        generations: &Generations,
        computed: &mut Vec<ComputedMinutes>,
    ) -> Result<bool, AnalyzerError> {
        let now = context.now();
        let marks = context.state.take_dirty(DirtyConsumer::Profiles, MAX_DIRTY_MINUTES).await?;
        let is_complete = |mark: &DirtyMark| {
            context
                .activity
                .watermark(&mark.model, now)
                .is_some_and(|watermark| mark.end() <= watermark)
        };
        let ripe: Vec<DirtyMark> = marks.into_iter().filter(is_complete).collect();
        let (batches, more) = self.pace.batches(ripe, now);
        compute(context, generations, DirtyConsumer::Profiles, &mut self.pace, batches, computed).await?;
        Ok(more)
    }
}

/// Computes batches. One that fails for its own sake is left for later, and the others are computed.
async fn compute(
    context: &Context,
    generations: &Generations,
    consumer: DirtyConsumer,
    pace: &mut Pace,
    batches: Vec<Batch>,
    computed: &mut Vec<ComputedMinutes>,
) -> Result<(), AnalyzerError> {
    for batch in batches {
        if context.stop.is_cancelled() {
            break;
        }
        let generation = generations.next(context.now());
        match write(context, consumer, &batch, pace.limit(&batch.model), generation).await {
            Ok(()) => {
                pace.succeeded(&batch, context.now());
                tracing::debug!(
                    model = batch.model,
                    minutes = batch.minutes.len(),
                    of = consumer.name(),
                    "computed minutes"
                );
                computed.push(ComputedMinutes {
                    model: batch.model,
                    minutes: batch.minutes,
                    generation,
                });
            }
            Err(error) => {
                pace.failed(&batch, context.now());
                if error.is_everybodys() {
                    return Err(error);
                }
                tracing::warn!(
                    model = batch.model, minutes = batch.minutes.len(), first = ?batch.minutes.first(), of = consumer.name(), %error,
                    "minutes could not be computed; they are tried again later, less of them at once"
                );
            }
        }
    }
    Ok(())
}

async fn write(
    context: &Context,
    consumer: DirtyConsumer,
    batch: &Batch,
    minutes_per_query: usize,
    generation: u64,
) -> Result<(), AnalyzerError> {
    let settings = context.references.settings(&batch.model);
    let positive = Positive::of(&settings);
    for minutes in batch.minutes.chunks(minutes_per_query) {
        match consumer {
            DirtyConsumer::Buckets => write_buckets(&context.clickhouse, &batch.model, minutes, generation).await?,
            DirtyConsumer::Profiles => write_profiles(&context.clickhouse, &batch.model, positive, minutes, generation).await?,
            DirtyConsumer::Quality | DirtyConsumer::Outcomes => {}
        }
    }
    Ok(context.state.clear_dirty(&batch.marks).await?)
}
