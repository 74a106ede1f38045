// A page that fails the test when the browser complains, and what several tests ask of it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test as base, expect } from "@playwright/test";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const WIDTHS = [390, 1024, 1440];
export const THEMES = ["light", "dark"];

/** `page` whose console errors, uncaught exceptions and refusals of the content security policy fail the test. */
export const test = base.extend({
  page: async ({ page }, use) => {
    const complaints = [];
    page.on("console", (message) => {
      if (message.type() === "error" && !allowed.some((pattern) => pattern.test(message.text()))) complaints.push(message.text());
    });
    page.on("pageerror", (error) => {
      const text = `uncaught ${error.stack ?? error}`;
      if (!allowed.some((pattern) => pattern.test(text))) complaints.push(text);
    });
    const allowed = [];
    page.allowConsole = (pattern) => allowed.push(pattern);
    await use(page);
    expect(complaints, "what the browser complained about").toEqual([]);
  },
});
export { expect };

/** The pages are answered from recorded data: what is told there, a running server need not have. */
export const recorded = process.env.DRIFTLEAD_URL === undefined;

const EVERY_RULE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What a theme changes: the colours. Every other rule is held to in the first theme. */
export const rulesOf = (theme) => (theme === THEMES[0] ? EVERY_RULE : { type: "rule", values: ["color-contrast", "link-in-text-block"] });

/** Violations of axe as lines that say where: on the whole page, or `within` what a selector names. */
export async function violations(page, rules = EVERY_RULE, within = "html") {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  return page.evaluate(async ({ rules, within }) => {
    const { violations } = await window.axe.run(within, {
      runOnly: rules,
      // What passes need not be described.
      resultTypes: ["violations"],
    });
    return violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")} ${node.failureSummary?.split("\n")[1]?.trim() ?? ""}`));
  }, { rules, within });
}

/** How far the page is wider than its window; wide tables scroll in their own box. */
export function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** The first model that has traffic, as the API lists it. */
export async function firstModel(request) {
  const { models } = await (await request.get("/api/v1/models?spark=false")).json();
  expect(models.length, "the server has models").toBeGreaterThan(0);
  return [...models].sort((a, b) => b.inferences - a.inferences).find((model) => /^[\w-]+$/.test(model.name)) ?? models[0];
}

/** Nothing is being read any more and the drawing has come to rest. */
export async function settled(page) {
  // Asked often: a page that is live reads again every few seconds, and an expectation would sleep through the rest.
  await page.waitForFunction(() => document.querySelector(".skeleton, .boot, header.bar[aria-busy=true]") === null, undefined, { polling: 50, timeout: 15_000 });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Nothing is wider than the window and axe finds nothing, on a desk and on a phone, in both themes. */
export async function sound(page, within) {
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme });
      await settled(page);
      expect(await overflow(page), `${width} px: wider than the window`).toBeLessThanOrEqual(0);
      expect(await violations(page, rulesOf(theme), within), `${width} px, ${theme}`).toEqual([]);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

/** The page as it is now, opened anew: with the live switch off nothing comes or goes while a test walks over it. */
export async function stopLive(page) {
  await page.getByRole("switch", { name: "Live" }).click();
  await expect(page).toHaveURL(/from=.*to=/);
  await page.goto(page.url());
  await settled(page);
}
