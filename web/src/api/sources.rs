//! Where a search looks: the index of errors, or the tables of log records and spans.

use driftlead_store::clickhouse::query::records::RecordKind;
use driftlead_store::index::{Hit, SearchError, SearchRequest, SearchResponse, SuggestRequest, Suggestions};
use serde::{Deserialize, Serialize};

use crate::state::WebState;

/// The parameter of all endpoints that search.
pub(super) const PARAMETER: (&str, &str) = ("source", "`errors` (the default), `logs` (all log records) or `traces` (all spans)");

/// Where a search looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    /// The error index.
    #[default]
    Errors,
    /// All log records, in ClickHouse.
    Logs,
    /// All spans, in ClickHouse.
    Traces,
}

/// Who keeps what is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Engine {
    Index,
    Clickhouse,
}

/// The source as answers state it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct StatedSource {
    name: Source,
    engine: Engine,
    /// Words are found by an index of them; else by reading every record of the range.
    text_index: bool,
}

impl Source {
    fn kind(self) -> Option<RecordKind> {
        match self {
            Self::Errors => None,
            Self::Logs => Some(RecordKind::Logs),
            Self::Traces => Some(RecordKind::Traces),
        }
    }

    pub async fn search(self, app: &WebState, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        match self.kind() {
            None => app.index.search(request).await,
            Some(kind) => app.records.search(kind, request).await,
        }
    }

    /// The hits of a page alone, and the cursor of the next one.
    pub async fn page(self, app: &WebState, request: &SearchRequest) -> Result<(Vec<Hit>, Option<String>), SearchError> {
        match self.kind() {
            None => app.index.search(request).await.map(|found| (found.hits, found.next)),
            Some(kind) => app.records.page(kind, request).await,
        }
    }

    /// The name of a file with what was found, without its ending.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Logs => "logs",
            Self::Traces => "spans",
        }
    }

    pub async fn hit(self, app: &WebState, id: &str, environments: &[String]) -> Result<Option<Hit>, SearchError> {
        match self.kind() {
            None => app.index.error(id, environments).await,
            Some(kind) => app.records.record(kind, id, environments).await,
        }
    }

    pub async fn suggest(self, app: &WebState, request: &SuggestRequest) -> Result<Suggestions, SearchError> {
        match self.kind() {
            None => app.index.suggest(request).await,
            Some(kind) => app.records.suggest(kind, request).await,
        }
    }

    pub async fn stated(self, app: &WebState) -> Result<StatedSource, SearchError> {
        let (engine, text_index) = match self {
            Self::Errors => (Engine::Index, true),
            Self::Logs => (Engine::Clickhouse, app.records.has_text_index().await?),
            Self::Traces => (Engine::Clickhouse, false),
        };
        Ok(StatedSource {
            name: self,
            engine,
            text_index,
        })
    }
}
