//! What a batch makes dirty: the minutes whose buckets, profiles and quality have to be computed again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::join::{Inferences, Taken, minutes};
use super::meeting::Superseded;
use super::recent::{InferenceId, RecentIds};
use crate::clock::UnixNanos;
use crate::records::Decoded;

/// (model, instant): the minute that holds the instant.
pub(super) type Instants = Vec<(String, UnixNanos)>;

/// The minutes that a batch makes dirty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Dirty {
    /// Minutes with inferences of the batch, by event time, also those in which an earlier half put them.
    pub inferences: Instants,
    /// Minutes of the inferences that its outcomes tell about, as far as they are known, by event time.
    pub judged: Instants,
    /// Minutes in which it received outcomes of inferences that are not known: much older ones, or ones to come.
    pub outcomes_received: Instants,
}

#[derive(Default)]
struct Minutes<'a>(BTreeMap<&'a str, BTreeSet<u32>>);

impl<'a> Minutes<'a> {
    fn add(&mut self, model: &'a str, minute: u32) {
        self.0.entry(model).or_default().insert(minute);
    }

    fn into_instants(self) -> Instants {
        let each = self
            .0
            .into_iter()
            .flat_map(|(model, minutes)| minutes.into_iter().map(move |minute| (model.to_owned(), minute)));
        each.map(|(model, minute)| (model, UnixNanos::from_seconds(i64::from(minute) * 60)))
            .collect()
    }
}

/// Lists what a batch makes dirty. The memory has learnt the batch already.
pub(super) fn list(
    decoded: &[Decoded],
    inferences: &Inferences,
    taken: &HashMap<u32, Taken>,
    superseded: &[Superseded],
    memory: &RecentIds,
) -> Dirty {
    let mut of_inferences = Minutes::default();
    let mut judged = Minutes::default();
    let mut outcomes_received = Minutes::default();
    for Superseded { known, half, .. } in superseded {
        of_inferences.add(&half.model, known.minute);
    }
    for half in decoded.iter().flat_map(|decoded| &decoded.halves) {
        let id = InferenceId::new(&half.model, &half.request_id);
        of_inferences.add(&half.model, minutes(half.event_time));
        if let Some(taken) = inferences.ordinal(id).and_then(|ordinal| taken.get(&ordinal)) {
            of_inferences.add(&half.model, taken.known.minute);
        }
        if memory.has_early_outcome(id.short()) {
            judged.add(&half.model, minutes(half.event_time));
        }
    }
    for outcome in decoded.iter().flat_map(|decoded| &decoded.outcomes) {
        match memory.lookup(InferenceId::new(&outcome.model, &outcome.request_id).short()) {
            Some(known) => judged.add(&outcome.model, known.minute),
            None => outcomes_received.add(&outcome.model, minutes(outcome.received_time)),
        }
    }
    Dirty {
        inferences: of_inferences.into_instants(),
        judged: judged.into_instants(),
        outcomes_received: outcomes_received.into_instants(),
    }
}
