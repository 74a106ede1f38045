//! Counts errors by their pattern, in one pass over the days.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::query::Weight;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

use super::collect::{FacetCounts, GIVEN_UP, Steps};
use super::place::{HitKey, Places};
use super::query::{Expression, Keyword};
use super::search::{Days, Hit, Search, SearchError, SearchRequest};
use super::shelf::Shelf;
use super::{ErrorIndex, IndexError};
use crate::clock::UnixNanos;
use crate::patterns::PatternId;

/// Most patterns of one answer.
pub const MAX_PATTERNS: usize = 500;
/// Most steps of a pattern's histogram: it is drawn as a small line.
const MAX_STEPS: i64 = 48;
/// Most versions that are told of one pattern.
const MAX_VERSIONS: usize = 10;
const HOUR_SECONDS: i64 = 3_600;
/// Most hours that are counted one by one: two months.
const MAX_HOURS: usize = 1_464;

/// Errors by pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPatterns {
    /// Matching errors.
    pub total: u64,
    /// Those without a pattern: they were written before there were any.
    pub without: u64,
    /// The most frequent patterns first.
    pub patterns: Vec<PatternCount>,
    /// Patterns that are not among them.
    pub hidden: u64,
    /// Start of the histograms' first step, in Unix seconds.
    pub from_seconds: i64,
    /// Length of a step in seconds.
    pub step_seconds: i64,
}

/// How often a pattern was met.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternCount {
    /// The pattern.
    pub id: PatternId,
    /// Errors.
    pub count: u64,
    /// Errors in each step.
    pub counts: Vec<u64>,
    /// Errors by version, the most frequent first, ten at most.
    pub versions: Vec<(String, u64)>,
    /// Event time of the first matching error.
    pub first: UnixNanos,
    /// Event time of the last matching error.
    pub last: UnixNanos,
    /// The last matching error, its long texts cut.
    pub example: Hit,
}

/// Whose errors are counted by hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternHours {
    /// The model.
    pub model: String,
    /// The environment; empty: errors that name none.
    pub environment: String,
    /// Only this version; empty: errors that name none.
    pub version: Option<String>,
    /// From this event time on.
    pub from: UnixNanos,
    /// Up to this event time, exclusive.
    pub to: UnixNanos,
}

impl PatternHours {
    fn expression(&self) -> Expression {
        let mut parts = vec![is(Keyword::Model, &self.model), is(Keyword::Environment, &self.environment)];
        parts.extend(self.version.as_ref().map(|version| is(Keyword::Version, version)));
        Expression::And(parts)
    }

    fn steps(&self) -> Steps {
        let from_seconds = self.from.floor_to(HOUR_SECONDS).seconds();
        let hours = (self.to.seconds() - from_seconds).max(0) / HOUR_SECONDS + 1;
        Steps {
            from_seconds,
            step_seconds: HOUR_SECONDS,
            count: usize::try_from(hours).unwrap_or(0).min(MAX_HOURS),
        }
    }
}

fn is(field: Keyword, value: &str) -> Expression {
    Expression::Keyword {
        field,
        value: field.normal(value),
        prefix: false,
    }
}

impl ErrorIndex {
    /// Counts the errors of a model by pattern, in each hour from the one that holds `from` on.
    ///
    /// # Errors
    /// The search took too long, or the index failed.
    pub async fn pattern_hours(&self, of: &PatternHours) -> Result<HashMap<PatternId, Vec<u64>>, SearchError> {
        let (search, steps) = (Search::within(of.expression(), Some(of.from), Some(of.to), Vec::new()), of.steps());
        self.off_thread(move |shelf, given_up| {
            let counted = search_days(&search, &search.days(shelf), steps, shelf, given_up)?;
            let with_id = |(pattern, tally): (String, Tally)| Some((pattern.parse().ok()?, tally.counts));
            Ok(counted.patterns.into_iter().filter_map(with_id).collect())
        })
        .await
    }

    /// Counts what a search finds by pattern. `request.limit` bounds the patterns, `request.cursor` is not looked at.
    ///
    /// # Errors
    /// The request is wrong, or the search took too long.
    pub async fn patterns(&self, request: &SearchRequest) -> Result<FoundPatterns, SearchError> {
        self.patterns_within(request, None).await
    }

