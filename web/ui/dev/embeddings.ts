/** Recorded answers about embeddings: the map of a model of texts, and the signals about them. */

import type { EmbeddingPoint, EmbeddingsResponse, SignalPoint, SignalSeries } from "../src/api/types.ts";
import { HOSTILE, type ModelStory } from "./scenario.ts";
import { iso, noise } from "./series.ts";

const POINTS = 1_000;
const INTENTS = ["track order", "cancel order", "get refund", "change address", "payment issue", "delivery options", "complaint", "contact a human"];

/** Whether a model sends embeddings at all. */
export const hasEmbeddings = (story: ModelStory) => story.name === "support-intents" || story.name === "churn" || story.seed >= 20;

/** A new topic came up in the window; one model has nothing to be compared with. */
export function embeddings(story: ModelStory, segment: string, ends: { from: number; to: number } | null, now: number): EmbeddingsResponse {
  const to = ends?.to ?? Math.floor(now / 3_600) * 3_600;
  const from = ends?.from ?? to - 86_400;
  const base = { model: story.name, environment: story.environment, version: story.live, segment, from: iso(from), to: iso(to) };
  const nothing = { ...base, reference: null, encoder: null, dimensions: null, explained_variance: [], reference_n: 0, n: 0, points: [] };
  if (story.level === 0) return { ...nothing, unknown: "no_data", reason: "no inferences of this version in the window" };
  if (!hasEmbeddings(story)) return { ...nothing, unknown: "no_embeddings", reason: "none of the 70131 inferences in the window carries ml.embedding" };
  const alone = story.name === "churn";
  const few = segment === "" ? POINTS : 180;
  return {
    ...base,
    reference: alone ? null : { name: "spring", kind: "pinned", version: null, from: iso(now - 86_400 * 40), to: iso(now - 86_400 * 12), rows: 41_020, matching: null },
    ...(alone ? { unknown: "no_reference" as const, reason: "the model declares no reference, and there is no earlier version" } : {}),
    encoder: "all-MiniLM-L6-v2", dimensions: 384, explained_variance: [0.31, 0.12], reference_n: alone ? 0 : 41_020, n: 12_204,
    points: [
      ...(alone ? [] : Array.from({ length: few }, (_, i) => point(story, "reference", i, segment, now))),
      ...Array.from({ length: few }, (_, i) => point(story, "window", i, segment, now)),
    ],
  };
}

/** About normal, from three uniform numbers. */
const normal = (seed: number, i: number) => (noise(seed, i * 3) + noise(seed, i * 3 + 1) + noise(seed, i * 3 + 2) - 1.5) * 1.6;

function point(story: ModelStory, side: EmbeddingPoint["side"], i: number, segment: string, now: number): EmbeddingPoint {
  const labels = story.seed >= 20 ? [...HOSTILE] : INTENTS;
  const isNew = side === "window" && i % 9 === 0;
  const topic = isNew ? labels.length - 1 : Math.floor(noise(story.seed + (side === "window" ? 1 : 2), i) ** 1.4 * labels.length);
  const angle = (topic / labels.length) * 2 * Math.PI;
  const middle = isNew ? { x: 1.3, y: 0.75 } : { x: 0.9 * Math.cos(angle), y: 0.45 * Math.sin(angle) };
  const seed = story.seed * 7 + (side === "window" ? 100 : 200);
  return {
    side,
    x: middle.x + normal(seed, i) * 0.16,
    y: middle.y + normal(seed + 50, i) * 0.13,
    request_id: `req-${story.seed}-${side === "window" ? 900_000 - i : 100_000 + i}`,
    event_time: iso(side === "window" ? now - 3_600 - i * 80 : now - 86_400 * 14 - i * 2_000),
    label: i % 17 === 3 ? null : (labels[topic] ?? null),
    segment: segment || (story.name === "churn" ? "" : `cluster ${isNew ? 9 : (topic % 4) + 1}`),
  };
}

/** One of them has too few records, one there is not. */
export function embeddingSignals(story: ModelStory, names: string[], now: number): SignalSeries[] {
  if (!hasEmbeddings(story)) return [];
  const alone = story.name === "churn";
  const end = iso(Math.floor(now / 3_600) * 3_600);
  const values: Record<string, number | null> = {
    embedding_shift: alone ? null : 0.087, mmd: alone ? null : 0.00213, domain_auc: alone ? null : 0.613, embedding_age_days: 12.4, embedding_staleness: null,
  };
  return Object.entries(values)
    .filter(([name]) => names.includes(name))
    .map(([name, value]): SignalSeries => {
      const point: SignalPoint = {
        end, value, lower: value === null ? null : value * 0.86, upper: value === null ? null : value * 1.13, decision_lower: value, decision_upper: value, n: 12_204,
        reference_n: 41_020, provisional: false, state: value === null ? "insufficient" : "ok",
        ...(value === null ? { unknown: name === "embedding_staleness" ? ("insufficient" as const) : ("no_reference" as const), reason: "nothing to compare with" } : {}),
      };
      return { name, version: story.live, environment: story.environment, segment: "", subject: "embedding", window: "1d", points: [point] };
    });
}
