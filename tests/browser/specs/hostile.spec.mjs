// Names that senders choose: HTML stays text, right-to-left stays in its place, 1,000 characters wrap or are cut.
import { expect, overflow, settled, test, violations, WIDTHS } from "../support/page.mjs";
import { HOSTILE, sendInferences } from "../support/telemetry.mjs";

const recorded = process.env.DRIFTLEAD_URL === undefined;
/** The collector takes names of at most 256 bytes; the whole text is sent as label, feature, error and message. */
const NAMES = Object.values(HOSTILE).map((text) => (recorded ? text : text.slice(0, 120)));

async function unbroken(page, path) {
  await page.goto(path);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    await settled(page);
    expect(await overflow(page), `${path} at ${width} px is wider than the window`).toBeLessThanOrEqual(0);
  }
  expect(await page.title(), path).not.toBe("broken");
  expect(await page.locator("img").count(), path).toBe(0);
  expect(await violations(page), path).toEqual([]);
}

// One after the other: the models are sent once.
test.describe.configure({ mode: "default" });

test.beforeAll(async ({ playwright, baseURL }) => {
  const request = await playwright.request.newContext({ baseURL });
  if (!recorded) {
    for (const [kind, text] of Object.entries(HOSTILE)) expect(await sendInferences(request, text.slice(0, 120), text, 40), `${kind} was taken`).toBe(true);
  }
  const listed = async () => (await (await request.get("/api/v1/models?spark=false")).json()).models.map((model) => model.name);
  await expect.poll(listed, { timeout: 60_000 }).toEqual(expect.arrayContaining(NAMES));
  await request.dispose();
});

test("hostile names in lists", async ({ page }) => {
  for (const path of ["/models", "/errors", "/errors?view=patterns", "/errors?columns=service,model,version,error_type", "/alerts", "/collection"]) await unbroken(page, path);
  await page.goto("/models");
  for (const name of NAMES) await expect(page.locator("tbody a.name", { hasText: name.slice(0, 40) }).first()).toBeVisible();
});

for (const [i, kind] of Object.keys(HOSTILE).entries()) {
  test(`the page of a model whose name is ${kind}`, async ({ page }) => {
    const path = `/models/${encodeURIComponent(NAMES[i])}`;
    for (const tab of ["", "?tab=quality", "?tab=segments", "?tab=data-quality", "?tab=embeddings", "?tab=versions", "?tab=inferences"]) await unbroken(page, path + tab);
    await expect(page.locator("h1")).toHaveText(NAMES[i]);
  });
}
