// One search box over errors, logs and traces.
import { expect, overflow, recorded, settled, sound, stopLive, test, violations } from "../support/page.mjs";
import { HOSTILE, sendRecord } from "../support/telemetry.mjs";

const rows = (page) => page.locator(".hits ol > li a");
const pane = (page) => page.locator("aside.opened");
const chosen = (page) => page.getByRole("navigation", { name: "What is searched" }).locator("[aria-current]");

/** Told by a service whose name is markup: what would change a terminal's colours and a page's elements. */
const SERVICE = "<b>node</b>";
const TEXT = "\u001b[31mdisk almost full\u001b[0m <b onclick=alert(1)>bold?</b>";
const SPAN = "features <b>of a tenant</b>";
const ONE = `service:"${SERVICE}"`;

const address = (source, params = {}) => `/errors?${new URLSearchParams({ range: "7d", source, ...params })}`;

test.beforeAll(async ({ playwright, baseURL }) => {
  if (recorded) return;
  const request = await playwright.request.newContext({ baseURL });
  expect(await sendRecord(request, { service: SERVICE, event: HOSTILE.html.slice(0, 120), text: TEXT, span: SPAN }), "it was taken").toBe(true);
  for (const source of ["logs", "traces"]) {
    const found = async () => (await (await request.get(`/api/v1/search?source=${source}&q=${encodeURIComponent(ONE)}`)).json()).total;
    await expect.poll(found, { timeout: 60_000 }).toBeGreaterThan(0);
  }
  await request.dispose();
});

test("errors, logs and traces are chosen by keyboard and stand in the address", async ({ page }) => {
  await page.goto("/errors?range=7d&view=patterns");
  await settled(page);
  await expect(chosen(page)).toHaveText("Errors");
  await expect(page.getByRole("tablist")).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "from the error index" })).toBeVisible();
  await page.getByRole("link", { name: "Logs", exact: true }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/source=logs/);
  await expect(page).not.toHaveURL(/view=/);
  await settled(page);
  await expect(chosen(page)).toHaveText("Logs");
  await expect(chosen(page)).toBeFocused();
  await expect(page.getByRole("heading", { name: "Logs", exact: true })).toBeAttached();
  await expect(page).toHaveTitle(/^Logs/);
  await expect(page.getByRole("combobox", { name: "Search logs" })).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: /^[\d,]+ log records? in .*, from ClickHouse, with/ })).toBeVisible();
  await expect(rows(page).first()).toBeVisible();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/source=traces/);
  await settled(page);
  await expect(page.getByRole("status").filter({ hasText: /^[\d,]+ spans? in .*, from ClickHouse$/ })).toBeVisible();
  await expect(page.getByRole("combobox", { name: "Search traces" })).toBeVisible();
  await page.goBack();
  await expect(chosen(page)).toHaveText("Logs");
  await page.goBack();
  await expect(chosen(page)).toHaveText("Errors");
  await expect(page).toHaveURL(/view=patterns/);
  await expect(page.getByRole("tab", { name: "Patterns" })).toHaveAttribute("aria-selected", "true");
});

test("what only errors have is not offered for logs, whatever the address says", async ({ page }) => {
  await page.goto(address("logs", { view: "versions" }));
  await settled(page);
  await expect(page.getByRole("tablist")).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Alert…" })).toHaveCount(0);
  await expect(page.getByRole("region", { name: "Log records", exact: true }).getByRole("list", { name: "Log records found" })).toBeVisible();
  await page.getByRole("button", { name: "Columns", exact: true }).click();
  await expect(page.getByRole("checkbox", { name: "Pattern", exact: true })).toHaveCount(0);
  await page.getByRole("checkbox", { name: "Service", exact: true }).check();
  await expect(page).toHaveURL(/columns=service/);
  await page.keyboard.press("Escape");
  await expect(page.locator(".names")).toContainText(/Time.*Service.*Message/);
});

