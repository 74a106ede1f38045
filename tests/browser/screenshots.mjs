// Screenshots for docs/ from a running product: node screenshots.mjs FOLDER, with its address in DRIFTLEAD_URL.
// Each page, light and dark, on a phone and on a desk: <page>-<theme>-<width>.png, and versions.json says of what.
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { chromium, request } from "@playwright/test";
import config from "./playwright.config.mjs";

const url = process.env.DRIFTLEAD_URL;
const folder = process.argv[2];
if (!url || !folder) {
  console.error("Say where: DRIFTLEAD_URL=http://127.0.0.1:8080 node screenshots.mjs FOLDER");
  process.exit(2);
}

// npm changes into its own folder; a relative one is meant from where the command was given.
const out = resolve(process.env.INIT_CWD ?? process.cwd(), folder);
mkdirSync(out, { recursive: true });

const api = await request.newContext({ baseURL: url });
const status = await (await api.get("/api/v1/status")).json();
const { models } = await (await api.get("/api/v1/models?spark=false")).json();
const model = [...models].sort((a, b) => b.inferences - a.inferences)[0];
if (!model) {
  console.error("There is no model to show: send inferences first, or run the demo.");
  process.exit(1);
}
const errors = await (await api.get("/api/v1/search?limit=1&q=")).json();
const alerts = await (await api.get("/api/v1/alerts")).json();
const feature = await firstFeature();
const labelled = await mostLabelled();
await api.dispose();

const path = `/models/${encodeURIComponent(model.name)}`;
const pages = {
  models: "/models",
  model: `${path}?range=4d`,
  drift: `${path}?range=4d${feature ? `&feature=${encodeURIComponent(feature)}` : ""}`,
  quality: `${path}?range=4d&tab=quality&version=${encodeURIComponent(labelled)}`,
  segments: `${path}?range=4d&tab=segments`,
  "data-quality": `${path}?tab=data-quality`,
  versions: `${path}?range=4d&tab=versions`,
  actions: `${path}?range=4d&tab=actions`,
  errors: `/errors?range=4d${errors.hits[0] ? `&hit=${encodeURIComponent(errors.hits[0].id)}` : ""}`,
  logs: "/errors?range=4d&source=logs",
  traces: "/errors?range=4d&source=traces",
  rule: "/errors?range=4d",
  alerts: `/alerts${alerts.alerts[0] ? `?alert=${encodeURIComponent(alerts.alerts[0].id)}` : ""}`,
  collection: "/collection",
};

// Where something is opened first.
const OPENED = { rule: "Alert…" };

const BELOW = ["drift", "quality", "segments", "data-quality", "versions", "actions"];

const browser = await chromium.launch(config.use.launchOptions);
const written = [];
for (const theme of ["light", "dark"]) {
  for (const width of [1440, 390]) {
    const context = await browser.newContext({
      baseURL: url,
      colorScheme: theme,
      locale: "en-GB",
      viewport: { width, height: width === 390 ? 844 : 900 },
      deviceScaleFactor: width === 390 ? 2 : 1,
    });
    const page = await context.newPage();
    for (const [name, address] of Object.entries(pages)) {
      await page.goto(address);
      await page.locator("h1").first().waitFor({ state: "attached" });
      await page.locator(".skeleton, .boot").first().waitFor({ state: "detached" });
      if (OPENED[name]) await page.getByRole("button", { name: OPENED[name] }).click();
      // What stands below the charts is brought up, below the bar that stays.
      if (BELOW.includes(name)) await page.evaluate(() => scrollTo(0, document.querySelector("[role=tablist]").getBoundingClientRect().top - 60));
      await page.waitForTimeout(400);
      const file = `${name}-${theme}-${width}.png`;
      await page.screenshot({ path: join(out, file) });
      written.push(file);
      console.log(file);
    }
    await context.close();
  }
}
await browser.close();
writeFileSync(join(out, "versions.json"), `${JSON.stringify({ driftlead: status.version, files: written }, null, 2)}\n`);
console.log(`Driftlead ${status.version}: ${written.length} screenshots in ${out}`);

/** The version with the most labels, whose quality there is most to see of. */
async function mostLabelled() {
  const from = new Date(Date.now() - 4 * 86_400_000).toISOString();
  const quality = await api.get(`/api/v1/models/${encodeURIComponent(model.name)}/quality?from=${from}`);
  return quality.ok() ? (await quality.json()).version : "";
}

/** The feature that moved most, to be shown opened. */
async function firstFeature() {
  const drift = await api.get(`/api/v1/models/${encodeURIComponent(model.name)}/drift`);
  return drift.ok() ? ((await drift.json()).features[0]?.feature ?? null) : null;
}
