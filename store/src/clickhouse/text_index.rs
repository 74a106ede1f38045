//! An index of the words of log records, where the server has such indexes: searches then read the records that have a word
//! instead of all of them. It costs the inserts and merges of records with long texts, so it may be left out.

use clickhouse::Row;
use serde::Deserialize;

use super::{ClickHouse, TelemetryError};

/// Names of the indexes of `otel_logs` and what they index. Two: a search looks at one text or the other, and the server
/// uses indexes for that only where both have one.
const INDEXES: [(&str, &str); 2] = [("idx_body_words", "lower(Body)"), ("idx_event_name_words", "lower(EventName)")];

#[derive(Row, Deserialize)]
struct Known {
    name: String,
}

/// Makes the table have the indexes, or not. A server that knows none goes without.
///
/// # Errors
/// The database did not answer.
pub async fn apply(clickhouse: &ClickHouse, is_wanted: bool) -> Result<(), TelemetryError> {
    let known = known(clickhouse).await?;
    for (name, text) in INDEXES {
        let is_there = known.iter().any(|known| known == name);
        let statement = match (is_wanted, is_there) {
            (true, false) => {
                format!("ALTER TABLE otel_logs ADD INDEX IF NOT EXISTS {name} {text} TYPE text(tokenizer = 'splitByNonAlpha')")
            }
            (false, true) => format!("ALTER TABLE otel_logs DROP INDEX IF EXISTS {name}"),
            _ => continue,
        };
        match clickhouse.writer().query(&statement).execute().await {
            Ok(()) => tracing::info!(index = name, is_wanted, "the text index of log records was changed"),
            Err(TelemetryError::BadResponse(why)) => {
                tracing::warn!(
                    why,
                    "the text index of log records cannot be changed; where there is none, words are looked for by reading all records"
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the table has them.
///
/// # Errors
/// The database did not answer.
pub async fn is_there(clickhouse: &ClickHouse) -> Result<bool, TelemetryError> {
    Ok(known(clickhouse).await?.len() == INDEXES.len())
}

async fn known(clickhouse: &ClickHouse) -> Result<Vec<String>, TelemetryError> {
    let sql = "SELECT name FROM system.data_skipping_indices \
               WHERE database = currentDatabase() AND table = 'otel_logs' AND has({names:Array(String)}, name)";
    let known: Vec<Known> = clickhouse
        .reader()
        .query(sql)
        .param("names", INDEXES.map(|(name, _)| name).as_slice())
        .fetch_all()
        .await?;
    Ok(known.into_iter().map(|known| known.name).collect())
}
