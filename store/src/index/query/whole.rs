//! Errors of which a whole text is wanted, found by the dictionary of the texts' column.
//!
//! The inverted index knows the words of attributes, not their whole texts; ids are in no inverted index, where each would be a
//! word of its own for a single error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::columnar::StrColumn;
use tantivy::query::{BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{BitSet, DocId, Score, SegmentReader, TantivyError};
use tantivy_fst::Regex;

use super::complement::no_score;
use super::fitting::WORDS_PER_LOOK;
use crate::index::collect::GIVEN_UP;

/// Which texts.
#[derive(Debug, Clone)]
pub(super) enum Texts {
    /// This one.
    Exactly(String),
    /// Those that begin so.
    Beginning(String),
    /// Those of this shape.
    Fitting(Arc<Regex>),
}

/// The query.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// Name of the column.
    pub column: String,
    /// The texts.
    pub texts: Texts,
    /// Set when nobody waits any more.
    pub given_up: Arc<AtomicBool>,
}

impl Query for Whole {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Whole {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let Some(column) = reader.fast_fields().str(&self.column)? else {
            return Ok(Box::new(EmptyScorer));
        };
        let ordinals = self.ordinals(&column)?;
        let (Some(first), Some(last)) = (ordinals.first(), ordinals.last()) else {
            return Ok(Box::new(EmptyScorer));
        };
        let mut documents = Vec::new();
        let all = 0..reader.max_doc();
        column.ords().get_docids_for_value_range(*first..=*last, all, &mut documents);
        if last - first + 1 > ordinals.len() as u64 {
            let fits = |document: &DocId| column.term_ords(*document).any(|ordinal| ordinals.binary_search(&ordinal).is_ok());
            documents.retain(fits);
        }
        let mut found = BitSet::with_max_value(reader.max_doc());
        for document in documents {
            found.insert(document);
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found), boost)))
    }

    fn explain(&self, _reader: &SegmentReader, _document: DocId) -> tantivy::Result<Explanation> {
        Err(no_score())
    }
}

impl Whole {
    /// Numbers of the texts, ascending.
    fn ordinals(&self, column: &StrColumn) -> tantivy::Result<Vec<u64>> {
        let dictionary = column.dictionary();
        let mut ordinals = Vec::new();
        let mut take = |ordinal| {
            if (ordinals.len() as u32).is_multiple_of(WORDS_PER_LOOK) && self.given_up.load(Ordering::Relaxed) {
                return Err(TantivyError::InternalError(GIVEN_UP.into()));
            }
            ordinals.push(ordinal);
            Ok(())
        };
        match &self.texts {
            Texts::Exactly(text) => {
                if let Some(ordinal) = dictionary.term_ord(text)? {
                    take(ordinal)?;
                }
            }
            Texts::Beginning(text) => {
                let mut texts = dictionary.prefix_range(text).into_stream()?;
                while texts.advance() {
                    take(texts.term_ord())?;
                }
            }
            Texts::Fitting(automaton) => {
                let mut texts = dictionary.search(&**automaton).into_stream()?;
                while texts.advance() {
                    take(texts.term_ord())?;
                }
            }
        }
        Ok(ordinals)
    }
}
