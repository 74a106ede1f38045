/**
 * Every JSON shape that the pages read from the HTTP API, in the order in which the pages meet them.
 *
 * Conventions
 * - `Instant` is RFC 3339 in UTC ("2026-10-05T14:02:03.123Z"); columns of charts use Unix seconds.
 * - Names end in their unit. Shares and ratios run from 0 to 1.
 * - A value that is not known is `null`, and a reason stands beside it; it is never 0 and never absent.
 *   Optional (`?`) are only fields of requests.
 * - Texts that people read are composed in the pages from codes and numbers, so that they can be translated;
 *   free text from the server (`why` of a rule, an error's message) is shown as it came, never as HTML.
 * - Errors are RFC 9457 `application/problem+json`: `Problem`.
 * - `environment` is "" where senders state none. Query `environment=` left out means: all.
 */

export type Instant = string;
export type UnixSeconds = number;

export interface Counted {
  reason: string;
  count: number;
}

/** Every answer with a status of 400 or above. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  /** What the caller can do about it. */
  detail: string | null;
}

// ── Session: GET, POST, DELETE /api/v1/session ────────────────────────────────────────────────────────────

export type Scope = "ingest" | "read" | "operate" | "admin";

/** GET /api/v1/session never answers 401. POST takes {key} and answers the same, or a 401 problem. */
export interface Session {
  /** False where no keys exist and Driftlead listens on loopback: everything is allowed. */
  required: boolean;
  signed_in: boolean;
  scopes: Scope[];
  /** The key's label. */
  label: string | null;
  /** To be sent as `X-CSRF-Token` with POST, PUT and DELETE. */
  csrf: string | null;
}

// ── Status of Driftlead itself: GET /api/v1/status, and inside every live tick ────────────────────────────

export type HealthState = "ok" | "warning" | "critical" | "unknown";

export interface Status {
  at: Instant;
  /** Driftlead's version, such as "0.1.0". */
  version: string;
  started_at: Instant;
  /** The worst of the problems. */
  state: Exclude<HealthState, "unknown">;
  /** What is not well, most severe first; [] when all is well. */
  problems: StatusProblem[];
  log: { bytes: number; max_bytes: number; full: boolean; poisoned: boolean; bad_frames: number };
  /** `lag_s` is the age of the oldest record that is not drained, 0 when there is none. */
  drain: { lag_s: number; backlog_bytes: number; set_aside: number };
  engine: {
    kind: "embedded" | "server";
    state: "starting" | "up" | "down";
    since: Instant;
    restarts: number;
    /** The last error in words, while it is down. */
    message: string | null;
  };
  index: { lag_s: number; documents: number; bytes: number };
  /** Since the start, by reason, [] when there was nothing: requests refused, records refused, values cut from records that were kept. */
  collector: { requests: number; records: number; refused: Counted[]; refused_records: Counted[]; cut: Counted[]; encryption: Encryption };
  /** Where senders send to, for the first steps shown on an empty page; e.g. "127.0.0.1:4317". */
  listen: { web: string; otlp_grpc: string; otlp_http: string };
}

export interface StatusProblem {
  state: "warning" | "critical";
  code:
    | "log_full" | "log_poisoned" | "log_bad_frames"
    | "drain_lag" | "records_set_aside"
    | "engine_starting" | "engine_down" | "engine_restarted"
    | "index_lag" | "records_refused" | "rules_invalid";
  /** Bytes, seconds or a count, as the code has it. */
  value: number | null;
  message: string | null;
}

// ── Live: GET /api/v1/live (server-sent events) ───────────────────────────────────────────────────────────

/**
 * Event `tick`, at once on connection and then at least every 5 s (it is the heart beat too). The pages read
 * again what `changed` names; it may name too much, never too little.
 */
export interface LiveTick {
  at: Instant;
  status: Status;
  changed: Topic[];
}
/** `model:<name>` covers the model's head, charts, drift, versions and time line. */
export type Topic = "models" | "alerts" | "actions" | "errors" | `model:${string}`;

// ── Numbers with what makes them judgeable ────────────────────────────────────────────────────────────────

/** Why a value is `null`. */
export type Unknown =
  | "no_data" // nothing came in the window
  | "insufficient" // fewer records than the signal's minimum
  | "no_labels" // the truth has not come
  | "switched_off" // labels contradicted the estimate
  | "no_reference" // nothing to compare with
  | "reference_waiting" // the reference is not profiled yet
  | "not_computed"; // not yet, or not for this window

