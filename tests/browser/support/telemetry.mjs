// Sends inferences and errors as any OpenTelemetry exporter would: OTLP over HTTP, as JSON.

/** Names as hostile as senders may choose them. */
export const HOSTILE = {
  html: `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`,
  rtl: "\u202eמודל עברי \u200eعربي\u202c نموذج",
  long: "long-".repeat(199) + "name!",
};

/** Where OTLP over HTTP is taken. */
export async function otlp(request) {
  const { listen } = await (await request.get("/api/v1/status")).json();
  return `http://${listen.otlp_http}`;
}

/** `name` where names are kept, `text` in every value beside it; the first inference is an error. True when it was taken. */
export async function sendInferences(request, name, text, count) {
  const now = BigInt(Date.now()) * 1_000_000n;
  const logRecords = Array.from({ length: count }, (_, i) => ({
    timeUnixNano: String(now - BigInt(i) * 1_000_000n),
    severityNumber: i === 0 ? 17 : 9,
    severityText: i === 0 ? "ERROR" : "INFO",
    eventName: "ml.inference",
    body: { stringValue: `${text} could not answer` },
    attributes: attributes({
      "ml.model.name": name,
      "ml.model.version": name,
      "ml.request.id": `hostile-${text.length}-${now}-${i}`,
      "ml.prediction.label": text,
      "ml.segment": name,
      "ml.latency_ms": 12.5,
      [`ml.feature.${name}`]: text,
      ...(i === 0 ? { "error.type": name, "exception.stacktrace": `${text}\n  at ${text}` } : {}),
    }),
  }));
  const resource = { attributes: attributes({ "service.name": name, "deployment.environment.name": "hostile" }) };
  const answer = await request.post(`${await otlp(request)}/v1/logs`, {
    headers: { "content-type": "application/json" },
    data: { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] },
  });
  return answer.ok();
}

/** A log record and the span around it, of a service that serves no model. True when both were taken. */
export async function sendRecord(request, { service, event, text, span }) {
  const end = BigInt(Date.now()) * 1_000_000n;
  const traceId = end.toString(16).padStart(32, "0");
  const spanId = end.toString(16).padStart(16, "0").slice(-16);
  const resource = { attributes: attributes({ "service.name": service, "deployment.environment.name": "hostile" }) };
  const headers = { "content-type": "application/json" };
  const log = { timeUnixNano: String(end), severityNumber: 13, severityText: "WARN", eventName: event, body: { stringValue: text }, traceId, spanId };
  const logs = await request.post(`${await otlp(request)}/v1/logs`, { headers, data: { resourceLogs: [{ resource, scopeLogs: [{ logRecords: [log] }] }] } });
  const times = { startTimeUnixNano: String(end - 203_000_000n), endTimeUnixNano: String(end) };
  const told = { traceId, spanId, name: span, kind: 2, ...times, status: { code: 2, message: text } };
  const spans = await request.post(`${await otlp(request)}/v1/traces`, { headers, data: { resourceSpans: [{ resource, scopeSpans: [{ spans: [told] }] }] } });
  return logs.ok() && spans.ok();
}

function attributes(values) {
  return Object.entries(values).map(([key, value]) => ({ key, value: typeof value === "number" ? { doubleValue: value } : { stringValue: value } }));
}
