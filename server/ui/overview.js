// Above a list: what happened when, and how many of it have which status and type.

import { search, sessions } from "./api.js";
import { statusName } from "./badges.js";
import { h, fill, icon, seen } from "./dom.js";
import { number } from "./format.js";
import { histogram } from "./histogram.js";
import { every } from "./pages.js";
import { bounds, listParams, searchQuery } from "./query.js";

const REFRESH_MS = 10000;
const FIELDS = ["status", "type"];

/** The overview in `element`; `change(next)` takes new values of the state. */
export function overview(element, change) {
  const bars = histogram((after, before) => change({ period: "", after, before }));
  const chips = h("div", { class: "facets" });
  fill(element, bars.element, chips);
  let state = null;
  let abort = new AbortController();
  let stop = () => {};

  /** Draws it, but not before `list` is seen: bars are measured, which would hold up the rows. */
  async function load(list) {
    const { signal } = abort;
    const now = Date.now();
    const wanted = state;
    const hits = wanted.view === "hits";
    const page = await (hits
      ? search({ q: searchQuery(wanted, now), limit: 1, histogram: true, facets: true }, signal)
      : sessions({ ...listParams(wanted, "", now), limit: 1, histogram: true, facets: true }, signal));
    const facets = {};
    for (const field of FIELDS) {
      facets[field] = page.facets?.[field] ?? [];
      // The other values of a field that is filtered by are those of the list without this filter.
      if (!hits && wanted[field].length) {
        facets[field] = (await sessions({ ...listParams(wanted, field, now), limit: 1, facets: true }, signal)).facets[field];
      }
    }
    await list;
    if (list) await seen();
    if (signal.aborted) return;
    const { after, before } = bounds(wanted, now);
    const from = after ? Date.parse(after) : null;
    const until = before ? Date.parse(before) : from && now;
    element.hidden = !page.histogram.buckets.length && !from;
    bars.set({ ...page.histogram, from, until, noun: hits ? "events" : "sessions", unit: hits ? "events" : "commands" });
    draw(facets);
  }

  function draw(facets) {
    fill(chips, FIELDS.map((field) => facets[field].length > 0 && h("div", { class: "facet", role: "group", "aria-label": field },
      facets[field].slice(0, 6).map(({ value, count }) => {
        const chosen = state[field].includes(value);
        return h("button", {
          type: "button", class: `chip s-${value}`, "aria-pressed": String(chosen), "data-facet": field, "data-value": value,
          onclick: () => change({ [field]: chosen ? state[field].filter((one) => one !== value) : [...state[field], value] }),
        }, field === "status" ? h("span", { class: "dot", "aria-hidden": "true" }) : icon(value),
        field === "status" ? statusName(value) : value, h("span", { class: "chip-count" }, number(count)));
      }))));
  }

  return {
    set(next, list) {
      abort.abort();
      stop();
      abort = new AbortController();
      state = next;
      // What is wrong with a query, the list says.
      const first = load(list).catch((problem) => {
        if (problem.name !== "AbortError") element.hidden = true;
      });
      stop = every(REFRESH_MS, () => first.then(() => load()));
    },
    close() {
      abort.abort();
      stop();
      bars.close();
    },
  };
}
