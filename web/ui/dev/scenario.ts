/** The models, what happened to them and when: one story told by all recorded answers. Times are before `now`. */

import type { Action, Alert, HealthReason, Metric, ModelRow, ReplaySummary, Status, Threshold, Verdict, VersionRow } from "../src/api/types.ts";
import { iso, noise, rate, spark } from "./series.ts";

export interface ModelStory {
  name: string;
  environment: string;
  seed: number;
  level: number;
  state: ModelRow["health"]["state"];
  live: string;
}

/** Names as hostile as senders may choose them. */
export const HOSTILE = [
  `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`,
  "\u202eמודל עברי \u200eعربي\u202c نموذج",
  `${"long-".repeat(199)}name!`,
];

export const MODELS: ModelStory[] = [
  { name: "employment", environment: "production", seed: 1, level: 48, state: "critical", live: "1.1" },
  { name: "fraud-score", environment: "production", seed: 3, level: 210, state: "warning", live: "2026.11.2" },
  { name: "churn", environment: "production", seed: 4, level: 12, state: "ok", live: "7" },
  { name: "support-intents", environment: "staging", seed: 6, level: 3.4, state: "ok", live: "0.9.1" },
  { name: "embedder", environment: "", seed: 8, level: 0, state: "unknown", live: "2" },
  ...HOSTILE.map((name, i): ModelStory => ({ name, environment: "staging", seed: 20 + i, level: 1, state: "ok", live: name.slice(0, 300) })),
];

const RULES: Record<string, Threshold> = {
  error_ratio: { side: "above", value: 0.02, severity: "critical", rule: "error-ratio-above-2-percent" },
  latency_p95_ms: { side: "above", value: 500, severity: "warning", rule: "latency-p95-above-budget" },
  feature_shift: { side: "above", value: 0.03, severity: "warning", rule: "feature-shift-above-3-percent" },
  f1: { side: "below", value: 0.75, severity: "critical", rule: "f1-below-floor" },
  missing_ratio: { side: "above", value: 0.1, severity: "critical", rule: "missing-above-10-percent" },
};
export const THRESHOLDS = RULES;

export const RELEASED_11_S = 5_400;
const FIRED_S = 5_100;

/** The value of a signal of a model at an instant. */
export function signalAt(story: ModelStory, signal: string, at: number, now: number): number | null {
  const requests = rate(story.seed, at, now, story.level);
  if (requests === null || story.level === 0) return null;
  const wave = noise(story.seed + signal.length, at / 300);
  const hurt = story.state === "critical" && now - at < RELEASED_11_S;
  switch (signal) {
    case "request_rate":
      return requests;
    case "error_ratio":
      return 0.002 + 0.004 * wave + (hurt ? 0.006 : 0);
    case "latency_p50_ms":
      return 22 + 6 * wave;
    case "latency_p95_ms":
      return (story.state === "warning" ? 360 : 74) + 60 * wave;
    case "latency_p99_ms":
      return (story.state === "warning" ? 470 : 130) + 160 * wave;
    case "feature_shift":
      return (story.state === "warning" || hurt ? 0.034 : 0.011) + 0.008 * wave;
    case "f1":
      return (hurt ? 0.59 : 0.835) + 0.012 * wave;
    default:
      return null;
  }
}

/** As the API answers what nothing computes yet. */
const NOT_COMPUTED: Metric = {
  signal: "estimated_f1", value: null, unknown: "not_computed", lower: null, upper: null, n: 0, reference_n: 0, at: null, window_s: 0, subject: "",
  provisional: false, threshold: null, spark: null,
};

export function metric(story: ModelStory, signal: string, now: number, withSpark: boolean): Metric {
  const windowed = ["feature_shift", "f1"].includes(signal);
  if (signal === "estimated_f1") return { ...NOT_COMPUTED };
  const value = signal === "silence_s" ? (story.level === 0 ? 9_400 : 1) : signalAt(story, signal, now - 30, now);
  const known = value !== null && !(story.name === "churn" && signal === "f1");
  const bounded = windowed && known;
  return {
    signal,
    value: known ? value : null,
    unknown: known ? null : signal === "f1" ? "no_labels" : "no_data",
    lower: bounded ? (value as number) * 0.93 : null,
    upper: bounded ? Math.min((value as number) * 1.06, 1) : null,
    n: known ? Math.round(story.level * (windowed ? 3_600 : 60)) : 0,
    reference_n: signal === "feature_shift" && known ? 68_785 : 0,
    at: known ? iso(Math.floor(now / 60) * 60) : null,
    window_s: windowed ? 3_600 : 60,
    subject: signal === "feature_shift" && known ? (story.seed >= 20 ? story.name : "ANC") : "",
    provisional: signal === "f1" && story.name === "fraud-score",
    threshold: RULES[signal] ?? null,
    spark: withSpark ? spark(now, (at) => (known ? signalAt(story, signal, at, now) : null)) : null,
  };
}

