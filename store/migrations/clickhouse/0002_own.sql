-- Driftlead's own tables. All are fsynced at insert: what led to a row (a log, a mark, a decision) is cleared durably
-- after it. Scalar fields that both halves of an inference can carry are stored as
-- log_… and span_…, so that the order of arrival does not matter; readers use the view
-- `whole_inferences`, which takes the log's.

CREATE TABLE IF NOT EXISTS inferences
(
    model              LowCardinality(String),
    key_hour           DateTime('UTC'),
    request_id         String,
    event_time         SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    received_time      SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    partial            SimpleAggregateFunction(min, UInt8),
    has_log            SimpleAggregateFunction(max, UInt8),
    has_span           SimpleAggregateFunction(max, UInt8),
    log_version        LowCardinality(Nullable(String)),
    span_version       LowCardinality(Nullable(String)),
    log_environment    LowCardinality(Nullable(String)),
    span_environment   LowCardinality(Nullable(String)),
    log_service        LowCardinality(Nullable(String)),
    span_service       LowCardinality(Nullable(String)),
    log_segment        LowCardinality(Nullable(String)),
    span_segment       LowCardinality(Nullable(String)),
    log_arm            LowCardinality(Nullable(String)),
    span_arm           LowCardinality(Nullable(String)),
    log_prediction_label  LowCardinality(Nullable(String)),
    span_prediction_label LowCardinality(Nullable(String)),
    log_prediction_score  Nullable(Float64),
    span_prediction_score Nullable(Float64),
    log_prediction_value  Nullable(Float64),
    span_prediction_value Nullable(Float64),
    log_latency_ms     Nullable(Float64),
    span_latency_ms    Nullable(Float64),
    log_error_type     LowCardinality(Nullable(String)),
    span_error_type    LowCardinality(Nullable(String)),
    log_trace_id       Nullable(String),
    span_trace_id      Nullable(String),
    log_span_id        Nullable(String),
    span_span_id       Nullable(String),
    input_text         Nullable(String) CODEC(ZSTD(1)),
    input_length       Nullable(UInt64),
    input_hash         Nullable(String),
    embedding_model    LowCardinality(Nullable(String)),
    embedding_created_at Nullable(DateTime64(9, 'UTC')),
    embedding          SimpleAggregateFunction(max, Array(Float32)) CODEC(ZSTD(1)),
    scores             SimpleAggregateFunction(maxMap, Map(String, Float64)),
    numeric_features   SimpleAggregateFunction(maxMap, Map(String, Float64)),
    categorical_features SimpleAggregateFunction(maxMap, Map(String, String)),
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1,     -- the newest minutes of an hour lie in its newest parts
    INDEX request_ids request_id TYPE bloom_filter(0.01) GRANULARITY 1 -- a late label does not say in which hour its inference lies
)
ENGINE = CoalescingMergeTree
PARTITION BY toDate(key_hour)
ORDER BY (model, key_hour, request_id)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS outcomes
(
    model         LowCardinality(String),
    request_id    String,
    kind          LowCardinality(String),
    id            String,
    label         Nullable(String),
    verdict       Nullable(UInt8),
    conversion    Nullable(Float64),
    at            DateTime64(9, 'UTC'),
    received_time DateTime64(9, 'UTC'),
    INDEX received_range received_time TYPE minmax GRANULARITY 1     -- what came just now lies in the newest parts
)
ENGINE = ReplacingMergeTree(received_time)
ORDER BY (model, request_id, kind, id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- A minute is computed as a whole: first its rows of buckets_10s or profiles_minute, then its row here.
-- Readers take FINAL and count a row only where its generation is not below the one that this table holds
-- for the minute, so a series that a later computation no longer has leaves nothing stale.
CREATE TABLE IF NOT EXISTS minute_generations
(
    consumer   LowCardinality(String),
    model      LowCardinality(String),
    minute     DateTime('UTC'),
    generation UInt64
)
ENGINE = ReplacingMergeTree(generation)
PARTITION BY toYYYYMM(minute)
ORDER BY (consumer, model, minute)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS buckets_10s
(
    model          LowCardinality(String),
    bucket_start   DateTime('UTC'),
    environment    LowCardinality(String),
    version        LowCardinality(String),
    segment        LowCardinality(String),
    arm            LowCardinality(String),
    generation     UInt64,
    requests       UInt64,
    errors         UInt64,
    latency_n      UInt64,
    latency_keys   Array(Int32),
    latency_counts Array(UInt64)
)
ENGINE = ReplacingMergeTree(generation)
PARTITION BY toDate(bucket_start)
ORDER BY (model, bucket_start, environment, version, segment, arm)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS profiles_minute
(
    model          LowCardinality(String),
    minute         DateTime('UTC'),
    environment    LowCardinality(String),
    version        LowCardinality(String),
    segment        LowCardinality(String),
    arm            LowCardinality(String),
    feature        LowCardinality(String),
    generation     UInt64,
    inferences     UInt64,
    absent         UInt64,
    nan            UInt64,
    positive_infinity UInt64,
    negative_infinity UInt64,
    bucket_keys    Array(Int32),
    bucket_counts  Array(UInt64),
    values         Array(String),
    value_counts   Array(UInt64)
)
ENGINE = ReplacingMergeTree(generation)
PARTITION BY toDate(minute)
ORDER BY (model, minute, environment, version, segment, arm, feature)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS reference_profiles
(
    model          LowCardinality(String),
    reference      String,
    generation     UInt64,
    feature        LowCardinality(String),
    inferences     UInt64,
    absent         UInt64,
    nan            UInt64,
    positive_infinity UInt64,
    negative_infinity UInt64,
    bucket_keys    Array(Int32),
    bucket_counts  Array(UInt64),
    values         Array(String),
    value_counts   Array(UInt64),
    dispersion     Map(UInt32, Float64)           -- inflation of the variance by length of the window in seconds
)
ENGINE = ReplacingMergeTree(generation)
ORDER BY (model, reference, feature, generation)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS signals
(
    model           LowCardinality(String),
    name            LowCardinality(String),
    window_seconds  UInt32,
    version         LowCardinality(String),
    environment     LowCardinality(String),
    segment         LowCardinality(String),
    subject         LowCardinality(String),
    window_end      DateTime64(9, 'UTC'),
    computed_at     DateTime64(9, 'UTC'),
    value           Nullable(Float64),
    lower           Nullable(Float64),
    upper           Nullable(Float64),
    decision_lower  Nullable(Float64),
    decision_upper  Nullable(Float64),
    n               UInt64,
    reference_n     UInt64,
    provisional     UInt8,
    state           LowCardinality(String),
    details         String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(computed_at)
PARTITION BY toYYYYMM(window_end)
ORDER BY (model, name, window_seconds, version, environment, segment, subject, window_end)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per inference, its halves merged: what everybody reads.
CREATE VIEW IF NOT EXISTS whole_inferences AS
SELECT
    model, key_hour, request_id, event_time, received_time, partial, has_log, has_span,
    coalesce(log_version, span_version) AS version,
    coalesce(log_environment, span_environment) AS environment,
    coalesce(log_service, span_service) AS service,
    coalesce(log_segment, span_segment) AS segment,
    coalesce(log_arm, span_arm) AS arm,
    coalesce(log_prediction_label, span_prediction_label) AS prediction_label,
    coalesce(log_prediction_score, span_prediction_score) AS prediction_score,
    coalesce(log_prediction_value, span_prediction_value) AS prediction_value,
    coalesce(log_latency_ms, span_latency_ms) AS latency_ms,
    coalesce(log_error_type, span_error_type) AS error_type,
    isNotNull(error_type) AS is_error,
    coalesce(log_trace_id, span_trace_id) AS trace_id,
    coalesce(log_span_id, span_span_id) AS span_id,
    input_text, input_length, input_hash, embedding_model, embedding_created_at, embedding,
    scores, numeric_features, categorical_features
FROM inferences FINAL;
