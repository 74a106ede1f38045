/** Both distributions of a feature, ready to draw: shares, what grew and what shrank. */

import type { Bin, FeatureDrift } from "../../api/types";

export interface Share {
  bin: Bin;
  /** Share of the reference and of the window, from 0 to 1. */
  reference: number;
  current: number;
}

export function shares(feature: Pick<FeatureDrift, "bins" | "n" | "reference_n">): Share[] {
  // Bins of values hold every record once; where the counts were cut, their own sum is what they are shares of.
  const reference = Math.max(feature.reference_n, sum(feature.bins.map((bin) => bin.reference)), 1);
  const current = Math.max(feature.n, sum(feature.bins.map((bin) => bin.current)), 1);
  return feature.bins.map((bin) => ({ bin, reference: bin.reference / reference, current: bin.current / current }));
}

/** Bins by how much of the traffic they gained or lost, most first. */
export function movers(all: Share[], most: number): { grew: Share[]; shrank: Share[] } {
  const moved = (share: Share) => share.current - share.reference;
  const sorted = [...all].sort((a, b) => Math.abs(moved(b)) - Math.abs(moved(a)));
  return {
    grew: sorted.filter((share) => moved(share) > 0).slice(0, most),
    shrank: sorted.filter((share) => moved(share) < 0).slice(0, most),
  };
}

/** A small picture has room for so many bars: neighbours of numeric bins are joined, categories beyond are summed up. */
export function thinned(all: Share[], most: number): Share[] {
  if (all.length <= most) return all;
  const per = Math.ceil(all.length / most);
  const joined: Share[] = [];
  for (let i = 0; i < all.length; i += per) {
    const group = all.slice(i, i + per);
    joined.push({
      bin: (group[0] as Share).bin,
      reference: sum(group.map((share) => share.reference)),
      current: sum(group.map((share) => share.current)),
    });
  }
  return joined;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
