//! Predictions and the truths that came for them.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::minutes::SERVES;
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// How often a version predicted one class where another (or the same) was true.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct PredictedAndTrue {
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version; empty where senders state none.
    pub version: String,
    /// The predicted class.
    pub predicted: String,
    /// The label that came.
    pub truth: String,
    /// How often.
    pub n: u64,
}

/// The labelled predictions of inferences with event times from `from` up to and not including `until`.
/// Of several labels for one inference the one that became known last counts.
///
/// # Errors
/// The query failed.
pub async fn labelled_predictions(
    clickhouse: &ClickHouse,
    model: &str,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<PredictedAndTrue>, Error> {
    let sql = format!(
        "WITH predictions AS (\
           SELECT request_id, ifNull(environment, '') AS environment, ifNull(version, '') AS version, \
             toString(assumeNotNull(prediction_label)) AS predicted \
           FROM whole_inferences \
           WHERE model = {{model:String}} AND partial = 0 AND isNotNull(prediction_label) AND {serves} \
             AND key_hour >= toStartOfHour(toDateTime({{from:Int64}}, 'UTC')) \
             AND key_hour <= toStartOfHour(toDateTime({{until:Int64}}, 'UTC')) + INTERVAL 1 HOUR \
             AND event_time >= toDateTime({{from:Int64}}, 'UTC') AND event_time < toDateTime({{until:Int64}}, 'UTC')) \
         SELECT environment, version, predicted, truth, count() AS n \
         FROM predictions INNER JOIN (\
           SELECT request_id, argMax(assumeNotNull(label), (at, received_time)) AS truth FROM outcomes FINAL \
           WHERE model = {{model:String}} AND kind = 'label' AND isNotNull(label) AND request_id IN (SELECT request_id FROM predictions) \
           GROUP BY request_id) AS labels USING (request_id) \
         GROUP BY environment, version, predicted, truth ORDER BY environment, version, predicted, truth",
        serves = SERVES.replace("arm", "ifNull(arm, '')"),
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await
}

/// The hours (Unix seconds of their starts, by event time) of the inferences whose labels were received
/// from `from` up to and not including `until`; only inferences since `oldest` are looked at. An inference that comes
/// after its label is not found here: it is a mark of its own.
///
/// Cheap at any history: what was received just now lies in the newest parts of `outcomes`, and the request ids have
/// an index.
///
/// # Errors
/// The query failed.
pub async fn hours_of_labels_received(
    clickhouse: &ClickHouse,
    model: &str,
    from: UnixNanos,
    until: UnixNanos,
    oldest: UnixNanos,
) -> Result<Vec<i64>, Error> {
    let sql = "SELECT DISTINCT toInt64(toUnixTimestamp(toStartOfHour(event_time))) AS hour FROM inferences \
               WHERE model = {model:String} AND key_hour >= toStartOfHour(toDateTime({oldest:Int64}, 'UTC')) \
                 AND key_hour <= toStartOfHour(toDateTime({until:Int64}, 'UTC')) + INTERVAL 1 HOUR AND request_id IN (\
                 SELECT request_id FROM outcomes WHERE model = {model:String} AND kind = 'label' \
                   AND received_time >= toDateTime({from:Int64}, 'UTC') AND received_time < toDateTime({until:Int64}, 'UTC')) \
               ORDER BY hour";
    clickhouse
        .reader()
        .query(sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .param("oldest", oldest.seconds().max(0))
        .fetch_all()
        .await
}
