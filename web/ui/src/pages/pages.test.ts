import { describe, expect, it } from "vitest";
import type { Bin, ComparedPattern, ComparisonResponse, HealthState, ModelRow, SearchHit, SearchResponse, SearchSource } from "../api/types";
import { rank } from "../frame/rank";
import { steps } from "../parts/action";
import { columnValue, MOST_COLUMNS, offeredColumns, readColumns, toggledColumn, writeColumns } from "./errors/columns";
import { compared, groups, perThousand } from "./errors/comparison";
import { heading, headline, latency, severityTone } from "./errors/headline";
import { NAME_PATTERN, rulePath, suggestedName } from "./errors/rules";
import { savedAddress, savedPath } from "./errors/saved";
import { everySeconds, origin, readSource, sourceParam } from "./errors/sources";
import { waterfall } from "./errors/waterfall";
import { finished, has, narrowed, quoted, replaced, term, terms, toggled } from "./errors/query";
import { movers, shares, thinned } from "./model/bins";
import { reachable } from "./models/first-steps";
import { byEnvironment, kept, rowKey } from "./models/rows";

describe("a trace as a waterfall", () => {
  const span = (span_id: string, parent_span_id: string | null, offset_ms: number, duration_ms: number) => ({
    span_id, parent_span_id, offset_ms, duration_ms, name: span_id, kind: "", service: "", start: "", status: "Unset", status_message: "", attributes: {},
  });
  const shown = (spans: ReturnType<typeof span>[]) => waterfall(spans).map((row) => `${row.span.name}@${row.depth}`);

  it("has each span under its parent, in the order of time", () => {
    const rows = waterfall([span("root", null, 0, 100), span("a", "root", 10, 30), span("a1", "a", 12, 5), span("b", "root", 50, 50)]);
    expect(rows.map((row) => `${row.span.name}@${row.depth}`)).toEqual(["root@0", "a@1", "a1@2", "b@1"]);
    expect(rows.map((row) => [row.left, row.width])).toEqual([[0, 1], [0.1, 0.3], [0.12, 0.05], [0.5, 0.5]]);
  });

  it("shows every span once, whatever senders say of their parents", () => {
    expect(shown([span("orphan", "unknown", 0, 1), span("self", "self", 0, 1)])).toEqual(["orphan@0", "self@0"]);
    expect(shown([span("x", "y", 0, 1), span("y", "x", 0, 1)]).sort()).toEqual(["x@0", "y@0"]);
    expect(shown([span("twice", null, 0, 1), span("twice", null, 1, 1), span("child", "twice", 1, 1)])).toHaveLength(3);
    expect(shown([])).toEqual([]);
    expect(waterfall([span("instant", null, 0, 0)])[0]).toMatchObject({ left: 0, width: 0 });
  });
});

it("a suggestion takes the place of what was typed", () => {
  const cases: [string, number, number, string, string, number][] = [
    ["ser", 0, 3, "service:", "service:", 8],
    ["service:sc", 8, 10, "scorer", "service:scorer ", 15],
    ['service:"my s" timeout', 8, 13, '"my service"', 'service:"my service" timeout', 20],
    ["(service:s)", 9, 10, "scorer", "(service:scorer)", 15],
    ["\u{1F600} ser x", 2, 5, "service:", "\u{1F600} service: x", 10],
  ];
  for (const [query, from, caret, suggestion, text, after] of cases) expect(replaced(query, from, caret, suggestion)).toEqual({ text, caret: after });
});

