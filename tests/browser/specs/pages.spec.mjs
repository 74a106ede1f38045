// Each page at three widths in both themes: nothing complains, nothing is wider than the window, axe finds nothing.
import { expect, firstModel, overflow, recorded, rulesOf, settled, test, THEMES, violations, WIDTHS } from "../support/page.mjs";

const pages = [
  ["Models", () => "/models"],
  ["Models compared", (model, models) => `/models?compare=${encodeURIComponent(models.slice(0, 2).map((m) => `${m.environment}/${m.name}`).join("\n"))}`],
  ["Model, drift", (model) => `/models/${encodeURIComponent(model.name)}?range=7d`],
  ["Model, quality", (model) => `/models/${encodeURIComponent(model.name)}?tab=quality`],
  ["Model, data quality by hour", (model) => `/models/${encodeURIComponent(model.name)}?tab=data-quality`],
  ["Model, data quality by day", (model) => `/models/${encodeURIComponent(model.name)}?tab=data-quality&range=7d`],
  ["Model, embeddings", (model) => `/models/${encodeURIComponent(model.name)}?tab=embeddings`],
  ["Model, segments", (model) => `/models/${encodeURIComponent(model.name)}?tab=segments`],
  ["Model, versions", (model) => `/models/${encodeURIComponent(model.name)}?tab=versions`],
  ["Model, actions", (model) => `/models/${encodeURIComponent(model.name)}?tab=actions`],
  ["Model, inferences", (model) => `/models/${encodeURIComponent(model.name)}?tab=inferences`],
  ["Errors", () => "/errors?range=7d"],
  ["Errors in columns", () => "/errors?range=7d&columns=service,version,error_type,attributes.ml.request.id"],
  ["Errors by pattern", () => "/errors?range=7d&view=patterns"],
  ["Errors of two versions", () => "/errors?range=7d&view=versions"],
  ["Alerts", () => "/alerts"],
  ["Collection", () => "/collection"],
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
        // Between a phone and a desk nothing is shown that neither of them shows.
        if (width !== 1024) expect(await violations(page, rulesOf(theme)), `${width} px, ${theme}`).toEqual([]);
      }
    }
  });
}

