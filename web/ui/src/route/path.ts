/** Paths of the pages, both ways. Names in them may hold anything, a slash too. */

export type Page =
  | { name: "models" }
  | { name: "model"; model: string }
  | { name: "errors" }
  | { name: "alerts"; alert: string | null }
  | { name: "collection" }
  | { name: "lost" };

export function parsePath(path: string): Page {
  const parts = path.split("/").filter((part) => part !== "");
  const [first, second] = parts;
  if (first === undefined) return { name: "models" };
  if (first === "models" && second === undefined) return { name: "models" };
  if (first === "models" && second !== undefined && parts.length === 2) {
    const model = decode(second);
    return model === null ? { name: "lost" } : { name: "model", model };
  }
  if (first === "errors" && parts.length === 1) return { name: "errors" };
  if (first === "alerts" && second === undefined) return { name: "alerts", alert: null };
  if (first === "alerts" && second !== undefined && parts.length === 2) {
    const alert = decode(second);
    return alert === null ? { name: "lost" } : { name: "alerts", alert };
  }
  if (first === "collection" && parts.length === 1) return { name: "collection" };
  return { name: "lost" };
}

export function modelPath(model: string): string {
  return `/models/${encodeURIComponent(model)}`;
}

/** One alert among the others: messages link here, and so does the list. */
export function alertPath(id: string | null): string {
  return id === null ? "/alerts" : `/alerts/${encodeURIComponent(id)}`;
}

/** Whether both are one page for a reader, who stays where the page is scrolled to. */
export function samePage(a: Page, b: Page): boolean {
  return a.name === b.name && (a.name !== "model" || b.name !== "model" || a.model === b.model);
}

/**
 * An environment as the pages' addresses have it. There a parameter that is left out means all environments, so the
 * one of senders that state none, whose name is "", is written as a dash; names of nothing but dashes get one more.
 */
export function environmentToken(environment: string | null): string | null {
  if (environment === null) return null;
  return /^-*$/.test(environment) ? `${environment}-` : environment;
}

/** What a token stands for; `null` means all environments. */
export function readEnvironment(token: string | null): string | null {
  if (token === null || token === "") return null;
  return /^-+$/.test(token) ? token.slice(1) : token;
}

/** Path and parameters as one address of a page; `null` and "" are left out. */
export function address(path: string, params: Record<string, string | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) search.set(name, value);
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** An address of the API: there "" is a value, such as the environment of senders that state none; `null` is left out. */
export function apiAddress(path: string, params: Record<string, string | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value != null) search.set(name, value);
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** The present parameters with some replaced: what is `null` or "" goes. */
export function changed(params: URLSearchParams, changes: Record<string, string | null | undefined>): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  return next;
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