export interface Threshold {
  /** Which side is bad. */
  side: "above" | "below";
  value: number;
  severity: "info" | "warning" | "critical";
  rule: string;
}

/** One signal's latest value. */
export interface Metric {
  signal: string;
  value: number | null;
  unknown: Unknown | null;
  lower: number | null;
  upper: number | null;
  /** Records behind it. */
  n: number;
  reference_n: number;
  /** Exclusive end of the window, `null` where there was none. */
  at: Instant | null;
  window_s: number;
  /** The feature that it is about, or "". */
  subject: string;
  /** More labels or late records are expected. */
  provisional: boolean;
  /** The strictest enabled rule on this signal for this model. */
  threshold: Threshold | null;
  /** The last 24 h; `null` where the list was asked for without (`?spark=false`). */
  spark: Spark | null;
}

/** `values[i]` belongs to [from + i·step_s, from + (i+1)·step_s); `null` is an empty step, drawn as a gap. */
export interface Spark {
  from: UnixSeconds;
  step_s: number;
  values: (number | null)[];
}

// ── Models: GET /api/v1/models?environment=&spark= ────────────────────────────────────────────────────────

export interface ModelsResponse {
  at: Instant;
  /** Worst first, then by name. One row per model and environment. */
  models: ModelRow[];
  environments: string[];
}

export interface ModelRow {
  name: string;
  environment: string;
  live: LiveVersion | null;
  health: Health;
  /** Inferences counted, all time, by request id. */
  inferences: number;
  /** Event time of the newest inference. */
  last_seen_at: Instant | null;
  metrics: ModelMetrics;
  last_replay: ReplaySummary | null;
  /** Actions that are not finished. */
  open_actions: Action[];
}

export interface ModelMetrics {
  request_rate: Metric;
  error_ratio: Metric;
  latency_p95_ms: Metric;
  /** The feature that moved most; `subject` names it. */
  feature_shift: Metric;
  f1: Metric;
  estimated_f1: Metric;
  silence_s: Metric;
}

export interface LiveVersion {
  version: string;
  since: Instant | null;
  /** By the last 20 s of traffic, by the latest `live` deployment, or merely the last one seen. */
  known_by: "traffic" | "deployment" | "last_seen";
  /** Share of the traffic of the last 20 s, where there was any. */
  share: number | null;
}

export interface Health {
  state: HealthState;
  since: Instant | null;
  /** Most severe first; [] when all is well. */
  reasons: HealthReason[];
}

export interface HealthReason {
  code: "alert" | "pending_alert" | "action_failed";
  severity: "info" | "warning" | "critical";
  since: Instant | null;
  alert_id: string | null;
  rule: string | null;
  signal: string | null;
  /** The feature; of an action its kind. */
  subject: string;
  version: string;
  value: number | null;
  /** The bound that the rule compared. */
  bound: number | null;
  side: "above" | "below" | null;
  threshold: number | null;
}

export interface ReplaySummary {
  id: string;
  version: string;
  state: "queued" | "running" | "done" | "failed" | "skipped";
  reason: string | null;
  at: Instant;
  examples: number;
  f1: number | null;
  accuracy: number | null;
  latency_p95_ms: number | null;
  verdict: "pass" | "fail" | "inconclusive" | null;
}

// ── One model: GET /api/v1/models/{model}?environment= ────────────────────────────────────────────────────

export interface ModelResponse {
  at: Instant;
  /** As in the list; without `environment` the one with the most recent traffic. */
  model: ModelRow;
  /** All environments of this model. */
  environments: string[];
  /** Those that have signals of their own. */
  segments: string[];
  settings: ModelSettings;
  /** Newest first. */
  versions: VersionRow[];
}

/** GET /api/v1/models/{model}/segments?environment=&version=: the largest first. */
export interface SegmentsResponse {
  environment: string;
  /** The day that traffic is counted in, `null` where none came. */
  from: Instant | null;
  to: Instant | null;
  segments: Segment[];
}

export interface Segment {
  segment: string;
  version: string;
  inferences: number;
  /** Of the inferences of the version. */
  share: number;
  /** By name of the signal, the latest value of each. */
  metrics: Record<string, Metric>;
}

export interface ModelSettings {
  declared: boolean;
  positive_class: string | null;
  f1_floor: number;
  latency_budget_ms: number;
  label_delay_s: number;
  runner: "candle" | "http" | null;
  rollback: "auto" | "ask" | "off" | null;
  retrain: "auto" | "ask" | "off" | null;
}

