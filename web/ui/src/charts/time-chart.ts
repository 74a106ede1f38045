/**
 * A chart over time, drawn by uPlot: lines with gaps, bands between bounds, thresholds, release marks, alert spans.
 * Charts with the same `group` share cross-hair and brush. Colours are read from the page's tokens at each drawing.
 */

import uPlot from "uplot";
import { runs, scaleBounds, type Column } from "./columns";

export interface Line {
  label: string;
  values: Column;
  /** Bounds of each value and the records behind it: for key and table, and with `band` drawn as a band. */
  lower?: Column;
  upper?: Column;
  n?: Column;
  /** 1 where more records are expected. */
  provisional?: Column;
  band?: boolean;
  /** A token, such as "--chart-1". */
  color: string;
  dash?: number[];
  width?: number;
  fill?: boolean;
  axis?: "left" | "right";
  /** A line over all steps is stepped, measurements at window ends are joined. */
  stepped?: boolean;
}

export interface Plan {
  from: number;
  to: number;
  time: number[];
  lines: Line[];
  thresholds: { value: number; axis: "left" | "right"; side: "above" | "below" }[];
  marks: { at: number; label: string }[];
  spans: { from: number; to: number; severity: "info" | "warning" | "critical" }[];
  left: { from: "zero" | "values"; ceiling?: number; write: (value: number) => string };
  right?: { from: "zero" | "values"; ceiling?: number; write: (value: number) => string };
  /** "14:02" and "5 Oct" along the bottom. */
  writeTime: (at: number, step_s: number) => string;
}

export interface Events {
  /** The row under the cross-hair, `null` when there is none. */
  hover: (index: number | null, at: number | null) => void;
  brush: (from: number, to: number) => void;
}

/** Room beside the plot, the same in all charts of a page, so that their times stand above each other. */
export const LEFT_PX = 64;
export const RIGHT_PX = 48;
const SHORTEST_BRUSH_PX = 6;

export class TimeChart {
  #plan: Plan;
  #plot: uPlot;

  constructor(host: HTMLElement, plan: Plan, group: string, events: Events, height: number, axis: boolean) {
    this.#plan = plan;
    this.#plot = new uPlot(this.#options(host, group, events, height, axis), this.#data(), host);
    this.#place();
  }

