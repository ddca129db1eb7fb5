// Search hits: what was found in which session, with the words marked; or the sessions that have hits.

import { search, searchSessions } from "./api.js";
import { badge, statusBadge, when } from "./badges.js";
import { h, fill, icon, toast } from "./dom.js";
import { moment, plural, splitAtBytes, visible, visibleLines } from "./format.js";
import { endless } from "./pages.js";
import { virtualRows } from "./virtual.js";

const PAGE = 40;

/** Fills `body` with the hits that `ask` finds; `kept` is what a list before had loaded. */
export function hitList(body, ask, events, kept) {
  const draw = (hit, before) => drawHit(hit, before?.session === hit.session);
  return found(body, search, { ...ask, count: "exact" }, ["hit", "hits"], (hit) => String(hit.offset), draw, events, kept);
}

/** The same by session: how many hits each has, and the latest. */
export function groupList(body, ask, events, kept) {
  const draw = (group) => drawGroup(group, ask.q);
  return found(body, searchSessions, ask, ["session", "sessions"], (group) => group.session.id, draw, events, kept);
}

/** A list of what a search answers, page by page. */
function found(body, fetchPage, ask, noun, idOf, draw, events, kept) {
  const abort = new AbortController();
  const list = h("ol", { class: "hits" });
  const view = virtualRows(list, {
    draw,
    tick(row, item, at) {
      row.dataset.id = item.id;
      row.setAttribute("aria-posinset", at + 1);
      row.setAttribute("aria-setsize", count ?? -1);
    },
    heights: kept?.heights,
  });
  let items = [];
  let cursor = null;
  let count = null;

  const pages = endless(async () => {
    // What was counted once is not counted again.
    const { count: _, ...again } = ask;
    take(await fetchPage({ ...again, limit: PAGE, cursor }, abort.signal));
    return Boolean(cursor);
  });

  function take(page) {
    // A session that has a new hit meanwhile is on a later page again.
    const known = new Set(items.map(({ id }) => id));
    items = [...items, ...page.items.map((item) => ({ ...item, id: idOf(item) })).filter(({ id }) => !known.has(id))];
    cursor = page.next_cursor ?? null;
    if (Number.isInteger(page.count)) count = page.count;
    view.set(items);
    events.count(count ?? page.count_at_least ?? items.length, count !== null || !cursor, noun);
    if (page.unreadable) toast(`${page.unreadable} events that may match can't be read: a part of the log is damaged`);
  }

  function start() {
    if (!items.length) {
      fill(body, h("div", { class: "state" },
        h("h2", null, "Nothing was found"),
        h("p", null, "Words match whole words, in any case. Try ", h("code", null, "dele*"), " for a beginning or ",
          h("code", null, "*elet*"), " for a part of a word."),
        h("button", { type: "button", onclick: events.clear }, "Clear the filters")));
      return;
    }
    fill(body, list, pages.element);
    view.place();
    pages.start(Boolean(cursor));
  }

  let drawn = Promise.resolve();
  if (kept) {
    take({ items: kept.items, next_cursor: kept.cursor, count: kept.count });
    start();
  } else {
    body.classList.add("loading");
    drawn = fetchPage({ ...ask, limit: PAGE }, abort.signal).then((page) => {
      take(page);
      start();
    }).catch((problem) => {
      if (problem.name !== "AbortError") fill(body, h("div", { class: "state" }, h("p", null, events.problem(problem))));
    }).finally(() => !abort.signal.aborted && body.classList.remove("loading"));
  }

  return {
    /** When there is something to be seen. */
    drawn,
    data: () => (items.length ? { items, cursor, count, heights: view.heights } : undefined),
    move: view.move,
    close() {
      abort.abort();
      pages.close();
      view.close();
      body.classList.remove("loading");
    },
  };
}

const sessionUrl = (id) => `/sessions/${encodeURIComponent(id)}`;

/** Where a hit is seen in its session. */
export const hitLink = (hit) => `${sessionUrl(hit.session)}?${new URLSearchParams({ seq: hit.seq, at: hit.time })}`;

/** The moment of a hit in the replay of its session. */
export const replayLink = (hit) => `${sessionUrl(hit.session)}?${new URLSearchParams({ tab: "replay", at: hit.time })}`;

/** A hit; after another one of its session (`same`), who and where is left to that one. */
function drawHit(hit, same) {
  const who = visible(hit.user ?? hit.session);
  return h("li", { class: same ? "hit same" : "hit" },
    h("div", { class: "hit-who" },
      h("a", { class: "row-link", href: hitLink(hit), title: visible(`${hit.session} · event ${hit.seq}`),
        "aria-label": `${who}, event ${hit.seq}` }, who),
      hit.role && h("span", { class: "role" }, icon(hit.type), visible(hit.role))),
    drawSnippets(hit),
    drawFacts(hit));
}

function drawSnippets(hit) {
  return h("div", { class: "snippets" }, (hit.snippets ?? []).map((snippet) => h("pre", { class: "snippet" },
    h("span", { class: "snippet-field" }, snippet.field),
    h("code", null, snippet.more_before && "… ",
      splitAtBytes(snippet.text.trimEnd(), snippet.highlights)
        .map(([piece, marked]) => (marked ? h("mark", null, visibleLines(piece)) : visibleLines(piece))),
      snippet.more_after && " …"))));
}

function drawFacts(hit) {
  return h("div", { class: "hit-facts" },
    hit.kind !== "command" && h("span", null, hit.kind),
    hit.verdict && hit.verdict !== "passed" && badge(hit.verdict, hit.verdict),
    hit.kind.startsWith("terminal.") && Number.isInteger(hit.replay_ms) && h("a", {
      class: "hit-replay", href: replayLink(hit), "aria-label": "Open at this moment of the replay", title: "Open at this moment of the replay",
    }, icon("play"), "Replay"),
    when(hit.time, `${moment(hit.time)}${seconds(hit.time)}`));
}

const seconds = (iso) => `:${String(new Date(iso).getSeconds()).padStart(2, "0")}`;

/** A session with hits: itself, and the latest of them. */
function drawGroup({ session, matches, latest }, q) {
  const who = visible(session.user ?? session.id);
  const all = `${sessionUrl(session.id)}?${new URLSearchParams({ q })}`;
  return h("li", { class: "hit group" },
    h("div", { class: "hit-who" },
      h("a", { class: "row-link", href: hitLink(latest), title: visible(session.id), "aria-label": `${who}, ${plural(matches, "hit")}` }, who),
      session.role && h("span", { class: "role" }, icon(session.type), visible(session.role)),
      statusBadge(session.status)),
    drawSnippets(latest),
    h("div", { class: "hit-facts" },
      h("a", { class: "hit-replay", href: all, title: "Find them in the session" }, plural(matches, "hit")),
      when(session.started_at)));
}
