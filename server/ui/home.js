// The first page: the filters, what happened when, and under it the sessions or the search hits that they leave.
//
// It is there once the rows are: what is above them, and search hits, come in modules of their own.

import { facets, search, NO_ANSWER, Problem } from "./api.js";
import { h, fill, announce, seen } from "./dom.js";
import { filterBar } from "./filters.js";
import { number } from "./format.js";
import { bind } from "./keys.js";
import { cleared, errorPlace, isNarrowed, listParams, readState, searchQuery, writeState } from "./query.js";
import { sessionList, SORTS } from "./sessions.js";

// What was shown last, so that going back finds it as it was.
let kept = null;

/** The first page in `main`. */
export function home(main, context) {
  let state = null;
  let list = null;
  let hitViews = null;
  let overview = null;
  let turns = 0;
  const count = h("output", { class: "count", "aria-live": "polite" });
  const choices = h("div", { class: "choices" });
  const change = (next) => context.go(writeState({ ...state, ...next }));
  const filters = filterBar({
    change,
    // The values of a menu are those of the list without the menu's own filter.
    values: async (field, find, signal) => {
      const { sort, ...which } = listParams(state, field);
      return facets({ ...which, field, find, limit: 50 }, signal);
    },
  });
  const above = h("div", { class: "overview" });
  const body = h("div", { class: "list" });
  fill(main, h("h1", { class: "unseen" }, "Sessions"),
    h("div", { class: "toolbar" }, filters.element, h("div", { class: "toolbar-end" }, count, choices)), above, body);

  const events = {
    sort: (sort) => change({ sort }),
    filter: (field, value) => !state[field].includes(value)
      && change({ [field]: [...state[field], value] }),
    narrowed: () => isNarrowed(state),
    clear: () => context.go(writeState(cleared(state))),
    count(n, exact = true, noun = ["session", "sessions"]) {
      const text = `${number(n)}${exact ? "" : "+"} ${n === 1 && exact ? noun[0] : noun[1]}`;
      if (count.textContent !== text) count.textContent = text;
    },
    problem(problem) {
      count.textContent = "";
      if (problem instanceof Problem && problem.inQuery) {
        const joined = state.view === "hits" ? searchQuery(state) : listParams(state).q;
        const { q } = state;
        context.box.showError(problem, q, errorPlace(q, problem, joined));
        // What stands around it may have been taken for a part of it: the text by itself has the true place.
        if (joined !== q) {
          search({ q, limit: 1 }).catch((own) => {
            if (own.inQuery && state.q === q) context.box.showError(own, q, errorPlace(q, own, q));
          });
        }
        return "The query can't be read; the place is marked under the search box.";
      }
      announce(problem.message);
      return problem.message;
    },
  };

  function drawChoices() {
    const hits = state.view === "hits";
    fill(choices,
      !hits && h("label", { class: "narrow-only" }, h("span", { class: "unseen" }, "Sort by"), select("Sort by", SORTS, state.sort, (sort) => change({ sort }))),
      hits && !state.group && select("Order", [["newest", "Newest first"], ["relevance", "By relevance"]], state.order, (order) => change({ order })),
      hits && h("button", { type: "button", "aria-pressed": String(state.group), class: "toggle", onclick: () => change({ group: !state.group }) }, "By session"),
      state.q && segments([["sessions", "Sessions"], ["hits", "Hits"]], state.view, (view) => change({ view })));
  }

  function make(now, data) {
    if (state.view !== "hits") return sessionList(body, listParams(state, "", now), events, data);
    const q = searchQuery(state, now);
    return state.group ? hitViews.groupList(body, { q }, events, data) : hitViews.hitList(body, { q, sort: state.order }, events, data);
  }

  function keep() {
    if (list) kept = { url: writeState(state), scroll: scrollY, data: list.data() };
  }

  /** What happened when, and how often what; nobody waits for it before the rows. */
  async function overlook(turn) {
    const { drawn } = list;
    if (!overview) {
      await drawn;
      await seen();
      const module = await import("./overview.js").catch(() => null);
      if (turn !== turns) return;
      above.hidden = !module;
      overview ??= module?.overview(above, change);
    }
    overview?.set(state, drawn);
  }

  bind({
    j: () => list?.move(1),
    k: () => list?.move(-1),
    c: () => events.clear(),
    v: () => state.q && change({ view: state.view === "hits" ? "sessions" : "hits" }),
  });

  return {
    async update(url, again = false) {
      const turn = turns += 1;
      const next = readState(url.search);
      if (next.view === "hits" && !next.q) next.view = "sessions";
      if (next.view === "hits" && !hitViews) {
        const module = await import("./search.js").catch(() => null);
        if (turn !== turns) return;
        if (!module) return void fill(body, h("div", { class: "state" }, h("p", null, NO_ANSWER)));
        hitViews = module;
      }
      if (list && !again) keep();
      list?.close();
      state = next;
      document.title = state.q ? `${state.q} · daybook` : "Sessions · daybook";
      filters.set(state);
      drawChoices();
      const found = !again && kept?.url === writeState(state) ? kept : null;
      list = make(Date.now(), found?.data);
      overlook(turn);
      scrollTo(0, found ? found.scroll : 0);
    },
    close() {
      turns += 1;
      keep();
      list?.close();
      list = null;
      overview?.close();
      filters.close();
    },
  };
}

function segments(all, chosen, choose) {
  return h("div", { class: "segments", role: "group", "aria-label": "What is listed" }, all.map(([name, label]) => h("button", {
    type: "button", "aria-pressed": String(chosen === name), onclick: () => chosen !== name && choose(name),
  }, label)));
}

function select(label, options, chosen, choose) {
  const element = h("select", { "aria-label": label, onchange: () => choose(element.value) },
    options.map(([value, name]) => h("option", { value, selected: value === chosen }, name)));
  return element;
}
