/** The query of the search box as text: words, "phrases", field:value, -field:value. Facets add and take terms. */

/** A value as a query has it: bare where that is safe, else quoted. */
export function quoted(value: string): string {
  return /^[\p{L}\p{N}_]+$/u.test(value) && !/^(AND|OR|NOT|IN|TO)$/.test(value) ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

export function term(field: string, value: string, without = false): string {
  return `${without ? "-" : ""}${field}:${quoted(value)}`;
}

/** Terms of the query; what stands in quotation marks stays together. */
export function terms(query: string): string[] {
  return query.match(/(?:[^\s"]+:)?"(?:\\.|[^"\\])*"?|\S+/g) ?? [];
}

export function has(query: string, wanted: string): boolean {
  return terms(query).includes(wanted);
}

/** With the term added, or taken away when it is there; its opposite goes in any case. */
export function toggled(query: string, field: string, value: string, without = false): string {
  const wanted = term(field, value, without);
  const opposite = term(field, value, !without);
  const all = terms(query);
  const left = all.filter((one) => one !== wanted && one !== opposite);
  return (all.includes(wanted) ? left : [...left, wanted]).join(" ");
}

/** With all of these terms, each once and behind the others. */
export function narrowed(query: string, wanted: string[]): string {
  return [...terms(query).filter((one) => !wanted.includes(one)), ...wanted].join(" ");
}

/** Without a field at its end whose value is still to come, and without what joins that to the words before. */
export function finished(query: string): string {
  const all = terms(query);
  if (!query.endsWith(":") || !/^[-(]*[^\s":()-][^\s":()]*:$/.test(all.at(-1) ?? "")) return query;
  all.pop();
  while (/^(?:AND|OR|NOT|[-(]+)$/.test(all.at(-1) ?? "")) all.pop();
  return all.join(" ");
}

/** How many characters a text has, counted as the server counts them: by code points. */
export function characters(text: string): number {
  return [...text].length;
}

/** The query with a suggestion in the place of what was typed of it, and where the caret is then. */
export function replaced(query: string, from: number, caret: number, suggestion: string): { text: string; caret: number } {
  const all = [...query];
  const after = all.slice(caret).join("");
  // A quotation mark that was closed already is not closed twice; after a value the next word begins.
  const rest = suggestion.endsWith('"') && after.startsWith('"') ? after.slice(1) : after;
  const gap = suggestion.endsWith(":") || rest.startsWith(" ") || rest.startsWith(")") ? "" : " ";
  const before = all.slice(0, from).join("") + suggestion + gap;
  return { text: before + rest, caret: characters(before) };
}
