/** Recorded answers about labels and data quality: what was measured, what was expected, what is missing. */

import type { Bounded, Calibration, ClassQuality, ConfusionMatrix, Measured, QualityGap, QualityResponse, SignalColumns, SignalPoint, SignalSeries, SignalsResponse } from "../src/api/types.ts";
import { FEATURES, served } from "./answers.ts";
import { HOSTILE, RELEASED_11_S, type ModelStory } from "./scenario.ts";
import { iso, noise, rate } from "./series.ts";

const LABEL_DELAY_S = 7_200;

/** As wide as 99 % bounds of a share are. */
function bounded(value: number, n: number): Bounded {
  const half = 2.33 * Math.sqrt((value * (1 - value)) / Math.max(n, 1));
  return { value, lower: Math.max(value - half, 0), upper: Math.min(value + half, 1) };
}

/** Whether labels of a model come at all; of one numbers are predicted, of another there are many intents. */
const isLabelled = (story: ModelStory) => story.level > 0 && story.name !== "churn";

export function quality(story: ModelStory, from: number, to: number, window_s: number | null, asked: string | null, segment: string, now: number): QualityResponse {
  const versions = served(story, now).map((one, i) => ({ version: one.version ?? "", inferences: i === 0 ? 64_120 : 20_112, labelled: isLabelled(story) ? (i === 0 ? 51_020 : 3_211) : 0 }));
  const shown = versions.find((one) => one.version === asked) ?? (asked === null ? versions.at(0) : undefined);
  const share = segment === "" ? 1 : 0.2;
  const inferences = story.level === 0 ? 0 : Math.round((shown?.inferences ?? 0) * share);
  const labelled = story.level === 0 ? 0 : Math.round((shown?.labelled ?? 0) * share);
  const isBad = shown?.version === "1.1";
  const classes = story.seed >= 20 ? [...HOSTILE] : story.name === "support-intents" ? Array.from({ length: 27 }, (_, i) => `intent ${i + 1}`) : ["0", "1"];
  const columns = labelled > 0 ? measured(story, shown?.version ?? "", from, to, window_s, now) : { window_s: 0, time: [], lines: [] };
  return {
    environment: story.environment, version: shown?.version ?? asked ?? "", segment, from: iso(from), to: iso(to), is_shortened: story.name === "fraud-score",
    versions: story.level === 0 ? [] : versions, inferences, labelled,
    unknown: inferences === 0 ? "no_data" : labelled === 0 ? "no_labels" : null,
    positive_class: classes.length === 2 ? "1" : null, label_delay_s: LABEL_DELAY_S,
    signals: columns, gaps: labelled > 0 ? gaps(story, columns, now) : [],
    confusion: labelled > 0 ? matrix(classes, labelled, isBad ? 0.71 : 0.86) : null,
    calibration: calibration(classes.length === 2 ? labelled : 0, isBad),
    numbers: null,
  };
}

function measured(story: ModelStory, version: string, from: number, to: number, asked_s: number | null, now: number): SignalColumns {
  const window_s = asked_s ?? (to - from > 2 * 86_400 ? 86_400 : 3_600);
  const time: number[] = [];
  for (let t = Math.ceil(from / window_s) * window_s; t <= Math.min(to, now); t += window_s) if (rate(story.seed, t, now, 1) !== null) time.push(t);
  const isBad = version === "1.1";
  const line = (signal: string, value: (at: number, i: number) => number | null, n: number) => {
    const values = time.map((at, i) => value(at, i));
    const bounds = values.map((v) => (v === null ? null : bounded(v, n)));
    const provisional = time.map((at, i) => values[i] !== null && !signal.startsWith("estimated_") && now - at < LABEL_DELAY_S);
    return { signal, version, subject: "", value: values, lower: bounds.map((b) => b?.lower ?? null), upper: bounds.map((b) => b?.upper ?? null), n: values.map((v) => (v === null ? 0 : n)), provisional };
  };
  const about = (base: number) => (at: number) => base + 0.014 * (noise(story.seed, at) - 0.5);
  const level = isBad ? 0.71 : 0.86;
  // What was expected goes on as before, until its grade switches it off.
  const isOff = (at: number) => story.name === "employment" && now - at < RELEASED_11_S + 7_200;
  const lines = [
    line("accuracy", about(level + 0.03), 900),
    line("estimated_accuracy", (at) => (isOff(at) ? null : about(0.888)(at + 7)), 3_000),
    line("f1", about(level), 900),
    line("estimated_f1", (at) => (isOff(at) ? null : about(0.858)(at + 3)), 3_000),
    ...(story.seed >= 20 ? [] : [line("roc_auc", about(level + 0.06), 900)]),
  ];
  return { window_s: time.length > 0 ? window_s : 0, time, lines };
}

