/** What a bin or a condition holds, in words. */

import type { Bin } from "../../api/types";
import { of, say, t } from "../../i18n/i18n.svelte";

export function label(held: Pick<Bin, "from" | "to" | "value" | "special">): string {
  if (held.special) return of("bin", held.special);
  if (held.value !== null) return held.value === "" ? t("bin.empty") : held.value;
  if (held.from === null && held.to === null) return t("bin.any");
  if (held.from === null) return `< ${say.significant(held.to)}`;
  if (held.to === null) return `≥ ${say.significant(held.from)}`;
  return `${say.significant(held.from)} – ${say.significant(held.to)}`;
}
