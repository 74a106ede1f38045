/**
 * Instants in the reader's own time zone, short where the day is clear, with UTC in full beside them.
 */

const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.DateTimeFormat(locale, options)));
  return made;
}

const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** "14:02" today, "5 Oct 14:02" this year, "5 Oct 2025 14:02" before. */
export function short(at: Date, now: Date, locale: string): string {
  return sameDay(at, now) ? format(locale, CLOCK).format(at) : dated(at, now, locale, CLOCK);
}

/** "5 Oct 14:02", with the year where it is not this one's. */
function dated(at: Date, now: Date, locale: string, clock: Intl.DateTimeFormatOptions): string {
  const year = at.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return `${format(locale, { day: "numeric", month: "short", ...year }).format(at)} ${format(locale, clock).format(at)}`;
}

/** "14:02:03.123". */
export function clock(at: Date, locale: string): string {
  return format(locale, { ...CLOCK, second: "2-digit", fractionalSecondDigits: 3 }).format(at);
}

/** "5 Oct 14:02:03.123": for records, where the second counts. */
export function precise(at: Date, now: Date, locale: string): string {
  return sameDay(at, now) ? clock(at, locale) : `${axis(at, "day", locale)} ${clock(at, locale)}`;
}

/** Along an axis: "5 Oct" or "14:02". */
export function axis(at: Date, as: "day" | "clock", locale: string): string {
  return format(locale, as === "day" ? { day: "numeric", month: "short" } : CLOCK).format(at);
}

/** "2026-10-05 14:02:03.123 UTC". */
export function utc(at: Date): string {
  return `${at.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** Shorter than this, minutes do not tell both ends apart. */
const SECONDS_BELOW_MS = 120_000;

/** "5 Oct 14:02 – 15:02": the day once when it is the same, else at both ends, today's too. */
export function span(from: Date, to: Date, now: Date, locale: string): string {
  const written: Intl.DateTimeFormatOptions = to.getTime() - from.getTime() < SECONDS_BELOW_MS ? { ...CLOCK, second: "2-digit" } : CLOCK;
  const clock = (at: Date) => format(locale, written).format(at);
  if (!sameDay(from, to)) return `${dated(from, now, locale, written)} – ${dated(to, now, locale, written)}`;
  return `${sameDay(from, now) ? clock(from) : dated(from, now, locale, written)} – ${clock(to)}`;
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 3_600],
  ["hour", 86_400],
  ["day", 86_400 * 30],
  ["month", 86_400 * 365],
];
const LENGTH: Record<string, number> = { second: 1, minute: 60, hour: 3_600, day: 86_400, month: 86_400 * 30, year: 86_400 * 365 };

/** "2 min ago", "in 3 h"; below five seconds "now". */
export function relative(at: Date, now: Date, locale: string): string {
  const seconds = (at.getTime() - now.getTime()) / 1000;
  const unit = STEPS.find(([, below]) => Math.abs(seconds) < below)?.[0] ?? "year";
  const rounded = Math.trunc(seconds / (LENGTH[unit] ?? 1));
  const quiet = unit === "second" && Math.abs(seconds) < 5;
  return new Intl.RelativeTimeFormat(locale, { numeric: quiet ? "auto" : "always", style: "short" }).format(
    quiet ? 0 : rounded,
    unit,
  );
}

function sameDay(a: Date, b: Date): boolean {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}
