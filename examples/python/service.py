"""A service with a model, watched by Driftlead: nothing here but the stock OpenTelemetry SDK."""

import os, random, sys, time, uuid

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode

if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

resource = Resource.create({"service.name": "python-example", "deployment.environment.name": "demo"})
spans, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
tracer, logger = spans.get_tracer("service"), logs.get_logger("service")

for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 100):
    age, who = random.gauss(40, 12), {"ml.model.name": "credit", "ml.model.version": "1.0", "ml.request.id": str(uuid.uuid4())}
    with tracer.start_as_current_span("predict", attributes=who) as span:  # tells how long it took, and whether it failed
        time.sleep(random.uniform(0.001, 0.003))
        score = min(max(age / 80, 0), 1)
        if age < 18:
            span.set_status(StatusCode.ERROR, "too young"), span.set_attribute("error.type", "ValueError")
            continue
        logger.emit(event_name="ml.inference", attributes={**who, "ml.prediction.label": "yes" if score > 0.5 else "no",
                    "ml.prediction.score": score, "ml.feature.age": age, "ml.feature.channel": random.choice(["web", "app"])})

spans.shutdown(), logs.shutdown()  # sends what is still waiting
