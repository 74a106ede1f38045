//! Searches that other programs put together: any expression, both orders, any page, and aggregations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, AggregationError, AggregationLimitsGuard, DistributedAggregationCollector};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::Weight;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

use super::collect::GIVEN_UP;
use super::day::Day;
use super::place::{FirstHits, HitKey, Order, Places};
use super::points::PointId;
use super::query::{Expression, Field};
use super::schema::{ATTRIBUTES, TIME};
use super::search::{Days, Hit, Search, SearchError, read_id};
use super::shelf::Shelf;
use super::{ErrorIndex, IndexError};

/// Furthest hit that a lookup may ask for by counting; beyond, with the place of the last hit.
pub const MAX_WINDOW: usize = 10_000;
/// Most bytes of the hits of one answer.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Most buckets of one answer.
pub const MAX_BUCKETS: u32 = 65_000;
/// Memory that aggregations of one lookup may take.
const MAX_AGGREGATION_BYTES: u64 = 128 * 1024 * 1024;

/// What to look up.
#[derive(Debug, Clone)]
pub struct LookupRequest {
    /// Which errors.
    pub expression: Expression,
    /// Only errors of these environments; empty: of all.
    pub environments: Vec<String>,
    /// Only errors of these days; `None`: of all.
    pub days: Option<BTreeSet<Day>>,
    /// The index as it was when this point in time was opened; `None`: as it is now.
    pub point: Option<PointId>,
    /// In which order hits come.
    pub order: Order,
    /// Only hits that come after this place.
    pub after: Option<HitKey>,
    /// Hits that are left out before the first one that is shown.
    pub skip: usize,
    /// Most hits; with `skip` at most [`MAX_WINDOW`].
    pub limit: usize,
    /// Aggregations in tantivy's form, which is Elasticsearch's, over the index's own field names; `Null`: none.
    pub aggregations: Value,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupResponse {
    /// Matching errors, exactly.
    pub total: u64,
    /// The page that was asked for.
    pub hits: Vec<Hit>,
    /// Results by the aggregations' names.
    pub aggregations: Option<Value>,
}

/// Why a lookup gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The window of hits is too large.
    #[error("the {0} hits up to the end of this page are more than {MAX_WINDOW}: go on after the last hit instead of counting")]
    Window(usize),
    /// The hits are too large together.
    #[error("the hits are larger than {} MiB together: ask for fewer of them", MAX_ANSWER_BYTES / 1024 / 1024)]
    TooLarge,
    /// An aggregation is not one.
    #[error("{0}")]
    Aggregation(String),
    /// Aggregations have too many buckets or need too much memory.
    #[error("{0}")]
    TooManyBuckets(String),
    /// The point in time is not open any more.
    #[error("the point in time is not open: it was closed, its time is over, or the server was started anew")]
    NoPoint,
    /// As any search.
    #[error(transparent)]
    Search(#[from] SearchError),
}

impl From<IndexError> for LookupError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Tantivy(TantivyError::AggregationError(
                error @ (AggregationError::MemoryExceeded { .. } | AggregationError::BucketLimitExceeded { .. }),
            )) => Self::TooManyBuckets(error.to_string()),
            IndexError::Tantivy(TantivyError::AggregationError(error)) => Self::Aggregation(error.to_string()),
            IndexError::Tantivy(TantivyError::InvalidArgument(message)) => Self::Aggregation(message),
            other => Self::Search(SearchError::Index(other)),
        }
    }
}

/// The place that an id stands for.
///
/// # Errors
/// It is no id of an error.
pub fn place_of(id: &str) -> Result<HitKey, SearchError> {
    read_id(id)
}

/// The name under which aggregations find a field; `None`: it is not kept by value.
pub fn column_of(field: &Field) -> Option<String> {
    match field {
        Field::Time => Some(TIME.to_owned()),
        Field::Keyword(keyword) => Some(keyword.name().to_owned()),
        Field::Attribute(path) => Some(format!("{ATTRIBUTES}.{path}")),
        Field::Text(_) => None,
    }
}

impl ErrorIndex {
    /// Looks errors up. Runs on a thread of its own; at most a few at once.
    ///
    /// # Errors
    /// The request is wrong, or it took too long.
    pub async fn lookup(&self, request: LookupRequest) -> Result<LookupResponse, LookupError> {
        let window = request.skip.saturating_add(request.limit);
        if window > MAX_WINDOW {
            return Err(LookupError::Window(window));
        }
        let aggregations = match &request.aggregations {
            Value::Null => None,
            wanted => {
                Some(serde_json::from_value::<Aggregations>(wanted.clone()).map_err(|error| LookupError::Aggregation(error.to_string()))?)
            }
        };
        let point = match &request.point {
            Some(id) => Some(self.points.find(id, self.clock.now()).ok_or(LookupError::NoPoint)?),
            None => None,
        };
        let lookup = Lookup {
            search: Search::within(request.expression, None, None, request.environments),
            days: request.days,
            point,
            order: request.order,
            after: request.after,
            skip: request.skip,
            limit: request.limit,
            aggregations,
        };
        self.in_turn(move |shelf, given_up| lookup.run(shelf, given_up)).await
    }
}

/// A checked request.
struct Lookup {
    search: Search,
    days: Option<BTreeSet<Day>>,
    point: Option<Arc<Days>>,
    order: Order,
    after: Option<HitKey>,
    skip: usize,
    limit: usize,
    aggregations: Option<Aggregations>,
}

