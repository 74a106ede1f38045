import { describe, expect, it, vi } from "vitest";
import type { ChartsResponse, SignalColumns } from "../../api/types";
import { drawnLines, qualityChart, shiftChart } from "./plans";

// Words ask the browser for its language when they are loaded.
vi.hoisted(() => vi.stubGlobal("navigator", { language: "en-GB" }));

type SignalLine = SignalColumns["lines"][number];
const line = (signal: string, version: string, subject: string, value: (number | null)[]): SignalLine => ({
  signal,
  version,
  subject,
  value,
  lower: value.map((v) => (v === null ? null : v - 0.01)),
  upper: value.map((v) => (v === null ? null : v + 0.01)),
  n: value.map((v) => (v === null ? 0 : 500)),
  provisional: value.map(() => false),
});
const columns = (lines: SignalLine[]): SignalColumns => ({ window_s: lines.length > 0 ? 3_600 : 0, time: lines.length > 0 ? [3_600, 7_200] : [], lines });
const served = (requests: Record<string, number>): ChartsResponse["service"]["versions"] => Object.entries(requests).map(([version, n]) => ({ version, requests: [n, null] }));
const charts = (shift: SignalLine[], quality: SignalLine[] = [], requests: Record<string, number> = {}) =>
  ({ service: { versions: served(requests) }, shift: columns(shift), quality: columns(quality), thresholds: [] }) as unknown as ChartsResponse;
const frame = { from: 0, to: 7_200, items: [] };
const chosen = { version: null, live: "1.1", window_s: null };

const FEATURES = ["a", "b", "c", "d", "e"];
const both = (value: (version: string, i: number) => number | null) =>
  ["1.0", "1.1"].flatMap((version) => [
    ...FEATURES.map((subject, i) => line("feature_shift", version, subject, [null, value(version, i)])),
    ...["prediction.label", "prediction.score"].map((subject) => line("prediction_shift", version, subject, [0.001, 0.001])),
  ]);

describe("which version is drawn", () => {
  const lines = both((_, i) => i / 100);
  const versions = (live: string | null, version: string | null, of = lines) => [
    ...new Set(drawnLines(columns(of), { versions: served({ "1.0": 900, "1.1": 100 }) } as ChartsResponse["service"], { version, live }).map((one) => one.version)),
  ];

  it("is the one that serves", () => expect(versions("1.1", null)).toEqual(["1.1"]));
  it("is the one that was chosen", () => expect(versions("1.1", "1.0")).toEqual(["1.0"]));
  it("is the busiest where the one that serves has nothing to draw", () => expect(versions("2.0", null)).toEqual(["1.0"]));
  it("is none where nothing was measured", () => expect(versions("1.1", null, both(() => null).filter((one) => one.signal === "feature_shift"))).toEqual([]));
});

describe("the shift chart", () => {
  const made = shiftChart(charts(both((version, i) => (version === "1.1" ? i / 100 : 0.9))), frame, chosen);

  it("draws six lines of one version, the worst first and alone with its band", () => {
    expect(made.plan.lines.map((one) => one.label)).toEqual(["e · 1.1", "d · 1.1", "c · 1.1", "b · 1.1", "Predicted label · 1.1", "Predicted score · 1.1"]);
    expect(made.plan.lines.map((one) => one.band)).toEqual([true, false, false, false, false, false]);
  });

  it("says what stands behind a value", () => {
    expect(made.behind?.(0, 1).replace(/\u202f/g, " ")).toBe("3 % – 5 % · n 500");
    expect(made.behind?.(0, 0)).toBe("");
  });

  it("names the windows that are empty only where it knows their length", () => {
    expect(shiftChart(charts([]), frame, chosen).empty).toBe("No shift in this range: it needs a reference and enough inferences.");
    expect(shiftChart(charts([]), frame, { ...chosen, window_s: 3_600 }).empty).toContain("windows of 1");
  });
});

describe("the quality chart", () => {
  it("begins with F1, which alone has a band", () => {
    const quality = ["accuracy", "f1", "precision", "recall"].flatMap((signal) => ["1.0", "1.1"].map((version) => line(signal, version, "", [0.8, 0.9])));
    const made = qualityChart(charts([], quality, { "1.0": 1 }), frame, chosen);
    expect(made.plan.lines.map((one) => [one.label, one.band])).toEqual([
      ["F1 · 1.1", true],
      ["Accuracy · 1.1", false],
      ["Precision · 1.1", false],
      ["Recall · 1.1", false],
    ]);
  });

  it("draws what is expected beside what is measured, in its color and broken", () => {
    const quality = ["estimated_f1", "f1"].map((signal) => line(signal, "1.1", "", [0.8, 0.9]));
    const [measured, expected] = qualityChart(charts([], quality, { "1.1": 1 }), frame, chosen).plan.lines;
    expect([expected?.label, expected?.color, expected?.dash, measured?.dash]).toEqual(["F1 estimated · 1.1", measured?.color, [5, 3], undefined]);
  });
});
