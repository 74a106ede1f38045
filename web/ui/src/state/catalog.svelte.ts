/** What the frame knows on every page: names of models and environments, and how many alerts fire. */

import { resource, type Resource } from "../api/resource.svelte";
import type { AlertsResponse, ModelsResponse } from "../api/types";

class Catalog {
  #models = $state.raw<Resource<ModelsResponse> | null>(null);
  #firing = $state.raw<Resource<AlertsResponse> | null>(null);

  /** To be called while the frame is set up. */
  start(): void {
    this.#models = resource<ModelsResponse>(() => "/api/v1/models?spark=false", { topics: () => ["models"], subject: () => "catalog", every_s: 15 });
    this.#firing = resource<AlertsResponse>(() => "/api/v1/alerts?state=firing", { topics: () => ["alerts"], subject: () => "firing" });
  }

  /** Whether the names have been read. */
  get known(): boolean {
    return this.#models?.data != null || this.#models?.error != null;
  }

  get models() {
    return this.#models?.data?.models ?? [];
  }

  get environments(): string[] {
    return this.#models?.data?.environments ?? [];
  }

  /** `null` until it is known. */
  get firing(): number | null {
    return this.#firing?.data?.alerts.length ?? null;
  }
}

export const catalog = new Catalog();
