//! Searches over days, newest first, off the async threads and bounded.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tantivy::collector::Count;
use tantivy::query::{BooleanQuery, Query};
use tantivy::schema::Value as _;
use tantivy::{DocAddress, Searcher, TantivyDocument, TantivyError};
use tokio::sync::Semaphore;

use super::collect::{Collected, FACETS, Hits, Steps};
use super::day::Day;
use super::highlight::{Needle, Part, highlight, needles};
use super::place::{HitKey, Places};
use super::query::{Expression, Plan, QueryError, Text, parse};
use super::shelf::Shelf;
use super::source::from_source;
use super::{ErrorIndex, IndexError};
use crate::clickhouse::TelemetryError;
use crate::clock::UnixNanos;
use crate::records::ErrorDocument;

/// Most hits of one answer.
pub const MAX_LIMIT: usize = 500;
/// Most steps of a histogram: one per few pixels of a page.
pub const MAX_STEPS: i64 = 120;
/// Most bytes of hits in one answer, however many were asked for: stacks may be long.
pub(crate) const MAX_HITS_BYTES: usize = 8 * 1024 * 1024;
/// Most bytes of each text of an example, and of its attributes together.
const MAX_EXAMPLE_BYTES: usize = 4 * 1024;
/// Most values of a facet in an answer.
pub(crate) const MAX_SHOWN_VALUES: usize = 20;
/// Searches that run at once: each may keep a core busy.
pub(crate) const SEARCHES_AT_ONCE: usize = 2;
/// How long a search may wait for its turn and run, together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Lengths of steps that people read easily, in seconds.
const STEP_SECONDS: [i64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/// What to search for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchRequest {
    /// What was typed; see [`super::query`].
    pub query: String,
    /// From this event time on.
    pub from: Option<UnixNanos>,
    /// Up to this event time, exclusive.
    pub to: Option<UnixNanos>,
    /// Only errors of these environments; empty: of all.
    pub environments: Vec<String>,
    /// Most hits, at most [`MAX_LIMIT`].
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl SearchRequest {
    /// Whether one answer can be given to it.
    pub(crate) fn check(&self) -> Result<(), SearchError> {
        if self.limit > MAX_LIMIT {
            return Err(SearchError::Limit(self.limit));
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(SearchError::Range),
            _ => Ok(()),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResponse {
    /// Matching errors, exactly.
    pub total: u64,
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Errors by value of a field.
    pub facets: Vec<Facet>,
    /// Errors by time.
    pub histogram: Histogram,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<String>,
}

/// One error that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Stays the same while the error is kept.
    pub id: String,
    /// The error.
    pub error: ErrorDocument,
    /// The message and the part of the stack that matched.
    pub highlights: Vec<(Text, Vec<Part>)>,
}

impl Hit {
    /// As an example among many: of long texts the beginning, of many attributes the first.
    pub(super) fn abridged(mut self) -> Self {
        for text in [&mut self.error.message, &mut self.error.stack] {
            text.truncate(text.floor_char_boundary(MAX_EXAMPLE_BYTES));
        }
        let mut bytes = 0;
        self.error.attributes.retain(|name, value| {
            bytes += name.len() + value.to_string().len();
            bytes <= MAX_EXAMPLE_BYTES
        });
        self.highlights.clear();
        self
    }
}

/// Errors by value of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// The field's name.
    pub field: &'static str,
    /// Most frequent values first.
    pub values: Vec<(String, u64)>,
    /// Errors with other values.
    pub other: u64,
}

/// `counts[i]` belongs to `[from + i·step, from + (i+1)·step)`, in Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Start of the first step.
    pub from_seconds: i64,
    /// Length of a step.
    pub step_seconds: i64,
    /// Errors in each step.
    pub counts: Vec<u64>,
}

/// Why a search gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The query is not one.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The cursor or id was not made by this index.
    #[error("{0:?} is not a cursor or an id that a search gave out")]
    Cursor(String),
    /// More hits than one answer holds.
    #[error("limit is {0}; at most {MAX_LIMIT} hits come in one answer, more with the cursor")]
    Limit(usize),
    /// The time range is empty.
    #[error("from has to be before to")]
    Range,
    /// The search took too long, or others did.
    #[error("the search took longer than {} s: narrow the time range or the query", PATIENCE.as_secs())]
    TooSlow,
    /// A part of the query stands for too much.
    #[error("{0}")]
    TooWide(String),
    /// The index failed.
    #[error(transparent)]
    Index(IndexError),
    /// The database failed.
    #[error(transparent)]
    Telemetry(TelemetryError),
}

