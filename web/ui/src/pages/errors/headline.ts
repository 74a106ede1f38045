/** What stands over the message of a hit: how bad, of what type, how long it took. Pure, so that it can be tested. */

import type { SearchHit, SearchSource } from "../../api/types";

/** What goes without saying in a list of the source. */
const USUAL: Record<SearchSource, string> = { errors: "ERROR", logs: "", traces: "UNSET" };

/** How bad a severity or a status is; `null`: not bad. */
export function severityTone(severity: string): "critical" | "warning" | null {
  if (/^(?:ERROR|FATAL|CRITICAL)/i.test(severity)) return "critical";
  return /^WARN/i.test(severity) ? "warning" : null;
}

export interface Headline {
  /** "" where it goes without saying. */
  severity: string;
  /** "" where there is none, or where the message says it. */
  type: string;
  latency_ms: number | null;
}

export function headline(hit: SearchHit, source: SearchSource): Headline {
  const severity = hit.severity === USUAL[source] ? "" : hit.severity;
  const type = hit.error_type || (source === "errors" ? hit.severity : attribute(hit, "event.name"));
  return { severity, type: type === hit.message ? "" : type, latency_ms: source === "traces" ? latency(hit) : null };
}

/** How an opened hit is headed; "" where it has no name. */
export function heading(hit: SearchHit, source: SearchSource): string {
  if (source === "errors") return hit.error_type || hit.severity;
  return attribute(hit, source === "traces" ? "span.name" : "event.name") || hit.error_type;
}

/** How long a span took. */
export function latency(hit: SearchHit): number | null {
  const value = hit.attributes["latency_ms"];
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : null;
}

function attribute(hit: SearchHit, name: string): string {
  const value = hit.attributes[name];
  return typeof value === "string" ? value : "";
}
