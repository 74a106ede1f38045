/** Paths of the pages, both ways. Names in them may hold anything, a slash too. */

export type Page =
  | { name: "models" }
  | { name: "model"; model: string }
  | { name: "errors" }
  | { name: "alerts" }
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
  if (first === "alerts" && parts.length <= 2) return { name: "alerts" };
  return { name: "lost" };
}

export function modelPath(model: string): string {
  return `/models/${encodeURIComponent(model)}`;
}

/** Path and parameters as one address; `null` and "" are left out. */
export function address(path: string, params: Record<string, string | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) search.set(name, value);
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
