//! The memory of what recent inferences go by beside their request id: the span in which they were told. A half, or
//! an outcome, that comes without a request id but from the same span finds the request there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::recent::{FORGOTTEN_AFTER_SECONDS, InferenceId};
use crate::clock::UnixNanos;
use crate::records::{Half, InferenceHalf, Outcome};

/// Most spans and most requests remembered (about 40 MB together): the two halves are sent within seconds, and this
/// is a minute and a half at 2,200 inferences a second.
const MAX_REMEMBERED: usize = 200_000;

/// Most outcomes that wait for somebody to say which model inferred their request.
const MAX_WAITING: usize = 10_000;

/// What a half without a name says of how it went, for the request that another half names later.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Course {
    pub latency_ms: Option<f64>,
    /// At most [`MAX_ERROR_TYPE_BYTES`] of it.
    pub error_type: Option<Box<str>>,
}

/// A kind of error is a word or two; this is memory for each remembered span.
const MAX_ERROR_TYPE_BYTES: usize = 128;

impl Course {
    pub fn of(half: &InferenceHalf) -> Self {
        let error_type = half.error_type.as_deref();
        Self {
            latency_ms: half.latency_ms,
            error_type: error_type.map(|error_type| error_type[..error_type.floor_char_boundary(MAX_ERROR_TYPE_BYTES)].into()),
        }
    }
}

/// What is known of a span in which a model's inference was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reference {
    /// Halves of this kind named the one request of it, or several (`None`).
    Named(Half, Option<Box<str>>),
    /// A half of this kind named none: it is stored under trace id and span id.
    Unnamed(Half, Course),
}

/// What names the span of a half, within its model; `None` where it was told outside of one.
pub(super) fn reference_of(half: &InferenceHalf) -> Option<u64> {
    let (trace_id, span_id) = (half.trace_id.as_deref()?, half.span_id.as_deref()?);
    Some(InferenceId::of_span(&half.model, trace_id, span_id).short())
}

/// Whether a half names its request, and not only the span in which it was told.
pub(super) fn names_request(half: &InferenceHalf) -> bool {
    let reference = half.trace_id.as_deref().zip(half.span_id.as_deref());
    reference.is_none_or(|(trace_id, span_id)| {
        let rest = half.request_id.strip_prefix(trace_id).and_then(|rest| rest.strip_prefix('-'));
        rest != Some(span_id)
    })
}

/// What names a request where its model is not known.
pub(super) fn request_hash(request_id: &str) -> u64 {
    xxh3_64(request_id.as_bytes())
}

/// What one batch adds to the memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct LearntReferences {
    /// Spans that are new, or known better.
    pub spans: Vec<(u64, Reference)>,
    /// Requests by model, each also by its span: for outcomes that name no model.
    pub requests: Vec<(String, Vec<u64>)>,
    /// Outcomes that name no model, before their inference.
    pub waiting: Vec<Outcome>,
}

/// The memory: the last [`MAX_REMEMBERED`] of each kind.
#[derive(Debug, Default)]
pub(super) struct References {
    spans: Recent<Reference>,
    /// `None`: several models say that they inferred it.
    requests: Recent<Option<Arc<str>>>,
    waiting: Waiting,
}

impl References {
    /// What is known of a span.
    pub fn span(&self, reference: u64) -> Option<&Reference> {
        self.spans.values.get(&reference)
    }

    /// The one model that inferred a request.
    pub fn model_of(&self, request: u64) -> Option<&str> {
        self.requests.values.get(&request)?.as_deref()
    }

    /// Whether outcomes wait for their inference.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.of_requests.is_empty()
    }

    /// Outcomes that wait for this request.
    pub fn waiting_for(&self, request: u64) -> impl Iterator<Item = &Outcome> {
        let waiting = self.waiting.of_requests.get(&request);
        waiting.into_iter().flatten().map(|(_, outcome)| outcome)
    }

    /// Gives up the outcomes that have waited for too long at `now`.
    pub fn forget(&mut self, now: UnixNanos) {
        self.waiting.forget(now);
    }

    /// How many outcomes were given up since this was asked last.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.waiting.given_up)
    }

    /// Adds what a batch that was planned at `now` has learnt.
    pub fn learn(&mut self, learnt: &LearntReferences, now: UnixNanos) {
        for (reference, what) in &learnt.spans {
            self.spans.set(*reference, what.clone());
        }
        let mut told: HashMap<u64, (Arc<str>, bool)> = HashMap::new();
        for (model, requests) in &learnt.requests {
            let model: Arc<str> = model.as_str().into();
            for request in requests {
                if self.waiting.of_requests.contains_key(request) {
                    let (first, is_one) = told.entry(*request).or_insert_with(|| (model.clone(), true));
                    *is_one &= *first == model;
                }
                let known = self.requests.values.get(request);
                let one = known.is_none_or(|known| known.as_ref() == Some(&model));
                self.requests.set(*request, one.then(|| model.clone()));
            }
        }
        for (request, (_, is_one)) in told {
            self.waiting.end(request, is_one);
        }
        for outcome in &learnt.waiting {
            self.waiting.add(outcome.clone(), now);
        }
    }
}

