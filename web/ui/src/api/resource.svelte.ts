/**
 * One answer of the API that a component shows: read when its address changes and when a live tick names one of its
 * topics. The old answer stays until the new one is there, so nothing flickers; one request at a time.
 */

import { untrack } from "svelte";
import { ApiError, get } from "./client";
import { live } from "./live.svelte";
import type { Topic } from "./types";

/** What was read last for a subject, so that Back paints at once. */
const remembered = new Map<string, unknown>();
const REMEMBERED_ANSWERS = 60;
/** What a person follows by eye changes no faster. */
const DEFAULT_EVERY_S = 1;

export interface Options {
  /** Ticks on these read again. */
  topics?: () => Topic[];
  /** False: ticks are ignored, such as in a range that stands still. */
  live?: () => boolean;
  /** Ticks read again at most this often: what is dear to compute and changes slowly says more. */
  every_s?: number | (() => number);
  /** What the answer is about; another subject never shows the old one's answer. Default: `subjectOf` the address. */
  subject?: () => string;
}

export class Resource<T> {
  data = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  /** A request is under way that the reader asked for (not one that a tick caused). */
  loading = $state(false);
  #address: (now_s: number) => string | null;
  #options: Options;
  #abort: AbortController | null = null;
  #again = false;
  #last_ms = 0;
  #later: ReturnType<typeof setTimeout> | undefined;
  #subject = "";

  constructor(address: (now_s: number) => string | null, options: Options) {
    this.#address = address;
    this.#options = options;
  }

  /** Reads again; what is under way for another address is given up. */
  read = (): void => {
    this.#abort?.abort();
    this.#abort = null;
    void this.#fetch(true);
  };

  /** A tick came: read again, or after the request that is under way. */
  refresh = (): void => {
    if (this.#options.live && !this.#options.live()) return;
    if (this.#abort) {
      this.#again = true;
      return;
    }
    const every_s = this.#options.every_s ?? DEFAULT_EVERY_S;
    const wait_ms = this.#last_ms + (typeof every_s === "number" ? every_s : every_s()) * 1000 - Date.now();
    clearTimeout(this.#later);
    if (wait_ms <= 0) void this.#fetch(false);
    else this.#later = setTimeout(this.refresh, wait_ms);
  };

  stop(): void {
    clearTimeout(this.#later);
    this.#abort?.abort();
    this.#abort = null;
  }

  async #fetch(asked: boolean): Promise<void> {
    const address = this.#address(Date.now() / 1000);
    const subject = this.#options.subject?.() ?? subjectOf(address);
    if (subject !== this.#subject) {
      this.#subject = subject;
      this.data = (remembered.get(subject) as T | undefined) ?? null;
      this.error = null;
    }
    if (address === null) {
      this.loading = false;
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    this.#again = false;
    if (asked) this.loading = true;
    try {
      const data = await get<T>(address, abort.signal);
      if (abort.signal.aborted) return;
      this.data = data;
      this.error = null;
      remember(subject, data);
    } catch (failure) {
      if (abort.signal.aborted) return;
      this.error = failure instanceof ApiError ? failure : new ApiError(0, String(failure), null);
    }
    if (this.#abort === abort) this.#abort = null;
    this.#last_ms = Date.now();
    this.loading = false;
    if (this.#again) this.refresh();
  }
}

/** To be called while a component is set up. `address` answers `null` while there is nothing to read. */
export function resource<T>(address: (now_s: number) => string | null, options: Options = {}): Resource<T> {
  const made = new Resource<T>(address, options);
  // Dependencies are whatever the address reads; the clock is an argument so that it is none. Only another address is
  // read: what else changes beside it, such as the error that is opened, leaves the answer as it stands.
  const asked = $derived(address(0));
  const subject = $derived(options.subject?.());
  $effect(() => {
    void asked;
    void subject;
    untrack(() => made.read());
  });
  $effect(() => {
    const stop = options.topics ? live.on(options.topics, made.refresh) : undefined;
    return () => {
      stop?.();
      made.stop();
    };
  });
  return made;
}

/**
 * What an address asks about: its path, and whose it is. A range, a query or a window are ways to look at the same
 * thing; another environment, version or source is another thing.
 */
function subjectOf(address: string | null): string {
  if (address === null) return "";
  const [path = "", search = ""] = address.split("?");
  const params = new URLSearchParams(search);
  return JSON.stringify([path, params.get("environment"), params.get("version"), params.get("source")]);
}

/** What broke a page is not painted again when it is tried again. */
export function forgetAnswers(): void {
  remembered.clear();
}

function remember(subject: string, data: unknown): void {
  remembered.delete(subject);
  remembered.set(subject, data);
  const oldest = remembered.keys().next();
  if (remembered.size > REMEMBERED_ANSWERS && !oldest.done) remembered.delete(oldest.value);
}
