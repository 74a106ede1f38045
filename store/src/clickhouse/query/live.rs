//! Which version serves a model: as telemetry shows it, else as it was announced, else as it was last seen.
//!
//! Arms `shadow`, `replay` and `drill` do not serve traffic and are never counted.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::minutes::SERVES;
use crate::clickhouse::{ClickHouse, TelemetryError};
use crate::clock::UnixNanos;
use crate::state::deployments::Deployment;
use crate::state::versions::SeenVersion;
use crate::state::{State, StateError};

/// The span of event time whose majority is live, in seconds.
pub const LIVE_WINDOW_SECONDS: i64 = 20;

/// With fewer inferences in the window no majority is taken.
pub const MIN_LIVE_INFERENCES: u64 = 20;

/// Versions that one look at the telemetry returns at most: the bound on models, so that each may show one.
const MAX_SIGHTINGS: u64 = 10_000;

/// What can go wrong while finding out what is live.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The telemetry cannot be read.
    #[error("the telemetry cannot be read: {0}")]
    Telemetry(#[from] TelemetryError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Inferences that a version served within a span of event time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct VersionTraffic {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version; empty where senders state none.
    pub version: String,
    /// Inferences, each counted once.
    pub inferences: u64,
    /// Event time of the newest of them, Unix nanoseconds.
    pub last_event_time: i64,
}

/// How the live version is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveBecause {
    /// Most of the last 20 s of traffic is its.
    Traffic,
    /// It was announced as live last.
    Announced,
    /// It was seen last.
    LastSeen,
}

/// The version that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveVersion {
    /// The version.
    pub version: String,
    /// How that is known.
    pub because: LiveBecause,
}

/// The rule: the majority of at least [`MIN_LIVE_INFERENCES`], else the announced one, else the one seen last.
/// Traffic without a version has no say in which version is live, but counts among the inferences.
pub fn decide(traffic: &[VersionTraffic], announced: Option<&Deployment>, last_seen: Option<&SeenVersion>) -> Option<LiveVersion> {
    let total: u64 = traffic.iter().map(|row| row.inferences).sum();
    let most = traffic
        .iter()
        .filter(|row| !row.version.is_empty())
        .max_by(|a, b| a.inferences.cmp(&b.inferences).then_with(|| b.version.cmp(&a.version)));
    if let Some(most) = most
        && total >= MIN_LIVE_INFERENCES
        && most.inferences * 2 > total
    {
        return Some(LiveVersion {
            version: most.version.clone(),
            because: LiveBecause::Traffic,
        });
    }
    if let Some(announced) = announced {
        return Some(LiveVersion {
            version: announced.version.clone(),
            because: LiveBecause::Announced,
        });
    }
    last_seen.map(|seen| LiveVersion {
        version: seen.version.clone(),
        because: LiveBecause::LastSeen,
    })
}

/// The version that was live at `at`. With `except`, the version that was live if that one is left out: the
/// baseline of a release.
///
/// # Errors
/// Telemetry or state cannot be read.
pub async fn live_version(
    clickhouse: &ClickHouse,
    state: &State,
    model: &str,
    environment: &str,
    except: Option<&str>,
    at: UnixNanos,
) -> Result<Option<LiveVersion>, LiveError> {
    let mut traffic = traffic_by_version(clickhouse, Some(model), at.plus_seconds(-LIVE_WINDOW_SECONDS), at).await?;
    traffic.retain(|row| row.environment == environment && except != Some(row.version.as_str()));
    let announced = state.latest_live_deployment(model, environment, except, at).await?;
    let seen = state.seen_versions(Some(model)).await?;
    let last_seen = seen
        .iter()
        .find(|seen| seen.environment == environment && seen.first_event_time < at && except != Some(seen.version.as_str()));
    Ok(decide(&traffic, announced.as_ref(), last_seen))
}

/// Inferences by version with an event time from `from` up to and not including `until`, of one model or of all.
///
/// Halves are joined by request id here instead of by FINAL: the window holds seconds, an hour of key may hold
/// millions.
///
/// # Errors
/// The query fails.
pub async fn traffic_by_version(
    clickhouse: &ClickHouse,
    model: Option<&str>,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<VersionTraffic>, TelemetryError> {
    let sql = format!(
        "SELECT model, environment, version, count() AS inferences, max(at) AS last_event_time FROM (\
           SELECT model, request_id, toUnixTimestamp64Nano(min(event_time)) AS at, coalesce(any(log_version), any(span_version), '') AS version, \
             coalesce(any(log_environment), any(span_environment), '') AS environment, \
             coalesce(any(log_arm), any(span_arm), '') AS arm, greatest(min(partial), max(superseded)) AS uncounted \
           FROM inferences \
           WHERE ({{model:String}} = '' OR model = {{model:String}}) \
             AND key_hour >= toDateTime({{first_hour:Int64}}, 'UTC') AND key_hour <= toDateTime({{last_hour:Int64}}, 'UTC') \
             AND event_time >= fromUnixTimestamp64Nano({{from:Int64}}, 'UTC') AND event_time < fromUnixTimestamp64Nano({{until:Int64}}, 'UTC') \
           GROUP BY model, key_hour, request_id) \
         WHERE uncounted = 0 AND {SERVES} GROUP BY model, environment, version ORDER BY model, environment, version LIMIT {MAX_SIGHTINGS}"
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model.unwrap_or_default())
        .param("first_hour", from.floor_to(3_600).plus_seconds(-3_600).seconds())
        .param("last_hour", until.seconds())
        .param("from", from.0)
        .param("until", until.0)
        .fetch_all()
        .await
}

#[derive(Row, Deserialize)]
struct Sighting {
    model: String,
    version: String,
    environment: String,
    first_event_time: i64,
    last_event_time: i64,
}

/// Every version that ever served, with its first and last event time, the last seen first. Cheap at any
/// traffic: a materialized view keeps one row per version.
///
/// # Errors
/// The query fails.
pub async fn version_sightings(clickhouse: &ClickHouse) -> Result<Vec<SeenVersion>, TelemetryError> {
    let sql = format!(
        "SELECT model, version, environment, toUnixTimestamp64Nano(min(first_event_time)) AS first_event_time, \
         toUnixTimestamp64Nano(max(last_event_time)) AS last_event_time FROM version_sightings WHERE version != '' AND {SERVES} \
         GROUP BY model, version, environment ORDER BY last_event_time DESC, model, version, environment LIMIT {MAX_SIGHTINGS}"
    );
    let sightings: Vec<Sighting> = clickhouse.reader().query(&sql).fetch_all().await?;
    Ok(sightings
        .into_iter()
        .map(|row| SeenVersion {
            model: row.model,
            version: row.version,
            environment: row.environment,
            first_event_time: UnixNanos(row.first_event_time),
            last_event_time: UnixNanos(row.last_event_time),
        })
        .collect())
}
