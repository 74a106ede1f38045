//! What may follow while a query over records is typed: names of attributes and values, as the newest records have them.

use clickhouse::Row;
use serde::Deserialize;

use super::condition::{Condition, check_phrases};
use super::table::{Place, RecordKind};
use super::{RecordSearch, Search};
use crate::clickhouse::TelemetryError;
use crate::index::query::{Expression, Field, parse};
use crate::index::{
    MAX_SUGGESTIONS, SearchError, SuggestRequest, Suggestion, Suggestions, Typed, field_names_beginning, suggested_value, typed,
};

/// So many of the newest records that the rest of the query finds are looked at.
const LOOKED_AT: u64 = 20_000;

#[derive(Row, Deserialize)]
struct Found {
    value: String,
    records: u64,
}

impl RecordSearch {
    /// What may follow at the caret; counts are of the newest 20,000 records that the rest of the query finds.
    ///
    /// # Errors
    /// The search took too long, or the database failed.
    pub async fn suggest(&self, kind: RecordKind, request: &SuggestRequest) -> Result<Suggestions, SearchError> {
        let (typed, rest) = typed(&request.query, request.caret);
        let search = Search {
            clickhouse: self.clickhouse.clone(),
            kind,
            // A rest that cannot be read yet narrows nothing.
            expression: parse(&rest, self.clock.now()).unwrap_or(Expression::All),
            from: request.from,
            to: request.to,
            environments: request.environments.clone(),
        };
        check_phrases(&search.expression)?;
        match typed {
            Typed::Nothing => Ok(Suggestions::default()),
            Typed::Name { from, begins } => {
                let items = self.in_time(async move { names(&search, &begins).await }).await?;
                Ok(Suggestions { from, items })
            }
            Typed::Value { from, field, begins } => {
                let items = self.in_time(async move { values(&search, &field, &begins).await }).await?;
                Ok(Suggestions { from, items })
            }
        }
    }
}

async fn names(search: &Search, begins: &str) -> Result<Vec<Suggestion>, TelemetryError> {
    let name = |name: String| Suggestion {
        text: format!("{name}:"),
        count: None,
    };
    let mut items: Vec<Suggestion> = field_names_beginning(begins).map(|own| name(own.to_owned())).collect();
    let begins = begins.strip_prefix("attributes.").unwrap_or(begins);
    if begins.is_empty() {
        return Ok(items);
    }
    let further = search.kind.further().iter().map(|(name, _)| (*name).to_owned());
    let mut found: Vec<String> = further.filter(|name| name.starts_with(begins)).collect();
    let keys = format!("mapKeys({})", search.kind.attributes());
    let condition = search.condition(search.from, search.to);
    let known = most_frequent(search, &condition, &keys, begins).await?;
    found.extend(known.into_iter().map(|found| found.value));
    items.extend(found.into_iter().map(name));
    items.truncate(MAX_SUGGESTIONS);
    Ok(items)
}

async fn values(search: &Search, field: &Field, begins: &str) -> Result<Vec<Suggestion>, TelemetryError> {
    let (text, key) = match field {
        Field::Keyword(keyword) => (search.kind.keyword(*keyword).to_owned(), ""),
        Field::Attribute(path) if !path.is_empty() => match search.kind.attribute(path) {
            Place::Key { map, key } => (format!("{map}[{{key:String}}]"), key),
            Place::Text(text) => (text.to_owned(), ""),
            Place::Number(_) => return Ok(Vec::new()),
        },
        Field::Text(_) | Field::Time | Field::Attribute(_) => return Ok(Vec::new()),
    };
    let condition = search.condition(search.from, search.to).named("key", key);
    let found = most_frequent(search, &condition, &format!("[{text}]"), begins).await?;
    let suggestion = |found: Found| Suggestion {
        text: suggested_value(&found.value),
        count: Some(found.records),
    };
    Ok(found.into_iter().map(suggestion).collect())
}

/// The most frequent of each record's texts that begin as was typed, in any case.
async fn most_frequent(search: &Search, condition: &Condition, texts: &str, begins: &str) -> Result<Vec<Found>, TelemetryError> {
    let sql = format!(
        "SELECT arrayJoin(found) AS value, count() AS records FROM (\
           SELECT {texts} AS found FROM {table} WHERE {condition} ORDER BY Timestamp DESC LIMIT {LOOKED_AT}) \
         WHERE notEmpty(value) AND startsWith(lowerUTF8(value), {{begins:String}}) \
         GROUP BY value ORDER BY records DESC, value LIMIT {MAX_SUGGESTIONS}",
        table = search.kind.table(),
        condition = condition.sql,
    );
    condition
        .bind(search.query(&sql))
        .param("begins", begins.to_lowercase())
        .fetch_all()
        .await
}