impl Lookup {
    fn run(self, shelf: &Shelf, given_up: &Arc<AtomicBool>) -> Result<LookupResponse, LookupError> {
        let mut days = match &self.point {
            Some(days) => days.as_ref().clone(),
            None => self.search.days(shelf),
        };
        days.retain(|(day, _)| self.days.as_ref().is_none_or(|wanted| wanted.contains(day)));
        if self.order == Order::OldestFirst {
            days.reverse();
        }
        let query = self.search.query(shelf, given_up);
        let limits = AggregationLimitsGuard::new(Some(MAX_AGGREGATION_BYTES), Some(MAX_BUCKETS));
        let collector = Listing {
            order: self.order,
            limit: self.skip + self.limit,
            after: self.after,
            given_up: given_up.clone(),
            aggregations: self.aggregations.as_ref().map(|aggregations| {
                let context = AggContextParams::new(limits.clone(), Default::default());
                DistributedAggregationCollector::from_aggs(aggregations.clone(), context)
            }),
        };
        let mut total = 0;
        let mut places: Vec<(HitKey, usize, DocAddress)> = Vec::new();
        let mut aggregated = IntermediateAggregationResults::default();
        for (index, (_, searcher)) in days.iter().enumerate() {
            let found = searcher.search(&query, &collector).map_err(IndexError::from)?;
            total += found.total;
            // Days come in the order of hits.
            let room = collector.limit - places.len();
            let hits = found.first.into_sorted().into_iter().take(room);
            places.extend(hits.map(|(place, address)| (place, index, address)));
            if let Some(part) = found.aggregated {
                aggregated.merge_fruits(part).map_err(IndexError::from)?;
            }
        }
        let places = places.get(self.skip..).unwrap_or_default();
        let loaded = self.search.load(shelf, &days, places, MAX_ANSWER_BYTES)?;
        if loaded.len() < places.len() {
            return Err(LookupError::TooLarge);
        }
        let results = match self.aggregations {
            Some(aggregations) => {
                let results = aggregated.into_final_result(aggregations, limits).map_err(IndexError::from)?;
                Some(serde_json::to_value(results).map_err(IndexError::from)?)
            }
            None => None,
        };
        Ok(LookupResponse {
            total,
            hits: loaded,
            aggregations: results,
        })
    }
}

/// The collector.
struct Listing {
    order: Order,
    limit: usize,
    after: Option<HitKey>,
    given_up: Arc<AtomicBool>,
    aggregations: Option<DistributedAggregationCollector>,
}

/// What was collected.
struct Listed {
    total: u64,
    first: FirstHits,
    aggregated: Option<IntermediateAggregationResults>,
}

impl Collector for Listing {
    type Fruit = Listed;
    type Child = SegmentListing;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentListing> {
        let aggregating = self.aggregations.as_ref();
        Ok(SegmentListing {
            segment,
            places: (self.limit > 0).then(|| Places::of(reader)).transpose()?,
            total: 0,
            first: FirstHits::new(self.order, self.limit, self.after),
            aggregating: aggregating.map(|collector| collector.for_segment(segment, reader)).transpose()?,
            given_up: self.given_up.clone(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn collect_segment(&self, weight: &dyn Weight, segment: u32, reader: &SegmentReader) -> tantivy::Result<tantivy::Result<Listed>> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TantivyError::InternalError(GIVEN_UP.into()));
        }
        let mut listing = self.for_segment(segment, reader)?;
        // No document is ever deleted from a day, so there are no dead ones to leave out.
        weight.for_each_no_score(reader, &mut |documents| listing.collect_block(documents))?;
        Ok(listing.harvest())
    }

    fn merge_fruits(&self, parts: Vec<tantivy::Result<Listed>>) -> tantivy::Result<Listed> {
        let mut whole = Listed {
            total: 0,
            first: FirstHits::new(self.order, self.limit, self.after),
            aggregated: None,
        };
        for part in parts {
            let part = part?;
            whole.total += part.total;
            whole.first.merge(part.first);
            match (&mut whole.aggregated, part.aggregated) {
                (Some(whole), Some(part)) => whole.merge_fruits(part)?,
                (none, part) => *none = part,
            }
        }
        Ok(whole)
    }
}

/// What is collected in one segment.
struct SegmentListing {
    segment: SegmentOrdinal,
    /// Not needed where no hit is wanted.
    places: Option<Places>,
    total: u64,
    first: FirstHits,
    aggregating: Option<<DistributedAggregationCollector as Collector>::Child>,
    given_up: Arc<AtomicBool>,
}

impl SegmentCollector for SegmentListing {
    type Fruit = tantivy::Result<Listed>;

    fn collect(&mut self, document: DocId, _score: Score) {
        self.collect_block(&[document]);
    }

    fn collect_block(&mut self, documents: &[DocId]) {
        if self.given_up.load(Ordering::Relaxed) {
            return;
        }
        self.total += documents.len() as u64;
        if let Some(places) = &self.places {
            for document in documents {
                let time = places.time(*document);
                if self.first.may_take(time) {
                    let place = (time, places.sequence(*document));
                    self.first.offer(place, DocAddress::new(self.segment, *document));
                }
            }
        }
        if let Some(aggregating) = &mut self.aggregating {
            aggregating.collect_block(documents);
        }
    }

    fn harvest(self) -> tantivy::Result<Listed> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TantivyError::InternalError(GIVEN_UP.into()));
        }
        Ok(Listed {
            total: self.total,
            first: self.first,
            aggregated: self.aggregating.map(SegmentCollector::harvest).transpose()?,
        })
    }
}