export interface VersionRow {
  version: string;
  environment: string;
  state: "live" | "candidate" | "retired" | "seen";
  /** Share of the traffic of the last 20 s, `null` without traffic. */
  share: number | null;
  first_seen_at: Instant | null;
  last_seen_at: Instant | null;
  deployed_at: Instant | null;
  inferences: number;
  baseline_version: string | null;
  commit: string | null;
  artifact: string | null;
  data_version: string | null;
  retrain_id: string | null;
  watch_until: Instant | null;
  replay: ReplaySummary | null;
  verdict: Verdict | null;
  /** Measured on labels, the latest window. */
  f1: Metric | null;
  rollback: RollbackOption;
}

/** Whether "Roll back to this version" is offered. */
export interface RollbackOption {
  allowed: boolean;
  /** Why not. */
  refusal:
    | "not_configured" | "switched_off" | "in_progress" | "cooling_down" | "already_tried" | "no_target" | "is_live"
    | "unknown_version" | "failed_gate" | "not_serving" | null;
  /** Allowed, but no gate ever judged it: the confirmation says so. */
  ungated: boolean;
  cooling_down_until: Instant | null;
}

/** GET /api/v1/models/{model}/versions/{v}/verdict answers this too. */
export interface Verdict {
  id: string;
  version: string;
  baseline_version: string | null;
  verdict: "pass" | "fail" | "inconclusive";
  reasons: string[];
  /** Examples that changed between right and wrong. */
  flips: { example: string; expected: string; baseline: string; candidate: string; became: "right" | "wrong" }[];
  at: Instant;
}

// ── Time line: GET /api/v1/models/{model}/timeline?environment=&from=&to= ─────────────────────────────────

/** Whatever overlaps [from, to), oldest first. */
export interface TimelineResponse {
  from: Instant;
  to: Instant;
  items: TimelineItem[];
}

export type TimelineItem =
  | { kind: "release"; id: string; at: Instant; version: string; event: "candidate" | "live" | "retired" | "seen";
      source: "api" | "telemetry"; baseline_version: string | null; retrain_id: string | null; watch_until: Instant }
  | { kind: "alert"; id: string; from: Instant; to: Instant | null; rule: string; signal: string; subject: string;
      version: string; severity: "info" | "warning" | "critical"; value: number | null; threshold: number | null;
      side: "above" | "below" | null }
  | { kind: "action"; id: string; from: Instant; to: Instant | null; action: ActionKind; state: ActionState;
      from_version: string | null; to_version: string | null }
  | { kind: "verdict"; id: string; at: Instant; version: string; verdict: "pass" | "fail" | "inconclusive" };

/** GET /api/v1/deployments?model=&environment=&from=&to=: marks on the histogram of Errors too. */
export interface DeploymentsResponse {
  deployments: Deployment[];
}
export interface Deployment {
  id: string;
  model: string;
  version: string;
  environment: string;
  event: "candidate" | "live" | "retired" | "seen";
  source: "api" | "telemetry";
  at: Instant;
  baseline_version: string | null;
  retrain_id: string | null;
  commit: string | null;
  artifact: string | null;
  data_version: string | null;
}

// ── Charts: GET /api/v1/models/{model}/charts?environment=&version=&from=&to=&points=&window=1h|1d ─────────
// `window` left out: hours in a range of up to two days, days in a longer one, and whichever of the two has values.

/**
 * The four charts in columns, ready to draw. Service columns are grouped from 10-second buckets into `step_s`
 * (a multiple of 10, chosen so that at most `points` columns come, default 400); `time[i]` is the start of a
 * step, and every step of the range is there, empty ones with `null`.
 */
export interface ChartsResponse {
  from: Instant;
  to: Instant;
  service: {
    step_s: number;
    time: UnixSeconds[];
    /** Requests in the step; `null` where nothing came. */
    requests: (number | null)[];
    errors: (number | null)[];
    latency_p50_ms: (number | null)[];
    latency_p95_ms: (number | null)[];
    latency_p99_ms: (number | null)[];
    latency_n: (number | null)[];
    /** Who served: requests of each version. */
    versions: { version: string; requests: (number | null)[] }[];
  };
  /** `prediction_shift` of each part of the answer and `feature_shift` of the five features that moved most, per version. */
  shift: SignalColumns;
  /** `f1`, `accuracy`, `precision`, `recall` as far as they exist, per version. */
  quality: SignalColumns;
  /** Enabled rules on signals drawn here. */
  thresholds: (Threshold & { signal: string; window_s: number | null })[];
}

