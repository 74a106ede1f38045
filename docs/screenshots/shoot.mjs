import { chromium } from "/work/main/tests/browser/node_modules/@playwright/test/index.mjs";
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const only = process.argv[2];
const lang = process.argv[3] ?? "en-GB";
const pages = {
  errors: "/errors?range=7d",
  logs: "/errors?range=24h&source=logs",
  logs_words: "/errors?range=24h&source=logs&q=slow+severity:WARN",
  logs_open: "/errors?range=24h&source=logs&hit=l5",
  traces: "/errors?range=24h&source=traces",
  traces_open: "/errors?range=24h&source=traces&hit=s2",
  traces_none: "/errors?range=24h&source=traces&q=nothing",
  rule: "/errors?range=7d&q=message:timeout",
  rule_list: "/errors?range=7d&q=message:timeout",
  rule_done: "/errors?range=7d&q=message:timeout",
  alert: "/alerts/alr_matching_errors",
};
for (const [theme, width] of (process.env.W ? [["light", Number(process.env.W)]] : [["light", 1440], ["dark", 1440], ["light", 390], ["dark", 390]])) {
  const ctx = await browser.newContext({ baseURL: "http://127.0.0.1:4897", colorScheme: theme, locale: lang, viewport: { width, height: width === 390 ? 844 : 900 } });
  const page = await ctx.newPage();
  page.on("console", (m) => m.type() === "error" && console.log(m.text()));
  page.on("pageerror", (e) => console.log("uncaught", e.stack));
  for (const [name, path] of Object.entries(pages)) {
    if (only && only !== "all" && !only.split(",").includes(name)) continue;
    await page.goto(path);
    await page.waitForFunction(() => document.querySelector(".skeleton, .boot") === null);
    if (name.startsWith("rule")) {
      await page.locator(".kept > .btn").click();
      await page.waitForTimeout(300);
      if (name === "rule_list") await page.locator("summary").click();
      if (name === "rule_list") await page.locator("dialog input[value=some]").check();
      if (name === "rule_done") { await page.locator("dialog .name input").fill("n" + Date.now()); await page.locator("dialog .primary").click(); }
    }
    await page.waitForTimeout(250);
    await page.screenshot({ path: `/tmp/shots/${name}-${theme}-${width}${lang === "en-GB" ? "" : "-ru"}.png` });
  }
  await ctx.close();
}
await browser.close();