    /// Likewise, only errors of these versions of a model.
    ///
    /// # Errors
    /// As [`Self::patterns`].
    pub async fn patterns_of(&self, request: &SearchRequest, model: &str, versions: &[String; 2]) -> Result<FoundPatterns, SearchError> {
        let versions = versions.iter().map(|version| is(Keyword::Version, version)).collect();
        let within = Expression::And(vec![is(Keyword::Model, model), Expression::Or(versions)]);
        self.patterns_within(request, Some(within)).await
    }

    async fn patterns_within(&self, request: &SearchRequest, within: Option<Expression>) -> Result<FoundPatterns, SearchError> {
        let limit = request.limit.min(MAX_PATTERNS);
        let search = Search::new(
            &SearchRequest {
                limit,
                cursor: None,
                ..request.clone()
            },
            self.clock.now(),
        )?;
        let search = within.map_or_else(|| search.clone(), |within| search.and(within));
        self.off_thread(move |shelf, given_up| count(&search, limit, shelf, given_up)).await
    }
}

fn count(search: &Search, limit: usize, shelf: &Shelf, given_up: &Arc<AtomicBool>) -> Result<FoundPatterns, IndexError> {
    let days = search.days(shelf);
    let steps = search.steps(&days, MAX_STEPS)?;
    let whole = search_days(search, &days, steps, shelf, given_up)?;
    let with_id = |(pattern, tally): (String, Tally)| Some((pattern.parse().ok()?, tally));
    let mut found: Vec<(PatternId, Tally)> = whole.patterns.into_iter().filter_map(with_id).collect();
    found.sort_unstable_by_key(|(id, tally)| (Reverse(tally.count), *id));
    let hidden = found.len().saturating_sub(limit) as u64;
    found.truncate(limit);
    let mut patterns = Vec::with_capacity(found.len());
    for (id, tally) in found {
        let Newest { key, day, address } = tally.newest;
        let example = search.hit(shelf, &days[day].1, (key, address))?;
        patterns.push(tally.finish(id, example.abridged()));
    }
    Ok(FoundPatterns {
        total: whole.total,
        without: whole.without,
        patterns,
        hidden,
        from_seconds: steps.from_seconds,
        step_seconds: steps.step_seconds,
    })
}

fn search_days(search: &Search, days: &Days, steps: Steps, shelf: &Shelf, given_up: &Arc<AtomicBool>) -> Result<Counted, IndexError> {
    let query = search.query(shelf, given_up);
    let mut whole = Counted::default();
    for (day, (_, searcher)) in days.iter().enumerate() {
        let collector = Patterns {
            day,
            steps,
            given_up: given_up.clone(),
        };
        whole.merge(searcher.search(&query, &collector)?);
    }
    Ok(whole)
}

/// One pattern's errors.
struct Tally {
    count: u64,
    counts: Vec<u64>,
    versions: FacetCounts,
    first: i64,
    newest: Newest,
}

/// Where the last error lies.
#[derive(Clone, Copy)]
struct Newest {
    key: HitKey,
    day: usize,
    address: DocAddress,
}

impl Tally {
    /// Adds what another part found; the newest error of the two is the newest.
    fn merge(&mut self, part: Self) {
        self.count += part.count;
        for (whole, part) in self.counts.iter_mut().zip(part.counts) {
            *whole += part;
        }
        self.versions.merge(part.versions);
        self.first = self.first.min(part.first);
        if part.newest.key > self.newest.key {
            self.newest = part.newest;
        }
    }

    fn finish(self, id: PatternId, example: Hit) -> PatternCount {
        let mut versions: Vec<(String, u64)> = self.versions.values.into_iter().collect();
        versions.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        versions.truncate(MAX_VERSIONS);
        PatternCount {
            id,
            count: self.count,
            counts: self.counts,
            versions,
            first: UnixNanos(self.first),
            last: UnixNanos(self.newest.key.0),
            example,
        }
    }
}

/// What was counted.
#[derive(Default)]
struct Counted {
    total: u64,
    without: u64,
    patterns: HashMap<String, Tally>,
}

impl Counted {
    /// Adds what another part counted.
    fn merge(&mut self, part: Self) {
        self.total += part.total;
        self.without += part.without;
        for (pattern, tally) in part.patterns {
            match self.patterns.entry(pattern) {
                Entry::Occupied(mut known) => known.get_mut().merge(tally),
                Entry::Vacant(new) => {
                    new.insert(tally);
                }
            }
        }
    }
}

