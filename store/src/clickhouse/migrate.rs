//! Migrations of ClickHouse: `migrations/clickhouse/*.sql` in order, each once; and how long rows are kept.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{ClickHouse, TelemetryError};

/// The files in their order. Statements end with a semicolon at the end of a line.
const MIGRATIONS: [(&str, &str); 10] = [
    ("0001_raw", include_str!("../../migrations/clickhouse/0001_raw.sql")),
    ("0002_own", include_str!("../../migrations/clickhouse/0002_own.sql")),
    (
        "0003_version_sightings",
        include_str!("../../migrations/clickhouse/0003_version_sightings.sql"),
    ),
    ("0004_superseded", include_str!("../../migrations/clickhouse/0004_superseded.sql")),
    ("0005_merges", include_str!("../../migrations/clickhouse/0005_merges.sql")),
    ("0006_sessions", include_str!("../../migrations/clickhouse/0006_sessions.sql")),
    ("0007_search", include_str!("../../migrations/clickhouse/0007_search.sql")),
    (
        "0008_labelled_scores",
        include_str!("../../migrations/clickhouse/0008_labelled_scores.sql"),
    ),
    ("0009_embeddings", include_str!("../../migrations/clickhouse/0009_embeddings.sql")),
    ("0010_rollups", include_str!("../../migrations/clickhouse/0010_rollups.sql")),
];

const APPLIED_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
    (name String, checksum UInt64, applied_at DateTime DEFAULT now()) ENGINE = ReplacingMergeTree(applied_at) ORDER BY name";

const RETENTION_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_retention \
    (table_name String, ttl String, applied_at DateTime64(6) DEFAULT now64(6)) ENGINE = ReplacingMergeTree(applied_at) ORDER BY table_name";

/// Why the tables are not as this version needs them.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database did not take a statement.
    #[error("the migration {name} failed: {source}")]
    Statement {
        /// The file.
        name: String,
        /// Why.
        source: TelemetryError,
    },
    /// A newer version has been here.
    #[error("the tables were made by a newer version (it applied {0}, which this version does not know): run that version or a newer one")]
    Newer(String),
    /// A migration is not the one that was applied.
    #[error("the migration {0} is not the one that these tables were made with: this is not a release, or the data is another product's")]
    Changed(String),
}

/// How long rows are kept, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Raw telemetry.
    pub raw_days: u32,
    /// Inferences and outcomes.
    pub inferences_days: u32,
    /// 10-second buckets and minute profiles.
    pub minute_profiles_days: u32,
    /// Signals.
    pub signals_days: u32,
}

#[derive(Row, Serialize, Deserialize)]
struct Applied {
    name: String,
    checksum: u64,
}

/// The TTL of a table as it was applied.
#[derive(Debug, PartialEq, Row, Serialize, Deserialize)]
struct AppliedTtl {
    table_name: String,
    ttl: String,
}

/// Makes the database and its tables what this version needs. Does nothing where they are.
///
/// # Errors
/// A statement failed (calling again goes on where it stopped: every statement may be repeated), or a newer version has been
/// here.
pub async fn migrate(clickhouse: &ClickHouse) -> Result<(), MigrateError> {
    let failed = |name: &str| {
        let name = name.to_owned();
        move |source| MigrateError::Statement { name, source }
    };
    clickhouse.create_database().await.map_err(failed("database"))?;
    let writer = clickhouse.writer();
    writer.query(APPLIED_TABLE).execute().await.map_err(failed("schema_migrations"))?;
    let applied = "SELECT name, argMax(checksum, applied_at) AS checksum FROM schema_migrations GROUP BY name ORDER BY name";
    let applied: Vec<Applied> = writer.query(applied).fetch_all().await.map_err(failed("schema_migrations"))?;
    if let Some(unknown) = applied
        .iter()
        .find(|applied| MIGRATIONS.iter().all(|(name, _)| *name != applied.name))
    {
        return Err(MigrateError::Newer(unknown.name.clone()));
    }
    for (name, sql) in MIGRATIONS {
        let checksum = xxh3_64(sql.as_bytes());
        match applied.iter().find(|applied| applied.name == name) {
            Some(applied) if applied.checksum == checksum => continue,
            Some(_) => return Err(MigrateError::Changed(name.to_owned())),
            None => {}
        }
        for statement in statements(sql) {
            writer.query(&escaped(&statement)).execute().await.map_err(failed(name))?;
        }
        let record = async {
            let mut insert = writer.insert::<Applied>("schema_migrations").await?;
            insert
                .write(&Applied {
                    name: name.to_owned(),
                    checksum,
                })
                .await?;
            insert.end().await
        };
        record.await.map_err(failed(name))?;
        tracing::info!(migration = name, "the tables were migrated");
    }
    Ok(())
}

