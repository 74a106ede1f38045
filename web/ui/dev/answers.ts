/** Recorded answers that take a range or a query: charts, time line, drift, errors, inferences. */

import type {
  Bin,
  ChartsResponse,
  ComparisonResponse,
  ControlExampleResponse,
  Deployment,
  DriftAlertsResponse, DriftResponse, ExplanationResponse,
  FeatureDrift,
  InferencesResponse,
  Metric,
  PatternsResponse,
  SearchHit,
  SegmentsResponse,
  SearchResponse,
  SearchSource,
  SignalColumns,
  SuggestResponse,
  TimelineResponse,
  TraceResponse,
} from "../src/api/types.ts";
import { logAt, RECORDS, spanAt } from "./records.ts";
import { actions, alerts, HOSTILE, RELEASED_11_S, signalAt, THRESHOLDS, type ModelStory } from "./scenario.ts";
import { iso, noise, rate } from "./series.ts";

export const FEATURES = ["ANC", "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P"];
const CATEGORIES = new Set(["MAR", "CIT", "SEX", "RAC1P"]);

/** Versions of a model and whether each serves at an instant. */
export function served(story: ModelStory, now: number): { version: string; serves: (at: number) => boolean }[] {
  if (story.name !== "employment") return [{ version: story.live, serves: () => true }];
  return [
    { version: "1.0", serves: (at) => now - at >= RELEASED_11_S },
    { version: "1.1", serves: (at) => now - at < RELEASED_11_S },
  ];
}

export function charts(story: ModelStory, from: number, to: number, asked_s: number | null, version: string | null, now: number): ChartsResponse {
  const step_s = Math.max(10, Math.ceil((to - from) / 400 / 10) * 10);
  const first = Math.floor(from / step_s) * step_s;
  const time = Array.from({ length: Math.ceil((to - first) / step_s) }, (_, i) => first + i * step_s);
  const versions = served(story, now).filter((one) => version === null || one.version === version);
  const known = (t: number) => versions.some((one) => one.serves(t));
  const at = (signal: string) => time.map((t) => (known(t) ? signalAt(story, signal, t, now) : null));
  const requests = time.map((t) => {
    const perSecond = story.level === 0 || !known(t) ? null : rate(story.seed, t, now, story.level);
    return perSecond === null ? null : Math.round(perSecond * step_s);
  });
  const window_s = asked_s ?? (to - from > 2 * 86_400 ? 86_400 : 3_600);
  const series = (signal: string, subject = "", scale = 1) => versions.map((one) => ({ signal, subject, scale, ...one }));
  return {
    from: iso(from),
    to: iso(to),
    service: {
      step_s,
      time,
      requests,
      errors: requests.map((n, i) => (n === null ? null : Math.round(n * (signalAt(story, "error_ratio", time[i] ?? 0, now) ?? 0)))),
      latency_p50_ms: at("latency_p50_ms"),
      latency_p95_ms: at("latency_p95_ms"),
      latency_p99_ms: at("latency_p99_ms"),
      latency_n: requests,
      versions: story.level === 0 ? [] : versions.map((one) => ({ version: one.version, requests: requests.map((n, i) => (one.serves(time[i] ?? 0) ? n : null)) })),
    },
    shift: columns(story, from, to, window_s, now, [
      ...["AGEP", "ANC", "MAR", "RELP", "SCHL"].flatMap((subject, i) => series("feature_shift", subject, [0.8, 1, 0.4, 0.2, 0.6][i])),
      ...["prediction.label", "prediction.score"].flatMap((subject, i) => series("prediction_shift", subject, 0.3 - i * 0.1)),
    ]),
    quality: columns(story, from, to, window_s, now, ["accuracy", "f1", "precision", "recall"].flatMap((signal, i) => series(signal, "", 1 + (i - 1) * 0.01))),
    thresholds: Object.entries(THRESHOLDS).map(([signal, rule]) => ({ ...rule, signal, window_s: signal === "feature_shift" ? 86_400 : ["f1", "missing_ratio"].includes(signal) ? 3_600 : 60 })),
  };
}

