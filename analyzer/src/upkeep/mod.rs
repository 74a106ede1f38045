//! Keeping `buckets_10s` and `profiles_minute` true: every minute that the drain marked as dirty is computed
//! again as a whole, buckets at once, profiles when the model's watermark has passed the minute.
//!
//! A mark is cleared after its minute was written, so that a crash or an engine that restarts computes the
//! minute again, under a higher generation, with the same result.

mod activity;
mod generations;

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::buckets::{last_arrivals, newest_events, write_buckets};
use driftlead_store::clickhouse::query::generations::highest_generation;
use driftlead_store::clickhouse::query::profiles::write_profiles;
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::{DirtyConsumer, DirtyMark, MAX_DIRTY_MINUTES};

pub use activity::{Activity, WATERMARK_SECONDS};
pub use generations::Generations;

use crate::context::Context;
use crate::error::AnalyzerError;

/// Minutes that one query computes at most. Six hours of a busy model are profiled in a second or two; longer
/// stretches save little and hold more memory.
const MAX_MINUTES_PER_QUERY: usize = 360;
/// Queries of one step at most, so that windows are looked at between them.
const MAX_QUERIES_PER_STEP: usize = 16;

/// Marks of one model that one query takes care of.
#[derive(Debug, Clone, PartialEq)]
struct Batch {
    model: String,
    minutes: Vec<i64>,
    marks: Vec<DirtyMark>,
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

/// Computes the buckets of all dirty minutes, the newest first.
///
/// # Errors
/// Telemetry or state cannot be read or written; what is left stays dirty.
pub(crate) async fn compute_buckets(context: &Context, generations: &Generations) -> Result<(), AnalyzerError> {
    let marks = context.state.take_dirty(DirtyConsumer::Buckets, MAX_DIRTY_MINUTES).await?;
    if marks.is_empty() {
        return Ok(());
    }
    let now = context.now();
    marks.iter().for_each(|mark| context.activity.note_arrival(&mark.model, now));
    for batch in batches(marks).into_iter().rev().take(MAX_QUERIES_PER_STEP) {
        let generation = generations.next(context.now());
        write_buckets(&context.clickhouse, &batch.model, &batch.minutes, generation).await?;
        context.state.clear_dirty(DirtyConsumer::Buckets, &batch.marks).await?;
    }
    context
        .activity
        .note_newest(&newest_events(&context.clickhouse).await?, context.now());
    Ok(())
}

/// Computes the profiles of dirty minutes that the watermark has passed, the oldest first, and says whether
/// there were any.
///
/// # Errors
/// As [`compute_buckets`].
pub(crate) async fn compute_profiles(context: &Context, generations: &Generations) -> Result<bool, AnalyzerError> {
    let now = context.now();
    let marks = context.state.take_dirty(DirtyConsumer::Profiles, MAX_DIRTY_MINUTES).await?;
    let is_complete = |mark: &DirtyMark| {
        context
            .activity
            .watermark(&mark.model, now)
            .is_some_and(|watermark| mark.end() <= watermark)
    };
    let ripe: Vec<DirtyMark> = marks.into_iter().filter(is_complete).collect();
    let batches = batches(ripe);
    let any = !batches.is_empty();
    for batch in batches.into_iter().take(MAX_QUERIES_PER_STEP) {
        if context.stop.is_cancelled() {
            break;
        }
        let generation = generations.next(context.now());
        write_profiles(&context.clickhouse, &batch.model, &batch.minutes, generation).await?;
        context.state.clear_dirty(DirtyConsumer::Profiles, &batch.marks).await?;
        tracing::debug!(model = batch.model, minutes = batch.minutes.len(), "profiled minutes");
    }
    Ok(any)
}

/// One batch for each model and stretch of at most [`MAX_MINUTES_PER_QUERY`] minutes from its first to its
/// last, the oldest first.
fn batches(mut marks: Vec<DirtyMark>) -> Vec<Batch> {
    marks.sort_by(|a, b| (a.start, &a.model).cmp(&(b.start, &b.model)));
    let mut open: BTreeMap<String, Batch> = BTreeMap::new();
    let mut batches = Vec::new();
    for mark in marks {
        let minutes: Vec<i64> = (0..mark.seconds / 60).map(|minute| mark.start.seconds() + minute * 60).collect();
        let is_full = open.get(&mark.model).is_some_and(|batch| {
            let first = batch.minutes.first().copied().unwrap_or(0);
            mark.end().seconds() - first > MAX_MINUTES_PER_QUERY as i64 * 60
        });
        if is_full {
            batches.extend(open.remove(&mark.model));
        }
        let batch = open.entry(mark.model.clone()).or_insert_with(|| Batch {
            model: mark.model.clone(),
            minutes: Vec::new(),
            marks: Vec::new(),
        });
        batch.minutes.extend(minutes);
        batch.marks.push(mark);
    }
    batches.extend(open.into_values());
    for batch in &mut batches {
        batch.minutes.sort_unstable();
        batch.minutes.dedup();
    }
    batches.sort_by_key(|batch| batch.minutes.first().copied());
    batches
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::State;

    use super::*;

    #[tokio::test]
    async fn marks_are_gathered_by_model_and_stretch_and_hours_hold_their_minutes() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let instants: Vec<_> = [("a", 0), ("a", 60), ("a", 21_540), ("a", 21_600), ("b", 120)]
            .map(|(model, seconds)| (model.to_owned(), UnixNanos::from_seconds(seconds)))
            .to_vec();
        state.mark_dirty(&[DirtyConsumer::Profiles], &instants).await.unwrap();
        let batches = batches(state.take_dirty(DirtyConsumer::Profiles, 100).await.unwrap());
        let shape: Vec<_> = batches
            .iter()
            .map(|batch| (batch.model.as_str(), batch.minutes.clone(), batch.marks.len()))
            .collect();
        assert_eq!(shape, [("a", vec![0, 60, 21_540], 3), ("b", vec![120], 1), ("a", vec![21_600], 1)]);
    }
}
