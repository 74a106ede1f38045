/** The four charts of a model as plans to draw: which lines, which axes, which thresholds. */

import type { ChartsResponse, SignalColumns, TimelineItem } from "../../api/types";
import { withGaps, type Column } from "../../charts/columns";
import type { Line, Plan } from "../../charts/time-chart";
import { of, say, t } from "../../i18n/i18n.svelte";
import { named, thresholdText } from "../../parts/signal";

export interface ChartPlan {
  title: string;
  plan: Plan;
  write: ((value: number | null | undefined) => string)[];
  beside?: (line: number, row: number) => string | null;
  empty: string | null;
  note: string;
}

export interface Frame {
  from: number;
  to: number;
  items: TimelineItem[];
}

/** A measurement that is older than this many of its windows is not joined to the next. */
const WINDOWS_APART = 1.5;
const COLORS = ["--chart-1", "--chart-2", "--chart-3", "--chart-2", "--chart-3", "--chart-4"];
const DASHES: (number[] | undefined)[] = [undefined, undefined, undefined, [5, 3], [5, 3], [2, 2]];

export function trafficChart(charts: ChartsResponse, frame: Frame): ChartPlan {
  const { service } = charts;
  const rate = service.requests.map((n) => (n === null ? null : n / service.step_s));
  const ratio = service.requests.map((n, i) => (n ? (service.errors[i] ?? 0) / n : null));
  const errorLine = t("chart.error_ratio");
  return {
    title: t("chart.traffic"),
    plan: {
      ...base(frame, service.time, ["request_rate", "error_ratio", "errors_per_second", "silence_s"]),
      lines: [
        { label: t("chart.requests"), values: rate, color: "--chart-3", fill: true, stepped: true, width: 1.25 },
        { label: errorLine, values: ratio, color: "--chart-1", axis: "right", stepped: true },
      ],
      thresholds: thresholds(charts, ["error_ratio"], "right").concat(thresholds(charts, ["request_rate"], "left")),
      left: { from: "zero", write: (v) => say.significant(v) },
      right: { from: "zero", ceiling: 1, write: (v) => say.percent(v) },
    },
    write: [(v) => say.perSecond(v), (v) => say.percent(v)],
    beside: (line, row) => {
      const n = service.requests[row];
      if (n == null) return "";
      return line === 0 ? t("chart.n_requests", { n }) : t("chart.of", { k: say.count(service.errors[row]), n: say.count(n) });
    },
    empty: service.requests.some((n) => n !== null) ? null : t("chart.no_traffic"),
    note: notes(charts, ["error_ratio", "request_rate"]),
  };
}

