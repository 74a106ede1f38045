/** What is measured by labels beside what was expected without them: charts, and the words for what is missing. */

import type { Bounded, Measured, QualityGap, QualityResponse } from "../../api/types";
import { of, say, t } from "../../i18n/i18n.svelte";
import { unknownText, written } from "../../parts/signal";
import { base, behind, beside, COLORS, notes, signalLines, thresholds, type ChartPlan, type Shared, type SignalLine } from "./plans";

/** In the order in which they are shown; classes first, then numbers, then people's verdicts. */
const METRICS = ["f1", "accuracy", "roc_auc", "mae", "rmse", "incorrect_ratio"];
const ESTIMATED = "estimated_";
const ESTIMATE_DASH = [5, 3];

export interface MetricChart extends ChartPlan {
  metric: string;
  /** Windows at the end for which more labels are expected. */
  provisional: number;
  /** Why the newest window of measure or estimate has no value. */
  gaps: QualityGap[];
}

/** One chart for each metric of which measure or estimate has a value in the range. */
export function metricCharts(quality: Pick<QualityResponse, "signals" | "gaps">, shared: Shared): MetricChart[] {
  return METRICS.flatMap((metric) => {
    const of_metric = [metric, ESTIMATED + metric];
    const lines = of_metric.flatMap((name) => quality.signals.lines.filter((line) => line.signal === name && line.value.some((v) => v !== null)));
    const gaps = quality.gaps.filter((gap) => of_metric.includes(gap.signal));
    return lines.length === 0 ? [] : [chart(metric, lines, gaps, quality, shared)];
  });
}

/** Metrics that have signals but no value in the range, with the reason. */
export function silentGaps(quality: Pick<QualityResponse, "signals" | "gaps">, drawn: MetricChart[]): QualityGap[] {
  const shown = new Set(drawn.flatMap((one) => one.gaps.map((gap) => gap.signal)));
  return quality.gaps.filter((gap) => !shown.has(gap.signal));
}

function chart(metric: string, lines: SignalLine[], gaps: QualityGap[], quality: Pick<QualityResponse, "signals">, shared: Shared): MetricChart {
  const { frame } = shared;
  const made = signalLines(quality.signals, lines, (line) => of("signal", line.signal));
  made.lines.forEach((line, i) => {
    const isEstimate = lines[i]?.signal !== metric;
    Object.assign(line, { color: COLORS[0], dash: isEstimate ? ESTIMATE_DASH : undefined });
  });
  const names = [metric, ESTIMATED + metric];
  const write = (value: number | null | undefined) => written(metric, value);
  const isShare = !["mae", "rmse"].includes(metric);
  const measured = lines.find((line) => line.signal === metric);
  return {
    metric,
    title: of("signal", metric),
    plan: {
      ...base(frame, made.time, names),
      lines: made.lines,
      thresholds: thresholds(shared, names, "left", quality.signals.window_s),
      left: isShare ? { from: "values", ceiling: 1, write } : { from: "zero", write },
    },
    write: made.lines.map(() => write),
    beside: (line, row) => beside(made.lines[line], row, write),
    behind: (line, row) => behind(made.lines[line], row, write),
    empty: null,
    note: notes(shared, names, quality.signals.window_s),
    provisional: measured ? provisionalAtEnd(measured) : 0,
    gaps,
  };
}

/** Windows with a value at the end of a line of which more labels are expected. */
export function provisionalAtEnd(line: Pick<SignalLine, "value" | "provisional">): number {
  let n = 0;
  for (let i = line.value.length - 1; i >= 0; i--) {
    if (line.value[i] === null) continue;
    if (!line.provisional[i]) break;
    n += 1;
  }
  return n;
}

/** "F1 estimated has no value in …: labels contradicted it in 3 of … Last missed until 12:00: expected 0.83 (0.81 – 0.85), measured 0.71, off by 0.12." */
export function gapText(gap: QualityGap): string {
  const write = (value: number) => written(gap.signal.replace(ESTIMATED, ""), value);
  const why =
    gap.unknown === "switched_off" && gap.graded
      ? t("quality.switched_off", { missed: gap.contradicted, graded: gap.graded })
      : [unknownText(gap.unknown), gap.reason].filter(Boolean).join(": ");
  const said = t("quality.gap", { signal: of("signal", gap.signal), window: say.short(new Date(gap.end)), why });
  if (gap.missed === null) return said;
  const { end, expected, measured } = gap.missed;
  const missed = t("quality.missed", {
    window: say.short(new Date(end)),
    expected: bounded(expected, write),
    measured: bounded(measured, write),
    by: write(Math.abs(expected.value - measured.value)),
  });
  return `${said} ${missed}`;
}

/** "0.83 (0.81 – 0.85)". */
export function bounded(of: Bounded, write: (value: number) => string): string {
  return t("quality.bounded", { value: write(of.value), lower: write(of.lower), upper: write(of.upper) });
}

/** The value of a measure, or why there is none. */
export function known<T extends object | number>(measured: Measured<T>): { value: T; why: null } | { value: null; why: string } {
  if (typeof measured === "object" && "undefined" in measured) return { value: null, why: (measured as { undefined: string }).undefined };
  return { value: measured as T, why: null };
}

/** Shares of each row of a matrix; a row that holds nothing has none. */
export function rowShares(counts: number[][]): (number | null)[][] {
  return counts.map((row) => {
    const sum = row.reduce((total, n) => total + n, 0);
    return row.map((n) => (sum === 0 ? null : n / sum));
  });
}
