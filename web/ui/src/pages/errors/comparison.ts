/** Errors of two versions side by side: which two, and what became of each pattern. */

import type { ComparedPattern, ComparisonResponse } from "../../api/types";

export interface Pair {
  before: string | null;
  after: string | null;
}

/**
 * What is asked for, else the live version against the one before it, of `versions` with the newest first. Where none is
 * older, as after a rollback, the live one is what the next newer one is held against.
 */
export function compared(versions: string[], live: string | null, asked: Pair): Pair {
  const place = Math.max(versions.indexOf(live ?? ""), 0);
  const newer = place + 1 < versions.length ? place : Math.max(place - 1, 0);
  const usual = { before: versions[newer + 1] ?? null, after: versions[newer] ?? null };
  if (asked.after === null) return asked.before === null ? usual : { before: asked.before, after: asked.before === usual.after ? usual.before : usual.after };
  return { before: asked.before ?? beside(versions, asked.after), after: asked.after };
}

function beside(versions: string[], version: string): string | null {
  const at = versions.indexOf(version);
  return versions[at + 1] ?? versions[at - 1] ?? null;
}

/** Errors per 1,000 inferences; `null` where the inferences are not known. */
export function perThousand(errors: number, inferences: number): number | null {
  return inferences > 0 ? (errors / inferences) * 1000 : null;
}

export type Became = "new" | "changed" | "gone";

export interface ComparedRow {
  pattern: ComparedPattern;
  before: number | null;
  after: number | null;
  /** How many times as often it is as before; `null` where that cannot be said. */
  times: number | null;
}

/** By what became of the patterns; those that became more come before those that became less. Groups without any are left out. */
export function groups(comparison: ComparisonResponse): { became: Became; rows: ComparedRow[] }[] {
  const rows = comparison.patterns.map((pattern): ComparedRow => {
    const before = perThousand(pattern.before, comparison.inferences_before);
    const after = perThousand(pattern.after, comparison.inferences_after);
    return { pattern, before, after, times: before === null || before === 0 || after === null ? null : after / before };
  });
  const grown = (row: ComparedRow) => (row.before === null || row.after === null ? row.pattern.after - row.pattern.before : row.after - row.before);
  return (["new", "changed", "gone"] as const)
    .map((became) => ({ became, rows: rows.filter((row) => becameOf(row.pattern) === became).sort((a, b) => grown(b) - grown(a)) }))
    .filter((group) => group.rows.length > 0);
}

function becameOf(pattern: ComparedPattern): Became {
  if (pattern.after === 0) return "gone";
  return pattern.ever_before ? "changed" : "new";
}