/// Outcomes by their request, each with the instant at which it began to wait.
#[derive(Debug, Default)]
struct Waiting {
    of_requests: HashMap<u64, Vec<(UnixNanos, Outcome)>>,
    /// The first that began to wait in front; also those that wait no longer.
    order: VecDeque<(UnixNanos, u64)>,
    outcomes: usize,
    given_up: u64,
}

impl Waiting {
    fn add(&mut self, outcome: Outcome, now: UnixNanos) {
        let request = request_hash(&outcome.request_id);
        self.of_requests.entry(request).or_default().push((now, outcome));
        self.order.push_back((now, request));
        self.outcomes += 1;
        while self.outcomes > MAX_WAITING {
            self.give_up_first();
        }
        if self.order.len() > 2 * MAX_WAITING {
            let of_requests = &self.of_requests;
            self.order.retain(|(began, request)| {
                let waiting = of_requests.get(request);
                waiting.is_some_and(|waiting| waiting.iter().any(|(since, _)| since == began))
            });
        }
    }

    /// The request of some has come; where several models tell of it, nobody knows whose they are.
    fn end(&mut self, request: u64, is_found: bool) {
        let ended = self.of_requests.remove(&request).map_or(0, |waiting| waiting.len());
        self.outcomes -= ended;
        self.given_up += if is_found { 0 } else { ended as u64 };
    }

    fn forget(&mut self, now: UnixNanos) {
        while let Some((began, _)) = self.order.front()
            && now.seconds_since(*began) >= FORGOTTEN_AFTER_SECONDS as f64
        {
            self.give_up_first();
        }
    }

    fn give_up_first(&mut self) {
        let Some((began, request)) = self.order.pop_front() else { return };
        let Some(waiting) = self.of_requests.get_mut(&request) else {
            return;
        };
        let before = waiting.len();
        waiting.retain(|(since, _)| *since > began);
        let given_up = before - waiting.len();
        if waiting.is_empty() {
            self.of_requests.remove(&request);
        }
        self.outcomes -= given_up;
        self.given_up += given_up as u64;
    }
}

