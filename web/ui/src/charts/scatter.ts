/** A scatter plot on a canvas. Colours are read from the page's tokens at each drawing. */

import { isWithin, ticks, type Box, type Point, type Scale, type Size } from "./plane";

export interface Mark extends Point {
  /** A token, such as "--chart-1". */
  color: string;
  /** A place in `SHAPES`. */
  shape: number;
  hollow: boolean;
}

/** Outlines around (0, 0), about 7 px large: groups are told apart without their colours, too. */
export const SHAPES = [
  "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
  "M-2.9-2.9h5.8v5.8h-5.8z",
  "M0-3.7 3.5 2.7h-7z",
  "M0-4 4 0 0 4-4 0z",
  "M0 3.7-3.5-2.7h7z",
  "M-3.6 0-1.8-3.2h3.6L3.6 0 1.8 3.2h-3.6z",
];
/** Points lie over each other: their insides let through what is below. */
const INSIDE_ALPHA = 0.45;
const OUTLINE_ALPHA = 0.9;
/** Outside of the box that is drawn over them. */
const ASIDE = 0.22;
const TICKS_APART_PX = 90;
const TICK_TEXT_PX = 14;

export interface Picture {
  marks: Mark[];
  scale: Scale;
  size: Size;
  /** Device pixels in a pixel of the page. */
  pixel_ratio: number;
  box: Box | null;
  write: (value: number) => string;
}

export function draw(canvas: HTMLCanvasElement, picture: Picture): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const { size, pixel_ratio } = picture;
  canvas.width = Math.round(size.width * pixel_ratio);
  canvas.height = Math.round(size.height * pixel_ratio);
  context.scale(pixel_ratio, pixel_ratio);
  const style = getComputedStyle(canvas);
  const token = (name: string) => style.getPropertyValue(name).trim();
  drawGrid(context, picture, token, `${token("--text-xs")} ${token("--font")}`);
  drawMarks(context, picture, token);
}

function drawGrid(context: CanvasRenderingContext2D, { scale, size, write }: Picture, token: (name: string) => string, font: string): void {
  const shown = scale.shown;
  context.font = font;
  context.lineWidth = 1;
  const line = (zero: boolean, from: Point, to: Point) => {
    context.strokeStyle = token(zero ? "--line-strong" : "--chart-grid");
    context.beginPath();
    context.moveTo(Math.round(from.x) + 0.5, Math.round(from.y) + 0.5);
    context.lineTo(Math.round(to.x) + 0.5, Math.round(to.y) + 0.5);
    context.stroke();
  };
  const along = ticks(shown.left, shown.right, size.width / TICKS_APART_PX);
  const up = ticks(shown.bottom, shown.top, size.height / TICKS_APART_PX);
  for (const x of along) line(x === 0, { x: scale.toPixels({ x, y: 0 }).x, y: 0 }, { x: scale.toPixels({ x, y: 0 }).x, y: size.height });
  for (const y of up) line(y === 0, { x: 0, y: scale.toPixels({ x: 0, y }).y }, { x: size.width, y: scale.toPixels({ x: 0, y }).y });
  context.fillStyle = token("--text-3");
  for (const x of along) context.fillText(write(x), scale.toPixels({ x, y: 0 }).x + 3, size.height - 4);
  for (const y of up) {
    const at = scale.toPixels({ x: 0, y }).y;
    // At the bottom stand the numbers along.
    if (at < size.height - 2 * TICK_TEXT_PX && at > TICK_TEXT_PX) context.fillText(write(y), 3, at - 3);
  }
}

function drawMarks(context: CanvasRenderingContext2D, { marks, scale, box }: Picture, token: (name: string) => string): void {
  const paths = SHAPES.map((shape) => new Path2D(shape));
  const colors = new Map<string, string>();
  const colorOf = (name: string) => {
    const known = colors.get(name) ?? token(name);
    colors.set(name, known);
    return known;
  };
  context.lineWidth = 1.1;
  for (const mark of marks) {
    const path = paths[mark.shape % paths.length];
    if (!path) continue;
    const at = scale.toPixels(mark);
    const seen = box === null || isWithin(mark, box) ? 1 : ASIDE;
    const color = colorOf(mark.color);
    context.save();
    context.translate(at.x, at.y);
    if (!mark.hollow) {
      context.globalAlpha = INSIDE_ALPHA * seen;
      context.fillStyle = color;
      context.fill(path);
    }
    context.globalAlpha = OUTLINE_ALPHA * seen;
    context.strokeStyle = color;
    context.stroke(path);
    context.restore();
  }
}
