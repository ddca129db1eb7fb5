// Terminal bytes as lines of styled text: a terminal without a bottom.
//
// It keeps colours, carriage returns, backspaces, and moves inside what was written; a cleared screen
// or an absolute move begins a new line, so that nothing that was seen is lost. Every other escape
// sequence is dropped. This is for reading; exact frames are the replay's work.

import { inert } from "./dom.js";

const TOKEN = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[ -/]*[0-~]|[\x00-\x1f\x7f]|[^\x00-\x1f\x7f]+/g;
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)$/;
const UNFINISHED_MAX = 4096;
const COLUMN_MAX = 4000;
const TAB = 8;

const PLAIN = Object.freeze({ classes: "", fg: "", bg: "" });

/** Lines of styled characters, and the place where the next one is written. */
export class Screen {
  constructor() {
    /** Each line is a list of `[character, style]`. */
    this.lines = [[]];
    this.row = 0;
    this.column = 0;
    /** The first line that changed since somebody set this to `Infinity`. */
    this.changedFrom = 0;
    this.pending = "";
    this.pen = {};
    this.style = PLAIN;
  }

  /** Writes what a terminal received. */
  write(text) {
    let all = this.pending + text;
    const open = UNFINISHED.exec(all);
    this.pending = open && open[0].length < UNFINISHED_MAX ? open[0] : "";
    if (this.pending) all = all.slice(0, -this.pending.length);
    for (const [token, numbers, final] of all.matchAll(TOKEN)) {
      if (final) this.control(final, numbers);
      else if (token[0] === "\x1b") continue;
      else if (token < " " || token === "\x7f") this.move(token);
      else this.print(token);
    }
  }

  print(text) {
    const line = this.touch();
    for (const character of text) {
      if (this.column >= COLUMN_MAX) break;
      while (line.length < this.column) line.push([" ", PLAIN]);
      line[this.column] = [character, this.style];
      this.column += 1;
    }
  }

  move(control) {
    if (control === "\n" || control === "\v" || control === "\f") this.goTo(this.row + 1, 0);
    else if (control === "\r") this.column = 0;
    else if (control === "\b") this.column = Math.max(0, this.column - 1);
    else if (control === "\t") this.column = Math.min(COLUMN_MAX, (Math.floor(this.column / TAB) + 1) * TAB);
  }

  control(final, text) {
    const numbers = text.split(/[;:]/).map((n) => Number.parseInt(n, 10));
    const n = Math.min(numbers[0] || 1, COLUMN_MAX);
    if (final === "m") this.paint(text ? numbers.map((one) => one || 0) : [0]);
    else if (final === "A") this.goTo(Math.max(0, this.row - n), this.column);
    else if (final === "B") this.goTo(Math.min(this.lines.length - 1, this.row + n), this.column);
    else if (final === "C") this.column = Math.min(COLUMN_MAX, this.column + n);
    else if (final === "D") this.column = Math.max(0, this.column - n);
    else if (final === "G") this.column = n - 1;
    else if (final === "K") this.eraseLine(numbers[0] || 0);
    else if (final === "P") this.touch().splice(this.column, n);
    else if (final === "@") this.touch().splice(this.column, 0, ...Array.from({ length: n }, () => [" ", PLAIN]));
    else if (final === "H" || final === "f" || (final === "J" && numbers[0] >= 2)) this.newLine();
    else if (final === "J") this.eraseLine(0);
  }

  eraseLine(part) {
    const line = this.touch();
    if (part === 0) line.length = Math.min(line.length, this.column);
    else if (part === 2) line.length = 0;
    else line.fill([" ", PLAIN], 0, Math.min(line.length, this.column + 1));
  }

  newLine() {
    if (this.lines.at(-1).length) this.goTo(this.lines.length, 0);
    else this.goTo(this.lines.length - 1, 0);
  }

  goTo(row, column) {
    while (this.lines.length <= row) this.lines.push([]);
    this.row = row;
    this.column = column;
    this.changedFrom = Math.min(this.changedFrom, row);
  }

  touch() {
    this.changedFrom = Math.min(this.changedFrom, this.row);
    return this.lines[this.row];
  }

