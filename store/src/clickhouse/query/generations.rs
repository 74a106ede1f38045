//! Generations: which computation of a minute is the current one.
//!
//! The numbers rise with the clock but never fall, so that a clock that is set back cannot bury a newer
//! computation under an older one.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::{Deserialize, Serialize};

use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// What is computed minute by minute, or window by window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Computed {
    /// `buckets_10s`, by minute.
    Buckets,
    /// `profiles_minute`, by minute.
    Profiles,
    /// Drift signals of a window of this many seconds, by the window's end; the generation is the highest
    /// one of the profiles that they were computed from.
    Drift(u32),
}

impl Computed {
    /// Its name in `minute_generations`.
    pub fn name(self) -> String {
        match self {
            Self::Buckets => "buckets".to_owned(),
            Self::Profiles => "profiles".to_owned(),
            Self::Drift(seconds) => format!("drift_{seconds}"),
        }
    }
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct GenerationRow {
    consumer: String,
    model: String,
    minute: u32,
    generation: u64,
}

/// The generation of one window.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct WindowGeneration {
    /// The model.
    pub model: String,
    /// The window's end, in Unix seconds.
    pub window_end: i64,
    /// The generation.
    pub generation: u64,
}

/// Makes `generation` the current one of these minutes.
///
/// # Errors
/// The insert failed; the minutes keep their generation.
pub async fn write_generations(
    clickhouse: &ClickHouse,
    computed: Computed,
    model: &str,
    minutes: &[i64],
    generation: u64,
) -> Result<(), Error> {
    let mut insert = clickhouse.writer().insert::<GenerationRow>("minute_generations").await?;
    for &minute in minutes {
        let row = GenerationRow {
            consumer: computed.name(),
            model: model.to_owned(),
            minute: u32::try_from(minute).unwrap_or(0),
            generation,
        };
        insert.write(&row).await?;
    }
    insert.end().await
}

/// The highest generation there is, 0 where there is none.
///
/// # Errors
/// The query failed.
pub async fn highest_generation(clickhouse: &ClickHouse) -> Result<u64, Error> {
    let sql = "SELECT max(generation) FROM minute_generations WHERE consumer IN ('buckets', 'profiles')";
    clickhouse.reader().query(sql).fetch_one().await
}

/// For each window of `window_seconds` (counted from 1970) since `from` the highest generation of the
/// profiles in it, keyed by the window's end.
///
/// # Errors
/// The query failed.
pub async fn profile_generations(clickhouse: &ClickHouse, from: UnixNanos, window_seconds: u32) -> Result<Vec<WindowGeneration>, Error> {
    let sql = "SELECT model, (intDiv(toInt64(toUnixTimestamp(minute)), {window:Int64}) + 1) * {window:Int64} AS window_end, \
                 max(generation) AS generation \
               FROM minute_generations WHERE consumer = 'profiles' AND minute >= toDateTime({from:Int64}, 'UTC') \
               GROUP BY model, window_end ORDER BY window_end, model";
    clickhouse
        .reader()
        .query(sql)
        .param("from", from.seconds().max(0))
        .param("window", i64::from(window_seconds))
        .fetch_all()
        .await
}

/// The highest generation of the profiles of one model with minutes from `from` up to and not including
/// `until`; `None` where there are none.
///
/// # Errors
/// The query failed.
pub async fn profile_generation_between(
    clickhouse: &ClickHouse,
    model: &str,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Option<u64>, Error> {
    let sql = "SELECT max(generation) FROM minute_generations WHERE consumer = 'profiles' AND model = {model:String} \
                 AND minute >= toDateTime({from:Int64}, 'UTC') AND minute < toDateTime({until:Int64}, 'UTC')";
    let generation: u64 = clickhouse
        .reader()
        .query(sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_one()
        .await?;
    Ok((generation > 0).then_some(generation))
}

/// What windows of this kind were computed from, by model and window end, since `from`.
///
/// # Errors
/// The query failed.
pub async fn window_generations(clickhouse: &ClickHouse, computed: Computed, from: UnixNanos) -> Result<Vec<WindowGeneration>, Error> {
    let sql = "SELECT model, toInt64(toUnixTimestamp(minute)) AS window_end, max(generation) AS generation FROM minute_generations \
               WHERE consumer = {consumer:String} AND minute >= toDateTime({from:Int64}, 'UTC') \
               GROUP BY model, window_end ORDER BY window_end, model";
    clickhouse
        .reader()
        .query(sql)
        .param("consumer", computed.name())
        .param("from", from.seconds().max(0))
        .fetch_all()
        .await
}

/// The newest minute of a model that was profiled; `None` where there is none.
///
/// # Errors
/// The query failed.
pub async fn newest_profiled_minute(clickhouse: &ClickHouse, model: &str) -> Result<Option<UnixNanos>, Error> {
    let sql = "SELECT toInt64(toUnixTimestamp(max(minute))) FROM minute_generations WHERE consumer = 'profiles' AND model = {model:String}";
    let seconds: i64 = clickhouse.reader().query(sql).param("model", model).fetch_one().await?;
    Ok((seconds > 0).then(|| UnixNanos::from_seconds(seconds)))
}