function reasons(story: ModelStory, now: number): HealthReason[] {
  const reason = (code: HealthReason["code"], severity: HealthReason["severity"], signal: string, value: number | null, ago: number): HealthReason => ({
    code,
    severity,
    since: iso(now - ago),
    alert_id: code === "alert" ? `alr_${signal}` : "alr_pending",
    rule: RULES[signal]?.rule ?? signal,
    signal,
    subject: signal === "feature_shift" ? "ANC" : "",
    version: story.live,
    value,
    bound: value,
    side: RULES[signal]?.side ?? "above",
    threshold: RULES[signal]?.value ?? 0,
  });
  if (story.state === "critical") {
    return [
      reason("alert", "critical", "gate_failed", 1, FIRED_S),
      reason("alert", "critical", "f1", 0.597, FIRED_S - 900),
      reason("alert", "warning", "feature_shift", 0.043, 86_400 * 1.2),
    ];
  }
  if (story.state === "warning") return [reason("alert", "warning", "latency_p95_ms", 538, 700), reason("pending_alert", "warning", "feature_shift", 0.034, 300)];
  return [];
}

export function replay(story: ModelStory, version: string, now: number): ReplaySummary | null {
  if (story.name !== "employment") return null;
  if (version === "0.9") {
    return {
      id: "rpl_0.9", version, state: "skipped", reason: "no artifact was announced for 0.9: a runner has nothing to load", at: iso(now - 86_400 * 30), examples: 0,
      f1: null, accuracy: null, latency_p95_ms: null, verdict: null,
    };
  }
  const bad = version === "1.1";
  return {
    id: `rpl_${version}`,
    version,
    state: "done",
    reason: null,
    at: iso(now - FIRED_S),
    examples: 100,
    f1: bad ? 0.553 : 0.842,
    accuracy: bad ? 0.61 : 0.83,
    latency_p95_ms: 1.2,
    verdict: bad ? "fail" : "pass",
  };
}

export function row(story: ModelStory, now: number, withSpark: boolean): ModelRow {
  const m = (signal: string) => metric(story, signal, now, withSpark);
  return {
    name: story.name,
    environment: story.environment,
    live: {
      version: story.live,
      since: iso(now - (story.name === "employment" ? RELEASED_11_S : 86_400 * 9)),
      known_by: story.level === 0 ? "last_seen" : "traffic",
      share: story.level === 0 ? null : story.name === "fraud-score" ? 0.9 : 1,
    },
    health: { state: story.state, since: iso(now - FIRED_S), reasons: reasons(story, now) },
    inferences: Math.round(277_677 * (story.level / 48 || 0.02)),
    last_seen_at: iso(now - (story.level === 0 ? 9_400 : 1)),
    metrics: {
      request_rate: m("request_rate"),
      error_ratio: m("error_ratio"),
      latency_p95_ms: m("latency_p95_ms"),
      feature_shift: m("feature_shift"),
      f1: m("f1"),
      estimated_f1: m("estimated_f1"),
      silence_s: m("silence_s"),
    },
    last_replay: replay(story, story.live, now),
    open_actions: actions(now).filter((a) => a.model === story.name && ["asked", "requested", "accepted"].includes(a.state)),
  };
}

const VERDICT_REASONS = [
  "f1 0.553 (at most 0.648) is below the floor of 0.75",
  "f1 fell by 34.3 % against 1.0; McNemar's exact one-sided test gives p = 1.2e-06",
];

export function verdict(version: string, now: number): Verdict {
  const fail = version === "1.1";
  return {
    id: `ver_${version}`,
    version,
    baseline_version: version === "1.0" ? null : "1.0",
    verdict: fail ? "fail" : "pass",
    reasons: fail ? VERDICT_REASONS : ["f1 0.842 at or above the floor of 0.75", "this set could have missed a fall of 8 %"],
    flips: fail
      ? Array.from({ length: 34 }, (_, i) => ({
          example: `row-${1000 + i * 37}`,
          expected: i % 3 ? "1" : "0",
          baseline: i % 3 ? "1" : "0",
          candidate: i % 3 ? "0" : "1",
          became: i > 30 ? "right" : "wrong",
        }))
      : [],
    at: iso(now - FIRED_S),
  };
}