interface Series {
  signal: string;
  subject: string;
  scale: number;
  version: string;
  serves: (at: number) => boolean;
}

/** As the API has them: by signal, version and subject, over the union of their window ends; without any, no window. */
function columns(story: ModelStory, from: number, to: number, window_s: number, now: number, all: Series[]): SignalColumns {
  const measured = !(story.level === 0 || (story.name === "churn" && all[0]?.signal === "accuracy"));
  const step = Math.max(window_s === 86_400 ? 86_400 : 300, Math.ceil((to - from) / 300));
  const time: number[] = [];
  for (let t = Math.ceil(from / step) * step; t < Math.min(to, now) && measured; t += step) if (rate(story.seed, t, now, 1) !== null) time.push(t);
  const key = (one: Series) => [one.signal, one.version, one.subject].join("\n");
  const shifts = (signal: string) => signal.endsWith("_shift");
  const lines = [...all].sort((a, b) => (key(a) < key(b) ? -1 : 1)).map((one, i) => {
    const value = time.map((t) => {
      const base = one.serves(t) ? signalAt({ ...story, seed: story.seed + i * 2 }, shifts(one.signal) ? "feature_shift" : "f1", t, now) : null;
      return base === null ? null : base * one.scale;
    });
    return {
      signal: one.signal,
      version: one.version,
      subject: one.subject,
      value,
      lower: value.map((v) => (v === null ? null : v * 0.95)),
      upper: value.map((v) => (v === null ? null : v * 1.05)),
      n: value.map((v) => (v === null ? 0 : 3_211)),
      provisional: value.map((v, j) => v !== null && j > value.length - 3),
    };
  });
  return time.length === 0 ? { window_s: 0, time: [], lines: [] } : { window_s, time, lines: lines.filter((line) => line.value.some((v) => v !== null)) };
}

export function timeline(story: ModelStory, from: number, to: number, now: number): TimelineResponse {
  const inside = (start: number, end: number) => end >= from && start < to;
  const items: TimelineResponse["items"] = [];
  for (const release of deployments(now)) {
    const at = Date.parse(release.at) / 1000;
    if (release.model === story.name && inside(at, at)) {
      items.push({ kind: "release", id: release.id, at: release.at, version: release.version, event: release.event, source: release.source,
        baseline_version: release.baseline_version, retrain_id: release.retrain_id, watch_until: iso(at + 2 * 86_400) });
    }
  }
  for (const alert of alerts(now)) {
    const start = Date.parse(alert.firing_since ?? alert.since) / 1000;
    const end = alert.resolved_at === null ? now : Date.parse(alert.resolved_at) / 1000;
    if (alert.model === story.name && inside(start, end)) {
      items.push({ kind: "alert", id: alert.id, from: iso(start), to: alert.resolved_at, rule: alert.rule, signal: alert.signal, subject: alert.subject,
        version: alert.version, severity: alert.severity, value: alert.value, threshold: alert.threshold, side: alert.side });
    }
  }
  for (const action of actions(now)) {
    const start = Date.parse(action.requested_at) / 1000;
    if (action.model === story.name && inside(start, action.finished_at === null ? now : Date.parse(action.finished_at) / 1000)) {
      items.push({ kind: "action", id: action.id, from: action.requested_at, to: action.finished_at, action: action.kind, state: action.state,
        from_version: action.from_version, to_version: action.to_version });
    }
  }
  if (story.name === "employment" && inside(now - 5_150, now - 5_150)) {
    items.push({ kind: "verdict", id: "ver_1.1", at: iso(now - 5_150), version: "1.1", verdict: "fail" });
  }
  return { from: iso(from), to: iso(to), items };
}

export function deployments(now: number): Deployment[] {
  const make = (version: string, ago: number, event: Deployment["event"]): Deployment => ({
    id: `dep_${version}_${event}`, model: "employment", version, environment: "production", event, source: "api", at: iso(now - ago),
    baseline_version: version === "1.1" ? "1.0" : null, retrain_id: null, commit: null, artifact: null, data_version: null,
  });
  return [make("1.0", 86_400 * 4, "live"), make("1.1", RELEASED_11_S + 60, "candidate"), make("1.1", RELEASED_11_S, "live")];
}

