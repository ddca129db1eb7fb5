// Search hits: what was found in which session, with the words marked.

import { search } from "./api.js";
import { badge } from "./badges.js";
import { h, fill, icon, toast } from "./dom.js";
import { absolute, moment, splitAtBytes } from "./format.js";
import { endless } from "./pages.js";

const PAGE = 40;

/** Fills `body` with the hits that `ask` finds; `kept` is what a list before had loaded. */
export function hitList(body, ask, events, kept) {
  const abort = new AbortController();
  const list = h("ol", { class: "hits" });
  let items = [];
  let cursor = null;
  let count = null;

  const pages = endless(async () => {
    take(await search({ ...ask, limit: PAGE, cursor }, abort.signal));
    return Boolean(cursor);
  });

  function take(page) {
    const before = items.at(-1);
    items.push(...page.items);
    cursor = page.next_cursor ?? null;
    if (Number.isInteger(page.count)) count = page.count;
    list.append(...page.items.map((hit, at) => drawHit(hit, (at ? page.items[at - 1] : before)?.session === hit.session)));
    events.count(count ?? items.length, count !== null || !cursor);
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
    pages.start(Boolean(cursor));
  }

  if (kept) {
    take({ items: kept.items, next_cursor: kept.cursor, count: kept.count });
    start();
  } else {
    body.classList.add("loading");
    search({ ...ask, limit: PAGE, count: "exact" }, abort.signal).then((page) => {
      take(page);
      start();
    }).catch((problem) => {
      if (problem.name !== "AbortError") fill(body, h("div", { class: "state" }, h("p", null, events.problem(problem))));
    }).finally(() => body.classList.remove("loading"));
  }

  return {
    data: () => (items.length ? { items, cursor, count } : undefined),
    close() {
      abort.abort();
      pages.close();
      body.classList.remove("loading");
    },
  };
}

/** Where a hit is seen in its session. */
export function hitLink(hit) {
  const place = new URLSearchParams({ seq: hit.seq, at: hit.time });
  return `/sessions/${encodeURIComponent(hit.session)}?${place}`;
}

/** A hit; after another one of its session (`same`), who and where is left to that one. */
function drawHit(hit, same) {
  const who = hit.user ?? hit.session;
  return h("li", { class: same ? "hit same" : "hit" },
    h("div", { class: "hit-who" },
      h("a", { class: "row-link", href: hitLink(hit), title: `${hit.session} · event ${hit.seq}`,
        "aria-label": `${who}, event ${hit.seq}` }, who),
      hit.role && h("span", { class: "role" }, icon(hit.type), hit.role)),
    h("div", null, (hit.snippets ?? []).map((snippet) => h("pre", { class: "snippet" },
      h("span", { class: "snippet-field" }, snippet.field),
      h("code", null, splitAtBytes(snippet.text.trimEnd(), snippet.highlights)
        .map(([piece, marked]) => (marked ? h("mark", null, piece) : piece)))))),
    h("div", { class: "hit-facts" },
      hit.kind !== "command" && h("span", null, hit.kind),
      hit.verdict && hit.verdict !== "passed" && badge(hit.verdict, hit.verdict),
      h("time", { datetime: hit.time, title: absolute(hit.time) }, `${moment(hit.time)}${seconds(hit.time)}`)));
}

const seconds = (iso) => `:${String(new Date(iso).getSeconds()).padStart(2, "0")}`;