  /** New values; the shape (which lines there are) must be the same, else make a new chart. */
  update(plan: Plan): void {
    this.#plan = plan;
    this.#plot.batch(() => {
      this.#plot.setData(this.#data(), false);
      this.#place();
    });
    this.#plot.redraw(false, true);
  }

  resize(width: number, height: number): void {
    if (width > 0) this.#plot.setSize({ width, height });
  }

  /** The theme changed. */
  recolor(): void {
    this.#plot.redraw(false, true);
  }

  /** Moves the cross-hair by keyboard; answers the row that it stands on. */
  step(rows: number): number | null {
    const { time } = this.#plan;
    if (time.length === 0) return null;
    const now = this.#plot.cursor.idx;
    const next = now == null ? time.length - 1 : Math.min(Math.max(now + rows, 0), time.length - 1);
    const at = time[next];
    if (at === undefined) return null;
    this.#plot.setCursor({ left: this.#plot.valToPos(at, "x"), top: 0 }, true);
    return next;
  }

  leave(): void {
    this.#plot.setCursor({ left: -10, top: -10 }, true);
  }

  destroy(): void {
    this.#plot.destroy();
  }

  #data(): uPlot.AlignedData {
    return [this.#plan.time, ...this.#plan.lines.map((line) => line.values)] as uPlot.AlignedData;
  }

  #place(): void {
    const { from, to } = this.#plan;
    this.#plot.setScale("x", { min: from, max: to });
  }

  #bounds(axis: "left" | "right"): [number, number] {
    const lines = this.#plan.lines.filter((line) => (line.axis ?? "left") === axis);
    const scale = axis === "left" ? this.#plan.left : (this.#plan.right ?? this.#plan.left);
    return scaleBounds({
      columns: lines.flatMap((line) => [line.values, ...(line.band && line.lower && line.upper ? [line.lower, line.upper] : [])]),
      thresholds: this.#plan.thresholds.filter((threshold) => threshold.axis === axis).map((threshold) => threshold.value),
      from: scale.from,
      ceiling: scale.ceiling,
    });
  }

  #options(host: HTMLElement, group: string, events: Events, height: number, axis: boolean): uPlot.Options {
    const style = getComputedStyle(host);
    const token = (name: string) => style.getPropertyValue(name).trim();
    const font = `11px ${token("--font")}`;
    const quiet = { grid: { stroke: () => token("--chart-grid"), width: 1 }, ticks: { show: false }, font, stroke: () => token("--text-3") };
    const hasRight = this.#plan.right !== undefined;

    return {
      width: Math.max(host.clientWidth, 100),
      height,
      legend: { show: false },
      padding: [10, hasRight ? 0 : RIGHT_PX, axis ? 0 : 4, 0],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false, dist: SHORTEST_BRUSH_PX },
        sync: { key: group, scales: ["x", null] },
        points: { size: 6 },
        focus: { prox: -1 },
      },
      scales: {
        x: { time: true, auto: false },
        left: { range: () => this.#bounds("left") },
        ...(hasRight ? { right: { range: () => this.#bounds("right") } } : {}),
      },
      axes: [
        {
          ...quiet,
          show: axis,
          size: 22,
          gap: 4,
          space: 80,
          values: (_, splits) => {
            const step = splits.length > 1 ? (splits[1] as number) - (splits[0] as number) : 0;
            return splits.map((at) => this.#plan.writeTime(at, step));
          },
        },
        {
          ...quiet,
          scale: "left",
          size: LEFT_PX,
          gap: 6,
          space: 30,
          values: (_, splits) => splits.map((value) => this.#plan.left.write(value)),
        },
        ...(hasRight
          ? [
              {
                ...quiet,
                scale: "right",
                side: 1 as const,
                size: RIGHT_PX,
                gap: 6,
                space: 30,
                grid: { show: false },
                values: (_: uPlot, splits: number[]) => splits.map((value) => this.#plan.right?.write(value) ?? ""),
              },
            ]
          : []),
      ],
      series: [
        {},
        ...this.#plan.lines.map((line): uPlot.Series => ({
          label: line.label,
          scale: line.axis ?? "left",
          stroke: () => token(line.color),
          width: line.width ?? 1.5,
          dash: line.dash,
          fill: line.fill ? () => token("--chart-fill") : undefined,
          spanGaps: false,
          points: { show: line.stepped ? false : undefined, size: 5 },
          paths: line.stepped ? uPlot.paths.stepped?.({ align: 1 }) : undefined,
        })),
      ],
      hooks: {
        drawClear: [(u) => this.#drawUnder(u, token)],
        drawSeries: [],
        draw: [(u) => this.#drawOver(u, token, font)],
        setCursor: [
          (u) => {
            const { idx, left } = u.cursor;
            const seen = left !== undefined && left >= 0;
            events.hover(seen ? (idx ?? null) : null, seen ? u.posToVal(left, "x") : null);
          },
        ],
        setSelect: [
          (u) => {
            const { left, width } = u.select;
            if (width < SHORTEST_BRUSH_PX) return;
            const from = u.posToVal(left, "x");
            const to = u.posToVal(left + width, "x");
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            events.brush(from, to);
          },
        ],
      },
    };
  }

  #drawUnder(u: uPlot, token: (name: string) => string): void {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const x = (at: number) => u.valToPos(at, "x", true);
    for (const span of this.#plan.spans) {
      const left = x(span.from);
      const width = Math.max(x(span.to) - left, 2 * devicePixelRatio);
      ctx.fillStyle = token(`--${span.severity === "info" ? "unknown" : span.severity}-bg`);
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.fillStyle = token(`--${span.severity === "info" ? "unknown" : span.severity}`);
      ctx.fillRect(left, bbox.top, width, 2 * devicePixelRatio);
    }
    ctx.fillStyle = token("--chart-band");
    ctx.strokeStyle = token("--chart-band");
    for (const line of this.#plan.lines) {
      if (line.band && line.lower && line.upper) this.#drawBand(u, line.lower, line.upper, line.axis ?? "left");
    }
    ctx.restore();
  }

  #drawBand(u: uPlot, lower: Column, upper: Column, scale: string): void {
    const { ctx } = u;
    const x = (i: number) => u.valToPos(this.#plan.time[i] as number, "x", true);
    const y = (v: number | null | undefined) => u.valToPos(v as number, scale, true);
    for (const [first, last] of runs(lower, upper)) {
      if (first === last) {
        // A window alone: its bounds as an upright bar.
        ctx.lineWidth = 5 * devicePixelRatio;
        ctx.beginPath();
        ctx.moveTo(x(first), y(lower[first]));
        ctx.lineTo(x(first), y(upper[first]));
        ctx.stroke();
        continue;
      }
      ctx.beginPath();
      for (let i = first; i <= last; i++) ctx.lineTo(x(i), y(upper[i]));
      for (let i = last; i >= first; i--) ctx.lineTo(x(i), y(lower[i]));
      ctx.closePath();
      ctx.fill();
    }
  }

  #drawOver(u: uPlot, token: (name: string) => string, font: string): void {
    const { ctx, bbox } = u;
    const pixel = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, 0, bbox.width + RIGHT_PX * pixel, bbox.top + bbox.height);
    ctx.clip();
    ctx.lineWidth = pixel;
    for (const threshold of this.#plan.thresholds) {
      const y = Math.round(u.valToPos(threshold.value, threshold.axis, true)) + 0.5;
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.strokeStyle = token("--critical");
      ctx.setLineDash([4 * pixel, 3 * pixel]);
      line(ctx, bbox.left, y, bbox.left + bbox.width, y);
    }
    ctx.setLineDash([2 * pixel, 2 * pixel]);
    ctx.strokeStyle = token("--text-3");
    ctx.fillStyle = token("--text-2");
    ctx.font = font.replace("11px", `${10.5 * pixel}px`);
    ctx.textBaseline = "top";
    // uPlot leaves the alignment of its last axis behind.
    ctx.textAlign = "left";
    let labelledUpTo = -Infinity;
    for (const mark of this.#plan.marks) {
      const x = Math.round(u.valToPos(mark.at, "x", true)) + 0.5;
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      line(ctx, x, bbox.top, x, bbox.top + bbox.height);
      // Labels that would lie over one another: the lines stay, the time line above names them all.
      if (x < labelledUpTo) continue;
      ctx.fillText(mark.label, x + 3 * pixel, 0);
      labelledUpTo = x + ctx.measureText(mark.label).width + 8 * pixel;
    }
    ctx.restore();
  }
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
