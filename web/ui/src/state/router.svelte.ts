/** Where the reader is. The address is the only state of a view: what is not in it cannot be sent to a colleague. */

import { tick, untrack } from "svelte";
import { address, alertPath, changed, environmentToken, modelPath, parsePath, readEnvironment, samePage, type Page } from "../route/path";
import { bounds, parseRange, rangeParams, SHORTEST_S, type Range } from "../route/range";
import { clock } from "./clock.svelte";

/** Parameters that go along from page to page. */
const KEPT = ["env", "range", "from", "to"];

class Router {
  #path = $state(location.pathname);
  #search = $state(location.search);
  page: Page = $derived(parsePath(this.#path));
  params = $derived(new URLSearchParams(this.#search));
  range: Range = $derived(parseRange(this.params));
  /** "" is the environment of senders that state none, `null` are all. */
  environment: string | null = $derived(readEnvironment(this.params.get("env")));

  start(): void {
    addEventListener("popstate", () => this.#see());
    document.addEventListener("click", (event) => {
      const link = (event.target as Element).closest?.("a");
      if (!link || event.defaultPrevented || event.button !== 0) return;
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
      if (link.getAttribute("href")?.startsWith("#")) return;
      event.preventDefault();
      this.go(link.pathname + link.search);
      if (link.dataset["reveal"]) reveal(link.dataset["reveal"]);
    });
  }

  go(href: string, how: { replace?: boolean } = {}): void {
    const before = this.page;
    if (href === location.pathname + location.search) return;
    if (how.replace) history.replaceState(null, "", href);
    else history.pushState(null, "", href);
    this.#see();
    if (!samePage(before, this.page)) scrollTo(0, 0);
  }

  /** Changes parameters of this view; a new step of Back unless `replace` is set. */
  set(changes: Record<string, string | null | undefined>, how: { replace?: boolean } = {}): void {
    const search = changed(untrack(() => this.params), changes).toString();
    this.go(search ? `${location.pathname}?${search}` : location.pathname, how);
  }

  setRange(range: Range): void {
    this.set(rangeParams(range));
  }

  /** Two instants were marked in a chart: they become the range. */
  brush = (from: number, to: number): void => {
    const middle = (from + to) / 2;
    const half = Math.max((to - from) / 2, SHORTEST_S / 2);
    this.setRange({ live: false, from_s: Math.floor(middle - half), to_s: Math.ceil(middle + half) });
  };

  /** A link to another page in the same environment and range. */
  to(path: string, extra: Record<string, string | null | undefined> = {}): string {
    const kept = Object.fromEntries(KEPT.map((name) => [name, this.params.get(name)]));
    return address(path, { ...kept, ...extra });
  }

  /** A link to a model where it runs. */
  toModel(name: string, environment: string, extra: Record<string, string | null | undefined> = {}): string {
    return this.to(modelPath(name), { env: environmentToken(environment), ...extra });
  }

  /** A link to one alert. */
  toAlert(id: string): string {
    return this.to(alertPath(id), { alert: null });
  }

  /** A link to this page with some parameters changed. */
  here(changes: Record<string, string | null | undefined>): string {
    const search = changed(this.params, changes).toString();
    return search ? `${this.#path}?${search}` : this.#path;
  }

  /** The range's two ends in Unix seconds; a live one ends now, to the second. */
  bounds(now_s: number = clock.now_s): { from_s: number; to_s: number } {
    return bounds(this.range, Math.floor(now_s));
  }

  #see(): void {
    this.#path = location.pathname;
    this.#search = location.search;
  }
}

/** What a link opens may have to be read first; an answer is not waited for longer than this. */
const REVEAL_PATIENCE_MS = 30_000;
/** By these a reader goes on meanwhile, and is not to be called back. */
const GOES_ON = ["pointerdown", "keydown", "wheel", "popstate"];
let revealing: (() => void) | undefined;

/** What a link changes below the fold is brought up once it is there, and is where the keyboard goes on. */
function reveal(id: string): void {
  revealing?.();
  const bringUp = () => {
    const element = document.getElementById(id);
    element?.scrollIntoView({ block: "start" });
    element?.focus({ preventScroll: true });
    return element !== null;
  };
  void tick().then(() => {
    if (bringUp()) return;
    const seen = new MutationObserver(() => bringUp() && revealing?.());
    const timer = setTimeout(() => revealing?.(), REVEAL_PATIENCE_MS);
    const stop = () => {
      clearTimeout(timer);
      seen.disconnect();
      for (const event of GOES_ON) removeEventListener(event, stop);
      revealing = undefined;
    };
    revealing = stop;
    for (const event of GOES_ON) addEventListener(event, stop, { passive: true });
    seen.observe(document.body, { childList: true, subtree: true });
  });
}

export const router = new Router();