/** One of them with a name that nobody foresaw. */
export const SEGMENTS = ["under 30", "30 to 59", "<b>60</b> and over \u202e" + "long ".repeat(30)];

export function segments(story: ModelStory, version: string | null, now: number): SegmentsResponse {
  const to = Math.floor(now / 60) * 60;
  const base = { environment: story.environment, from: iso(to - 86_400), to: iso(to) };
  if (story.level === 0) return { environment: story.environment, from: null, to: null, segments: [] };
  const metric = (signal: string, value: number | null, n: number, subject = ""): Metric => ({
    signal, value, unknown: value === null ? "insufficient" : null, lower: value === null ? null : value * 0.9, upper: value === null ? null : value * 1.1,
    n, reference_n: 0, at: iso(to), window_s: signal === "feature_shift" ? 3_600 : 60, subject, provisional: false, threshold: null, spark: null,
  });
  return {
    ...base,
    segments: SEGMENTS.map((segment, i) => {
      const share = [0.52, 0.31, 0.09][i] ?? 0;
      const n = Math.round(70_131 * share);
      const all = [
        metric("request_rate", 12 * share, 60), metric("error_ratio", i === 2 ? null : 0.004 * (i + 1), n), metric("latency_p95_ms", 34 + 9 * i, n),
        metric("feature_shift", [0.012, 0.061, null][i] ?? null, n, "AGEP"), metric("f1", 0.84 - 0.05 * i, n), metric("accuracy", 0.88 - 0.03 * i, n),
      ];
      return { segment, version: version ?? story.live ?? "", inferences: n, share, metrics: Object.fromEntries(all.map((one) => [one.signal, one])) };
    }),
  };
}

export function drift(story: ModelStory, now: number): DriftResponse {
  const to = Math.floor(now / 3_600) * 3_600;
  const base = {
    model: story.name, environment: story.environment, from: iso(to - 86_400), to: iso(to), version: story.live, n: 70_131, reference_n: 68_785, threshold: 0.03,
    reference: { name: "2015", kind: "pinned" as const, version: null, from: iso(now - 86_400 * 4), to: iso(now - 86_400 * 3), rows: 68_785, matching: null },
    unknown: null, reason: null,
  };
  if (story.level === 0) return { ...base, n: 0, reference_n: 0, reference: null, unknown: "no_data", reason: "no inferences of this version are profiled in the window", features: [] };
  const names = story.seed >= 20 ? HOSTILE : FEATURES;
  return { ...base, features: [...names.map((name, i) => feature(name, i, "feature")), feature("prediction.label", 5, "prediction"), feature("prediction.score", 9, "prediction")] };
}

export function pastAlerts(now: number): DriftAlertsResponse {
  return {
    false_alerts_per_month: 1, borne_out: 2, not_borne_out: 1, undecided: 1, not_borne_out_per_month: 0.33,
    features: [
      { feature: "ANC", alerts: 3, borne_out: 2, not_borne_out: 0, proven_loss: 0.061 },
      { feature: "MIL", alerts: 1, borne_out: 0, not_borne_out: 1, proven_loss: 0 },
    ],
    alerts: Array.from({ length: 4 }, (_, i) => ({ alert: "alr_feature_shift", subject: "ANC", at: iso(now - 86_400 * (i + 3)), verdict: "borne_out" as const })),
  };
}