impl From<IndexError> for SearchError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Tantivy(TantivyError::InvalidArgument(message)) => Self::TooWide(message),
            other => Self::Index(other),
        }
    }
}

impl ErrorIndex {
    /// Searches. Runs on a thread of its own; at most a few at once.
    ///
    /// # Errors
    /// The request is wrong, or the search took too long.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        let search = Search::new(request, self.clock.now())?;
        self.off_thread(move |shelf, given_up| search.run(shelf, given_up)).await
    }

    /// One error by the id that a search gave it; `None` when it is no longer kept.
    ///
    /// # Errors
    /// The id is not one.
    pub async fn error(&self, id: &str, environments: &[String]) -> Result<Option<Hit>, SearchError> {
        let key = read_id(id)?;
        let environments = environments.to_vec();
        self.off_thread(move |shelf, given_up| one(shelf, key, &environments, given_up))
            .await
    }

    /// How many errors from one event time up to and not including another match, in these environments; none: in all.
    /// It has a turn of its own: what rules count does not wait for what people search.
    ///
    /// # Errors
    /// The search took too long, or a part of it stands for too much.
    pub async fn count(
        &self,
        expression: Expression,
        (from, to): (UnixNanos, UnixNanos),
        environments: &[String],
    ) -> Result<u64, SearchError> {
        let search = Search::within(expression, Some(from), Some(to), environments.to_vec());
        self.in_turn_of(&self.counting, move |shelf, given_up| {
            let query = search.query(shelf, given_up);
            let mut total = 0;
            for (_, searcher) in search.days(shelf) {
                total += searcher.search(&query, &Count)? as u64;
            }
            Ok::<_, IndexError>(total)
        })
        .await
    }

    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf, &Arc<AtomicBool>) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, SearchError> {
        self.in_turn(work).await
    }

    /// Does what takes long on a thread of its own, when it is its turn.
    pub(super) async fn in_turn<T, E, F>(
        &self,
        work: impl FnOnce(&Shelf, &Arc<AtomicBool>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, F>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: From<E> + From<SearchError>,
    {
        self.in_turn_of(&self.turns, work).await
    }

    async fn in_turn_of<T, E, F>(
        &self,
        turns: &Arc<Semaphore>,
        work: impl FnOnce(&Shelf, &Arc<AtomicBool>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, F>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: From<E> + From<SearchError>,
    {
        let given_up = Arc::new(AtomicBool::new(false));
        let _give_up = GiveUp(given_up.clone());
        let (shelf, turns) = (self.shelf.clone(), turns.clone());
        let waiting = async move {
            let turn = turns.acquire_owned().await.map_err(|_| SearchError::TooSlow)?;
            tokio::task::spawn_blocking(move || {
                let found = work(&shelf, &given_up);
                drop(turn);
                found
            })
            .await
            .map_err(|error| SearchError::from(IndexError::Io(std::io::Error::other(error))))?
            .map_err(F::from)
        };
        tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| SearchError::TooSlow)?
    }
}

/// Tells the thread to stop when the caller has gone or has waited long enough.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A checked request.
#[derive(Clone)]
pub(super) struct Search {
    expression: Expression,
    from: Option<UnixNanos>,
    to: Option<UnixNanos>,
    environments: Vec<String>,
    limit: usize,
    below: Option<HitKey>,
}

pub(super) type Days = Vec<(Day, Searcher)>;

impl Search {
    pub fn new(request: &SearchRequest, now: UnixNanos) -> Result<Self, SearchError> {
        request.check()?;
        Ok(Self {
            expression: parse(&request.query, now)?,
            from: request.from,
            to: request.to,
            environments: request.environments.clone(),
            limit: request.limit,
            below: request.cursor.as_deref().map(read_id).transpose()?,
        })
    }

    /// What an expression finds from `from` up to and not including `to`, in these environments.
    pub fn within(expression: Expression, from: Option<UnixNanos>, to: Option<UnixNanos>, environments: Vec<String>) -> Self {
        Self {
            expression,
            from,
            to,
            environments,
            limit: 0,
            below: None,
        }
    }

    /// What of it also is what another expression means.
    pub fn and(&self, other: Expression) -> Self {
        Self {
            expression: Expression::And(vec![self.expression.clone(), other]),
            environments: self.environments.clone(),
            ..*self
        }
    }

    fn run(&self, shelf: &Shelf, given_up: &Arc<AtomicBool>) -> Result<SearchResponse, IndexError> {
        let days = self.days(shelf);
        let steps = self.steps(&days, MAX_STEPS)?;
        let query = self.query(shelf, given_up);
        // One more than is shown, to know whether there is a next page.
        let wanted = self.limit + 1;
        let hits = Hits {
            limit: wanted,
            below: self.below,
            steps,
            given_up: given_up.clone(),
        };
        let mut whole = Collected {
            histogram: vec![0; steps.count],
            ..Collected::default()
        };
        let mut newest: Vec<(HitKey, usize, DocAddress)> = Vec::new();
        for (index, (_, searcher)) in days.iter().enumerate() {
            let mut found = searcher.search(&query, &hits)?;
            // Days come newest first, so what an older day adds comes after what is there.
            let room = wanted - newest.len();
            newest.extend(found.newest.drain(..).take(room).map(|(key, address)| (key, index, address)));
            whole.merge(found, wanted);
        }
        let shown = newest.get(..self.limit).unwrap_or(&newest);
        let hits = self.load(shelf, &days, shown, MAX_HITS_BYTES)?;
        let is_last = hits.len() == newest.len();
        Ok(SearchResponse {
            total: whole.total,
            next: hits.last().filter(|_| !is_last).map(|hit| hit.id.clone()),
            hits,
            facets: facets(whole.facets),
            histogram: Histogram {
                from_seconds: steps.from_seconds,
                step_seconds: steps.step_seconds,
                counts: whole.histogram,
            },
        })
    }

    /// The days that the range touches, newest first, each as it is now.
    pub fn days(&self, shelf: &Shelf) -> Days {
        shelf
            .newest_first()
            .into_iter()
            .filter(|(day, _)| self.from.is_none_or(|from| day.end() > from) && self.to.is_none_or(|to| day.start() < to))
            .map(|(day, index)| (day, index.reader.searcher()))
            .collect()
    }

    /// The query for one of the days.
    pub fn query(&self, shelf: &Shelf, given_up: &Arc<AtomicBool>) -> BooleanQuery {
        let plan = Plan {
            fields: &shelf.fields,
            given_up,
        };
        let mut parts: Vec<Box<dyn Query>> = vec![plan.query(&self.expression)];
        if self.from.is_some() || self.to.is_some() {
            parts.push(plan.time(
                self.from.map_or(Bound::Unbounded, Bound::Included),
                self.to.map_or(Bound::Unbounded, Bound::Excluded),
            ));
        }
        if !self.environments.is_empty() {
            parts.push(plan.environments(&self.environments));
        }
        BooleanQuery::intersection(parts)
    }

    /// At most `max` steps of a histogram: over the range that was asked for, else over what there is.
    pub fn steps(&self, days: &Days, max: i64) -> Result<Steps, IndexError> {
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        for (_, searcher) in days {
            for segment in searcher.segment_readers() {
                if segment.num_docs() > 0 {
                    let (earliest, latest) = Places::of(segment)?.bounds();
                    first = first.min(earliest);
                    last = last.max(latest);
                }
            }
        }
        let end = self.to.map(|to| UnixNanos(to.0.saturating_sub(1)));
        let from = self.from.or((first <= last).then_some(UnixNanos(first)));
        let last = end.or((first <= last).then_some(UnixNanos(last)));
        Ok(match (from, last) {
            (Some(from), Some(last)) => steps_over(from, last.max(from), max),
            _ => Steps {
                from_seconds: 0,
                step_seconds: 1,
                count: 0,
            },
        })
    }

    /// Reads one hit.
    pub fn hit(&self, shelf: &Shelf, searcher: &Searcher, (key, address): (HitKey, DocAddress)) -> Result<Hit, IndexError> {
        hit(key, &source(shelf, searcher, address)?, &needles(&self.expression))
    }

    /// Reads these hits of the days: the first ones that fit into so many bytes, one at least.
    pub fn load(
        &self,
        shelf: &Shelf,
        days: &Days,
        places: &[(HitKey, usize, DocAddress)],
        max_bytes: usize,
    ) -> Result<Vec<Hit>, IndexError> {
        let needles = needles(&self.expression);
        let mut hits = Vec::with_capacity(places.len());
        let mut bytes = 0;
        for (key, day, address) in places {
            let source = source(shelf, &days[*day].1, *address)?;
            bytes += source.len();
            if bytes > max_bytes && !hits.is_empty() {
                break;
            }
            hits.push(hit(*key, &source, &needles)?);
        }
        Ok(hits)
    }
}

/// Even steps, at most `max` of them, that hold both instants.
pub(crate) fn steps_over(from: UnixNanos, last: UnixNanos, max: i64) -> Steps {
    let (first_second, last_second) = (from.seconds(), last.seconds());
    let count = |step: i64| last_second.div_euclid(step) - first_second.div_euclid(step) + 1;
    let largest = STEP_SECONDS[STEP_SECONDS.len() - 1];
    let step = STEP_SECONDS.into_iter().find(|step| count(*step) <= max).unwrap_or_else(|| {
        // Longer than two years: whole weeks, as many as it takes.
        largest * (count(largest) / max + 1)
    });
    Steps {
        from_seconds: first_second.div_euclid(step) * step,
        step_seconds: step,
        count: usize::try_from(count(step)).unwrap_or(0),
    }
}

fn source(shelf: &Shelf, searcher: &Searcher, address: DocAddress) -> Result<String, IndexError> {
    let document: TantivyDocument = searcher.doc(address)?;
    let source = document.get_first(shelf.fields.source).and_then(|value| value.as_str());
    Ok(source.unwrap_or_default().to_owned())
}

fn hit(key: HitKey, source: &str, needles: &[Needle<'_>]) -> Result<Hit, IndexError> {
    let error = from_source(source)?;
    let highlights = [(Text::Message, &error.message), (Text::Stack, &error.stack)]
        .into_iter()
        .filter_map(|(field, text)| highlight(field, text, needles).map(|parts| (field, parts)))
        .collect();
    Ok(Hit {
        id: write_id(key),
        error,
        highlights,
    })
}

fn facets(counts: [super::collect::FacetCounts; FACETS.len()]) -> Vec<Facet> {
    FACETS
        .iter()
        .zip(counts)
        .map(|(field, counts)| {
            let mut values: Vec<(String, u64)> = counts.values.into_iter().collect();
            values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let hidden = values.split_off(values.len().min(MAX_SHOWN_VALUES));
            Facet {
                field: field.name(),
                values,
                other: counts.other + hidden.iter().map(|(_, count)| count).sum::<u64>(),
            }
        })
        .collect()
}

fn one(shelf: &Shelf, key: HitKey, environments: &[String], given_up: &Arc<AtomicBool>) -> Result<Option<Hit>, IndexError> {
    let time = UnixNanos(key.0);
    let Some(index) = shelf.get(Day::of(time)) else { return Ok(None) };
    let searcher = index.reader.searcher();
    let plan = Plan {
        fields: &shelf.fields,
        given_up,
    };
    let mut parts = vec![plan.one(time, key.1)];
    if !environments.is_empty() {
        parts.push(plan.environments(environments));
    }
    let hits = Hits {
        limit: 1,
        below: None,
        steps: steps_over(time, time, 1),
        given_up: given_up.clone(),
    };
    let found = searcher.search(&BooleanQuery::intersection(parts), &hits)?;
    match found.newest.first() {
        Some((key, address)) => hit(*key, &source(shelf, &searcher, *address)?, &[]).map(Some),
        None => Ok(None),
    }
}

/// Ids and cursors are a hit's place in the order, in hex.
pub(super) fn write_id((time, sequence): HitKey) -> String {
    format!("{time:016x}{sequence:016x}")
}

pub(super) fn read_id(id: &str) -> Result<HitKey, SearchError> {
    let wrong = || SearchError::Cursor(id.chars().take(64).collect());
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let time = u64::from_str_radix(&id[..16], 16).map_err(|_| wrong())?;
    let sequence = u64::from_str_radix(&id[16..], 16).map_err(|_| wrong())?;
    Ok((time as i64, sequence))
}
