/**
 * Numbers as people read them: three significant digits, thousands separated, a unit behind a narrow no-break
 * space. Counts of things are exact. What is not known is "–": it is never written as 0.
 */

export const NOTHING = "–";
const THIN = "\u202f";

const formats = new Map<string, Intl.NumberFormat>();

function format(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = locale + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.NumberFormat(locale, options)));
  return made;
}

/** Three significant digits: 0.81234 → "0.812", 1234.5 → "1,230", 0.00004 → "0.00004". */
export function significant(value: number | null | undefined, locale: string, digits = 3): string {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e15 || size < 1e-6)) return value.toExponential(2).replace("-", "\u2212");
  return minus(format(locale, { maximumSignificantDigits: digits }).format(value));
}

/** An exact count: 277677 → "277,677". */
export function count(value: number | null | undefined, locale: string): string {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  return minus(format(locale, { maximumFractionDigits: 0 }).format(value));
}

/** A share from 0 to 1: 0.0431 → "4.31 %". Not quite none and not quite all are never written as 0 % and 100 %. */
export function percent(share: number | null | undefined, locale: string): string {
  if (share == null || !Number.isFinite(share)) return NOTHING;
  const hundredths = share * 100;
  if (share < 1 && share > 0.9995) return `>${THIN}99.9${THIN}%`.replace("99.9", format(locale, {}).format(99.9));
  if (share > 0 && hundredths < 0.001) return `<${THIN}${format(locale, { maximumFractionDigits: 3 }).format(0.001)}${THIN}%`;
  return `${minus(format(locale, { maximumSignificantDigits: 3 }).format(hundredths))}${THIN}%`;
}

/** Milliseconds, as seconds from one second on: 412 → "412 ms", 1530 → "1.53 s". */
export function milliseconds(value: number | null | undefined, locale: string, units: Units): string {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  return value >= 1000
    ? `${significant(value / 1000, locale)}${THIN}${units.second}`
    : `${significant(value, locale)}${THIN}${units.millisecond}`;
}

/** Bytes in powers of 1024: 20480 → "20 KiB". */
export function bytes(value: number | null | undefined, locale: string, units: Units): string {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  let size = value;
  let power = 0;
  while (size >= 1024 && power < units.bytes.length - 1) {
    size /= 1024;
    power += 1;
  }
  return `${significant(size, locale)}${THIN}${units.bytes[power]}`;
}

/** A length of time in its two largest units: 5400 → "1 h 30 min", 42 → "42 s". */
export function duration(seconds: number | null | undefined, locale: string, units: Units): string {
  if (seconds == null || !Number.isFinite(seconds)) return NOTHING;
  const total = Math.max(0, seconds);
  if (total < 10 && total % 1 !== 0) return `${significant(total, locale, 2)}${THIN}${units.second}`;
  const whole = Math.round(total);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), units.day],
    [Math.floor((whole % 86_400) / 3_600), units.hour],
    [Math.floor((whole % 3_600) / 60), units.minute],
    [whole % 60, units.second],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return `0${THIN}${units.second}`;
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${count(n, locale)}${THIN}${unit}`)
    .join(" ");
}

export interface Units {
  millisecond: string;
  second: string;
  minute: string;
  hour: string;
  day: string;
  perSecond: string;
  bytes: string[];
}

function minus(text: string): string {
  return text.replace("-", "\u2212");
}
