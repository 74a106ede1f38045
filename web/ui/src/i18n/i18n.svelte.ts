/**
 * Words of the pages. English is always there, Russian is loaded when it is chosen; both are message files and
 * components hold none. `{name}` is replaced by a parameter; a message with plural forms is chosen by `{n}`.
 */

import * as number from "../format/number";
import * as time from "../format/time";
import { clock } from "../state/clock.svelte";
import { preferences } from "../state/preferences.svelte";
import { en } from "./en";
import { fill, type Params, type Plural } from "./message";

/** The same keys with other words; plural forms may differ. */
export type Messages = Translated<typeof en>;
type Translated<T> = {
  [K in keyof T]: T[K] extends string
    ? string
    : T[K] extends readonly string[]
      ? readonly string[]
      : IsPlural<T[K]> extends true
        ? Plural
        : Translated<T[K]>;
};
/** A group may hold a message called "other" too; a plural holds nothing but forms. */
type IsPlural<T> = T extends Plural ? (keyof T extends keyof Plural ? true : false) : false;

/** "models.title" and so on: every path to a message. */
export type Key = Path<typeof en>;
type Path<T> = {
  [K in keyof T & string]: T[K] extends string | readonly string[] ? K : IsPlural<T[K]> extends true ? K : `${K}.${Path<T[K]>}`;
}[keyof T & string];

class Words {
  #messages = $state.raw<Messages>(en);
  locale = $derived(preferences.language === "ru" ? "ru-RU" : "en-GB");

  start(): void {
    $effect.root(() => {
      $effect(() => {
        if (preferences.language === "ru") void import("./ru").then(({ ru }) => (this.#messages = ru));
        else this.#messages = en;
      });
    });
  }

  say(key: Key, params: Params = {}): string {
    return this.find(key, params) ?? key;
  }

  find(path: string, params: Params): string | undefined {
    const message = find(this.#messages, path) ?? find(en, path);
    return message === undefined ? undefined : fill(message, params, this.locale);
  }

  get units(): number.Units {
    return this.#messages.units as number.Units;
  }
}

export const words = new Words();
export const t = (key: Key, params?: Params): string => words.say(key, params);
/** A message whose last part is a code of the API; an unknown code is shown as it came. */
export const of = (group: string, code: string, params: Params = {}): string => words.find(`${group}.${code}`, params) ?? code;

/** Formats in the reader's language. */
export const say = {
  significant: (value: number | null | undefined) => number.significant(value, words.locale),
  count: (value: number | null | undefined) => number.count(value, words.locale),
  percent: (share: number | null | undefined) => number.percent(share, words.locale),
  milliseconds: (value: number | null | undefined) => number.milliseconds(value, words.locale, words.units),
  bytes: (value: number | null | undefined) => number.bytes(value, words.locale, words.units),
  duration: (seconds: number | null | undefined) => number.duration(seconds, words.locale, words.units),
  perSecond: (value: number | null | undefined) =>
    value == null ? number.NOTHING : `${number.significant(value, words.locale)}\u202f${words.units.perSecond}`,
  short: (at: Date) => time.short(at, clock.now, words.locale),
  precise: (at: Date) => time.precise(at, clock.now, words.locale),
  span: (from: Date, to: Date) => time.span(from, to, clock.now, words.locale),
  axis: (at: Date, as: "day" | "clock") => time.axis(at, as, words.locale),
  clock: (at: Date) => time.clock(at, words.locale),
  day: (at: Date) => time.axis(at, "day", words.locale),
  relative: (at: Date) => time.relative(at, clock.now, words.locale),
  utc: time.utc,
  list: (names: string[]) => new Intl.ListFormat(words.locale).format(names),
};

function find(messages: object, path: string): string | Plural | undefined {
  let at: unknown = messages;
  for (const part of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  if (typeof at === "string") return at;
  if (typeof at === "object" && at !== null && "other" in at) return at as Plural;
  return undefined;
}
