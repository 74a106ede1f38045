/** The pages that exist, in the order of the rail; what is not built is not shown. */

import type { Key } from "../i18n/i18n.svelte";
import type { IconName } from "../parts/Icon.svelte";

export const PAGES: { name: "models" | "errors" | "alerts" | "collection"; path: string; icon: IconName; key: string; label: Key }[] = [
  { name: "models", path: "/models", icon: "models", key: "m", label: "nav.models" },
  { name: "errors", path: "/errors", icon: "errors", key: "e", label: "nav.errors" },
  { name: "alerts", path: "/alerts", icon: "alerts", key: "a", label: "nav.alerts" },
  { name: "collection", path: "/collection", icon: "collection", key: "c", label: "nav.collection" },
];