export function explanation(story: ModelStory, feature: string, now: number): ExplanationResponse {
  const to = Math.floor(now / 3_600) * 3_600;
  const names = story.seed >= 20 ? HOSTILE : FEATURES;
  const others = names.filter((name) => name !== feature);
  const condition = { from: null, to: null, value: null, special: null };
  return {
    from: iso(to - 86_400), to: iso(to), sampled: { reference_n: 50_000, n: 50_000, reason: null },
    importance: { source: "domain_classifier", reason: null, domain_auc: { value: 0.561, lower: 0.552, upper: 0.57 } },
    features: names.map((name, i) => ({ feature: name, role: "feature" as const, importance: 0.5 / (i + 1), score: 0.02 / (i + 1) })),
    explained: {
      feature,
      slices: {
        tried: 48_211, reason: null,
        found: [
          {
            conditions: [{ ...condition, feature: "ml.segment", value: "16–29" }, { ...condition, feature: others[0] ?? "", from: 20, to: 35 }],
            reference_share: 0.058, current_share: 0.064, reference_grown: 0.11, current_grown: 0.62, carried: 0.81, carried_lower: 0.69, carried_upper: 0.93,
          },
          {
            conditions: [{ ...condition, feature: others[1] ?? "", special: "absent" }],
            reference_share: 0.02, current_share: 0.05, reference_grown: 0.2, current_grown: 0.3, carried: 0.12, carried_lower: 0.05, carried_upper: 0.19,
          },
        ],
      },
      effect: { value: -0.0121, lower: -0.0149, upper: -0.0093, reason: null },
    },
  };
}

function feature(name: string, i: number, role: FeatureDrift["role"]): FeatureDrift {
  const categorical = CATEGORIES.has(name) || name === "prediction.label";
  const value = 0.043 / (1 + i * 0.9);
  const bins = Array.from({ length: categorical ? 5 : 20 }, (_, b): Bin => {
    const weight = categorical ? 1 / (b + 1) : Math.exp(-(((b - 8 - i) / 5) ** 2));
    const moved = 1 + value * 4 * Math.sin(b * 1.3 + i) + (noise(i, b) - 0.5) * 0.03;
    return {
      from: categorical || b === 0 ? null : b * 5,
      to: categorical || b === 19 ? null : (b + 1) * 5,
      value: categorical ? (role === "prediction" ? String(b) : `${name}-${b}`) : null,
      special: null,
      reference: Math.round(12_000 * weight),
      current: Math.round(12_200 * weight * moved),
    };
  });
  if (i === 3) bins.push({ from: null, to: null, value: null, special: "absent", reference: 120, current: 610 });
  const sum = (of: "reference" | "current") => bins.reduce((total, bin) => total + bin[of], 0);
  const insufficient = name === "RAC1P";
  return {
    feature: name,
    role,
    kind: categorical ? "categorical" : "numeric",
    shift: insufficient
      ? { value: null, lower: null, upper: null, decision_lower: null }
      : { value, lower: Math.max(value - 0.006, 0), upper: value + 0.006, decision_lower: Math.max(value - 0.011, 0) },
    unknown: insufficient ? "insufficient" : null,
    reason: insufficient ? "no inference on one side carries the feature" : null,
    p_adjusted: insufficient ? null : i < 3 ? 1e-9 : 0.02 * i,
    n: insufficient ? 0 : sum("current"),
    reference_n: insufficient ? 0 : sum("reference"),
    drifted: insufficient ? null : i === 0,
    bins: insufficient ? [] : bins,
    statistics: {
      psi: value * 2, js: value, hellinger: value * 0.8, total_variation: value, l_infinity: value / 2, chi2: { statistic: value * 2_000, p: 0.002 * i },
      ...(categorical ? {} : { ks: { statistic: value, p: 0.001 * i }, wasserstein: value * 30, wasserstein_normed: value }),
    },
  };
}

const MESSAGES: [string, string, string][] = [
  ["ValueError", "could not convert feature AGEP='unknown' to a number", "Traceback (most recent call last):\n  File \"serve.py\", line 88, in predict\n    row = encode(request)\n  File \"serve.py\", line 41, in encode\n    return float(value)\nValueError: could not convert string to float: 'unknown'"],
  ["TimeoutError", "feature store did not answer within 200 ms", ""],
  ["ShapeMismatch", "expected 16 features, got 15: DREM is missing", "serve::encode\n  at src/encode.rs:52\nserve::predict\n  at src/predict.rs:19"],
  ["Hostile", `<b onclick=alert(1)>bold?</b> ${HOSTILE[1]} ${"very-long-token-".repeat(40)}`, ""],
];

