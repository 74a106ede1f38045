//! Rows of inferences by chance: what can be said of them only where features of one inference stand side by side.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::minutes::SERVES;
use super::positive::{self, Positive};
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Rows of the table that one sample may look through: a second or two of the engine's time.
pub const MAX_LOOKED_THROUGH: u64 = 20_000_000;
/// Rows that one sample reads with all that belongs to them at most.
const MAX_READ: u64 = 500_000;
const HOUR_SECONDS: i64 = 3_600;

/// Which inferences are sampled.
#[derive(Debug, Clone, Copy)]
pub struct SampleOf<'a> {
    /// The model.
    pub model: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// One version; `None`: all of them.
    pub version: Option<&'a str>,
    /// One segment; `None`: all traffic together.
    pub segment: Option<&'a str>,
    /// Event times at or after this instant.
    pub from: UnixNanos,
    /// Event times before this instant.
    pub until: UnixNanos,
    /// Only hours that lie so many seconds after or before this instant, in multiples; `None`: all.
    pub like: Option<Rhythm>,
    /// Inferences that there are, as profiles say.
    pub inferences: u64,
    /// Rows of the table that are looked through at most, up to [`MAX_LOOKED_THROUGH`]. Of a longer stretch hours are left out, spread
    /// evenly.
    pub looked_through: u64,
    /// How its positive class is told; `None` where the model declares none.
    pub positive: Option<Positive<'a>>,
}

/// Stretches of a length that begin at an instant, and again each period before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Start of one of them.
    pub start: UnixNanos,
    /// Their length in seconds.
    pub seconds: u32,
    /// From the start of one to that of the next, in seconds.
    pub period_seconds: i64,
}

impl Rhythm {
    fn holds(&self, instant: UnixNanos) -> bool {
        (instant.seconds() - self.start.seconds()).rem_euclid(self.period_seconds.max(1)) < i64::from(self.seconds)
    }
}

/// What is read of sampled inferences beside their features: most of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// Their embeddings.
    pub embeddings: bool,
    /// The texts of their inputs, where those are kept.
    pub texts: bool,
}

/// An inference of a sample.
#[derive(Debug, Clone, Default, PartialEq, Row, Deserialize)]
pub struct SampledInference {
    /// Its id.
    pub request_id: String,
    /// Event time in Unix nanoseconds.
    pub event_time: i64,
    /// The segment, or empty.
    pub segment: String,
    /// Predicted class.
    pub prediction_label: Option<String>,
    /// The score as it was sent.
    pub prediction_score: Option<f64>,
    /// Predicted number.
    pub prediction_value: Option<f64>,
    /// Score of the positive class.
    pub positive_score: Option<f64>,
    /// Numeric features.
    pub numeric_features: Vec<(String, f64)>,
    /// Other features.
    pub categorical_features: Vec<(String, String)>,
    /// The input's text, where it is asked for and kept; else empty.
    pub input_text: String,
    /// The embedding, where it is asked for; empty where there is none.
    pub embedding: Vec<f32>,
    /// What made the embedding, or empty.
    pub embedding_model: String,
}

/// About `wanted` inferences of a stretch, each as likely as any other of the hours that are looked through, in the order of a hash
/// of their ids: the same `seed` gives the same ones.
///
/// # Errors
/// A query failed.
pub async fn sample_inferences(
    clickhouse: &ClickHouse,
    of: SampleOf<'_>,
    wanted: u64,
    seed: u64,
    contents: Contents,
) -> Result<Vec<SampledInference>, Error> {
    let all = hours(clickhouse, of).await?;
    let chosen = looked_through(&all, of.looked_through.min(MAX_LOOKED_THROUGH));
    let rows = |hours: &[(u32, u64)]| hours.iter().map(|(_, rows)| rows).sum::<u64>();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    // Inferences that the chosen hours hold, were all hours alike.
    let held = of.inferences as f64 * rows(&chosen) as f64 / rows(&all).max(1) as f64;
    // More than are wanted by five standard deviations: how many pass a threshold is by chance, how many are kept is not.
    let asked_for = wanted as f64 + 5.0 * (wanted as f64).sqrt();
    let divisor = (held / asked_for.max(1.0)).max(rows(&chosen) as f64 / MAX_READ as f64);
    let threshold = if divisor <= 1.0 {
        u64::MAX
    } else {
        (u64::MAX as f64 / divisor) as u64
    };
    let sql = format!(
        "SELECT request_id, any(event_ns) AS event_time, any(segment_text) AS segment, any(label) AS prediction_label, \
           any(score) AS prediction_score, any(value) AS prediction_value, any(score_of_positive) AS positive_score, \
           any(numbers) AS numeric_features, any(categories) AS categorical_features, any(input) AS input_text, any(vector) AS embedding, \
           any(encoder) AS embedding_model \
         FROM (\
           SELECT key_hour, request_id, partial AS is_partial, toUnixTimestamp64Nano(event_time) AS event_ns, \
             ifNull(environment, '') AS environment_text, ifNull(version, '') AS version_text, ifNull(segment, '') AS segment_text, \
             ifNull(arm, '') AS arm, prediction_label AS label, prediction_score AS score, prediction_value AS value, \
             {positive_score} AS score_of_positive, numeric_features AS numbers, categorical_features AS categories, \
             {text} AS input, {embedding} AS vector, ifNull(toString(embedding_model), '') AS encoder \
           FROM whole_inferences WHERE model = {{model:String}} AND (key_hour, request_id) IN (\
             SELECT key_hour, request_id FROM inferences \
             WHERE model = {{model:String}} AND key_hour IN (SELECT toDateTime(arrayJoin({{hours:Array(UInt32)}}), 'UTC')) \
               AND cityHash64(request_id, {{seed:UInt64}}) <= {{threshold:UInt64}})) \
         GROUP BY key_hour, request_id \
         HAVING any(is_partial) = 0 AND event_time >= {{from:Int64}} AND event_time < {{until:Int64}} \
           AND any(environment_text) = {{environment:String}} \
           AND ({{any_version:UInt8}} OR any(version_text) = {{version:String}}) \
           AND ({{any_segment:UInt8}} OR segment = {{segment:String}}) AND any({SERVES}) \
         ORDER BY cityHash64(request_id, {{seed:UInt64}}), request_id LIMIT {{wanted:UInt64}}",
        positive_score = positive::score(of.positive),
        text = if contents.texts { "ifNull(input_text, '')" } else { "''" },
        embedding = if contents.embeddings {
            "embedding"
        } else {
            "CAST([], 'Array(Float32)')"
        },
    );
    let mut query = clickhouse
        .reader()
        .query(&sql)
        // All rows of a key pass the condition on keys or none does; the others are about groups, which are whole.
        .with_setting("optimize_move_to_prewhere_if_final", "1")
        .param("model", of.model)
        .param("hours", chosen.iter().map(|(hour, _)| *hour).collect::<Vec<u32>>())
        .param("seed", seed)
        .param("threshold", threshold)
        .param("from", of.from.0.max(0))
        .param("until", of.until.0.max(0))
        .param("environment", of.environment)
        .param("any_version", u8::from(of.version.is_none()))
        .param("version", of.version.unwrap_or_default())
        .param("any_segment", u8::from(of.segment.is_none()))
        .param("segment", of.segment.unwrap_or_default())
        .param("wanted", wanted);
    if let Some(positive) = of.positive {
        query = query.param(positive::PARAMETER, positive.class);
    }
    let rows: Vec<SampledInference> = query.fetch_all().await?;
    let is_like = |row: &SampledInference| of.like.is_none_or(|like| like.holds(UnixNanos(row.event_time)));
    Ok(rows.into_iter().filter(is_like).collect())
}

