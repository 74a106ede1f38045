/** Columns of the API made ready to draw: gaps where windows are missing, runs of a band, bounds of a scale. */

export type Column = (number | null)[];

/**
 * Puts an empty row wherever two ends lie further apart than `longest_s`: what lies between was not measured, and a
 * line drawn across would say that it was.
 */
export function withGaps(time: number[], columns: Column[], longest_s: number): { time: number[]; columns: Column[] } {
  const gapped: number[] = [];
  const out: Column[] = columns.map(() => []);
  time.forEach((at, i) => {
    const before = time[i - 1];
    if (before !== undefined && at - before > longest_s) {
      gapped.push(before + (at - before) / 2);
      for (const column of out) column.push(null);
    }
    gapped.push(at);
    out.forEach((column, c) => column.push(columns[c]?.[i] ?? null));
  });
  return { time: gapped, columns: out };
}

/** Indexes [first, last] of every stretch in which both bounds are known. */
export function runs(lower: Column, upper: Column): [number, number][] {
  const found: [number, number][] = [];
  let first = -1;
  for (let i = 0; i <= lower.length; i++) {
    const known = i < lower.length && lower[i] != null && upper[i] != null;
    if (known && first < 0) first = i;
    if (!known && first >= 0) {
      found.push([first, i - 1]);
      first = -1;
    }
  }
  return found;
}

/** A threshold further than this from the values is said in words instead of being drawn: it would press them flat. */
const THRESHOLD_REACH = 12;

export interface ScaleInput {
  columns: Column[];
  thresholds: number[];
  /** Scores are drawn near their values; amounts from zero. */
  from: "zero" | "values";
  /** Nothing lies above, such as 1 for a share. */
  ceiling?: number;
}

/** Lowest and highest of a scale, with room above. */
export function scaleBounds({ columns, thresholds, from, ceiling }: ScaleInput): [number, number] {
  let lowest = Infinity;
  let highest = -Infinity;
  for (const column of columns) {
    for (const value of column) {
      if (value == null) continue;
      if (value < lowest) lowest = value;
      if (value > highest) highest = value;
    }
  }
  if (highest === -Infinity) {
    const top = Math.max(...thresholds, 0);
    return from === "values" ? [0, ceiling ?? 1] : [0, top > 0 ? top * 1.5 : 1];
  }
  for (const threshold of thresholds) {
    if (threshold > Math.max(highest, Number.EPSILON) * THRESHOLD_REACH) continue;
    lowest = Math.min(lowest, threshold);
    highest = Math.max(highest, threshold);
  }
  if (from === "zero") {
    const top = highest > 0 ? highest * 1.1 : 1;
    return [Math.min(0, lowest), ceiling !== undefined && highest <= ceiling ? Math.min(top, ceiling) : top];
  }
  const room = Math.max((highest - lowest) * 0.15, Math.abs(highest) * 0.02, 1e-9);
  const top = highest + room;
  return [Math.max(0, lowest - room), ceiling !== undefined ? Math.min(top, Math.max(ceiling, highest)) : top];
}

/** Items that overlap in time go into rows of their own; as few rows as that takes. */
export function lanes<T>(items: T[], from: (item: T) => number, to: (item: T) => number, apart: number): T[][] {
  const rows: { end: number; items: T[] }[] = [];
  for (const item of [...items].sort((a, b) => from(a) - from(b))) {
    const row = rows.find((r) => r.end + apart <= from(item));
    if (row) {
      row.items.push(item);
      row.end = Math.max(row.end, to(item));
    } else rows.push({ end: to(item), items: [item] });
  }
  return rows.map((r) => r.items);
}

/** Who served when: for each step the version with most requests, joined into stretches; nothing came, no stretch. */
export function serving(
  time: number[],
  step_s: number,
  versions: { version: string; requests: Column }[],
): { version: string; from: number; to: number; shared: boolean }[] {
  const stretches: { version: string; from: number; to: number; shared: boolean }[] = [];
  time.forEach((at, i) => {
    let most: string | null = null;
    let highest = 0;
    let senders = 0;
    for (const { version, requests } of versions) {
      const n = requests[i] ?? 0;
      if (n > 0) senders += 1;
      if (n > highest) {
        highest = n;
        most = version;
      }
    }
    if (most === null) return;
    const last = stretches.at(-1);
    if (last && last.version === most && last.shared === senders > 1 && at - last.to < step_s * 3) last.to = at + step_s;
    else stretches.push({ version: most, from: at, to: at + step_s, shared: senders > 1 });
  });
  return stretches;
}
