// The map of embeddings, and the clusters that are found in them.
import { expect, firstModel, recorded, settled, sound, test } from "../support/page.mjs";

const MODEL = "/models/support-intents";

test("a model without embeddings says what to send, and draws nothing", async ({ page, request }) => {
  const model = await firstModel(request);
  const path = `/models/${encodeURIComponent(model.name)}`;
  const answer = await (await request.get(`/api/v1${path}/drift/embeddings`)).json();
  expect(answer.unknown, "the model sends no embeddings").toBe("no_embeddings");
  await page.goto(`${path}?tab=embeddings`);
  await settled(page);
  const panel = page.getByRole("tabpanel");
  await expect(panel).toContainText("No inference in this window carries an embedding");
  await expect(panel).toContainText("ml.embedding");
  await expect(panel.locator("canvas")).toHaveCount(0);
  await expect(panel).not.toContainText("0 %");
  await sound(page, ".panel");
});

test("a box on the map tells how much more of the window lies in it, and lists what does", async ({ page }) => {
  test.skip(!recorded, "needs a model that sends embeddings");
  await page.goto(`${MODEL}?tab=embeddings`);
  await settled(page);
  const panel = page.getByRole("tabpanel");
  await expect(panel.getByText("31 % of the variance")).toBeVisible();
  await expect(panel.locator("dl")).toContainText("Too few records to say anything");
  const map = panel.getByRole("img", { name: /^Map of embeddings: 1,000 points of the reference and 1,000 of the window/ });
  await map.scrollIntoViewIfNeeded();
  const place = await map.boundingBox();
  await page.mouse.move(place.x + place.width * 0.55, place.y + 10);
  await page.mouse.down();
  await page.mouse.move(place.x + place.width - 10, place.y + place.height * 0.5, { steps: 4 });
  await page.mouse.up();
  await expect(page).toHaveURL(/box=/);
  await expect(panel.getByRole("status")).toContainText(/In the box lie .* of the window and .* of the reference\. The window has .* percentage points more of it/);
  await expect(panel.locator("tbody tr")).toHaveCount(50);
  await sound(page, ".panel");
  await page.reload();
  await expect(panel.locator("tbody tr")).toHaveCount(50);
  // What lies in the box is opened as an inference, and Back leads to the box.
  const id = (await panel.locator("tbody a").first().textContent()).trim();
  await panel.locator("tbody a").first().click();
  await expect(page).toHaveURL(/tab=inferences/);
  await expect(panel.locator("tr.detail")).toBeVisible();
  await expect(panel).toContainText(`The inference ${id}`);
  await page.goBack();
  await map.focus();
  await page.keyboard.press("Escape");
  await expect(page).not.toHaveURL(/box=/);
  await expect(panel.getByRole("table")).toHaveCount(0);
});

test("the map is marked by keyboard", async ({ page }) => {
  test.skip(!recorded, "needs a model that sends embeddings");
  await page.goto(`${MODEL}?tab=embeddings`);
  await settled(page);
  const panel = page.getByRole("tabpanel");
  const map = panel.getByRole("img");
  await map.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await expect(panel).toContainText("Now the opposite corner");
  // Given up, and begun anew.
  await page.keyboard.press("Escape");
  await expect(panel).not.toContainText("Now the opposite corner");
  await page.keyboard.press("Enter");
  for (let i = 0; i < 4; i++) await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("Shift+ArrowUp");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/box=/);
  await panel.getByRole("button", { name: "Clear the box" }).click();
  await expect(page).not.toHaveURL(/box=/);
});

test("the map is marked by two taps", async ({ browser, baseURL }) => {
  test.skip(!recorded, "needs a model that sends embeddings");
  const context = await browser.newContext({ baseURL, locale: "en-GB", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const page = await context.newPage();
  await page.goto(`${MODEL}?tab=embeddings`);
  await settled(page);
  const panel = page.getByRole("tabpanel");
  await panel.getByRole("img").tap({ position: { x: 230, y: 40 } });
  await expect(panel).toContainText("Now the opposite corner");
  await panel.getByRole("img").tap({ position: { x: 340, y: 150 } });
  await expect(page).toHaveURL(/box=/);
  await expect(panel.getByRole("status")).toContainText("In the box lie");
  await context.close();
});

test("sides are hidden and points coloured by label, which the address keeps", async ({ page }) => {
  test.skip(!recorded, "needs a model that sends embeddings");
  await page.goto(`${MODEL}?tab=embeddings`);
  await settled(page);
  const panel = page.getByRole("tabpanel");
  await panel.getByRole("button", { name: /^Reference/ }).click();
  await expect(panel.getByRole("button", { name: /^Reference/ })).toHaveAttribute("aria-pressed", "false");
  await panel.getByRole("link", { name: "Label" }).click();
  await expect(page).toHaveURL(/without=reference.*colour=label/);
  await page.reload();
  await expect(panel.getByRole("list", { name: "Label" }).getByRole("listitem")).toHaveCount(6);
  await expect(panel.getByRole("list", { name: "Label" })).toContainText("all others");
});

test("clusters say what is typical of them; switched off, how to switch them on", async ({ page, request }) => {
  const model = await firstModel(request);
  const path = `/models/${encodeURIComponent(model.name)}`;
  const { of } = await (await request.get(`/api/v1${path}/clusters`)).json();
  await page.goto(`${path}?tab=segments`);
  await settled(page);
  const clusters = page.getByRole("region", { name: "Clusters" });
  if (of === null) await expect(clusters).toContainText('clusters = "features"');
  else await expect(clusters.getByRole("button", { name: "Find clusters anew…" })).toBeVisible();
  if (!recorded) return;
  await page.goto("/models/churn?tab=segments");
  await expect(clusters).toContainText('clusters = "embeddings"');
  await expect(clusters.getByRole("button")).toHaveCount(0);
  await page.goto(`${MODEL}?tab=segments`);
  await expect(clusters.locator("tbody tr")).toHaveCount(5);
  await expect(clusters).toContainText("MAR = 5 in 93 %, of all in 31 %");
  await expect(clusters.locator("tbody tr").last()).toContainText("new since");
  await clusters.getByRole("button", { name: "Find clusters anew…" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("keeps its number");
  await dialog.getByRole("button", { name: "Find clusters anew" }).click();
  await expect(page.getByText("were found anew")).toBeVisible();
  await expect(dialog).toHaveCount(0);
});
