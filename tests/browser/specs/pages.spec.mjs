// Each page at three widths in both themes: nothing complains, nothing is wider than the window, axe finds nothing.
import { expect, firstModel, overflow, settled, test, THEMES, violations, WIDTHS } from "../support/page.mjs";

const pages = [
  ["Models", () => "/models"],
  ["Models compared", (model, models) => `/models?compare=${encodeURIComponent(models.slice(0, 2).map((m) => `${m.environment}/${m.name}`).join("\n"))}`],
  ["Model, drift", (model) => `/models/${encodeURIComponent(model.name)}?range=7d`],
  ["Model, versions", (model) => `/models/${encodeURIComponent(model.name)}?tab=versions`],
  ["Model, actions", (model) => `/models/${encodeURIComponent(model.name)}?tab=actions`],
  ["Model, inferences", (model) => `/models/${encodeURIComponent(model.name)}?tab=inferences`],
  ["Errors", () => "/errors?range=7d"],
  ["Alerts", () => "/alerts"],
];

for (const [name, path] of pages) {
  test(`${name}: every width, both themes`, async ({ page, request }) => {
    const model = await firstModel(request);
    const { models } = await (await request.get("/api/v1/models?spark=false")).json();
    await page.goto(path(model, models));
    await settled(page);
    await expect(page.locator("h1").first()).toBeAttached();
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme });
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
        await settled(page);
        expect(await overflow(page), `${width} px: wider than the window`).toBeLessThanOrEqual(0);
        expect(await violations(page), `${width} px, ${theme}`).toEqual([]);
      }
    }
  });
}

test("one error opened, and one feature opened", async ({ page, request }) => {
  await page.goto("/errors?range=7d");
  await page.locator(".hits li a").first().click();
  await expect(page).toHaveURL(/hit=/);
  await expect(page.locator("aside.opened table tr").first()).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.reload();
  await expect(page.locator("aside.opened table tr").first()).toBeVisible();

  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}?range=7d`);
  await page.locator("table button[aria-expanded]").first().click();
  await expect(page.locator(".distribution .bin").first()).toBeVisible();
  await page.getByRole("button", { name: "Traffic and errors as a table" }).click();
  await expect(page.getByRole("region", { name: "Traffic and errors" }).locator("tbody tr").first()).toBeVisible();
  expect(await violations(page)).toEqual([]);
});

test("an unknown model and an unknown page say so", async ({ page }) => {
  page.allowConsole(/404/);
  await page.goto("/models/there-is-no-such-model");
  await expect(page.getByText("No inference has named this model.")).toBeVisible();
  await page.goto("/nothing/here");
  await expect(page.getByRole("heading", { name: "No such page" })).toBeVisible();
});

test("nothing jumps while a page is read", async ({ page, request }) => {
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  const model = await firstModel(request);
  for (const path of ["/models", `/models/${encodeURIComponent(model.name)}`, "/errors?range=7d", "/alerts"]) {
    await page.goto(path);
    await settled(page);
    // 0.1 is the bound that browsers call good; text that takes its place is below a tenth of it.
    expect(await page.evaluate(() => window.shifted), path).toBeLessThan(0.1);
  }
});
