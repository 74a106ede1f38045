/** What the search box looks through: as the address has it, and what follows from it. */

import type { SearchResponse, SearchSource } from "../../api/types";

export const SOURCES = ["errors", "logs", "traces"] as const satisfies SearchSource[];

/** Log records and spans are counted anew at most this often: reading them costs more than asking the index of errors. */
const RECORDS_EVERY_S = 10;
const ERRORS_EVERY_S = 1;

/** What cannot be read is errors. */
export function readSource(text: string | null): SearchSource {
  return SOURCES.find((one) => one === text) ?? "errors";
}

/** As addresses have it: errors are not said. */
export function sourceParam(source: SearchSource): string | null {
  return source === "errors" ? null : source;
}

export function everySeconds(source: SearchSource): number {
  return source === "errors" ? ERRORS_EVERY_S : RECORDS_EVERY_S;
}

/** Where an answer came from, as the code of its words. */
export function origin({ name, engine, text_index }: SearchResponse["source"]): "index" | "indexed" | "unindexed" | "clickhouse" {
  if (engine === "index") return "index";
  if (name === "traces") return "clickhouse";
  return text_index ? "indexed" : "unindexed";
}
