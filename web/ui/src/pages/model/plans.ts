/** The four charts of a model as plans to draw: which lines, which axes, which thresholds. */

import type { ChartsResponse, SignalColumns, TimelineItem } from "../../api/types";
import { withGaps, type Column } from "../../charts/columns";
import type { Line, Plan } from "../../charts/time-chart";
import { of, say, t, type Key } from "../../i18n/i18n.svelte";
import { named, subjectName, thresholdText } from "../../parts/signal";

export interface ChartPlan {
  title: string;
  plan: Plan;
  write: ((value: number | null | undefined) => string)[];
  beside?: (line: number, row: number) => string | null;
  behind?: (line: number, row: number) => string;
  empty: string | null;
  note: string;
}

export interface Frame {
  from: number;
  to: number;
  items: TimelineItem[];
}

/** What the charts of a page share. */
export interface Shared {
  frame: Frame;
  thresholds: ChartsResponse["thresholds"];
}

/** Lengths of windows that can be chosen. */
export const WINDOWS: Record<string, number> = { "1h": 3_600, "1d": 86_400 };

/** What is drawn of signals that every version has. */
export interface Chosen {
  /** The version that the reader chose, else `null`. */
  version: string | null;
  /** The version that serves now. */
  live: string | null;
  /** The length of windows that the reader chose, else `null`: the API's choice. */
  window_s: number | null;
}

/** A measurement that is older than this many of its windows is not joined to the next. */
const WINDOWS_APART = 1.5;
/** More lines cannot be told apart. */
const MOST_LINES = 6;
const QUALITY = ["f1", "estimated_f1", "accuracy", "precision", "recall"];
export const COLORS = ["--chart-1", "--chart-2", "--chart-3", "--chart-2", "--chart-3", "--chart-4"];
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
      left: { from: "zero", write: (v) => say.perSecond(v) },
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

export function shiftChart(charts: ChartsResponse, frame: Frame, chosen: Chosen): ChartPlan {
  const largest = (line: SignalLine) => Math.max(...line.value.map((value) => value ?? -Infinity));
  const lines = drawnLines(charts.shift, charts.service, chosen).sort((a, b) => largest(b) - largest(a));
  const made = signalLines(charts.shift, lines, (line) => subjectName(line.subject) || of("signal", line.signal));
  return {
    title: t("chart.shift"),
    plan: {
      ...base(frame, made.time, ["feature_shift", "prediction_shift"]),
      lines: made.lines,
      thresholds: thresholds(charts, ["feature_shift", "prediction_shift"], "left", charts.shift.window_s),
      left: { from: "zero", ceiling: 1, write: (v) => say.percent(v) },
    },
    write: made.lines.map(() => (v) => say.percent(v)),
    beside: (line, row) => (line > 0 ? null : beside(made.lines[line], row, say.percent)),
    behind: (line, row) => behind(made.lines[line], row, say.percent),
    empty: made.empty ? nothing("chart.no_shift", "chart.no_shift_of", charts.shift.window_s || chosen.window_s) : null,
    note: notes(charts, ["feature_shift", "prediction_shift"], charts.shift.window_s),
  };
}

export function qualityChart(charts: ChartsResponse, frame: Frame, chosen: Chosen): ChartPlan {
  const lines = drawnLines(charts.quality, charts.service, chosen).sort((a, b) => QUALITY.indexOf(a.signal) - QUALITY.indexOf(b.signal));
  const made = signalLines(charts.quality, lines, (line) => of("signal", line.signal));
  // What is expected stands beside what is measured: in its color, broken.
  made.lines.forEach((line, i) => {
    if (lines[i]?.signal === "estimated_f1") Object.assign(line, { color: COLORS[0], dash: [5, 3] });
  });
  const drawn = [...new Set(lines.map((line) => line.signal))];
  return {
    title: t("chart.quality"),
    plan: {
      ...base(frame, made.time, [...QUALITY, "false_positive_ratio"]),
      lines: made.lines,
      thresholds: thresholds(charts, drawn, "left", charts.quality.window_s),
      left: { from: "values", ceiling: 1, write: (v) => say.significant(v) },
    },
    write: made.lines.map(() => (v) => say.significant(v)),
    beside: (line, row) => (line > 0 ? null : beside(made.lines[line], row, say.significant)),
    behind: (line, row) => behind(made.lines[line], row, say.significant),
    empty: made.empty ? nothing("chart.no_labels", "chart.no_labels_of", charts.quality.window_s || chosen.window_s) : null,
    note: notes(charts, drawn, charts.quality.window_s),
  };
}