describe("queries", () => {
  it.each([
    ["employment", "employment"],
    ["1.0", '"1.0"'],
    ["a b", '"a b"'],
    ['say "hi"', '"say \\"hi\\""'],
    ["AND", '"AND"'],
    ["модель", "модель"],
    ["", '""'],
  ])("quoted(%s) is %s", (value, expected) => expect(quoted(value)).toBe(expected));

  it("keeps together what is quoted", () => {
    expect(terms('a "b c" model:"x y" -version:"1.0"')).toEqual(["a", '"b c"', 'model:"x y"', '-version:"1.0"']);
  });

  it.each([
    ["severity:", ""],
    ["timeout severity:", "timeout"],
    ["timeout -severity:", "timeout"],
    ["a OR severity:", "a"],
    ["a AND NOT (attributes.http.route:", "a"],
    ['"a b" model:x version:', '"a b" model:x'],
    ["severity:ERROR", "severity:ERROR"],
    ["severity: ", "severity: "],
    ["severity:[a TO", "severity:[a TO"],
    ['"a severity:', '"a severity:'],
    ["time:12:", "time:12:"],
    ["timeout", "timeout"],
    ["timeout ", "timeout "],
    ["-:", "-:"],
    [":", ":"],
    ["", ""],
  ])("%j is searched for as %j while it is typed", (query, expected) => expect(finished(query)).toBe(expected));

  it("adds, takes away and turns round a term", () => {
    const once = toggled("timeout", "version", "1.0");
    expect(once).toBe('timeout version:"1.0"');
    expect(toggled(once, "version", "1.0")).toBe("timeout");
    expect(toggled(once, "version", "1.0", true)).toBe('timeout -version:"1.0"');
    expect(has(once, term("version", "1.0"))).toBe(true);
  });

  it("has what it is narrowed to once", () => {
    expect(narrowed('timeout model:m', ["model:m", 'version:"1.1"'])).toBe('timeout model:m version:"1.1"');
    expect(narrowed("", ["pattern_id:a"])).toBe("pattern_id:a");
  });
});

describe("columns of errors", () => {
  it.each([
    [null, []],
    ["", []],
    ["service,version,attributes.http.route", ["service", "version", "attributes.http.route"]],
    ["version,nothing,version,attributes.,message", ["version"]],
    ["attributes.a%2Cb,attributes.100 %25,attributes.%E0%A4%A", ["attributes.a,b", "attributes.100 %", "attributes.%E0%A4%A"]],
  ])("%j names %j", (text, columns) => expect(readColumns(text)).toEqual(columns));

  it("are read back as they were written", () => {
    const columns = ["service", "attributes.a,b", "attributes.50%2C", "attributes.\u202eמודל"];
    expect(readColumns(writeColumns(columns))).toEqual(columns);
    expect(writeColumns([])).toBeNull();
  });

  it("stand in the order in which they were chosen, twelve at most", () => {
    expect(toggledColumn(["version"], "service")).toEqual(["version", "service"]);
    expect(toggledColumn(["version", "service"], "version")).toEqual(["service"]);
    const many = Array.from({ length: MOST_COLUMNS + 3 }, (_, i) => `attributes.${i}`);
    expect(readColumns(many.join(","))).toHaveLength(MOST_COLUMNS);
    expect(toggledColumn(many.slice(0, MOST_COLUMNS), "service")).toEqual(many.slice(0, MOST_COLUMNS));
  });

  const hit = { service: "scorer", pattern_id: null, attributes: { "http.route": "/predict", status: 500, nested: { a: [1, 2] }, gone: null } } as unknown as SearchHit;

  it("are offered from the attributes of what is shown, and as long as they are chosen", () => {
    const offered = offeredColumns([hit, hit], ["service", "attributes.elsewhere"], "errors");
    expect(offered.slice(0, 2)).toEqual(["service", "model"]);
    expect(offered.slice(8)).toEqual(["attributes.elsewhere", "attributes.gone", "attributes.http.route", "attributes.nested", "attributes.status"]);
  });

  it("have no pattern to offer where only errors have one, unless it was chosen before", () => {
    expect(offeredColumns([], [], "logs")).not.toContain("pattern_id");
    expect(offeredColumns([], ["pattern_id"], "traces")).toContain("pattern_id");
  });

  it.each([
    ["service", "scorer"],
    ["pattern_id", ""],
    ["attributes.http.route", "/predict"],
    ["attributes.status", "500"],
    ["attributes.nested", '{"a":[1,2]}'],
    ["attributes.nested.a", "[1,2]"],
    ["attributes.nested.b", ""],
    ["attributes.gone", ""],
    ["attributes.toString", ""],
  ])("an error's %s is %j", (column, value) => expect(columnValue(hit, column)).toBe(value));
});

