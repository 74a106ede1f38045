//! Inferences whose input is that of another.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::minutes::SERVES;
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Inferences that are compared at most: a second or two of the engine's time.
const MAX_COMPARED: u64 = 2_000_000;
/// Different inputs that are held in memory at most, about.
const MAX_INPUTS: u64 = 500_000;

/// The inferences of one version and what their inputs have in common.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Duplicates {
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version; empty where senders state none.
    pub version: String,
    /// Inferences that were compared.
    pub inferences: u64,
    /// Different inputs among them: all other inferences repeat one.
    pub inputs: u64,
    /// How often the most frequent input came.
    pub most: u64,
    /// The id of one of the inferences with that input.
    pub example: String,
}

/// A stretch of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Its start: later than the window's where that holds too much.
    pub from: UnixNanos,
    /// Its exclusive end: the window's.
    pub until: UnixNanos,
}

impl Compared {
    /// The newest part of a window that holds so many inferences which can be compared in a second or two, were they spread evenly.
    pub fn newest(from: UnixNanos, until: UnixNanos, inferences: u64) -> Self {
        if inferences <= MAX_COMPARED {
            return Self { from, until };
        }
        let seconds = until.seconds_since(from) * MAX_COMPARED as f64 / inferences as f64;
        Self {
            from: until.plus_seconds(-(seconds.ceil() as i64).max(1)),
            until,
        }
    }
}

/// What is repeated among the inferences of a stretch, by environment and version. Inputs are alike where all features and the hash of the
/// text are, and where neither was sent the projections of the embedding. Inferences without any of these are not counted.
/// `inferences` are about as many as the stretch holds; of more than half a million inputs a share is looked at, with all that repeat
/// them.
///
/// # Errors
/// The query failed.
pub async fn duplicates(clickhouse: &ClickHouse, model: &str, inferences: u64, stretch: Compared) -> Result<Vec<Duplicates>, Error> {
    let threshold = match inferences.min(MAX_COMPARED).div_ceil(MAX_INPUTS) {
        0 | 1 => u64::MAX,
        share => u64::MAX / share,
    };
    let sql = format!(
        "SELECT environment_text AS environment, version_text AS version, sum(n) AS inferences, count() AS inputs, max(n) AS most, \
           argMax(one, n) AS example \
         FROM (\
           SELECT ifNull(toString(environment), '') AS environment_text, ifNull(toString(version), '') AS version_text, \
             empty(numeric_features) AND empty(categorical_features) AND ifNull(input_hash, '') = '' AS is_bare, \
             if(is_bare, cityHash64(embedding_projections), \
               cityHash64(mapSort(numeric_features), mapSort(categorical_features), ifNull(input_hash, ''))) AS input, \
             count() AS n, min(request_id) AS one \
           FROM whole_inferences \
           WHERE model = {{model:String}} AND partial = 0 AND {serves} AND NOT (is_bare AND empty(embedding_projections)) \
             AND input <= {{threshold:UInt64}} \
             AND key_hour >= toStartOfHour(toDateTime({{from:Int64}}, 'UTC')) \
             AND key_hour <= toStartOfHour(toDateTime({{until:Int64}}, 'UTC')) + INTERVAL 1 HOUR \
             AND event_time >= toDateTime({{from:Int64}}, 'UTC') AND event_time < toDateTime({{until:Int64}}, 'UTC') \
           GROUP BY environment_text, version_text, is_bare, input) \
         GROUP BY environment, version ORDER BY environment, version",
        serves = SERVES.replace("arm", "ifNull(arm, '')"),
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("threshold", threshold)
        .param("from", stretch.from.seconds().max(0))
        .param("until", stretch.until.seconds().max(0))
        .fetch_all()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_window_with_too_much_the_newest_part_is_compared() {
        let (from, until) = (UnixNanos::from_seconds(36_000), UnixNanos::from_seconds(39_600));
        for (inferences, seconds) in [(0, 3_600), (2_000_000, 3_600), (4_000_000, 1_800), (1 << 60, 1)] {
            let stretch = Compared::newest(from, until, inferences);
            assert_eq!(stretch.until.seconds() - stretch.from.seconds(), seconds, "{inferences}");
        }
    }
}