for (const [source, name] of [
  ["logs", "Log record"],
  ["traces", "Span"],
]) {
  test(`${source}: j and k walk, Enter opens, Escape gives the focus back`, async ({ page }) => {
    await page.goto(address(source));
    await settled(page);
    await stopLive(page);
    const id = await rows(page).first().getAttribute("id");
    await page.keyboard.press("j");
    await expect(rows(page).first()).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(page.getByRole("complementary", { name, exact: true })).toBeFocused();
    if (recorded) {
      await page.keyboard.press("j");
      await expect(page.locator(".hits li").nth(1)).toHaveClass(/selected/);
      await page.keyboard.press("k");
      await expect(page.locator(".hits li").first()).toHaveClass(/selected/);
    }
    await page.keyboard.press("Escape");
    await expect(pane(page)).toHaveCount(0);
    await expect(page.locator(`[id="${id}"]`)).toBeFocused();
  });

  test(`${source}: what is asked for, suggested, saved as a file and opened by its address is of them`, async ({ page }) => {
    await page.goto(address(source, { q: ONE }));
    await settled(page);
    await expect(page.getByRole("link", { name: "CSV" })).toHaveAttribute("href", new RegExp(`/api/v1/search/export\\?source=${source}&`));
    const suggested = page.waitForRequest((sent) => new URL(sent.url()).pathname === "/api/v1/search/suggest");
    await page.getByRole("combobox", { name: `Search ${source}` }).fill("sev");
    expect(new URL((await suggested).url()).searchParams.get("source")).toBe(source);
    await page.goto(address(source, { q: ONE }));
    await settled(page);
    await rows(page).first().click();
    await expect(page).toHaveURL(/hit=/);
    const id = new URL(page.url()).searchParams.get("hit");
    // In a list that does not hold it, it is read by itself.
    const read = page.waitForRequest((sent) => new URL(sent.url()).pathname === `/api/v1/search/hits/${encodeURIComponent(id)}`);
    await page.goto(address(source, { q: "service:nobody", hit: id }));
    expect(new URL((await read).url()).searchParams.get("source")).toBe(source);
    await expect(pane(page).locator("table tr").first()).toBeVisible();
    await expect(page.getByText(source === "logs" ? "No log record matches in this range." : "No span matches in this range.")).toBeVisible();
  });

  test(`${source}: a desk and a phone, both themes, with one opened and with columns`, async ({ page }) => {
    await page.goto(address(source));
    await settled(page);
    await sound(page);
    await rows(page).first().click();
    await expect(pane(page).getByRole("heading", { name: "Trace" }).or(pane(page).getByRole("heading", { name: "Fields" })).first()).toBeVisible();
    await sound(page);
    await page.goto(address(source, { columns: "service,severity,attributes.scope.name" }));
    await sound(page);
    await page.goto(address(source, { q: "service:nobody" }));
    await expect(page.getByRole("link", { name: "Clear the search" })).toBeVisible();
    await sound(page);
  });
}

test("HTML and what would steer a terminal are shown as text", async ({ page }) => {
  await page.goto(address("logs", { q: ONE }));
  await settled(page);
  const message = rows(page).first().locator(".message");
  await expect(message).toContainText("\u001b[31mdisk almost full\u001b[0m");
  await expect(message).toContainText("<b onclick=alert(1)>bold?</b>");
  await expect(message.locator("*")).toHaveCount(0);
  const usual = await page.evaluate(() => getComputedStyle(document.body).color);
  expect(await message.evaluate((element) => getComputedStyle(element).color)).toBe(usual);
  await rows(page).first().click();
  await expect(pane(page).locator(".message")).toContainText("<b onclick=alert(1)>bold?</b>");
  await expect(pane(page).locator("b[onclick], img, script")).toHaveCount(0);
  await expect(page.getByText(SERVICE, { exact: true }).first()).toBeVisible();
  await expect(page).toHaveTitle(/^Logs/);
  expect(await overflow(page)).toBeLessThanOrEqual(0);
  expect(await violations(page)).toEqual([]);
});

