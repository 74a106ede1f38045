/** A chart's numbers as a table: newest first, rows without any value left out. */

import type { Column } from "./columns";
import type { Plan } from "./time-chart";

/** More rows than this are not read by anyone; the API gives them all. */
const MOST_ROWS = 500;

/** `at` is the row's place in the plan's columns. */
export function tableRows(plan: Pick<Plan, "time" | "lines">): { time: number; at: number; values: (number | null)[] }[] {
  const rows: { time: number; at: number; values: (number | null)[] }[] = [];
  for (let i = plan.time.length - 1; i >= 0 && rows.length < MOST_ROWS; i--) {
    const values = plan.lines.map((line) => line.values[i] ?? null);
    if (values.some((value) => value !== null)) rows.push({ time: plan.time[i] as number, at: i, values });
  }
  return rows;
}

/** With tabs between, as spreadsheets paste it; times in UTC, numbers in full, bounds and counts in columns of their own. */
export function tableText(plan: Pick<Plan, "time" | "lines">): string {
  const columns = plan.lines.flatMap((line) => {
    const label = line.label.replace(/[\t\n]/g, " ");
    const column = (name: string, values: Column | undefined) => (values ? [{ head: `${label}${name}`, values }] : []);
    return [{ head: label, values: line.values }, ...column(" lower", line.lower), ...column(" upper", line.upper), ...column(" n", line.n)];
  });
  const head = ["time", ...columns.map((column) => column.head)].join("\t");
  const rows = tableRows(plan).map((row) => [new Date(row.time * 1000).toISOString(), ...columns.map((column) => column.values[row.at] ?? "")].join("\t"));
  return [head, ...rows].join("\n");
}