test("a model that is critical, and the question before a rollback", async ({ page }) => {
  // What a running server happens to show is well: the state is told by recorded answers only.
  test.skip(!recorded, "needs the recorded story");
  await page.goto("/models/employment");
  await settled(page);
  await expect(page.locator(".reasons a.critical").first()).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.getByRole("button", { name: "Roll back to 1.0" }).first().click();
  await expect(page.getByRole("dialog")).toBeVisible();
  expect(await violations(page)).toEqual([]);
  // The page's keys do nothing under it.
  await page.getByRole("button", { name: "Cancel" }).focus();
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await expect(page).toHaveURL(/\/models\/employment/);
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("no model yet: first steps, which turn into the model", async ({ page }) => {
  let arrived = false;
  await page.route("**/api/v1/models?*", (route) => (arrived ? route.continue() : route.fulfill({ json: { at: new Date().toISOString(), models: [], environments: [] } })));
  await page.route("**/api/v1/models", (route) => (arrived ? route.continue() : route.fulfill({ json: { at: new Date().toISOString(), models: [], environments: [] } })));
  await page.goto("/models");
  await settled(page);
  await expect(page.getByRole("heading", { name: "Send a first inference" })).toBeVisible();
  await expect(page.getByText("Waiting for the first inference")).toBeVisible();
  for (const language of ["Python", "Node.js", "curl"]) {
    await page.getByRole("link", { name: language, exact: true }).click();
    await expect(page.locator("pre").last()).toContainText("ml.model.name");
    await expect(page.locator("pre").last()).not.toContainText("0.0.0.0");
  }
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    await settled(page);
    expect(await overflow(page), `${width} px: wider than the window`).toBeLessThanOrEqual(0);
    expect(await violations(page), `${width} px`).toEqual([]);
  }
  arrived = true;
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await expect(page.locator("tbody a.name").first()).toBeVisible();
});

test("models are compared on a phone too", async ({ page, request }) => {
  const { models } = await (await request.get("/api/v1/models?spark=false")).json();
  test.skip(models.length < 2, "one model only");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto("/models");
  await settled(page);
  await page.locator(".pick input").nth(0).check();
  await page.locator(".pick input").nth(1).check();
  await expect(page.getByRole("region", { name: "Compare" })).toBeVisible();
  expect(await violations(page)).toEqual([]);
});

test("errors by pattern: the new ones, and the errors of one", async ({ page }) => {
  await page.goto("/errors?range=7d");
  await settled(page);
  await page.getByRole("tab", { name: "Errors", exact: true }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "Patterns" })).toBeFocused();
  await expect(page).toHaveURL(/view=patterns/);
  const patterns = page.getByRole("list", { name: "Patterns of messages" }).getByRole("listitem");
  await expect(patterns.first()).toBeVisible();
  if (recorded) {
    await expect(patterns).toHaveCount(4);
    await page.getByRole("link", { name: "Only new ones" }).click();
    await expect(patterns).toHaveCount(1);
    await expect(patterns.first()).toContainText("New in 1.1");
    await page.goBack();
  }
  const template = await patterns.first().locator("a.template").textContent();
  await patterns.first().locator("a.template").click();
  await expect(page).toHaveURL(/q=pattern_id/);
  await expect(page.locator(".hits li a").first()).toBeVisible();
  await expect(page.locator(".facets li.chosen")).toContainText(template.slice(0, 40));
  await page.locator(".hits li a").first().click();
  await expect(page.locator("aside.opened").getByRole("link", { name: "Same pattern" })).toBeVisible();
});

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

test("quality: measured beside estimated, and which answers were wrong", async ({ page, request }) => {
  const model = await firstModel(request);
  const path = `/models/${encodeURIComponent(model.name)}`;
  // Of a version that serves only now no window has ended yet: the one with the most labels is looked at.
  const quality = await (await request.get(`/api/v1${path}/quality?from=${new Date(Date.now() - 4 * 86_400_000).toISOString()}`)).json();
  expect(quality.confusion, "the server has labels").not.toBeNull();
  await page.goto(`${path}?tab=quality&range=4d&version=${encodeURIComponent(quality.version)}`);
  await settled(page);
  const matrix = page.getByRole("region", { name: "Confusion matrix" }).locator("tbody tr");
  await expect(matrix).toHaveCount(quality.confusion.counts.length);
  await expect(matrix.first().locator("td").first()).toContainText("%");
  await expect(page.getByRole("region", { name: "Classes" }).locator("tbody tr")).toHaveCount(quality.confusion.classes.length);
  await expect(page.getByRole("region", { name: "Calibration" }).locator("tbody tr")).toHaveCount(quality.calibration.bins.length);
  const f1 = page.getByRole("group", { name: "F1", exact: true });
  await f1.getByRole("button", { name: "F1 as a table" }).click();
  await expect(f1.locator("tbody tr").first()).toContainText("n ");
  if (!recorded) return;
  await page.goto("/models/employment?tab=quality");
  await settled(page);
  await expect(f1.locator(".key li")).toContainText(["F1 · 1.1", "F1 estimated · 1.1", ""]);
  await expect(page.getByText("Switched off: labels contradicted it in 3 of the last 10 windows").first()).toBeVisible();
  await expect(page.getByText("off by").first()).toBeVisible();
  await page.getByRole("combobox", { name: /^Version/ }).selectOption("1.0");
  await expect(page).toHaveURL(/version=1\.0/);
  await expect(page.getByText("51,020 of 64,120 inferences have their label")).toBeVisible();
});

