import { describe, expect, it } from "vitest";
import { statistics } from "./statistics";

const of_categories = { psi: 0.2, js: 0.1, hellinger: 0.1, total_variation: 0.2, l_infinity: 0.1, chi2: { statistic: 12, p: 0.01 } };

describe("the statistics of a feature", () => {
  it("are those of its kind", () => {
    expect(statistics(of_categories).map((one) => one.signal)).toEqual(["psi", "js", "chi2", "hellinger"]);
    const of_numbers = { ...of_categories, ks: { statistic: 0.1, p: 0.5 }, wasserstein: 3 };
    expect(statistics(of_numbers).map((one) => [one.signal, one.value, one.p])).toEqual([
      ["psi", 0.2, null],
      ["ks", 0.1, 0.5],
      ["js", 0.1, null],
      ["wasserstein", 3, null],
      ["chi2", 12, 0.01],
      ["hellinger", 0.1, null],
    ]);
  });

  it("say why they have no value", () => {
    expect(statistics({ ...of_categories, psi: { undefined: "there are no values" } })[0]).toEqual({ signal: "psi", value: null, p: null, why: "there are no values" });
  });
});