describe("saved searches", () => {
  it("are the view without what was opened in it", () => {
    expect(savedAddress(new URLSearchParams("hit=e1&range=7d&columns=service%2Cversion&q=a+b&env=-"))).toBe("q=a+b&columns=service%2Cversion&env=-&range=7d");
    expect(savedAddress(new URLSearchParams("hit=e1"))).toBe("");
    expect(savedAddress(new URLSearchParams("hit=l1&q=a&source=logs"))).toBe("source=logs&q=a");
  });

  it.each([
    ["", "/errors"],
    ["q=a&range=24h", "/errors?q=a&range=24h"],
    ["q=a&hit=e1&other=1", "/errors?q=a"],
    ["q=a&source=traces&hit=s1", "/errors?source=traces&q=a"],
    ["//elsewhere.example/?q=a", "/errors"],
    ["javascript:alert(1)", "/errors"],
  ])("%j opens %s", (address, path) => expect(savedPath(address)).toBe(path));
});

describe("what is searched", () => {
  it.each([
    [null, "errors"],
    ["errors", "errors"],
    ["logs", "logs"],
    ["traces", "traces"],
    ["metrics", "errors"],
    ["toString", "errors"],
  ])("%j is %s", (text, source) => expect(readSource(text)).toBe(source));

  it("is not said of errors, and read back", () => {
    expect(sourceParam("errors")).toBeNull();
    for (const source of ["errors", "logs", "traces"] as const) expect(readSource(sourceParam(source))).toBe(source);
  });

  it("is read again the less often the more it costs", () => {
    expect(everySeconds("errors")).toBe(1);
    expect(everySeconds("logs")).toBe(10);
    expect(everySeconds("traces")).toBe(10);
  });

  it.each<[SearchResponse["source"], string]>([
    [{ name: "errors", engine: "index", text_index: true }, "index"],
    [{ name: "logs", engine: "clickhouse", text_index: true }, "indexed"],
    [{ name: "logs", engine: "clickhouse", text_index: false }, "unindexed"],
    [{ name: "traces", engine: "clickhouse", text_index: false }, "clickhouse"],
    [{ name: "traces", engine: "clickhouse", text_index: true }, "clickhouse"],
  ])("%j is from: %s", (source, code) => expect(origin(source)).toBe(code));
});

describe("what stands over a message", () => {
  it.each([
    ["ERROR", "critical"],
    ["error", "critical"],
    ["FATAL", "critical"],
    ["ERROR2", "critical"],
    ["WARN", "warning"],
    ["Warning", "warning"],
    ["INFO", null],
    ["UNSET", null],
    ["OK", null],
    ["", null],
    ["NO ERROR", null],
  ])("%j is %j", (severity, tone) => expect(severityTone(severity)).toBe(tone));

  const hit = (severity: string, error_type: string, message: string, attributes: Record<string, unknown> = {}) =>
    ({ severity, error_type, message, attributes }) as unknown as SearchHit;

  it.each<[SearchSource, SearchHit, ReturnType<typeof headline>]>([
    ["errors", hit("ERROR", "ValueError", "no"), { severity: "", type: "ValueError", latency_ms: null }],
    ["errors", hit("FATAL", "", "no"), { severity: "FATAL", type: "FATAL", latency_ms: null }],
    ["logs", hit("INFO", "", "a", { "event.name": "http.access" }), { severity: "INFO", type: "http.access", latency_ms: null }],
    ["logs", hit("INFO", "", "ml.inference", { "event.name": "ml.inference" }), { severity: "INFO", type: "", latency_ms: null }],
    ["logs", hit("ERROR", "TimeoutError", "a"), { severity: "ERROR", type: "TimeoutError", latency_ms: null }],
    ["traces", hit("UNSET", "", "predict", { latency_ms: 3.5 }), { severity: "", type: "", latency_ms: 3.5 }],
    ["traces", hit("ERROR", "", "predict: no", { latency_ms: "12" }), { severity: "ERROR", type: "", latency_ms: 12 }],
  ])("of %s: %j", (source, one, expected) => expect(headline(one, source)).toEqual(expected));

  it("an opened one is headed by its type or its name", () => {
    expect(heading(hit("ERROR", "", "no"), "errors")).toBe("ERROR");
    expect(heading(hit("INFO", "", "a", { "event.name": "http.access" }), "logs")).toBe("http.access");
    expect(heading(hit("INFO", "", "a"), "logs")).toBe("");
    expect(heading(hit("ERROR", "TimeoutError", "a: b", { "span.name": "a" }), "traces")).toBe("a");
  });

  it.each([[undefined], [""], ["soon"], [null], [{}], [Number.NaN]])("a span that took %j has no length", (latency_ms) =>
    expect(latency(hit("UNSET", "", "a", { latency_ms }))).toBeNull(),
  );
});

