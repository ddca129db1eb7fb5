// What came back from a command: folded when it is long, with a terminal's colours where it has any.

import { Screen, drawRun, needsTerminal, runs } from "./ansi.js";
import { h, fill } from "./dom.js";
import { number } from "./format.js";

const LINES = 12;
// A text of few but endless lines is folded too.
const CHARACTERS = 3000;

/** A text as a block; `kind` is the stream that it came from. */
export function outputBlock(text, kind, truncated = false) {
  const lines = linesOf(text);
  while (lines.length > 1 && lines.at(-1).every(([piece]) => !piece)) lines.pop();
  const pre = h("pre", { class: `output o-${kind}`, tabindex: 0, "aria-label": "Output" });
  if (!isTable(text) && lines.some((line) => lengthOf(line) > 160)) pre.classList.add("wrap");
  const block = h("div", { class: "output-block" }, pre);
  const draw = (some) => fill(pre, some.map((line, at) => [at ? "\n" : "", line.map(drawPiece)]));
  const short = folded(lines);
  draw(short);
  if (short !== lines) {
    const label = lines.length > LINES ? `Show all ${number(lines.length)} lines` : `Show all ${number(text.length)} characters`;
    let open = false;
    const button = h("button", { type: "button", class: "unfold", "aria-expanded": "false", onclick: () => {
      open = !open;
      draw(open ? lines : short);
      button.textContent = open ? "Show less" : label;
      button.setAttribute("aria-expanded", String(open));
    } }, label);
    block.append(button);
  }
  if (truncated) block.append(h("p", { class: "hint" }, "The producer cut this output."));
  return block;
}

function folded(lines) {
  const out = [];
  let left = CHARACTERS;
  for (const line of lines.slice(0, LINES)) {
    const length = lengthOf(line);
    if (length > left) {
      out.push(cut(line, left));
      return out;
    }
    out.push(line);
    left -= length;
  }
  // One or two more lines are shown rather than a button for them.
  return lines.length <= LINES + 2 ? lines : out;
}

function cut(line, length) {
  const out = [];
  let left = length;
  for (const [text, style] of line) {
    if (left <= 0) break;
    out.push([text.slice(0, left), style]);
    left -= text.length;
  }
  return [...out, ["…", null]];
}

const lengthOf = (line) => line.reduce((sum, [text]) => sum + text.length, 0);
const drawPiece = ([text, style]) => (style ? drawRun([text, style]) : text);

function linesOf(text) {
  if (!needsTerminal(text)) return text.replace(/\r\n/g, "\n").split("\n").map((line) => [[line, null]]);
  const screen = new Screen();
  screen.write(text);
  return screen.lines.map((line) => (line.length ? runs(line) : [["", null]]));
}

/** Is it a table as psql, mysql or kubectl print it? */
const isTable = (text) => /^\s*[-+|=]+\s*$/m.test(text) && /[|+]/.test(text);