/** Of the story's model the estimate is off; of another there are too few labels for one of the measures. */
function gaps(story: ModelStory, columns: SignalColumns, now: number): QualityGap[] {
  const end = iso(columns.time.at(-1) ?? now);
  if (story.name === "employment") {
    return ["estimated_accuracy", "estimated_f1"].map((signal) => ({
      signal, end, unknown: "switched_off", reason: "switched off: labels contradicted it in 3 of the last 10 windows, so what scores mean has changed", graded: 10, contradicted: 3,
      missed: { end: iso(now - 3_600), expected: bounded(0.858, 3_000), measured: bounded(0.711, 900) },
    }));
  }
  return [{ signal: "roc_auc", end, unknown: "insufficient", reason: "12 labelled scores, fewer than 30", graded: null, contradicted: null, missed: null }];
}

function matrix(names: string[], n: number, right: number): ConfusionMatrix {
  const shown = names.slice(0, 20);
  const other_classes = names.length - shown.length;
  const size = shown.length + (other_classes > 0 ? 1 : 0);
  const counts = Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_, column) => {
      const ofRow = Math.round((n / size) * (0.6 + 0.8 * noise(row, 3)));
      return Math.round(row === column ? ofRow * right : ((ofRow * (1 - right)) / Math.max(size - 1, 1)) * (0.5 + noise(row, column)));
    }),
  );
  const total = counts.flat().reduce((sum, count) => sum + count, 0);
  const hits = counts.reduce((sum, row, i) => sum + (row[i] ?? 0), 0);
  return {
    n: total, accuracy: bounded(hits / total, total), other_classes, counts,
    classes: shown.map((name, i): ClassQuality => {
      const hit = counts[i]?.[i] ?? 0;
      const ofTruth = (counts[i] ?? []).reduce((sum, count) => sum + count, 0);
      const predicted = counts.reduce((sum, row) => sum + (row[i] ?? 0), 0);
      return { class: name, n: ofTruth, predicted, precision: bounded(hit / predicted, predicted), recall: bounded(hit / ofTruth, ofTruth), f1: bounded((2 * hit) / (ofTruth + predicted), ofTruth) };
    }),
  };
}

function calibration(n: number, isBad: boolean): Measured<Calibration> {
  if (n === 0) return { undefined: "the model declares no positive_class, so which score is its probability is not known" };
  const bins = Array.from({ length: 10 }, (_, i) => {
    const mean_score = (i + 0.5) / 10;
    const records = Math.round((n / 10) * (0.4 + 1.2 * Math.abs(mean_score - 0.5)));
    const share = isBad ? 0.25 + 0.5 * mean_score : mean_score + 0.03 * (noise(i, 4) - 0.5);
    return { from: i / 10, to: (i + 1) / 10, n: records, mean_score, positive_share: bounded(share, records) };
  });
  const total = bins.reduce((sum, bin) => sum + bin.n, 0);
  return { n: total, ece: bins.reduce((sum, bin) => sum + (bin.n / total) * Math.abs(bin.positive_share.value - bin.mean_score), 0), bins };
}

const MEAN_RATIO: Record<string, number> = { missing_ratio: 0.02, new_category_ratio: 0.004, out_of_range_ratio: 0.001, type_mismatch_ratio: 0 };

/** One series for each feature and version; one feature fails with the release, one is new, one says too little. */
export function signals(story: ModelStory, name: string, window_s: number, segment: string, most: number, ends: { from: number; to: number }, now: number): SignalsResponse {
  const mean = MEAN_RATIO[name];
  if (mean === undefined || story.level === 0) return { signals: [], all_subjects: 0 };
  const features = story.seed >= 20 ? [...HOSTILE] : FEATURES;
  const fitting = name === "new_category_ratio" ? features.filter((_, i) => i % 4 === 3 || story.seed >= 20) : features;
  const ofVersion = (feature: string, version: { version: string | null; serves: (at: number) => boolean }): SignalSeries => {
    const i = features.indexOf(feature);
    const points: SignalPoint[] = [];
    for (let end = Math.ceil(ends.from / window_s) * window_s; end <= Math.min(ends.to, now + window_s); end += window_s) {
      const at = Math.min(end, now) - window_s / 2;
      if (!version.serves(at) || rate(story.seed, at, now, 1) === null) continue;
      const n = i === 7 && end % (window_s * 3) === 0 ? 41 : Math.round(window_s * story.level * 0.3);
      const jump = version.version === "1.1" && i === 1 ? 0.3 : 0;
      const value = n < 100 ? null : Math.min(mean * (i % 5) * noise(i + 1, end) + (mean > 0 ? jump : 0), 1);
      const bounds = value === null ? null : bounded(value, n);
      points.push({
        end: iso(end), value, lower: bounds?.lower ?? null, upper: bounds?.upper ?? null, decision_lower: bounds?.lower ?? null, decision_upper: bounds?.upper ?? null,
        n, reference_n: 0, provisional: end > now, state: value === null ? "insufficient" : "ok",
        ...(value === null ? { unknown: "insufficient" as const, reason: `${n} values in the window, fewer than 100` } : {}),
      });
    }
    return { name, version: version.version ?? "", environment: story.environment, segment, subject: feature, window: window_s === 3_600 ? "1h" : "1d", points };
  };
  const all = fitting.slice(0, most).flatMap((feature) => served(story, now).map((version) => ofVersion(feature, version)));
  return { signals: all.filter((one) => one.points.length > 0), all_subjects: name === "missing_ratio" && story.name === "fraud-score" ? 312 : fitting.length };
}
