//! Brings together what tells of one request and does not name it alike: a log record with a request id and the span
//! around it without one, an evaluation that names the span only, or the request without its model.
//!
//! [`find`] decides with the memory; what it decides is written down with the batch's boundaries, and [`apply`] does
//! it, the same again after a crash. Where the half without a name is stored already, it cannot move to the name that
//! comes later: it is superseded, and counts no longer.

use std::collections::{HashMap, HashSet};

use super::recent::{InferenceId, Known, RecentIds};
use super::references::{Course, LearntReferences, Reference, names_request, reference_of, request_hash};
use crate::records::{Decoded, Half, InferenceHalf, Outcome};

/// What becomes of a half or an outcome of a batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Met {
    /// A half is of this request.
    Half(u32, String),
    /// A span's half wraps several requests that its logs told, each by its name: it is not another one.
    Wrapping(u32),
    /// A half names the request of one that is stored under the span they share, and went as that one said.
    Supersedes(u32, Known, Course),
    /// An outcome is of this model and this request.
    Outcome(u32, String, String),
    /// An outcome came before this half, which says whose it is.
    Waited(u32, Outcome),
}

/// A stored half whose request another half has named since.
pub(super) struct Superseded {
    /// Which of the frames tells it.
    pub frame: usize,
    /// Under which key the half is stored, and the minute that it counted in.
    pub known: Known,
    /// Names the inference that is stored, and nothing else beside whose it is.
    pub half: InferenceHalf,
    /// What the stored half said of how it went, if anything, as a half of the named request.
    pub course: Option<InferenceHalf>,
}

/// Decides what meets in a batch, and what the memory learns from it. The bounds on labels have been applied.
pub(super) fn find(decoded: &[Decoded], memory: &RecentIds) -> (Vec<Met>, LearntReferences) {
    let mut spans = Spans {
        memory,
        batch: HashMap::new(),
        changed: Vec::new(),
    };
    let mut superseding = Vec::new();
    let halves = || (0..).zip(decoded.iter().flat_map(|decoded| &decoded.halves));
    for (at, half) in halves() {
        if let Some(reference) = reference_of(half)
            && let Some((known, course)) = spans.see(reference, half)
        {
            superseding.push((at, reference, known, course));
        }
    }
    // How a span went that wraps several requests says nothing of one of them.
    let superseding = superseding
        .into_iter()
        .map(|(at, reference, known, course)| match spans.get(reference) {
            Some(Reference::Named(_, None)) => Met::Supersedes(at, known, Course::default()),
            _ => Met::Supersedes(at, known, course),
        });
    let mut met: Vec<Met> = superseding.collect();
    for (at, half) in halves().filter(|(_, half)| !names_request(half)) {
        match reference_of(half).and_then(|reference| spans.get(reference)) {
            Some(Reference::Named(by, Some(request_id))) if *by != half.half => met.push(Met::Half(at, request_id.to_string())),
            Some(Reference::Named(Half::Log, None)) if half.half == Half::Span => met.push(Met::Wrapping(at)),
            _ => {}
        }
    }
    let requests = requests(decoded);
    let mut waiting = Vec::new();
    let outcomes = || decoded.iter().flat_map(|decoded| &decoded.outcomes);
    let models = match memory.references.has_waiting() || outcomes().any(|outcome| outcome.model.is_empty()) {
        true => models_of(&requests),
        false => HashMap::new(),
    };
    for (at, outcome) in (0..).zip(outcomes()) {
        let hash = request_hash(&outcome.request_id);
        let model = match outcome.model.as_str() {
            "" => models.get(&hash).copied().unwrap_or_else(|| memory.references.model_of(hash)),
            model => Some(model),
        };
        let Some(model) = model else {
            waiting.push(outcome.clone());
            continue;
        };
        let request_id = match spans.get(InferenceId::new(model, &outcome.request_id).short()) {
            Some(Reference::Named(_, Some(request_id))) => request_id,
            _ => outcome.request_id.as_str(),
        };
        if model != outcome.model || request_id != outcome.request_id {
            met.push(Met::Outcome(at, model.to_owned(), request_id.to_owned()));
        }
    }
    met.extend(waited(decoded, &models, memory, &spans));
    let learnt = LearntReferences {
        spans: spans.learnt(),
        requests,
        waiting,
    };
    (met, learnt)
}

