//! Gives errors their patterns, and says what has to be kept of them.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::Xxh3;

use super::{KnownPatterns, LearntPattern, Miner, MinerLimits, PatternId, PatternNews, PatternSighting, Taken};
use crate::clock::UnixNanos;
use crate::records::ErrorDocument;
use crate::state::StateError;

/// Sightings that are known at once.
const MAX_SIGHTINGS: usize = 200_000;
/// When there are as many, those whose last error is older than this make room, and nothing else does: a sender that puts a
/// request's id where the version belongs must not push out what serves.
const FORGOTTEN_SECONDS: i64 = 30 * 86_400;
/// The last error of a sighting is kept this exactly: it decides only what is forgotten.
const LAST_TIME_SECONDS: i64 = 3_600;

/// Keeps what is new, durably.
pub trait Keep: Send {
    /// Keeps all of it or nothing.
    ///
    /// # Errors
    /// It is not kept.
    fn keep(&mut self, news: &PatternNews) -> Result<(), StateError>;
}

/// First and last event time of a sighting, as far as they are kept or about to be.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: UnixNanos,
    last: UnixNanos,
}

/// Gives errors their patterns, one error after the other.
pub struct Learner {
    miner: Miner,
    sightings: Sightings,
    /// Patterns to keep, in the order in which they were met, and the same as a set.
    changed: Vec<PatternId>,
    is_changed: HashSet<PatternId>,
    store: Box<dyn Keep>,
}

/// Where patterns were met. Names are held as a hash of them: of 64 bits, so that no two of them meet.
struct Sightings {
    known: HashMap<u64, Span>,
    max: usize,
    /// To keep.
    changed: HashMap<u64, PatternSighting>,
    forget_before: Option<UnixNanos>,
    /// Latest event time.
    newest: UnixNanos,
    refused: u64,
}

impl Learner {
    /// A learner that knows these, and keeps what it learns in `store`.
    pub fn new(known: KnownPatterns, limits: MinerLimits, store: Box<dyn Keep>) -> Self {
        let templates = known.patterns.into_iter().map(|pattern| (pattern.id, pattern.template));
        Self {
            miner: Miner::restored(limits, templates),
            sightings: Sightings::new(&known.sightings, MAX_SIGHTINGS),
            changed: Vec::new(),
            is_changed: HashSet::new(),
            store,
        }
    }

    /// Gives an error its pattern: that of its message, or of its type where it has no message.
    pub fn take(&mut self, error: &mut ErrorDocument) {
        let text = if error.message.trim().is_empty() {
            &error.error_type
        } else {
            &error.message
        };
        let taken = self.miner.take(text);
        let id = taken.id();
        if !matches!(taken, Taken::Known(_)) && self.is_changed.insert(id) {
            self.changed.push(id);
        }
        error.pattern = Some(id);
        self.sightings.see(id, error);
    }

    /// Sightings that found no room, since the last call.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.sightings.refused)
    }

    /// Keeps what is new, before what it was learnt from is committed.
    ///
    /// # Errors
    /// It is not kept, and this learner is of no use any more.
    pub fn keep(&mut self) -> Result<(), StateError> {
        let changed = std::mem::take(&mut self.changed);
        self.is_changed.clear();
        // What was forgotten meanwhile has no template any more; its next message gives it its id again.
        let learnt = |id| self.miner.template(id).map(|template| LearntPattern { id, template });
        let news = PatternNews {
            patterns: changed.into_iter().filter_map(learnt).collect(),
            sightings: self.sightings.changed.drain().map(|(_, sighting)| sighting).collect(),
            forget_before: self.sightings.forget_before.take(),
        };
        if news.is_empty() { Ok(()) } else { self.store.keep(&news) }
    }
}

impl Sightings {
    fn new(known: &[PatternSighting], max: usize) -> Self {
        let span = |sighting: &PatternSighting| Span {
            first: sighting.first_event_time,
            last: sighting.last_event_time,
        };
        let key = |of: &PatternSighting| key(of.pattern, [&of.service, &of.model, &of.version, &of.environment]);
        Self {
            known: known.iter().map(|sighting| (key(sighting), span(sighting))).collect(),
            max,
            changed: HashMap::new(),
            forget_before: None,
            newest: UnixNanos::default(),
            refused: 0,
        }
    }

    fn see(&mut self, pattern: PatternId, error: &ErrorDocument) {
        self.newest = self.newest.max(error.time);
        let key = key(pattern, [&error.service, &error.model, &error.version, &error.environment]);
        match self.known.get_mut(&key) {
            Some(span) if error.time >= span.first && error.time < span.last.plus_seconds(LAST_TIME_SECONDS) => return,
            Some(span) => {
                span.first = span.first.min(error.time);
                span.last = span.last.max(error.time);
            }
            None => {
                if !self.has_room() {
                    self.refused += 1;
                    return;
                }
                let (first, last) = (error.time, error.time);
                self.known.insert(key, Span { first, last });
            }
        }
        let sighting = self.changed.entry(key).or_insert_with(|| PatternSighting::of(pattern, error));
        sighting.first_event_time = sighting.first_event_time.min(error.time);
        sighting.last_event_time = sighting.last_event_time.max(error.time);
    }

