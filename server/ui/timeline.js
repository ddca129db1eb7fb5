// A session's events in order, page by page: commands, terminal, reviews, notes.

import { timeline } from "./api.js";
import { drawCommand, reviewLine } from "./command.js";
import { h, fill, icon } from "./dom.js";
import { absolute, textOf, timeOfDay } from "./format.js";
import { outputBlock } from "./output.js";
import { endless } from "./pages.js";
import { TerminalBlock } from "./terminal.js";

const PAGE = 200;
// What happened shortly before a hit is shown with it.
const BEFORE_MS = 30_000;
// How many pages are read to come to an event.
const SEEK_PAGES = 25;

/** Fills `body`; `ask` has `q`, and `seq` with `at` for the event to go to. `on` hears of problems. */
export function timelineList(body, id, ask, on) {
  const abort = new AbortController();
  const list = h("div", { class: "events" });
  const known = new Map();
  const from = ask.at ? new Date(Date.parse(ask.at) - BEFORE_MS).toISOString() : "";
  let terminal = null;
  let used = null;
  let previous = null;
  let cursor = null;
  let closed = false;

  const pages = endless(async () => {
    await load(cursor);
    return Boolean(cursor);
  });

  async function load(at) {
    const page = await timeline(id, { q: ask.q, limit: PAGE, cursor: at, at: at ? "" : from }, abort.signal);
    used = at;
    cursor = page.next_cursor ?? null;
    for (const item of page.items) add(item);
    terminal?.draw();
    return page;
  }

  function add(item) {
    const text = JSON.stringify(item);
    const old = known.get(item.offset);
    if (old) {
      if (old.text === text || !old.node) return;
      const node = drawEvent(item);
      old.node.replaceWith(node);
      known.set(item.offset, { text, node });
      return;
    }
    if (item.kind.startsWith("terminal.")) {
      // Found events are apart from each other, so each stands alone.
      if (!terminal || ask.q) {
        terminal?.draw();
        terminal = new TerminalBlock(item);
        blocks.push(terminal);
        list.append(terminal.element);
      }
      terminal.add(item);
      known.set(item.offset, { text });
      return;
    }
    terminal?.draw();
    if (item.kind !== "access") terminal = null;
    const node = drawEvent(item);
    list.append(node);
    known.set(item.offset, { text, node });
  }

  const blocks = [];

  function find(seq) {
    for (const block of blocks) {
      const line = block.mark(seq);
      if (line) return line;
    }
    return list.querySelector(`[data-seq="${seq}"]`) ?? list.querySelector(`[data-holds~="${seq}"]`);
  }

  async function seek(seq) {
    let target = find(seq);
    for (let turn = 0; !target && cursor && turn < SEEK_PAGES; turn += 1) {
      await load(cursor);
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

  const notice = h("div", { role: "status" });
  const earlier = from && h("p", { class: "notice" }, "Earlier events are left out. ",
    h("button", { type: "button", onclick: showEarlier }, "Show earlier events"),
    h("button", { type: "button", onclick: on.fromStart }, "Show from the start"));

  async function showEarlier() {
    try {
      const page = await timeline(id, { q: ask.q, limit: PAGE, cursor: previous }, abort.signal);
      const height = document.documentElement.scrollHeight;
      list.prepend(...drawApart(page.items));
      scrollBy(0, document.documentElement.scrollHeight - height);
      previous = page.prev_cursor ?? null;
      if (!previous) earlier.remove();
    } catch (problem) {
      if (problem.name !== "AbortError") fill(notice, h("p", { class: "notice" }, on.problem(problem)));
    }
  }

  /** A page's items as nodes that nothing is added to later. */
  function drawApart(items) {
    const nodes = [];
    let block = null;
    for (const item of items) {
      if (!item.kind.startsWith("terminal.")) {
        block?.draw();
        block = null;
        nodes.push(drawEvent(item));
        continue;
      }
      if (!block) {
        block = new TerminalBlock(item);
        blocks.push(block);
        nodes.push(block.element);
      }
      block.add(item);
    }
    block?.draw();
    return nodes;
  }

  async function start() {
    body.classList.add("loading");
    try {
      const page = await load(null);
      if (closed) return;
      previous = page.prev_cursor ?? null;
      if (!page.items.length) {
        fill(body, previous && earlier, h("div", { class: "state" }, h("h2", null, ask.q ? "Nothing in this session matches" : "No events yet"),
          ask.q && h("button", { type: "button", onclick: on.clear }, "Show everything")));
        return;
      }
      fill(body, previous && earlier, notice, list, pages.element);
      if (ask.seq !== "") await seek(Number(ask.seq));
      pages.start(Boolean(cursor));
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
      if (cursor || body.classList.contains("loading")) return;
      const wasEmpty = !known.size;
      const follows = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
      await load(used);
      if (wasEmpty && known.size) fill(body, previous && earlier, notice, list, pages.element);
      if (cursor) pages.start(true);
      if (follows && !wasEmpty) scrollTo(0, document.documentElement.scrollHeight);
    },
    close() {
      closed = true;
      abort.abort();
      pages.close();
      body.classList.remove("loading");
    },
  };
}

function drawEvent(item) {
  if (item.kind === "command") {
    const node = drawCommand(item);
    // A hit may be in what is folded under the command.
    const reviews = item.review ? [item.review, ...(item.review.more ?? [])] : [];
    const held = [...(item.outputs ?? []), item.end, ...reviews.flatMap((one) => [one.request, ...(one.decisions ?? [])])]
      .map((one) => one?.seq).filter(Number.isInteger);
    node.dataset.holds = held.join(" ");
    return node;
  }
  return h("article", { class: `event line e-${item.kind.replace(".", "-")}`, "data-seq": item.seq,
    "data-holds": item.decisions?.map((one) => one.seq).join(" ") },
    h("time", { class: "event-time", datetime: item.time, title: absolute(item.time) }, timeOfDay(item.time)),
    h("div", { class: "event-body" }, words(item)));
}

function words(item) {
  const strong = (text) => h("strong", null, text);
  switch (item.kind) {
    case "session.start":
      return ["Session started", item.user && [" by ", strong(item.user)], item.agent && [" with the agent ", strong(item.agent)],
        item.client_ip && [" from ", strong(item.client_ip)]];
    case "session.end":
      return ["Session ended ", strong(item.status), item.reason && `: ${item.reason}`,
        item.exit_code ? ` (exit ${item.exit_code})` : ""];
    case "note":
      return h("div", { class: "note" }, icon("note"), h("div", null, h("p", null, strong(item.by), " noted"), h("p", null, item.text)));
    case "review.request":
      return reviewLine({ request: item, decisions: item.decisions });
    case "review.decision":
      return h("div", { class: "review" }, icon("review"), h("p", null, "Review ", item.decision, item.by && [" by ", strong(item.by)],
        item.comment && h("span", { class: "quote" }, item.comment)));
    case "access":
      return [strong(item.by), ` ${item.action}`, item.target && ` ${item.target}`];
    case "retention":
      return [strong(item.by), ` ${item.action}`, item.target && ` ${item.target}`, item.case && ` (case ${item.case})`,
        item.reason && `: ${item.reason}`];
    case "output":
      return outputBlock(textOf(item), item.stream ?? "stdout", item.truncated);
    case "command.end":
      return ["Command ", String(item.command), " ended", Number.isInteger(item.exit_code) && ` with exit ${item.exit_code}`];
    default:
      return [item.kind, " ", textOf(item)];
  }
}