/// Sets how long rows are kept. Where that changed, the parts that are there are told too: each keeps the instant of its
/// end as it was computed when it was written.
///
/// # Errors
/// A statement failed; calling again is harmless.
pub async fn apply_retention(clickhouse: &ClickHouse, retention: Retention) -> Result<(), TelemetryError> {
    let writer = clickhouse.writer();
    writer.query(RETENTION_TABLE).execute().await?;
    let applied = "SELECT table_name, argMax(ttl, applied_at) AS ttl FROM schema_retention GROUP BY table_name";
    let applied: Vec<AppliedTtl> = writer.query(applied).fetch_all().await?;
    for wanted in ttls(retention) {
        let known = applied.iter().find(|applied| applied.table_name == wanted.table_name);
        if known == Some(&wanted) {
            continue;
        }
        let AppliedTtl { table_name: table, ttl } = &wanted;
        let modify = format!("ALTER TABLE {table} MODIFY TTL {ttl} SETTINGS materialize_ttl_after_modify = 0");
        writer.query(&modify).execute().await?;
        if known.is_some() {
            writer.query(&format!("ALTER TABLE {table} MATERIALIZE TTL")).execute().await?;
            tracing::info!(table, ttl, "rows are kept for another time than before");
        }
        let mut insert = writer.insert::<AppliedTtl>("schema_retention").await?;
        insert.write(&wanted).await?;
        insert.end().await?;
    }
    Ok(())
}

/// Every table whose rows expire, and when.
fn ttls(retention: Retention) -> Vec<AppliedTtl> {
    let raw = retention.raw_days;
    let tables = [
        ("otel_logs", "toDateTime(Timestamp)", raw),
        ("otel_traces", "toDateTime(Timestamp)", raw),
        ("otel_traces_trace_id_ts", "toDateTime(Start)", raw),
        ("otel_metrics_gauge", "toDateTime(TimeUnix)", raw),
        ("otel_metrics_sum", "toDateTime(TimeUnix)", raw),
        ("otel_metrics_histogram", "toDateTime(TimeUnix)", raw),
        ("otel_metrics_exponential_histogram", "toDateTime(TimeUnix)", raw),
        ("otel_metrics_summary", "toDateTime(TimeUnix)", raw),
        ("inferences", "key_hour", retention.inferences_days),
        ("outcomes", "toDateTime(received_time)", retention.inferences_days),
        ("buckets_10s", "bucket_start", retention.minute_profiles_days),
        ("profiles_minute", "minute", retention.minute_profiles_days),
        ("minute_generations", "minute", retention.minute_profiles_days),
        ("profiles_hour", "start", retention.signals_days),
        ("profiles_day", "start", retention.signals_days),
        ("rollup_generations", "start", retention.signals_days),
        ("signals", "toDateTime(window_end)", retention.signals_days),
        ("labelled_scores", "hour", retention.signals_days),
        ("version_sightings", "toDateTime(last_event_time)", retention.signals_days),
    ];
    let ttl = |(table, time, days): (&str, &str, u32)| AppliedTtl {
        table_name: table.to_owned(),
        ttl: format!("{time} + toIntervalDay({days})"),
    };
    tables.map(ttl).into()
}

/// The statements of a file, without comment lines.
fn statements(sql: &str) -> Vec<String> {
    let code: Vec<&str> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join("\n");
    code.split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// The client takes `?` for the place of a parameter.
fn escaped(sql: &str) -> String {
    sql.replace('?', "??")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_into_statements() {
        let sql = "-- a comment; with a semicolon\nCREATE TABLE a\n(\n    x String\n);\n\nCREATE TABLE b (y String);\n";
        assert_eq!(statements(sql), ["CREATE TABLE a\n(\n    x String\n)", "CREATE TABLE b (y String)"]);
    }

    #[test]
    fn every_file_has_statements_and_they_may_be_repeated() {
        for (name, sql) in MIGRATIONS {
            let statements = statements(sql);
            assert!(!statements.is_empty(), "{name}");
            let repeatable = ["IF NOT EXISTS", "CREATE OR REPLACE", "MODIFY SETTING"];
            let may_be_repeated = |statement: &String| repeatable.iter().any(|words| statement.contains(words));
            assert!(statements.iter().all(may_be_repeated), "{name}");
        }
    }
}
