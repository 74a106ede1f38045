import { expect, it, vi } from "vitest";
import type { Cluster, Typical } from "../../api/types";
import { bySize, typicalWords } from "./clusters";

// Words ask the browser for its language when they are loaded.
vi.hoisted(() => vi.stubGlobal("navigator", { language: "en-GB" }));

it.each<[Typical, string]>([
  [{ feature: "plan", value: "free", share: 0.93, share_of_all: 0.31 }, "plan = free in 93\u202f%, of all in 31\u202f%"],
  [{ feature: "plan", value: "", share: 1, share_of_all: 0.5 }, "plan = (empty) in 100\u202f%, of all in 50\u202f%"],
  [{ feature: "age", mean: 61.23, mean_of_all: 38.07, standard_deviations: 2.1 }, "age 61.2 on average, of all 38.1"],
  [{ feature: "balance", mean: -1_250.4, mean_of_all: 0, standard_deviations: -3 }, "balance −1,250 on average, of all 0"],
])("%j in words", (typical, words) => expect(typicalWords(typical, typical.feature)).toBe(words));

it("clusters stand by size, the older first where they are as large", () => {
  const cluster = (number: number, share: number): Cluster => ({ number, share, segment: `cluster ${number}`, found_at: "2026-10-05T14:00:00Z", is_new: false, typical: [], examples: [] });
  expect(bySize([cluster(1, 0.1), cluster(4, 0.4), cluster(2, 0.4), cluster(3, 0.1)]).map((one) => one.number)).toEqual([2, 4, 1, 3]);
});