test("quality without labels says what to send, and writes no zero", async ({ page }) => {
  test.skip(!recorded, "needs a model without labels");
  await page.goto("/models/churn?tab=quality");
  await settled(page);
  const panel = page.getByRole("tabpanel");
  await expect(panel).toContainText("POST /api/v1/outcomes");
  await expect(panel).toContainText("No labels yet");
  await expect(panel.getByRole("table")).toHaveCount(0);
  await expect(panel).not.toContainText("0 %");
});

test("a feature in the map of data quality leads to its drift", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}?tab=data-quality`);
  await settled(page);
  const cell = page.getByRole("grid").locator("td:not(.gap)").last();
  await cell.hover();
  await expect(page.locator("p.read")).toContainText("records");
  expect(await violations(page, undefined, ".panel")).toEqual([]);
  await page.getByRole("link", { name: "New values" }).click();
  await expect(page).toHaveURL(/ratio=new_category_ratio/);
  await page.getByRole("link", { name: "Missing", exact: true }).click();
  const link = page.getByRole("grid").locator("tbody a").last();
  const feature = await link.getAttribute("title");
  await link.click();
  await expect(page).toHaveURL(/feature=/);
  await expect(page.getByRole("tab", { name: "Drift" })).toHaveAttribute("aria-selected", "true");
  const row = page.locator(`[id="feature-${feature}"]`);
  await expect(row).toBeFocused();
  await expect(row).toBeInViewport();
  await expect(page.locator(".distribution")).toBeVisible();
});

test("on a phone the first number of an opened feature stands below its name", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`/models/${encodeURIComponent(model.name)}?range=7d`);
  await settled(page);
  await page.locator("table button[aria-expanded]").first().click();
  await expect(page.locator(".distribution .bin").first()).toBeVisible();
  const left = (selector) => page.locator(selector).first().evaluate((element) => element.getBoundingClientRect().left);
  expect(Math.abs((await left("tr.isOpen td.strong")) - (await left("tr.isOpen td.feature")))).toBeLessThan(1);
  expect(Math.abs((await left("tr.isOpen td.strong")) - (await left("tr.isOpen td.bar")))).toBeLessThan(1);
});

test("an unknown model and an unknown page say so", async ({ page }) => {
  page.allowConsole(/404/);
  await page.goto("/models/there-is-no-such-model");
  await expect(page.getByText("No inference has named this model.")).toBeVisible();
  for (const path of ["/nothing/here", "/alerts/a/b"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { name: "No such page" })).toBeVisible();
  }
});

test("a model that is not in the chosen environment is found where it is", async ({ page, request }) => {
  page.allowConsole(/404/);
  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}?env=no-such-environment`);
  await expect(page.getByText("This model is not in no-such-environment.")).toBeVisible();
  await page.locator(".elsewhere a").first().click();
  await settled(page);
  await expect(page.locator("header dl")).toBeVisible();
});

test("a page that breaks says so, the others go on, and it can be tried again", async ({ page }) => {
  page.allowConsole(/uncaught/);
  let broken = true;
  await page.route(/\/api\/v1\/alerts\?.*limit=200/, (route) => (broken ? route.fulfill({ json: { alerts: [null] } }) : route.continue()));
  await page.goto("/alerts");
  await expect(page.getByRole("heading", { name: "This page broke" })).toBeVisible();
  expect(await violations(page)).toEqual([]);
  broken = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "Alerts" })).toBeVisible();
});

test("nothing jumps while a page is read", async ({ page, request }) => {
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  const model = await firstModel(request);
  for (const path of ["/models", `/models/${encodeURIComponent(model.name)}`, "/errors?range=7d", "/alerts", "/collection"]) {
    await page.goto(path);
    await settled(page);
    // 0.1 is the bound that browsers call good; text that takes its place is below a tenth of it.
    expect(await page.evaluate(() => window.shifted), path).toBeLessThan(0.1);
  }
});
