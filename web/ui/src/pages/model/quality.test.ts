import { describe, expect, it, vi } from "vitest";
import type { QualityGap, SignalColumns } from "../../api/types";
import { gapText, known, metricCharts, provisionalAtEnd, rowShares, silentGaps } from "./quality";

// Words ask the browser for its language when they are loaded.
vi.hoisted(() => vi.stubGlobal("navigator", { language: "en-GB" }));

const line = (signal: string, value: (number | null)[], provisional: boolean[] = []): SignalColumns["lines"][number] => ({
  signal,
  version: "1.1",
  subject: "",
  value,
  lower: value.map((v) => (v === null ? null : v - 0.01)),
  upper: value.map((v) => (v === null ? null : v + 0.01)),
  n: value.map((v) => (v === null ? 0 : 500)),
  provisional: value.map((_, i) => provisional[i] ?? false),
});
const off: QualityGap = {
  signal: "estimated_f1",
  end: "2026-10-05T14:00:00Z",
  unknown: "switched_off",
  reason: "switched off",
  graded: 10,
  contradicted: 3,
  missed: { end: "2026-10-05T12:00:00Z", expected: { value: 0.9, lower: 0.88, upper: 0.92 }, measured: { value: 0.7, lower: 0.68, upper: 0.72 } },
};
const signals = (...lines: SignalColumns["lines"]): SignalColumns => ({ window_s: 3_600, time: [3_600, 7_200, 10_800], lines });
const shared = {
  frame: { from: 0, to: 10_800, items: [] },
  thresholds: [
    { signal: "f1", side: "below" as const, value: 0.75, severity: "critical" as const, rule: "floor", window_s: 3_600 },
    { signal: "mae", side: "above" as const, value: 3, severity: "critical" as const, rule: "other", window_s: null },
  ],
};

describe("charts of quality", () => {
  const made = metricCharts(
    { signals: signals(line("accuracy", [0.9, 0.9, 0.8]), line("estimated_f1", [0.9, 0.9, null]), line("f1", [0.9, 0.7, 0.7], [false, true, true]), line("roc_auc", [null, null, null])), gaps: [off] },
    shared,
  );

  it("are one for each metric with a value, the estimate broken beside the measure", () => {
    expect(made.map((one) => one.metric)).toEqual(["f1", "accuracy"]);
    expect(made[0]?.plan.lines.map((one) => [one.label, one.band, one.dash])).toEqual([
      ["F1 · 1.1", true, undefined],
      ["F1 estimated · 1.1", false, [5, 3]],
    ]);
    expect(made[0]?.plan.thresholds).toEqual([{ value: 0.75, axis: "left", side: "below" }]);
    expect(made[1]?.plan.thresholds).toEqual([]);
  });

  it("say in words what is provisional and what is switched off", () => {
    expect(made[0]?.provisional).toBe(2);
    expect(made[0]?.behind?.(0, 2)).toContain("provisional");
    expect(made[0]?.behind?.(0, 0)).not.toContain("provisional");
    expect(made[0]?.gaps).toEqual([off]);
    expect(gapText(off)).toContain("3 of the last 10 windows");
    expect(gapText(off)).toContain("0.9 (0.88 – 0.92)");
    expect(gapText(off)).toContain("off by 0.2");
    expect(gapText({ ...off, missed: null })).not.toContain("off by");
  });

  it("leave what has no value at all to words", () => {
    const few: QualityGap = { ...off, signal: "roc_auc", unknown: "insufficient", missed: null };
    expect(silentGaps({ signals: signals(), gaps: [off, few] }, made)).toEqual([few]);
    expect(metricCharts({ signals: signals(), gaps: [] }, shared)).toEqual([]);
  });
});

describe("provisional windows", () => {
  it.each([
    [[1, 2, 3], [true, false, true], 1],
    [[1, 2, null], [false, true, false], 1],
    [[1, 2, 3], [false, false, false], 0],
  ])("of %j with %j are %s", (value, provisional, n) => expect(provisionalAtEnd({ value, provisional })).toBe(n));
});

describe("counts", () => {
  it("are shares of their row, where it holds any", () => {
    expect(rowShares([[1, 3], [0, 0]])).toEqual([[0.25, 0.75], [null, null]]);
  });

  it("have a value or say why not", () => {
    expect(known<number>(0)).toEqual({ value: 0, why: null });
    expect(known<{ value: number }>({ undefined: "nothing was predicted positive" })).toEqual({ value: null, why: "nothing was predicted positive" });
  });
});
