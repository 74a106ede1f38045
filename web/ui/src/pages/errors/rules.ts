/** Alert rules from a search: what they are called, what can be chosen, and where their search is opened. */

import type { SearchRule } from "../../api/types";
import { address, environmentToken } from "../../route/path";

export const WINDOWS_S = [60, 300, 900, 3_600, 86_400];
/** What a rule's name is made of, as the field's `pattern`. */
export const NAME_PATTERN = "[A-Za-z0-9_.\\-]{1,128}";
/** A suggestion is cut at a word; longer ones nobody reads. */
const SUGGESTED_LENGTH = 60;
const WITHOUT_WORDS = "errors";

/** A name made from a query that none of the others has: `message:"timed out"` → "message-timed-out". */
export function suggestedName(query: string, taken: string[]): string {
  // Letters without their accents; what is left of other alphabets says too little.
  const plain = query.normalize("NFKD").replace(/\p{M}/gu, "");
  const words = plain.match(/[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*/g) ?? [];
  const name = words.reduce((all, word) => (all !== "" && all.length + 1 + word.length > SUGGESTED_LENGTH ? all : [all, word].filter(Boolean).join("-")), "");
  const base = name.slice(0, SUGGESTED_LENGTH) || WITHOUT_WORDS;
  let free = base;
  for (let n = 2; taken.includes(free); n += 1) free = `${base}-${n}`;
  return free;
}

/** The search whose errors a rule counts. */
export function rulePath(rule: Pick<SearchRule, "query" | "environment">): string {
  return address("/errors", { q: rule.query, env: environmentToken(rule.environment) });
}
