/** The script of each page, loaded when the page is opened: the first page that is shown waits for its own alone. */

import type { Page } from "../route/path";

export const SCRIPTS = {
  models: () => import("./models/Models.svelte"),
  model: () => import("./model/Model.svelte"),
  errors: () => import("./errors/Errors.svelte"),
  alerts: () => import("./alerts/Alerts.svelte"),
  collection: () => import("./collection/Collection.svelte"),
};

/** Begins to load a page's script while something else is waited for; whether it can be is told where it is shown. */
export function fetchAhead(page: Page["name"]): void {
  if (page !== "lost") SCRIPTS[page]().catch(() => {});
}