describe("alert rules from a search", () => {
  const long = Array.from({ length: 40 }, (_, i) => `word${i}`).join(" ");

  it.each([
    ["message:timeout", "message-timeout"],
    ['model:employment version:"1.1"', "model-employment-version-1.1"],
    ['message:"timed out" -stack:"line 12"', "message-timed-out-stack-line-12"],
    ["café timeout", "cafe-timeout"],
    ["ошибка", "errors"],
    ["", "errors"],
    ["*", "errors"],
    ["../../etc", "etc"],
    ["-._", "_"],
    ["a".repeat(200), "a".repeat(60)],
  ])("%j suggests %s", (query, name) => expect(suggestedName(query, [])).toBe(name));

  it("have a name that is free, can be kept, and ends at a word", () => {
    expect(suggestedName("timeout", ["timeout", "timeout-2"])).toBe("timeout-3");
    for (const query of [long, "a".repeat(200), "\u202eمודל <b>x</b>", "a-b_c.d"]) expect(suggestedName(query, ["a"])).toMatch(new RegExp(`^(?:${NAME_PATTERN})$`, "v"));
    expect(suggestedName(long, [])).toMatch(/-word\d+$/);
  });

  it("lead to the errors that they count", () => {
    expect(rulePath({ query: "a b", environment: null })).toBe("/errors?q=a+b");
    expect(rulePath({ query: "", environment: "" })).toBe("/errors?env=-");
    expect(rulePath({ query: "a", environment: "production" })).toBe("/errors?q=a&env=production");
  });
});

describe("errors of two versions", () => {
  const none = { before: null, after: null };

  it.each([
    [["1.2", "1.1", "1.0"], "1.1", none, { before: "1.0", after: "1.1" }],
    [["1.1", "1.0"], null, none, { before: "1.0", after: "1.1" }],
    [["1.1", "1.0"], "1.0", none, { before: "1.0", after: "1.1" }],
    [["1.2", "1.1", "1.0"], "1.0", none, { before: "1.0", after: "1.1" }],
    [["1.1", "1.0"], "not listed", none, { before: "1.0", after: "1.1" }],
    [["1.1", "1.0"], "1.1", { before: null, after: "1.0" }, { before: "1.1", after: "1.0" }],
    [["1.2", "1.1", "1.0"], "1.2", { before: "1.0", after: null }, { before: "1.0", after: "1.2" }],
    [["1.2", "1.1", "1.0"], "1.2", { before: "1.2", after: null }, { before: "1.2", after: "1.1" }],
    [["1.0"], "1.0", none, { before: null, after: "1.0" }],
    [[], null, none, none],
    [["1.1"], "1.1", { before: "0.1", after: "0.2" }, { before: "0.1", after: "0.2" }],
  ])("of %j with %j live", (versions, live, asked, expected) => expect(compared(versions, live, asked)).toEqual(expected));

  it("are told per 1,000 inferences where those are known", () => {
    expect(perThousand(5, 2_000)).toBe(2.5);
    expect(perThousand(5, 0)).toBeNull();
  });

  const pattern = (id: string, before: number, after: number, ever_before = true) => ({ id, before, after, ever_before }) as ComparedPattern;
  const shown = (inferences_before: number, inferences_after: number, patterns: ComparedPattern[]) =>
    groups({ inferences_before, inferences_after, patterns } as ComparisonResponse).map((group) => [group.became, ...group.rows.map((row) => `${row.pattern.id} ${row.times}`)]);

  it("are grouped by what became of them, what grew first", () => {
    const patterns = [pattern("gone", 3, 0), pattern("less", 40, 1), pattern("more", 10, 8), pattern("again", 0, 1), pattern("new", 0, 2, false)];
    expect(shown(10_000, 1_000, patterns)).toEqual([
      ["new", "new null"],
      ["changed", "more 8", "again null", "less 0.25"],
      ["gone", "gone 0"],
    ]);
  });

  it("are compared by their number where inferences are not known, which says nothing of how often", () => {
    expect(shown(0, 1_000, [pattern("less", 40, 1), pattern("more", 1, 8)])).toEqual([["changed", "more null", "less null"]]);
    expect(shown(0, 0, [])).toEqual([]);
  });
});

