// Language, theme, and what is shown while the server is away.
import { expect, firstModel, settled, test } from "../support/page.mjs";

test("Russian, chosen and kept", async ({ page }) => {
  await page.goto("/models");
  await settled(page);
  await page.getByRole("button", { name: "Settings of this browser" }).click();
  await page.getByRole("radio", { name: "Русский" }).check();
  await expect(page.getByRole("heading", { name: "Модели" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Модели" })).toBeVisible();
  await expect(page.locator("html")).toHaveAttribute("lang", "ru");
});

test("a browser that speaks Russian is answered in Russian", async ({ browser, baseURL }) => {
  const context = await browser.newContext({ locale: "ru-RU", baseURL });
  const page = await context.newPage();
  await page.goto("/alerts");
  await expect(page.getByRole("heading", { name: "Тревоги" })).toBeVisible();
  await context.close();
});

test("a chosen theme stays, whatever the system says", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/models");
  await settled(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.keyboard.press("t");
  await page.keyboard.press("t");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  expect(await ground()).toBe(dark);
});

test("without server-sent events the page polls", async ({ page }) => {
  page.allowConsole(/ERR_FAILED|live/);
  await page.route("**/api/v1/live", (route) => route.abort());
  let polled = 0;
  await page.route("**/api/v1/status", (route) => {
    polled += 1;
    return route.continue();
  });
  await page.goto("/models");
  await settled(page);
  await expect.poll(() => polled, { timeout: 20_000 }).toBeGreaterThan(1);
});

test("a server that goes away is named, and what was read stays", async ({ page }) => {
  page.allowConsole(/ERR_FAILED|Failed to load/);
  await page.goto("/models");
  await settled(page);
  const rows = await page.locator("tbody tr").count();
  await page.route("**/api/**", (route) => route.abort());
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await expect(page.getByRole("button", { name: "Driftlead itself: Does not answer" })).toBeVisible({ timeout: 30_000 });
  expect(await page.locator("tbody tr").count()).toBe(rows);
});

test("a part of the pages that cannot be loaded says so, and is loaded when it is tried again", async ({ page, request }) => {
  page.allowConsole(/ERR_FAILED|Failed to load/);
  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}?range=7d`);
  await settled(page);
  await page.route("**/assets/DataQuality-*.js", (route) => route.abort());
  await page.getByRole("tab", { name: "Data quality" }).click();
  await expect(page.getByRole("tabpanel").getByRole("alert")).toContainText("Could not be loaded");
  // The other tabs work meanwhile.
  await page.getByRole("tab", { name: "Drift" }).click();
  await expect(page.getByRole("tabpanel").getByRole("alert")).toHaveCount(0);
  await page.getByRole("tab", { name: "Data quality" }).click();
  await page.unroute("**/assets/DataQuality-*.js");
  await page.getByRole("tabpanel").getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("grid")).toBeVisible();
  await expect(page).toHaveURL(/tab=data-quality/);
});
