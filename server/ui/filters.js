// The row of filters: a menu for each field with its values and counts, and the period.

import { NO_ANSWER } from "./api.js";
import { statusName } from "./badges.js";
import { h, fill, icon } from "./dom.js";
import { moment, number, visible } from "./format.js";
import { cleared, isNarrowed, PERIODS } from "./query.js";

const MENUS = [
  ["user", "User"], ["role", "Resource role"], ["type", "Type"], ["period", "Period"], ["status", "Status"],
];

// Where there may be many values, a part of one finds them.
const FOUND = new Set(["user", "role"]);
const PAUSE_MS = 120;

/**
 * The filters. `change(next)` takes new values, `values(field, find, signal)` loads those of a menu that contain
 * `find`: `{items: [{value, count}], more}`.
 */
export function filterBar({ change, values }) {
  const element = h("div", { class: "filters", role: "group", "aria-label": "Filters" });
  let state = null;
  let open = null;

  const outside = (event) => open && !open.holder.contains(event.target) && close();
  document.addEventListener("pointerdown", outside);

  function close(focus = false) {
    if (!open) return;
    open.abort.abort();
    open.panel.remove();
    open.button.setAttribute("aria-expanded", "false");
    if (focus) open.button.focus();
    open = null;
  }

  function toggle(field, label, button, holder) {
    const same = open?.button === button;
    close();
    if (same) return;
    const abort = new AbortController();
    const panel = h("div", { class: "menu", role: "dialog", "aria-label": label });
    open = { field, panel, button, holder, abort };
    button.setAttribute("aria-expanded", "true");
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        close(true);
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        step(panel, event.key === "ArrowDown" ? 1 : -1);
      }
    });
    holder.append(panel);
    if (field === "period") periods(panel);
    else valueMenu(panel, field, label, abort.signal);
  }

  async function periods(panel) {
    const given = await import("./period.js").catch(() => null);
    if (open?.panel !== panel) return;
    if (given) given.periodMenu(panel, state, (next) => { close(true); change(next); });
    else fill(panel, h("p", { class: "hint wrong", role: "alert" }, NO_ANSWER));
  }

  function valueMenu(panel, field, label, signal) {
    const find = h("input", { type: "text", placeholder: `Find ${label.toLowerCase()}`, "aria-label": `Find ${label.toLowerCase()}`,
      autocomplete: "off", spellcheck: "false" });
    const options = h("div", { class: "options", role: "group", "aria-label": label },
      h("p", { class: "hint" }, "Loading"));
    fill(panel, FOUND.has(field) ? find : null, options);
    let timer = 0;
    let turn = 0;
    const load = async () => {
      const text = find.value.trim();
      const mine = turn += 1;
      try {
        const { items, more } = await values(field, text, signal);
        if (mine === turn && !signal.aborted) draw(text, items, more);
      } catch (error) {
        if (error.name !== "AbortError") fill(options, h("p", { class: "hint" }, error.message));
      }
    };
    const draw = (text, items, more) => {
      // A chosen value that no session has any more still shows, so that it can be taken back.
      const gone = text ? [] : state[field].filter((value) => !items.some((item) => item.value === value));
      const all = [...gone.map((value) => ({ value, count: 0 })), ...items];
      fill(options, all.length ? all.map(({ value, count }) => option(field, value, count))
        : h("p", { class: "hint" }, text ? "Nothing fits" : "No values yet"),
      more && h("p", { class: "hint" }, "There are more: type a part of what you look for"),
      text.includes("*") && h("button", { type: "button", class: "use-typed", onclick: () => pick(field, text) }, `Use “${text}”`));
      if (!panel.contains(document.activeElement)) panel.querySelector("input")?.focus();
    };
    find.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(load, PAUSE_MS);
    });
    if (FOUND.has(field)) find.focus();
    load();
  }

  function pick(field, value) {
    close(true);
    if (!state[field].includes(value)) change({ [field]: [...state[field], value] });
  }

  function option(field, value, count) {
    const box = h("input", { type: "checkbox", value, onchange: () => {
      const rest = state[field].filter((one) => one !== value);
      change({ [field]: box.checked ? [...rest, value] : rest });
    } });
    box.checked = state[field].includes(value);
    return h("label", { class: "option" }, box,
      h("span", { class: "option-name" }, field === "status" ? statusName(value) : visible(value)),
      h("span", { class: "option-count" }, number(count)));
  }

  function label(field, name) {
    if (field === "period") return periodLabel(state);
    const values = state[field];
    if (!values.length) return "";
    const first = field === "status" ? statusName(values[0]) : visible(values[0]);
    return values.length === 1 ? first : `${first} +${values.length - 1}`;
  }

  function draw() {
    for (const [field, name] of MENUS) {
      let holder = element.querySelector(`[data-field="${field}"]`);
      if (!holder) {
        const button = h("button", { type: "button", class: "filter", "aria-haspopup": "dialog", "aria-expanded": "false",
          onclick: () => toggle(field, name, button, holder) });
        const undo = h("button", { type: "button", class: "undo", "aria-label": `Clear ${name}`, title: `Clear ${name}`,
          onclick: () => { close(); change(field === "period" ? { period: "", after: "", before: "" } : { [field]: [] }); } },
          icon("close"));
        holder = h("div", { class: "filter-holder", "data-field": field }, button, undo);
        element.append(holder);
      }
      const chosen = label(field, name);
      const [button, undo] = holder.children;
      holder.classList.toggle("active", Boolean(chosen));
      fill(button, h("span", { class: "filter-name" }, name), chosen && h("span", { class: "filter-value" }, chosen),
        !chosen && icon("down"));
      undo.hidden = !chosen;
    }
    element.querySelectorAll(".extra").forEach((one) => one.remove());
    for (const tag of state.tag) {
      element.append(h("button", { type: "button", class: "filter extra chosen", "aria-label": `Clear the tag ${tag}`,
        onclick: () => change({ tag: state.tag.filter((one) => one !== tag) }) },
        h("span", { class: "filter-name" }, "Tag"), h("span", { class: "filter-value" }, visible(tag)), icon("close")));
    }
    if (isNarrowed(state)) {
      element.append(h("button", { type: "button", class: "quiet extra clear-all",
        onclick: () => change(cleared(state)) }, "Clear all"));
    }
  }

  return {
    element,
    set(next) {
      state = next;
      draw();
    },
    close() {
      close();
      document.removeEventListener("pointerdown", outside);
    },
  };
}

/** The chosen period in words; empty for all time. */
function periodLabel({ period, after, before }) {
  if (period) return PERIODS[period][0];
  if (after && before) return `${moment(after)} – ${moment(before)}`;
  if (after) return `After ${moment(after)}`;
  return before ? `Before ${moment(before)}` : "";
}

function step(panel, by) {
  const stops = [...panel.querySelectorAll("input, button")];
  const at = stops.indexOf(document.activeElement);
  stops[Math.min(Math.max(at + by, 0), stops.length - 1)]?.focus();
}
