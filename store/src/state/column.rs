//! Reading structured columns: enumerations kept as text, values kept as JSON; and asking for many ids at once.

use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

/// Ids that one query lists at most: every database takes so many parameters.
pub(super) const MAX_LISTED: usize = 500;

/// Appends `(…, …)`; an empty list matches nothing.
pub(super) fn push_list(query: &mut QueryBuilder<Sqlite>, ids: &[String]) {
    query.push("(");
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.clone());
    }
    query.push(")");
}

/// A text column that names a variant of a `#[serde(rename_all = …)]` enumeration.
pub(super) fn text_enum<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_value(serde_json::Value::String(text)).map_err(|source| undecodable(column, source))
}

/// A text column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|source| undecodable(column, source))
}

/// A text column that holds JSON or NULL.
pub(super) fn optional_json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|source| undecodable(column, source)))
        .transpose()
}

fn undecodable(column: &str, source: serde_json::Error) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    }
}
