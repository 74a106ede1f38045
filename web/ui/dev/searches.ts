/** Saved searches, kept while the recorded API runs. */

import type { SavedSearch } from "../src/api/types.ts";
import { HOSTILE } from "./scenario.ts";
import { iso } from "./series.ts";

const HOUR_S = 3_600;

const kept: SavedSearch[] = [
  { name: "Errors of 1.1", address: "q=model%3Aemployment+version%3A%221.1%22&columns=service,error_type&range=24h", age_s: 2 * HOUR_S },
  { name: "Slow feature store", address: "q=error_type%3ATimeoutError&view=patterns&range=7d", age_s: 30 * HOUR_S },
  ...HOSTILE.map((name) => ({ name: name.slice(0, 200), address: "range=7d", age_s: 50 * HOUR_S })),
].map(({ name, address, age_s }, i) => ({ id: `srch_${i}`, name, address, created_by: "loopback", created_time: iso(Date.now() / 1000 - age_s) }));

export function searches(): SavedSearch[] {
  return [...kept].sort((a, b) => a.name.localeCompare(b.name));
}

/** `null` where the name is taken. */
export function save(name: string, address: string, now: number): SavedSearch | null {
  if (kept.some((one) => one.name === name)) return null;
  const search = { id: `srch_${now}`, name, address, created_by: "loopback", created_time: iso(now) };
  kept.push(search);
  return search;
}

export function forget(id: string): boolean {
  const at = kept.findIndex((one) => one.id === id);
  if (at >= 0) kept.splice(at, 1);
  return at >= 0;
}
