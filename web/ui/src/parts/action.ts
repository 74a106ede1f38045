/** Where an action stands, as a tone and as steps. */

import type { Action, ActionKind, ActionState, HealthState } from "../api/types";

export function actionTone(state: ActionState): HealthState | "info" {
  switch (state) {
    case "confirmed":
    case "done":
      return "ok";
    case "asked":
    case "unobserved":
    case "undone":
      return "warning";
    case "overdue":
    case "failed":
      return "critical";
    case "dismissed":
      return "unknown";
    case "requested":
    case "accepted":
      return "info";
  }
}

/** Not finished: its state is still moving or waits for a person. */
export function isOpen(state: ActionState): boolean {
  return state === "asked" || state === "requested" || state === "accepted";
}

export interface Step {
  state: ActionState;
  /** `null` while it has not been reached. */
  at: string | null;
}

const WAY: Record<ActionKind, ActionState[]> = {
  rollback: ["requested", "accepted", "confirmed"],
  retrain: ["requested", "accepted", "done"],
};

/** The steps taken, in their order, and those that are still to come when it goes well. */
export function steps(action: Pick<Action, "kind" | "state" | "events" | "requested_at">): Step[] {
  const taken: Step[] = action.events.map((event) => ({ state: event.state, at: event.at }));
  if (taken.length === 0) taken.push({ state: action.state, at: action.requested_at });
  if (!isOpen(action.state)) return taken;
  const reached = WAY[action.kind].indexOf(action.state);
  return [...taken, ...WAY[action.kind].slice(reached + 1).map((state) => ({ state, at: null }))];
}