  paint(numbers) {
    const pen = this.pen;
    for (let at = 0; at < numbers.length; at += 1) {
      const n = numbers[at];
      if (n === 0) this.pen = {};
      else if (n === 38 || n === 48) {
        const [color, used] = extended(numbers.slice(at + 1));
        this.pen = { ...this.pen, [n === 38 ? "fg" : "bg"]: color };
        at += used;
      } else this.pen = { ...this.pen, ...simple(n) };
    }
    if (pen !== this.pen) this.style = styleOf(this.pen);
  }
}

function simple(n) {
  if (n === 1) return { bold: true };
  if (n === 2) return { dim: true };
  if (n === 3) return { italic: true };
  if (n === 4) return { under: true };
  if (n === 7) return { inverse: true };
  if (n === 9) return { strike: true };
  if (n === 22) return { bold: false, dim: false };
  if (n === 23) return { italic: false };
  if (n === 24) return { under: false };
  if (n === 27) return { inverse: false };
  if (n === 29) return { strike: false };
  if (n >= 30 && n <= 37) return { fg: n - 30 };
  if (n === 39) return { fg: undefined };
  if (n >= 40 && n <= 47) return { bg: n - 40 };
  if (n === 49) return { bg: undefined };
  if (n >= 90 && n <= 97) return { fg: n - 82 };
  if (n >= 100 && n <= 107) return { bg: n - 92 };
  return {};
}

/** A colour after 38 or 48, and how many numbers it took. */
function extended(rest) {
  if (rest[0] === 2) return [`rgb(${byte(rest[1])}, ${byte(rest[2])}, ${byte(rest[3])})`, 4];
  if (rest[0] !== 5) return [undefined, 0];
  return [paletteColor(byte(rest[1])), 2];
}

/** A colour of the palette of 256: one of the terminal's own by its number, others as CSS has them. */
export function paletteColor(n) {
  if (n < 16) return n;
  if (n >= 232) return `rgb(${[1, 1, 1].map((x) => x * (8 + (n - 232) * 10)).join(", ")})`;
  const level = (x) => (x ? 55 + 40 * x : 0);
  const cube = [Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6];
  return `rgb(${cube.map(level).join(", ")})`;
}

const byte = (n) => Math.min(Math.max(n || 0, 0), 255);

const styles = new Map();

/** How a pen writes. */
export function styleOf(pen) {
  const key = JSON.stringify(pen);
  let style = styles.get(key);
  if (!style) {
    let { fg, bg } = pen;
    const names = ["bold", "dim", "italic", "under", "strike"].filter((name) => pen[name]).map((name) => `t-${name}`);
    if (pen.inverse) [fg, bg] = [bg ?? "back", fg ?? "fore"];
    const isCss = (color) => typeof color === "string" && /^(rgb|#)/.test(color);
    const named = (color, kind) => (isCss(color) ? "" : `t-${kind}-${color}`);
    if (fg !== undefined && named(fg, "f")) names.push(named(fg, "f"));
    if (bg !== undefined && named(bg, "b")) names.push(named(bg, "b"));
    const rgb = (color) => (isCss(color) ? color : "");
    style = Object.freeze({ classes: names.join(" "), fg: rgb(fg), bg: rgb(bg) });
    styles.set(key, style);
  }
  return style;
}

/** A line as runs of one style: `[[text, style], ...]`. */
export function runs(line) {
  const out = [];
  for (const [character, style] of line) {
    const last = out.at(-1);
    if (last && last[1] === style) last[0] += character;
    else out.push([character, style]);
  }
  return out;
}

/** One run as a node; as an element if it must be one. */
export function drawRun([text, style], element = false) {
  if (!element && (style === PLAIN || (!style.classes && !style.fg && !style.bg))) {
    const nodes = inert(text);
    if (nodes.length === 1) return nodes[0];
    element = true;
  }
  const span = document.createElement("span");
  span.append(...inert(text));
  span.className = style.classes;
  // Through the object model, because the page's policy allows no style attributes.
  if (style.fg) span.style.color = style.fg;
  if (style.bg) span.style.backgroundColor = style.bg;
  return span;
}

/** Does a text need a terminal to be read? */
export const needsTerminal = (text) => /[\x1b\b]|\r(?!\n)/.test(text);