    /// Whether one more may come, after what is old enough has made room.
    fn has_room(&mut self) -> bool {
        if self.known.len() < self.max {
            return true;
        }
        let before = self.newest.plus_seconds(-FORGOTTEN_SECONDS);
        // Looking through all of them for each that has no room would take long; an hour brings enough.
        if self
            .forget_before
            .is_some_and(|earlier| before < earlier.plus_seconds(LAST_TIME_SECONDS))
        {
            return false;
        }
        self.forget_before = Some(before);
        self.known.retain(|_, span| span.last >= before);
        self.known.len() < self.max
    }
}

fn key(pattern: PatternId, names: [&str; 4]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&pattern.0.to_le_bytes());
    for name in names {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was kept, as the state would hold it.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<PatternNews>>>);

    impl Keep for Kept {
        fn keep(&mut self, news: &PatternNews) -> Result<(), StateError> {
            self.0.lock().unwrap().push(news.clone());
            Ok(())
        }
    }

    impl Kept {
        fn take(&self) -> Vec<PatternNews> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn at(hour: i64) -> UnixNanos {
        UnixNanos::from_seconds(1_000_000_000 + hour * 3_600)
    }

    fn error(hour: i64, version: &str, message: &str) -> ErrorDocument {
        ErrorDocument {
            time: at(hour),
            version: version.into(),
            message: message.into(),
            error_type: "TypeOf".into(),
            ..ErrorDocument::default()
        }
    }

    fn learner(kept: &Kept) -> Learner {
        Learner::new(KnownPatterns::default(), MinerLimits::default(), Box::new(kept.clone()))
    }

    fn spans(news: &PatternNews) -> Vec<(&str, UnixNanos, UnixNanos)> {
        let mut spans: Vec<_> = news
            .sightings
            .iter()
            .map(|seen| (seen.version.as_str(), seen.first_event_time, seen.last_event_time))
            .collect();
        spans.sort();
        spans
    }

    #[test]
    fn only_news_are_kept() {
        let kept = Kept::default();
        let mut learner = learner(&kept);
        learner.keep().unwrap();
        assert_eq!(kept.take(), [], "nothing came");
        let mut first = error(10, "1.0", "user alice is unknown");
        learner.take(&mut first);
        learner.take(&mut error(10, "1.0", "user bob is unknown"));
        learner.take(&mut error(11, "1.1", "user bob is unknown"));
        learner.keep().unwrap();
        let news = kept.take();
        assert_eq!(news.len(), 1);
        assert_eq!(spans(&news[0]), [("1.0", at(10), at(10)), ("1.1", at(11), at(11))]);
        let templates: Vec<_> = news[0].patterns.iter().map(|pattern| pattern.template.to_string()).collect();
        assert_eq!(templates, ["user <*> is unknown"], "once, as it is in the end");
        assert_eq!(first.pattern, Some(news[0].patterns[0].id));
        learner.take(&mut error(10, "1.0", "user carol is unknown"));
        learner.keep().unwrap();
        assert_eq!(kept.take(), [], "nothing that is not known");
        learner.take(&mut error(9, "1.0", "user carol is unknown"));
        learner.take(&mut error(13, "1.1", "user carol is unknown"));
        learner.keep().unwrap();
        let news = kept.take();
        assert_eq!(news[0].patterns, []);
        assert_eq!(spans(&news[0]), [("1.0", at(9), at(9)), ("1.1", at(13), at(13))]);
    }

    #[test]
    fn a_learner_that_starts_again_goes_on() {
        let kept = Kept::default();
        let mut before = learner(&kept);
        let mut one = error(10, "1.0", "user alice is unknown");
        before.take(&mut one);
        before.take(&mut error(10, "1.0", "user bob is unknown"));
        before.keep().unwrap();
        let news = kept.take().remove(0);
        let known = KnownPatterns {
            patterns: news.patterns,
            sightings: news.sightings,
        };
        let mut after = Learner::new(known, MinerLimits::default(), Box::new(kept.clone()));
        let mut other = error(10, "1.0", "user carol is unknown");
        after.take(&mut other);
        after.keep().unwrap();
        assert_eq!(other.pattern, one.pattern);
        assert_eq!(kept.take(), []);
    }

    #[test]
    fn an_error_without_a_message_has_the_pattern_of_its_type() {
        let mut learner = learner(&Kept::default());
        let (mut without, mut other, mut named) = (error(1, "", " "), error(1, "", ""), error(1, "", "TypeOf"));
        other.error_type = "Other".into();
        for error in [&mut without, &mut other, &mut named] {
            learner.take(error);
        }
        assert_eq!(without.pattern, named.pattern);
        assert_ne!(without.pattern, other.pattern);
    }

    #[test]
    fn a_flood_of_versions_pushes_out_nothing_but_what_is_old() {
        let kept = Kept::default();
        let mut learner = learner(&kept);
        learner.sightings.max = 3;
        let day = 24;
        for (hour, version) in [(0, "old"), (31 * day, "a"), (31 * day, "b")] {
            learner.take(&mut error(hour, version, "m"));
        }
        learner.keep().unwrap();
        kept.take();
        for version in ["c", "d", "e"] {
            learner.take(&mut error(31 * day, version, "m"));
        }
        assert_eq!(learner.take_refused(), 2);
        learner.keep().unwrap();
        let news = kept.take().remove(0);
        assert_eq!(news.forget_before, Some(at(day)));
        assert_eq!(spans(&news), [("c", at(31 * day), at(31 * day))]);
    }
}
