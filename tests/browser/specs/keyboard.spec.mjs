// Everything by keyboard.
import { expect, firstModel, settled, stopLive, test, violations } from "../support/page.mjs";

test("Ctrl K finds a model, a page and an error", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.goto("/alerts");
  await settled(page);
  await page.keyboard.press("Control+k");
  await page.keyboard.type(model.name);
  await expect(page.getByRole("listbox").getByRole("option").first()).toContainText(model.name);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/models/${model.name}`));
  await page.keyboard.press("Control+k");
  await page.keyboard.type("timeout of nothing");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/errors\?.*q=timeout/);
});

test("keys: help, search, pages, live, rail", async ({ page }) => {
  await page.goto("/models");
  await settled(page);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.keyboard.press("/");
  await expect(page.getByRole("searchbox", { name: "Filter models" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await expect(page).toHaveURL(/\/errors/);
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  await expect(page).toHaveURL(/\/alerts/);
  await page.keyboard.press("l");
  await expect(page.getByRole("switch", { name: "Live" })).toHaveAttribute("aria-checked", "false");
  await page.keyboard.press("[");
  await expect(page.locator("nav.rail")).toHaveClass(/narrow/);
});

test("errors: j and k walk, Enter opens, Escape closes", async ({ page }) => {
  await page.goto("/errors?range=7d");
  await settled(page);
  await stopLive(page);
  // Walking over what was found does not search again: the list would shift under the reader.
  const searches = [];
  page.on("request", (request) => new URL(request.url()).pathname === "/api/v1/search" && searches.push(request.url()));
  await page.keyboard.press("j");
  await expect(page.locator(".hits li a").first()).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("aside.opened")).toBeVisible();
  await page.keyboard.press("j");
  await expect(page.locator(".hits li").nth(1)).toHaveClass(/selected/);
  await page.keyboard.press("Escape");
  await expect(page.locator("aside.opened")).toHaveCount(0);
  expect(searches).toEqual([]);
});

test("the search box offers fields and values while it is typed in", async ({ page }) => {
  await page.goto("/errors?range=7d");
  await settled(page);
  const box = page.getByRole("combobox", { name: "Search errors" });
  await page.keyboard.press("/");
  await expect(box).toBeFocused();
  await page.keyboard.type("sev");
  const offers = page.getByRole("listbox", { name: "What may follow" });
  await expect(offers.getByRole("option").first()).toHaveText("severity:");
  await page.keyboard.press("ArrowDown");
  await expect(box).toHaveAttribute("aria-activedescendant", "search-offer-0");
  await page.keyboard.press("Enter");
  await expect(box).toHaveValue("severity:");
  await expect(offers.getByRole("option").first()).toBeVisible();
  const value = await offers.getByRole("option").first().locator("span").first().textContent();
  await page.keyboard.press("ArrowDown");
  expect(await violations(page)).toEqual([]);
  await page.keyboard.press("Enter");
  await expect(box).toHaveValue(`severity:${value} `);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/q=severity/);
  await expect(page.locator(".hits li a").first()).toBeVisible();
  // What is not wanted goes away, and the box keeps the focus.
  await page.keyboard.type("mod");
  await expect(offers.getByRole("option").first()).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(offers).toBeHidden();
  await expect(box).toBeFocused();
});

test("an opened error has the focus and gives it back", async ({ page }) => {
  await page.goto("/errors?range=7d");
  await settled(page);
  await stopLive(page);
  const first = page.locator(".hits li a").first();
  const id = await first.getAttribute("id");
  await first.focus();
  await page.keyboard.press("Enter");
  await expect(page.locator("aside.opened")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.locator(`[id="${id}"]`)).toBeFocused();
  await page.keyboard.press("Enter");
  await page.locator("aside.opened").getByRole("button", { name: "Close" }).click();
  await expect(page.locator(`[id="${id}"]`)).toBeFocused();
});

test("on a phone nothing behind an opened error is reached", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto("/errors?range=7d");
  await settled(page);
  await page.locator(".hits li a").first().click();
  await expect(page.locator("aside.opened")).toBeFocused();
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const outside = await page.evaluate(() => document.activeElement !== document.body && !document.activeElement.closest("aside.opened"));
    expect(outside, `after ${i + 1} Tabs`).toBe(false);
  }
  await page.keyboard.press("Escape");
  await expect(page.locator("aside.opened")).toHaveCount(0);
  await expect(page.locator("[inert]")).toHaveCount(0);
});

test("another page is where the keyboard goes on", async ({ page }) => {
  await page.goto("/models");
  await settled(page);
  await page.locator("tbody a.name").first().focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/models\/./);
  await expect(page.locator("main")).toBeFocused();
});

test("a chart's cross-hair moves by arrows, tabs by arrows", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}?range=7d`);
  await settled(page);
  await page.locator(".plot").first().focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Shift+ArrowLeft");
  await expect(page.locator(".timeline .hair span")).toBeAttached();
  await page.getByRole("tab", { name: "Drift" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "Quality", exact: true })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: /^Segments/ })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "Data quality" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "Embeddings" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: /^Versions/ })).toBeFocused();
  await expect(page).toHaveURL(/tab=versions/);
  await page.keyboard.press("End");
  await expect(page.getByRole("tab", { name: "Inferences" })).toBeFocused();
  await page.keyboard.press(" ");
  await expect(page).toHaveURL(/tab=inferences/);
  await page.keyboard.press("Home");
  await expect(page.getByRole("tab", { name: "Drift" })).toBeFocused();
});