export interface SignalColumns {
  /** 0 where there are no lines. */
  window_s: number;
  /** Window ends, ascending; the columns below have this length. At most `points`: the last end of each step. */
  time: UnixSeconds[];
  lines: {
    signal: string;
    /** "" where senders state none. */
    version: string;
    subject: string;
    value: (number | null)[];
    lower: (number | null)[];
    upper: (number | null)[];
    n: number[];
    provisional: boolean[];
  }[];
}

// ── Quality: GET /api/v1/models/{model}/quality?environment=&version=&segment=&from=&to=&window=1h|1d ──────

/** What the labels say of one version; without `version` the one with the most labels. */
export interface QualityResponse {
  environment: string;
  version: string;
  /** "" for all traffic together. */
  segment: string;
  /** What was counted: later than what was asked for where that holds more inferences than are read at once. */
  from: Instant;
  to: Instant;
  is_shortened: boolean;
  /** The one with the most inferences first. */
  versions: { version: string; inferences: number; labelled: number }[];
  inferences: number;
  labelled: number;
  unknown: Unknown | null;
  positive_class: string | null;
  label_delay_s: number;
  /** Measures and, as `estimated_…`, what was expected of them. */
  signals: SignalColumns;
  /** Of each signal whose newest window has no value, why. */
  gaps: QualityGap[];
  confusion: ConfusionMatrix | null;
  calibration: Measured<Calibration>;
  numbers: NumberErrors | null;
}

export interface Bounded {
  value: number;
  lower: number;
  upper: number;
}

export interface QualityGap {
  signal: string;
  end: Instant;
  unknown: Unknown | null;
  reason: string | null;
  /** Of an estimate: the windows it was graded by, and those in which labels contradicted it. */
  graded: number | null;
  contradicted: number | null;
  /** Of an estimate: the last window in the range whose labels contradicted it. */
  missed: { end: Instant; expected: Bounded; measured: Bounded } | null;
}

export interface ConfusionMatrix {
  n: number;
  accuracy: Measured<Bounded>;
  classes: ClassQuality[];
  /** Rarer classes, counted together as the last row and column; 0: there is no such row. */
  other_classes: number;
  /** A row for each true class, in it a column for each predicted one. */
  counts: number[][];
}

export interface ClassQuality {
  class: string;
  /** Inferences of which it is true, and of which it was predicted. */
  n: number;
  predicted: number;
  precision: Measured<Bounded>;
  recall: Measured<Bounded>;
  f1: Measured<Bounded>;
}

export interface Calibration {
  n: number;
  ece: number;
  /** Those of ten bins (from, to] that hold any scores. */
  bins: { from: number; to: number; n: number; mean_score: number; positive_share: Bounded }[];
}

export interface NumberErrors {
  n: number;
  mae: Measured<Bounded>;
  rmse: Measured<Bounded>;
  mean_error: Measured<number>;
  r2: Measured<number>;
}

// ── Clusters: GET /api/v1/models/{model}/clusters; POST with an empty body finds them anew and answers the same ──

export interface ClustersResponse {
  model: string;
  /** What traffic is clustered by; `null` where the configuration does not switch it on. */
  of: "embeddings" | "features" | null;
  unknown?: Unknown | "no_embeddings" | null;
  reason?: string | null;
  fitted_at: Instant | null;
  /** Inferences that clusters were found in. */
  sampled: number;
  encoder: string | null;
  dimensions: number | null;
  clusters: Cluster[];
}

export interface Cluster {
  /** Kept where a cluster is found again. */
  number: number;
  /** What drift and signals call it. */
  segment: string;
  share: number;
  found_at: Instant;
  is_new: boolean;
  typical: Typical[];
  /** Request ids. */
  examples: string[];
}

/** What tells a cluster from all traffic: a value that is frequent in it, or a number that is higher or lower. */
export type Typical =
  | { feature: string; value: string; share: number; share_of_all: number }
  | { feature: string; mean: number; mean_of_all: number; standard_deviations: number };

// ── Signals: GET /api/v1/models/{model}/signals?name=&environment=&version=&segment=&window=&subjects=&from=&to= ─

export interface SignalsResponse {
  signals: SignalSeries[];
  /** How many subjects there are, where `subjects` bounds those that come. */
  all_subjects?: number;
}

