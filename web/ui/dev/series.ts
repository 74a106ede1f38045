/** Numbers that look like traffic: seeded, so that two readings of the same moment agree. */

/** A number from 0 to 1 that depends on nothing but its arguments. */
export function noise(seed: number, at: number): number {
  let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(Math.floor(at), 0xc2b2ae35);
  x ^= x >>> 15;
  x = Math.imul(x, 0x2c1b3ccd);
  x ^= x >>> 13;
  return ((x >>> 0) % 10_007) / 10_007;
}

/** Requests per second of a day's rhythm, with an hour of silence three hours before `now`. */
export function rate(seed: number, at: number, now: number, level: number): number | null {
  if (at > now) return null;
  const silent = now - at > 10_800 && now - at < 13_600 && seed % 2 === 1;
  if (silent) return null;
  const day = 1 + 0.45 * Math.sin(((at % 86_400) / 86_400) * 2 * Math.PI - 1.8);
  return level * day * (0.9 + 0.2 * noise(seed, at / 60));
}

export function iso(at_s: number): string {
  return new Date(at_s * 1000).toISOString();
}

export function spark(now: number, value: (at: number) => number | null) {
  const step_s = 900;
  const from = Math.floor(now / step_s) * step_s - 95 * step_s;
  return { from, step_s, values: Array.from({ length: 96 }, (_, i) => value(from + i * step_s)) };
}
