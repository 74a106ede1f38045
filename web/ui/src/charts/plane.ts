/** A plane of points: where each is drawn, and which lie within a box that a reader draws over them. */

export interface Point {
  x: number;
  y: number;
}

/** In the points' own units. */
export interface Box {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

export interface Size {
  width: number;
  height: number;
}

/** From the points' units to pixels of the plot, from its top left corner, and back. */
export class Scale {
  readonly #middle: Point;
  readonly #size: Size;
  readonly #per_unit: number;

  /** All points within `margin` of the plot's edges. Both axes have one scale: only then a distance means the same along and up. */
  constructor(points: Point[], size: Size, margin: number) {
    const box = extent(points);
    this.#size = size;
    this.#middle = { x: (box.left + box.right) / 2, y: (box.bottom + box.top) / 2 };
    const room = { width: Math.max(size.width - 2 * margin, 1), height: Math.max(size.height - 2 * margin, 1) };
    // Points that all lie at one place have no extent; any scale shows them.
    const per_unit = Math.min(room.width / (box.right - box.left), room.height / (box.top - box.bottom));
    this.#per_unit = Number.isFinite(per_unit) ? per_unit : 1;
  }

  toPixels(point: Point): Point {
    return {
      x: this.#size.width / 2 + (point.x - this.#middle.x) * this.#per_unit,
      y: this.#size.height / 2 - (point.y - this.#middle.y) * this.#per_unit,
    };
  }

  toUnits(pixels: Point): Point {
    return {
      x: this.#middle.x + (pixels.x - this.#size.width / 2) / this.#per_unit,
      y: this.#middle.y - (pixels.y - this.#size.height / 2) / this.#per_unit,
    };
  }

  /** What the whole plot shows. */
  get shown(): Box {
    return boxBetween(this.toUnits({ x: 0, y: 0 }), this.toUnits({ x: this.#size.width, y: this.#size.height }));
  }
}

function extent(points: Point[]): Box {
  const box = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (const { x, y } of points) {
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.bottom = Math.min(box.bottom, y);
    box.top = Math.max(box.top, y);
  }
  return points.length > 0 ? box : { left: 0, right: 0, bottom: 0, top: 0 };
}

/** Whose opposite corners are two points, in whichever order. */
export function boxBetween(a: Point, b: Point): Box {
  return { left: Math.min(a.x, b.x), right: Math.max(a.x, b.x), bottom: Math.min(a.y, b.y), top: Math.max(a.y, b.y) };
}

export function isWithin(point: Point, box: Box): boolean {
  return point.x >= box.left && point.x <= box.right && point.y >= box.bottom && point.y <= box.top;
}

/** The place of the point that lies next to `at`, or `null` where none is within `reach`. */
export function nearest(points: Point[], at: Point, reach: number): number | null {
  let found: number | null = null;
  let best = reach;
  points.forEach((point, i) => {
    const distance = Math.hypot(point.x - at.x, point.y - at.y);
    if (distance <= best) [found, best] = [i, distance];
  });
  return found;
}

/** Round numbers within a range, about `most` of them at the most: 1, 2 or 5 times a power of ten apart. */
export function ticks(from: number, to: number, most: number): number[] {
  const rough = (to - from) / Math.max(most, 1);
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((times) => times * power >= rough) ?? 10) * power;
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(Math.floor(to / step) - first + 1, 0) }, (_, i) => (first + i) * step);
}

/** A box as an address has it: left, bottom, right, top. */
export function writeBox(box: Box): string {
  return [box.left, box.bottom, box.right, box.top].map((value) => Number(value.toPrecision(4))).join(",");
}

/** What is no box is none: a link that somebody cut short still opens. */
export function readBox(text: string | null): Box | null {
  const values = (text ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  const [left, bottom, right, top] = values;
  if (values.length !== 4 || !values.every(Number.isFinite)) return null;
  return boxBetween({ x: left as number, y: bottom as number }, { x: right as number, y: top as number });
}
