/** Settings of exporters to copy: by environment variables, which every OpenTelemetry SDK reads, and by language. */

import type { Encryption } from "../../api/types";

export interface Target {
  /** OTLP over gRPC and over HTTP, such as "127.0.0.1:4317". */
  grpc: string;
  http: string;
  encryption: Encryption;
  /** Senders need a key. */
  keyed: boolean;
}

export interface Exporter {
  name: string;
  code: string;
}

const KEY = "<key>";

export function exporters(target: Target): Exporter[] {
  const scheme = target.encryption === "none" ? "http" : "https";
  const http = `${scheme}://${target.http}`;
  const grpc = `${scheme}://${target.grpc}`;
  return [
    { name: "Environment", code: environment(target, http) },
    { name: "Python", code: python(target, grpc) },
    { name: "Node.js", code: node(target, http) },
    { name: "Java", code: java(target, grpc) },
    { name: "Go", code: go(target) },
    { name: ".NET", code: dotnet(target, grpc) },
    { name: "Rust", code: rust(target, grpc) },
    { name: "Collector", code: collector(target, grpc) },
  ];
}

/** Lines that hold; those that do not apply are `false`. */
function lines(...all: (string | false)[]): string {
  return all.filter((line) => line !== false).join("\n");
}

function environment(target: Target, http: string): string {
  const { encryption, keyed } = target;
  return lines(
    `export OTEL_EXPORTER_OTLP_ENDPOINT=${http}`,
    "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    "export OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
    keyed && `export OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20${KEY}"`,
    encryption !== "none" && "export OTEL_EXPORTER_OTLP_CERTIFICATE=/path/to/authority.pem   # where it is not a public one",
    encryption === "mutual_tls" && "export OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/path/to/client.pem",
    encryption === "mutual_tls" && "export OTEL_EXPORTER_OTLP_CLIENT_KEY=/path/to/client.key",
    "export OTEL_SERVICE_NAME=my-service",
    "export OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=production,service.version=1.0",
  );
}

function python({ encryption, keyed }: Target, grpc: string): string {
  return lines(
    "from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter",
    "from opentelemetry.sdk.trace import TracerProvider",
    "from opentelemetry.sdk.trace.export import BatchSpanProcessor",
    "",
    encryption === "mutual_tls" && "# OTEL_EXPORTER_OTLP_CERTIFICATE, …_CLIENT_CERTIFICATE and …_CLIENT_KEY name the files",
    `exporter = OTLPSpanExporter(endpoint="${grpc}"${encryption === "none" ? ", insecure=True" : ""}${keyed ? `, headers={"authorization": "Bearer ${KEY}"}` : ""})`,
    "provider = TracerProvider()",
    "provider.add_span_processor(BatchSpanProcessor(exporter))",
  );
}

function node({ keyed }: Target, http: string): string {
  return lines(
    'import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";',
    'import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";',
    "",
    `const exporter = new OTLPTraceExporter({ url: "${http}/v1/traces"${keyed ? `, headers: { authorization: "Bearer ${KEY}" }` : ""} });`,
    "const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });",
    "provider.register();",
  );
}

function java({ keyed }: Target, grpc: string): string {
  return lines(
    "java -javaagent:opentelemetry-javaagent.jar \\",
    `  -Dotel.exporter.otlp.endpoint=${grpc} -Dotel.exporter.otlp.protocol=grpc \\`,
    keyed && `  -Dotel.exporter.otlp.headers="authorization=Bearer ${KEY}" \\`,
    "  -Dotel.service.name=my-service -jar my-service.jar",
  );
}

function go({ grpc, encryption, keyed }: Target): string {
  return lines(
    "exporter, err := otlptracegrpc.New(ctx,",
    `    otlptracegrpc.WithEndpoint("${grpc}"),`,
    encryption === "none" && "    otlptracegrpc.WithInsecure(),",
    keyed && `    otlptracegrpc.WithHeaders(map[string]string{"authorization": "Bearer ${KEY}"}),`,
    '    otlptracegrpc.WithCompressor("gzip"))',
  );
}

function dotnet({ keyed }: Target, grpc: string): string {
  return lines(
    "builder.Services.AddOpenTelemetry().WithTracing(tracing => tracing.AddOtlpExporter(options => {",
    `    options.Endpoint = new Uri("${grpc}");`,
    keyed && `    options.Headers = "authorization=Bearer ${KEY}";`,
    "}));",
  );
}

function rust({ keyed }: Target, grpc: string): string {
  return lines(
    keyed && `let key = "Bearer ${KEY}".parse()?;`,
    "let exporter = opentelemetry_otlp::SpanExporter::builder()",
    "    .with_tonic()",
    `    .with_endpoint("${grpc}")`,
    keyed && '    .with_metadata(MetadataMap::from_headers(HeaderMap::from_iter([(AUTHORIZATION, key)])))',
    "    .build()?;",
  );
}

function collector({ encryption, keyed }: Target, grpc: string): string {
  return lines(
    "exporters:",
    "  otlp/driftlead:",
    `    endpoint: ${grpc}`,
    encryption === "none" && "    tls: { insecure: true }",
    encryption === "tls" && "    tls: { ca_file: /path/to/authority.pem }",
    encryption === "mutual_tls" && "    tls: { ca_file: /path/to/authority.pem, cert_file: /path/to/client.pem, key_file: /path/to/client.key }",
    keyed && `    headers: { authorization: "Bearer ${KEY}" }`,
    "    sending_queue: { storage: file_storage }",
    "service:",
    "  pipelines:",
    "    logs: { receivers: [otlp], exporters: [otlp/driftlead] }",
    "    traces: { receivers: [otlp], exporters: [otlp/driftlead] }",
    "    metrics: { receivers: [otlp], exporters: [otlp/driftlead] }",
  );
}
