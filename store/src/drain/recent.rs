//! The memory of recent inferences: under which hour the first half of each is stored, so that the other
//! half, which may come in a later batch and in a later hour, is stored under the same key.

use std::collections::{HashMap, HashSet, VecDeque};

use xxhash_rust::xxh3::Xxh3;

use super::references::{LearntReferences, References};
use crate::clock::UnixNanos;

/// How long an inference is remembered at least: halves come within seconds, and exporters that lost their
/// connection give up after some minutes.
pub(super) const REMEMBERED_SECONDS: i64 = 15 * 60;
/// Most inferences remembered (about 70 MB): 15 minutes at 2,200 a second.
pub(super) const MAX_REMEMBERED: usize = 2_000_000;
/// Most outcomes remembered that came before their inference.
const MAX_EARLY_OUTCOMES: usize = 200_000;
/// Forgetting drops whole generations: the oldest is between 15 and 20 minutes old.
const GENERATIONS: usize = 4;
const GENERATION_SECONDS: i64 = REMEMBERED_SECONDS / (GENERATIONS as i64 - 1);
/// After this time nothing of a batch is remembered.
pub(super) const FORGOTTEN_AFTER_SECONDS: i64 = GENERATION_SECONDS * GENERATIONS as i64;

/// Names an inference: model and request id, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct InferenceId(pub u128);

impl InferenceId {
    pub fn new(model: &str, request_id: &str) -> Self {
        Self::of_parts(model, [request_id])
    }

    /// Names what is stored under the span in which it was told: as the request id `trace id-span id` does.
    pub fn of_span(model: &str, trace_id: &str, span_id: &str) -> Self {
        Self::of_parts(model, [trace_id, "-", span_id])
    }

    fn of_parts<const N: usize>(model: &str, request_id: [&str; N]) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&(model.len() as u64).to_le_bytes());
        hasher.update(model.as_bytes());
        request_id.iter().for_each(|part| hasher.update(part.as_bytes()));
        Self(hasher.digest128())
    }

    /// What the memory goes by: with two million remembered, one id in 10¹³ is taken for another.
    pub fn short(self) -> u64 {
        self.0 as u64
    }
}

/// Names a model, hashed.
pub(super) fn model_hash(model: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(model.as_bytes())
}

/// What is known of an inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Hours since 1970: the key of its first half.
    pub key_hour: u32,
    /// Minutes since 1970 of its earliest half, by event time.
    pub minute: u32,
}

/// What one batch adds to the memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Learnt {
    /// Inferences that are new, or known better.
    pub inferences: Vec<(u64, Known)>,
    /// Models that sent log halves.
    pub models_with_logs: Vec<u64>,
    /// Outcomes whose inference is not known.
    pub early_outcomes: Vec<u64>,
    /// What else than their ids the inferences go by.
    pub references: LearntReferences,
}

#[derive(Debug, Default)]
struct Generation {
    begun: UnixNanos,
    inferences: HashMap<u64, Known>,
    models_with_logs: HashSet<u64>,
    early_outcomes: HashSet<u64>,
}

/// The memory. It is a function of what the batches of the last 20 minutes have learnt, which is how it is
/// built again after a restart.
#[derive(Debug, Default)]
pub(super) struct RecentIds {
    generations: VecDeque<Generation>,
    /// What else than their ids the last inferences go by.
    pub references: References,
}

impl RecentIds {
    /// Forgets what is too old at `now`.
    pub fn forget(&mut self, now: UnixNanos) {
        while self
            .generations
            .pop_front_if(|oldest| now.seconds_since(oldest.begun) >= FORGOTTEN_AFTER_SECONDS as f64)
            .is_some()
        {}
        self.references.forget(now);
    }

    /// What is known of an inference.
    pub fn lookup(&self, id: u64) -> Option<Known> {
        self.generations
            .iter()
            .rev()
            .find_map(|generation| generation.inferences.get(&id).copied())
    }

    /// Whether the model has sent log halves lately.
    pub fn sends_logs(&self, model: u64) -> bool {
        self.generations
            .iter()
            .any(|generation| generation.models_with_logs.contains(&model))
    }

    /// Whether an outcome of this inference came before it.
    pub fn has_early_outcome(&self, id: u64) -> bool {
        self.generations.iter().any(|generation| generation.early_outcomes.contains(&id))
    }

    /// Adds what a batch that was planned at `now` has learnt.
    pub fn learn(&mut self, learnt: &Learnt, now: UnixNanos) {
        for (id, known) in &learnt.inferences {
            self.current(now).inferences.insert(*id, *known);
        }
        self.references.learn(&learnt.references, now);
        self.current(now).models_with_logs.extend(&learnt.models_with_logs);
        for id in &learnt.early_outcomes {
            let generation = self.current(now);
            if generation.early_outcomes.len() < MAX_EARLY_OUTCOMES / GENERATIONS {
                generation.early_outcomes.insert(*id);
            }
        }
    }

    /// The generation that learns; a new one when the last is old or full.
    fn current(&mut self, now: UnixNanos) -> &mut Generation {
        let goes_on = self.generations.back().is_some_and(|last| {
            now.seconds_since(last.begun) < GENERATION_SECONDS as f64 && last.inferences.len() < MAX_REMEMBERED / GENERATIONS
        });
        if !goes_on {
            self.forget(now);
            if self.generations.len() == GENERATIONS {
                self.generations.pop_front();
            }
            self.generations.push_back(Generation {
                begun: now,
                ..Generation::default()
            });
        }
        self.generations.back_mut().expect("one was just made sure of")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(memory: &mut RecentIds, id: u64, at: i64) {
        let known = Known {
            key_hour: id as u32,
            minute: 0,
        };
        memory.learn(
            &Learnt {
                inferences: vec![(id, known)],
                ..Learnt::default()
            },
            UnixNanos::from_seconds(at),
        );
    }

    #[test]
    fn an_inference_is_remembered_for_fifteen_minutes_and_forgotten_after_twenty() {
        for offset in [0, 100, 299] {
            let mut memory = RecentIds::default();
            learn(&mut memory, 1, 0);
            learn(&mut memory, 2, offset);
            for at in (offset..offset + REMEMBERED_SECONDS).step_by(10) {
                learn(&mut memory, 1_000 + at as u64, at);
                assert!(memory.lookup(2).is_some(), "at {at}");
            }
            learn(&mut memory, 3, offset + FORGOTTEN_AFTER_SECONDS);
            assert!(memory.lookup(2).is_none() && memory.lookup(3).is_some());
        }
    }

    #[test]
    fn no_more_than_the_bound_is_remembered() {
        let mut memory = RecentIds::default();
        let known = Known { key_hour: 0, minute: 0 };
        let many = Learnt {
            inferences: (0..MAX_REMEMBERED as u64 + 10).map(|id| (id, known)).collect(),
            ..Learnt::default()
        };
        memory.learn(&many, UnixNanos::from_seconds(0));
        let remembered: usize = memory.generations.iter().map(|generation| generation.inferences.len()).sum();
        assert!(remembered <= MAX_REMEMBERED && remembered > MAX_REMEMBERED / 2);
        assert!(memory.lookup(MAX_REMEMBERED as u64 + 9).is_some() && memory.lookup(0).is_none());
    }
}