export interface SignalSeries {
  name: string;
  version: string;
  environment: string;
  segment: string;
  subject: string;
  /** "1h", "1d". */
  window: string;
  points: SignalPoint[];
}

export interface SignalPoint {
  end: Instant;
  value: number | null;
  lower: number | null;
  upper: number | null;
  decision_lower: number | null;
  decision_upper: number | null;
  n: number;
  reference_n: number;
  provisional: boolean;
  state: "ok" | "insufficient";
  /** Why there is no value. */
  unknown?: Unknown;
  reason?: string;
  /** What an estimate that is switched off would have been. */
  expected?: Bounded;
}

// ── Collection: GET /api/v1/collection ────────────────────────────────────────────────────────────────────

export type Encryption = "none" | "tls" | "mutual_tls";

/** Counts are since `since`, the start of the server. */
export interface Collection {
  at: Instant;
  since: Instant;
  listen: { web: string; otlp_grpc: string; otlp_http: string };
  encryption: Encryption;
  requests: { accepted: number; repeated: number; redacted: number; bytes: number; connections: number; bytes_in_flight: number };
  refused: Counted[];
  refused_records: Counted[];
  cut: Counted[];
  /** The last that sent first. */
  services: CollectedService[];
  log: { bytes: number; max_bytes: number; backlog_bytes: number; full: boolean; bad_frames: number; torn_bytes: number };
  drain: { lag_s: number; set_aside: number; quarantined: number; partial_inferences: number; last_error: string | null };
}

export interface CollectedService {
  /** "" where senders state none; "other" for those beyond the number that is told apart. */
  name: string;
  last_seen: Instant;
  logs: number;
  traces: number;
  metrics: number;
  /** Over the last minute. */
  records_per_second: number;
  refused: Counted[];
  cut: Counted[];
}

// ── Drift per feature: GET /api/v1/models/{model}/drift?environment=&version=&reference=&from=&to= ────────

export interface DriftResponse {
  model: string;
  /** Without `environment` the one with the most traffic in the window. */
  environment: string;
  /** Without from/to: the latest whole window of an hour or a day that has enough records. */
  from: Instant;
  to: Instant;
  version: string;
  reference: ReferenceInfo | null;
  /** Why there is nothing to show. */
  unknown: "no_data" | "no_reference" | "reference_waiting" | null;
  /** The same in the server's words. */
  reason: string | null;
  n: number;
  reference_n: number;
  /** Of the rule on feature_shift. */
  threshold: number | null;
  /** Most shifted first; the prediction is one of them. */
  features: FeatureDrift[];
}

export interface ReferenceInfo {
  name: string;
  kind: "pinned" | "uploaded" | "previous_version" | "trailing";
  version: string | null;
  from: Instant | null;
  to: Instant | null;
  rows: number;
  /** Which hours or days of the stretch it is made of; `null`: all. */
  matching: "hour_of_week" | "hour_of_day" | "day_of_week" | null;
}

export interface FeatureDrift {
  feature: string;
  role: "feature" | "prediction";
  kind: "numeric" | "categorical";
  shift: { value: number | null; lower: number | null; upper: number | null; decision_lower: number | null };
  /** Why the value is not known, or with a value, why nothing may be decided by it. */
  unknown: Unknown | null;
  /** The same in the server's words. */
  reason: string | null;
  p_adjusted: number | null;
  n: number;
  reference_n: number;
  /** decision_lower above the rule's threshold; `null` where it cannot be said. */
  drifted: boolean | null;
  bins: Bin[];
  statistics: Statistics;
}

// ── Embeddings: GET /api/v1/models/{model}/drift/embeddings?environment=&version=&segment=&from=&to= ────────

export interface EmbeddingsResponse {
  model: string;
  environment: string;
  /** The window that drift is of, too. */
  from: Instant;
  to: Instant;
  version: string;
  segment: string;
  reference: ReferenceInfo | null;
  /** Why there is nothing, or nothing to compare with. */
  unknown?: Unknown | "no_embeddings" | null;
  /** The same in the server's words. */
  reason?: string | null;
  /** What the embeddings were made by, and their length. */
  encoder?: string | null;
  dimensions?: number | null;
  /** Share of the variance that each of the two axes shows. */
  explained_variance: number[];
  reference_n: number;
  n: number;
  /** A sample of both sides: the first two principal components. */
  points: EmbeddingPoint[];
}

export interface EmbeddingPoint {
  side: "reference" | "window";
  x: number;
  y: number;
  request_id: string;
  event_time: Instant;
  /** `null` where none is known. */
  label: string | null;
  segment: string;
}

