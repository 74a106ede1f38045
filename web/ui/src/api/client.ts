/** Requests to the API of the server that sent this page. Every failure is an `ApiError` with words to show. */

import type { Problem, Session } from "./types";

/** Longer than the slowest query that a page makes; then it says so instead of waiting on. */
const TIMEOUT_MS = 30_000;

export class ApiError extends Error {
  /** 0 when no answer came. */
  readonly status: number;
  readonly detail: string | null;

  constructor(status: number, title: string, detail: string | null) {
    super(title);
    this.name = "ApiError";
    this.status = status;
    this.detail = detail;
  }
}

let csrf: string | null = null;
let signedOut: () => void = () => {};

/** What to do when a key was revoked or a session ended while the page was open. */
export function onSignedOut(call: () => void): void {
  signedOut = call;
}

/** The token that state-changing requests carry; it came with the session. */
export function useCsrf(token: string | null): void {
  csrf = token;
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return call<T>("GET", path, undefined, signal);
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return call<T>("POST", path, body);
}

export function remove(path: string): Promise<object> {
  return call<object>("DELETE", path);
}

export function signIn(key: string): Promise<Session> {
  return call<Session>("POST", "/api/v1/session", { key });
}

export function signOut(): Promise<Session> {
  return call<Session>("DELETE", "/api/v1/session");
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET" && csrf) headers["x-csrf-token"] = csrf;
  if (body !== undefined) headers["content-type"] = "application/json";
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const request: RequestInit = {
    method,
    headers,
    credentials: "same-origin",
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  if (body !== undefined) request.body = JSON.stringify(body);

  let response: Response;
  try {
    response = await fetch(path, request);
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new ApiError(0, timeout.aborted ? "timeout" : "unreachable", null);
  }
  if (response.ok) return (await response.json()) as T;
  if (response.status === 401 && path !== "/api/v1/session") signedOut();
  throw await problem(response);
}

async function problem(response: Response): Promise<ApiError> {
  try {
    const told = (await response.json()) as Partial<Problem>;
    return new ApiError(response.status, told.title ?? response.statusText, told.detail ?? null);
  } catch {
    return new ApiError(response.status, response.statusText || `HTTP ${response.status}`, null);
  }
}
