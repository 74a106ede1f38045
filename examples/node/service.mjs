// A service with a model, watched by Driftlead: nothing here but the stock OpenTelemetry SDK.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SpanStatusCode } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const resource = resourceFromAttributes({ "service.name": "node-example", "deployment.environment.name": "demo" });
const spans = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
const [tracer, logger] = [spans.getTracer("service"), logs.getLogger("service")];

for (let i = Number(process.argv[2] ?? 100); i > 0; i--) {
  const age = 40 + 12 * Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const who = { "ml.model.name": "credit", "ml.model.version": "1.0", "ml.request.id": randomUUID() };
  const span = tracer.startSpan("predict", { attributes: who }); // tells how long it took, and whether it failed
  await sleep(1 + 2 * Math.random());
  const score = Math.min(Math.max(age / 80, 0), 1);
  if (age < 18) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: "too young" }).setAttribute("error.type", "ValueError");
  } else {
    const answer = { "ml.prediction.label": score > 0.5 ? "yes" : "no", "ml.prediction.score": score };
    const features = { "ml.feature.age": age, "ml.feature.channel": Math.random() < 0.5 ? "web" : "app" };
    logger.emit({ eventName: "ml.inference", attributes: { ...who, ...answer, ...features } });
  }
  span.end();
}
await Promise.all([spans.shutdown(), logs.shutdown()]); // sends what is still waiting