// ── Why it moved: GET /api/v1/models/{model}/drift/explanation?feature=&environment=&version=&segment=&from=&to= ──

export interface ExplanationResponse {
  from: Instant;
  to: Instant;
  /** Why there is nothing to say. */
  unknown?: Unknown;
  reason?: string;
  /** Inferences that were looked at one by one, or why there are none. */
  sampled: { reference_n: number; n: number; reason: string | null };
  importance: {
    source: "deployment" | "domain_classifier" | null;
    reason: string | null;
    domain_auc: { value: number; lower: number; upper: number } | null;
  };
  /** By shift times importance, most first. */
  features: { feature: string; role: "feature" | "prediction"; importance: number | null; score: number | null }[];
  /** The feature that was asked for. */
  explained: {
    feature: string;
    slices: { tried: number; reason: string | null; found: Slice[] };
    effect: { value: number | null; lower: number | null; upper: number | null; reason: string | null };
  } | null;
}

// ── Past alerts: GET /api/v1/models/{model}/drift/alerts?environment=&from=&to= ──

export interface DriftAlertsResponse {
  /** What is borne, of all models. */
  false_alerts_per_month: number;
  borne_out: number;
  not_borne_out: number;
  /** Labels have not come, or there is nothing to compare with. */
  undecided: number;
  not_borne_out_per_month: number;
  /** By the quality that shifts cost, most first. */
  features: { feature: string; alerts: number; borne_out: number; not_borne_out: number; proven_loss: number }[];
  /** The newest first. */
  alerts: { alert: string; subject: string; at: Instant; verdict: "borne_out" | "not_borne_out" | "awaiting_labels" | "unknown" }[];
}

/** A part of the traffic that carries more of what grew than its share. */
export interface Slice {
  conditions: (Pick<Bin, "from" | "to" | "value" | "special"> & { feature: string })[];
  reference_share: number;
  current_share: number;
  /** Share of the values that grew within it. */
  reference_grown: number;
  current_grown: number;
  carried: number;
  carried_lower: number;
  carried_upper: number;
}

/** A statistic, or why it has no value. */
export type Measured<T> = T | { undefined: string };
export type Tested = { statistic: number; p: number };

/** What libraries measure; the last three of numbers only. */
export interface Statistics {
  psi: Measured<number>;
  js: Measured<number>;
  hellinger: Measured<number>;
  total_variation: Measured<number>;
  l_infinity: Measured<number>;
  chi2: Measured<Tested>;
  ks?: Measured<Tested>;
  wasserstein?: Measured<number>;
  wasserstein_normed?: Measured<number>;
}

/** Counts, not shares: the pages divide by `reference_n` and `n`. Numeric bins in ascending order. */
export interface Bin {
  /** Numeric range [from, to); `null` on an open side, both `null` for values and special bins. */
  from: number | null;
  to: number | null;
  /** A category or a single numeric value as text. */
  value: string | null;
  special: "absent" | "nan" | "positive_infinity" | "negative_infinity" | "other" | null;
  reference: number;
  current: number;
}

// ── Actions: GET /api/v1/actions?model=&environment=&from=&to=&limit= ──────────────────────────────────────
// POST /api/v1/models/{model}/rollback {to?, reason, environment?} and …/retrain {reason, environment?} → 202 ActionResponse
// POST /api/v1/actions/{id}/approve and …/dismiss {reason?} → ActionResponse (of an action that is `asked`)

export type ActionKind = "rollback" | "retrain";
export type ActionState =
  | "asked" | "requested" | "accepted" | "confirmed" | "unobserved" | "overdue" | "failed" | "done" | "undone" | "dismissed";

/** Newest first. */
export interface ActionsResponse {
  actions: Action[];
}
export interface ActionResponse {
  action: Action;
}

export interface Action {
  id: string;
  kind: ActionKind;
  model: string;
  environment: string;
  from_version: string | null;
  to_version: string | null;
  retrain_id: string | null;
  state: ActionState;
  /** What led to it, in words, as the webhook has it. */
  because: string[];
  rule: string | null;
  alert_id: string | null;
  /** "rule", or the label of the key that asked. */
  requested_by: string;
  requested_at: Instant;
  accepted_at: Instant | null;
  finished_at: Instant | null;
  deadline: Instant;
  /** Oldest first. */
  events: { at: Instant; state: ActionState; note: string }[];
  deliveries: Delivery[];
}

