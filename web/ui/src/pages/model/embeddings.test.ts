import { describe, expect, it } from "vitest";
import type { EmbeddingPoint, SignalPoint, SignalSeries } from "../../api/types";
import { grouped, latest, middle, parts, selected } from "./embeddings";

const point = (side: EmbeddingPoint["side"], x: number, y: number, over: Partial<EmbeddingPoint> = {}): EmbeddingPoint => ({
  side, x, y, request_id: `${side} ${x} ${y}`, event_time: "2026-10-05T14:00:00Z", label: null, segment: "", ...over,
});
const all = [
  point("reference", 0, 0), point("reference", 1, 1), point("reference", 2, 2), point("reference", 3, 3),
  point("window", 0, 0, { event_time: "2026-10-05T15:00:00Z" }), point("window", 1, 1, { event_time: "2026-10-05T16:00:00Z" }),
];

describe("a box on the map of embeddings", () => {
  const box = { left: 0, right: 1, bottom: 0, top: 1 };

  it("holds a share of each side", () => {
    expect(parts(all, box)).toEqual({ reference: { within: 2, of: 4, share: 0.5 }, window: { within: 2, of: 2, share: 1 } });
  });

  it("holds no share of a side without points, which is not a share of 0", () => {
    expect(parts(all.filter((one) => one.side === "window"), box).reference).toEqual({ within: 0, of: 0, share: null });
    expect(parts(all, { left: 8, right: 9, bottom: 8, top: 9 }).reference).toEqual({ within: 0, of: 4, share: 0 });
  });

  it("lists what lies within, the newest first", () => {
    expect(selected(all, box).map((one) => one.request_id)).toEqual(["window 1 1", "window 0 0", "reference 0 0", "reference 1 1"]);
  });
});

it("the middle of a side is the mean of its points", () => {
  expect(middle(all, "reference")).toEqual({ x: 1.5, y: 1.5 });
  expect(middle([], "window")).toBeNull();
});

describe("points by label", () => {
  const labelled = (side: EmbeddingPoint["side"], label: string | null) => point(side, 0, 0, { label });
  const points = [labelled("window", "a"), labelled("reference", "b"), labelled("window", "b"), labelled("window", null), labelled("window", "c"), labelled("reference", "c"), labelled("window", "c")];

  it("are groups by size", () => {
    const { groups, of } = grouped(points, "label", 6);
    expect(groups.map(({ name, reference, window }) => [name, reference, window])).toEqual([["c", 1, 2], ["b", 1, 1], ["a", 0, 1], [null, 0, 1]]);
    expect(of.map((place) => groups[place]?.name)).toEqual(points.map((one) => one.label));
  });

  it("beyond the most are one group, told apart from points without a label", () => {
    const { groups, of } = grouped(points, "label", 2);
    expect(groups).toEqual([{ name: "c", rest: false, reference: 1, window: 2 }, { name: null, rest: true, reference: 1, window: 3 }]);
    expect(of).toEqual([1, 1, 1, 1, 0, 0, 0]);
  });

  it("of none are none", () => expect(grouped([], "segment", 6)).toEqual({ groups: [], of: [] }));
});

describe("signals about embeddings", () => {
  const at = (end: string, value: number | null, over: Partial<SignalPoint> = {}): SignalPoint => ({
    end, value, lower: value, upper: value, decision_lower: value, decision_upper: value, n: 900, reference_n: 800, provisional: false, state: value === null ? "insufficient" : "ok", ...over,
  });
  const series = (name: string, window: string, points: SignalPoint[], subject = "embedding"): SignalSeries => ({ name, version: "1", environment: "", segment: "", subject, window, points });

  it("are those of windows as long as the one that is shown, and of these the latest", () => {
    const signals = [
      series("embedding_shift", "1d", [at("2026-10-05T00:00:00Z", 0.9)]),
      series("embedding_shift", "1h", [at("2026-10-05T02:00:00Z", 0.1), at("2026-10-05T03:00:00Z", 0.2)]),
    ];
    expect(latest({ signals }, 3_600)[0]).toMatchObject({ signal: "embedding_shift", value: 0.2, window_s: 3_600, at: "2026-10-05T03:00:00Z" });
    expect(latest({ signals }, 86_400)[0]?.value).toBe(0.9);
    expect(latest({ signals }, 7_200)[0]?.value).toBe(0.9);
  });

  it("stand in one order, and those that there are not are left out", () => {
    const signals = [series("stale_token_ratio", "1d", [at("2026-10-05T00:00:00Z", 0.1)]), series("mmd", "1h", [at("2026-10-05T00:00:00Z", 0.01)], ""), series("domain_auc", "1h", [])];
    expect(latest({ signals }, 86_400).map((one) => one.signal)).toEqual(["mmd", "stale_token_ratio"]);
  });

  it("about embeddings are taken before those about all features", () => {
    const signals = [series("domain_auc", "1d", [at("2026-10-05T00:00:00Z", 0.5)], ""), series("domain_auc", "1h", [at("2026-10-05T00:00:00Z", 0.7)])];
    expect(latest({ signals }, 86_400)[0]?.value).toBe(0.7);
  });

  it("with too few records have no value but a reason", () => {
    const signals = [series("embedding_shift", "1d", [at("2026-10-05T00:00:00Z", null)]), series("mmd", "1d", [at("2026-10-05T00:00:00Z", 0.2, { state: "insufficient", unknown: "no_reference" })])];
    expect(latest({ signals }, 86_400).map((one) => [one.value, one.unknown])).toEqual([[null, "insufficient"], [null, "no_reference"]]);
  });
});
