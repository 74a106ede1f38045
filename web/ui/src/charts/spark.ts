/** Geometry of a sparkline: pure, so that gaps and thresholds can be tested without a page. */

import type { Spark } from "../api/types";

export interface SparkShape {
  /** One path per run of steps with values; an empty step is a gap. */
  line: string;
  /** Height of the threshold, `null` where it lies outside of what is drawn. */
  threshold: number | null;
}

/** A threshold further than this from the values is not drawn: it would press them flat. */
const THRESHOLD_REACH = 4;
/** The drawing spans at least the difference between the highest value and this share of it. */
const CALM = 0.7;

export function sparkShape(spark: Spark, threshold: number | null, width: number, height: number): SparkShape {
  const known = spark.values.filter((v): v is number => v !== null);
  if (known.length === 0) return { line: "", threshold: null };
  const highest = Math.max(...known);
  const lowest = Math.min(...known);
  const shown = threshold !== null && threshold <= Math.max(highest * THRESHOLD_REACH, Number.EPSILON);
  const top = Math.max(highest, shown ? threshold : -Infinity);
  // Values far from zero, such as F1, are drawn from below them, but never so near that calm looks like a storm.
  const low = Math.min(lowest, shown ? threshold : lowest);
  const bottom = low > top * 0.6 ? Math.min(low, top * CALM) : Math.min(0, lowest);
  const reach = top - bottom || 1;
  const y = (v: number) => round(height - 1.5 - ((v - bottom) / reach) * (height - 3));
  const step = width / Math.max(1, spark.values.length - 1);

  let line = "";
  let drawing = false;
  spark.values.forEach((value, i) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = round(i * step);
    if (drawing) line += `L${x} ${y(value)}`;
    else {
      // A lone value is a dot: a line of no length with round ends.
      line += `M${x} ${y(value)}`;
      if (spark.values[i + 1] == null) line += `h.01`;
    }
    drawing = true;
  });
  return { line, threshold: shown ? y(threshold) : null };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
