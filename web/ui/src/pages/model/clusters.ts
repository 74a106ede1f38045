/** What a cluster is, in words. */

import type { Cluster, Typical } from "../../api/types";
import { say, t } from "../../i18n/i18n.svelte";

export function bySize(clusters: Cluster[]): Cluster[] {
  return [...clusters].sort((a, b) => b.share - a.share || a.number - b.number);
}

/** "plan = free in 93 %, of all in 31 %", "age 61.2 on average, of all 38.1". */
export function typicalWords(typical: Typical, feature: string): string {
  if ("mean" in typical) return t("segments.clusters.number", { feature, mean: say.significant(typical.mean), of_all: say.significant(typical.mean_of_all) });
  const value = typical.value === "" ? t("bin.empty") : typical.value;
  return t("segments.clusters.value", { feature, value, share: say.percent(typical.share), of_all: say.percent(typical.share_of_all) });
}
