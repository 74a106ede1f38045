/** What a newcomer pastes to see a first inference arrive; each is complete as it stands. */

export interface Step {
  language: string;
  /** For a service whose OpenTelemetry SDK is set up already: where to send, and what to say. */
  three: string[] | null;
  /** What has to be there, as a command; none for curl. */
  install: string | null;
  code: string;
}

/** A server that listens on every address is reached by the one that its pages came from. */
export function reachable(listen: string, hostname: string): string {
  return listen.replace(/^(0\.0\.0\.0|\[::\])(?=:\d+$)/, () => hostname);
}

/** `address` is where OTLP over HTTP is taken, such as "127.0.0.1:4318". */
export function firstSteps(address: string, encrypted: boolean, keyed: boolean): Step[] {
  const at = `${encrypted ? "https" : "http"}://${address}`;
  const exported = keyed ? ' OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer <key>"' : "";
  return [
    {
      language: "Python",
      three: [`export OTEL_EXPORTER_OTLP_ENDPOINT=${at} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf${exported}`, 'span.set_attribute("ml.model.name", "my-model")', 'span.set_attribute("ml.model.version", "1.0")'],
      install: "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http",
      code: [
        "from opentelemetry.sdk.trace import TracerProvider",
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor",
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter",
        "",
        "provider = TracerProvider()",
        `exporter = OTLPSpanExporter("${at}/v1/traces"${keyed ? ', headers={"authorization": "Bearer <key>"}' : ""})`,
        "provider.add_span_processor(SimpleSpanProcessor(exporter))",
        'with provider.get_tracer("demo").start_as_current_span("predict", attributes={',
        '    "ml.model.name": "my-model", "ml.model.version": "1.0", "ml.prediction.label": "yes", "ml.feature.age": 42}):',
        "    pass  # your model answers here",
      ].join("\n"),
    },
    {
      language: "Node.js",
      three: [`export OTEL_EXPORTER_OTLP_ENDPOINT=${at} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf${exported}`, 'span.setAttribute("ml.model.name", "my-model");', 'span.setAttribute("ml.model.version", "1.0");'],
      install: "npm install @opentelemetry/sdk-trace-node @opentelemetry/exporter-trace-otlp-proto",
      code: [
        'import { NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";',
        'import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";',
        "",
        `const exporter = new OTLPTraceExporter({ url: "${at}/v1/traces"${keyed ? ', headers: { authorization: "Bearer <key>" }' : ""} });`,
        "const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });",
        'provider.getTracer("demo").startSpan("predict", { attributes: {',
        '  "ml.model.name": "my-model", "ml.model.version": "1.0", "ml.prediction.label": "yes", "ml.feature.age": 42 } }).end();',
        "await provider.shutdown();",
      ].join("\n"),
    },
    {
      language: "curl",
      three: null,
      install: null,
      code: [
        `curl ${at}/v1/logs -H 'content-type: application/json'${keyed ? " -H 'authorization: Bearer <key>'" : ""} -d '{"resourceLogs": [{"scopeLogs": [{"logRecords": [`,
        `  {"timeUnixNano": "'$(date +%s)000000000'", "eventName": "ml.inference", "attributes": [`,
        '    {"key": "ml.model.name", "value": {"stringValue": "my-model"}}, {"key": "ml.model.version", "value": {"stringValue": "1.0"}},',
        '    {"key": "ml.prediction.label", "value": {"stringValue": "yes"}}, {"key": "ml.feature.age", "value": {"doubleValue": 42}}]}]}]}]}\'',
      ].join("\n"),
    },
  ];
}
