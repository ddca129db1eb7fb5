// The menu of the period: a name that is counted back from now, or two times.

import { h, fill, icon } from "./dom.js";
import { PERIODS } from "./query.js";

const NAMES = [...Object.entries(PERIODS).map(([name, [label]]) => [name, label]), ["", "All time"]];

/** Fills a menu; `choose({period, after, before})` is called once. */
export function periodMenu(panel, state, choose) {
  const custom = Boolean(state.after || state.before);
  const from = h("input", { type: "datetime-local", step: 1, value: toLocal(state.after) });
  const until = h("input", { type: "datetime-local", step: 1, value: toLocal(state.before) });
  const wrong = h("p", { class: "hint wrong", role: "alert" });
  const apply = (event) => {
    event.preventDefault();
    const [after, before] = [toIso(from.value), toIso(until.value)];
    if (!after && !before) return fill(wrong, "Give a start, an end, or both");
    if (after && before && after >= before) return fill(wrong, "The end must be after the start");
    return choose({ period: "", after, before });
  };
  fill(panel,
    h("div", { class: "options" }, NAMES.map(([name, label]) => {
      const chosen = !custom && state.period === name;
      return h("button", { type: "button", class: "preset", "aria-pressed": String(chosen),
        onclick: () => choose({ period: name, after: "", before: "" }) }, label, chosen && icon("check"));
    })),
    h("form", { class: "custom", onsubmit: apply },
      h("label", null, "From", from),
      h("label", null, "Until", until),
      wrong,
      h("button", { type: "submit", class: "primary" }, "Apply")));
  panel.querySelector("button").focus();
}

// The inputs speak local time without a zone.
function toLocal(iso) {
  if (!iso) return "";
  const time = new Date(iso);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function toIso(local) {
  return local ? new Date(local).toISOString() : "";
}