/// Hours of key in which inferences of the stretch lie, in Unix seconds, with the rows of the model in each.
async fn hours(clickhouse: &ClickHouse, of: SampleOf<'_>) -> Result<Vec<(u32, u64)>, Error> {
    let sql = "SELECT toUnixTimestamp(key_hour) AS hour, count() FROM inferences \
               WHERE model = {model:String} AND key_hour >= toDateTime({first:UInt32}, 'UTC') \
                 AND key_hour <= toDateTime({last:UInt32}, 'UTC') \
               GROUP BY hour ORDER BY hour";
    let hour = |instant: UnixNanos| u32::try_from(instant.floor_to(HOUR_SECONDS).seconds().max(0)).unwrap_or(u32::MAX);
    let rows: Vec<(u32, u64)> = clickhouse
        .reader()
        .query(sql)
        .param("model", of.model)
        .param("first", hour(of.from))
        // What began in an hour may lie under the next one.
        .param("last", hour(of.until.plus_seconds(HOUR_SECONDS - 1)))
        .fetch_all()
        .await?;
    let holds = |hour: u32, like: Rhythm| {
        let start = UnixNanos::from_seconds(i64::from(hour));
        [-HOUR_SECONDS, 0].iter().any(|&seconds| like.holds(start.plus_seconds(seconds)))
    };
    Ok(rows
        .into_iter()
        .filter(|(hour, _)| of.like.is_none_or(|like| holds(*hour, like)))
        .collect())
}

/// The hours of a stretch that are looked through: all, or as many as hold `most` rows, spread evenly; at least one.
fn looked_through(hours: &[(u32, u64)], most: u64) -> Vec<(u32, u64)> {
    let rows: u64 = hours.iter().map(|(_, rows)| rows).sum();
    let step = usize::try_from(rows.div_ceil(most.max(1))).unwrap_or(usize::MAX).max(1);
    hours.iter().skip(step / 2 % hours.len().max(1)).step_by(step).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_stretch_hours_are_left_out_evenly_and_one_stays() {
        let hours = |rows: u64| (0..24_u32).map(|hour| (hour * 3_600, rows)).collect::<Vec<_>>();
        let starts = |hours: Vec<(u32, u64)>| {
            looked_through(&hours, MAX_LOOKED_THROUGH)
                .iter()
                .map(|(hour, _)| hour / 3_600)
                .collect::<Vec<_>>()
        };
        assert_eq!(starts(hours(1_000)).len(), 24);
        assert_eq!(starts(hours(5_000_000)), [3, 9, 15, 21]);
        assert_eq!(starts(vec![(7_200, 1 << 40)]), [2]);
        assert_eq!(starts(Vec::new()), Vec::<u32>::new());
    }

    #[test]
    fn a_rhythm_holds_what_lies_whole_periods_away() {
        let at = UnixNanos::from_seconds;
        let like = Rhythm {
            start: at(1_000_000),
            seconds: 3_600,
            period_seconds: 86_400,
        };
        for (seconds, expected) in [
            (1_000_000, true),
            (1_003_599, true),
            (1_003_600, false),
            (999_999, false),
            (1_000_000 - 7 * 86_400 + 5, true),
            (1_000_000 + 43_200, false),
        ] {
            assert_eq!(like.holds(at(seconds)), expected, "{seconds}");
        }
    }
}
