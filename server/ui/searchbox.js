// The search box, and under it what is wrong with the query: the words, and the place in the text.

import { h, icon, fill } from "./dom.js";

/** The box. `onSearch(text)` is called on Enter, and when the text is cleared. */
export function searchBox({ onSearch }) {
  const input = h("input", {
    id: "q", type: "text", name: "q", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    placeholder: "Search commands and outputs, or user:alice role:prod-* verdict:blocked",
    "aria-label": "Search", "aria-describedby": "q-error", enterkeyhint: "search",
  });
  const error = h("div", { id: "q-error", class: "query-error", role: "alert", hidden: true });
  const clear = h("button", { class: "quiet square clear", type: "button", "aria-label": "Clear the search",
    hidden: true, onclick: () => { set(""); onSearch(""); input.focus(); } }, icon("close"));
  const hint = h("kbd", { class: "slash", "aria-hidden": "true" }, "/");
  const form = h("form", { class: "search", role: "search" },
    icon("search"), input, clear, hint, error);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onSearch(input.value.trim());
  });
  input.addEventListener("input", () => {
    showError(null);
    show();
  });

  function show() {
    clear.hidden = !input.value;
    hint.hidden = Boolean(input.value);
  }

  function set(text) {
    if (input.value !== text) input.value = text;
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
    showError,
    focus() {
      input.focus();
      input.select();
    },
  };
}
