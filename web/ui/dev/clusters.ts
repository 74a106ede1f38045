/** Recorded answers about clusters: of one model by features, of another by embeddings, of a third they are switched off. */

import type { Cluster, ClustersResponse, Typical } from "../src/api/types.ts";
import { hasEmbeddings } from "./embeddings.ts";
import { HOSTILE, type ModelStory } from "./scenario.ts";
import { iso } from "./series.ts";

let found_s = Date.now() / 1000 - 40_000;

export function findAgain(story: ModelStory, now: number): ClustersResponse {
  found_s = now;
  return clusters(story, now);
}

export function clusters(story: ModelStory, now: number): ClustersResponse {
  const nothing = { model: story.name, fitted_at: null, sampled: 0, encoder: null, dimensions: null, clusters: [] };
  if (story.name === "churn") return { ...nothing, of: null };
  if (story.level === 0) return { ...nothing, of: "features", unknown: "insufficient", reason: "212 inferences of 7 days, fewer than 1000" };
  const by_embeddings = hasEmbeddings(story);
  return {
    model: story.name, of: by_embeddings ? "embeddings" : "features", fitted_at: iso(found_s), sampled: 5_000,
    encoder: by_embeddings ? "all-MiniLM-L6-v2" : null, dimensions: by_embeddings ? 384 : null,
    clusters: [0.41, 0.27, 0.16, 0.11, 0.05].map((share, i): Cluster => ({
      number: i === 4 ? 9 : i + 1, segment: `cluster ${i === 4 ? 9 : i + 1}`, share, found_at: iso(i === 4 ? found_s : now - 86_400 * 21), is_new: i === 4,
      typical: typical(story, i), examples: [1, 2, 3].map((n) => `req-${story.seed}-${900_000 - i * 10 - n}`),
    })),
  };
}

function typical(story: ModelStory, i: number): Typical[] {
  const name = story.seed >= 20 ? (HOSTILE[i % HOSTILE.length] ?? "") : "MAR";
  const all: Typical[] = [
    { feature: name, value: story.seed >= 20 ? name : ["5", "1", "3", "", "2"][i] ?? "", share: 0.93 - i * 0.07, share_of_all: 0.31 },
    { feature: "AGEP", mean: 61.2 - 9 * i, mean_of_all: 38.1, standard_deviations: 2.1 - i * 0.6 },
    { feature: "SCHL", mean: 12.1 + i, mean_of_all: 18.4, standard_deviations: -1.4 },
  ];
  return all.slice(0, i === 3 ? 0 : 3 - (i % 2));
}
