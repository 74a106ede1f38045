//! What new or late data made dirty: which minutes of which models have to be computed again, and for
//! whom. Coalesced, durable, and bounded: too many minutes become whole hours.
//!
//! The drain marks after a batch is in ClickHouse and before it commits it, so nothing is missed; a crash
//! between the two marks again, which is harmless. A consumer takes marks, works, and clears them by
//! their number: a mark that was made again meanwhile has another number and stays.

use std::collections::{BTreeSet, HashMap};

use sqlx::{QueryBuilder, Row, Sqlite};

use super::{State, StateError};
use crate::clock::UnixNanos;

/// Most minutes held for one consumer, two weeks of one model; past it all of them become hours, so that
/// a long back-fill costs one computation per hour instead of sixty.
pub const MAX_DIRTY_MINUTES: u32 = 20_000;
/// Rows per statement: well below SQLite's bound on parameters.
const ROWS_PER_STATEMENT: usize = 500;
const MINUTE_SECONDS: i64 = 60;
const HOUR_SECONDS: i64 = 3_600;

/// Who computes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DirtyConsumer {
    /// `buckets_10s`. Marked: minutes (by event time) in which inferences came or changed.
    Buckets,
    /// `profiles_minute`. Marked as [`DirtyConsumer::Buckets`].
    Profiles,
    /// Signals that need outcomes. Marked: minutes (by event time) of inferences that an outcome came for, as far as
    /// the drain knows them, also when the outcome came first.
    Quality,
    /// The same signals. Marked: minutes in which outcomes were *received* whose inferences the drain does not know.
    /// They may belong to inferences of any minute; which ones, `outcomes` and `inferences` say.
    Outcomes,
}

impl DirtyConsumer {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buckets => "buckets",
            Self::Profiles => "profiles",
            Self::Quality => "quality",
            Self::Outcomes => "outcomes",
        }
    }
}

/// A minute or an hour of a model that has to be computed again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirtyMark {
    /// Whom it is for.
    pub consumer: DirtyConsumer,
    /// The model.
    pub model: String,
    /// Where it begins.
    pub start: UnixNanos,
    /// How long it is: 60, or 3600 where minutes were coarsened.
    pub seconds: i64,
    mark: i64,
}

impl DirtyMark {
    /// Where it ends, exclusively.
    pub fn end(&self) -> UnixNanos {
        self.start.plus_seconds(self.seconds)
    }
}