describe("bins", () => {
  const bin = (value: string, reference: number, current: number): Bin => ({ from: null, to: null, value, special: null, reference, current });

  it("are shares of their own side", () => {
    const all = shares({ n: 200, reference_n: 100, bins: [bin("a", 60, 60), bin("b", 40, 140)] });
    expect(all.map((share) => [share.reference, share.current])).toEqual([
      [0.6, 0.3],
      [0.4, 0.7],
    ]);
    expect(movers(all, 5).grew.map((share) => share.bin.value)).toEqual(["b"]);
    expect(movers(all, 5).shrank.map((share) => share.bin.value)).toEqual(["a"]);
  });

  it("an empty window has shares of 0, not NaN", () => {
    expect(shares({ n: 0, reference_n: 100, bins: [bin("a", 100, 0)] })[0]?.current).toBe(0);
  });

  it("are joined for a small picture without losing any", () => {
    const all = shares({ n: 100, reference_n: 100, bins: Array.from({ length: 100 }, (_, i) => bin(String(i), 1, 1)) });
    const few = thinned(all, 30);
    expect(few.length).toBeLessThanOrEqual(30);
    expect(few.reduce((sum, share) => sum + share.current, 0)).toBeCloseTo(1);
  });
});

describe("rows of models", () => {
  const row = (name: string, environment: string, state: HealthState) => ({ name, environment, live: null, health: { state } }) as ModelRow;
  const rows = [row("a-one", "staging", "critical"), row("b-two", "production", "ok"), row("c-one", "staging", "ok")];

  it("are kept by words and state", () => {
    expect(kept(rows, "one STAGING", null).map((r) => r.name)).toEqual(["a-one", "c-one"]);
    expect(kept(rows, "", "ok").map((r) => r.name)).toEqual(["b-two", "c-one"]);
  });

  it("are told apart by environment and name, whatever stands in them", () => {
    expect(rowKey({ environment: "a/b", name: "c" })).not.toBe(rowKey({ environment: "a", name: "b/c" }));
    expect(rowKey({ environment: "production", name: "m" })).toBe("production/m");
  });

  it("are grouped in the order of their worst", () => {
    expect(byEnvironment(rows).map((g) => [g.environment, g.rows.length])).toEqual([
      ["staging", 2],
      ["production", 1],
    ]);
  });
});

describe("first steps", () => {
  it.each([
    ["127.0.0.1:4318", "127.0.0.1:4318"],
    ["0.0.0.0:4318", "models.example.org:4318"],
    ["[::]:4318", "models.example.org:4318"],
    ["[::1]:4318", "[::1]:4318"],
    ["10.0.0.0:4318", "10.0.0.0:4318"],
  ])("a sender that reads the pages reaches %s at %s", (listen, expected) => expect(reachable(listen, "models.example.org")).toBe(expected));
});

describe("what is found by typing", () => {
  it("beginnings come before what stands inside, letters in order last", () => {
    const order = ["unemployment", "employment", "e-m-p"].sort((a, b) => (rank("emp", b) ?? -1) - (rank("emp", a) ?? -1));
    expect(order).toEqual(["employment", "unemployment", "e-m-p"]);
    expect(rank("xyz", "employment")).toBeNull();
  });
});

describe("steps of an action", () => {
  it("shows what is to come while it is open, and only what was while it is not", () => {
    const events = [
      { at: "2026-10-05T14:00:00Z", state: "requested" as const, note: "" },
      { at: "2026-10-05T14:00:01Z", state: "accepted" as const, note: "" },
    ];
    const action = { kind: "rollback" as const, state: "accepted" as const, events, requested_at: "2026-10-05T14:00:00Z" };
    expect(steps(action).map((step) => [step.state, step.at !== null])).toEqual([
      ["requested", true],
      ["accepted", true],
      ["confirmed", false],
    ]);
    const failed = { ...action, state: "failed" as const, events: [...events, { at: "2026-10-05T14:01:00Z", state: "failed" as const, note: "" }] };
    expect(steps(failed).map((step) => step.state)).toEqual(["requested", "accepted", "failed"]);
  });
});