export function versions(story: ModelStory, now: number): VersionRow[] {
  const make = (version: string, state: VersionRow["state"], age: number, over: Partial<VersionRow> = {}): VersionRow => ({
    version,
    environment: story.environment,
    state,
    share: state === "live" ? 1 : null,
    first_seen_at: iso(now - age),
    last_seen_at: iso(now - (state === "live" ? 1 : RELEASED_11_S)),
    deployed_at: iso(now - age),
    inferences: 12_031,
    baseline_version: null,
    commit: null,
    artifact: null,
    data_version: null,
    retrain_id: null,
    watch_until: iso(now + 86_400 * 2 - age),
    replay: replay(story, version, now),
    verdict: story.name === "employment" ? verdict(version, now) : null,
    f1: null,
    rollback: { allowed: false, refusal: "not_configured", ungated: false, cooling_down_until: null },
    ...over,
  });
  if (story.name !== "employment") return [make(story.live, "live", 86_400 * 9)];
  return [
    make("1.1", "live", RELEASED_11_S, {
      baseline_version: "1.0",
      commit: "5be10a7",
      data_version: "2018-recent",
      retrain_id: "rtr_0199",
      f1: metric(story, "f1", now, false),
      rollback: { allowed: false, refusal: "is_live", ungated: false, cooling_down_until: null },
    }),
    make("1.0", "retired", 86_400 * 4, {
      inferences: 277_677,
      commit: "9c1f3d2",
      artifact: "s3://models/employment/1.0/model.safetensors",
      f1: { ...metric(story, "f1", now, false), value: 0.837, lower: 0.831, upper: 0.842 },
      rollback: { allowed: true, refusal: null, ungated: false, cooling_down_until: null },
    }),
    make("0.9", "retired", 86_400 * 30, {
      inferences: 1_204,
      verdict: null,
      rollback: { allowed: true, refusal: null, ungated: true, cooling_down_until: null },
    }),
  ];
}

/** Rollbacks that were asked for on a page while the recorded API runs. */
export const asked: Action[] = [];

export function actions(now: number): Action[] {
  const retrain: Action = {
    id: "act_retrain",
    kind: "retrain",
    model: "employment",
    environment: "production",
    from_version: "1.0",
    to_version: "1.1",
    retrain_id: "rtr_0199",
    state: "done",
    because: ["feature_shift ANC 0.043 (0.037–0.049) above 0.03"],
    rule: "feature-shift-above-3-percent",
    alert_id: "alr_feature_shift",
    requested_by: "rule",
    requested_at: iso(now - 9_000),
    accepted_at: iso(now - 8_999),
    finished_at: iso(now - RELEASED_11_S),
    deadline: iso(now + 9_000),
    events: [
      { at: iso(now - 9_000), state: "requested", note: "" },
      { at: iso(now - 8_999), state: "accepted", note: "the trainer answered 202" },
      { at: iso(now - RELEASED_11_S), state: "done", note: "release 1.1 names rtr_0199" },
    ],
    deliveries: [
      {
        id: "msg_1",
        channel: "webhook",
        route: "retrain",
        destination: "trainer.internal",
        state: "delivered",
        attempts: 2,
        last_status: 202,
        last_error: null,
        created_at: iso(now - 9_000),
        delivered_at: iso(now - 8_999),
      },
    ],
  };
  return [...asked.map((action) => progressed(action, now)), retrain];
}

/** Accepted after 3 s, confirmed after 12 s. */
function progressed(action: Action, now: number): Action {
  const age = now - Date.parse(action.requested_at) / 1000;
  const start = Date.parse(action.requested_at) / 1000;
  const events: Action["events"] = [{ at: action.requested_at, state: "requested", note: "" }];
  if (age > 3) events.push({ at: iso(start + 3), state: "accepted", note: "the deployer answered 200" });
  if (age > 12) events.push({ at: iso(start + 12), state: "confirmed", note: "212 of 212 inferences of 17 s are 1.0's" });
  return {
    ...action,
    events,
    state: events.at(-1)?.state ?? "requested",
    accepted_at: age > 3 ? iso(start + 3) : null,
    finished_at: age > 12 ? iso(start + 12) : null,
  };
}

