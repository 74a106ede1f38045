/** Log records and spans: what the search finds beside errors. They are told in the traces that errors are told in. */

import type { SearchHit } from "../src/api/types.ts";
import { HOSTILE, RELEASED_11_S } from "./scenario.ts";
import { iso, noise } from "./series.ts";

export const RECORDS = 900;
const EVERY_S = 67;
const MARKUP = "<b>node</b>";
const ESCAPES = "\u001b[31mdisk almost full\u001b[0m \u001b]8;;https://elsewhere.example/\u0007open\u001b]8;;\u0007";

interface Kind {
  severity: string;
  service: string;
  message: string;
  attributes: Record<string, unknown>;
}

const LOGS: ((i: number) => Kind)[] = [
  (i) => ({ severity: "INFO", service: "employment-api", message: "ml.inference", attributes: { "event.name": "ml.inference", "ml.request.id": `req-${90_000 + i}`, "ml.prediction.label": i % 2 ? "1" : "0", "ml.latency_ms": "74.2" } }),
  (i) => ({ severity: "INFO", service: "gateway", message: `POST /predict 200 in ${40 + (i % 60)} ms for tenant acme-${i % 7}`, attributes: { "event.name": "http.access", "http.route": "/predict", "http.response.status_code": "200" } }),
  (i) => ({ severity: "DEBUG", service: "feature-store", message: `cache miss for key ACS:${9_000 + i}, reading from disk`, attributes: { "code.function.name": "cache.read" } }),
  (i) => ({ severity: "WARN", service: "feature-store", message: `slow read: ${180 + (i % 90)} ms, budget is 150 ms`, attributes: { "event.name": "store.slow_read", "db.collection.name": "acs" } }),
  (i) => ({ severity: "INFO", service: "employment-api", message: `encoded 16 features of request req-${90_000 + i}`, attributes: {} }),
];

function logKind(i: number): Kind {
  if (i % 31 === 3) return { severity: "ERROR", service: "feature-store", message: "feature store did not answer within 200 ms", attributes: { "error.type": "TimeoutError" } };
  if (i % 37 === 5) return { severity: "WARN", service: MARKUP, message: `${ESCAPES} <b onclick=alert(1)>bold?</b> ${HOSTILE[1]}`, attributes: { "event.name": HOSTILE[0] } };
  return (LOGS[i % LOGS.length] as (i: number) => Kind)(i);
}

function shared(i: number, now: number): Pick<SearchHit, "time" | "model" | "version" | "environment" | "trace_id" | "stack" | "pattern_id" | "highlights"> {
  const ago = 4 + i * EVERY_S;
  return {
    time: iso(now - ago), model: "employment", version: ago < RELEASED_11_S ? "1.1" : "1.0", environment: "production", stack: "", pattern_id: null, highlights: [],
    trace_id: `${(0xabc0000 + i).toString(16)}`.padStart(32, "0"),
  };
}

function own(i: number): string {
  return `${(0xde00 + i).toString(16)}`.padStart(16, "0");
}

export function logAt(i: number, now: number): SearchHit {
  const { severity, service, message, attributes } = logKind(i);
  const model = service === "employment-api" ? {} : { model: "", version: "" };
  const error_type = typeof attributes["error.type"] === "string" ? attributes["error.type"] : "";
  return { id: `l${i}`, ...shared(i, now), ...model, severity, service, span_id: own(i), error_type, message, attributes: { "scope.name": service, ...attributes } };
}

/** The four spans of each trace. */
export function spanAt(i: number, now: number): SearchHit {
  const trace = Math.floor(i / 4);
  const failed = trace % 9 === 0;
  const spans = [
    { name: "POST /predict", kind: "server", service: "gateway", span_id: "00000000000000a1", parent: "", ms: 212.4, failed },
    { name: "authorise", kind: "internal", service: "gateway", span_id: "00000000000000a2", parent: "00000000000000a1", ms: 3.4, failed: false },
    { name: "predict", kind: "server", service: "employment-api", span_id: own(trace), parent: "00000000000000a1", ms: 203.1, failed },
    {
      name: trace % 13 === 1 ? `features <b>of ${HOSTILE[1]}</b>` : "features", kind: "client", service: trace % 13 === 1 ? MARKUP : "feature-store", span_id: "00000000000000a4", parent: own(trace), ms: 200, failed: false,
    },
  ];
  const span = spans[i % 4] as (typeof spans)[number];
  const severity = span.failed ? "ERROR" : i % 4 === 1 ? "OK" : "UNSET";
  return {
    id: `s${i}`, ...shared(trace, now), ...(span.service === "employment-api" ? {} : { model: "", version: "" }), severity, service: span.service, span_id: span.span_id,
    error_type: span.failed ? "TimeoutError" : "", message: span.failed ? `${span.name}: could not answer` : span.name,
    attributes: {
      "span.name": span.name, "span.kind": span.kind, "latency_ms": Math.round(span.ms * (0.6 + noise(9, i)) * 100) / 100, "scope.name": span.service,
      ...(span.parent ? { "span.parent_id": span.parent } : {}), ...(span.name === "POST /predict" ? { "http.route": "/predict" } : {}),
      ...(span.service === "employment-api" ? { "ml.request.id": `req-${90_000 + trace}` } : {}),
    },
  };
}
