// A terminal's picture as elements: rows of text that can be selected, in the terminal's colours.

import { drawRun, paletteColor, styleOf } from "./ansi.js";
import { h, fill } from "./dom.js";

/** `show(picture)` draws the rows that changed. */
export function pictureView() {
  const cursor = h("span", { class: "screen-cursor", "aria-hidden": "true" });
  const rows = h("div", { class: "screen-rows" });
  const screen = h("div", { class: "screen", tabindex: 0, role: "region", "aria-label": "Terminal" }, rows, cursor);
  const element = h("div", { class: "screen-holder" }, screen);
  let shown = [];
  let size = "";

  function show(picture) {
    const now = `${picture.cols}x${picture.rows}`;
    if (now !== size) {
      size = now;
      screen.style.setProperty("--cols", picture.cols);
      screen.style.setProperty("--rows", picture.rows);
      screen.dataset.size = now;
      fill(rows, picture.lines.map(() => h("div", { class: "screen-row" })));
      shown = [];
    }
    picture.lines.forEach((runs, at) => {
      if (shown[at] === runs) return;
      shown[at] = runs;
      rows.children[at].replaceChildren(...runs.map(draw));
    });
    cursor.hidden = !picture.cursor;
    if (picture.cursor) {
      screen.style.setProperty("--col", Math.min(picture.cursor.col, picture.cols - 1));
      screen.style.setProperty("--row", picture.cursor.row);
    }
  }

  return { element, screen, show };
}

function draw(run) {
  const color = (value) => (Number.isInteger(value) ? paletteColor(value) : value);
  const style = styleOf({ fg: color(run.fg), bg: color(run.bg), bold: run.bold, dim: run.faint, italic: run.italic,
    under: run.underline, strike: run.strikethrough, inverse: run.inverse });
  const node = drawRun([run.text, style], Boolean(run.width));
  if (run.width) {
    // Wide characters take two columns here, whatever the font thinks of them.
    node.classList.add("wide");
    node.style.width = `${run.width}ch`;
  }
  return node;
}
