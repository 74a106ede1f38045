/** A map of features over time: which value stands in which cell, how strong its colour is, and what is said of it. */

import type { SignalPoint, SignalSeries, Threshold } from "../../api/types";
import type { Range } from "../../route/range";

export const HOUR_S = 3_600;
export const DAY_S = 86_400;
/** Ranges up to this long are shown by the hour, longer ones as the days up to their end. */
const LONGEST_BY_HOUR_S = 2 * DAY_S;
const DAYS = 14;
/** A map whose highest value is below this is pale: it is told from one that is not. */
const LEAST_TOP = 0.01;

export interface Grid {
  window: "1h" | "1d";
  window_s: number;
  /** Ends of the windows, ascending. */
  ends: number[];
}

/** The windows that a range is shown by. Without `to`, what still runs is among them. */
export function grid(range: Range, now_s: number): Grid {
  const length_s = range.live ? range.length_s : range.to_s - range.from_s;
  const window_s = length_s <= LONGEST_BY_HOUR_S ? HOUR_S : DAY_S;
  const to_s = range.live ? now_s : range.to_s;
  const last = range.live ? Math.ceil(to_s / window_s) * window_s : Math.floor(to_s / window_s) * window_s;
  const n = window_s === HOUR_S ? Math.max(Math.ceil(length_s / HOUR_S), 1) : DAYS;
  return { window: window_s === HOUR_S ? "1h" : "1d", window_s, ends: Array.from({ length: n }, (_, i) => last - (n - 1 - i) * window_s) };
}

export interface Cell extends SignalPoint {
  version: string;
}

export interface Row {
  feature: string;
  /** One for each window; `null` where there is no point at all. */
  cells: (Cell | null)[];
  /** The highest value, -1 without any. */
  worst: number;
}

/**
 * A row for each feature, the worst first. Where several versions served in a window, the cell is of the one with the most
 * records: a value before one without.
 */
export function rows(series: SignalSeries[], ends: number[]): Row[] {
  const place = new Map(ends.map((end, i) => [end, i]));
  const found = new Map<string, Row>();
  for (const one of series) {
    const row = found.get(one.subject) ?? { feature: one.subject, cells: ends.map(() => null), worst: -1 };
    for (const point of one.points) {
      const at = place.get(Date.parse(point.end) / 1000);
      if (at === undefined) continue;
      const cell = { ...point, version: one.version };
      if (stands(cell, row.cells[at] ?? null)) row.cells[at] = cell;
    }
    found.set(one.subject, row);
  }
  for (const row of found.values()) row.worst = Math.max(-1, ...row.cells.map((cell) => cell?.value ?? -1));
  return [...found.values()].sort((a, b) => b.worst - a.worst || a.feature.localeCompare(b.feature));
}

function stands(cell: Cell, other: Cell | null): boolean {
  if (other === null) return true;
  if ((cell.value === null) !== (other.value === null)) return cell.value !== null;
  return cell.n > other.n;
}

/** The map's highest value: what has the full colour. */
export function highest(all: Row[]): number {
  return Math.max(LEAST_TOP, ...all.map((row) => row.worst));
}

/** From 0 to 1 by the root of the value: a small ratio is still told from none. */
export function strength(value: number, top: number): number {
  return value <= 0 ? 0 : Math.min(Math.sqrt(value / top), 1);
}

/** The strictest of the rules on windows of this length whose threshold the value surely passes. */
export function passed(cell: Pick<Cell, "value" | "decision_lower">, rules: (Threshold & { window_s: number | null })[], window_s: number): Threshold | null {
  const sure = cell.decision_lower ?? cell.value;
  if (sure === null) return null;
  const over = rules.filter((rule) => rule.side === "above" && (rule.window_s === null || rule.window_s === window_s) && sure > rule.value);
  const order = ["critical", "warning", "info"];
  return over.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))[0] ?? null;
}

/** Where a key leads from a place in a map of so many rows; column -1 is the row's name. `null`: the key means nothing here. */
export function moved(key: string, control: boolean, at: { row: number; column: number }, size: { rows: number; columns: number }): { row: number; column: number } | null {
  const clamp = (n: number, least: number, most: number) => Math.min(Math.max(n, least), most);
  const to = (row: number, column: number) => ({ row: clamp(row, 0, size.rows - 1), column: clamp(column, -1, size.columns - 1) });
  switch (key) {
    case "ArrowRight":
      return to(at.row, at.column + 1);
    case "ArrowLeft":
      return to(at.row, at.column - 1);
    case "ArrowDown":
      return to(at.row + 1, at.column);
    case "ArrowUp":
      return to(at.row - 1, at.column);
    case "PageDown":
      return to(at.row + 10, at.column);
    case "PageUp":
      return to(at.row - 10, at.column);
    case "Home":
      return to(control ? 0 : at.row, -1);
    case "End":
      return to(control ? size.rows - 1 : at.row, size.columns - 1);
    default:
      return null;
  }
}
