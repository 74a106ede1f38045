// The pages load fast on a poor line. Measured is script as it is sent, compressed by gzip, in two ways:
// - first: what index.html names and all that those files import; every page loads it before it shows anything,
// - each step: a file that is loaded only when another one asks for it (a page, a tab, a language), with all that it
//   imports and that has not come with the first load or with the file that asks.
// Both bounds together are the 150 kB that the first page which a reader opens may take.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const FIRST_BYTES = 75_000;
const STEP_BYTES = 75_000;
const dist = new URL("../dist/", import.meta.url).pathname;
const assets = join(dist, "assets");

/** As the build writes them: `import … from "./a.js"` and `import "./a.js"` come along, `import("./a.js")` is a step. */
const ALONG = /(?:\bfrom|\bimport)\s*["'`]\.\/([\w.-]+\.js)["'`]/g;
const STEP = /\bimport\(\s*["'`]\.\/([\w.-]+\.js)["'`]\s*\)/g;

const files = new Map(
  readdirSync(assets)
    .filter((name) => name.endsWith(".js"))
    .map((name) => {
      const text = readFileSync(join(assets, name));
      const named = (pattern) => [...String(text).matchAll(pattern)].map((match) => match[1]);
      return [name, { bytes: gzipSync(text).length, along: named(ALONG), steps: named(STEP) }];
    }),
);

/** A file and all that it imports. */
function whole(name, seen = new Set()) {
  const file = files.get(name);
  if (!file) throw new Error(`dist/assets has no ${name}`);
  if (!seen.has(name)) {
    seen.add(name);
    for (const other of file.along) whole(other, seen);
  }
  return seen;
}
const bytes = (names) => [...names].reduce((sum, name) => sum + files.get(name).bytes, 0);

const page = readFileSync(join(dist, "index.html"), "utf8");
const entries = [...page.matchAll(/(?:src|href)="\/([^"]+\.js)"/g)].map((match) => match[1]);
const first = new Set(entries.filter((path) => path.startsWith("assets/")).flatMap((path) => [...whole(basename(path))]));
const beside = entries.filter((path) => !path.startsWith("assets/")).reduce((sum, path) => sum + gzipSync(readFileSync(join(dist, path))).length, 0);

const measured = [{ name: "first load", bytes: bytes(first) + beside, bound: FIRST_BYTES }];
const steps = new Set();
for (const [asking, file] of files) {
  const there = new Set([...first, ...whole(asking)]);
  for (const name of file.steps) {
    steps.add(name);
    measured.push({ name: `${name}, from ${asking}`, bytes: bytes([...whole(name)].filter((other) => !there.has(other))), bound: STEP_BYTES });
  }
}

// A file that is reached in neither way would be measured by nobody.
const reached = new Set([...first, ...[...steps].flatMap((name) => [...whole(name)])]);
const unmeasured = [...files.keys()].filter((name) => !reached.has(name));

for (const one of measured) console.log(`${String(one.bytes).padStart(8)}  ${one.name}`);
console.log(`The first load is at most ${FIRST_BYTES} bytes of gzip, and each step at most ${STEP_BYTES}.`);
const over = measured.filter((one) => one.bytes > one.bound);
for (const one of over) console.error(`${one.name} is over its bound by ${one.bytes - one.bound} bytes: load less, or load it later.`);
for (const name of unmeasured) console.error(`${name} is loaded by nothing that was measured.`);
if (over.length > 0 || unmeasured.length > 0) process.exit(1);
