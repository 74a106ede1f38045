import { describe, expect, it } from "vitest";
import type { SignalPoint, SignalSeries } from "../../api/types";
import { DAY_S, grid, highest, HOUR_S, moved, passed, rows, strength } from "./heat";

const NOW_S = 20_000 * DAY_S + 5 * HOUR_S + 600;
const point = (end_s: number, value: number | null, n = 500): SignalPoint => ({
  end: new Date(end_s * 1000).toISOString(),
  value,
  lower: null,
  upper: null,
  decision_lower: value === null ? null : value - 0.01,
  decision_upper: null,
  n,
  reference_n: 0,
  provisional: false,
  state: value === null ? "insufficient" : "ok",
});
const series = (subject: string, version: string, points: SignalPoint[]): SignalSeries => ({ name: "missing_ratio", version, environment: "", segment: "", subject, window: "1h", points });

describe("the windows of a range", () => {
  it("are its hours up to two days, the one that runs among them while it is live", () => {
    const live = grid({ live: true, length_s: 6 * HOUR_S }, NOW_S);
    expect([live.window, live.ends.length, live.ends.at(-1)]).toEqual(["1h", 6, 20_000 * DAY_S + 6 * HOUR_S]);
    const still = grid({ live: false, from_s: NOW_S - 2 * DAY_S, to_s: NOW_S }, NOW_S);
    expect([still.ends.length, still.ends.at(-1)]).toEqual([48, 20_000 * DAY_S + 5 * HOUR_S]);
  });

  it("are fourteen days up to its end where it is longer", () => {
    const days = grid({ live: true, length_s: 30 * DAY_S }, NOW_S);
    expect([days.window, days.ends.length, days.ends[0], days.ends.at(-1)]).toEqual(["1d", 14, 19_988 * DAY_S, 20_001 * DAY_S]);
    expect(grid({ live: false, from_s: 0, to_s: NOW_S }, NOW_S).ends.at(-1)).toBe(20_000 * DAY_S);
  });
});

describe("cells", () => {
  const ends = [HOUR_S, 2 * HOUR_S, 3 * HOUR_S];
  const all = rows(
    [
      series("calm", "1.0", [point(ends[0] ?? 0, 0)]),
      series("bad", "1.0", [point(ends[0] ?? 0, 0.1, 900), point(ends[1] ?? 0, null, 90)]),
      series("bad", "1.1", [point(ends[0] ?? 0, 0.4, 100), point(ends[1] ?? 0, 0.3, 10), point(9 * HOUR_S, 0.9)]),
      series("silent", "1.0", [point(ends[2] ?? 0, null, 3)]),
    ],
    ends,
  );

  it("are of the version with the most records, and a value stands before none", () => {
    expect(all.map((row) => row.feature)).toEqual(["bad", "calm", "silent"]);
    expect(all[0]?.cells.map((cell) => cell && [cell.version, cell.value])).toEqual([["1.0", 0.1], ["1.1", 0.3], null]);
    expect(all[2]?.worst).toBe(-1);
  });

  it("are as strong as they are bad", () => {
    expect(highest(all)).toBe(0.3);
    expect(highest([])).toBe(0.01);
    expect([strength(0, 0.3), strength(0.075, 0.3), strength(0.5, 0.3)]).toEqual([0, 0.5, 1]);
  });

  it("pass a threshold only when the bound that rules compare does", () => {
    const rule = (value: number, severity: "info" | "warning" | "critical", window_s: number | null = HOUR_S) => ({ side: "above" as const, value, severity, rule: "r", window_s });
    expect(passed({ value: 0.1, decision_lower: 0.04 }, [rule(0.05, "critical")], HOUR_S)).toBeNull();
    expect(passed({ value: 0.1, decision_lower: 0.06 }, [rule(0.01, "warning"), rule(0.05, "critical")], HOUR_S)?.severity).toBe("critical");
    expect(passed({ value: 0.1, decision_lower: 0.06 }, [rule(0.05, "critical", DAY_S)], HOUR_S)).toBeNull();
    expect(passed({ value: null, decision_lower: null }, [rule(0, "critical", null)], HOUR_S)).toBeNull();
  });
});

describe("keys", () => {
  const size = { rows: 3, columns: 4 };
  it.each([
    ["ArrowRight", false, { row: 0, column: 3 }, { row: 0, column: 3 }],
    ["ArrowLeft", false, { row: 0, column: 0 }, { row: 0, column: -1 }],
    ["ArrowDown", false, { row: 2, column: 1 }, { row: 2, column: 1 }],
    ["ArrowUp", false, { row: 2, column: 1 }, { row: 1, column: 1 }],
    ["PageDown", false, { row: 0, column: 1 }, { row: 2, column: 1 }],
    ["Home", false, { row: 1, column: 2 }, { row: 1, column: -1 }],
    ["End", true, { row: 0, column: 0 }, { row: 2, column: 3 }],
    ["a", false, { row: 0, column: 0 }, null],
  ])("%s (control %s) from %j", (key, control, from, to) => expect(moved(key, control, from, size)).toEqual(to));
});
