/** Filling one message. */

export interface Plural {
  one?: string;
  few?: string;
  many?: string;
  other: string;
}

export type Params = Record<string, string | number | null | undefined>;

const rules = new Map<string, Intl.PluralRules>();

/** Texts are put in as they are: what a user sent never becomes markup, because pages only set text. */
export function fill(message: string | Plural, params: Params, locale: string): string {
  const text = typeof message === "string" ? message : (message[form(params["n"], locale)] ?? message.other);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = params[name];
    if (value === undefined) return whole;
    if (value === null) return "–";
    return typeof value === "number" ? new Intl.NumberFormat(locale).format(value) : value;
  });
}

function form(n: string | number | null | undefined, locale: string): keyof Plural {
  let rule = rules.get(locale);
  if (!rule) rules.set(locale, (rule = new Intl.PluralRules(locale)));
  const chosen = rule.select(Number(n ?? 0));
  return chosen === "zero" || chosen === "two" ? "other" : chosen;
}
