// The search box: it completes fields and values, and says under it what is wrong with a query, and where.

import { h, icon, fill } from "./dom.js";
import { number, visible } from "./format.js";

// What completes is loaded when somebody is about to type.
const completer = () => import("./complete.js");

// So long after the last key the server is asked for values.
const PAUSE_MS = 90;

/** The box. `onSearch(text)` is called on Enter, and when the text is cleared; `values` as `completions` has it. */
export function searchBox({ onSearch, values }) {
  const input = h("input", {
    id: "q", type: "text", name: "q", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    placeholder: "Search commands and outputs, or user:alice role:prod-* verdict:blocked",
    role: "combobox", "aria-label": "Search", "aria-describedby": "q-error", "aria-expanded": "false", "aria-controls": "q-list",
    "aria-autocomplete": "list", enterkeyhint: "search",
  });
  const error = h("div", { id: "q-error", class: "query-error", role: "alert", hidden: true });
  const options = h("ul", { id: "q-list", class: "completions", role: "listbox", "aria-label": "Completions", hidden: true });
  const clear = h("button", { class: "quiet square clear", type: "button", "aria-label": "Clear the search",
    hidden: true, onclick: () => { set(""); onSearch(""); input.focus(); } }, icon("close"));
  const hint = h("kbd", { class: "slash", "aria-hidden": "true" }, "/");
  const form = h("form", { class: "search", role: "search" }, icon("search"), input, clear, hint, options, error);

  let offered = [];
  let chosen = -1;
  let abort = null;
  let timer = 0;
  let placeAt = null;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    offer([]);
    onSearch(input.value.trim());
  });
  input.addEventListener("input", () => {
    showError(null);
    show();
    complete(false);
  });
  input.addEventListener("focus", () => completer().catch(() => {}));
  input.addEventListener("blur", () => offer([]));
  input.addEventListener("keydown", onKey);
  // A click must not take the focus away before it is one.
  options.addEventListener("pointerdown", (event) => event.preventDefault());
  options.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) accept(Number(option.dataset.at));
  });

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const open = offered.length > 0;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) complete(true);
      else choose((chosen + (event.key === "ArrowDown" ? 1 : -1) + offered.length + (chosen < 0 && event.key === "ArrowUp" ? 1 : 0)) % offered.length);
    } else if (open && (event.key === "Tab" || (event.key === "Enter" && chosen >= 0))) {
      event.preventDefault();
      accept(Math.max(chosen, 0));
    } else if (open && event.key === "Escape") {
      event.preventDefault();
      offer([]);
    }
  }

  function complete(all) {
    abort?.abort();
    clearTimeout(timer);
    abort = new AbortController();
    const { signal } = abort;
    const ask = async (completions) => {
      const found = await completions(input.value, input.selectionStart, { all, values, signal });
      if (!signal.aborted && document.activeElement === input) offer(found);
    };
    // Without completions the box does all else.
    const without = () => {};
    completer().then((module) => {
      if (signal.aborted) return;
      ({ placeAt } = module);
      const { field } = placeAt(input.value, input.selectionStart);
      const soon = () => ask(module.completions).catch(without);
      if (field === null) soon();
      else timer = setTimeout(soon, PAUSE_MS);
    }, without);
  }

  function offer(found) {
    if (!found.length) {
      abort?.abort();
      clearTimeout(timer);
    }
    offered = found;
    chosen = -1;
    options.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    input.removeAttribute("aria-activedescendant");
    fill(options, found.map(({ value, about }, at) => h("li", { role: "option", id: `q-option-${at}`, "data-at": at, "aria-selected": "false" },
      h("span", { class: "completion" }, visible(value)),
      h("span", { class: "completion-about" }, typeof about === "number" ? number(about) : about))));
  }

  function choose(at) {
    chosen = at;
    for (const [index, option] of [...options.children].entries()) option.setAttribute("aria-selected", String(index === at));
    input.setAttribute("aria-activedescendant", `q-option-${at}`);
    options.children[at].scrollIntoView({ block: "nearest" });
  }

  function accept(at) {
    const { insert } = offered[at];
    const { from, to } = placeAt(input.value, input.selectionStart);
    const rest = input.value.slice(to);
    input.value = input.value.slice(0, from) + insert + (insert.endsWith(" ") ? rest.trimStart() : rest);
    input.setSelectionRange(from + insert.length, from + insert.length);
    offer([]);
    show();
    if (insert.endsWith(":")) complete(false);
  }

  function show() {
    clear.hidden = !input.value;
    hint.hidden = Boolean(input.value);
  }

  function set(text) {
    if (input.value !== text) input.value = text;
    offer([]);
    showError(null);
    show();
  }

  /** Shows a Problem at `[start, end]` of the text, or nothing. */
  function showError(problem, text = "", [start, end] = [0, 0]) {
    error.hidden = !problem;
    input.setAttribute("aria-invalid", problem ? "true" : "false");
    if (!problem) return fill(error);
    // At the very end there is no character to mark, so a space stands for it.
    const marked = text.slice(start, Math.max(end, start + 1)) || " ";
    return fill(error,
      h("p", { class: "query-error-text" }, problem.message),
      h("pre", { class: "query-error-place" },
        text.slice(0, start), h("mark", null, marked), text.slice(start + marked.length)),
      problem.hint && h("p", { class: "query-error-hint" }, problem.hint));
  }

  return {
    element: form,
    set,
    text: () => input.value.trim(),
    showError,
    focus() {
      input.focus();
      input.select();
    },
  };
}
