import { describe, expect, it } from "vitest";
import { bytes, count, duration, milliseconds, percent, significant, type Units } from "./number";

const UNITS: Units = { millisecond: "ms", second: "s", minute: "min", hour: "h", day: "d", perSecond: "/s", bytes: ["B", "KiB", "MiB"] };
/** Written with plain spaces, so that the expectations can be read. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

describe("numbers", () => {
  it.each([
    [0.81234, "0.812"],
    [1234.5, "1,230"],
    [0, "0"],
    [-3.14159, "\u22123.14"],
    [0.00004, "0.00004"],
    [1e-9, "1.00e\u22129"],
    [null, "–"],
    [undefined, "–"],
    [NaN, "–"],
    [Infinity, "–"],
  ])("significant(%s) is %s", (value, expected) => expect(plain(significant(value, "en-GB"))).toBe(expected));

  it.each([
    [277_677, "277,677"],
    [0, "0"],
    [null, "–"],
  ])("count(%s) is %s", (value, expected) => expect(plain(count(value, "en-GB"))).toBe(expected));

  it.each([
    [0.0431, "4.31 %"],
    [0, "0 %"],
    [1, "100 %"],
    [0.99999, "> 99.9 %"],
    [0.0000001, "< 0.001 %"],
    [-0.02, "\u22122 %"],
    [null, "–"],
  ])("percent(%s) is %s", (value, expected) => expect(plain(percent(value, "en-GB"))).toBe(expected));

  it.each([
    [412, "412 ms"],
    [1530, "1.53 s"],
    [0.1234, "0.123 ms"],
    [null, "–"],
  ])("milliseconds(%s) is %s", (value, expected) => expect(plain(milliseconds(value, "en-GB", UNITS))).toBe(expected));

  it.each([
    [20_480, "20 KiB"],
    [0, "0 B"],
    [5 * 2 ** 30, "5,120 MiB"],
  ])("bytes(%s) is %s", (value, expected) => expect(plain(bytes(value, "en-GB", UNITS))).toBe(expected));

  it.each([
    [5_400, "1 h 30 min"],
    [42, "42 s"],
    [0, "0 s"],
    [0.42, "0.42 s"],
    [86_400, "1 d"],
    [3_601, "1 h"],
    [-5, "0 s"],
    [null, "–"],
  ])("duration(%s) is %s", (value, expected) => expect(plain(duration(value, "en-GB", UNITS))).toBe(expected));

  it("speaks the reader's language", () => {
    expect(plain(percent(0.0431, "ru-RU"))).toBe("4,31 %");
    expect(plain(count(277_677, "ru-RU"))).toBe("277 677");
  });
});
