//! Errors with words in order, of which the last one may go on.
//!
//! tantivy's own query leaves words out when too many begin so, or reserves memory for as many as it is told of; this one
//! says that there are too many.

use tantivy::query::{EnableScoring, Explanation, PhrasePrefixQuery, Query, Scorer, Weight};
use tantivy::{DocId, Score, SegmentReader, TantivyError, Term};

use super::complement::no_score;

/// Most words of one part of the index that begin so. tantivy reserves some kilobytes for each.
const MAX_WORDS: u32 = 5_000;

/// The query.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    /// The words, two at least.
    pub terms: Vec<Term>,
}

impl Query for Begun {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let mut query = PhrasePrefixQuery::new(self.terms.clone());
        query.set_max_expansions(MAX_WORDS);
        Ok(Box::new(BegunWeight {
            inner: query.weight(scoring)?,
            last: self.terms.last().cloned(),
        }))
    }
}

struct BegunWeight {
    inner: Box<dyn Weight>,
    last: Option<Term>,
}

impl Weight for BegunWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        if let Some(last) = &self.last {
            let begin = last.serialized_value_bytes();
            let inverted = reader.inverted_index(last.field())?;
            let mut words = inverted.terms().range().ge(begin).into_stream()?;
            let mut count = 0;
            while count <= MAX_WORDS && words.advance() && words.key().starts_with(begin) {
                count += 1;
            }
            if count > MAX_WORDS {
                let begin = String::from_utf8_lossy(begin);
                return Err(TantivyError::InvalidArgument(format!(
                    "more than {MAX_WORDS} words begin with {begin:?}: write more of the last word"
                )));
            }
        }
        self.inner.scorer(reader, boost)
    }

    fn explain(&self, _reader: &SegmentReader, _document: DocId) -> tantivy::Result<Explanation> {
        Err(no_score())
    }
}
