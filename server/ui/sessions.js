// The list of sessions: a table with one row a session, sorted by a click on a heading.
//
// It is loaded page by page as its end comes near, and asked for again while it is looked at: what is new comes in where
// it belongs, and what is in sight stays where it is.

import { sessions as fetchSessions } from "./api.js";
import { badge, statusBadge, when } from "./badges.js";
import { h, fill, icon } from "./dom.js";
import { ago, duration, number, visible } from "./format.js";
import { endless, every } from "./pages.js";
import { anyOf } from "./query.js";
import { virtualRows } from "./virtual.js";

const PAGE = 100;
const REFRESH_MS = 2000;

const COLUMNS = [
  { name: "Status", class: "c-status", sort: "status", text: true },
  { name: "User", class: "c-user", sort: "user", text: true },
  { name: "Resource role", class: "c-role", sort: "role", text: true },
  { name: "Agent", class: "c-agent", sort: "agent", text: true },
  { name: "Started", class: "c-started", sort: "started" },
  { name: "Duration", class: "c-duration", sort: "duration" },
  { name: "Commands", class: "c-number", sort: "commands" },
  { name: "Blocked", class: "c-number", sort: "blocked" },
  { name: "Approved", class: "c-number", sort: "approved" },
  { name: "Masked", class: "c-number", sort: "masked" },
  { name: "Tags", class: "c-tags" },
];

/** What a list can be sorted by, with what that is called. */
export const SORTS = [
  ["-started", "Newest first"], ["started", "Oldest first"], ["-last_event", "Latest activity"], ["-duration", "Longest"],
  ["-commands", "Most commands"], ["-blocked", "Most blocked"], ["-approved", "Most approved"], ["-masked", "Most masked"],
  ["user", "User"], ["role", "Resource role"], ["agent", "Agent"], ["status", "Status"],
];

/** The value that a list is sorted by; a time as its text, which sorts the same. */
const VALUES = {
  user: (item) => item.user, role: (item) => item.role, agent: (item) => item.agent, status: (item) => item.status,
  started: (item) => item.started_at, ended: (item) => item.ended_at, duration: (item) => item.duration_ms,
  events: (item) => item.events, commands: (item) => item.commands, blocked: (item) => item.blocked,
  approved: (item) => item.approved, pending: (item) => item.pending, masked: (item) => item.masked, bytes: (item) => item.bytes,
};

const LIVE = new Set(["open", "pending_review"]);

