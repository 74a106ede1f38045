import { describe, expect, it } from "vitest";
import { en } from "./en";
import { fill } from "./message";
import { ru } from "./ru";

/** Every message by its path; plural forms are one message. */
function flat(messages: object, path = ""): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [key, value] of Object.entries(messages)) {
    const here = path ? `${path}.${key}` : key;
    if (typeof value === "string") found.set(here, [value]);
    else if (Array.isArray(value)) found.set(here, value as string[]);
    else if (Object.keys(value as object).every((form) => ["one", "few", "many", "other"].includes(form))) found.set(here, Object.values(value as object) as string[]);
    else for (const [inner, texts] of flat(value as object, here)) found.set(inner, texts);
  }
  return found;
}

const placeholders = (texts: string[]) => [...new Set(texts.flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort();

describe("messages", () => {
  it("Russian has every message with the same parameters", () => {
    const russian = flat(ru);
    for (const [path, texts] of flat(en)) {
      expect(russian.has(path), path).toBe(true);
      const translated = placeholders(russian.get(path) ?? []);
      for (const parameter of placeholders(texts)) expect(translated, path).toContain(parameter);
    }
  });

  it.each([
    [1, "ru-RU", "1 ошибка"],
    [2, "ru-RU", "2 ошибки"],
    [5, "ru-RU", "5 ошибок"],
    [21, "ru-RU", "21 ошибка"],
    [0, "ru-RU", "0 ошибок"],
  ])("%s in %s", (n, locale, expected) => expect(fill(ru.source.found.errors, { n }, locale)).toBe(expected));

  it("puts texts in as they are", () => {
    expect(fill("{a} {b} {c}", { a: "<b>{b}</b>", b: null }, "en-GB")).toBe("<b>{b}</b> – {c}");
    expect(fill(en.source.found.errors, { n: 20_112 }, "en-GB")).toBe("20,112 errors");
  });
});
