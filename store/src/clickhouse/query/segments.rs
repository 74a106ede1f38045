//! Which segments of users or traffic a model served.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::profile_sources::Sources;
use super::profiles::{Cut, ProfileQuery, bind_query};
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;
use crate::records::names;

/// Inferences of one version that said that they belong to a segment.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct SegmentTraffic {
    /// The version; empty where senders state none.
    pub version: String,
    /// The segment; never empty.
    pub segment: String,
    /// Inferences of it that were served.
    pub inferences: u64,
    /// Inferences of the version, whatever their segment.
    pub total: u64,
}

/// The segments with at least `min_inferences` of a version in a stretch, by version, at most `limit` of each version: those
/// with the most traffic, in its order.
///
/// # Errors
/// The query failed.
pub async fn segments_served(
    clickhouse: &ClickHouse,
    query: ProfileQuery<'_>,
    min_inferences: u64,
    limit: u64,
) -> Result<Vec<SegmentTraffic>, Error> {
    let sources = Sources::of(clickhouse, query, Cut::WHOLE).await?;
    let sql = format!(
        "SELECT version, segment, inferences, total \
         FROM (SELECT version, name AS segment, sum(n) AS inferences, sum(inferences) OVER (PARTITION BY version) AS total \
           FROM (SELECT version, feature, n, name FROM {rows}) WHERE feature = '' GROUP BY version, segment) \
         WHERE segment != '' AND inferences >= {{min_inferences:UInt64}} \
         ORDER BY version, inferences DESC, segment LIMIT {{most:UInt64}} BY version",
        rows = sources.current_profiles("inferences AS n, segment AS name"),
    );
    sources
        .bind(bind_query(clickhouse, &sql, query, Cut::WHOLE))
        .param("min_inferences", min_inferences)
        .param("most", limit)
        .fetch_all()
        .await
}

/// Signals that every segment with signals of its own has one of.
const NAMES: [&str; 4] = [names::REQUEST_RATE, names::FEATURE_SHIFT, names::PREDICTION_SHIFT, names::ACCURACY];

/// The segments of a model and environment that had signals of their own in windows that ended since `from`, in alphabetical
/// order.
///
/// # Errors
/// The query failed.
pub async fn segments_with_signals(clickhouse: &ClickHouse, model: &str, environment: &str, from: UnixNanos) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT toString(segment) FROM signals \
               WHERE model = {model:String} AND name IN {names:Array(String)} AND environment = {environment:String} AND segment != '' \
                 AND window_end >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') \
               ORDER BY segment";
    clickhouse
        .reader()
        .query(sql)
        .param("model", model)
        .param("environment", environment)
        .param("names", NAMES.as_slice())
        .param("from", from.0.max(0))
        .fetch_all()
        .await
}
