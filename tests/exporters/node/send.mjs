// Sends log records, spans and data points by one protocol: node send.mjs PROTOCOL COUNT; where to is in OTEL_EXPORTER_OTLP_*.
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [protocol, count] = [process.argv[2], Number(process.argv[3])];
const suffix = { grpc: "grpc", "http/protobuf": "proto", "http/json": "http" }[protocol];
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${suffix}`);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${suffix}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${suffix}`);

const resource = resourceFromAttributes({ "service.name": `node ${protocol}` });
// The SDK itself drops what its queue cannot hold: it is flushed before.
const BATCH = 500;
const spans = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 3_600_000 });
const metrics = new MeterProvider({ resource, readers: [reader] });
const [tracer, logger, meter] = [spans.getTracer("t"), logs.getLogger("t"), metrics.getMeter("t")];
const counter = meter.createCounter("requests");
const histogram = meter.createHistogram("latency");

for (let n = 0; n < count; n++) {
  logger.emit({ body: `record ${n}`, attributes: { n, text: "ключ 🔑", nested: { list: [1, "two", 3.5] } } });
  const span = tracer.startSpan("request", { attributes: { n } });
  span.addEvent("half way", { n });
  span.end();
  counter.add(1, { n: n % 100 });
  histogram.record(n);
  if (n % BATCH === BATCH - 1) await Promise.all([spans.forceFlush(), logs.forceFlush()]);
}
await Promise.all([spans.shutdown(), logs.shutdown(), metrics.shutdown()]);