const TEMPLATES: Record<string, string> = {
  ValueError: "could not convert feature <*> to a number",
  TimeoutError: "feature store did not answer within <*> ms",
  ShapeMismatch: "expected <*> features, got <*> <*> is missing",
  Hostile: (MESSAGES[3] as [string, string, string])[1],
};

function patternOf(errorType: string): string {
  return (0xf00d0000 + Object.keys(TEMPLATES).indexOf(errorType)).toString(16).padStart(16, "0");
}

function hitAt(i: number, now: number): SearchHit {
  const [error_type, message, stack] = MESSAGES[i % 17 === 0 ? 3 : i % 3] as [string, string, string];
  return {
    id: `e${i}`, time: iso(now - 20 - i * 91), severity: i % 23 === 0 ? "FATAL" : "ERROR", service: "employment-api", model: "employment",
    version: i * 91 < RELEASED_11_S ? "1.1" : "1.0", environment: "production", trace_id: `${(0xabc0000 + i).toString(16)}`.padStart(32, "0"),
    span_id: `${(0xde00 + i).toString(16)}`.padStart(16, "0"), error_type, message, stack,
    pattern_id: patternOf(error_type),
    attributes: { "ml.request.id": `req-${90_000 + i}`, "http.response.status_code": 500, "host.name": "serve-2", "ml.feature.AGEP": "unknown", nested: { a: [1, 2] } },
    highlights: [],
  };
}

