//! Patterns of error messages, and in which versions they were met.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, QueryBuilder, Row, Sqlite};

use super::{State, StateError};
use crate::clock::UnixNanos;
use crate::patterns::{KnownPatterns, LearntPattern, PatternId, PatternNews, PatternSighting, Template};

/// Rows per statement: well below SQLite's bound on parameters.
const ROWS_PER_STATEMENT: usize = 500;

impl FromRow<'_, SqliteRow> for PatternSighting {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            pattern: id(row)?,
            service: row.try_get("service")?,
            model: row.try_get("model")?,
            version: row.try_get("version")?,
            environment: row.try_get("environment")?,
            first_event_time: UnixNanos(row.try_get("first_event_time")?),
            last_event_time: UnixNanos(row.try_get("last_event_time")?),
        })
    }
}

fn id(row: &SqliteRow) -> Result<PatternId, sqlx::Error> {
    let text: String = row.try_get("pattern_id")?;
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn learnt(row: &SqliteRow) -> Result<LearntPattern, StateError> {
    let template: String = row.try_get("template")?;
    Ok(LearntPattern {
        id: id(row)?,
        template: serde_json::from_str(&template)?,
    })
}

/// The rows that are about these patterns.
fn of_patterns(select: &'static str, ids: &[PatternId]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(select);
    query.push(" WHERE pattern_id IN (");
    let mut values = query.separated(", ");
    for id in ids {
        values.push_bind(id.to_string());
    }
    query.push(")");
    query
}

impl State {
    /// What is known of patterns: the `limit` that were met last, in the order in which they were learnt, and all sightings.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known_patterns(&self, limit: usize) -> Result<KnownPatterns, StateError> {
        let rows = sqlx::query(
            "SELECT pattern_id, template FROM (\
               SELECT pattern_id, template, learnt_order, \
                 (SELECT max(last_event_time) FROM pattern_sightings WHERE pattern_sightings.pattern_id = patterns.pattern_id) AS met \
               FROM patterns ORDER BY met DESC NULLS LAST, pattern_id LIMIT $1) AS latest \
             ORDER BY learnt_order, pattern_id",
        )
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await?;
        Ok(KnownPatterns {
            patterns: rows.iter().map(learnt).collect::<Result<_, _>>()?,
            sightings: sqlx::query_as("SELECT * FROM pattern_sightings").fetch_all(self.pool()).await?,
        })
    }

    /// Keeps what was learnt; the same news twice are kept once.
    ///
    /// # Errors
    /// The database cannot be written; then nothing is kept.
    pub async fn keep_patterns(&self, news: &PatternNews) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        let mut order: i64 = sqlx::query_scalar("SELECT COALESCE(max(learnt_order) + 1, 0) FROM patterns")
            .fetch_one(&mut *transaction)
            .await?;
        for pattern in &news.patterns {
            sqlx::query(
                "INSERT INTO patterns (pattern_id, template, learnt_order) VALUES ($1, $2, $3) \
                 ON CONFLICT (pattern_id) DO UPDATE SET template = excluded.template",
            )
            .bind(pattern.id.to_string())
            .bind(serde_json::to_string(&pattern.template)?)
            .bind(order)
            .execute(&mut *transaction)
            .await?;
            order += 1;
        }
        for seen in &news.sightings {
            sqlx::query(
                "INSERT INTO pattern_sightings (pattern_id, service, model, version, environment, first_event_time, last_event_time) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (pattern_id, service, model, version, environment) DO UPDATE SET \
                 first_event_time = CASE WHEN excluded.first_event_time < first_event_time \
                   THEN excluded.first_event_time ELSE first_event_time END, \
                 last_event_time = CASE WHEN excluded.last_event_time > last_event_time \
                   THEN excluded.last_event_time ELSE last_event_time END",
            )
            .bind(seen.pattern.to_string())
            .bind(&seen.service)
            .bind(&seen.model)
            .bind(&seen.version)
            .bind(&seen.environment)
            .bind(seen.first_event_time.0)
            .bind(seen.last_event_time.0)
            .execute(&mut *transaction)
            .await?;
        }
        if let Some(before) = news.forget_before {
            sqlx::query("DELETE FROM pattern_sightings WHERE last_event_time < $1")
                .bind(before.0)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("DELETE FROM patterns WHERE pattern_id NOT IN (SELECT pattern_id FROM pattern_sightings)")
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The templates of these patterns, as far as they are known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pattern_templates(&self, ids: &[PatternId]) -> Result<HashMap<PatternId, Template>, StateError> {
        let mut templates = HashMap::new();
        for ids in ids.chunks(ROWS_PER_STATEMENT) {
            let mut query = of_patterns("SELECT pattern_id, template FROM patterns", ids);
            for row in query.build().fetch_all(self.pool()).await? {
                let pattern = learnt(&row)?;
                templates.insert(pattern.id, pattern.template);
            }
        }
        Ok(templates)
    }

    /// Where these patterns were met, the first one first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pattern_sightings(&self, ids: &[PatternId]) -> Result<Vec<PatternSighting>, StateError> {
        let mut sightings = Vec::new();
        for ids in ids.chunks(ROWS_PER_STATEMENT) {
            let mut query = of_patterns("SELECT * FROM pattern_sightings", ids);
            sightings.extend(query.build_query_as::<PatternSighting>().fetch_all(self.pool()).await?);
        }
        sightings.sort_by(|a, b| {
            (a.first_event_time, a.pattern, &a.version, &a.service).cmp(&(b.first_event_time, b.pattern, &b.version, &b.service))
        });
        Ok(sightings)
    }

    /// Where a model's patterns were met in one environment, the first one first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pattern_sightings_of_model(&self, model: &str, environment: &str) -> Result<Vec<PatternSighting>, StateError> {
        Ok(sqlx::query_as(
            "SELECT * FROM pattern_sightings WHERE model = $1 AND environment = $2 \
             ORDER BY first_event_time, pattern_id, version, service",
        )
        .bind(model)
        .bind(environment)
        .fetch_all(self.pool())
        .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(number: u64, text: &str) -> LearntPattern {
        LearntPattern {
            id: PatternId(number),
            template: Template(text.split(' ').map(|word| (word != "_").then(|| word.to_owned())).collect()),
        }
    }

    fn seen(number: u64, version: &str, first: i64, last: i64) -> PatternSighting {
        PatternSighting {
            pattern: PatternId(number),
            service: "s".into(),
            model: "m".into(),
            version: version.into(),
            environment: String::new(),
            first_event_time: UnixNanos(first),
            last_event_time: UnixNanos(last),
        }
    }

    fn news(patterns: Vec<LearntPattern>, sightings: Vec<PatternSighting>) -> PatternNews {
        PatternNews {
            patterns,
            sightings,
            forget_before: None,
        }
    }

    async fn state() -> (State, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        (state, folder)
    }

    #[tokio::test]
    async fn what_was_learnt_is_known_in_its_order_with_its_latest_template() {
        let (state, _folder) = state().await;
        let first = news(
            vec![pattern(9, "user alice left"), pattern(2, "out of memory")],
            vec![seen(9, "1.0", 50, 60), seen(2, "1.0", 70, 70)],
        );
        state.keep_patterns(&first).await.unwrap();
        state.keep_patterns(&first).await.unwrap();
        let second = news(
            vec![pattern(9, "user _ left")],
            vec![seen(9, "1.0", 40, 55), seen(9, "1.1", 80, 80)],
        );
        state.keep_patterns(&second).await.unwrap();
        let known = state.known_patterns(10).await.unwrap();
        assert_eq!(known.patterns, [pattern(9, "user _ left"), pattern(2, "out of memory")]);
        let sightings = state.pattern_sightings(&[PatternId(9), PatternId(2), PatternId(3)]).await.unwrap();
        assert_eq!(sightings, [seen(9, "1.0", 40, 60), seen(2, "1.0", 70, 70), seen(9, "1.1", 80, 80)]);
        assert_eq!(state.pattern_sightings_of_model("m", "").await.unwrap(), sightings);
        assert_eq!(state.pattern_sightings_of_model("m", "production").await.unwrap(), []);
        let templates = state.pattern_templates(&[PatternId(9), PatternId(3)]).await.unwrap();
        assert_eq!(templates, HashMap::from([(PatternId(9), pattern(9, "user _ left").template)]));
        let latest = state.known_patterns(1).await.unwrap();
        assert_eq!(latest.patterns, [pattern(9, "user _ left")], "the one that was met last");
        assert_eq!(latest.sightings.len(), 3);
    }

    #[tokio::test]
    async fn what_is_forgotten_goes_with_its_template() {
        let (state, _folder) = state().await;
        let all = news(
            vec![pattern(1, "a"), pattern(2, "b")],
            vec![seen(1, "1.0", 10, 20), seen(2, "1.0", 10, 30), seen(2, "0.9", 1, 2)],
        );
        state.keep_patterns(&all).await.unwrap();
        let forget = PatternNews {
            forget_before: Some(UnixNanos(30)),
            ..PatternNews::default()
        };
        state.keep_patterns(&forget).await.unwrap();
        let known = state.known_patterns(10).await.unwrap();
        assert_eq!(
            (known.patterns, known.sightings),
            (vec![pattern(2, "b")], vec![seen(2, "1.0", 10, 30)])
        );
    }
}
