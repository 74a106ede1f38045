//! `profiles_hour` and `profiles_day`: the profiles of whole hours and days, rolled up from shorter ones.
//!
//! A rollup carries the generation of the newest minute that it was made from. It is current while no minute in it has a
//! newer one, and only then read; so nothing has to be told when minutes change, and a crash leaves nothing wrong.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::{Deserialize, Serialize};

use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;
use crate::records::{MAX_CATEGORIES, OTHER_CATEGORIES};

/// Age from which on minutes may have been deleted, in seconds: what was rolled up before is read as it is, and never made
/// again.
pub const MINUTES_RETAINED_SECONDS: i64 = 13 * 86_400;

/// Length of a rollup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RollupLength {
    /// An hour, from minutes.
    Hour,
    /// A day of UTC, from hours.
    Day,
}

impl RollupLength {
    /// In seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

/// An hour or a day of a model, and from which generation it is.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct RollupGeneration {
    /// The model.
    pub model: String,
    /// Its length in seconds.
    pub seconds: u32,
    /// Its begin, in Unix seconds.
    pub begin: i64,
    /// The generation.
    pub generation: u64,
}

#[derive(Debug, Row, Serialize)]
struct WrittenGeneration {
    model: String,
    seconds: u32,
    start: u32,
    generation: u64,
}

