/** Alert rules from searches, kept while the recorded API runs. */

import type { NewSearchRule, SearchRule } from "../src/api/types.ts";
import { HOSTILE } from "./scenario.ts";
import { iso } from "./series.ts";

const HOUR_S = 3_600;
export const RECEIVERS = ["ml-team", "oncall"];

const made = { created_by: "loopback", created_time: iso(Date.now() / 1000 - 26 * HOUR_S) };
const kept: SearchRule[] = [
  { name: "feature-store-timeouts", query: "error_type:TimeoutError", environment: "production", above: 10, window_s: 300, severity: "critical", notify: ["oncall"], ...made, state: "firing", matching: 14 },
  { name: "shape-mismatch-1.1", query: 'error_type:ShapeMismatch version:"1.1"', environment: null, above: 0, window_s: 900, severity: "warning", notify: null, ...made, state: "pending", matching: 2 },
  { name: "hostile", query: `message:"${HOSTILE[0]?.replaceAll('"', "")}" ${HOSTILE[1]} ${HOSTILE[2]}`, environment: "", above: 100, window_s: 7_200, severity: "info", notify: null, ...made, state: "inactive", matching: 0 },
];

export function rules(): SearchRule[] {
  return [...kept].sort((a, b) => a.name.localeCompare(b.name));
}

/** `null` where the name is taken; in words where it cannot be kept. */
export function make(sent: Partial<NewSearchRule>, now: number): SearchRule | string | null {
  const { name = "", query = "", environment = null, above = -1, window_s = 0, severity = "warning", notify = null } = sent;
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(name)) return "A name has 1 to 128 letters, digits, hyphens, underscores and dots.";
  if (above < 0) return "`above` is at least 0.";
  if (window_s < 60 || window_s > 86_400) return "`window_s` is between 60 and 86400.";
  if (notify?.some((one) => !RECEIVERS.includes(one))) return "There is no such receiver.";
  if (kept.some((one) => one.name === name)) return null;
  const rule: SearchRule = { name, query, environment, above, window_s, severity, notify, created_by: "loopback", created_time: iso(now), state: null, matching: null };
  kept.push(rule);
  return rule;
}

export function forget(name: string): boolean {
  const at = kept.findIndex((one) => one.name === name);
  if (at >= 0) kept.splice(at, 1);
  return at >= 0;
}