#[derive(Debug)]
struct Recent<V> {
    values: HashMap<u64, V>,
    order: VecDeque<u64>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<V> Recent<V> {
    fn set(&mut self, key: u64, value: V) {
        if self.values.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::OutcomeKind;

    fn learn(memory: &mut References, waiting: &[String], requests: Vec<u64>, seconds: i64) {
        let outcome = |request_id: &String| Outcome {
            model: String::new(),
            request_id: request_id.clone(),
            kind: OutcomeKind::Verdict(true),
            id: String::new(),
            at: UnixNanos(0),
            received_time: UnixNanos(0),
        };
        let learnt = LearntReferences {
            waiting: waiting.iter().map(outcome).collect(),
            requests: vec![("m".into(), requests)],
            ..LearntReferences::default()
        };
        memory.learn(&learnt, UnixNanos::from_seconds(seconds));
    }

    #[test]
    fn a_span_reference_is_no_name() {
        let half = |request_id: &str, trace_id: Option<&str>| InferenceHalf {
            trace_id: trace_id.map(str::to_owned),
            span_id: Some("cd".into()),
            ..InferenceHalf::new(Half::Log, "m", request_id, UnixNanos(0), UnixNanos(0))
        };
        assert!(!names_request(&half("ab-cd", Some("ab"))));
        assert!(names_request(&half("ab-cd", None)));
        for named in ["ab-ce", "abcd", "x", "ab-cd-", "ab-"] {
            assert!(names_request(&half(named, Some("ab"))), "{named}");
        }
        assert_eq!(
            reference_of(&half("x", Some("ab"))),
            Some(InferenceId::new("m", "ab-cd").short()),
            "what is stored under the reference is found by it"
        );
        assert_eq!(reference_of(&half("x", None)), None);
    }

    #[test]
    fn the_last_are_remembered_and_no_more() {
        let mut memory = References::default();
        let spans: Vec<(u64, Reference)> = (0..MAX_REMEMBERED as u64 + 5)
            .map(|key| (key, Reference::Unnamed(Half::Span, Course::default())))
            .collect();
        let requests = vec![("m".to_owned(), spans.iter().map(|(key, _)| *key).collect())];
        let learnt = LearntReferences {
            spans,
            requests,
            waiting: Vec::new(),
        };
        memory.learn(&learnt, UnixNanos(0));
        assert_eq!(
            (memory.spans.values.len(), memory.spans.order.len()),
            (MAX_REMEMBERED, MAX_REMEMBERED)
        );
        assert!(memory.span(4).is_none() && memory.span(5).is_some());
        assert_eq!((memory.model_of(4), memory.model_of(5)), (None, Some("m")));
    }

    #[test]
    fn a_request_of_several_models_is_nobodys() {
        let mut memory = References::default();
        for model in ["a", "a", "b", "a"] {
            let one = LearntReferences {
                requests: vec![(model.into(), vec![7, u64::from(model == "b")])],
                ..LearntReferences::default()
            };
            memory.learn(&one, UnixNanos(0));
        }
        assert_eq!(memory.model_of(7), None);
        assert_eq!((memory.model_of(0), memory.model_of(1)), (Some("a"), Some("b")));
    }

    #[test]
    fn outcomes_wait_for_their_inference_within_bounds() {
        let mut memory = References::default();
        learn(&mut memory, &["a".into(), "a".into(), "b".into()], Vec::new(), 0);
        assert_eq!(memory.waiting_for(request_hash("a")).count(), 2);
        learn(&mut memory, &[], vec![request_hash("a")], 1);
        assert!(memory.waiting_for(request_hash("a")).next().is_none() && memory.has_waiting());
        memory.forget(UnixNanos::from_seconds(FORGOTTEN_AFTER_SECONDS - 1));
        assert_eq!(memory.take_given_up(), 0);
        memory.forget(UnixNanos::from_seconds(FORGOTTEN_AFTER_SECONDS));
        assert_eq!(
            (memory.take_given_up(), memory.take_given_up(), memory.has_waiting()),
            (1, 0, false)
        );
        let many: Vec<String> = (0..MAX_WAITING + 3).map(|id| id.to_string()).collect();
        learn(&mut memory, &many, Vec::new(), 2);
        assert_eq!((memory.take_given_up(), memory.waiting.of_requests.len()), (3, MAX_WAITING));
    }

    #[test]
    fn outcomes_of_a_request_of_two_models_are_counted_as_nobodys() {
        let mut memory = References::default();
        learn(&mut memory, &["a".into(), "a".into(), "b".into()], Vec::new(), 0);
        let learnt = LearntReferences {
            requests: vec![
                ("m".into(), vec![request_hash("a"), request_hash("b")]),
                ("n".into(), vec![request_hash("a")]),
            ],
            ..LearntReferences::default()
        };
        memory.learn(&learnt, UnixNanos::from_seconds(1));
        assert_eq!((memory.take_given_up(), memory.has_waiting()), (2, false));
    }

    #[test]
    fn who_waits_a_second_time_has_the_whole_time_again() {
        let mut memory = References::default();
        learn(&mut memory, &["a".into()], Vec::new(), 0);
        learn(&mut memory, &[], vec![request_hash("a")], 1);
        learn(&mut memory, &["a".into()], Vec::new(), 2);
        memory.forget(UnixNanos::from_seconds(FORGOTTEN_AFTER_SECONDS + 1));
        assert_eq!((memory.take_given_up(), memory.has_waiting()), (0, true));
        memory.forget(UnixNanos::from_seconds(FORGOTTEN_AFTER_SECONDS + 2));
        assert_eq!((memory.take_given_up(), memory.has_waiting()), (1, false));
    }

    #[test]
    fn who_waits_no_longer_takes_nobodys_place() {
        let mut memory = References::default();
        learn(&mut memory, &["first".into()], Vec::new(), 0);
        for batch in 0..5 {
            let ids: Vec<String> = (0..MAX_WAITING - 1).map(|id| format!("{batch} {id}")).collect();
            learn(&mut memory, &ids, Vec::new(), 1);
            learn(&mut memory, &[], ids.iter().map(|id| request_hash(id)).collect(), 1);
        }
        assert_eq!((memory.take_given_up(), memory.waiting_for(request_hash("first")).count()), (0, 1));
        assert!(memory.waiting.order.len() <= 2 * MAX_WAITING);
    }
}