/// The outcomes that have waited for a request of the batch, each with the first half that tells of it.
fn waited(decoded: &[Decoded], models: &HashMap<u64, Option<&str>>, memory: &RecentIds, spans: &Spans<'_>) -> Vec<Met> {
    let mut waited = Vec::new();
    if !memory.references.has_waiting() {
        return waited;
    }
    let mut seen: HashSet<u64> = HashSet::new();
    for (at, half) in (0..).zip(decoded.iter().flat_map(|decoded| &decoded.halves)) {
        let span = half.trace_id.as_deref().zip(half.span_id.as_deref());
        let span = span.map(|(trace_id, span_id)| request_hash(&format!("{trace_id}-{span_id}")));
        for request in [Some(request_hash(&half.request_id)), span].into_iter().flatten() {
            let mut outcomes = memory.references.waiting_for(request).peekable();
            if outcomes.peek().is_none() || models.get(&request) != Some(&Some(half.model.as_str())) || !seen.insert(request) {
                continue;
            }
            let named = reference_of(half).and_then(|reference| spans.get(reference));
            let request_id = match named {
                Some(Reference::Named(_, Some(request_id))) if !names_request(half) => request_id,
                _ => half.request_id.as_str(),
            };
            waited.extend(outcomes.map(|outcome| {
                let outcome = Outcome {
                    model: half.model.clone(),
                    request_id: request_id.to_owned(),
                    ..outcome.clone()
                };
                Met::Waited(at, outcome)
            }));
        }
    }
    waited
}

/// Changes the records of a batch as it was decided. Outcomes that name no model and have found none are left out: they
/// wait for their inference in the memory.
pub(super) fn apply(decoded: &mut [Decoded], met: &[Met]) -> Vec<Superseded> {
    let mut of_half: HashMap<u32, &Met> = HashMap::new();
    let mut of_outcome: HashMap<u32, (&str, &str)> = HashMap::new();
    let mut waited: HashMap<u32, Vec<&Outcome>> = HashMap::new();
    for met in met {
        match met {
            Met::Half(at, _) | Met::Supersedes(at, ..) => {
                of_half.insert(*at, met);
            }
            Met::Outcome(at, model, request_id) => {
                of_outcome.insert(*at, (model, request_id));
            }
            Met::Waited(at, outcome) => waited.entry(*at).or_default().push(outcome),
            Met::Wrapping(_) => {}
        }
    }
    let mut superseded = Vec::new();
    let (mut next_half, mut next_outcome) = (0_u32, 0_u32);
    for (frame, decoded) in decoded.iter_mut().enumerate() {
        let mut came_before: Vec<Outcome> = Vec::new();
        for half in &mut decoded.halves {
            match of_half.get(&next_half) {
                Some(Met::Half(_, request_id)) => half.request_id.clone_from(request_id),
                Some(Met::Supersedes(_, known, course)) => superseded.extend(superseded_half(half).map(|stored| Superseded {
                    frame,
                    known: *known,
                    course: (*course != Course::default()).then(|| InferenceHalf {
                        request_id: half.request_id.clone(),
                        trace_id: half.trace_id.clone(),
                        span_id: half.span_id.clone(),
                        latency_ms: course.latency_ms,
                        error_type: course.error_type.as_deref().map(str::to_owned),
                        ..stored.clone()
                    }),
                    half: stored,
                })),
                _ => {}
            }
            came_before.extend(waited.remove(&next_half).into_iter().flatten().cloned());
            next_half += 1;
        }
        decoded.outcomes.retain_mut(|outcome| {
            if let Some((model, request_id)) = of_outcome.get(&next_outcome) {
                outcome.model = (*model).to_owned();
                outcome.request_id = (*request_id).to_owned();
            }
            next_outcome += 1;
            !outcome.model.is_empty()
        });
        decoded.outcomes.append(&mut came_before);
    }
    superseded
}

