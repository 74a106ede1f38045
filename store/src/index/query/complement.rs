//! Errors that a query does not match.
//!
//! Not tantivy's own exclusion: it seeks phrases to places that they have passed already, which tantivy's
//! assertions forbid. Here the inner query is walked once, in order.

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{BitSet, DocId, Score, SegmentReader, TantivyError, Term};

/// The query that matches what `inner` does not.
#[derive(Debug)]
pub(super) struct Complement {
    pub inner: Box<dyn Query>,
}

impl Clone for Complement {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.box_clone(),
        }
    }
}

impl Query for Complement {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let inner = self.inner.weight(scoring)?;
        Ok(Box::new(ComplementWeight { inner }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.inner.query_terms(visitor);
    }
}

struct ComplementWeight {
    inner: Box<dyn Weight>,
}

impl Weight for ComplementWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut rest = BitSet::with_max_value_and_full(reader.max_doc());
        self.inner.for_each_no_score(reader, &mut |documents| {
            for document in documents {
                rest.remove(*document);
            }
        })?;
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(rest), boost)))
    }

    fn explain(&self, _reader: &SegmentReader, _document: DocId) -> tantivy::Result<Explanation> {
        Err(no_score())
    }
}

/// What a query that gives no score answers when it is asked to explain it.
pub(super) fn no_score() -> TantivyError {
    TantivyError::InternalError("hits are ordered by time: there is no score to explain".into())
}