export function alerts(now: number): Alert[] {
  const make = (signal: string, over: Partial<Alert>): Alert => ({
    id: `alr_${signal}`,
    rule: RULES[signal]?.rule ?? "gate-failed",
    severity: "critical",
    state: "firing",
    model: "employment",
    version: "1.1",
    environment: "production",
    segment: "",
    signal,
    subject: "",
    value: 1,
    lower: null,
    upper: null,
    side: RULES[signal]?.side ?? "above",
    threshold: RULES[signal]?.value ?? 0,
    window_s: 3_600,
    since: iso(now - FIRED_S),
    firing_since: iso(now - FIRED_S),
    resolved_at: null,
    because: ["gate_failed 1 above 0", "carried by plan = free: 82 % of it on 6.1 % of the traffic"],
    why: "The new version is surely worse than the one before it on the control examples.",
    query: null,
    silenced_until: null,
    transitions: [{ at: iso(now - FIRED_S), from: "inactive", to: "firing", value: 1, reason: "the bound is above the threshold" }],
    deliveries: [
      {
        id: `msg_${signal}`,
        channel: "email",
        route: "oncall",
        destination: "oncall@example.org",
        state: "delivered",
        attempts: 1,
        last_status: 250,
        last_error: null,
        created_at: iso(now - FIRED_S),
        delivered_at: iso(now - FIRED_S + 1),
      },
      {
        id: `msg_hook_${signal}`,
        channel: "webhook",
        route: "oncall",
        destination: "hooks.example.org",
        state: "pending",
        attempts: 3,
        last_status: 503,
        last_error: "503 Service Unavailable, tried again in 40 s",
        created_at: iso(now - FIRED_S),
        delivered_at: null,
      },
    ],
    actions: actions(now).filter((action) => action.alert_id === `alr_${signal}`),
    ...over,
  });
  return [
    make("gate_failed", { window_s: null }),
    make("f1", { value: 0.597, lower: 0.581, upper: 0.612, since: iso(now - FIRED_S + 900), firing_since: iso(now - FIRED_S + 900), why: "Quality on labels fell below the model's floor." }),
    make("matching_errors", {
      rule: "feature-store-timeouts", model: "", version: "", subject: "feature-store-timeouts", query: "error_type:TimeoutError", value: 14, threshold: 10, window_s: 300,
      since: iso(now - 1_500), firing_since: iso(now - 1_500), why: "More than 10 errors within 5 minutes match error_type:TimeoutError.",
      transitions: [{ at: iso(now - 1_500), from: "inactive", to: "firing", value: 14, reason: "" }],
    }),
    make("latency_p95_ms", { model: "fraud-score", version: "2026.11.2", severity: "warning", value: 538, window_s: 60, since: iso(now - 700), firing_since: iso(now - 700), why: "Answers are slower than the budget." }),
    make("feature_shift", {
      severity: "warning",
      subject: "ANC",
      value: 0.043,
      lower: 0.037,
      upper: 0.049,
      window_s: 86_400,
      since: iso(now - 86_400 * 1.2),
      firing_since: iso(now - 86_400 * 1.2),
      why: "More than 3 % of the traffic moved since the reference: retrain on recent data.",
    }),
    {
      ...make("feature_shift", {}), id: "alr_pending", state: "pending", model: "fraud-score", version: "2026.11.2", severity: "warning", subject: "ANC", value: 0.034,
      window_s: 86_400, since: iso(now - 300), firing_since: null, deliveries: [], actions: [], why: "More than 3 % of the traffic moved since the reference.",
      transitions: [{ at: iso(now - 300), from: "inactive", to: "pending", value: 0.034, reason: "" }],
    },
    make("error_ratio", {
      state: "resolved",
      value: 0.004,
      window_s: 60,
      since: iso(now - 40_000),
      firing_since: iso(now - 43_000),
      resolved_at: iso(now - 40_000),
      why: "More than 2 % of the inferences fail.",
      transitions: [
        { at: iso(now - 43_000), from: "inactive", to: "firing", value: 0.031, reason: "" },
        { at: iso(now - 40_000), from: "firing", to: "resolved", value: 0.004, reason: "" },
      ],
      deliveries: [],
    }),
  ];
}

export function status(now: number): Status {
  return {
    at: iso(now),
    version: "0.1.0",
    started_at: iso(now - 86_400 * 3),
    state: "warning",
    problems: [{ state: "warning", code: "records_refused", value: 12, message: null }],
    log: { bytes: 48_300_000, max_bytes: 20 * 2 ** 30, full: false, poisoned: false, bad_frames: 0 },
    drain: { lag_s: 0.4, backlog_bytes: 18_200, set_aside: 0 },
    engine: { kind: "embedded", state: "up", since: iso(now - 86_400 * 3), restarts: 0, message: null },
    index: { lag_s: 0.2, documents: 4_211, bytes: 3_481_600 },
    collector: { requests: 91_202, records: 1_204_331, refused: [], refused_records: [], cut: [{ reason: "attribute_too_long", count: 12 }], encryption: "none" },
    listen: { web: "127.0.0.1:8080", otlp_grpc: "127.0.0.1:4317", otlp_http: "127.0.0.1:4318" },
  };
}
