// The list of sessions: a table with one row a session, sorted by a click on a heading.

import { sessions as fetchSessions } from "./api.js";
import { badge, statusBadge } from "./badges.js";
import { h, fill, icon } from "./dom.js";
import { absolute, ago, duration, number } from "./format.js";
import { endless, every } from "./pages.js";

const PAGE = 50;
const REFRESH_MS = 2000;
// A refresh asks for what is shown again, up to this many.
const REFRESH_MAX = 200;

const COLUMNS = [
  { name: "Status", class: "c-status" },
  { name: "User", class: "c-user" },
  { name: "Resource role", class: "c-role" },
  { name: "Started", class: "c-started", sort: "started" },
  { name: "Duration", class: "c-duration", sort: "duration" },
  { name: "Commands", class: "c-number", sort: "commands" },
  { name: "Blocked", class: "c-number", sort: "blocked" },
  { name: "Approved", class: "c-number", sort: "approved" },
  { name: "Masked", class: "c-number", sort: "masked" },
  { name: "Tags", class: "c-tags" },
];

/** Fills `body` with the sessions that `ask` finds; `kept` is what a list before had loaded. */
export function sessionList(body, ask, events, kept) {
  const abort = new AbortController();
  const rows = h("tbody");
  const shown = new Map();
  let items = [];
  let cursor = null;
  let count = 0;

  const table = h("table", { class: "sessions" },
    h("caption", { class: "unseen" }, "Sessions"),
    h("thead", null, h("tr", null, COLUMNS.map((column) => heading(column, ask.sort, events)))),
    rows);
  const pages = endless(async () => {
    const page = await fetchSessions({ ...ask, limit: PAGE, cursor }, abort.signal);
    take(page, false);
    return Boolean(cursor);
  });

  function take(page, first) {
    if (first) items = [];
    const known = new Set(items.map((item) => item.id));
    items.push(...page.items.filter((item) => !known.has(item.id)));
    cursor = page.next_cursor ?? null;
    count = page.count ?? count;
    draw();
  }

  function draw() {
    events.count(count);
    const now = Date.now();
    const wanted = items.map((item) => {
      const text = JSON.stringify(item);
      const old = shown.get(item.id);
      if (old?.text === text) {
        old.time.textContent = ago(item.started_at, now);
        return old.row;
      }
      const made = drawRow(item, events, now);
      // The keyboard stays where it was when a row is drawn anew.
      const focused = old?.row.contains(document.activeElement);
      shown.set(item.id, { ...made, text });
      if (old) old.row.replaceWith(made.row);
      if (focused) made.row.querySelector("a").focus({ preventScroll: true });
      return made.row;
    });
    const keep = new Set(wanted);
    for (const row of [...rows.children]) if (!keep.has(row)) row.remove();
    wanted.forEach((row, at) => {
      if (rows.children[at] !== row) rows.insertBefore(row, rows.children[at] ?? null);
    });
  }

  function start() {
    if (!items.length) return fill(body, empty(events));
    fill(body, table, pages.element);
    return pages.start(Boolean(cursor));
  }

  async function refresh() {
    const limit = Math.min(Math.max(items.length, PAGE), REFRESH_MAX);
    const page = await fetchSessions({ ...ask, limit }, abort.signal);
    const wasEmpty = !items.length;
    if (items.length <= limit) {
      take(page, true);
      if (wasEmpty && items.length) start();
      return;
    }
    // More is loaded than is asked again: only what changed is put in its place.
    const fresh = new Map(page.items.map((item) => [item.id, item]));
    items = items.map((item) => fresh.get(item.id) ?? item);
    count = page.count ?? count;
    draw();
  }

  const open = () => {
    start();
    return every(REFRESH_MS, refresh);
  };
  let stop = () => {};
  if (kept) {
    ({ items, cursor, count } = kept);
    draw();
    stop = open();
  } else {
    body.classList.add("loading");
    fetchSessions({ ...ask, limit: PAGE }, abort.signal).then((page) => {
      take(page, true);
      stop = open();
    }).catch((problem) => {
      if (problem.name !== "AbortError") fill(body, h("div", { class: "state" }, h("p", null, events.problem(problem))));
    }).finally(() => body.classList.remove("loading"));
  }

  return {
    data: () => (items.length ? { items, cursor, count } : undefined),
    close() {
      abort.abort();
      stop();
      pages.close();
      body.classList.remove("loading");
    },
  };
}

function heading(column, sort, events) {
  const props = { class: column.class, scope: "col" };
  if (!column.sort) return h("th", props, column.name);
  const down = sort === `-${column.sort}`;
  const up = sort === column.sort;
  if (down || up) props["aria-sort"] = down ? "descending" : "ascending";
  const next = down ? column.sort : `-${column.sort}`;
  return h("th", props, h("button", { type: "button", class: "sort", onclick: () => events.sort(next) },
    column.name, (down || up) && icon(down ? "down" : "up")));
}

function drawRow(item, events, now) {
  const time = h("time", { datetime: item.started_at, title: absolute(item.started_at) }, ago(item.started_at, now));
  const cell = (column, ...children) => h("td", { class: COLUMNS[column].class }, children);
  const who = item.user ?? "no user yet";
  const row = h("tr", { "data-id": item.id },
    cell(0, statusBadge(item.status)),
    cell(1, item.agent && h("span", { class: "agent", title: `Agent ${item.agent}` }, icon("agent"),
      h("span", { class: "unseen" }, `Agent ${item.agent} for`)), h("a", {
      class: "row-link", href: `/sessions/${encodeURIComponent(item.id)}`, title: item.id,
      "aria-label": `${who} on ${item.role ?? "no role yet"}, ${item.summary ?? ""}`,
    }, who)),
    cell(2, h("span", { class: "role" }, item.role ?? ""),
      item.type && h("span", { class: "type" }, icon(item.type), item.subtype ?? item.type)),
    cell(3, time),
    cell(4, duration(item.duration_ms)),
    cell(5, number(item.commands)),
    cell(6, item.blocked > 0 && badge("blocked", number(item.blocked), `${item.blocked} blocked`)),
    cell(7, item.approved > 0 && badge("approved", number(item.approved), `${item.approved} approved`)),
    cell(8, item.masked > 0 && badge("masked", number(item.masked), `${item.masked} fields masked`)),
    cell(9, (item.tags ?? []).map((tag) => h("button", {
      type: "button", class: "tag", title: `Only sessions with the tag ${tag}`,
      onclick: () => events.filter("tag", tag),
    }, tag))));
  return { row, time };
}

function empty(events) {
  return events.narrowed()
    ? h("div", { class: "state" },
      h("h2", null, "No session matches"),
      h("p", null, "Nothing in the log fits all of the filters."),
      h("button", { type: "button", onclick: events.clear }, "Clear the filters"))
    : h("div", { class: "state" },
      h("h2", null, "No sessions yet"),
      h("p", null, "They appear here as soon as a producer sends events to ", h("code", null, "POST /v1/events"), "."));
}
