"""Sends log records, spans and data points by one protocol: send.py PROTOCOL COUNT; where to is in OTEL_EXPORTER_OTLP_*."""

import sys

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, count = sys.argv[1], int(sys.argv[2])
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

resource = Resource.create({"service.name": f"python {protocol}"})
# The SDK itself drops what its queue cannot hold: it is flushed before.
BATCH = 500
spans, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)
metrics = MeterProvider(resource=resource, metric_readers=[reader])
tracer, logger, meter = spans.get_tracer("t"), logs.get_logger("t"), metrics.get_meter("t")
counter, histogram = meter.create_counter("requests"), meter.create_histogram("latency")

for n in range(count):
    logger.emit(body=f"record {n}", attributes={"n": n, "text": "ключ 🔑", "list": [1, 2, 3]})
    with tracer.start_as_current_span("request", attributes={"n": n}) as span:
        span.add_event("half way", {"n": n})
    counter.add(1, {"n": n % 100})
    histogram.record(n)
    if n % BATCH == BATCH - 1:
        spans.force_flush(), logs.force_flush()

spans.shutdown(), logs.shutdown(), metrics.shutdown()
