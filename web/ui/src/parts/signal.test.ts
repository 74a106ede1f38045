import { describe, expect, it, vi } from "vitest";
import { signalUnit, written } from "./signal";

// Words ask the browser for its language when they are loaded.
vi.hoisted(() => vi.stubGlobal("navigator", { language: "en-GB" }));

describe("signals with their units", () => {
  it.each([
    ["duplicate_ratio", 0.043, "4.3\u202f%"],
    ["conversion_lift", -0.052, "−5.2\u202f%"],
    ["sample_ratio_mismatch", 0.013, "1.3\u202f%"],
    ["new_cluster_ratio", 0.21, "21\u202f%"],
    ["embedding_staleness", 0.031, "3.1\u202f%"],
    ["stale_token_ratio", 0.4, "40\u202f%"],
    ["neighbours_kept", 0.87, "87\u202f%"],
    ["embedding_shift", 0.031, "3.1\u202f%"],
    ["mmd", 0.00213, "0.00213"],
    ["mmd", -0.0001, "−0.0001"],
    ["domain_auc", 0.5, "0.5"],
    ["embedding_age_days", 1.5, "1\u202fd 12\u202fh"],
    ["latency_p95_ms", 412, "412\u202fms"],
    ["duplicate_ratio", null, "–"],
  ])("%s %s is %s", (signal, value, text) => expect(written(signal, value)).toBe(text));

  it("a score has no unit", () => expect(signalUnit("f1")).toBe("plain"));
});
