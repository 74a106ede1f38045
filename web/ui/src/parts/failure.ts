import { ApiError } from "../api/client";
import { of } from "../i18n/i18n.svelte";

/** Why something could not be done, in words to show. */
export function failureWords(failure: unknown): string {
  if (!(failure instanceof ApiError)) return String(failure);
  return failure.status === 0 ? of("failure", failure.message) : (failure.detail ?? failure.message);
}