/// The collector.
struct Patterns {
    /// Which of the days it collects from.
    day: usize,
    steps: Steps,
    given_up: Arc<AtomicBool>,
}

impl Collector for Patterns {
    type Fruit = Counted;
    type Child = SegmentPatterns;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentPatterns> {
        let columns = reader.fast_fields();
        Ok(SegmentPatterns {
            day: self.day,
            segment,
            steps: self.steps,
            given_up: self.given_up.clone(),
            places: Places::of(reader)?,
            pattern: columns.str(Keyword::PatternId.name())?,
            version: columns.str(Keyword::Version.name())?,
            total: 0,
            without: 0,
            tallies: HashMap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn collect_segment(&self, weight: &dyn Weight, segment: u32, reader: &SegmentReader) -> tantivy::Result<tantivy::Result<Counted>> {
        let mut patterns = self.for_segment(segment, reader)?;
        // No document is ever deleted from a day, so there are no dead ones to leave out.
        weight.for_each_no_score(reader, &mut |documents| patterns.collect_block(documents))?;
        Ok(patterns.harvest())
    }

    fn merge_fruits(&self, parts: Vec<tantivy::Result<Counted>>) -> tantivy::Result<Counted> {
        let mut whole = Counted::default();
        for part in parts {
            whole.merge(part?);
        }
        Ok(whole)
    }
}

/// What is counted in one segment.
struct SegmentPatterns {
    day: usize,
    segment: SegmentOrdinal,
    steps: Steps,
    given_up: Arc<AtomicBool>,
    places: Places,
    pattern: Option<StrColumn>,
    version: Option<StrColumn>,
    total: u64,
    without: u64,
    /// By the pattern's number in the segment.
    tallies: HashMap<u64, SegmentTally>,
}

struct SegmentTally {
    count: u64,
    counts: Vec<u64>,
    /// By the version's number in the segment.
    versions: HashMap<u64, u64>,
    first: i64,
    newest: (HitKey, DocId),
}

impl SegmentCollector for SegmentPatterns {
    type Fruit = tantivy::Result<Counted>;

    fn collect(&mut self, document: DocId, _score: Score) {
        self.total += 1;
        let Some(pattern) = self.pattern.as_ref().and_then(|column| column.ords().first(document)) else {
            self.without += 1;
            return;
        };
        let key = self.places.place(document);
        let time = key.0;
        let steps = self.steps.count;
        let tally = self.tallies.entry(pattern).or_insert_with(|| SegmentTally {
            count: 0,
            counts: vec![0; steps],
            versions: HashMap::new(),
            first: time,
            newest: (key, document),
        });
        tally.count += 1;
        tally.first = tally.first.min(time);
        if key > tally.newest.0 {
            tally.newest = (key, document);
        }
        if let Some(count) = self.steps.of(time).and_then(|step| tally.counts.get_mut(step)) {
            *count += 1;
        }
        if let Some(version) = self.version.as_ref().and_then(|column| column.ords().first(document)) {
            *tally.versions.entry(version).or_default() += 1;
        }
    }

    fn collect_block(&mut self, documents: &[DocId]) {
        if self.given_up.load(Ordering::Relaxed) {
            return;
        }
        for document in documents {
            self.collect(*document, 1.0);
        }
    }

    fn harvest(self) -> tantivy::Result<Counted> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TantivyError::InternalError(GIVEN_UP.into()));
        }
        let mut patterns = HashMap::with_capacity(self.tallies.len());
        let mut text = String::new();
        for (ordinal, tally) in self.tallies {
            let mut versions = FacetCounts::default();
            for (version, count) in tally.versions {
                text.clear();
                if let Some(column) = &self.version {
                    column.ord_to_str(version, &mut text)?;
                }
                versions.add(&text, count);
            }
            text.clear();
            if let Some(column) = &self.pattern {
                column.ord_to_str(ordinal, &mut text)?;
            }
            let (key, document) = tally.newest;
            patterns.insert(
                text.clone(),
                Tally {
                    count: tally.count,
                    counts: tally.counts,
                    versions,
                    first: tally.first,
                    newest: Newest {
                        key,
                        day: self.day,
                        address: DocAddress::new(self.segment, document),
                    },
                },
            );
        }
        Ok(Counted {
            total: self.total,
            without: self.without,
            patterns,
        })
    }
}
