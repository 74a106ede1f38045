/** Who reads, and what they may do. */

import { get, onSignedOut, signIn, signOut, useCsrf } from "../api/client";
import type { Scope, Session } from "../api/types";

class SessionState {
  /** `null` until the server has said. */
  now = $state.raw<Session | null>(null);

  async start(): Promise<void> {
    onSignedOut(() => void this.#ask());
    await this.#ask();
  }

  async #ask(): Promise<void> {
    try {
      this.#take(await get<Session>("/api/v1/session"));
    } catch {
      // The frame says that the server does not answer; the pages go on asking.
      this.#take({ required: false, signed_in: false, scopes: [], label: null, csrf: null });
    }
  }

  async signIn(key: string): Promise<void> {
    this.#take(await signIn(key));
  }

  async signOut(): Promise<void> {
    this.#take(await signOut());
  }

  may(scope: Scope): boolean {
    const session = this.now;
    if (!session) return false;
    return !session.required || session.scopes.includes(scope) || session.scopes.includes("admin");
  }

  #take(session: Session): void {
    useCsrf(session.csrf);
    this.now = session;
  }
}

export const session = new SessionState();
