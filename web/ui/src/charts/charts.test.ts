import { describe, expect, it } from "vitest";
import { lanes, runs, scaleBounds, serving, withGaps } from "./columns";
import { sparkShape } from "./spark";
import { tableRows, tableText } from "./table";

describe("columns", () => {
  it("an interval without windows is a gap", () => {
    expect(withGaps([0, 60, 120, 600], [[1, 2, 3, 4]], 90)).toEqual({ time: [0, 60, 120, 360, 600], columns: [[1, 2, 3, null, 4]] });
    expect(withGaps([], [[]], 90)).toEqual({ time: [], columns: [[]] });
  });

  it("bands are drawn only where both bounds are known", () => {
    expect(runs([1, 1, null, 1], [2, 2, 2, 2])).toEqual([
      [0, 1],
      [3, 3],
    ]);
    expect(runs([], [])).toEqual([]);
  });

  it("a scale holds values and near thresholds, not far ones", () => {
    expect(scaleBounds({ columns: [[1, 2, null]], thresholds: [5], from: "zero" })).toEqual([0, 5.5]);
    expect(scaleBounds({ columns: [[0.5]], thresholds: [500], from: "zero" })[1]).toBeLessThan(1);
    expect(scaleBounds({ columns: [[null]], thresholds: [0.02], from: "zero" })).toEqual([0, 0.03]);
    const [low, high] = scaleBounds({ columns: [[0.8, 0.9]], thresholds: [], from: "values", ceiling: 1 });
    expect(low).toBeGreaterThan(0.7);
    expect(high).toBeLessThanOrEqual(1);
  });

  it("what overlaps goes into rows of its own", () => {
    const items = [
      { from: 0, to: 5 },
      { from: 4, to: 6 },
      { from: 7, to: 8 },
    ];
    expect(lanes(items, (i) => i.from, (i) => i.to, 1)).toEqual([[items[0], items[2]], [items[1]]]);
  });

  it("who served is the version with most requests; nothing served is no stretch", () => {
    const stretches = serving([0, 10, 20, 30, 100], 10, [
      { version: "1.0", requests: [5, 5, 1, null, null] },
      { version: "1.1", requests: [null, null, 9, 9, 9] },
    ]);
    expect(stretches).toEqual([
      { version: "1.0", from: 0, to: 20, shared: false },
      { version: "1.1", from: 20, to: 30, shared: true },
      { version: "1.1", from: 30, to: 40, shared: false },
      { version: "1.1", from: 100, to: 110, shared: false },
    ]);
  });
});

describe("sparklines", () => {
  const spark = (values: (number | null)[]) => ({ from: 0, step_s: 900, values });

  it("an empty step is a gap, a lone value a dot, never a zero", () => {
    const { line } = sparkShape(spark([1, 2, null, 3]), null, 90, 20);
    expect(line.match(/M/g)).toHaveLength(2);
    expect(line).toContain("h.01");
    expect(sparkShape(spark([null, null]), 1, 90, 20)).toEqual({ line: "", threshold: null });
  });

  it("draws the threshold only within reach", () => {
    expect(sparkShape(spark([1, 2]), 3, 90, 20).threshold).not.toBeNull();
    expect(sparkShape(spark([1, 2]), 300, 90, 20).threshold).toBeNull();
  });

  it("stays inside its box", () => {
    const { line } = sparkShape(spark([0.81, 0.84, 0.8]), 0.75, 90, 20);
    for (const [, y] of line.matchAll(/[ML][\d.]+ ([\d.]+)/g)) {
      expect(Number(y)).toBeGreaterThanOrEqual(0);
      expect(Number(y)).toBeLessThanOrEqual(20);
    }
  });
});

describe("a chart's table", () => {
  const plan = { time: [0, 60, 120], lines: [{ label: "a\tb", values: [1, null, 3], color: "" }] };

  it("is newest first and leaves out empty rows", () => {
    expect(tableRows(plan)).toEqual([
      { time: 120, at: 2, values: [3] },
      { time: 0, at: 0, values: [1] },
    ]);
  });

  it("pastes into a spreadsheet", () => {
    expect(tableText(plan)).toBe("time\ta b\n1970-01-01T00:02:00.000Z\t3\n1970-01-01T00:00:00.000Z\t1");
    const bounded = { time: [0], lines: [{ label: "a", values: [1], lower: [0.5], upper: [null], n: [7], color: "" }] };
    expect(tableText(bounded)).toBe("time\ta\ta lower\ta upper\ta n\n1970-01-01T00:00:00.000Z\t1\t0.5\t\t7");
  });
});
