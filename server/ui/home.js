// The first page: the filters, and under them the sessions or the search hits that they leave.

import { sessions as fetchSessions, Problem } from "./api.js";
import { h, fill, announce } from "./dom.js";
import { filterBar } from "./filters.js";
import { number } from "./format.js";
import { bind, moveFocus } from "./keys.js";
import { cleared, errorPlace, isNarrowed, listParams, readState, searchQuery, writeState } from "./query.js";
import { hitList } from "./search.js";
import { sessionList } from "./sessions.js";

// What was shown last, so that going back finds it as it was.
let kept = null;

/** The first page in `main`. */
export function home(main, context) {
  let state = null;
  let list = null;
  const count = h("output", { class: "count", "aria-live": "polite" });
  const toggle = h("div", { class: "segments", role: "group", "aria-label": "What is listed" });
  const change = (next) => context.go(writeState({ ...state, ...next }));
  const filters = filterBar({
    change,
    // The facets of a menu are those of the list without the menu's own filter.
    facets: (field, signal) => fetchSessions(
      { ...listParams(state, field), facets: "true", limit: 1 }, signal,
    ).then((page) => (page.facets?.[field] ?? []).map((one) => (
      Array.isArray(one) ? one : [one.value, one.count]))),
  });
  const body = h("div", { class: "list" });
  fill(main, h("div", { class: "toolbar" }, filters.element, h("div", { class: "toolbar-end" }, count, toggle)), body);

  const events = {
    sort: (sort) => change({ sort }),
    filter: (field, value) => !state[field].includes(value)
      && change({ [field]: [...state[field], value] }),
    narrowed: () => isNarrowed(state),
    clear: () => context.go(writeState(cleared(state))),
    count(n, exact = true) {
      const noun = state.view === "hits" ? ["hit", "hits"] : ["session", "sessions"];
      const text = `${number(n)}${exact ? "" : "+"} ${n === 1 && exact ? noun[0] : noun[1]}`;
      if (count.textContent !== text) count.textContent = text;
    },
    problem(problem) {
      count.textContent = "";
      if (problem instanceof Problem && problem.inQuery) {
        const joined = state.view === "hits" ? searchQuery(state) : listParams(state).q;
        context.box.showError(problem, state.q, errorPlace(state.q, problem, joined));
        return "The query can't be read; the place is marked under the search box.";
      }
      announce(problem.message);
      return problem.message;
    },
  };

  function showToggle() {
    const choice = (view, label) => h("button", {
      type: "button", "aria-pressed": String(state.view === view),
      onclick: () => state.view !== view && change({ view }),
    }, label);
    fill(toggle, choice("sessions", "Sessions"), choice("hits", "Hits"));
    toggle.hidden = !state.q;
  }

  function keep() {
    if (list) kept = { url: writeState(state), scroll: scrollY, data: list.data() };
  }

  bind({
    j: () => moveFocus([...body.querySelectorAll("a.row-link")], 1),
    k: () => moveFocus([...body.querySelectorAll("a.row-link")], -1),
    c: () => events.clear(),
    v: () => state.q && change({ view: state.view === "hits" ? "sessions" : "hits" }),
  });

  return {
    update(url, again = false) {
      if (list && !again) keep();
      list?.close();
      state = readState(url.search);
      if (state.view === "hits" && !state.q) state.view = "sessions";
      document.title = state.q ? `${state.q} · daybook` : "Sessions · daybook";
      context.box.set(state.q);
      filters.set(state);
      showToggle();
      const now = Date.now();
      const make = state.view === "hits" ? hitList : sessionList;
      const ask = state.view === "hits" ? { q: searchQuery(state, now) } : listParams(state, "", now);
      const found = !again && kept?.url === writeState(state) ? kept : null;
      list = make(body, ask, events, found?.data);
      scrollTo(0, found ? found.scroll : 0);
    },
    close() {
      keep();
      list?.close();
      list = null;
    },
  };
}
