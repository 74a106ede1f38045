//! Log records and spans, searched as errors are: the same language, the same answer, over the tables of raw telemetry.
//!
//! The flow: what was typed becomes a [`Condition`]; one pass over the range counts by step and by value ([`counts`]); the
//! newest step that fills the page says how far back records are read whole ([`page`]). Words are found by a text index where the
//! server has one (`clickhouse::text_index`), else by reading. Deliberately absent: patterns and a live tail, which are of errors.

mod condition;
mod counts;
mod page;
mod suggest;
mod table;

use std::sync::Arc;

use clickhouse::query::Query;
use tokio::sync::Semaphore;

use self::condition::{Condition, check_phrases};
pub use self::table::RecordKind;
use crate::clickhouse::{ClickHouse, TelemetryError, text_index};
use crate::clock::{Clock, UnixNanos};
use crate::index::query::{Expression, parse};
use crate::index::{Hit, PATIENCE, SEARCHES_AT_ONCE, SearchError, SearchRequest, SearchResponse};

/// Keys that one query groups by at most: records with further values count as having others.
const MAX_GROUPS: &str = "200000";
/// What ClickHouse says when a query takes longer than it may.
const TIMEOUT: &str = "TIMEOUT_EXCEEDED";

/// Searches records. A cheap handle: clones share their turns.
#[derive(Clone)]
pub struct RecordSearch {
    clickhouse: ClickHouse,
    clock: Clock,
    turns: Arc<Semaphore>,
}

impl RecordSearch {
    /// Over this database.
    pub fn new(clickhouse: ClickHouse, clock: Clock) -> Self {
        Self {
            clickhouse,
            clock,
            turns: Arc::new(Semaphore::new(SEARCHES_AT_ONCE)),
        }
    }

    /// Searches, newest first; at most a few searches at once.
    ///
    /// # Errors
    /// The request is wrong, the search took too long, or the database failed.
    pub async fn search(&self, kind: RecordKind, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        let (search, after) = self.checked(kind, request)?;
        let limit = request.limit;
        self.in_time(async move {
            let counts = counts::count(&search).await?;
            let page = page::read(&search, Some(&counts.histogram), after, limit).await?;
            Ok(SearchResponse {
                total: counts.total,
                hits: page.hits,
                facets: counts.facets,
                histogram: counts.histogram,
                next: page.next,
            })
        })
        .await
    }

    /// The hits alone, and the cursor of the next page: what reads many pages one after the other.
    ///
    /// # Errors
    /// As [`RecordSearch::search`].
    pub async fn page(&self, kind: RecordKind, request: &SearchRequest) -> Result<(Vec<Hit>, Option<String>), SearchError> {
        let (search, after) = self.checked(kind, request)?;
        let limit = request.limit;
        self.in_time(async move {
            let page = page::read(&search, None, after, limit).await?;
            Ok((page.hits, page.next))
        })
        .await
    }

    fn checked(&self, kind: RecordKind, request: &SearchRequest) -> Result<(Search, Option<page::Place>), SearchError> {
        request.check()?;
        let search = Search {
            clickhouse: self.clickhouse.clone(),
            kind,
            expression: parse(&request.query, self.clock.now())?,
            from: request.from,
            to: request.to,
            environments: request.environments.clone(),
        };
        check_phrases(&search.expression)?;
        let after = request.cursor.as_deref().map(page::Place::read).transpose()?;
        Ok((search, after))
    }

    /// One record by the id that a search gave it; `None` when it is no longer kept.
    ///
    /// # Errors
    /// The id is not one, or the database failed.
    pub async fn record(&self, kind: RecordKind, id: &str, environments: &[String]) -> Result<Option<Hit>, SearchError> {
        let place = page::Place::read(id)?;
        let search = Search {
            clickhouse: self.clickhouse.clone(),
            kind,
            expression: Expression::One(place.time, place.sequence),
            from: None,
            to: None,
            environments: environments.to_vec(),
        };
        self.in_time(async move { page::one(&search, place).await }).await
    }

    /// Whether words of log records are found by an index of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_text_index(&self) -> Result<bool, SearchError> {
        text_index::is_there(&self.clickhouse).await.map_err(SearchError::Telemetry)
    }

    /// Works when it is its turn. The turn lasts as long as the work, even where nobody waits for it any more: a database that is
    /// busy with what was given up is not asked for more.
    async fn in_time<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, TelemetryError>> + Send + 'static,
    ) -> Result<T, SearchError> {
        let turns = Arc::clone(&self.turns);
        let waiting = async move {
            let turn = turns.acquire_owned().await.map_err(|_| SearchError::TooSlow)?;
            let working = tokio::spawn(async move {
                let found = work.await;
                drop(turn);
                found
            });
            let found = working
                .await
                .map_err(|error| SearchError::Index(std::io::Error::other(error).into()))?;
            found.map_err(|error| match &error {
                TelemetryError::TimedOut => SearchError::TooSlow,
                TelemetryError::BadResponse(text) if text.contains(TIMEOUT) => SearchError::TooSlow,
                _ => SearchError::Telemetry(error),
            })
        };
        tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| SearchError::TooSlow)?
    }
}

/// A checked request.
struct Search {
    clickhouse: ClickHouse,
    kind: RecordKind,
    expression: Expression,
    from: Option<UnixNanos>,
    to: Option<UnixNanos>,
    environments: Vec<String>,
}

impl Search {
    /// What is searched for, of these event times.
    fn condition(&self, from: Option<UnixNanos>, to: Option<UnixNanos>) -> Condition {
        Condition::new(self.kind, &self.expression, (from, to), &self.environments)
    }

    /// A query that ends when nobody waits for it any more.
    fn query(&self, sql: &str) -> Query {
        self.clickhouse
            .reader()
            .query(sql)
            .with_setting("max_execution_time", PATIENCE.as_secs().to_string())
            .with_setting("max_rows_to_group_by", MAX_GROUPS)
            .with_setting("group_by_overflow_mode", "any")
    }
}
