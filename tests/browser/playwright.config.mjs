// DRIFTLEAD_URL names the running product. Without it the pages are built and answered from recorded data, which is
// quick while working on them; `make test` always gives the real server.
import { defineConfig } from "@playwright/test";

const RECORDED = "http://127.0.0.1:4899";
const url = process.env.DRIFTLEAD_URL;

export default defineConfig({
  testDir: "specs",
  // Two tests at a time, of whichever file, so that none is left alone at the end: they share one server and two cores.
  workers: 2,
  fullyParallel: true,
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
    // Nothing is recorded while a test runs, which costs a sixth of the time: of one that failed, how the page looked is
    // kept. `--trace on` records everything.
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
