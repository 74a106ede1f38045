import { describe, expect, it } from "vitest";
import { boxBetween, isWithin, nearest, readBox, Scale, ticks, writeBox } from "./plane";

describe("the scale of a plane", () => {
  const points = [
    { x: -2, y: 0 },
    { x: 2, y: 1 },
  ];

  it("keeps every point within the margin, and the middle in the middle", () => {
    const scale = new Scale(points, { width: 440, height: 300 }, 20);
    expect(scale.toPixels({ x: -2, y: 0 })).toEqual({ x: 20, y: 200 });
    expect(scale.toPixels({ x: 2, y: 1 })).toEqual({ x: 420, y: 100 });
    expect(scale.toPixels({ x: 0, y: 0.5 })).toEqual({ x: 220, y: 150 });
  });

  it("has one scale along and up, in wide plots and in high ones", () => {
    for (const size of [{ width: 900, height: 200 }, { width: 200, height: 900 }]) {
      const scale = new Scale(points, size, 10);
      const [origin, along, up] = [scale.toPixels({ x: 0, y: 0 }), scale.toPixels({ x: 1, y: 0 }), scale.toPixels({ x: 0, y: 1 })];
      expect(along.x - origin.x).toBeCloseTo(origin.y - up.y);
      for (const point of points) expect(isWithin(scale.toPixels(point), { left: 10, right: size.width - 10, bottom: 10, top: size.height - 10 })).toBe(true);
    }
  });

  it("leads back from pixels to units", () => {
    const scale = new Scale(points, { width: 640, height: 480 }, 16);
    const back = scale.toUnits(scale.toPixels({ x: 0.3, y: -0.7 }));
    expect(back.x).toBeCloseTo(0.3);
    expect(back.y).toBeCloseTo(-0.7);
    expect(scale.shown.left).toBeLessThan(-2);
    expect(scale.shown.top).toBeGreaterThan(1);
  });

  it.each([[[]], [[{ x: 3, y: 3 }]], [[{ x: 3, y: 3 }, { x: 3, y: 3 }]]])("shows points without extent in the middle: %j", (few) => {
    const scale = new Scale(few, { width: 100, height: 80 }, 10);
    expect(scale.toPixels(few[0] ?? { x: 0, y: 0 })).toEqual({ x: 50, y: 40 });
  });

  it("uses the whole width where points differ along one axis only", () => {
    const scale = new Scale([{ x: 0, y: 1 }, { x: 10, y: 1 }], { width: 120, height: 50 }, 10);
    expect(scale.toPixels({ x: 10, y: 1 })).toEqual({ x: 110, y: 25 });
  });
});

describe("a box over points", () => {
  it.each([
    [{ x: 0, y: 0 }, true],
    [{ x: 1, y: 2 }, true],
    [{ x: 1.01, y: 0 }, false],
    [{ x: 0, y: -0.01 }, false],
    [{ x: NaN, y: 0 }, false],
  ])("%j within: %s", (point, expected) => expect(isWithin(point, boxBetween({ x: 1, y: 0 }, { x: 0, y: 2 }))).toBe(expected));

  it("is the same from whichever corner it was drawn", () => {
    const boxes = [[0, 0, 3, 4], [3, 4, 0, 0], [0, 4, 3, 0], [3, 0, 0, 4]].map(([x = 0, y = 0, u = 0, v = 0]) => boxBetween({ x, y }, { x: u, y: v }));
    for (const box of boxes) expect(box).toEqual({ left: 0, right: 3, bottom: 0, top: 4 });
  });

  it.each([
    ["-0.5,0.1,0.25,0.75", { left: -0.5, bottom: 0.1, right: 0.25, top: 0.75 }],
    ["0.25,0.75,-0.5,0.1", { left: -0.5, bottom: 0.1, right: 0.25, top: 0.75 }],
    ["1e-3,0,1,2", { left: 0.001, bottom: 0, right: 1, top: 2 }],
    ["1,2,3", null],
    ["1,2,3,4,5", null],
    ["1,2,,4", null],
    ["a,b,c,d", null],
    ["1,2,3,Infinity", null],
    ["", null],
    [null, null],
  ])("%s is read", (text, box) => expect(readBox(text)).toEqual(box));

  it("is written as it is read", () => {
    const box = { left: -0.123456, bottom: 1234.56, right: 0.5, top: 2e4 };
    expect(writeBox(box)).toBe("-0.1235,1235,0.5,20000");
    expect(readBox(writeBox(box))).toEqual({ left: -0.1235, bottom: 1235, right: 0.5, top: 20_000 });
  });
});

describe("the nearest point", () => {
  const points = [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 3 }];
  it.each([
    [{ x: 1, y: 1 }, 5, 0],
    [{ x: 10, y: 2 }, 5, 2],
    [{ x: 5, y: 40 }, 5, null],
  ])("to %j within %d", (at, reach, expected) => expect(nearest(points, at, reach)).toBe(expected));
  it("of none is none", () => expect(nearest([], { x: 0, y: 0 }, 9)).toBeNull());
});

describe("ticks", () => {
  const near = (expected: number[]) => expected.map((value) => expect.closeTo(value, 9) as number);
  it.each([
    [0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [-0.73, 0.41, 5, [-0.5, 0]],
    [3, 47, 5, [10, 20, 30, 40]],
    [1, 1, 5, []],
    [0, NaN, 5, []],
  ])("from %d to %d", (from, to, most, expected) => expect(ticks(from, to, most)).toEqual(near(expected)));
});
