import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type UserConfig } from "vite";
import { recordedApi } from "./dev/recorded-api.ts";

/**
 * `npm run dev` and `npm run preview` answer the API from recorded data (dev/), or pass it on to a running
 * server: DRIFTLEAD_URL=http://127.0.0.1:8080 npm run dev. Neither is part of what `npm run build` makes.
 */
export default defineConfig(({ command }) => {
  const server = process.env["DRIFTLEAD_URL"];
  const config: UserConfig & { test: object } = {
    plugins: [svelte(), ...(server ? [] : [recordedApi()])],
    build: {
      target: "es2022",
      // A data: URL would be refused by the content security policy.
      assetsInlineLimit: 0,
      // One file of styles, there from the start: what is loaded later never stands without them.
      cssCodeSplit: false,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
    server: server ? { proxy: { "/api": server } } : {},
    preview: server ? { proxy: { "/api": server } } : {},
    test: { include: ["src/**/*.test.ts"], environment: "node" },
  };
  if (command === "serve") config.clearScreen = false;
  return config;
});
