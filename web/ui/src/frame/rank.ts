/** How well a name answers what was typed: higher is better, `null` is not at all. */
export function rank(query: string, name: string): number | null {
  const wanted = query.trim().toLocaleLowerCase();
  const text = name.toLocaleLowerCase();
  if (wanted === "") return 0;
  if (text.startsWith(wanted)) return 3;
  const at = text.indexOf(wanted);
  if (at > 0) return /[\s._/-]/.test(text[at - 1] ?? "") ? 2.5 : 2;
  // The letters in their order, anywhere.
  let found = 0;
  for (const letter of text) if (letter === wanted[found]) found += 1;
  return found === wanted.length ? 1 : null;
}
