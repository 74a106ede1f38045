import { describe, expect, it } from "vitest";
import { address, changed, modelPath, parsePath } from "./path";

describe("paths", () => {
  it.each([
    ["/", { name: "models" }],
    ["/models", { name: "models" }],
    ["/models/employment", { name: "model", model: "employment" }],
    ["/errors", { name: "errors" }],
    ["/alerts", { name: "alerts" }],
    ["/alerts/alr_1", { name: "alerts" }],
    ["/models/a/b", { name: "lost" }],
    ["/models/%E0%A4%A", { name: "lost" }],
    ["/elsewhere", { name: "lost" }],
  ])("%s", (path, page) => expect(parsePath(path)).toEqual(page));

  it.each(["a/b", "<img src=x>", "100 %", "\u202eמודל", "?q=1#x", ".", "long-".repeat(200)])("a model called %s is found again", (model) => {
    expect(parsePath(modelPath(model))).toEqual({ name: "model", model });
  });

  it("leaves out what is empty", () => {
    expect(address("/errors", { q: "a b&c", env: null, hit: "" })).toBe("/errors?q=a+b%26c");
    expect(address("/errors", {})).toBe("/errors");
  });

  it("changes only what is named", () => {
    expect(changed(new URLSearchParams("a=1&b=2"), { b: null, c: "3" }).toString()).toBe("a=1&c=3");
  });
});
