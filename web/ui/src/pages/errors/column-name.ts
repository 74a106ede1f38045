import { of } from "../../i18n/i18n.svelte";
import { attributeName } from "./columns";

/** How a column is headed: fields in the reader's language, attributes as senders call them. */
export function columnName(column: string): string {
  return attributeName(of("errors.field", column));
}