test("the map of data quality is walked by arrows, one stop of Tab", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}?tab=data-quality`);
  await settled(page);
  await stopLive(page);
  const grid = page.getByRole("grid");
  await expect(grid.locator("[tabindex='0']")).toHaveCount(1);
  await grid.locator("[tabindex='0']").focus();
  await expect(page.locator("p.read")).toContainText("Open its drift");
  await page.keyboard.press("ArrowRight");
  await expect(grid.locator("tbody tr").first().locator("td").first()).toBeFocused();
  await page.keyboard.press("End");
  await expect(grid.locator("tbody tr").first().locator("td").last()).toBeFocused();
  await page.keyboard.press("ArrowDown");
  const second = grid.locator("tbody tr").nth(1).locator("td").last();
  await expect(second).toBeFocused();
  await expect(grid.locator("[tabindex='0']")).toHaveCount(1);
  // What is read out is what is shown.
  await expect(page.locator("p.read")).toContainText((await second.locator(".sr").textContent()).trim());
  await page.keyboard.press("Control+Home");
  await expect(grid.locator("tbody a").first()).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/feature=/);
});

for (const path of ["/models", "model", "model, quality", "model, data quality", "/errors?range=7d", "/alerts", "/collection"]) {
  test(`Tab reaches everything on ${path} and shows where it is`, async ({ page, request }) => {
    const tab = { model: "versions", "model, quality": "quality", "model, data quality": "data-quality" }[path];
    await page.goto(tab ? `/models/${encodeURIComponent((await firstModel(request)).name)}?tab=${tab}` : path);
    await settled(page);
    if (path.startsWith("/errors")) await stopLive(page);
    // What is read again while the keys are pressed would exchange the elements that are counted.
    await page.route("**/api/v1/live", (route) => route.abort());
    const expected = await page.evaluate(() => {
      const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")].filter(
        (element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility({ checkVisibilityCSS: true }) && element.type !== "radio",
      );
      all.forEach((element, i) => (element.dataset.walk = String(i)));
      return all.length;
    });
    const seen = new Set();
    const unmarked = [];
    for (let i = 0; i < expected + 3; i++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const element = document.activeElement;
        const style = getComputedStyle(element);
        return { walk: element?.dataset.walk, marked: style.outlineStyle !== "none" || element.matches(".skip"), name: element?.outerHTML.slice(0, 120) };
      });
      if (at.walk === undefined) continue;
      seen.add(at.walk);
      if (!at.marked) unmarked.push(at.name);
    }
    expect(unmarked, "focus that cannot be seen").toEqual([]);
    expect(seen.size, `reached ${seen.size} of ${expected}`).toBeGreaterThanOrEqual(expected - 1);
  });
}