impl State {
    /// Marks the minutes that hold these instants, for each of the consumers.
    ///
    /// # Errors
    /// The database refused; nothing is marked.
    pub async fn mark_dirty(&self, consumers: &[DirtyConsumer], instants: &[(String, UnixNanos)]) -> Result<(), StateError> {
        let minutes: BTreeSet<(&str, i64)> = instants
            .iter()
            .map(|(model, at)| (model.as_str(), at.floor_to(MINUTE_SECONDS).seconds()))
            .collect();
        if minutes.is_empty() || consumers.is_empty() {
            return Ok(());
        }
        let minutes: Vec<_> = minutes.into_iter().collect();
        let mark = new_mark();
        let mut transaction = self.begin().await?;
        for consumer in consumers {
            for rows in minutes.chunks(ROWS_PER_STATEMENT) {
                let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO dirty_minutes (consumer, model, minute, seconds, mark) ");
                insert.push_values(rows, |mut row, (model, minute)| {
                    row.push_bind(consumer.name())
                        .push_bind(*model)
                        .push_bind(*minute)
                        .push_bind(MINUTE_SECONDS)
                        .push_bind(mark);
                });
                insert.push(" ON CONFLICT (consumer, model, minute, seconds) DO UPDATE SET mark = excluded.mark");
                insert.build().execute(&mut *transaction).await?;
            }
            coarsen(&mut transaction, *consumer, mark).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Up to `limit` marks, newest minutes first, so that the present does not wait for a back-fill.
    ///
    /// # Errors
    /// The database refused.
    pub async fn take_dirty(&self, consumer: DirtyConsumer, limit: u32) -> Result<Vec<DirtyMark>, StateError> {
        let rows =
            sqlx::query("SELECT model, minute, seconds, mark FROM dirty_minutes WHERE consumer = $1 ORDER BY minute DESC, model LIMIT $2")
                .bind(consumer.name())
                .bind(i64::from(limit))
                .fetch_all(self.pool())
                .await?;
        rows.iter()
            .map(|row| {
                Ok(DirtyMark {
                    consumer,
                    model: row.try_get("model")?,
                    start: UnixNanos::from_seconds(row.try_get("minute")?),
                    seconds: row.try_get("seconds")?,
                    mark: row.try_get("mark")?,
                })
            })
            .collect()
    }

    /// The start of the oldest mark of each model that has any.
    ///
    /// # Errors
    /// The database refused.
    pub async fn oldest_dirty(&self, consumer: DirtyConsumer) -> Result<HashMap<String, UnixNanos>, StateError> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT model, min(minute) FROM dirty_minutes WHERE consumer = ? GROUP BY model")
            .bind(consumer.name())
            .fetch_all(self.pool())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(model, minute)| (model, UnixNanos::from_seconds(minute)))
            .collect())
    }

    /// The minutes of a model (Unix seconds of their starts) between two instants that still have to be computed for
    /// a consumer, the newest first, `limit` at most.
    ///
    /// # Errors
    /// The database refused.
    pub async fn dirty_minutes_between(
        &self,
        consumer: DirtyConsumer,
        model: &str,
        from: UnixNanos,
        to: UnixNanos,
        limit: usize,
    ) -> Result<Vec<i64>, StateError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT minute, seconds FROM dirty_minutes WHERE consumer = ? AND model = ? AND minute < ? AND minute + seconds > ? \
             ORDER BY minute DESC LIMIT ?",
        )
        .bind(consumer.name())
        .bind(model)
        .bind(to.seconds())
        .bind(from.seconds())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await?;
        let minutes = rows
            .into_iter()
            .flat_map(|(start, seconds)| (0..seconds / MINUTE_SECONDS).map(move |minute| start + minute * MINUTE_SECONDS));
        let minutes: BTreeSet<i64> = minutes
            .filter(|&minute| minute >= from.floor_to(MINUTE_SECONDS).seconds() && minute < to.seconds())
            .collect();
        Ok(minutes.into_iter().rev().take(limit).collect())
    }

    /// Clears marks that were taken, but not those that were made again since.
    ///
    /// # Errors
    /// The database refused; what is not cleared is computed again.
    pub async fn clear_dirty(&self, marks: &[DirtyMark]) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        for mark in marks {
            sqlx::query("DELETE FROM dirty_minutes WHERE consumer = $1 AND model = $2 AND minute = $3 AND seconds = $4 AND mark = $5")
                .bind(mark.consumer.name())
                .bind(&mark.model)
                .bind(mark.start.seconds())
                .bind(mark.seconds)
                .bind(mark.mark)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// A number that no earlier mark has: only equality is ever asked.
fn new_mark() -> i64 {
    rand::random()
}

/// Turns all minutes of a consumer into hours when there are too many.
async fn coarsen(transaction: &mut sqlx::Transaction<'_, Sqlite>, consumer: DirtyConsumer, mark: i64) -> Result<(), StateError> {
    let minutes: i64 = sqlx::query_scalar("SELECT count(*) FROM dirty_minutes WHERE consumer = $1 AND seconds = $2")
        .bind(consumer.name())
        .bind(MINUTE_SECONDS)
        .fetch_one(&mut **transaction)
        .await?;
    if minutes <= i64::from(MAX_DIRTY_MINUTES) {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO dirty_minutes (consumer, model, minute, seconds, mark)
         SELECT DISTINCT consumer, model, minute - minute % $1, $1, $2 FROM dirty_minutes WHERE consumer = $3 AND seconds = $4
         ON CONFLICT (consumer, model, minute, seconds) DO UPDATE SET mark = excluded.mark",
    )
    .bind(HOUR_SECONDS)
    .bind(mark)
    .bind(consumer.name())
    .bind(MINUTE_SECONDS)
    .execute(&mut **transaction)
    .await?;
    sqlx::query("DELETE FROM dirty_minutes WHERE consumer = $1 AND seconds = $2")
        .bind(consumer.name())
        .bind(MINUTE_SECONDS)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn state() -> (State, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        (state, folder)
    }

    async fn count(state: &State, consumer: DirtyConsumer) -> u64 {
        state.take_dirty(consumer, u32::MAX).await.unwrap().len() as u64
    }

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    #[tokio::test]
    async fn marks_are_coalesced_by_minute_and_kept_per_consumer() {
        let (state, _folder) = state().await;
        let instants = [
            ("m".to_owned(), at(61)),
            ("m".to_owned(), at(119)),
            ("m".to_owned(), at(120)),
            ("n".to_owned(), at(61)),
        ];
        state
            .mark_dirty(&[DirtyConsumer::Buckets, DirtyConsumer::Profiles], &instants)
            .await
            .unwrap();
        for consumer in [DirtyConsumer::Buckets, DirtyConsumer::Profiles] {
            let taken = state.take_dirty(consumer, 10).await.unwrap();
            let named: Vec<_> = taken
                .iter()
                .map(|mark| (mark.model.as_str(), mark.start.seconds(), mark.seconds))
                .collect();
            assert_eq!(named, [("m", 120, 60), ("m", 60, 60), ("n", 60, 60)]);
        }
        assert_eq!(count(&state, DirtyConsumer::Quality).await, 0);
    }

    #[tokio::test]
    async fn the_newest_dirty_minutes_of_a_stretch_are_listed() {
        let (state, _folder) = state().await;
        let consumer = DirtyConsumer::Profiles;
        let marks = [60, 120, 180, 240].map(|seconds| ("m".to_owned(), at(seconds)));
        state.mark_dirty(&[consumer], &marks).await.unwrap();
        let oldest = state.oldest_dirty(consumer).await.unwrap();
        assert_eq!(oldest, HashMap::from([("m".to_owned(), at(60))]));
        for (model, from, to, limit, expected) in [
            ("m", 90, 240, 10, vec![180, 120, 60]),
            ("m", 120, 241, 2, vec![240, 180]),
            ("m", 300, 900, 10, vec![]),
            ("n", 0, 900, 10, vec![]),
        ] {
            let found = state.dirty_minutes_between(consumer, model, at(from), at(to), limit).await.unwrap();
            assert_eq!(found, expected, "{model} {from} {to}");
        }
    }

    #[tokio::test]
    async fn a_mark_made_while_the_consumer_worked_survives() {
        let (state, _folder) = state().await;
        let consumer = DirtyConsumer::Profiles;
        let both = [("m".to_owned(), at(60)), ("m".to_owned(), at(120))];
        state.mark_dirty(&[consumer], &both).await.unwrap();
        let taken = state.take_dirty(consumer, 10).await.unwrap();
        state.mark_dirty(&[consumer], &both[..1]).await.unwrap();
        state.clear_dirty(&taken).await.unwrap();
        let left = state.take_dirty(consumer, 10).await.unwrap();
        assert_eq!(left.iter().map(|mark| mark.start).collect::<Vec<_>>(), [at(60)]);
        state.clear_dirty(&left).await.unwrap();
        assert_eq!(count(&state, consumer).await, 0);
    }

    #[tokio::test]
    async fn too_many_minutes_become_hours_and_those_can_be_marked_again() {
        let (state, _folder) = state().await;
        let consumer = DirtyConsumer::Buckets;
        let all: Vec<_> = (0..=i64::from(MAX_DIRTY_MINUTES))
            .map(|minute| ("m".to_owned(), at(minute * 60)))
            .collect();
        state.mark_dirty(&[consumer], &all[1..]).await.unwrap();
        assert_eq!(count(&state, consumer).await, u64::from(MAX_DIRTY_MINUTES));
        state.mark_dirty(&[consumer], &all).await.unwrap();
        let hours = state.take_dirty(consumer, u32::MAX).await.unwrap();
        assert_eq!(hours.len() as u64, u64::from(MAX_DIRTY_MINUTES).div_ceil(60));
        assert!(hours.iter().all(|hour| hour.seconds == 3_600 && hour.start.seconds() % 3_600 == 0));
        state.mark_dirty(&[consumer], &all).await.unwrap();
        state.clear_dirty(&hours).await.unwrap();
        assert_eq!(count(&state, consumer).await, hours.len() as u64);
    }
}