/** Fills `body` with the sessions that `ask` finds; `kept` is what a list before had loaded. */
export function sessionList(body, ask, events, kept) {
  const abort = new AbortController();
  const rows = h("tbody");
  const table = h("table", { class: "sessions" },
    h("caption", { class: "unseen" }, "Sessions"),
    h("thead", null, h("tr", { "aria-rowindex": 1 }, COLUMNS.map((column) => heading(column, ask.sort, events)))),
    rows);
  const view = virtualRows(rows, {
    draw: (item) => drawRow(item, events),
    tick: (row, item, at) => {
      row.setAttribute("aria-rowindex", at + 2);
      const time = row.querySelector("time");
      const text = ago(item.started_at);
      if (time.textContent !== text) time.textContent = text;
    },
  });
  let items = [];
  let cursor = null;
  let count = 0;

  const pages = endless(async () => {
    const page = await fetchSessions({ ...ask, limit: PAGE, cursor }, abort.signal);
    const known = new Set(items.map((item) => item.id));
    show([...items, ...page.items.filter((item) => !known.has(item.id))], page.next_cursor, page.count);
    return Boolean(cursor);
  });

  function show(next, nextCursor, nextCount) {
    items = next;
    cursor = nextCursor ?? null;
    count = nextCount;
    table.setAttribute("aria-rowcount", count + 1);
    events.count(count);
    view.set(items);
  }

  function start() {
    if (!items.length) return fill(body, empty(events));
    fill(body, table, pages.element);
    view.place();
    return pages.start(Boolean(cursor));
  }

  async function refresh() {
    const had = items.length;
    const page = await fetchSessions({ ...ask, limit: PAGE }, abort.signal);
    const later = await again(page.items);
    if (had <= PAGE) {
      show(page.items, page.next_cursor, page.count);
      if (!had !== !items.length) start();
      return;
    }
    show([...page.items, ...behind(page.items, later)], cursor, page.count);
  }

  /** Those in sight that may have changed and are not on the first page, asked for again. */
  async function again(first) {
    const fresh = new Set(first.map((item) => item.id));
    const ids = view.visible().filter((item) => LIVE.has(item.status) && !fresh.has(item.id)).map((item) => item.id);
    if (!ids.length) return new Map();
    const page = await fetchSessions({ q: anyOf("session", ids), limit: ids.length }, abort.signal);
    return new Map(page.items.map((item) => [item.id, item]));
  }

  /** What was loaded and comes behind the first page as it is now. */
  function behind(first, later) {
    const fresh = new Set(first.map((item) => item.id));
    const by = ask.sort.replace(/^-/, "");
    const value = VALUES[by] ?? (() => 0);
    const last = value(first.at(-1));
    const down = ask.sort.startsWith("-");
    const comes = (item) => last === null || value(item) === null || (down ? value(item) <= last : value(item) >= last);
    return items.filter((item) => !fresh.has(item.id) && comes(item)).map((item) => later.get(item.id) ?? item);
  }

  const open = () => {
    start();
    return every(REFRESH_MS, refresh);
  };
  let stop = () => {};
  let drawn = Promise.resolve();
  if (kept) {
    show(kept.items, kept.cursor, kept.count);
    stop = open();
  } else {
    body.classList.add("loading");
    drawn = fetchSessions({ ...ask, limit: PAGE }, abort.signal).then((page) => {
      show(page.items, page.next_cursor, page.count);
      stop = open();
    }).catch((problem) => {
      if (problem.name !== "AbortError") fill(body, h("div", { class: "state" }, h("p", null, events.problem(problem))));
    }).finally(() => !abort.signal.aborted && body.classList.remove("loading"));
  }

  return {
    /** When there is something to be seen. */
    drawn,
    data: () => (items.length ? { items, cursor, count } : undefined),
    move: view.move,
    close() {
      abort.abort();
      stop();
      pages.close();
      view.close();
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
  // Texts from A on first, numbers from the largest.
  const next = (column.text ? up : !down) ? `-${column.sort}` : column.sort;
  return h("th", props, h("button", { type: "button", class: "sort", onclick: () => events.sort(next) },
    column.name, (down || up) && icon(down ? "down" : "up")));
}

function drawRow(item, events) {
  const cells = [
    statusBadge(item.status),
    h("a", {
      class: "row-link", href: `/sessions/${encodeURIComponent(item.id)}`, title: visible(item.id),
      "aria-label": visible(`${item.user ?? "no user yet"} on ${item.role ?? "no role yet"}, ${item.summary ?? ""}`),
    }, visible(item.user ?? "no user yet")),
    [h("span", { class: "role" }, visible(item.role ?? "")),
      item.type && h("span", { class: "type" }, icon(item.type), visible(item.subtype ?? item.type))],
    item.agent && h("span", { class: "agent" }, icon("agent"), visible(item.agent)),
    when(item.started_at),
    duration(item.duration_ms),
    number(item.commands),
    item.blocked > 0 && badge("blocked", number(item.blocked), `${item.blocked} blocked`),
    item.approved > 0 && badge("approved", number(item.approved), `${item.approved} approved`),
    item.masked > 0 && badge("masked", number(item.masked), `${item.masked} fields masked`),
    (item.tags ?? []).map((tag) => h("button", {
      type: "button", class: "tag", title: visible(`Only sessions with the tag ${tag}`),
      onclick: () => events.filter("tag", tag),
    }, visible(tag))),
  ];
  return h("tr", { "data-id": item.id }, cells.map((children, at) => h("td", { class: COLUMNS[at].class }, children)));
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
