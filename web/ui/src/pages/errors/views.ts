/** How errors are listed. */
export const VIEWS = ["list", "patterns", "tail"] as const;

export type View = (typeof VIEWS)[number];
