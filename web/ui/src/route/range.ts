/**
 * The time range of a view as the URL has it: `range=24h` moves with the clock (live), `from=…&to=…` stands still.
 */

export type Range = { live: true; length_s: number } | { live: false; from_s: number; to_s: number };

export const PRESETS: { text: string; length_s: number }[] = [
  { text: "15m", length_s: 900 },
  { text: "1h", length_s: 3_600 },
  { text: "6h", length_s: 21_600 },
  { text: "24h", length_s: 86_400 },
  { text: "4d", length_s: 4 * 86_400 },
  { text: "7d", length_s: 7 * 86_400 },
  { text: "30d", length_s: 30 * 86_400 },
];

export const DEFAULT_RANGE: Range = { live: true, length_s: 86_400 };

/** Shorter than this nothing is left to see: buckets are ten seconds long. */
export const SHORTEST_S = 60;
const LONGEST_S = 400 * 86_400;
const UNIT_S: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** What cannot be read is the default: a link that somebody cut short still opens. */
export function parseRange(params: URLSearchParams): Range {
  const from = Date.parse(params.get("from") ?? "");
  const to = Date.parse(params.get("to") ?? "");
  if (Number.isFinite(from) && Number.isFinite(to) && to > from) {
    const from_s = from / 1000;
    return { live: false, from_s, to_s: Math.max(to / 1000, from_s + SHORTEST_S) };
  }
  const relative = /^(\d{1,6})([smhd])$/.exec(params.get("range") ?? "");
  if (!relative) return DEFAULT_RANGE;
  const length_s = Number(relative[1]) * (UNIT_S[relative[2] ?? "s"] ?? 1);
  return { live: true, length_s: Math.min(Math.max(length_s, SHORTEST_S), LONGEST_S) };
}

/** The parameters that say this range; the default says nothing. */
export function rangeParams(range: Range): { range: string | null; from: string | null; to: string | null } {
  if (!range.live) return { range: null, from: instant(range.from_s), to: instant(range.to_s) };
  const isDefault = DEFAULT_RANGE.live && range.length_s === DEFAULT_RANGE.length_s;
  return { range: isDefault ? null : rangeText(range.length_s), from: null, to: null };
}

/** 5400 → "90m", 86400 → "24h", 345600 → "4d": as the presets write it where there is one. */
export function rangeText(length_s: number): string {
  const preset = PRESETS.find((p) => p.length_s === length_s);
  if (preset) return preset.text;
  for (const [unit, seconds] of [["d", 86_400], ["h", 3_600], ["m", 60]] as const) {
    if (length_s % seconds === 0) return `${length_s / seconds}${unit}`;
  }
  return `${Math.round(length_s)}s`;
}

/** Its two ends in Unix seconds; a live range ends at `now_s`. */
export function bounds(range: Range, now_s: number): { from_s: number; to_s: number } {
  if (range.live) return { from_s: now_s - range.length_s, to_s: now_s };
  return { from_s: range.from_s, to_s: range.to_s };
}

/** The live switch: off keeps what is seen, on follows the clock with the same length. */
export function toggleLive(range: Range, now_s: number): Range {
  if (range.live) return { live: false, ...floorBounds(bounds(range, now_s)) };
  const length_s = Math.min(Math.max(Math.round(range.to_s - range.from_s), SHORTEST_S), LONGEST_S);
  return { live: true, length_s };
}

/** Twice as long around the same middle, but not beyond now. */
export function widen(range: Range, now_s: number): Range {
  if (range.live) return { live: true, length_s: Math.min(range.length_s * 2, LONGEST_S) };
  const half = (range.to_s - range.from_s) / 2;
  return { live: false, from_s: range.from_s - half, to_s: Math.min(range.to_s + half, Math.max(now_s, range.to_s)) };
}

function floorBounds(b: { from_s: number; to_s: number }): { from_s: number; to_s: number } {
  return { from_s: Math.floor(b.from_s), to_s: Math.ceil(b.to_s) };
}

/** Unix seconds as RFC 3339, without needless zeros. */
export function instant(unix_s: number): string {
  return new Date(Math.round(unix_s * 1000)).toISOString().replace(".000Z", "Z");
}
