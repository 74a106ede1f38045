// DRIFTLEAD_URL names the running product. Without it the pages are built and answered from recorded data, which is
// quick while working on them; `make test` always gives the real server.
import { defineConfig } from "@playwright/test";

const RECORDED = "http://127.0.0.1:4899";
const url = process.env.DRIFTLEAD_URL;

export default defineConfig({
  testDir: "specs",
  // Two files at a time, the tests of a file one after the other: they share one server and two cores.
  workers: 2,
  fullyParallel: false,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  forbidOnly: true,
  reporter: [["list"]],
  outputDir: "results",
  use: {
    baseURL: url ?? RECORDED,
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    viewport: { width: 1440, height: 900 },
    // Tests are not filmed: of one that failed, what it did and how the page looked is kept.
    trace: { mode: "retain-on-failure", screenshots: false },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  webServer: url
    ? undefined
    : {
        command: "npm run build && npx vite preview --host 127.0.0.1 --port 4899 --strictPort",
        cwd: "../../web/ui",
        url: RECORDED,
        timeout: 120_000,
      },
});
