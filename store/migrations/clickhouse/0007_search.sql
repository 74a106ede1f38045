-- What log records and spans are searched and counted by, without reading all of their attributes.

ALTER TABLE otel_logs ADD COLUMN IF NOT EXISTS DriftleadModel LowCardinality(String) MATERIALIZED coalesce(nullIf(LogAttributes['ml.model.name'], ''), nullIf(LogAttributes['gen_ai.response.model'], ''), nullIf(LogAttributes['gen_ai.request.model'], ''), nullIf(LogAttributes['llm.model_name'], ''), ResourceAttributes['ml.model.name']) CODEC(ZSTD(1));

ALTER TABLE otel_logs ADD COLUMN IF NOT EXISTS DriftleadVersion LowCardinality(String) MATERIALIZED coalesce(nullIf(LogAttributes['ml.model.version'], ''), nullIf(ResourceAttributes['ml.model.version'], ''), ResourceAttributes['service.version']) CODEC(ZSTD(1));

ALTER TABLE otel_logs ADD COLUMN IF NOT EXISTS DriftleadEnvironment LowCardinality(String) MATERIALIZED coalesce(nullIf(ResourceAttributes['deployment.environment.name'], ''), ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

ALTER TABLE otel_traces ADD COLUMN IF NOT EXISTS DriftleadModel LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['ml.model.name'], ''), nullIf(SpanAttributes['gen_ai.response.model'], ''), nullIf(SpanAttributes['gen_ai.request.model'], ''), nullIf(SpanAttributes['llm.model_name'], ''), ResourceAttributes['ml.model.name']) CODEC(ZSTD(1));

ALTER TABLE otel_traces ADD COLUMN IF NOT EXISTS DriftleadVersion LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['ml.model.version'], ''), nullIf(ResourceAttributes['ml.model.version'], ''), ResourceAttributes['service.version']) CODEC(ZSTD(1));

ALTER TABLE otel_traces ADD COLUMN IF NOT EXISTS DriftleadEnvironment LowCardinality(String) MATERIALIZED coalesce(nullIf(ResourceAttributes['deployment.environment.name'], ''), ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));
