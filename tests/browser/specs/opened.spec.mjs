// What opens over a page, on a desk and on a phone, in both themes: nothing is cut off, axe finds nothing.
import { expect, overflow, rulesOf, settled, test, THEMES, violations } from "../support/page.mjs";

/** What is opened over a page or in it, how, and what is there then. */
const states = [
  ["an alert", "/alerts", "article", (page) => page.locator("article button.row").first().click()],
  ["the time range", "/models", ".panel[id]", (page) => page.getByRole("button", { name: /^Time range/ }).click()],
  ["Driftlead itself", "/models", ".panel[id]", (page) => page.getByRole("button", { name: /^Driftlead itself/ }).click()],
  ["the settings", "/models", ".panel[id]", (page) => page.getByRole("button", { name: "Settings of this browser" }).click()],
  ["the columns of errors", "/errors?range=7d", ".panel[id]", (page) => page.getByRole("button", { name: "Columns", exact: true }).click()],
  ["the saved searches", "/errors?range=7d", ".panel[id]", (page) => page.getByRole("button", { name: "Saved searches" }).click()],
  ["the palette", "/models", "dialog[open]", (page) => page.keyboard.press("Control+k")],
  ["the keys", "/models", "dialog[open]", (page) => page.keyboard.press("?")],
];

for (const [name, path, opened, open] of states) {
  test(`${name}, opened: a desk and a phone, both themes`, async ({ page, request }) => {
    const { alerts } = await (await request.get("/api/v1/alerts")).json();
    test.skip(path === "/alerts" && alerts.length === 0, "nothing has fired");
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
      await page.goto(path);
      await settled(page);
      await open(page);
      for (const theme of THEMES) {
        await page.emulateMedia({ colorScheme: theme });
        await settled(page);
        expect(await overflow(page), `${width} px: wider than the window`).toBeLessThanOrEqual(0);
        for (const panel of await page.locator(".panel[id]").all()) {
          const box = await panel.boundingBox();
          expect(box === null || (box.x >= 0 && box.x + box.width <= width && box.y + box.height <= (width === 390 ? 844 : 900)), `${width} px: the panel is cut off`).toBe(true);
        }
        await expect(page.locator(opened).first()).toBeVisible();
        // What lies under it may be covered but for a strip, which is too small to be pressed.
        expect(await violations(page, rulesOf(theme), opened), `${width} px, ${theme}`).toEqual([]);
      }
    }
  });
}
