// The keyboard: views register what their keys do; the sheet under `?` lists them. And dialogs, which have it while they are open.

import { h, fill, icon } from "./dom.js";

const SHEET = [
  ["Everywhere", [["/", "Search"], ["?", "These keys"], ["t", "Light or dark"], ["Esc", "Back, or close"]]],
  ["Sessions and hits", [["j", "Next"], ["k", "Previous"], ["Enter", "Open"], ["v", "Sessions or hits"],
    ["c", "Clear the filters"]]],
  ["The bars", [["\u2190 \u2192", "Move"], ["Shift", "and an arrow: choose a stretch"], ["Enter", "Narrow the period to it"]]],
  ["A session", [["j", "Next command"], ["k", "Previous command"], ["n", "Note on the command"], ["f", "Find in the session"],
    ["1 – 4", "Commands, timeline, replay, details"], ["y", "Copy the link to this moment"]]],
  ["Replay and timeline", [["Space", "Play or pause"], ["← →", "5 seconds; another event"], ["[ ]", "Command or marker"],
    ["n p", "Next or previous hit"], ["+ −", "Faster, slower; zoom"], ["Home End", "Start, end"]]],
];

let handlers = {};

/** The keys of the view that is shown now. */
export function bind(keys) {
  handlers = keys;
}

/** Starts to listen; `always` are the keys of every view. */
export function listen(always) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.closest("input:not([type=range], [type=checkbox]), textarea, select");
    if (typing && event.key !== "Escape") return;
    if (typing) {
      event.target.blur();
      event.preventDefault();
      return;
    }
    // It presses what has the focus.
    if (event.key === " " && event.target.closest("button, summary, input, a")) return;
    const action = handlers[event.key] ?? always[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}

/** Moves the focus among elements by `step`; starts at the first one. */
export function moveFocus(elements, step) {
  if (!elements.length) return;
  const at = elements.indexOf(document.activeElement);
  const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), elements.length - 1);
  elements[to].focus({ preventScroll: true });
  elements[to].scrollIntoView({ block: "nearest" });
}

/** Opens a dialog over the page: a title, and what comes under it. */
export function openSheet(kind, title, ...children) {
  const dialog = h("dialog", { class: `sheet ${kind}`, "aria-labelledby": "sheet-title" },
    h("header", null,
      h("h2", { id: "sheet-title" }, title),
      h("button", { class: "quiet square", type: "button", "aria-label": "Close", onclick: () => dialog.close() },
        icon("close"))),
    children);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A dialog that asks for something; `done()` may fail, which is said in it. */
export function askSheet(title, fields, label, done) {
  const wrong = h("p", { class: "hint wrong", role: "alert" });
  const sure = h("button", { type: "submit", class: "primary" }, label);
  const ask = async (event) => {
    event.preventDefault();
    sure.disabled = true;
    try {
      await done();
      dialog.close();
    } catch (problem) {
      sure.disabled = false;
      fill(wrong, problem.message);
    }
  };
  const dialog = openSheet("ask-sheet", title, h("form", { onsubmit: ask }, fields, wrong,
    h("div", { class: "sheet-end" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), sure)));
}

/** Shows the sheet of keys. */
export function showSheet() {
  const dialog = openSheet("", "Keys",
    h("div", { class: "sheet-columns" }, SHEET.map(([title, keys]) => h("section", null,
      h("h3", null, title),
      h("dl", null, keys.map(([key, what]) => h("div", null,
        h("dt", null, h("kbd", null, key)), h("dd", null, what))))))));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => event.key === "?" && dialog.close());
}
