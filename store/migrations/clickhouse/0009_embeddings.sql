-- What profiles count of embeddings, made by the drain, so that no profile reads the vectors: how many numbers there are, and the bucket
-- of each of 64 fixed projections (none of a vector without a direction). Rows of before have neither.

ALTER TABLE inferences ADD COLUMN IF NOT EXISTS embedding_dimensions SimpleAggregateFunction(max, UInt16) AFTER embedding;

ALTER TABLE inferences ADD COLUMN IF NOT EXISTS embedding_projections SimpleAggregateFunction(max, Array(UInt8)) CODEC(ZSTD(1)) AFTER embedding_dimensions;

-- One row per inference, its halves merged: what everybody reads.
CREATE OR REPLACE VIEW whole_inferences AS
SELECT
    model, key_hour, request_id, event_time, received_time,
    greatest(inferences.partial, superseded) AS partial, has_log, has_span,
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
    session_id,
    input_text, input_length, input_hash, embedding_model, embedding_created_at, embedding, embedding_dimensions, embedding_projections,
    scores, numeric_features, categorical_features
FROM inferences FINAL;
