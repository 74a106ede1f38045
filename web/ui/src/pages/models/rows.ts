/** Which rows are shown, and how they are grouped. The order is the server's: worst first. */

import type { HealthState, ModelRow } from "../../api/types";

/** Differs wherever environment or name differ: a slash in the environment is written otherwise. */
export function rowKey(row: Pick<ModelRow, "name" | "environment">): string {
  return `${encodeURIComponent(row.environment)}/${row.name}`;
}

/** Rows whose name or environment holds every word of the filter. */
export function kept(rows: ModelRow[], filter: string, state: HealthState | null): ModelRow[] {
  const wanted = filter.toLocaleLowerCase().split(/\s+/).filter((word) => word !== "");
  return rows.filter((row) => {
    const text = `${row.name} ${row.environment} ${row.live?.version ?? ""}`.toLocaleLowerCase();
    return (state === null || row.health.state === state) && wanted.every((word) => text.includes(word));
  });
}

/** Groups in the order in which their worst model comes. */
export function byEnvironment(rows: ModelRow[]): { environment: string; rows: ModelRow[] }[] {
  const groups = new Map<string, ModelRow[]>();
  for (const row of rows) {
    const group = groups.get(row.environment);
    if (group) group.push(row);
    else groups.set(row.environment, [row]);
  }
  return [...groups].map(([environment, rows]) => ({ environment, rows }));
}
