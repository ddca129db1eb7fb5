// A run of terminal events as one block: what was seen, and beside each line what was typed there.

import { Screen, drawRun, runs } from "./ansi.js";
import { h, fill } from "./dom.js";
import { textOf, timeOfDay } from "./format.js";

const NAMES = {
  "\r": "⏎", "\n": "⏎", "\t": "⇥", "\x7f": "⌫", "\b": "⌫", "\x1b": "Esc",
  "\x1b[A": "↑", "\x1b[B": "↓", "\x1b[C": "→", "\x1b[D": "←", "\x1bOA": "↑", "\x1bOB": "↓", "\x1bOC": "→", "\x1bOD": "←",
};

/** Keys as people name them: `ls -la ⏎`, `^C`. */
export function keyNames(text) {
  return text.replace(/\x1b[[O][A-D]|\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f]/g, (key) => {
    if (NAMES[key]) return NAMES[key];
    if (key.length > 1) return `Esc${key.slice(1)}`;
    return `^${String.fromCharCode(key.charCodeAt(0) + 64)}`;
  });
}

/** What was typed and can't be read in its line anyway: a terminal mostly echoes its keys. */
function unseen(typed, line) {
  const text = line.map(([character]) => character).join("").trimEnd();
  const words = typed.replace(/[\r\n]+$/, "");
  return words && text.endsWith(words.trimEnd()) ? typed.slice(words.length) || "⏎" : typed;
}

/** A block that terminal events are added to. */
export class TerminalBlock {
  constructor(first) {
    this.screen = new Screen();
    this.typed = new Map();
    this.times = new Map();
    this.notes = new Map();
    this.places = new Map();
    this.body = h("div", { class: "terminal-lines" });
    this.element = h("div", { class: "terminal", role: "group", "aria-label": "Terminal" },
      h("header", null, h("time", { title: first.time }, timeOfDay(first.time)), "Terminal"), this.body);
  }

  /** Takes an event; `draw` shows it. */
  add(event) {
    const row = this.screen.row;
    if (event.kind === "terminal.output") this.screen.write(textOf(event));
    else if (event.kind === "terminal.input") {
      this.typed.set(row, (this.typed.get(row) ?? "") + textOf(event));
      this.screen.touch();
    } else {
      const text = event.kind === "terminal.resize" ? `resized to ${event.cols} × ${event.rows}` : textOf(event);
      this.notes.set(row, [...(this.notes.get(row) ?? []), text]);
      this.screen.touch();
    }
    for (let at = row; at <= this.screen.row; at += 1) if (!this.times.has(at)) this.times.set(at, event.time);
    this.places.set(event.seq, [row, this.screen.row]);
  }

  /** Draws the lines that changed. */
  draw() {
    const from = Math.min(this.screen.changedFrom, this.body.childElementCount);
    this.screen.changedFrom = Infinity;
    for (let at = from; at < this.screen.lines.length; at += 1) {
      const line = this.line(at);
      const old = this.body.children[at];
      if (old) old.replaceWith(line);
      else this.body.append(line);
    }
  }

  line(at) {
    const typed = this.typed.get(at);
    const line = h("div", { class: "tline", title: this.times.has(at) ? timeOfDay(this.times.get(at)) : null });
    fill(line, runs(this.screen.lines[at]).map(drawRun),
      typed && h("kbd", { class: "typed", title: `Typed: ${keyNames(typed)}` }, keyNames(unseen(typed, this.screen.lines[at]))),
      (this.notes.get(at) ?? []).map((text) => h("span", { class: "marker" }, text)));
    if (this.marked && at >= this.marked[0] && at <= this.marked[1]) line.classList.add("marked");
    return line;
  }

  /** Marks an event's lines; answers the first of them, or null if the event is not here. */
  mark(seq) {
    const place = this.places.get(seq);
    if (!place) return null;
    this.marked = place;
    for (let at = place[0]; at <= place[1]; at += 1) this.body.children[at]?.classList.add("marked");
    return this.body.children[place[0]] ?? null;
  }
}
