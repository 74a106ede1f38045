// The pages load fast on a poor line: all script together, compressed, stays under the bound.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BOUND_BYTES = 150_000;
const dist = new URL("../dist/", import.meta.url).pathname;

let total = 0;
for (const name of readdirSync(dist, { recursive: true })) {
  if (!name.endsWith(".js")) continue;
  const bytes = gzipSync(readFileSync(join(dist, name))).length;
  total += bytes;
  console.log(`${String(bytes).padStart(8)}  ${name}`);
}
console.log(`${String(total).padStart(8)}  script in all, gzip; the bound is ${BOUND_BYTES}`);
if (total > BOUND_BYTES) {
  console.error("The script is over its bound: load less, or load it later.");
  process.exit(1);
}
