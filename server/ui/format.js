// Numbers, times and texts as people read them.

// Written out, for the browser takes tens of milliseconds to make ready what formats all the languages of the world.
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (n) => String(n).padStart(2, "0");
const day = (time) => `${time.getDate()} ${MONTHS[time.getMonth()]}`;
const shortClock = (time) => `${two(time.getHours())}:${two(time.getMinutes())}`;
const clock = (time) => `${shortClock(time)}:${two(time.getSeconds())}`;

/** How far the local time is from UTC: `UTC`, `UTC+1`, `UTC-9:30`. */
function zone(time) {
  const minutes = -time.getTimezoneOffset();
  if (!minutes) return "UTC";
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "-" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${two(rest)}` : ""}`;
}

/** 1234567 as `1,234,567`. */
export function number(n) {
  const [whole, rest] = String(Math.round((n ?? 0) * 1000) / 1000).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return rest ? `${grouped}.${rest}` : grouped;
}

/** `1 command`, `2 commands`. */
export function plural(n, one, many = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/** Milliseconds as `340 ms`, `2.4 s`, `3 m 12 s`, `2 h 5 m`, `3 d 4 h`. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 59.95) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const at = parts.findIndex(([size]) => s >= size);
  const [size, unit] = parts[at];
  const next = parts[at + 1];
  const rest = next ? Math.floor((s % size) / next[0]) : 0;
  return `${Math.floor(s / size)} ${unit}${rest ? ` ${rest} ${next[1]}` : ""}`;
}

/** A time as `12 s ago`, `3 h ago`, and the day once it is older than a week. */
export function ago(iso, now = Date.now()) {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return "";
  const s = Math.round((now - time) / 1000);
  if (s < 0) return moment(iso, now);
  if (s < 5) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  if (s < 7 * 86400) return `${Math.floor(s / 86400)} d ago`;
  return moment(iso, now);
}

/** A time as `20 Feb 14:05`, with the year if it is another one. */
export function moment(iso, now = Date.now()) {
  const time = new Date(iso);
  const same = time.getFullYear() === new Date(now).getFullYear();
  return `${day(time)}${same ? "" : ` ${time.getFullYear()}`} ${shortClock(time)}`;
}

/** Milliseconds from a start as `1:05`, `2:01:05`. */
export function offsetTime(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000);
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor((s % 3600) / 60);
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(s % 60)}`;
}

/** The time of day, `14:05:59`. */
export const timeOfDay = (iso) => clock(new Date(iso));

/** Everything about a time: local, and as it was sent. */
export const absolute = (iso) => (iso ? `${fullTime(iso)}\n${iso}` : "");

/** The whole local time, for people. */
export function fullTime(iso) {
  if (!iso) return "";
  const time = new Date(iso);
  return `${DAYS[time.getDay()]} ${day(time)} ${time.getFullYear()}, ${clock(time)} ${zone(time)}`;
}

/** Bytes as `3.2 MB`. */
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = n ?? 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/**
 * A text on one line that is shown as it is: control characters and those that turn the direction of text around
 * become signs, so that no name passes for another one.
 */
export const visible = (text) => String(text).replace(/[\p{Cc}\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu, sign);

/** The same for a text of several lines. */
export const visibleLines = (text) => text.split("\n").map((line) => line.split("\t").map(visible).join("\t")).join("\n");

function sign(char) {
  const code = char.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "\u2421" : `\u2039U+${code.toString(16).toUpperCase().padStart(4, "0")}\u203a`;
}

/**
 * Cuts a text at byte ranges of its UTF-8 form: `[[piece, highlighted], ...]`.
 * A range that would cut a character is widened to hold it.
 */
export function splitAtBytes(text, ranges) {
  const raw = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  const inside = (at) => at < raw.length && (raw[at] & 0xc0) === 0x80;
  const pieces = [];
  let from = 0;
  for (const [start, end] of [...(ranges ?? [])].sort((a, b) => a[0] - b[0])) {
    let low = Math.min(Math.max(start, from), raw.length);
    let high = Math.min(end, raw.length);
    while (low > from && inside(low)) low -= 1;
    while (inside(high)) high += 1;
    if (high <= low) continue;
    if (low > from) pieces.push([decoder.decode(raw.subarray(from, low)), false]);
    pieces.push([decoder.decode(raw.subarray(low, high)), true]);
    from = high;
  }
  if (from < raw.length) pieces.push([decoder.decode(raw.subarray(from)), false]);
  return pieces;
}

/** The text of an event that carries `text` or base64 `data`. */
export function textOf(event) {
  if (typeof event.text === "string") return event.text;
  if (typeof event.data !== "string") return "";
  try {
    const raw = Uint8Array.from(atob(event.data), (c) => c.charCodeAt(0));
    return new TextDecoder().decode(raw);
  } catch {
    return event.data;
  }
}
