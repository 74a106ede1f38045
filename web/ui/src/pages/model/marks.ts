/** How an embedding is marked: the reference hollow, the window filled; a group by its colour and its shape. */

import type { Mark } from "../../charts/scatter";
import type { Side } from "./embeddings";

const CATEGORIES = ["--category-1", "--category-2", "--category-3", "--category-4", "--category-5", "--category-6"];
/** More colours and shapes cannot be told apart. */
export const MOST_GROUPS = CATEGORIES.length;
/** Of both sides as they are drawn wherever they are compared. */
const SIDE_COLORS: Record<Side, string> = { reference: "--chart-3", window: "--chart-1" };
const REST_COLOR = "--chart-4";

export type Look = Pick<Mark, "color" | "shape" | "hollow">;

/** Of a side, or with a group of this group's points of the side. */
export function markOf(side: Side, group: { place: number; rest: boolean } | null): Look {
  const hollow = side === "reference";
  if (group === null) return { color: SIDE_COLORS[side], shape: 0, hollow };
  return { color: group.rest ? REST_COLOR : (CATEGORIES[group.place] ?? REST_COLOR), shape: group.place, hollow };
}
