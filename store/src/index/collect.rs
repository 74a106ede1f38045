//! Collects what one search needs in one pass over a day: how many, the newest, the facets and the histogram.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Cardinality, StrColumn};
use tantivy::query::Weight;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

use super::place::{FirstHits, HitKey, Order, Places};
use super::query::Keyword;
use crate::clock::UnixNanos;

/// The fields that are counted by value.
pub(super) const FACETS: [Keyword; 7] = [
    Keyword::Model,
    Keyword::Version,
    Keyword::Service,
    Keyword::Environment,
    Keyword::Severity,
    Keyword::ErrorType,
    Keyword::PatternId,
];

/// Most different values of one facet that a search keeps apart; the rest is counted as "other".
const MAX_FACET_VALUES: usize = 10_000;

/// Says that a search was given up; never reaches a client.
pub(super) const GIVEN_UP: &str = "the search was given up";

/// Steps of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Start of the first step, in Unix seconds.
    pub from_seconds: i64,
    /// Length of a step in seconds.
    pub step_seconds: i64,
    /// How many.
    pub count: usize,
}

impl Steps {
    /// The step of an event time in nanoseconds; `None` before the first one.
    pub fn of(self, time: i64) -> Option<usize> {
        let step = (time.div_euclid(1_000_000_000) - self.from_seconds).div_euclid(self.step_seconds);
        usize::try_from(step).ok()
    }
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub(super) struct Collected {
    /// Matching errors.
    pub total: u64,
    /// The newest ones below the cursor, newest first, at most as many as were asked for.
    pub newest: Vec<(HitKey, DocAddress)>,
    /// Errors by value, in the order of [`FACETS`].
    pub facets: [FacetCounts; FACETS.len()],
    /// Errors by step.
    pub histogram: Vec<u64>,
}

/// Errors by value of one field.
#[derive(Debug, Clone, Default)]
pub(super) struct FacetCounts {
    /// Counts by value.
    pub values: HashMap<String, u64>,
    /// Errors whose values found no room.
    pub other: u64,
}

impl FacetCounts {
    /// Adds counts of a value.
    pub fn add(&mut self, value: &str, count: u64) {
        if let Some(known) = self.values.get_mut(value) {
            *known += count;
        } else if self.values.len() < MAX_FACET_VALUES {
            self.values.insert(value.to_owned(), count);
        } else {
            self.other += count;
        }
    }

    /// Adds the counts of another part.
    pub fn merge(&mut self, part: Self) {
        for (value, count) in part.values {
            self.add(&value, count);
        }
        self.other += part.other;
    }
}

/// The collector.
pub(super) struct Hits {
    /// Most hits to keep.
    pub limit: usize,
    /// Only hits below this place are kept (all are counted).
    pub below: Option<HitKey>,
    /// The histogram's steps.
    pub steps: Steps,
    /// Set when nobody waits any more.
    pub given_up: Arc<AtomicBool>,
}

impl Collector for Hits {
    type Fruit = Collected;
    type Child = SegmentHits;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentHits> {
        let columns = reader.fast_fields();
        let mut facets = Vec::with_capacity(FACETS.len());
        for facet in FACETS {
            facets.push(columns.str(facet.name())?.map(SegmentFacet::new));
        }
        Ok(SegmentHits {
            segment,
            first: FirstHits::new(Order::NewestFirst, self.limit, self.below),
            steps: self.steps,
            given_up: self.given_up.clone(),
            places: Places::of(reader)?,
            facets,
            total: 0,
            step: LastStep::default(),
            histogram: vec![0; self.steps.count],
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn collect_segment(&self, weight: &dyn Weight, segment: u32, reader: &SegmentReader) -> tantivy::Result<tantivy::Result<Collected>> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TantivyError::InternalError(GIVEN_UP.into()));
        }
        let mut hits = self.for_segment(segment, reader)?;
        // No document is ever deleted from a day, so there are no dead ones to leave out.
        weight.for_each_no_score(reader, &mut |documents| hits.collect_block(documents))?;
        Ok(hits.harvest())
    }