/** One message of the outbox. */
export interface Delivery {
  id: string;
  channel: "webhook" | "email";
  route: string;
  /** Host or mail address: never a whole URL, which may hold a secret. */
  destination: string;
  state: "pending" | "delivered" | "dead";
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  created_at: Instant;
  delivered_at: Instant | null;
}

// ── Alerts: GET /api/v1/alerts?model=&environment=&state=firing,pending,resolved&from=&to=&limit= ─────────

/** Firing first, most severe first, then newest. */
export interface AlertsResponse {
  alerts: Alert[];
}

export interface Alert {
  id: string;
  rule: string;
  severity: "info" | "warning" | "critical";
  state: "pending" | "firing" | "resolved";
  model: string;
  version: string;
  environment: string;
  segment: string;
  signal: string;
  subject: string;
  value: number | null;
  lower: number | null;
  upper: number | null;
  side: "above" | "below" | null;
  threshold: number | null;
  window_s: number | null;
  /** Start of the present state. */
  since: Instant;
  firing_since: Instant | null;
  resolved_at: Instant | null;
  /** The rule's own words. */
  why: string;
  /** What led to it; the first is the comparison. */
  because: string[];
  /** The search that a rule on errors counts; `null` for other signals. */
  query: string | null;
  silenced_until: Instant | null;
  transitions: { at: Instant; from: string; to: string; value: number | null; reason: string }[];
  deliveries: Delivery[];
  actions: Action[];
}

// ── Inferences: GET /api/v1/models/{model}/inferences?from=&to=&version=&limit=&cursor=&environment= ──────

export interface InferencesResponse {
  /** Exact. */
  total: number;
  items: Inference[];
  next: string | null;
}

export interface Inference {
  request_id: string;
  time: Instant;
  version: string;
  environment: string;
  service: string;
  segment: string;
  arm: string;
  prediction_label: string | null;
  prediction_score: number | null;
  prediction_value: number | null;
  latency_ms: number | null;
  error_type: string | null;
  trace_id: string | null;
  span_id: string | null;
  /** The conversation that it is part of. */
  session_id: string | null;
  features: Record<string, number | string | null>;
  outcomes: { kind: "label" | "verdict" | "conversion"; value: string | number | boolean | null; at: Instant }[];
}

// ── POST /api/v1/models/{model}/control/examples {request_id, label}

export interface ControlExampleResponse {
  set: string;
  /** How many there are in it now. */
  examples: number;
  warnings: string[];
}

// ── Search: GET /api/v1/search?source=&q=&from=&to=&limit=&cursor=  and one: GET /api/v1/search/hits/{id}?source= → SearchHit

/** What is searched; `source` left out means errors. */
export type SearchSource = "errors" | "logs" | "traces";

export interface SearchResponse {
  total: number;
  took_ms: number;
  /** Where the answer came from. Without a text index every record is read for its words. */
  source: { name: SearchSource; engine: "index" | "clickhouse"; text_index: boolean };
  /** Newest first. */
  hits: SearchHit[];
  /**
   * For the fields model, version, service, environment, severity (of spans: the status), and error_type, pattern_id of errors,
   * event.name of logs, span.name, span.kind of traces: at most 20 values each.
   */
  facets: Facet[];
  histogram: Histogram;
  /** `null` at the end. */
  next: string | null;
}

export interface SearchHit {
  /** Stays the same while it is kept, so that it can be linked to. */
  id: string;
  time: Instant;
  /** Of a span its status: UNSET, OK or ERROR. */
  severity: string;
  service: string;
  model: string;
  version: string;
  environment: string;
  trace_id: string;
  span_id: string;
  error_type: string;
  message: string;
  stack: string;
  attributes: Record<string, unknown>;
  /** `null` for errors from before there were patterns, and for what is no error. */
  pattern_id: string | null;
  /** The message and the part of the stack that matched, cut into pieces; `match` ones are drawn highlighted. */
  highlights: { field: "message" | "stack"; parts: { text: string; match: boolean }[] }[];
}

export interface Facet {
  field: string;
  /** `meaning`: what an id stands for, the template of a pattern. */
  values: { value: string; count: number; meaning?: string }[];
  /** Hits with other values than those listed. */
  other: number;
}

// ── GET /api/v1/traces/{trace_id}?at=

export interface TraceResponse {
  /** The earliest first, 1,000 at most. */
  spans: TraceSpan[];
  /** All that there are. */
  span_count: number;
  /** Log records told in it, the earliest first. */
  records: { time: Instant; span_id: string; severity: string; service: string; body: string }[];
}

