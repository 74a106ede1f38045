// Who sends, what was refused, and the settings to copy.
import { expect, settled, test } from "../support/page.mjs";
import { otlp } from "../support/telemetry.mjs";

test("what is refused is counted and said in words while the page is open", async ({ page, request }) => {
  await page.goto("/collection");
  await settled(page);
  const refused = page.getByRole("heading", { name: "Requests refused" }).locator("xpath=following-sibling::ul[1]");
  const before = (await (await request.get("/api/v1/collection")).json()).refused.find((one) => one.reason === "unsupported_media_type")?.count ?? 0;
  const answer = await request.post(`${await otlp(request)}/v1/logs`, { headers: { "content-type": "text/plain" }, data: "x" });
  expect(answer.status()).toBe(415);
  const row = refused.locator("li", { hasText: "unsupported_media_type" });
  await expect(row).toContainText("Another content type than protobuf or JSON");
  await expect.poll(async () => Number((await row.locator(".num").innerText()).replace(/\D/g, ""))).toBeGreaterThan(before);
});

test("a service that sends stands in the table", async ({ page, request }) => {
  const record = { body: { stringValue: "hello" } };
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "collection-spec" } }] };
  const data = { resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record, record] }] }] };
  expect((await request.post(`${await otlp(request)}/v1/logs`, { data })).ok()).toBe(true);
  await page.goto("/collection");
  await expect(page.getByRole("row", { name: /collection-spec/ })).toBeVisible();
});

test("settings are chosen, kept in the address and copied", async ({ page, context, request }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/collection");
  await settled(page);
  await page.getByRole("link", { name: "Go", exact: true }).click();
  await expect(page).toHaveURL(/exporter=Go/);
  const { listen } = await (await request.get("/api/v1/collection")).json();
  await expect(page.locator("pre")).toContainText(`WithEndpoint("${listen.otlp_grpc}")`);
  await page.getByRole("button", { name: "Copy the settings" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("otlptracegrpc.New");
});

test("g c leads here", async ({ page }) => {
  await page.goto("/models");
  await settled(page);
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await expect(page).toHaveURL(/\/collection/);
  await expect(page.getByRole("heading", { name: "Collection", level: 1 })).toBeVisible();
});
