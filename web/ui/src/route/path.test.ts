import { describe, expect, it } from "vitest";
import { address, alertPath, apiAddress, changed, environmentToken, modelPath, parsePath, readEnvironment, samePage } from "./path";

describe("paths", () => {
  it.each([
    ["/", { name: "models" }],
    ["/models", { name: "models" }],
    ["/models/employment", { name: "model", model: "employment" }],
    ["/errors", { name: "errors" }],
    ["/alerts", { name: "alerts", alert: null }],
    ["/alerts/alr_1", { name: "alerts", alert: "alr_1" }],
    ["/collection", { name: "collection" }],
    ["/collection/x", { name: "lost" }],
    ["/alerts/%E0%A4%A", { name: "lost" }],
    ["/alerts/a/b", { name: "lost" }],
    ["/models/a/b", { name: "lost" }],
    ["/models/%E0%A4%A", { name: "lost" }],
    ["/elsewhere", { name: "lost" }],
  ])("%s", (path, page) => expect(parsePath(path)).toEqual(page));

  it.each(["a/b", "<img src=x>", "100 %", "\u202eמודל", "?q=1#x", ".", "long-".repeat(200)])("a model called %s is found again", (model) => {
    expect(parsePath(modelPath(model))).toEqual({ name: "model", model });
  });

  it("an alert's address is read back", () => {
    expect(parsePath(alertPath("alr/1 %"))).toEqual({ name: "alerts", alert: "alr/1 %" });
    expect(alertPath(null)).toBe("/alerts");
  });

  it("opening an alert leaves the reader where they are, another model does not", () => {
    expect(samePage(parsePath("/alerts"), parsePath("/alerts/alr_1"))).toBe(true);
    expect(samePage(parsePath("/models/a"), parsePath("/models/a"))).toBe(true);
    expect(samePage(parsePath("/models/a"), parsePath("/models/b"))).toBe(false);
    expect(samePage(parsePath("/models/a"), parsePath("/models"))).toBe(false);
  });

  it.each(["", "production", "-", "--", "a-b", "-x"])("the environment %j is found again", (environment) => {
    const token = environmentToken(environment);
    expect(token).not.toBe("");
    expect(readEnvironment(token)).toBe(environment);
  });

  it("no environment at all means all of them", () => {
    expect(environmentToken(null)).toBeNull();
    expect(readEnvironment(null)).toBeNull();
    expect(readEnvironment("")).toBeNull();
  });

  it("asks the API for an unnamed environment, and for all by not naming any", () => {
    expect(apiAddress("/api/v1/models", { environment: "" })).toBe("/api/v1/models?environment=");
    expect(apiAddress("/api/v1/models", { environment: null })).toBe("/api/v1/models");
  });

  it("leaves out what is empty", () => {
    expect(address("/errors", { q: "a b&c", env: null, hit: "" })).toBe("/errors?q=a+b%26c");
    expect(address("/errors", {})).toBe("/errors");
  });

  it("changes only what is named", () => {
    expect(changed(new URLSearchParams("a=1&b=2"), { b: null, c: "3" }).toString()).toBe("a=1&c=3");
  });
});