export interface TraceSpan {
  span_id: string;
  parent_span_id: string | null;
  name: string;
  kind: string;
  service: string;
  start: Instant;
  /** Since the first span began. */
  offset_ms: number;
  duration_ms: number;
  status: string;
  status_message: string;
  attributes: Record<string, string>;
}

// ── GET /api/v1/search/tail?q=: server-sent events `errors`

export interface TailEvent {
  /** In the order in which they were stored. */
  hits: SearchHit[];
  /** Errors that match and are not among them. */
  left_out: number;
  /** Errors that nobody looked at: too many came, or this stream was too slow. */
  unseen: number;
}

// ── GET /api/v1/search/suggest?q=&caret=&from=&to=

export interface SuggestResponse {
  /** First character of the query that a suggestion replaces; up to the caret. */
  from: number;
  items: { text: string; count: number | null }[];
}

// ── GET /api/v1/search/patterns?q=&from=&to=&limit=

export interface PatternsResponse {
  /** Errors that were found. */
  total: number;
  took_ms: number;
  /** The most frequent first. */
  patterns: ErrorPattern[];
  /** Patterns that are not listed. */
  hidden: number;
  /** Errors from before there were patterns. */
  without: number;
  /** Start of the first of `counts`, and the length of a step. */
  from: UnixSeconds;
  step_s: number;
}

export interface ErrorPattern {
  id: string;
  /** The message with `<*>` where messages differ; `null` where it was forgotten. */
  template: string | null;
  count: number;
  counts: number[];
  /** The most frequent first, ten at most. */
  versions: { version: string; count: number }[];
  first: Instant;
  last: Instant;
  /** The last one. */
  example: SearchHit;
  /** Where it was met first, whatever was searched for. */
  first_seen: {
    time: Instant;
    service: string;
    model: string;
    version: string;
    environment: string;
    /** The model had other versions before, none of which had it. */
    is_new_in_version: boolean;
  } | null;
}

// ── GET /api/v1/search/versions?q=&from=&to=&environment=&model=&before=&after=

/** Errors of two versions of a model, by pattern. */
export interface ComparisonResponse {
  total_before: number;
  total_after: number;
  took_ms: number;
  /** 0 where none is known. */
  inferences_before: number;
  inferences_after: number;
  patterns: ComparedPattern[];
  /** Patterns that are not listed. */
  hidden: number;
}

export interface ComparedPattern {
  id: string;
  template: string | null;
  before: number;
  after: number;
  /** The older version had it at any time, also outside of the range. */
  ever_before: boolean;
  first_seen: ErrorPattern["first_seen"];
  example: SearchHit;
}

// ── Alert rules from a search: GET and POST /api/v1/search/rules, DELETE /api/v1/search/rules/{name}

/** POST takes a `NewSearchRule` and answers 201 with a `SearchRule`, 409 where the name is taken, 422 where it cannot be kept. */
export interface SearchRulesResponse {
  rules: SearchRule[];
  /** Who can be told. */
  receivers: string[];
}

export interface SearchRule {
  name: string;
  query: string;
  /** `null`: all. */
  environment: string | null;
  /** It fires when more errors than this match within the window. */
  above: number;
  window_s: number;
  severity: Alert["severity"];
  /** Some of the receivers; `null`: everybody. */
  notify: string[] | null;
  created_by: string;
  created_time: Instant;
  /** `null` until it was looked at. */
  state: "inactive" | Alert["state"] | null;
  /** Errors that match in the present window. */
  matching: number | null;
}

export interface NewSearchRule {
  name: string;
  query: string;
  environment?: string;
  above: number;
  window_s: number;
  severity: Alert["severity"];
  notify?: string[];
}

// ── Saved searches: GET and POST /api/v1/searches, DELETE /api/v1/searches/{id}

/** POST takes {name, address} and answers 201 with a `SavedSearch`, 409 where the name is taken, 422 where it cannot be kept. */
export interface SearchesResponse {
  searches: SavedSearch[];
}

export interface SavedSearch {
  id: string;
  name: string;
  /** The parameters of the page's address, without the `?`. */
  address: string;
  created_by: string;
  created_time: Instant;
}

/** `counts[i]` belongs to [from + i·step_s, from + (i+1)·step_s); 0 is none. */
export interface Histogram {
  from: UnixSeconds;
  step_s: number;
  counts: number[];
}
