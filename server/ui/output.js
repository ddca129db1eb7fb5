// What came back from a command: folded when it is long, with a terminal's colours where it has any.

import { Screen, drawRun, needsTerminal, runs } from "./ansi.js";
import { h, fill } from "./dom.js";
import { number, plural } from "./format.js";
import { isNumeric, readTable } from "./table.js";

const LINES = 12;
// A text of few but endless lines is folded too.
const CHARACTERS = 3000;
/** More than this is not shown at all: the browser would be busy with it for long. */
const SHOWN_CHARACTERS = 300_000;

/** So much of a text is looked through for a table. */
const TABLE_CHARACTERS = 200_000;

/** A text as a block, a result as a table; `kind` is the stream that it came from. */
export function outputBlock(text, kind, truncated = false) {
  const table = kind === "result" && text.length < TABLE_CHARACTERS && !needsTerminal(text) ? readTable(text) : null;
  const block = table ? tableBlock(table) : textBlock(text, kind);
  if (truncated) block.append(h("p", { class: "hint" }, "The producer cut this output."));
  return block;
}

function tableBlock({ columns, rows, after }) {
  const numeric = columns.map((_, at) => isNumeric(rows, at));
  const cell = (tag) => (value, at) => h(tag, { class: numeric[at] ? "n" : null, scope: tag === "th" ? "col" : null }, value);
  const body = h("tbody");
  const draw = (some) => fill(body, some.map((row) => h("tr", null, row.map(cell("td")))));
  const block = h("div", { class: "output-block" },
    h("div", { class: "result-holder", tabindex: 0, role: "group", "aria-label": "Result" },
      h("table", { class: "result" }, h("thead", null, h("tr", null, columns.map(cell("th")))), body)));
  const short = rows.length > LINES + 2 ? rows.slice(0, LINES) : rows;
  draw(short);
  if (short !== rows) block.append(unfold(`Show all ${plural(rows.length, "row")}`, (open) => draw(open ? rows : short)));
  if (after) block.append(h("p", { class: "hint" }, after));
  return block;
}

/** A button that shows all, and less again. */
function unfold(label, draw) {
  let open = false;
  const button = h("button", { type: "button", class: "unfold", "aria-expanded": "false", onclick: () => {
    open = !open;
    draw(open);
    button.textContent = open ? "Show less" : label;
    button.setAttribute("aria-expanded", String(open));
  } }, label);
  return button;
}

function textBlock(whole, kind) {
  const text = whole.length > SHOWN_CHARACTERS ? whole.slice(0, SHOWN_CHARACTERS) : whole;
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
    block.append(unfold(label, (open) => draw(open ? lines : short)));
  }
  if (text !== whole) {
    block.append(h("p", { class: "hint" }, `${number(whole.length - text.length)} more characters are in the download.`));
  }
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
