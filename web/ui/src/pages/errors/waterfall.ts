/** Spans of a trace as rows of a waterfall: each under its parent, with its place in the whole time. Pure, so that it can be tested. */

import type { TraceSpan } from "../../api/types";

export interface Row {
  span: TraceSpan;
  depth: number;
  /** Place and width, as shares of the whole time. */
  left: number;
  width: number;
}

/** Deeper than this nothing is moved to the right any more. */
const MAX_DEPTH = 12;

export function waterfall(spans: TraceSpan[]): Row[] {
  const known = new Set(spans.map((span) => span.span_id));
  const children = new Map<string | null, TraceSpan[]>();
  for (const span of spans) {
    // A parent that is not stored, and a span that names itself, make a root.
    const parent = span.parent_span_id !== null && known.has(span.parent_span_id) && span.parent_span_id !== span.span_id ? span.parent_span_id : null;
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const whole = Math.max(...spans.map((span) => span.offset_ms + span.duration_ms), Number.EPSILON);
  const rows: Row[] = [];
  const seen = new Set<TraceSpan>();
  const waiting = (children.get(null) ?? []).toReversed().map((span) => ({ span, depth: 0 }));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { span, depth } = next;
    if (seen.has(span)) continue;
    seen.add(span);
    rows.push({ span, depth: Math.min(depth, MAX_DEPTH), left: span.offset_ms / whole, width: span.duration_ms / whole });
    // Two spans of one id would be told the same children; they are shown once.
    for (const child of (children.get(span.span_id) ?? []).toReversed()) waiting.push({ span: child, depth: depth + 1 });
  }
  // Spans that name each other as parents hang from no root.
  for (const span of spans) if (!seen.has(span)) rows.push({ span, depth: 0, left: span.offset_ms / whole, width: span.duration_ms / whole });
  return rows;
}
