//! Errors of which a word or a name has a shape.
//!
//! Not tantivy's own query of regular expressions: it cannot be stopped, and a gap in front looks at every word that there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::postings::BlockSegmentPostings;
use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocId, Score, SegmentReader, TantivyError};
use tantivy_fst::{Automaton, Regex};

use super::complement::no_score;
use crate::index::collect::GIVEN_UP;

/// Words between two looks at whether somebody still waits.
pub(super) const WORDS_PER_LOOK: u32 = 1_024;

/// The query.
#[derive(Debug, Clone)]
pub(super) struct Fitting {
    /// Where the words stand.
    pub field: Field,
    /// What comes before a word in the field's dictionary: nothing, or an attribute's path.
    pub before: Vec<u8>,
    /// The words' shape.
    pub automaton: Arc<Regex>,
    /// Set when nobody waits any more.
    pub given_up: Arc<AtomicBool>,
}

/// A shape after fixed bytes.
struct After<'a> {
    before: &'a [u8],
    automaton: &'a Regex,
}

/// Bytes of `before` that are seen, then where the shape is; `None`: it cannot fit any more.
#[derive(Clone)]
enum At {
    Before(usize),
    In(Option<usize>),
}

impl Automaton for After<'_> {
    type State = At;

    fn start(&self) -> At {
        self.at(0)
    }

    fn is_match(&self, state: &At) -> bool {
        matches!(state, At::In(state) if self.automaton.is_match(state))
    }

    fn can_match(&self, state: &At) -> bool {
        match state {
            At::Before(_) => true,
            At::In(state) => self.automaton.can_match(state),
        }
    }

    fn accept(&self, state: &At, byte: u8) -> At {
        match state {
            At::Before(seen) if self.before[*seen] == byte => self.at(seen + 1),
            At::Before(_) => At::In(None),
            At::In(state) => At::In(self.automaton.accept(state, byte)),
        }
    }
}

impl After<'_> {
    fn at(&self, seen: usize) -> At {
        if seen < self.before.len() {
            At::Before(seen)
        } else {
            At::In(self.automaton.start())
        }
    }
}

impl Query for Fitting {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Fitting {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut found = BitSet::with_max_value(reader.max_doc());
        let inverted = reader.inverted_index(self.field)?;
        let automaton = After {
            before: &self.before,
            automaton: &self.automaton,
        };
        let mut words = inverted.terms().search(&automaton).into_stream()?;
        let mut looked = 0;
        while words.advance() {
            if looked % WORDS_PER_LOOK == 0 && self.given_up.load(Ordering::Relaxed) {
                return Err(TantivyError::InternalError(GIVEN_UP.into()));
            }
            looked += 1;
            let mut postings = inverted.read_block_postings_from_terminfo(words.value(), IndexRecordOption::Basic)?;
            insert_all(&mut found, &mut postings);
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found), boost)))
    }

    fn explain(&self, _reader: &SegmentReader, _document: DocId) -> tantivy::Result<Explanation> {
        Err(no_score())
    }
}

fn insert_all(found: &mut BitSet, postings: &mut BlockSegmentPostings) {
    while !postings.docs().is_empty() {
        for document in postings.docs() {
            found.insert(*document);
        }
        postings.advance();
    }
}
