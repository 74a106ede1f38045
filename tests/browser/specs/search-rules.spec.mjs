// An alert rule made of a search: what it will do is said before, then it is listed, and deleted again.
import { expect, recorded, settled, sound, test, violations } from "../support/page.mjs";

const QUERY = "message:timeout";
const dialog = (page) => page.getByRole("dialog", { name: "Alert on this search" });
const field = (page, name) => dialog(page).getByLabel(name, { exact: true });

async function opened(page, path = `/errors?range=7d&q=${encodeURIComponent(QUERY)}`) {
  await page.goto(path);
  await settled(page);
  await page.getByRole("button", { name: "Alert…" }).click();
  await settled(page);
  await expect(dialog(page)).toBeVisible();
}

test("the sentence says what will happen while the fields change", async ({ page }) => {
  await page.route("**/api/v1/search/rules", (route) => route.fulfill({ json: { rules: [], receivers: ["oncall", "ml-team"] } }));
  await opened(page);
  const sentence = dialog(page).locator("[aria-live]");
  await expect(sentence).toHaveText("Tell everybody when more than 10 errors within 5 minutes match message:timeout. Errors of all environments count.");
  await expect(field(page, "More errors than")).toBeFocused();
  await page.keyboard.type("0");
  await expect(sentence).toContainText("Tell everybody when any error within 5 minutes matches message:timeout.");
  await field(page, "More errors than").fill("1");
  await dialog(page).getByRole("combobox", { name: "Within" }).selectOption("24 hours");
  await expect(sentence).toContainText("more than 1 error within 24 hours matches");
  await dialog(page).getByRole("radio", { name: "Some of them" }).check();
  await dialog(page).getByRole("checkbox", { name: "oncall" }).check();
  await expect(sentence).toContainText("Tell oncall when");
  await dialog(page).getByRole("checkbox", { name: "ml-team" }).check();
  await expect(sentence).toContainText("Tell oncall and ml-team when");
  await expect(dialog(page).getByText("No alert comes from a search yet.")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Alert…" })).toBeFocused();
  await opened(page, "/errors?range=7d&env=production");
  await expect(sentence).toHaveText("Tell everybody when more than 10 errors come within 5 minutes. Only errors of production count.");
});

test("where nobody can be told, it says so", async ({ page }) => {
  await page.route("**/api/v1/search/rules", (route) => route.fulfill({ json: { rules: [], receivers: [] } }));
  await opened(page);
  await expect(dialog(page).locator("[aria-live]")).toContainText("Show an alert when more than 10 errors");
  await expect(dialog(page).getByText("the alert will only be seen on the page Alerts")).toBeVisible();
  await expect(dialog(page).getByRole("radio")).toHaveCount(0);
  expect(await violations(page)).toEqual([]);
});

test("an alert is set, refused under a taken name, listed, and deleted", async ({ page }) => {
  page.allowConsole(/409/);
  const name = `browser-${Date.now()}`;
  const told = page.getByText(`The alert “${name}” is set.`);
  for (const taken of [false, true]) {
    await opened(page);
    expect(await field(page, "Name").inputValue()).toMatch(/^message-timeout/);
    await field(page, "Name").fill(name);
    await field(page, "More errors than").fill("1000000");
    const sent = page.waitForRequest((one) => one.method() === "POST" && new URL(one.url()).pathname === "/api/v1/search/rules");
    await page.keyboard.press("Enter");
    expect((await sent).postDataJSON()).toEqual({ name, query: QUERY, above: 1_000_000, window_s: 300, severity: "warning" });
    if (!taken) {
      await expect(told).toBeVisible();
      await expect(page.getByRole("link", { name: "See the alerts" })).toHaveAttribute("href", /^\/alerts/);
    }
  }
  await expect(dialog(page).getByRole("alert")).toBeVisible();
  await dialog(page).getByText(/^Alerts from searches/).click();
  const listed = dialog(page).getByRole("listitem").filter({ hasText: name });
  await expect(listed).toContainText("more than 1,000,000 errors within 5 minutes");
  await expect(listed.getByRole("link", { name: QUERY })).toHaveAttribute("href", "/errors?q=message%3Atimeout");
  await sound(page, "dialog[open]");

  await listed.getByRole("button", { name: `Delete the alert “${name}”` }).click();
  const asked = page.getByRole("dialog", { name: `Delete the alert “${name}”` });
  await expect(asked).toContainText("Nobody is told");
  expect(await violations(page, undefined, "dialog[open]:last-of-type")).toEqual([]);
  // Escape leaves the question, not what it stands over.
  await page.keyboard.press("Escape");
  await expect(asked).toHaveCount(0);
  await expect(listed).toBeVisible();
  await listed.getByRole("button", { name: `Delete the alert “${name}”` }).click();
  await asked.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(listed).toHaveCount(0);
  await expect(page.getByText(`The alert “${name}” was deleted`)).toBeVisible();
});

test("an alert for nobody, and a name that cannot be, are not sent", async ({ page }) => {
  const sent = [];
  page.on("request", (one) => one.method() === "POST" && sent.push(one.url()));
  await page.route("**/api/v1/search/rules", (route) => route.fulfill({ json: { rules: [], receivers: ["oncall"] } }));
  await opened(page);
  await dialog(page).getByRole("radio", { name: "Some of them" }).check();
  await dialog(page).getByRole("button", { name: "Set the alert" }).click();
  await expect(dialog(page).getByRole("alert")).toHaveText("Choose at least one.");
  await dialog(page).getByRole("checkbox", { name: "oncall" }).check();
  await field(page, "Name").fill("not a name!");
  await dialog(page).getByRole("button", { name: "Set the alert" }).click();
  expect(await field(page, "Name").evaluate((input) => input.validity.patternMismatch)).toBe(true);
  expect(sent).toEqual([]);
});

test("what the server refuses is said in its words", async ({ page }) => {
  page.allowConsole(/422/);
  await page.route("**/api/v1/search/rules", (route) =>
    route.request().method() === "POST"
      ? route.fulfill({ status: 422, contentType: "application/problem+json", json: { type: "about:blank", title: "Unprocessable Content", status: 422, detail: "This query looks at every error." } })
      : route.fulfill({ json: { rules: [], receivers: ["oncall"] } }),
  );
  await opened(page, "/errors?range=7d");
  await dialog(page).getByRole("button", { name: "Set the alert" }).click();
  await expect(dialog(page).getByRole("alert")).toHaveText("This query looks at every error.");
});

test("hostile queries in the list, and the way from an alert to its errors", async ({ page }) => {
  test.skip(!recorded, "needs the recorded story");
  await opened(page);
  await dialog(page).getByText(/^Alerts from searches/).click();
  await expect(dialog(page).getByRole("listitem").filter({ hasText: "feature-store-timeouts" })).toContainText("firing");
  await expect(dialog(page).getByRole("link", { name: /<img src=x/ })).toBeVisible();
  await expect(dialog(page).locator("img, script")).toHaveCount(0);
  await sound(page, "dialog[open]");
  await page.goto("/alerts/alr_matching_errors");
  await settled(page);
  await expect(page.getByRole("button", { name: /Errors that match feature-store-timeouts 14 > 10/ })).toBeVisible();
  await sound(page);
  await page.getByRole("link", { name: "Show the errors" }).click();
  await expect(page).toHaveURL(/\/errors\?.*q=error_type%3ATimeoutError/);
  await expect(page.locator(".hits ol > li a").first()).toBeVisible();
});