/// The inferences that the batch's wrapping spans are stored as.
pub(super) fn wrapping(decoded: &[Decoded], met: &[Met]) -> HashSet<InferenceId> {
    let mut places = met.iter().filter_map(|met| match met {
        Met::Wrapping(at) => Some(*at),
        _ => None,
    });
    let mut next = places.next();
    let halves = (0..).zip(decoded.iter().flat_map(|decoded| &decoded.halves));
    let wrapping = halves.filter(|(at, _)| next.is_some_and(|place| place == *at).then(|| next = places.next()).is_some());
    wrapping.map(|(_, half)| InferenceId::new(&half.model, &half.request_id)).collect()
}

/// The half that lies under the span in which `named` was told, of the other kind.
fn superseded_half(named: &InferenceHalf) -> Option<InferenceHalf> {
    let request_id = format!("{}-{}", named.trace_id.as_deref()?, named.span_id.as_deref()?);
    let kind = match named.half {
        Half::Log => Half::Span,
        Half::Span => Half::Log,
    };
    Some(InferenceHalf {
        version: named.version.clone(),
        environment: named.environment.clone(),
        arm: named.arm.clone(),
        ..InferenceHalf::new(kind, &named.model, request_id, named.event_time, named.received_time)
    })
}

/// The spans as the memory and the batch know them.
struct Spans<'a> {
    memory: &'a RecentIds,
    batch: HashMap<u64, Reference>,
    /// In the order in which they came, which is the order of forgetting.
    changed: Vec<u64>,
}

impl Spans<'_> {
    fn get(&self, reference: u64) -> Option<&Reference> {
        self.batch.get(&reference).or_else(|| self.memory.references.span(reference))
    }

    /// Learns of one half; what is stored already and now superseded.
    fn see(&mut self, reference: u64, half: &InferenceHalf) -> Option<(Known, Course)> {
        let named = names_request(half).then_some(half.request_id.as_str());
        let next = match (self.get(reference), named) {
            (None, None) => Reference::Unnamed(half.half, Course::of(half)),
            (None, Some(request_id)) => Reference::Named(half.half, Some(request_id.into())),
            (Some(Reference::Unnamed(by, _)), Some(request_id)) if *by != half.half => Reference::Named(half.half, Some(request_id.into())),
            (Some(Reference::Named(by, Some(known))), Some(request_id)) if *by == half.half && **known != *request_id => {
                Reference::Named(half.half, None)
            }
            _ => return None,
        };
        let stored = match self.memory.references.span(reference) {
            Some(Reference::Unnamed(_, course)) if !self.batch.contains_key(&reference) => {
                self.memory.lookup(reference).zip(Some(course.clone()))
            }
            _ => None,
        };
        if self.batch.insert(reference, next).is_none() {
            self.changed.push(reference);
        }
        stored
    }

    fn learnt(mut self) -> Vec<(u64, Reference)> {
        let batch = &mut self.batch;
        let each = self
            .changed
            .iter()
            .filter_map(|reference| Some((*reference, batch.remove(reference)?)));
        each.collect()
    }
}

/// The requests of a batch by model, each by its id and by its span.
fn requests(decoded: &[Decoded]) -> Vec<(String, Vec<u64>)> {
    let mut of_models: Vec<(String, Vec<u64>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut span = String::new();
    for half in decoded.iter().flat_map(|decoded| &decoded.halves) {
        let place = *places.entry(half.model.as_str()).or_insert_with(|| {
            of_models.push((half.model.clone(), Vec::new()));
            of_models.len() - 1
        });
        let requests = &mut of_models[place].1;
        requests.push(request_hash(&half.request_id));
        if names_request(half)
            && let (Some(trace_id), Some(span_id)) = (&half.trace_id, &half.span_id)
        {
            span.clear();
            span.extend([trace_id, "-", span_id]);
            requests.push(request_hash(&span));
        }
    }
    of_models
}

fn models_of(requests: &[(String, Vec<u64>)]) -> HashMap<u64, Option<&str>> {
    let mut models: HashMap<u64, Option<&str>> = HashMap::new();
    for (model, requests) in requests {
        for request in requests {
            let known = models.entry(*request).or_insert(Some(model));
            if *known != Some(model.as_str()) {
                *known = None;
            }
        }
    }
    models
}
