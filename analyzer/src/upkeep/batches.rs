//! Which dirty minutes are computed by one query, and in which order.

use std::collections::{BTreeMap, HashMap};

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::DirtyMark;

/// Minutes that one query computes at most. Six hours of a busy model are profiled in a second or two; longer
/// stretches save little and hold more memory.
pub(super) const MAX_MINUTES_PER_QUERY: usize = 360;
/// Queries of one step at most, so that windows are looked at between them.
const MAX_QUERIES_PER_STEP: usize = 16;
/// Queries of a step that a back-fill gets however many models are live.
const HISTORY_QUERIES_PER_STEP: usize = 4;
/// What is younger than this is the present, in seconds: the hours that run.
pub(super) const PRESENT_SECONDS: i64 = 2 * 3_600;

/// Marks of one model that one query takes care of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Batch {
    pub model: String,
    pub minutes: Vec<i64>,
    pub marks: Vec<DirtyMark>,
}

/// Whether a mark is about the present.
pub(super) fn is_present(mark: &DirtyMark, now: UnixNanos) -> bool {
    mark.end() > now.plus_seconds(-PRESENT_SECONDS)
}

/// The batches of one step, and whether there are more. The present goes first, the models in turn: the one that was
/// computed longest ago first. Then history from its beginning, because later windows are compared with it.
pub(super) fn of_step(
    marks: Vec<DirtyMark>,
    now: UnixNanos,
    computed: &HashMap<String, UnixNanos>,
    limit: impl Fn(&str) -> usize,
    is_alone: impl Fn(&DirtyMark) -> bool,
) -> (Vec<Batch>, bool) {
    let (present, history): (Vec<DirtyMark>, Vec<DirtyMark>) = marks.into_iter().partition(|mark| is_present(mark, now));
    let mut present = batches(present, &limit, &is_alone);
    present.sort_by_key(|batch| computed.get(&batch.model).copied());
    let history = batches(history, &limit, &is_alone);
    let all = present.len() + history.len();
    let for_history = history.len().min(HISTORY_QUERIES_PER_STEP);
    let for_present = present.len().min(MAX_QUERIES_PER_STEP - for_history);
    let taken: Vec<Batch> = present
        .into_iter()
        .take(for_present)
        .chain(history.into_iter().take(MAX_QUERIES_PER_STEP - for_present))
        .collect();
    let more = taken.len() < all;
    (taken, more)
}

/// One batch for each model and stretch of at most `limit` minutes from its first to its last, the oldest first.
fn batches(mut marks: Vec<DirtyMark>, limit: &impl Fn(&str) -> usize, is_alone: &impl Fn(&DirtyMark) -> bool) -> Vec<Batch> {
    marks.sort_by(|a, b| (a.start, &a.model).cmp(&(b.start, &b.model)));
    let mut open: BTreeMap<String, Batch> = BTreeMap::new();
    let mut batches = Vec::new();
    for mark in marks {
        let batch = |mark: &DirtyMark| Batch {
            model: mark.model.clone(),
            minutes: Vec::new(),
            marks: Vec::new(),
        };
        if is_alone(&mark) {
            let mut alone = batch(&mark);
            add(&mut alone, mark);
            batches.push(alone);
            continue;
        }
        let is_full = open.get(&mark.model).is_some_and(|batch| {
            let first = batch.minutes.first().copied().unwrap_or(0);
            mark.end().seconds() - first > limit(&mark.model) as i64 * 60
        });
        if is_full {
            batches.extend(open.remove(&mark.model));
        }
        add(open.entry(mark.model.clone()).or_insert_with(|| batch(&mark)), mark);
    }
    batches.extend(open.into_values());
    for batch in &mut batches {
        batch.minutes.sort_unstable();
        batch.minutes.dedup();
    }
    batches.sort_by_key(|batch| batch.minutes.first().copied());
    batches
}

fn add(batch: &mut Batch, mark: DirtyMark) {
    batch
        .minutes
        .extend((0..mark.seconds / 60).map(|minute| mark.start.seconds() + minute * 60));
    batch.marks.push(mark);
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::State;
    use driftlead_store::state::dirty::DirtyConsumer;

    use super::*;

    async fn marks(of: &[(&str, i64)]) -> Vec<DirtyMark> {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let instants: Vec<_> = of
            .iter()
            .map(|&(model, seconds)| (model.to_owned(), UnixNanos::from_seconds(seconds)))
            .collect();
        state.mark_dirty(&[DirtyConsumer::Profiles], &instants).await.unwrap();
        state.take_dirty(DirtyConsumer::Profiles, 1_000).await.unwrap()
    }

    #[tokio::test]
    async fn marks_are_gathered_by_model_and_stretch_and_what_failed_stands_alone() {
        let marks = marks(&[("a", 0), ("a", 60), ("a", 120), ("a", 21_540), ("a", 21_600), ("b", 120)]).await;
        let check = |limit: usize, alone: i64, expected: &[(&str, &[i64])]| {
            let batches = batches(marks.clone(), &|_: &str| limit, &|mark: &DirtyMark| mark.start.seconds() == alone);
            let shape: Vec<(&str, &[i64])> = batches
                .iter()
                .map(|batch| (batch.model.as_str(), batch.minutes.as_slice()))
                .collect();
            assert_eq!(shape, expected);
        };
        check(360, -1, &[("a", &[0, 60, 120, 21_540]), ("b", &[120]), ("a", &[21_600])]);
        check(360, 60, &[("a", &[0, 120, 21_540]), ("a", &[60]), ("b", &[120]), ("a", &[21_600])]);
        check(2, -1, &[("a", &[0, 60]), ("a", &[120]), ("b", &[120]), ("a", &[21_540, 21_600])]);
    }

    #[tokio::test]
    async fn every_live_model_gets_its_turn_and_the_present_does_not_wait_for_history() {
        const NOW: i64 = 1_000_000;
        let models: Vec<String> = (0..40).map(|i| format!("m{i:02}")).collect();
        let mut of: Vec<(&str, i64)> = models.iter().map(|model| (model.as_str(), NOW - 60)).collect();
        of.extend((0..30).map(|stretch| ("history", stretch * 30_000)));
        let marks = marks(&of).await;
        let mut computed = HashMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for turn in 0..4 {
            let now = UnixNanos::from_seconds(NOW + turn);
            let (batches, more) = of_step(marks.clone(), now, &computed, |_| MAX_MINUTES_PER_QUERY, |_| false);
            assert_eq!(batches.len(), MAX_QUERIES_PER_STEP);
            assert!(more);
            let of_history = batches.iter().filter(|batch| batch.model == "history").count();
            assert_eq!(of_history, HISTORY_QUERIES_PER_STEP);
            for batch in batches {
                computed.insert(batch.model.clone(), now);
                seen.insert(batch.model);
            }
        }
        assert_eq!(seen.len(), models.len() + 1);
    }
}
