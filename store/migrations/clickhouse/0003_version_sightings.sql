-- One row per version that telemetry named, kept at insert, so that a first-seen version is noticed within a
-- second at any traffic. Minima and maxima: an insert that is repeated changes nothing.

CREATE TABLE IF NOT EXISTS version_sightings
(
    model            LowCardinality(String),
    version          LowCardinality(String),
    environment      LowCardinality(String),
    arm              LowCardinality(String),
    first_event_time SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_event_time  SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (model, version, environment, arm)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS version_sightings_feed TO version_sightings AS
SELECT
    model,
    coalesce(log_version, span_version, '') AS version,
    coalesce(log_environment, span_environment, '') AS environment,
    coalesce(log_arm, span_arm, '') AS arm,
    min(event_time) AS first_event_time,
    max(event_time) AS last_event_time
FROM inferences
GROUP BY model, version, environment, arm;
