/**
 * What changes while a page is open: ticks by server-sent events, and where those do not come, polling. Pages say
 * which topics they show and read again when a tick names one.
 */

import { get } from "./client";
import type { LiveTick, Status, Topic } from "./types";

/** A tick comes at least every 5 s; three missed ones mean that the stream is dead although nobody said so. */
const SILENCE_MS = 16_000;
const POLL_MS = 5_000;

type Reader = { topics: () => Topic[]; read: () => void };

class Live {
  status = $state.raw<Status | null>(null);
  /** The server answers. */
  connected = $state(true);
  #readers = new Set<Reader>();
  #source: EventSource | null = null;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #poll: ReturnType<typeof setInterval> | undefined;

  /** Listens until the returned function is called: one who signed out asks for nothing any more. */
  start(): () => void {
    const seen = () => {
      if (document.hidden) this.#close();
      else {
        this.#open();
        void this.#ask();
        this.#tell(null);
      }
    };
    this.#open();
    void this.#ask();
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      this.#close();
    };
  }

  /** Calls `read` whenever one of `topics` changed; returns how to stop. */
  on(topics: () => Topic[], read: () => void): () => void {
    const reader = { topics, read };
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  #open(): void {
    if (this.#source || document.hidden) return;
    const source = new EventSource("/api/v1/live");
    this.#source = source;
    source.addEventListener("tick", (event) => {
      this.#stopPolling();
      this.#arm();
      const tick = JSON.parse((event as MessageEvent<string>).data) as LiveTick;
      this.connected = true;
      this.status = tick.status;
      this.#tell(tick.changed);
    });
    source.addEventListener("error", () => this.#startPolling());
    this.#arm();
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#watchdog);
    this.#stopPolling();
  }

  #arm(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#source?.close();
      this.#source = null;
      this.#startPolling();
      this.#open();
    }, SILENCE_MS);
  }

  #startPolling(): void {
    if (this.#poll !== undefined) return;
    this.#poll = setInterval(() => {
      void this.#ask().then((answered) => answered && this.#tell(null));
      // The browser gives a stream up for good on some answers; then it is opened anew.
      if (this.#source?.readyState === EventSource.CLOSED) {
        this.#source = null;
        this.#open();
      }
    }, POLL_MS);
  }

  #stopPolling(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
  }

  async #ask(): Promise<boolean> {
    try {
      this.status = await get<Status>("/api/v1/status");
      this.connected = true;
    } catch {
      this.connected = false;
    }
    return this.connected;
  }

  #tell(changed: Topic[] | null): void {
    for (const reader of this.#readers) {
      if (changed === null || reader.topics().some((topic) => changed.includes(topic))) reader.read();
    }
  }
}

export const live = new Live();
