import type { SearchSource } from "../../api/types";
import { of } from "../../i18n/i18n.svelte";
import { attributeName } from "./columns";

/** How a field is called: what errors and log records have as severity is the status of a span. */
export function fieldName(field: string, source: SearchSource): string {
  return of("errors.field", source === "traces" && field === "severity" ? "status" : field);
}

/** How a column is headed: fields in the reader's language, attributes as senders call them. */
export function columnName(column: string, source: SearchSource): string {
  return attributeName(fieldName(column, source));
}
