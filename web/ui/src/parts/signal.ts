/** How the value of each signal is written and named, and the one sentence that says why a model is not well. */

import type { Health, HealthReason, Metric, Threshold, Unknown } from "../api/types";
import { NOTHING } from "../format/number";
import { of, say, t } from "../i18n/i18n.svelte";

/** A signal's value with its unit, as `signalUnit` has it. */
export function written(signal: string, value: number | null | undefined): string {
  if (value == null) return NOTHING;
  switch (signalUnit(signal)) {
    case "share":
      return say.percent(value);
    case "milliseconds":
      return say.milliseconds(value);
    case "seconds":
      return say.duration(value);
    case "per_second":
      return say.perSecond(value);
    case "days":
      return say.duration(value * 86_400);
    case "bytes":
      return say.bytes(value);
    case "celsius":
      return `${say.significant(value)}\u202f°C`;
    case "plain":
      return say.significant(value);
  }
}

export type Unit = "share" | "milliseconds" | "seconds" | "days" | "per_second" | "bytes" | "celsius" | "plain";

/** Shares and relative differences whose names do not end as those of others do. */
const SHARES = new Set([
  "control_drop",
  "conversion_lift",
  "embedding_staleness",
  "gpu_throttle_loss",
  "gpu_utilisation",
  "neighbours_kept",
  "quality_decay_per_month",
  "sample_ratio_mismatch",
]);

/** Read off the signal's name, which ends in its unit; scores such as F1 are written plainly. */
export function signalUnit(signal: string): Unit {
  if (signal.endsWith("_ratio") || signal.endsWith("_shift") || SHARES.has(signal)) return "share";
  if (signal.endsWith("_temperature_c")) return "celsius";
  if (signal.endsWith("_ms")) return "milliseconds";
  if (signal.endsWith("_s")) return "seconds";
  if (signal.endsWith("_days")) return "days";
  if (signal.endsWith("_bytes")) return "bytes";
  if (signal === "request_rate" || signal.endsWith("_per_second")) return "per_second";
  return "plain";
}

/** "Shift of ANC", "F1", or the signal's own name where pages have no words for it. */
export function named(signal: string, subject = ""): string {
  // What a prediction is made of is named by the subject: its shift is a shift as any other.
  if (signal === "prediction_shift" && subject) return t("reason.of", { signal: of("signal", "feature_shift"), subject: subjectName(subject) });
  // A rule that counts what a search finds: its subject is the rule's name.
  if (signal === "matching_errors" && subject) return t("reason.matching", { subject });
  const name = of("signal", signal);
  return subject ? t("reason.of", { signal: name, subject: subjectName(subject) }) : name;
}

/** Parts of an answer are compared as features are; the API calls them so. */
const PREDICTION = /^prediction\.(label|score|value)$/;

/** A feature's name, or which part of the answer it is: "Predicted label". */
export function subjectName(subject: string): string {
  const part = PREDICTION.exec(subject)?.[1];
  return part === undefined ? subject : of("prediction", part);
}

export function unknownText(unknown: Unknown | null): string {
  return of("unknown", unknown ?? "not_computed");
}

/** What stands behind a number: bounds, count, window, threshold. */
export function behind(metric: Metric): string {
  if (metric.value === null) return unknownText(metric.unknown) + (metric.n > 0 ? ` · ${t("metric.n", { n: metric.n })}` : "");
  const parts: string[] = [];
  if (metric.lower !== null && metric.upper !== null) {
    parts.push(t("metric.bounds", { lower: written(metric.signal, metric.lower), upper: written(metric.signal, metric.upper) }));
  }
  parts.push(t("metric.n", { n: metric.n }));
  if (metric.reference_n > 0) parts.push(t("metric.reference_n", { n: metric.reference_n }));
  if (metric.at !== null) {
    parts.push(t("metric.window", { length: say.duration(metric.window_s), end: say.short(new Date(metric.at)) }));
  }
  if (metric.threshold) parts.push(thresholdText(metric.signal, metric.threshold));
  if (metric.provisional) parts.push(t("metric.provisional"));
  return parts.join(" · ");
}

export function thresholdText(signal: string, threshold: Pick<Threshold, "side" | "value">): string {
  return t(threshold.side === "above" ? "metric.rule_above" : "metric.rule_below", { value: written(signal, threshold.value) });
}

/** Which state a value is in by its rule, for its colour; bounds decide, not the value alone, so this asks the list of reasons. */
export function metricState(metric: Metric, health: Health): "critical" | "warning" | null {
  const reason = health.reasons.find((r) => r.signal === metric.signal && r.code === "alert" && r.severity !== "info");
  return reason ? (reason.severity as "critical" | "warning") : null;
}

/** "F1 0.81 < 0.85 since 14:02". */
export function reasonText(reason: HealthReason): string {
  const since = reason.since === null ? "" : ` ${t("reason.since", { time: say.short(new Date(reason.since)) })}`;
  const signal = reason.signal ?? "";
  switch (reason.code) {
    case "action_failed":
      return of("reason.action_failed", reason.subject) + since;
    case "alert":
    case "pending_alert": {
      if (signal === "gate_failed") return t("reason.gate_failed", { version: reason.version }) + since;
      if (signal === "silence_s") return t("reason.silent") + since;
      const sign = reason.side === "below" ? "<" : ">";
      const compared = reason.threshold === null ? "" : ` ${sign} ${written(signal, reason.threshold)}`;
      const pending = reason.code === "pending_alert" ? ` (${t("reason.pending")})` : "";
      return `${named(signal, reason.subject)} ${written(signal, reason.value)}${compared}${since}${pending}`;
    }
  }
}
