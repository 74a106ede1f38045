/**
 * The API from recorded answers, for work on the pages without a server, and with the strict policy that the real
 * server sends. Development only: nothing of it is part of the build. DRIFTLEAD_STORY=empty has no model at first.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import type { Action, NewSearchRule, Topic } from "../src/api/types.ts";
import { readSource } from "../src/pages/errors/sources.ts";
import * as answers from "./answers.ts";
import { clusters, findAgain } from "./clusters.ts";
import { embeddings, embeddingSignals } from "./embeddings.ts";
import * as quality from "./quality.ts";
import * as rules from "./rules.ts";
import * as scenario from "./scenario.ts";
import * as searches from "./searches.ts";
import { iso } from "./series.ts";

const POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const TICK_MS = 2_000;
const WINDOWS: Record<string, number> = { "1h": 3_600, "1d": 86_400 };

export function recordedApi(): Plugin {
  return {
    name: "recorded-api",
    apply: "serve",
    configureServer(server) {
      server.middlewares.use(answer);
    },
    configurePreviewServer(server) {
      server.middlewares.use((_, response, next) => {
        response.setHeader("content-security-policy", POLICY);
        next();
      });
      server.middlewares.use(answer);
    },
  };
}

const begun = Date.now();
const EMPTY_MS = 20_000;
const isEmpty = () => process.env["DRIFTLEAD_STORY"] === "empty" && Date.now() - begun < EMPTY_MS;

const answer: Connect.NextHandleFunction = (request, response, next) => {
  const url = new URL(request.url ?? "/", "http://recorded");
  if (!url.pathname.startsWith("/api/v1/")) return next();
  if (url.pathname === "/api/v1/live") return stream(response);
  void body(request).then((sent) => {
    const said = route(request.method ?? "GET", url, sent) ?? new Refused(404, "Not Found", `Nothing is recorded for ${url.pathname}.`);
    response.statusCode = said instanceof Refused ? said.status : request.method === "POST" ? created(url.pathname) : 200;
    response.setHeader("content-type", said instanceof Refused ? "application/problem+json" : "application/json");
    response.end(JSON.stringify(said));
  });
};

function created(path: string): number {
  return path.endsWith("/rollback") ? 202 : path.endsWith("/searches") || path.endsWith("/search/rules") ? 201 : 200;
}

/** A problem, as the server answers it. */
class Refused {
  readonly type = "about:blank";
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {}
}

