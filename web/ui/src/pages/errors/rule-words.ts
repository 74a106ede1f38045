import { of, say, t } from "../../i18n/i18n.svelte";
import { WINDOWS_S } from "./rules";

/** How long a rule looks back: "5 minutes". */
export function windowWords(window_s: number): string {
  return WINDOWS_S.includes(window_s) ? of("search_rule.window", String(window_s)) : say.duration(window_s);
}

/** When a rule fires, without its query: "more than 10 errors within 5 minutes". */
export function conditionWords({ above, window_s }: { above: number; window_s: number }): string {
  return t(above === 0 ? "search_rule.condition.any" : "search_rule.condition.more", { n: above, length: windowWords(window_s) });
}