    fn merge_fruits(&self, parts: Vec<tantivy::Result<Collected>>) -> tantivy::Result<Collected> {
        let mut whole = Collected {
            histogram: vec![0; self.steps.count],
            ..Collected::default()
        };
        for part in parts {
            whole.merge(part?, self.limit);
        }
        Ok(whole)
    }
}

impl Collected {
    /// Adds what another part found; keeps the newest `limit`.
    pub fn merge(&mut self, part: Self, limit: usize) {
        self.total += part.total;
        for (whole, part) in self.facets.iter_mut().zip(part.facets) {
            whole.merge(part);
        }
        for (whole, part) in self.histogram.iter_mut().zip(part.histogram) {
            *whole += part;
        }
        self.newest.extend(part.newest);
        self.newest.sort_unstable_by_key(|(key, _)| Reverse(*key));
        self.newest.truncate(limit);
    }
}

/// What is collected in one segment.
pub(super) struct SegmentHits {
    segment: SegmentOrdinal,
    first: FirstHits,
    steps: Steps,
    given_up: Arc<AtomicBool>,
    places: Places,
    facets: Vec<Option<SegmentFacet>>,
    total: u64,
    step: LastStep,
    histogram: Vec<u64>,
}

/// The step that was found last. Errors come in the order in which they were stored, so the next one is mostly in the same.
#[derive(Default)]
struct LastStep {
    from: i64,
    end: i64,
    number: usize,
}

impl LastStep {
    /// The step of an event time in nanoseconds; `usize::MAX` before the first one.
    fn of(&mut self, time: i64, steps: Steps) -> usize {
        if time < self.from || time >= self.end {
            let Some(number) = steps.of(time) else { return usize::MAX };
            let start = UnixNanos::from_seconds(steps.from_seconds + number as i64 * steps.step_seconds);
            *self = Self {
                from: start.0,
                end: start.plus_seconds(steps.step_seconds).0,
                number,
            };
        }
        self.number
    }
}

struct SegmentFacet {
    column: StrColumn,
    counts: Vec<u64>,
    /// All errors of the segment have the same value.
    is_constant: bool,
}

impl SegmentFacet {
    fn new(column: StrColumn) -> Self {
        Self {
            counts: vec![0; column.num_terms()],
            is_constant: column.num_terms() == 1 && column.ords().get_cardinality() == Cardinality::Full,
            column,
        }
    }

    fn count(&mut self, documents: &[DocId], ordinals: &mut [Option<u64>]) {
        if self.is_constant {
            self.counts[0] += documents.len() as u64;
            return;
        }
        ordinals.fill(None);
        self.column.ords().first_vals(documents, ordinals);
        for ordinal in ordinals.iter().flatten() {
            self.counts[*ordinal as usize] += 1;
        }
    }
}

impl SegmentHits {
    fn facet_counts(facet: Option<SegmentFacet>) -> tantivy::Result<FacetCounts> {
        let mut counts = FacetCounts::default();
        let Some(facet) = facet else { return Ok(counts) };
        let mut value = String::new();
        for (ordinal, count) in facet.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            value.clear();
            facet.column.ord_to_str(ordinal as u64, &mut value)?;
            counts.add(&value, *count);
        }
        Ok(counts)
    }
}

impl SegmentCollector for SegmentHits {
    type Fruit = tantivy::Result<Collected>;

    fn collect(&mut self, document: DocId, _score: Score) {
        self.collect_block(&[document]);
    }

    fn collect_block(&mut self, documents: &[DocId]) {
        if self.given_up.load(Ordering::Relaxed) {
            return;
        }
        for documents in documents.chunks(COLLECT_BLOCK_BUFFER_LEN) {
            self.total += documents.len() as u64;
            let mut times = [None; COLLECT_BLOCK_BUFFER_LEN];
            let times = &mut times[..documents.len()];
            self.places.times(documents, times);
            for (document, time) in documents.iter().zip(times) {
                let time = time.unwrap_or_default().into_timestamp_nanos();
                if let Some(count) = self.histogram.get_mut(self.step.of(time, self.steps)) {
                    *count += 1;
                }
                if self.first.may_take(time) {
                    let place = (time, self.places.sequence(*document));
                    self.first.offer(place, DocAddress::new(self.segment, *document));
                }
            }
            let mut ordinals = [None; COLLECT_BLOCK_BUFFER_LEN];
            for facet in self.facets.iter_mut().flatten() {
                facet.count(documents, &mut ordinals[..documents.len()]);
            }
        }
    }

    fn harvest(self) -> tantivy::Result<Collected> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TantivyError::InternalError(GIVEN_UP.into()));
        }
        let mut facets: [FacetCounts; FACETS.len()] = Default::default();
        for (counts, facet) in facets.iter_mut().zip(self.facets) {
            *counts = Self::facet_counts(facet)?;
        }
        Ok(Collected {
            total: self.total,
            newest: self.first.into_sorted(),
            facets,
            histogram: self.histogram,
        })
    }
}
