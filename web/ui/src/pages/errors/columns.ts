/** Which fields are shown as columns of the list: as the address has them, what can be chosen, and their values. */

import type { SearchHit, SearchSource } from "../../api/types";

/** More cannot be told apart beside a message. */
export const MOST_COLUMNS = 12;
const FIELDS = ["service", "model", "version", "environment", "severity", "error_type", "trace_id", "pattern_id"] as const;
const ATTRIBUTE = "attributes.";

type Field = (typeof FIELDS)[number];
const isField = (column: string): column is Field => (FIELDS as readonly string[]).includes(column);

/** As the address has them, in the order in which they were chosen; what names no field is left out. */
export function readColumns(text: string | null): string[] {
  const named = (text ?? "").split(",").map(decoded);
  return [...new Set(named)].filter((column) => isField(column) || isAttribute(column)).slice(0, MOST_COLUMNS);
}

/** The same, to be written; `null` where there are none. A comma in a name is not one between names. */
export function writeColumns(columns: string[]): string | null {
  return columns.map((column) => column.replace(/[%,]/g, encodeURIComponent)).join(",") || null;
}

/** With the column behind the others, or without it where it was there. */
export function toggledColumn(columns: string[], column: string): string[] {
  return columns.includes(column) ? columns.filter((one) => one !== column) : [...columns, column].slice(0, MOST_COLUMNS);
}

/** What can be chosen: the fields that every hit has, the attributes of those shown, and what was chosen before. */
export function offeredColumns(hits: SearchHit[], chosen: string[], source: SearchSource): string[] {
  // Only errors have patterns.
  const fields = FIELDS.filter((field) => field !== "pattern_id" || source === "errors" || chosen.includes(field));
  const attributes = hits.flatMap((hit) => Object.keys(hit.attributes)).map((name) => ATTRIBUTE + name);
  return [...fields, ...[...new Set([...attributes, ...chosen.filter(isAttribute)])].sort((a, b) => a.localeCompare(b))];
}

/** How a column is called where it has no name of its own. */
export function attributeName(column: string): string {
  return isAttribute(column) ? column.slice(ATTRIBUTE.length) : column;
}

/** What a hit has in a column; "" where it has nothing. */
export function columnValue(hit: SearchHit, column: string): string {
  const value = isField(column) ? hit[column] : attributeOf(hit.attributes, attributeName(column));
  if (value == null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Names of attributes hold dots; where none is called so, the dots lead into one. */
function attributeOf(attributes: Record<string, unknown>, name: string): unknown {
  if (Object.hasOwn(attributes, name)) return attributes[name];
  let at: unknown = attributes;
  for (const part of name.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

function isAttribute(column: string): boolean {
  return column.startsWith(ATTRIBUTE) && column.length > ATTRIBUTE.length;
}

function decoded(column: string): string {
  try {
    return decodeURIComponent(column);
  } catch {
    return column;
  }
}
