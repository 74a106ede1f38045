// State lives in the address: it can be sent, and Back undoes it.
import { expect, firstModel, settled, test } from "../support/page.mjs";

test("range, live switch and Back", async ({ page }) => {
  await page.goto("/models");
  await page.getByRole("button", { name: /^Time range/ }).click();
  await page.getByRole("button", { name: "1 h", exact: true }).click();
  await expect(page).toHaveURL(/range=1h/);
  await page.getByRole("switch", { name: "Live" }).click();
  await expect(page).toHaveURL(/from=.*to=/);
  await expect(page.getByRole("switch", { name: "Live" })).toHaveAttribute("aria-checked", "false");
  await page.goBack();
  await expect(page).toHaveURL(/range=1h/);
  await expect(page.getByRole("switch", { name: "Live" })).toHaveAttribute("aria-checked", "true");
});

test("the range goes along to other pages", async ({ page }) => {
  await page.goto("/models?range=6h");
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: /^Errors/ }).click();
  await expect(page).toHaveURL(/\/errors\?.*range=6h/);
  await page.goBack();
  await expect(page).toHaveURL(/\/models\?range=6h/);
});

test("brushing one chart zooms all, Back returns", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}`);
  await settled(page);
  const box = await page.locator(".u-over").first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=.*to=/);
  const params = new URL(page.url()).searchParams;
  const hours = (Date.parse(params.get("to")) - Date.parse(params.get("from"))) / 3_600_000;
  expect(hours).toBeGreaterThan(6.5);
  expect(hours).toBeLessThan(8);
  await page.goBack();
  await expect(page).not.toHaveURL(/from=/);
});

test("the cross-hair is shared and names exact numbers", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.goto(`/models/${encodeURIComponent(model.name)}?range=7d`);
  await settled(page);
  const box = await page.locator(".u-over").nth(1).boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2);
  const hairs = page.locator(".u-cursor-x");
  await expect(hairs).toHaveCount(4);
  const places = await hairs.evaluateAll((all) => all.map((hair) => Math.round(hair.getBoundingClientRect().x)));
  expect(new Set(places).size, `${places}`).toBe(1);
  await expect(page.locator(".timeline .hair span")).toBeAttached();
});

test("a search can be narrowed, sent and undone", async ({ page }) => {
  await page.goto("/errors?range=7d");
  await settled(page);
  const total = await page.getByRole("status").filter({ hasText: "error" }).first().innerText();
  await page.locator(".facets button.value").first().click();
  await expect(page).toHaveURL(/q=model%3A/);
  const box = page.getByRole("searchbox", { name: "Search errors" });
  await expect(box).toHaveValue(/^model:/);
  await box.fill("no such word anywhere");
  await expect(page.getByText("No error matches in this range.")).toBeVisible();
  await page.goBack();
  await page.goBack();
  await expect(box).toHaveValue("");
  await expect(page.getByRole("status").filter({ hasText: "error" }).first()).toHaveText(new RegExp(total.split(" ")[0].replace(/\D/g, ".")));
});

test("filter, grouping and state of the list are in the address", async ({ page, request }) => {
  const model = await firstModel(request);
  await page.goto("/models");
  await page.getByRole("searchbox", { name: "Filter models" }).fill(model.name);
  await expect(page).toHaveURL(/filter=/);
  await expect(page.locator("tbody .name").first()).toHaveText(model.name);
  await page.getByRole("searchbox", { name: "Filter models" }).fill("no such model");
  await expect(page.getByText("No model matches.")).toBeVisible();
});
