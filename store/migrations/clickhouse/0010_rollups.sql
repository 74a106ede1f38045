-- Profiles of whole hours and days, rolled up from the minutes: a window reads one row a feature however much came, and
-- hours are kept for longer than minutes. `rollup_generations` says from which generation of the minutes each was made: one
-- that has newer minutes is not read. `start` is the begin of the hour or day, `seconds` its length.

CREATE TABLE IF NOT EXISTS profiles_hour
(
    model          LowCardinality(String),
    start          DateTime('UTC'),
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
PARTITION BY toYYYYMM(start)
ORDER BY (model, start, environment, version, segment, arm, feature)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS profiles_day
(
    model          LowCardinality(String),
    start          DateTime('UTC'),
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
PARTITION BY toYYYYMM(start)
ORDER BY (model, start, environment, version, segment, arm, feature)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS rollup_generations
(
    model      LowCardinality(String),
    seconds    UInt32,
    start      DateTime('UTC'),
    generation UInt64
)
ENGINE = ReplacingMergeTree(generation)
PARTITION BY toYYYYMM(start)
ORDER BY (model, seconds, start)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
