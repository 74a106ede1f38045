/** How errors are listed. */
export const VIEWS = ["list", "patterns", "tail", "versions"] as const;

export type View = (typeof VIEWS)[number];
