/** A chart's numbers as a table: newest first, rows without any value left out. */

import type { Plan } from "./time-chart";

/** More rows than this are not read by anyone; the API gives them all. */
const MOST_ROWS = 500;

export function tableRows(plan: Pick<Plan, "time" | "lines">): { time: number; values: (number | null)[] }[] {
  const rows: { time: number; values: (number | null)[] }[] = [];
  for (let i = plan.time.length - 1; i >= 0 && rows.length < MOST_ROWS; i--) {
    const values = plan.lines.map((line) => line.values[i] ?? null);
    if (values.some((value) => value !== null)) rows.push({ time: plan.time[i] as number, values });
  }
  return rows;
}

/** With tabs between, as spreadsheets paste it; times in UTC, numbers in full. */
export function tableText(plan: Pick<Plan, "time" | "lines">): string {
  const head = ["time", ...plan.lines.map((line) => line.label.replace(/[\t\n]/g, " "))].join("\t");
  const rows = tableRows(plan).map((row) => [new Date(row.time * 1000).toISOString(), ...row.values.map((v) => v ?? "")].join("\t"));
  return [head, ...rows].join("\n");
}