export function latencyChart(charts: ChartsResponse, frame: Frame): ChartPlan {
  const { service } = charts;
  const lines: Line[] = [
    { label: "p99", values: service.latency_p99_ms, color: "--chart-4", stepped: true },
    { label: "p95", values: service.latency_p95_ms, color: "--chart-1", stepped: true },
    { label: "p50", values: service.latency_p50_ms, color: "--chart-3", stepped: true },
  ];
  return {
    title: t("chart.latency"),
    plan: {
      ...base(frame, service.time, ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms"]),
      lines,
      thresholds: thresholds(charts, ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms"], "left"),
      left: { from: "zero", write: (v) => say.milliseconds(v) },
    },
    write: lines.map(() => (v) => say.milliseconds(v)),
    beside: (line, row) => (line > 0 ? null : service.latency_n[row] == null ? "" : t("chart.n_requests", { n: service.latency_n[row] })),
    empty: service.latency_n.some((n) => n !== null && n > 0) ? null : t("chart.no_latency"),
    note: notes(charts, ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms"]),
  };
}

export function shiftChart(charts: ChartsResponse, frame: Frame): ChartPlan {
  const made = signalLines(charts.shift, (line) => (line.signal === "prediction_shift" ? of("signal", "prediction_shift") : line.subject), true);
  return {
    title: t("chart.shift"),
    plan: {
      ...base(frame, made.time, ["feature_shift", "prediction_shift"]),
      lines: made.lines,
      thresholds: thresholds(charts, ["feature_shift", "prediction_shift"], "left", charts.shift.window_s),
      left: { from: "zero", ceiling: 1, write: (v) => say.percent(v) },
    },
    write: made.lines.map(() => (v) => say.percent(v)),
    empty: made.empty ? t("chart.no_shift", { window: say.duration(charts.shift.window_s) }) : null,
    note: notes(charts, ["feature_shift"], charts.shift.window_s),
  };
}

export function qualityChart(charts: ChartsResponse, frame: Frame): ChartPlan {
  const made = signalLines(charts.quality, (line) => (line.version ? `${of("signal", line.signal)} · ${line.version}` : of("signal", line.signal)), false);
  const drawn = [...new Set(charts.quality.lines.map((line) => line.signal))];
  return {
    title: t("chart.quality"),
    plan: {
      ...base(frame, made.time, ["f1", "accuracy", "precision", "recall", "false_positive_ratio"]),
      lines: made.lines,
      thresholds: thresholds(charts, drawn, "left", charts.quality.window_s),
      left: { from: "values", ceiling: 1, write: (v) => say.significant(v) },
    },
    write: made.lines.map(() => (v) => say.significant(v)),
    beside: (line, row) => {
      const n = made.counts[line]?.[row];
      return n ? t("metric.n", { n }) : "";
    },
    empty: made.empty ? t("chart.no_labels", { window: say.duration(charts.quality.window_s) }) : null,
    note: notes(charts, drawn, charts.quality.window_s),
  };
}

/** Windows joined to lines with gaps; the first line carries the band of its bounds, so that bands do not lie over bands. */
function signalLines(columns: SignalColumns, label: (line: SignalColumns["lines"][number]) => string, firstBandOnly: boolean) {
  const all: Column[] = columns.lines.flatMap((line) => [line.value, line.lower, line.upper, line.n]);
  const gapped = withGaps(columns.time, all, columns.window_s * WINDOWS_APART);
  const lines = columns.lines.map((line, i): Line => {
    const banded = !firstBandOnly || i === 0;
    return {
      label: label(line),
      values: gapped.columns[i * 4] ?? [],
      lower: banded ? gapped.columns[i * 4 + 1] : undefined,
      upper: banded ? gapped.columns[i * 4 + 2] : undefined,
      color: COLORS[i % COLORS.length] ?? "--chart-2",
      dash: DASHES[i % DASHES.length],
      width: i === 0 ? 2 : 1.25,
    };
  });
  return {
    time: gapped.time,
    lines: distinct(lines),
    counts: columns.lines.map((_, i) => gapped.columns[i * 4 + 3] ?? []),
    empty: !columns.lines.some((line) => line.value.some((value) => value !== null)),
  };
}

/** Keys of lists must differ, and so must names that a reader tells lines by. */
function distinct(lines: Line[]): Line[] {
  const seen = new Map<string, number>();
  return lines.map((line) => {
    const n = (seen.get(line.label) ?? 0) + 1;
    seen.set(line.label, n);
    return n === 1 ? line : { ...line, label: `${line.label} (${n})` };
  });
}

function base(frame: Frame, time: number[], signals: string[]) {
  return {
    from: frame.from,
    to: frame.to,
    time,
    marks: frame.items.flatMap((item) =>
      item.kind === "release" && (item.event === "live" || item.event === "seen") ? [{ at: Date.parse(item.at) / 1000, label: item.version }] : [],
    ),
    spans: frame.items.flatMap((item) =>
      item.kind === "alert" && signals.includes(item.signal)
        ? [{ from: Date.parse(item.from) / 1000, to: item.to === null ? frame.to : Date.parse(item.to) / 1000, severity: item.severity }]
        : [],
    ),
    writeTime,
  };
}

function thresholds(charts: ChartsResponse, signals: string[], axis: "left" | "right", window_s?: number): Plan["thresholds"] {
  return charts.thresholds
    .filter((rule) => signals.includes(rule.signal) && inWindow(rule.window_s, window_s))
    .map((rule) => ({ value: rule.value, axis, side: rule.side }));
}

function notes(charts: ChartsResponse, signals: string[], window_s?: number): string {
  return charts.thresholds
    .filter((rule) => signals.includes(rule.signal) && inWindow(rule.window_s, window_s))
    .map((rule) => `${named(rule.signal)} ${thresholdText(rule.signal, rule)}`)
    .filter((text, i, all) => all.indexOf(text) === i)
    .join(" · ");
}

/** A rule over a day says nothing about an hour's value, but its line still tells where it lies; so both are drawn when only one exists. */
function inWindow(rule_s: number | null, drawn_s: number | undefined): boolean {
  return drawn_s === undefined || rule_s === null || rule_s === drawn_s || drawn_s < rule_s;
}

/** "14:02" where steps are shorter than half a day, else "5 Oct". */
function writeTime(at: number, step_s: number): string {
  const date = new Date(at * 1000);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  return say.axis(date, step_s >= 43_200 || midnight ? "day" : "clock");
}