function route(method: string, url: URL, sent: Record<string, string>): object | null {
  const now = Date.now() / 1000;
  const query = url.searchParams;
  const from = Date.parse(query.get("from") ?? "") / 1000 || now - 86_400;
  const to = Date.parse(query.get("to") ?? "") / 1000 || now;
  const limit = Number(query.get("limit") ?? 50);
  /** "" is the environment of senders that state none; only a parameter that is left out means all. */
  const environment = query.get("environment");
  const here = (one: { environment: string }) => environment === null || one.environment === environment;
  const [first, second, third, fourth] = url.pathname.slice("/api/v1/".length).split("/").map(decodeURIComponent);

  if (first === "session") return { required: false, signed_in: false, scopes: ["ingest", "read", "operate", "admin"], label: null, csrf: null };
  if (first === "status") return scenario.status(now);
  if (first === "models" && second === undefined) {
    const models = (isEmpty() ? [] : scenario.MODELS).filter(here);
    return { at: iso(now), environments: isEmpty() ? [] : ["", "production", "staging"], models: models.map((story) => scenario.row(story, now, query.get("spark") !== "false")) };
  }
  if (first === "models" && second !== undefined) {
    const story = scenario.MODELS.find((one) => one.name === second && (third !== undefined || here(one)));
    if (!story) return null;
    if (third === undefined) {
      return {
        at: iso(now), model: scenario.row(story, now, true), environments: [story.environment], segments: answers.SEGMENTS, versions: scenario.versions(story, now),
        settings: { declared: true, positive_class: "1", f1_floor: 0.75, latency_budget_ms: 500, label_delay_s: 0, runner: "candle", rollback: "auto", retrain: "auto" },
      };
    }
    if (third === "charts") return answers.charts(story, from, to, WINDOWS[query.get("window") ?? ""] ?? null, query.get("version"), now);
    if (third === "timeline") return answers.timeline(story, from, to, now);
    if (third === "clusters") return method === "POST" ? findAgain(story, now) : clusters(story, now);
    if (third === "segments") return answers.segments(story, query.get("version"), now);
    if (third === "drift" && fourth === "explanation") return answers.explanation(story, query.get("feature") ?? "", now);
    if (third === "drift" && fourth === "alerts") return answers.pastAlerts(now);
    if (third === "quality") return quality.quality(story, from, to, WINDOWS[query.get("window") ?? ""] ?? null, query.get("version"), query.get("segment") ?? "", now);
    if (third === "signals" && (query.get("name") ?? "").includes(",")) return { signals: embeddingSignals(story, (query.get("name") ?? "").split(","), now) };
    if (third === "signals") {
      const ends = { from, to: query.get("to") === null ? now + 86_400 : to };
      return quality.signals(story, query.get("name") ?? "", WINDOWS[query.get("window") ?? ""] ?? 3_600, query.get("segment") ?? "", Number(query.get("subjects") ?? 1_000), ends, now);
    }
    if (third === "drift" && fourth === "embeddings") return embeddings(story, query.get("segment") ?? "", query.get("from") === null ? null : { from, to }, now);
    if (third === "drift") return answers.drift(story, now);
    if (third === "inferences") return answers.inferences(story, limit, query.get("cursor"), query.get("version"), query.get("request_id"), now);
    if (third === "rollback" && method === "POST") return { action: rollback(story.name, sent["to"] ?? "", now) };
    if (third === "control" && fourth === "examples" && method === "POST") {
      return sent["label"] ? answers.controlExample() : new Refused(422, "Unprocessable Content", "The label is empty.");
    }
    return null;
  }
  if (first === "searches" && method === "DELETE") return searches.forget(second ?? "") ? {} : null;
  if (first === "searches" && method === "POST") {
    const name = sent["name"] ?? "";
    if (name === "" || name.length > 200) return new Refused(422, "Unprocessable Content", "A name has 1 to 200 characters.");
    return searches.save(name, sent["address"] ?? "", now) ?? new Refused(409, "Conflict", `There is a search called ${name} already.`);
  }
  if (first === "searches") return { searches: searches.searches() };
  if (first === "actions") {
    const model = query.get("model");
    return { actions: isEmpty() ? [] : scenario.actions(now).filter((action) => (!model || action.model === model) && here(action)) };
  }
  if (first === "alerts" && second !== undefined) return scenario.alerts(now).find((alert) => alert.id === second) ?? null;
  if (first === "alerts") {
    const state = query.get("state");
    return { alerts: isEmpty() ? [] : scenario.alerts(now).filter((alert) => (!state || state.split(",").includes(alert.state)) && here(alert)) };
  }
  if (first === "deployments") return { deployments: answers.deployments(now).filter(here) };
  if (first === "traces") return answers.trace(second ?? "", Date.parse(query.get("at") ?? "") / 1000 || now);
  if (first === "search" && second === "rules" && method === "DELETE") return rules.forget(third ?? "") ? {} : null;
  if (first === "search" && second === "rules" && method === "POST") {
    const made = rules.make(sent as Partial<NewSearchRule>, now);
    if (typeof made === "string") return new Refused(422, "Unprocessable Content", made);
    return made ?? new Refused(409, "Conflict", `There is a rule called ${sent["name"]} already.`);
  }
  if (first === "search" && second === "rules") return { rules: rules.rules(), receivers: rules.RECEIVERS };
  const source = readSource(query.get("source"));
  if (first === "search" && second === "suggest") {
    return answers.suggest(source, query.get("q") ?? "", Number(query.get("caret") ?? 0), from, to, now, environment);
  }
  if (first === "search" && second === "hits") return answers.hit(source, third ?? "", now);
  const unreadable = first === "search" ? answers.unreadable(query.get("q") ?? "") : null;
  if (unreadable) return new Refused(400, "Bad Request", unreadable);
  if (first === "search" && second === "patterns") return answers.patterns(query.get("q") ?? "", from, to, now, environment);
  if (first === "search" && second === "versions") {
    return answers.comparison(query.get("q") ?? "", from, to, now, environment, query.get("before") ?? "", query.get("after") ?? "");
  }
  if (first === "search" && second === undefined) return answers.search(source, query.get("q") ?? "", from, to, query.get("cursor"), limit, now, environment);
  return null;
}

function rollback(model: string, to: string, now: number): Action {
  const action: Action = {
    id: `act_${scenario.asked.length + 1}`, kind: "rollback", model, environment: "production", from_version: "1.1", to_version: to, retrain_id: null,
    state: "requested", because: ["By hand"], rule: null, alert_id: null, requested_by: "loopback", requested_at: iso(now), accepted_at: null,
    finished_at: null, deadline: iso(now + 900), events: [{ at: iso(now), state: "requested", note: "" }], deliveries: [],
  };
  scenario.asked.unshift(action);
  return action;
}

function stream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const changed: Topic[] = ["models", "alerts", "actions", "errors", ...scenario.MODELS.map((story) => `model:${story.name}` as const)];
  const tick = () => {
    const now = Date.now() / 1000;
    response.write(`event: tick\ndata: ${JSON.stringify({ at: iso(now), status: scenario.status(now), changed })}\n\n`);
  };
  tick();
  const timer = setInterval(tick, TICK_MS);
  response.on("close", () => clearInterval(timer));
}

async function body(request: IncomingMessage): Promise<Record<string, string>> {
  if (request.method !== "POST") return {};
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text || "{}") as Record<string, string>;
}
