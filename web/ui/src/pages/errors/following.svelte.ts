/**
 * Errors as they come: what a search finds from now on, newest first, never more than a page holds. While it is paused what
 * comes waits, and what does not fit into the waiting is counted.
 */

import type { SearchHit, TailEvent } from "../../api/types";

/** Most errors that are shown, and most that wait. */
export const MAX_ROWS = 500;

export class Tail {
  rows = $state.raw<SearchHit[]>([]);
  waiting = $state.raw<SearchHit[]>([]);
  paused = $state(false);
  connected = $state(false);
  /** Errors that came and are not shown: more than can be read. */
  skipped = $state(0);

  /** Takes what one event told. */
  take(event: TailEvent): void {
    this.skipped += event.left_out + event.unseen;
    if (event.hits.length === 0) return;
    const fresh = event.hits.toReversed();
    if (this.paused) {
      const waiting = [...fresh, ...this.waiting];
      this.skipped += Math.max(0, waiting.length - MAX_ROWS);
      this.waiting = waiting.slice(0, MAX_ROWS);
    } else this.rows = [...fresh, ...this.rows].slice(0, MAX_ROWS);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.rows = [...this.waiting, ...this.rows].slice(0, MAX_ROWS);
    this.waiting = [];
  }

  /** Follows an address until the returned function is called. A stream that breaks is opened again by the browser. */
  follow(address: string): () => void {
    this.rows = [];
    this.waiting = [];
    this.skipped = 0;
    const source = new EventSource(address);
    source.onopen = () => (this.connected = true);
    source.onerror = () => (this.connected = false);
    source.addEventListener("errors", (event) => this.take(JSON.parse((event as MessageEvent<string>).data) as TailEvent));
    return () => source.close();
  }
}
