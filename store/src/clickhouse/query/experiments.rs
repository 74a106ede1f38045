//! Arms of experiments: who was assigned to which, and who converted.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::buckets::current_of_model;
use super::minutes::SERVES;
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// Units of one window that are counted one by one at most; of more a share is, by a hash of their ids.
const MAX_UNITS: u64 = 1_000_000;

/// The units of one arm. A unit is a conversation where inferences say to which they belong, else the inference itself.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct ArmUnits {
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The arm; empty for the units that were met in more than one.
    pub arm: String,
    /// Inferences of the counted units.
    pub inferences: u64,
    /// Units that were counted.
    pub units: u64,
    /// Of those, the ones with a conversion above 0.
    pub converted: u64,
    /// The versions that served them, ten of them at most.
    pub versions: Vec<String>,
}

/// Inferences of one arm, as the buckets of a stretch count them.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct ArmRequests {
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The arm; never empty.
    pub arm: String,
    /// Inferences.
    pub requests: u64,
}

/// The arms that served from `from` up to and not including `until`, whole 10-second buckets: cheap at any traffic.
///
/// # Errors
/// The query failed.
pub async fn arms_served(clickhouse: &ClickHouse, model: &str, from: UnixNanos, until: UnixNanos) -> Result<Vec<ArmRequests>, Error> {
    let sql = format!(
        "SELECT environment, arm, sum(requests) AS requests FROM {} AND arm != '' GROUP BY environment, arm ORDER BY environment, arm",
        current_of_model(),
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

/// The units of each arm that were served from `from` up to and not including `until`. `requests` are the inferences of all
/// arms; where they are more than a million, a share of the units is counted, the same one of every arm.
///
/// # Errors
/// The query failed.
pub async fn units_by_arm(
    clickhouse: &ClickHouse,
    model: &str,
    requests: u64,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<ArmUnits>, Error> {
    let threshold = match requests.div_ceil(MAX_UNITS) {
        0 | 1 => u64::MAX,
        share => u64::MAX / share,
    };
    let sql = format!(
        "WITH assigned AS (\
           SELECT request_id, ifNull(environment, '') AS environment_text, ifNull(toString(arm), '') AS arm_text, \
             ifNull(toString(version), '') AS version_text, if(ifNull(session_id, '') = '', request_id, assumeNotNull(session_id)) AS unit \
           FROM whole_inferences \
           WHERE model = {{model:String}} AND partial = 0 AND arm_text != '' AND {serves} AND cityHash64(unit) <= {{threshold:UInt64}} \
             AND key_hour >= toStartOfHour(toDateTime({{from:Int64}}, 'UTC')) \
             AND key_hour <= toStartOfHour(toDateTime({{until:Int64}}, 'UTC')) + INTERVAL 1 HOUR \
             AND event_time >= toDateTime({{from:Int64}}, 'UTC') AND event_time < toDateTime({{until:Int64}}, 'UTC')) \
         SELECT toString(environment_text) AS environment, if(arms = 1, arm_of_unit, '') AS arm, sum(n) AS inferences, count() AS units, \
           countIf(is_converted) AS converted, arraySort(groupUniqArrayArray(10)(versions_of_unit)) AS versions \
         FROM (\
           SELECT environment_text, unit, any(arm_text) AS arm_of_unit, uniqExact(arm_text) AS arms, count() AS n, \
             max(has_converted) AS is_converted, groupUniqArray(10)(version_text) AS versions_of_unit \
           FROM assigned LEFT JOIN (\
             SELECT request_id, true AS has_converted FROM outcomes FINAL \
             WHERE model = {{model:String}} AND kind = 'conversion' AND ifNull(conversion, 0) > 0 \
               AND request_id IN (SELECT request_id FROM assigned) \
             GROUP BY request_id) AS conversions USING (request_id) \
           GROUP BY environment_text, unit) \
         GROUP BY environment, arm ORDER BY environment, arm",
        serves = SERVES.replace("arm", "arm_text"),
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("threshold", threshold)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await
}
