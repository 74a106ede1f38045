import { describe, expect, it } from "vitest";
import { precise, relative, short, span, utc } from "./time";

const NOW = new Date(2026, 9, 5, 15, 0, 0);
const at = (day: number, hour: number, minute: number, second = 0) => new Date(2026, 9, day, hour, minute, second, 123);

describe("times", () => {
  it("names the day only where it is not today", () => {
    expect(short(at(5, 14, 2), NOW, "en-GB")).toBe("14:02");
    expect(short(at(4, 14, 2), NOW, "en-GB")).toBe("4 Oct 14:02");
    expect(short(new Date(2025, 0, 2, 3, 4), NOW, "en-GB")).toBe("2 Jan 2025 03:04");
  });

  it("is exact for records", () => {
    expect(precise(at(5, 14, 2, 3), NOW, "en-GB")).toBe("14:02:03.123");
    expect(precise(at(4, 14, 2, 3), NOW, "en-GB")).toBe("4 Oct 14:02:03.123");
  });

  it("writes the day of a span once", () => {
    expect(span(at(4, 14, 0), at(4, 15, 0), NOW, "en-GB")).toBe("4 Oct 14:00 – 15:00");
    expect(span(at(5, 13, 0), at(5, 14, 0), NOW, "en-GB")).toBe("13:00 – 14:00");
  });

  it("a span that crosses midnight names both days, today too", () => {
    expect(span(at(4, 14, 0), at(5, 14, 0), NOW, "en-GB")).toBe("4 Oct 14:00 – 5 Oct 14:00");
    expect(span(at(3, 14, 0), at(4, 1, 0), NOW, "en-GB")).toBe("3 Oct 14:00 – 4 Oct 01:00");
  });

  it("a short span has seconds", () => {
    expect(span(at(5, 14, 0, 10), at(5, 14, 0, 40), NOW, "en-GB")).toBe("14:00:10 – 14:00:40");
    expect(span(at(4, 14, 0, 10), at(4, 14, 0, 40), NOW, "en-GB")).toBe("4 Oct 14:00:10 – 14:00:40");
  });

  it.each([
    [2, "now"],
    [42, "42 sec ago"],
    [125, "2 min ago"],
    [3 * 3_600 + 5, "3 hr ago"],
    [50 * 3_600, "2 days ago"],
    [-7_200, "in 2 hr"],
  ])("%s s before is %s", (seconds, expected) => {
    expect(relative(new Date(NOW.getTime() - seconds * 1000), NOW, "en-GB").replace(/\.|\u00a0/g, (c) => (c === "." ? "" : " "))).toBe(expected);
  });

  it("gives UTC in full", () => expect(utc(new Date(Date.UTC(2026, 9, 5, 14, 2, 3, 4)))).toBe("2026-10-05 14:02:03.004 UTC"));
});