/// The rollups of a model, or of all, that begin from `from` up to and not including `until`.
///
/// # Errors
/// The query failed.
pub async fn rollup_generations(
    clickhouse: &ClickHouse,
    model: Option<&str>,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<RollupGeneration>, Error> {
    let sql = "SELECT model, seconds, toInt64(toUnixTimestamp(start)) AS begin, max(generation) AS generation FROM rollup_generations \
               WHERE ({any_model:Bool} OR model = {model:String}) \
                 AND start >= toDateTime({from:Int64}, 'UTC') AND start < toDateTime({until:Int64}, 'UTC') \
               GROUP BY model, seconds, begin";
    clickhouse
        .reader()
        .query(sql)
        .param("any_model", model.is_none())
        .param("model", model.unwrap_or_default())
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await
}

/// The newest generation of the minutes of each hour of a model, or of all, with minutes from `from` up to and not
/// including `until`, by the hour's begin.
///
/// # Errors
/// The query failed.
pub async fn hours_profiled(
    clickhouse: &ClickHouse,
    model: Option<&str>,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<RollupGeneration>, Error> {
    let sql = "SELECT model, toUInt32(3600) AS seconds, toInt64(toUnixTimestamp(toStartOfHour(minute))) AS begin, \
                 max(generation) AS generation \
               FROM minute_generations \
               WHERE consumer = 'profiles' AND ({any_model:Bool} OR model = {model:String}) \
                 AND minute >= toDateTime({from:Int64}, 'UTC') AND minute < toDateTime({until:Int64}, 'UTC') \
               GROUP BY model, begin ORDER BY begin, model";
    clickhouse
        .reader()
        .query(sql)
        .param("any_model", model.is_none())
        .param("model", model.unwrap_or_default())
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await
}

/// Rolls up one hour or day of a model, and makes the result current as of `generation`, that of its newest minute. All its
/// minutes, or its hours, have to be current.
///
/// # Errors
/// A query failed; what was current before still is, where nothing newer came.
pub async fn write_rollup(clickhouse: &ClickHouse, model: &str, length: RollupLength, start: i64, generation: u64) -> Result<(), Error> {
    let (table, source) = match length {
        RollupLength::Hour => ("profiles_hour", CURRENT_MINUTES),
        RollupLength::Day => ("profiles_day", CURRENT_HOURS),
    };
    let sql = format!(
        "INSERT INTO {table} (model, start, generation, environment, version, segment, arm, feature, inferences, absent, `nan`, \
           positive_infinity, negative_infinity, bucket_keys, bucket_counts, values, value_counts) \
         SELECT {{model:String}}, toDateTime({{start:Int64}}, 'UTC'), {{generation:UInt64}}, environment, version, segment, arm, feature, \
           max(whole) OVER (PARTITION BY environment, version, segment, arm) AS inferences, \
           if(feature = '', 0, inferences - present) AS absent, nans, positives, negatives, \
           CAST(buckets.1, 'Array(Int32)'), CAST(buckets.2, 'Array(UInt64)'), \
           if(rest > 0, arrayPushBack(kept.1, {{other:String}}), kept.1), if(rest > 0, arrayPushBack(kept.2, rest), kept.2) \
         FROM (\
           SELECT environment, version, segment, arm, feature, sumIf(n, feature = '') AS whole, sumIf(n - nothing, feature != '') AS present, \
             sum(nan_n) AS nans, sum(positive_n) AS positives, sum(negative_n) AS negatives, \
             sumMap(bucket_keys, bucket_counts) AS buckets, sumMap(values, value_counts) AS categories, \
             arraySlice(arraySort(x -> (-toInt64(x.2), x.1), arrayFilter(x -> x.1 != {{other:String}}, arrayZip(categories.1, categories.2))), \
               1, {MAX_CATEGORIES}) AS sorted, \
             (CAST(sorted.1, 'Array(String)'), CAST(sorted.2, 'Array(UInt64)')) AS kept, \
             toUInt64(arraySum(categories.2) - arraySum(kept.2)) AS rest \
           FROM {source} GROUP BY environment, version, segment, arm, feature)"
    );
    clickhouse
        .writer()
        .query(&sql)
        .param("model", model)
        .param("start", start)
        .param("end", start + length.seconds())
        .param("generation", generation)
        .param("other", OTHER_CATEGORIES)
        .execute()
        .await?;
    let mut insert = clickhouse.writer().insert::<WrittenGeneration>("rollup_generations").await?;
    let row = WrittenGeneration {
        model: model.to_owned(),
        seconds: u32::try_from(length.seconds()).unwrap_or(u32::MAX),
        start: u32::try_from(start).unwrap_or(0),
        generation,
    };
    insert.write(&row).await?;
    insert.end().await
}

/// The current minutes of an hour.
const CURRENT_MINUTES: &str = "(\
    SELECT environment, version, segment, arm, feature, inferences AS n, absent AS nothing, `nan` AS nan_n, \
      positive_infinity AS positive_n, negative_infinity AS negative_n, bucket_keys, bucket_counts, values, value_counts \
    FROM (SELECT * FROM profiles_minute FINAL WHERE model = {model:String} \
      AND minute >= toDateTime({start:Int64}, 'UTC') AND minute < toDateTime({end:Int64}, 'UTC')) AS profiles \
    INNER JOIN (SELECT minute, max(generation) AS current FROM minute_generations \
      WHERE consumer = 'profiles' AND model = {model:String} \
        AND minute >= toDateTime({start:Int64}, 'UTC') AND minute < toDateTime({end:Int64}, 'UTC') GROUP BY minute) AS generations \
    USING (minute) WHERE generation >= current)";

/// The hours of a day that were rolled up.
const CURRENT_HOURS: &str = "(\
    SELECT environment, version, segment, arm, feature, inferences AS n, absent AS nothing, `nan` AS nan_n, \
      positive_infinity AS positive_n, negative_infinity AS negative_n, bucket_keys, bucket_counts, values, value_counts \
    FROM (SELECT * FROM profiles_hour FINAL WHERE model = {model:String} \
      AND start >= toDateTime({start:Int64}, 'UTC') AND start < toDateTime({end:Int64}, 'UTC')) AS profiles \
    INNER JOIN (SELECT start, max(generation) AS current FROM rollup_generations \
      WHERE seconds = 3600 AND model = {model:String} \
        AND start >= toDateTime({start:Int64}, 'UTC') AND start < toDateTime({end:Int64}, 'UTC') GROUP BY start) AS generations \
    USING (start) WHERE generation >= current)";
