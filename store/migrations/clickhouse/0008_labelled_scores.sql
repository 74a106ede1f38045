-- How often each score of the positive class came with which decision and truth, by hour: what estimates of quality without
-- labels are learnt from. The arrays are of one length, that of keys.

CREATE TABLE IF NOT EXISTS labelled_scores
(
    model           LowCardinality(String),
    environment     LowCardinality(String),
    version         LowCardinality(String),
    hour            DateTime('UTC'),
    computed_at     DateTime64(9, 'UTC'),
    keys            Array(Int32),
    true_positives  Array(UInt64),
    false_positives Array(UInt64),
    false_negatives Array(UInt64),
    true_negatives  Array(UInt64)
)
ENGINE = ReplacingMergeTree(computed_at)
PARTITION BY toYYYYMM(hour)
ORDER BY (model, environment, version, hour)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
