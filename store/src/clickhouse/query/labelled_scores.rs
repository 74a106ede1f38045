//! `labelled_scores`: what became known of the scores of an hour, kept so that estimates need not read its inferences again.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::{Deserialize, Serialize};

use super::quality::LabelledScores;
use crate::clickhouse::insert::{ANSWER_PATIENCE, SEND_PATIENCE};
use crate::clickhouse::{ClickHouse, TelemetryError};
use crate::clock::UnixNanos;

/// Whose scores they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoresOf<'a> {
    /// The model.
    pub model: &'a str,
    /// The environment; empty where senders state none.
    pub environment: &'a str,
    /// The version; empty where senders state none.
    pub version: &'a str,
}

#[derive(Debug, Row, Serialize)]
struct HourRow<'a> {
    model: &'a str,
    environment: &'a str,
    version: &'a str,
    hour: u32,
    computed_at: i64,
    keys: Vec<i32>,
    true_positives: Vec<u64>,
    false_positives: Vec<u64>,
    false_negatives: Vec<u64>,
    true_negatives: Vec<u64>,
}

/// The keys of buckets, and of each the true positives, false positives, false negatives and true negatives.
type Counts = (Vec<i32>, Vec<u64>, Vec<u64>, Vec<u64>, Vec<u64>);

#[derive(Debug, Row, Deserialize)]
struct CountsRow {
    counts: Counts,
}

/// Keeps the scores of an hour; what was kept of it before is replaced.
///
/// # Errors
/// The database does not take them.
pub async fn keep_labelled_scores(
    clickhouse: &ClickHouse,
    of: ScoresOf<'_>,
    hour: UnixNanos,
    scores: &[LabelledScores],
    computed_at: UnixNanos,
) -> Result<(), TelemetryError> {
    let mut keys: Vec<i32> = scores.iter().map(|scores| scores.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let counts = |is_decided: bool, is_positive: bool| -> Vec<u64> {
        let mut counts = vec![0; keys.len()];
        for scores in scores
            .iter()
            .filter(|scores| (scores.is_decided, scores.is_positive) == (is_decided, is_positive))
        {
            if let Ok(at) = keys.binary_search(&scores.key) {
                counts[at] += scores.n;
            }
        }
        counts
    };
    let row = HourRow {
        model: of.model,
        environment: of.environment,
        version: of.version,
        hour: u32::try_from(hour.seconds()).unwrap_or(0),
        computed_at: computed_at.0,
        true_positives: counts(true, true),
        false_positives: counts(true, false),
        false_negatives: counts(false, true),
        true_negatives: counts(false, false),
        keys,
    };
    let insert = clickhouse.writer().insert::<HourRow<'_>>("labelled_scores").await?;
    let mut insert = insert.with_timeouts(Some(SEND_PATIENCE), Some(ANSWER_PATIENCE));
    insert.write(&row).await?;
    insert.end().await
}

/// The scores of the hours that begin from `from` on and end by `until`.
///
/// # Errors
/// The query failed.
pub async fn labelled_scores(
    clickhouse: &ClickHouse,
    of: ScoresOf<'_>,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<LabelledScores>, Error> {
    let sql = "SELECT sumMap(keys, true_positives, false_positives, false_negatives, true_negatives) AS counts FROM labelled_scores FINAL \
               WHERE model = {model:String} AND environment = {environment:String} AND version = {version:String} \
                 AND hour >= toDateTime({from:Int64}, 'UTC') AND hour + INTERVAL 1 HOUR <= toDateTime({until:Int64}, 'UTC')";
    let row: CountsRow = clickhouse
        .reader()
        .query(sql)
        .param("model", of.model)
        .param("environment", of.environment)
        .param("version", of.version)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_one()
        .await?;
    let (keys, true_positives, false_positives, false_negatives, true_negatives) = row.counts;
    let kinds = [
        (true, true, true_positives),
        (true, false, false_positives),
        (false, true, false_negatives),
        (false, false, true_negatives),
    ];
    let scores = kinds.iter().flat_map(|(is_decided, is_positive, counts)| {
        keys.iter().zip(counts).filter(|(_, n)| **n > 0).map(|(&key, &n)| LabelledScores {
            key,
            is_decided: *is_decided,
            is_positive: *is_positive,
            n,
        })
    });
    Ok(scores.collect())
}
