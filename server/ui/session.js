// One session: a head with its facts, and the tabs Commands and Session Details.
//
//   /sessions/{id}?tab=details            the other tab
//   /sessions/{id}?q=drop&verdict=blocked find in the session
//   /sessions/{id}?seq=7&at=TIME          goes to an event and marks it

import { session as fetchSession } from "./api.js";
import { statusBadge } from "./badges.js";
import { detailsPanel } from "./details.js";
import { copy, h, fill, icon } from "./dom.js";
import { absolute, duration, moment } from "./format.js";
import { bind, moveFocus } from "./keys.js";
import { every } from "./pages.js";
import { timelineList } from "./timeline.js";

const REFRESH_MS = 2000;
const VERDICTS = [["", "All"], ["blocked", "Blocked"], ["pending", "Pending"], ["approved", "Approved"], ["rejected", "Rejected"]];

/** The page of the session `id`. */
export function sessionView(main, context, id) {
  const abort = new AbortController();
  const head = h("header", { class: "session-head" });
  const body = h("div", { class: "session-body" });
  const panel = h("div", { class: "session-body" });
  const find = h("input", { type: "text", class: "find", placeholder: "Find in this session", "aria-label": "Find in this session",
    autocomplete: "off", spellcheck: "false" });
  const findError = h("p", { class: "hint wrong", role: "alert" });
  const verdicts = h("div", { class: "segments", role: "group", "aria-label": "Verdict" });
  const tabs = h("div", { class: "tabs", role: "tablist" });
  const tools = h("form", { class: "session-tools" }, verdicts, h("label", { class: "find-holder" }, icon("search"), find));
  fill(main, head, h("div", { class: "session-bar" }, tabs, tools), findError, body, panel);

  let item = null;
  let state = null;
  let list = null;
  let asked = "";

  const url = (next) => {
    const values = { ...state, ...next };
    const out = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) if (value !== "") out.set(name, value);
    return `/sessions/${encodeURIComponent(id)}${out.size ? `?${out}` : ""}`;
  };
  const change = (next) => context.go(url(next));

  tools.addEventListener("submit", (event) => {
    event.preventDefault();
    change({ q: find.value.trim(), seq: "", at: "" });
  });
  find.addEventListener("input", () => {
    fill(findError);
    if (!find.value && state.q) change({ q: "", seq: "", at: "" });
  });

  function drawHead() {
    document.title = `${item.user ?? id} on ${item.role ?? "?"} · daybook`;
    fill(head,
      h("nav", { class: "crumbs", "aria-label": "Where" },
        h("a", { href: context.homeUrl() }, icon("back"), "Sessions"), h("span", { class: "crumb-id" }, id),
        h("button", { type: "button", class: "quiet square", "aria-label": "Copy the session ID", title: "Copy the session ID",
          onclick: () => copy(id, "Session ID") }, icon("copy")),
        h("button", { type: "button", class: "quiet square", "aria-label": "Copy the link", title: "Copy the link (y)",
          onclick: copyLink }, icon("link"))),
      h("h1", null, item.user ?? "Unknown user", h("span", { class: "on" }, "on"),
        h("span", { class: "type" }, icon(item.type), item.role ?? "unknown role")),
      h("div", { class: "session-facts" },
        statusBadge(item.status),
        item.agent && h("span", { class: "agent" }, icon("agent"), item.agent),
        item.started_at && h("time", { datetime: item.started_at, title: absolute(item.started_at) }, moment(item.started_at)),
        h("span", null, duration(item.duration_ms)),
        item.summary && h("span", null, item.summary)));
  }

  const copyLink = () => copy(location.href, "Link");

  function drawTabs() {
    const tab = (name, label) => h("a", { role: "tab", href: url({ tab: name }), "aria-selected": String(state.tab === name) }, label);
    fill(tabs, tab("", "Commands"), tab("details", "Session Details"));
    fill(verdicts, VERDICTS.map(([name, label]) => h("button", { type: "button", "aria-pressed": String(state.verdict === name),
      onclick: () => change({ verdict: name, seq: "", at: "" }) }, label)));
    tools.hidden = state.tab === "details";
    body.hidden = state.tab === "details";
    panel.hidden = state.tab !== "details";
    if (document.activeElement !== find) find.value = state.q;
  }

  function drawPanel() {
    if (item && state.tab === "details") fill(panel, detailsPanel(item));
  }

  function openList() {
    const q = [state.verdict && /\bOR\b/.test(state.q) ? `(${state.q})` : state.q, state.verdict && `kind:command verdict:${state.verdict}`].filter(Boolean).join(" ");
    const ask = { q, seq: state.seq, at: state.at };
    const key = JSON.stringify(ask);
    if (key === asked) return;
    asked = key;
    list?.close();
    if (!state.seq) scrollTo(0, 0);
    list = timelineList(body, id, ask, {
      fromStart: () => change({ seq: "", at: "" }),
      clear: () => change({ q: "", verdict: "", seq: "", at: "" }),
      problem(problem) {
        if (problem.inQuery) fill(findError, problem.message, problem.hint && ` ${problem.hint}`);
        return problem.message;
      },
    });
  }

  async function load() {
    const next = await fetchSession(id, abort.signal);
    if (JSON.stringify(next) === JSON.stringify(item)) return;
    item = next;
    drawHead();
    drawPanel();
  }

  load().catch((problem) => {
    if (problem.name === "AbortError") return;
    list?.close();
    fill(main, h("div", { class: "state" },
      h("h2", null, problem.status === 404 ? "There is no such session" : "The session can't be shown"),
      h("p", null, problem.status === 404 ? `Nothing in the log has the ID ${id}.` : problem.message),
      h("p", null, h("a", { href: "/" }, "All sessions"))));
  });

  const stop = every(REFRESH_MS, async () => {
    if (!item || !["open", "pending_review"].includes(item.status)) return;
    await load();
    await list?.refresh();
  });

  bind({
    j: () => moveFocus(stops(), 1),
    k: () => moveFocus(stops(), -1),
    f: () => !tools.hidden && find.focus(),
    1: () => change({ tab: "" }),
    2: () => change({ tab: "details" }),
    y: copyLink,
  });

  function stops() {
    const events = [...body.querySelectorAll(".event.command, .terminal, .event.e-note")];
    for (const event of events) event.tabIndex = -1;
    return events;
  }

  return {
    update(at) {
      const get = (name) => at.searchParams.get(name) ?? "";
      state = { tab: get("tab") === "details" ? "details" : "", q: get("q"), verdict: get("verdict"), seq: get("seq"), at: get("at") };
      drawTabs();
      drawPanel();
      openList();
    },
    close() {
      abort.abort();
      stop();
      list?.close();
    },
  };
}
