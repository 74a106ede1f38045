/** Embeddings on their map: which lie within a box, what colour groups them by, and the signals about them. */

import type { EmbeddingPoint, Metric, SignalsResponse } from "../../api/types";
import { isWithin, type Box, type Point } from "../../charts/plane";

export const SIDES = ["reference", "window"] as const;
export type Side = (typeof SIDES)[number];
export const COLOURINGS = ["side", "label", "segment"] as const;
export type Colouring = (typeof COLOURINGS)[number];

export interface Part {
  within: number;
  of: number;
  /** `null` where the side has no points. */
  share: number | null;
}

/** How much of each side lies within a box. */
export function parts(points: EmbeddingPoint[], box: Box): Record<Side, Part> {
  const part = (side: Side): Part => {
    const all = points.filter((point) => point.side === side);
    const within = all.filter((point) => isWithin(point, box)).length;
    return { within, of: all.length, share: all.length > 0 ? within / all.length : null };
  };
  return { reference: part("reference"), window: part("window") };
}

/** What lies within a box, the newest first. */
export function selected(points: EmbeddingPoint[], box: Box): EmbeddingPoint[] {
  return points.filter((point) => isWithin(point, box)).sort((a, b) => Date.parse(b.event_time) - Date.parse(a.event_time));
}

/** Where the points of a side lie on average; `null` where it has none. */
export function middle(points: EmbeddingPoint[], side: Side): Point | null {
  const all = points.filter((point) => point.side === side);
  if (all.length === 0) return null;
  const mean = (of: "x" | "y") => all.reduce((sum, point) => sum + point[of], 0) / all.length;
  return { x: mean("x"), y: mean("y") };
}

/** Points of one label or segment; `name` is `null` where they have none, and `rest` are the smaller groups together. */
export interface Group {
  name: string | null;
  rest: boolean;
  reference: number;
  window: number;
}

/** Groups by size and, for each point, the place of its group; beyond `most` they are summed up as the last one. */
export function grouped(points: EmbeddingPoint[], by: "label" | "segment", most: number): { groups: Group[]; of: number[] } {
  const nameOf = (point: EmbeddingPoint) => (by === "label" ? point.label : point.segment || null);
  const found = new Map<string | null, Group>();
  for (const point of points) {
    const name = nameOf(point);
    const group = found.get(name) ?? { name, rest: false, reference: 0, window: 0 };
    group[point.side] += 1;
    found.set(name, group);
  }
  const size = (group: Group) => group.reference + group.window;
  const sorted = [...found.values()].sort((a, b) => size(b) - size(a) || String(a.name).localeCompare(String(b.name)));
  const shown = sorted.length > most ? sorted.slice(0, most - 1) : sorted;
  const rest = sorted.slice(shown.length);
  const places = new Map(shown.map((group, i) => [group.name, i]));
  const groups = rest.length === 0 ? shown : [...shown, rest.reduce((sum, one) => ({ ...sum, reference: sum.reference + one.reference, window: sum.window + one.window }), REST)];
  return { groups, of: points.map((point) => places.get(nameOf(point)) ?? groups.length - 1) };
}
const REST: Group = { name: null, rest: true, reference: 0, window: 0 };

/** In the order in which they are shown. */
export const SIGNALS = ["embedding_shift", "mmd", "domain_auc", "embedding_age_days", "embedding_staleness", "neighbours_kept", "stale_token_ratio"];
const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };
/** What signals about embeddings are about. */
const SUBJECTS = ["embedding", ""];

/** The latest value of each signal: over windows as long as the one that is shown, else over the longest there are. */
export function latest({ signals }: SignalsResponse, length_s: number): Metric[] {
  return SIGNALS.flatMap((name) => {
    const points = signals
      .filter((series) => series.name === name && SUBJECTS.includes(series.subject))
      .flatMap((series) => series.points.map((point) => ({ point, window_s: lengthOf(series.window), subject: series.subject })));
    const as_long = (one: { window_s: number }) => (one.window_s === length_s ? 1 : 0);
    const [best] = points.sort(
      (a, b) =>
        SUBJECTS.indexOf(a.subject) - SUBJECTS.indexOf(b.subject) ||
        as_long(b) - as_long(a) ||
        b.window_s - a.window_s ||
        Date.parse(b.point.end) - Date.parse(a.point.end),
    );
    if (!best) return [];
    const { point, window_s } = best;
    const value = point.state === "insufficient" ? null : point.value;
    return [
      {
        signal: name, subject: "", value, unknown: value === null ? (point.unknown ?? "insufficient") : null, lower: point.lower, upper: point.upper,
        n: point.n, reference_n: point.reference_n, at: point.end, window_s, provisional: point.provisional, threshold: null, spark: null,
      },
    ];
  });
}

/** "1h" in seconds; what cannot be read is no length. */
function lengthOf(window: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(window) ?? [];
  return Number(count ?? 0) * (SECONDS[unit ?? ""] ?? 0);
}
