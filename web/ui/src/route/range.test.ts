import { describe, expect, it } from "vitest";
import { bounds, DEFAULT_RANGE, parseRange, rangeParams, rangeText, SHORTEST_S, toggleLive, widen, type Range } from "./range";

const parse = (text: string) => parseRange(new URLSearchParams(text));
const NOW_S = 1_790_000_000;

describe("range in the address", () => {
  it.each<[string, Range]>([
    ["", DEFAULT_RANGE],
    ["range=1h", { live: true, length_s: 3_600 }],
    ["range=90m", { live: true, length_s: 5_400 }],
    ["range=nonsense", DEFAULT_RANGE],
    ["range=1s", { live: true, length_s: SHORTEST_S }],
    ["range=999999d", { live: true, length_s: 400 * 86_400 }],
    ["from=2026-10-05T14:00:00Z&to=2026-10-05T15:00:00Z", { live: false, from_s: 1_791_208_800, to_s: 1_791_212_400 }],
    ["from=2026-10-05T15:00:00Z&to=2026-10-05T14:00:00Z", DEFAULT_RANGE],
    ["from=2026-10-05T14:00:00Z", DEFAULT_RANGE],
    ["from=x&to=y&range=6h", { live: true, length_s: 21_600 }],
  ])("%s", (text, expected) => expect(parse(text)).toEqual(expected));

  it.each<Range>([
    { live: true, length_s: 900 },
    { live: true, length_s: 5_400 },
    { live: true, length_s: 7 * 86_400 },
    { live: false, from_s: NOW_S - 100, to_s: NOW_S },
    DEFAULT_RANGE,
  ])("reads back what it writes: %j", (range) => {
    const written = new URLSearchParams();
    for (const [name, value] of Object.entries(rangeParams(range))) if (value !== null) written.set(name, value);
    expect(parseRange(written)).toEqual(range);
  });

  it("writes lengths as the presets do", () => {
    expect(rangeText(86_400)).toBe("24h");
    expect(rangeText(4 * 86_400)).toBe("4d");
    expect(rangeText(5_400)).toBe("90m");
  });

  it("the live switch keeps what is seen, and the length on the way back", () => {
    const still = toggleLive({ live: true, length_s: 3_600 }, NOW_S);
    expect(still).toEqual({ live: false, from_s: NOW_S - 3_600, to_s: NOW_S });
    expect(toggleLive(still, NOW_S + 500)).toEqual({ live: true, length_s: 3_600 });
  });

  it("widens around the middle and never beyond now", () => {
    expect(bounds(widen({ live: false, from_s: NOW_S - 300, to_s: NOW_S - 200 }, NOW_S), NOW_S)).toEqual({ from_s: NOW_S - 350, to_s: NOW_S - 150 });
    expect(bounds(widen({ live: false, from_s: NOW_S - 100, to_s: NOW_S }, NOW_S), NOW_S)).toEqual({ from_s: NOW_S - 150, to_s: NOW_S });
  });
});
