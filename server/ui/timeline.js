// A session's events in order: commands, terminal, reviews, notes. However many there are, only those near the window
// are elements: stretches that are far away keep their height and are asked for again when they come near.

import { timeline } from "./api.js";
import { Chunk } from "./chunk.js";
import { verdictOf } from "./command.js";
import { h, fill } from "./dom.js";
import { markTerms } from "./terms.js";

const PAGE = 200;
// What became of a command may be in its review, which the query does not see: more is asked for than is shown.
const VERDICTS = {
  passed: "-verdict:blocked,pending,approved,rejected", blocked: "verdict:blocked", pending: "verdict:pending",
  approved: "verdict:approved,pending", rejected: "verdict:rejected,pending",
};
// What happened shortly before a hit is shown with it.
const BEFORE_MS = 30_000;
const BEFORE = 100;
// How many pages are read to come to an event.
const SEEK_PAGES = 25;
// Stretches are built so far from the window.
const NEAR = "1500px";

/**
 * Fills `body`. `ask` has `q` and `verdict`, `seq` with `at` for the event to go to, or `at` alone: a time, or `end`.
 * `on` hears of problems, and has with `under(seq)` what stands under commands once `ready` is fulfilled.
 */
export function timelineList(body, id, ask, on) {
  const abort = new AbortController();
  const list = h("div", { class: "events" });
  const notice = h("div", { role: "status" });
  const top = h("div", { class: "edge" });
  const bottom = h("div", { class: "more", "aria-live": "polite" });
  const chunks = [];
  const chunkOf = new Map();
  let earlier = null;
  let later = null;
  let lastAsk = null;
  let busy = false;
  let closed = false;

  const verdict = VERDICTS[ask.verdict];
  const found = Boolean(ask.q || verdict);
  const query = verdict ? `${/\bOR\b/.test(ask.q) ? `(${ask.q})` : ask.q} kind:command ${verdict}`.trim() : ask.q;

  async function fetchPage(values) {
    const page = await timeline(id, { q: query, limit: PAGE, ...values }, abort.signal);
    if (verdict) page.items = page.items.filter((item) => verdictOf(item).name === ask.verdict);
    return page;
  }

  function firstAsk() {
    if (ask.at === "end") return { direction: "backward" };
    // Where a link knows only the number, what is shortly before it is found by number, too.
    if (!ask.at) return ask.seq ? { from: Math.max(0, Number(ask.seq) - BEFORE) || 0 } : {};
    const time = Date.parse(ask.at);
    return Number.isNaN(time) ? {} : { at: new Date(ask.seq ? time - BEFORE_MS : time).toISOString() };
  }

  function append(values, page) {
    let chunk = chunks.at(-1);
    if (!chunk || chunk.isWhole) {
      chunk = new Chunk(found, on.under);
      chunks.push(chunk);
      chunkOf.set(chunk.element, chunk);
      list.append(chunk.element);
      near.observe(chunk.element);
    }
    if (!chunk.asks.includes(values)) chunk.asks.push(values);
    chunk.put(page.items);
    lastAsk = values;
    later = page.next_cursor ?? null;
    markTerms(list, ask.q);
  }

  // ---- what is near is built, what is far is let go

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const chunk = chunkOf.get(target);
      if (isIntersecting && !chunk.filled) build(chunk);
      // The last one grows, and may be in the middle of a terminal.
      if (!isIntersecting && chunk.filled && chunk !== chunks.at(-1) && !chunk.element.contains(document.activeElement)) {
        chunk.empty();
      }
    }
  }, { rootMargin: NEAR });

  async function build(chunk) {
    if (chunk.building) return;
    chunk.building = true;
    try {
      const pages = await Promise.all(chunk.asks.map(fetchPage));
      if (closed) return;
      for (const page of pages) chunk.put(page.items);
      chunk.element.style.height = "";
      const grown = chunk.element.offsetHeight - chunk.height;
      // What is in sight stays where it is.
      if (grown && chunk.element.getBoundingClientRect().bottom - grown < 0) scrollBy(0, grown);
      markTerms(list, ask.q);
    } catch (problem) {
      failed(problem, bottom, () => build(chunk));
    } finally {
      chunk.building = false;
    }
  }

  // ---- its ends

  const ends = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) (target === top ? loadEarlier : loadLater)();
    }
  }, { rootMargin: NEAR });

  /** The ends may still be in sight after a short page: ask to be told again. */
  function watch() {
    for (const end of [top, bottom]) {
      ends.unobserve(end);
      if (!closed && (end === top ? earlier : later)) ends.observe(end);
    }
  }

  async function loadLater() {
    if (busy || !later) return;
    busy = true;
    fill(bottom, h("span", { class: "waiting" }, "Loading more"));
    try {
      const values = { cursor: later };
      append(values, await fetchPage(values));
      fill(bottom);
      busy = false;
      if (!later && !earlier && isEmpty()) showNothing();
      watch();
    } catch (problem) {
      busy = false;
      failed(problem, bottom, loadLater);
    }
  }

  async function loadEarlier() {
    if (busy || !earlier) return;
    busy = true;
    try {
      const values = { cursor: earlier };
      const page = await fetchPage(values);
      if (closed) return;
      const chunk = new Chunk(found, on.under);
      chunk.asks.push(values);
      chunk.put(page.items);
      chunks.unshift(chunk);
      chunkOf.set(chunk.element, chunk);
      list.prepend(chunk.element);
      scrollBy(0, chunk.element.offsetHeight);
      near.observe(chunk.element);
      earlier = page.prev_cursor ?? null;
      markTerms(list, ask.q);
      busy = false;
      watch();
    } catch (problem) {
      busy = false;
      failed(problem, top, loadEarlier);
    }
  }

  function failed(problem, where, again) {
    if (problem.name === "AbortError" || closed) return;
    fill(where, h("p", null, `${on.problem(problem)} `, h("button", { type: "button", onclick: () => {
      fill(where);
      again();
    } }, "Try again")));
  }

  // ---- the start

  function find(seq) {
    for (const chunk of chunks) {
      const found = chunk.find(seq);
      if (found) return found;
    }
    return null;
  }

  async function seek(seq) {
    let target = find(seq);
    for (let turn = 0; !target && later && turn < SEEK_PAGES; turn += 1) {
      const values = { cursor: later };
      append(values, await fetchPage(values));
      target = find(seq);
    }
    if (closed) return;
    if (!target) {
      fill(notice, h("p", { class: "notice" }, `Event ${seq} is not among the events that are shown.`));
      return;
    }
    target.classList.add("marked");
    target.scrollIntoView({ block: "center" });
  }

  const isEmpty = () => chunks.every((chunk) => !chunk.known.size && chunk.filled);
  const showNothing = () => fill(body, h("div", { class: "state" },
    h("h2", null, found ? "Nothing in this session matches" : "No events yet"),
    found && h("button", { type: "button", onclick: on.clear }, "Show everything")));
  const show = () => fill(body, notice, top, list, bottom);

  async function start() {
    body.classList.add("loading");
    try {
      const values = firstAsk();
      const [page] = await Promise.all([fetchPage(values), on.ready]);
      if (closed) return;
      append(values, page);
      earlier = page.prev_cursor ?? null;
      if (!page.items.length && !earlier && !later) {
        showNothing();
        return;
      }
      show();
      if (ask.seq !== "") await seek(Number(ask.seq));
      else if (ask.at === "end") scrollTo(0, document.documentElement.scrollHeight);
      watch();
    } catch (problem) {
      if (problem.name !== "AbortError") fill(body, h("div", { class: "state" }, h("p", null, on.problem(problem))));
    } finally {
      body.classList.remove("loading");
    }
  }
  start();

  return {
    /** Reads the last page again: what is new is added, what changed is drawn anew. */
    async refresh() {
      if (later || busy || !lastAsk || body.classList.contains("loading")) return;
      const wasEmpty = isEmpty();
      const follows = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
      const values = lastAsk.direction ? { ...lastAsk } : lastAsk;
      const page = await fetchPage(values);
      if (closed) return;
      const chunk = chunks.at(-1);
      chunk.put(page.items);
      later = page.next_cursor ?? null;
      if (wasEmpty && page.items.length) show();
      markTerms(list, ask.q);
      watch();
      if (follows && !wasEmpty) scrollTo(0, document.documentElement.scrollHeight);
    },
    /** The time of the first event in sight. */
    moment() {
      const events = [...list.querySelectorAll("time[datetime]")];
      return events.find((one) => one.getBoundingClientRect().bottom > 110)?.dateTime ?? "";
    },
    close() {
      closed = true;
      abort.abort();
      near.disconnect();
      ends.disconnect();
      markTerms(list, "");
      body.classList.remove("loading");
    },
  };
}