export type SignalLine = SignalColumns["lines"][number];

/**
 * The lines of one version: versions over one another cannot be read. The one that was chosen, else the one that
 * serves, else the one that served most in the range; each only if there is something to draw of it.
 */
export function drawnLines(columns: SignalColumns, service: ChartsResponse["service"], chosen: Pick<Chosen, "version" | "live">): SignalLine[] {
  const known = columns.lines.filter((line) => line.value.some((value) => value !== null));
  if (chosen.version !== null) return known.filter((line) => line.version === chosen.version);
  const served = new Map(service.versions.map((one) => [one.version, one.requests.reduce<number>((sum, n) => sum + (n ?? 0), 0)]));
  const versions = [...new Set(known.map((line) => line.version))].sort((a, b) => (served.get(b) ?? 0) - (served.get(a) ?? 0));
  const drawn = versions.find((version) => version === chosen.live) ?? versions[0];
  return known.filter((line) => line.version === drawn);
}

/** "3.7 % – 4.9 % · n 3,211": bounds and records, and whether more are expected. */
export function behind(line: Line | undefined, row: number, write: (value: number | null | undefined) => string): string {
  return [beside(line, row, write), line?.provisional?.[row] ? t("metric.provisional") : ""].filter(Boolean).join(" · ");
}

/** The same, where there is little room: bounds and records. */
export function beside(line: Line | undefined, row: number, write: (value: number | null | undefined) => string): string {
  if (!line || line.values[row] == null) return "";
  const [lower, upper, n] = [line.lower?.[row], line.upper?.[row], line.n?.[row]];
  const bounds = lower != null && upper != null ? `${write(lower)} – ${write(upper)}` : "";
  return [bounds, n ? t("metric.short_n", { n }) : ""].filter(Boolean).join(" · ");
}

/** Why a chart of windows is empty, with their length where it is known. */
function nothing(any: Key, of_length: Key, window_s: number | null): string {
  return window_s ? t(of_length, { window: say.duration(window_s) }) : t(any);
}

/** Windows joined to lines with gaps; the first line carries the band of its bounds, so that bands do not lie over bands. */
export function signalLines(columns: SignalColumns, all: SignalLine[], label: (line: SignalLine) => string) {
  const some = all.slice(0, MOST_LINES);
  const columnsOfAll = some.flatMap((line): Column[] => [line.value, line.lower, line.upper, line.n, line.provisional.map(Number)]);
  const gapped = withGaps(columns.time, columnsOfAll, columns.window_s * WINDOWS_APART);
  const lines = some.map((line, i): Line => {
    const [values = [], lower, upper, n, provisional] = gapped.columns.slice(i * 5, i * 5 + 5);
    return {
      label: [label(line), line.version].filter(Boolean).join(" · "),
      values,
      lower,
      upper,
      n,
      provisional,
      band: i === 0,
      color: COLORS[i % COLORS.length] ?? "--chart-2",
      dash: DASHES[i % DASHES.length],
      width: i === 0 ? 2 : 1.25,
    };
  });
  return { time: gapped.time, lines: distinct(lines), empty: lines.length === 0 };
}

/** Names by which a reader tells lines differ. */
function distinct(lines: Line[]): Line[] {
  const seen = new Map<string, number>();
  return lines.map((line) => {
    const n = (seen.get(line.label) ?? 0) + 1;
    seen.set(line.label, n);
    return n === 1 ? line : { ...line, label: `${line.label} (${n})` };
  });
}

export function base(frame: Frame, time: number[], signals: string[]) {
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

export function thresholds(charts: Pick<ChartsResponse, "thresholds">, signals: string[], axis: "left" | "right", window_s?: number): Plan["thresholds"] {
  return charts.thresholds
    .filter((rule) => signals.includes(rule.signal) && inWindow(rule.window_s, window_s))
    .map((rule) => ({ value: rule.value, axis, side: rule.side }));
}

export function notes(charts: Pick<ChartsResponse, "thresholds">, signals: string[], window_s?: number): string {
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

/** "14:02" where steps are shorter than a day, "5 Oct" at midnight and in longer ones. */
function writeTime(at: number, step_s: number): string {
  const date = new Date(at * 1000);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  return say.axis(date, step_s > 43_200 || midnight ? "day" : "clock");
}