/** As the server says it of a query that it cannot read. */
export function unreadable(q: string): string | null {
  if ((q.match(/"/g)?.length ?? 0) % 2 === 1) return "The query cannot be read: a quotation mark is not closed.";
  return /\[[^\]]*$/.test(q) ? "The query cannot be read: a bracket is not closed." : null;
}

/** What each source has, and the fields that its hits are counted by. */
const SOURCES: Record<SearchSource, { prefix: string; count: number; at: (i: number, now: number) => SearchHit; facets: string[] }> = {
  errors: { prefix: "e", count: 640, at: hitAt, facets: ["model", "version", "service", "environment", "severity", "error_type", "pattern_id"] },
  logs: { prefix: "l", count: RECORDS, at: logAt, facets: ["model", "version", "service", "environment", "severity", "event.name"] },
  traces: { prefix: "s", count: RECORDS, at: spanAt, facets: ["model", "version", "service", "environment", "severity", "span.name", "span.kind"] },
};

export function hit(source: SearchSource, id: string, now: number): SearchHit | null {
  const { prefix, count, at } = SOURCES[source];
  const i = id.startsWith(prefix) ? Number(/^\d+$/.exec(id.slice(1))?.[0] ?? NaN) : NaN;
  return Number.isInteger(i) && i < count ? at(i, now) : null;
}

/** A field, or an attribute by its name; "" where there is none. */
function fieldOf(hit: SearchHit, field: string): string {
  const value = field in hit ? hit[field as keyof SearchHit] : hit.attributes[field];
  return value == null ? "" : String(value);
}

export function trace(id: string, at: number): TraceResponse {
  const own = `${(0xde00 + Number.parseInt(id, 16) - 0xabc0000).toString(16)}`.padStart(16, "0");
  const span = (span_id: string, parent_span_id: string | null, name: string, service: string, offset_ms: number, duration_ms: number, status = "Unset") => ({
    span_id, parent_span_id, name, kind: "Server", service, start: iso(at + offset_ms / 1000), offset_ms, duration_ms, status,
    status_message: status === "Error" ? "could not answer" : "", attributes: {},
  });
  return {
    spans: [
      span("00000000000000a1", null, "POST /predict", "gateway", 0, 212.4, "Error"),
      span("00000000000000a2", "00000000000000a1", "authorise", "gateway", 1.2, 3.4),
      span(own, "00000000000000a1", "predict", "employment-api", 6, 203.1, "Error"),
      span("00000000000000a4", own, `features <b>of ${HOSTILE[1]}</b>`, "feature-store", 8.5, 200),
    ],
    span_count: 4,
    records: [{ time: iso(at), span_id: own, severity: "ERROR", service: "employment-api", body: "feature store did not answer within 200 ms" }],
  };
}

/** As the server offers them, from the last word alone. */
export function suggest(source: SearchSource, q: string, caret: number, from: number, to: number, now: number, environment: string | null): SuggestResponse {
  const word = /[^\s()]*$/.exec([...q].slice(0, caret).join(""))?.[0] ?? "";
  const start = caret - [...word].length;
  const [name = "", begins] = word.replace(/^-/, "").split(":");
  const minus = word.startsWith("-") ? 1 : 0;
  if (begins === undefined) {
    const names = [...SOURCES[source].facets, "message", "stack", "time"];
    return { from: start + minus, items: names.filter((one) => one.startsWith(name)).map((one) => ({ text: `${one}:`, count: null })) };
  }
  const facet = search(source, "", from, to, null, 1, now, environment).facets.find((one) => one.field === name);
  const fitting = (facet?.values ?? []).filter((one) => one.value.startsWith(begins.replaceAll('"', "")));
  return { from: start + minus + name.length + 1, items: fitting.map((one) => ({ text: /^[\w.-]+$/.test(one.value) ? one.value : `"${one.value}"`, count: one.count })) };
}

export function patterns(q: string, from: number, to: number, now: number, environment: string | null): PatternsResponse {
  const found = search("errors", q, from, to, null, 640, now, environment);
  const step_s = Math.max(10, Math.ceil((to - from) / 48 / 10) * 10);
  const start = Math.floor(from / step_s) * step_s;
  const listed = Object.entries(TEMPLATES).map(([type, template]) => {
    const hits = found.hits.filter((one) => one.error_type === type);
    const counts = Array.from({ length: Math.ceil((to - start) / step_s) }, () => 0);
    for (const one of hits) counts[Math.floor((Date.parse(one.time) / 1000 - start) / step_s)]! += 1;
    const versions = ["1.1", "1.0"].map((version) => ({ version, count: hits.filter((one) => one.version === version).length })).filter((one) => one.count > 0);
    const isNew = type === "ShapeMismatch";
    const first_seen = {
      time: iso(isNew ? now - RELEASED_11_S : now - 9 * 86_400), service: "employment-api", model: "employment", version: isNew ? "1.1" : "1.0",
      environment: "production", is_new_in_version: isNew,
    };
    return { id: patternOf(type), template, count: hits.length, counts, versions, first: hits.at(-1)?.time ?? "", last: hits[0]?.time ?? "", example: hits[0]!, first_seen };
  });
  const patterns = listed.filter((one) => one.count > 0).sort((a, b) => b.count - a.count);
  return { total: found.total, took_ms: 2.1, patterns, hidden: 0, without: 0, from: start, step_s };
}

/** One pattern came with the newer version, one went with the older. */
export function comparison(q: string, from: number, to: number, now: number, environment: string | null, before: string, after: string): ComparisonResponse {
  const listed = patterns(q, from, to, now, environment).patterns.map(({ id, template, versions, first_seen, example }) => {
    const errors = (version: string) => versions.find((one) => one.version === version)?.count ?? 0;
    const isNew = first_seen?.is_new_in_version === true;
    const isGone = example.error_type === "Hostile";
    return { id, template, before: isNew ? 0 : errors(before), after: isGone ? 0 : errors(after), ever_before: !isNew, first_seen, example };
  });
  const total = (side: "before" | "after") => listed.reduce((sum, one) => sum + one[side], 0);
  return {
    total_before: total("before"), total_after: total("after"), took_ms: 2.8, inferences_before: 277_677, inferences_after: 12_031,
    patterns: listed.filter((one) => one.before + one.after > 0), hidden: 0,
  };
}

let examples = 100;

export function controlExample(): ControlExampleResponse {
  examples += 1;
  return { set: "2016", examples, warnings: examples % 2 ? [] : ["The set has 3 examples of the label 0: its share of the answers cannot be judged."] };
}

export function search(
  source: SearchSource,
  q: string,
  from: number,
  to: number,
  cursor: string | null,
  limit: number,
  now: number,
  environment: string | null,
): SearchResponse {
  const { count, at, facets } = SOURCES[source];
  const all = Array.from({ length: count }, (_, i) => at(i, now)).filter((one) => environment === null || one.environment === environment);
  const wanted = q.match(/-?[\w.]+:(?:"[^"]*"|\S+)|"[^"]*"|\S+/g) ?? [];
  const words = wanted.filter((one) => !/^-?[\w.]+:/.test(one)).map((word) => word.replaceAll('"', "").toLowerCase());
  const fields = wanted.filter((one) => /^-?[\w.]+:/.test(one)).map((one) => {
    const [, minus, field, value] = /^(-?)([\w.]+):"?(.*?)"?$/.exec(one) ?? [];
    return { without: minus === "-", field: field ?? "", value };
  });
  const found = all.filter((one) => {
    const at = Date.parse(one.time) / 1000;
    return at >= from && at < to && words.every((word) => one.message.toLowerCase().includes(word)) && fields.every((f) => (fieldOf(one, f.field) === f.value) !== f.without);
  });
  const step_s = Math.max(10, Math.ceil((to - from) / 120 / 10) * 10);
  const start = Math.floor(from / step_s) * step_s;
  const counts = Array.from({ length: Math.ceil((to - start) / step_s) }, () => 0);
  for (const one of found) counts[Math.floor((Date.parse(one.time) / 1000 - start) / step_s)]! += 1;
  const skip = Number(cursor ?? 0);
  return {
    total: found.length,
    took_ms: source === "errors" ? 3.4 : 43.2,
    source: { name: source, engine: source === "errors" ? "index" : "clickhouse", text_index: source !== "traces" },
    hits: found.slice(skip, skip + limit).map((one) => ({ ...one, highlights: words.length ? [{ field: "message", parts: parts(one.message, words) }] : [] })),
    facets: facets.map((field) => {
      const values = new Map<string, number>();
      for (const one of found) values.set(fieldOf(one, field), (values.get(fieldOf(one, field)) ?? 0) + 1);
      const meaning = (value: string) => (field === "pattern_id" ? { meaning: TEMPLATES[Object.keys(TEMPLATES).find((type) => patternOf(type) === value) ?? ""] } : {});
      return { field, values: [...values].map(([value, count]) => ({ value, count, ...meaning(value) })).sort((a, b) => b.count - a.count), other: 0 };
    }),
    histogram: { from: start, step_s, counts },
    next: skip + limit < found.length ? String(skip + limit) : null,
  };
}

function parts(text: string, words: string[]): { text: string; match: boolean }[] {
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "gi");
  return text.split(pattern).filter(Boolean).map((piece) => ({ text: piece, match: words.includes(piece.toLowerCase()) }));
}

export function inferences(story: ModelStory, limit: number, cursor: string | null, version: string | null, request_id: string | null, now: number): InferencesResponse {
  const skip = Number(cursor ?? 0);
  if (story.level === 0 || (version !== null && version !== story.live)) return { total: 0, items: [], next: null };
  if (request_id !== null) {
    const [one] = inferences(story, 1, null, null, null, now).items;
    return { total: 1, items: one ? [{ ...one, request_id }] : [], next: null };
  }
  return {
    total: 171_204,
    items: Array.from({ length: limit }, (_, i) => {
      const n = skip + i;
      return {
        request_id: `req-${story.seed}-${900_000 - n}`, time: iso(now - n * 0.7), version: story.live, environment: story.environment, service: `${story.name}-api`,
        segment: "", arm: "", prediction_label: n % 3 ? "1" : "0", prediction_score: 0.5 + noise(n, 1) / 2, prediction_value: null,
        latency_ms: 20 + noise(n, 2) * 60, error_type: n % 41 === 0 ? "ValueError" : null, trace_id: "00000000000000000000000000000abc", span_id: null, session_id: null,
        features: Object.fromEntries(FEATURES.map((name, f) => [name, f % 5 === 0 ? `v${f}` : Math.round(noise(n, f) * 100)])),
        outcomes: n > 12 ? [{ kind: "label" as const, value: n % 4 ? "1" : "0", at: iso(now - n) }] : [],
      };
    }),
    next: skip + limit < 500 ? String(skip + limit) : null,
  };
}
