/** What libraries measure of a feature, as the page lists it. */
import type { Measured, Statistics, Tested } from "../../api/types";

export type Statistic = { signal: string; value: number | null; p: number | null; why: string | undefined };

/** In the order in which people ask for them; a number's own are left out for categories. */
export function statistics(all: Statistics): Statistic[] {
  const plain = (signal: string, measured: Measured<number> | undefined): Statistic[] =>
    measured === undefined ? [] : [typeof measured === "number" ? { signal, value: measured, p: null, why: undefined } : unknown(signal, measured.undefined)];
  const tested = (signal: string, measured: Measured<Tested> | undefined): Statistic[] => {
    if (measured === undefined) return [];
    return ["undefined" in measured ? unknown(signal, measured.undefined) : { signal, value: measured.statistic, p: measured.p, why: undefined }];
  };
  return [
    ...plain("psi", all.psi),
    ...tested("ks", all.ks),
    ...plain("js", all.js),
    ...plain("wasserstein", all.wasserstein),
    ...tested("chi2", all.chi2),
    ...plain("hellinger", all.hellinger),
  ];
}

function unknown(signal: string, why: string): Statistic {
  return { signal, value: null, p: null, why };
}