test("logs and spans are narrowed by what they are", async ({ page }) => {
  test.skip(!recorded, "needs the recorded story");
  await page.goto(address("logs"));
  await settled(page);
  await expect(page.getByRole("status").filter({ hasText: "900 log records" })).toBeVisible();
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  await expect(facets.getByRole("heading", { name: "Severity" })).toBeVisible();
  await facets.getByRole("button", { name: "http.access", exact: true }).click();
  await expect.poll(() => new URL(page.url()).searchParams.get("q")).toBe('event.name:"http.access"');
  await expect(rows(page).first()).toContainText("POST /predict 200");
  await expect(rows(page).first()).toContainText("INFO");
  await page.goto(address("traces"));
  await settled(page);
  await expect(facets.getByRole("heading", { name: "Status" })).toBeVisible();
  await facets.getByRole("button", { name: "client", exact: true }).click();
  await expect.poll(() => new URL(page.url()).searchParams.get("q")).toBe("span.kind:client");
  await expect(rows(page).first()).toContainText("ms");
});

test("from a log record to its trace, the spans and the errors of it", async ({ page }) => {
  await page.goto(address("logs", { q: ONE }));
  await settled(page);
  await rows(page).first().click();
  await expect(pane(page).getByRole("table", { name: "Spans of the trace" })).toBeVisible();
  await pane(page).getByRole("link", { name: "Spans of the trace" }).click();
  await expect(page).toHaveURL(/source=traces/);
  await expect.poll(() => new URL(page.url()).searchParams.get("q")).toMatch(/^trace_id:/);
  await expect(rows(page).first()).toBeVisible();
  await page.goBack();
  await pane(page).getByRole("link", { name: "Errors of the trace" }).click();
  await expect(page).not.toHaveURL(/source=/);
  await expect(chosen(page)).toHaveText("Errors");
});

test("a saved search keeps what is searched", async ({ page }) => {
  const name = `Logs of a service, ${Date.now()}`;
  await page.goto(address("logs", { q: ONE }));
  await settled(page);
  const menu = page.getByRole("button", { name: "Saved searches" });
  await menu.click();
  await page.getByRole("button", { name: "Save this search…" }).click();
  await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill(name);
  await page.keyboard.press("Enter");
  await expect(page.getByText(`Saved as “${name}”`)).toBeVisible();
  await page.goto("/errors?range=1h");
  await settled(page);
  await menu.click();
  await page.getByRole("link", { name, exact: true }).click();
  await expect(page).toHaveURL(/source=logs/);
  await expect(page.getByRole("combobox", { name: "Search logs" })).toHaveValue(ONE);
  await menu.click();
  await page.getByRole("button", { name: `Delete “${name}”` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await expect(page.getByText(`“${name}” was deleted`)).toBeVisible();
});

test("a live range is read again although no tick names logs", async ({ page }) => {
  await page.goto("/errors?range=1h&source=logs");
  await settled(page);
  const again = await page.waitForRequest((sent) => new URL(sent.url()).pathname === "/api/v1/search", { timeout: 30_000 });
  expect(new URL(again.url()).searchParams.get("source")).toBe("logs");
});

test("a search that takes too long says so, and how words are looked for is said", async ({ page }) => {
  page.allowConsole(/503/);
  let away = true;
  await page.route(/\/api\/v1\/search\?/, async (route) => {
    if (away) {
      const problem = { type: "about:blank", title: "Service Unavailable", status: 503, detail: "The search took longer than 10 seconds: narrow it down." };
      return route.fulfill({ status: 503, contentType: "application/problem+json", json: problem });
    }
    const answer = await (await route.fetch()).json();
    return route.fulfill({ json: { ...answer, source: { ...answer.source, text_index: false } } });
  });
  await page.goto(address("logs"));
  await expect(page.getByRole("alert")).toContainText("The search took longer than 10 seconds: narrow it down.");
  expect(await violations(page)).toEqual([]);
  away = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("status").filter({ hasText: "without a text index: words are looked for by reading every record" })).toBeVisible();
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await overflow(page)).toBeLessThanOrEqual(0);
});
