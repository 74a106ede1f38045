//! What a consumer of dirty minutes remembers between its steps: what it computed lately, and what failed.

use std::collections::HashMap;

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::DirtyMark;

use super::batches::{Batch, MAX_MINUTES_PER_QUERY, PRESENT_SECONDS, is_present, of_step};
use crate::failures::Failures;

/// How often minutes of history that were computed already are computed again, in seconds.
const HISTORY_PAUSE_SECONDS: i64 = 5;

type Minute = (String, i64);

/// A minute is computed at once when it is new. Minutes that were computed before are computed again together, at most
/// once in a pause: at a live model something comes late every second, and each time an hour of keys is read.
#[derive(Debug)]
pub(super) struct Pace {
    /// For the present, in seconds.
    pause_seconds: i64,
    /// When each minute was computed last; forgotten when it is history.
    minutes: HashMap<Minute, UnixNanos>,
    /// When minutes of a model were last computed again.
    again: HashMap<String, UnixNanos>,
    /// When anything of a model was computed.
    computed: HashMap<String, UnixNanos>,
    /// Minutes of one query, of models whose queries failed.
    limits: HashMap<String, usize>,
    /// Minutes that cannot be computed even alone.
    failures: Failures<Minute>,
}

impl Pace {
    pub fn new(pause_seconds: i64) -> Self {
        Self {
            pause_seconds,
            minutes: HashMap::new(),
            again: HashMap::new(),
            computed: HashMap::new(),
            limits: HashMap::new(),
            failures: Failures::default(),
        }
    }

    /// The batches whose turn it is, and whether there are more.
    pub fn batches(&mut self, marks: Vec<DirtyMark>, now: UnixNanos) -> (Vec<Batch>, bool) {
        self.minutes
            .retain(|_, at| *at <= now && now.seconds_since(*at) < PRESENT_SECONDS as f64);
        self.again.retain(|_, at| *at <= now);
        let marks = marks.into_iter().filter(|mark| self.is_its_turn(mark, now)).collect();
        of_step(
            marks,
            now,
            &self.computed,
            |model| self.limit(model),
            |mark| self.failures.holds(&minute(mark)),
        )
    }

    fn is_its_turn(&self, mark: &DirtyMark, now: UnixNanos) -> bool {
        let pause = if is_present(mark, now) {
            self.pause_seconds
        } else {
            HISTORY_PAUSE_SECONDS.min(self.pause_seconds)
        };
        let key = minute(mark);
        let is_paused =
            self.minutes.contains_key(&key) && self.again.get(&mark.model).is_some_and(|at| now.seconds_since(*at) < pause as f64);
        !is_paused && self.failures.may_try(&key, now)
    }

    /// Minutes that one query of a model may compute.
    pub fn limit(&self, model: &str) -> usize {
        self.limits.get(model).copied().unwrap_or(MAX_MINUTES_PER_QUERY)
    }

    pub fn succeeded(&mut self, batch: &Batch, now: UnixNanos) {
        for mark in &batch.marks {
            let key = minute(mark);
            self.failures.succeeded(&key);
            if self.minutes.insert(key, now).is_some() {
                self.again.insert(batch.model.clone(), now);
            }
        }
        self.computed.insert(batch.model.clone(), now);
        let limit = self.limit(&batch.model) * 2;
        if limit >= MAX_MINUTES_PER_QUERY {
            self.limits.remove(&batch.model);
        } else {
            self.limits.insert(batch.model.clone(), limit);
        }
    }

    /// Tries less at once; a minute that fails alone waits.
    pub fn failed(&mut self, batch: &Batch, now: UnixNanos) {
        self.computed.insert(batch.model.clone(), now);
        let tried = self.limit(&batch.model).min(batch.minutes.len());
        if tried > 1 {
            self.limits.insert(batch.model.clone(), tried / 2);
        } else if let Some(mark) = batch.marks.first() {
            self.failures.failed(minute(mark), now);
        }
    }
}

fn minute(mark: &DirtyMark) -> Minute {
    (mark.model.clone(), mark.start.seconds())
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::State;
    use driftlead_store::state::dirty::DirtyConsumer;

    use super::*;

    const START: i64 = 999_960;

    async fn marks(minutes: &[i64]) -> Vec<DirtyMark> {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let instants: Vec<_> = minutes
            .iter()
            .map(|minute| ("m".to_owned(), UnixNanos::from_seconds(START + minute * 60)))
            .collect();
        state.mark_dirty(&[DirtyConsumer::Buckets], &instants).await.unwrap();
        state.take_dirty(DirtyConsumer::Buckets, 100).await.unwrap()
    }

    /// Takes a step `after` seconds, in which everything succeeds, and expects these minutes to be computed.
    async fn check(pace: &mut Pace, after: i64, dirty: &[i64], expected: &[i64]) {
        let now = UnixNanos::from_seconds(START + 600 + after);
        let (batches, _) = pace.batches(marks(dirty).await, now);
        let computed: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.minutes.iter().map(|second| (second - START) / 60))
            .collect();
        assert_eq!(computed, expected, "after {after} s");
        batches.iter().for_each(|batch| pace.succeeded(batch, now));
    }

    #[tokio::test]
    async fn new_minutes_are_computed_at_once_and_known_ones_once_in_a_pause() {
        let mut pace = Pace::new(60);
        check(&mut pace, 0, &[0, 1], &[0, 1]).await;
        check(&mut pace, 1, &[1], &[1]).await;
        check(&mut pace, 2, &[0, 1], &[]).await;
        check(&mut pace, 3, &[0, 1, 2], &[2]).await;
        check(&mut pace, 60, &[0, 1], &[]).await;
        check(&mut pace, 61, &[0, 1], &[0, 1]).await;
    }

    #[tokio::test]
    async fn a_minute_that_cannot_be_computed_is_found_by_halving_and_holds_up_no_other() {
        let mut pace = Pace::new(5);
        let mut left: Vec<i64> = (0..8).collect();
        for step in 0..40 {
            let now = UnixNanos::from_seconds(START + 600 + step);
            let (batches, _) = pace.batches(marks(&left).await, now);
            for batch in batches {
                if batch.minutes.contains(&(START + 3 * 60)) {
                    pace.failed(&batch, now);
                } else {
                    pace.succeeded(&batch, now);
                    left.retain(|minute| !batch.minutes.contains(&(START + minute * 60)));
                }
            }
        }
        assert_eq!(left, [3]);
    }
}
