// One session: a head with its facts, and the tabs Commands, Timeline, Replay and Session Details.
//
//   /sessions/{id}?tab=replay&at=TIME     another tab, at a moment
//   /sessions/{id}?q=drop&verdict=blocked find in the session
//   /sessions/{id}?seq=7&at=TIME          goes to an event and marks it
//   /sessions/{id}?at=end                 the last events
//   /sessions/{id}?rerun=RUN              a command that is run again, and both results
//   /shared/{token}                       what is shared of it, read-only

import { isShared, session as fetchSession } from "./api.js";
import { axisView } from "./axis.js";
import { statusBadge, when } from "./badges.js";
import { drawAsks } from "./decide.js";
import { askNote, casework, underCommands } from "./casework.js";
import { detailsPanel } from "./details.js";
import { copy, h, fill, icon } from "./dom.js";
import { duration, moment } from "./format.js";
import { bind, moveFocus } from "./keys.js";
import { every } from "./pages.js";
import { replayView } from "./replay.js";
import { askRerun, rerunView } from "./rerun.js";
import { downloadMenu, shareSheet } from "./share.js";
import { timelineList } from "./timeline.js";

const REFRESH_MS = 2000;
const TABS = [["", "Commands"], ["timeline", "Timeline"], ["replay", "Replay"], ["details", "Session Details"]];
const VERDICTS = [["", "All"], ["passed", "Passed"], ["blocked", "Blocked"], ["pending", "Pending"], ["approved", "Approved"],
  ["rejected", "Rejected"]];
const FIELDS = ["tab", "q", "verdict", "seq", "at", "speed", "zoom", "rerun"];

/** The page of the session `id`. */
export function sessionView(main, context, id) {
  const abort = new AbortController();
  const head = h("header", { class: "session-head" });
  const asks = h("div", { class: "asks" });
  const panel = h("div", { class: "session-body", role: "tabpanel" });
  const find = h("input", { type: "text", class: "find", placeholder: "Find in this session", "aria-label": "Find in this session",
    autocomplete: "off", spellcheck: "false" });
  const findError = h("p", { class: "hint wrong", role: "alert" });
  const verdicts = h("div", { class: "segments", role: "group", "aria-label": "Verdict" });
  const ends = h("div", { class: "segments", role: "group", "aria-label": "Go to" },
    h("button", { type: "button", title: "First events (Home)", onclick: () => goTo("") }, "Start"),
    h("button", { type: "button", title: "Last events (End)", onclick: () => goTo("end") }, "End"));
  const tabs = h("div", { class: "tabs", role: "tablist" });
  const tools = h("form", { class: "session-tools" }, verdicts, ends, h("label", { class: "find-holder" }, icon("search"), find));
  fill(main, head, asks, h("div", { class: "session-bar" }, tabs, tools), findError, panel);

  let item = null;
  let work = null;
  let state = null;
  let view = null;
  let shown = "";
  let asked = "";
  let mayAct = false;
  const shared = isShared();
  const under = shared ? null : underCommands(id, abort.signal);
  document.body.classList.toggle("shared", shared);

  const url = (next) => {
    const values = { ...state, ...next };
    const out = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) if (value !== "" && value !== undefined) out.set(name, value);
    return `/${shared ? "shared" : "sessions"}/${encodeURIComponent(id)}${out.size ? `?${out}` : ""}`;
  };
  const change = (next, replace = false) => context.go(url(next), replace);
  const goTo = (at) => {
    asked = "";
    change({ at, seq: "" });
  };

  tools.addEventListener("submit", (event) => {
    event.preventDefault();
    change(state.tab === "" ? { q: find.value.trim(), seq: "", at: "" } : { q: find.value.trim() });
  });
  find.addEventListener("input", () => {
    fill(findError);
    if (!find.value && state.q) change({ q: "" });
  });

  const head_tools = [
    h("button", { type: "button", class: "quiet square", "aria-label": "Copy the session ID", title: "Copy the session ID",
      onclick: () => copy(item.id, "Session ID") }, icon("copy")),
    h("button", { type: "button", class: "quiet square", "aria-label": "Copy the link to this moment", title: "Copy the link to this moment (y)",
      onclick: copyLink }, icon("link")),
    downloadMenu(id, !shared),
    !shared && h("button", { type: "button", class: "quiet", onclick: () => shareSheet(id, view?.moment?.() ?? "") }, "Share")];

  /** What a share leaves out: nothing is asked of it. */
  const leaves = (tab) => {
    const { part, outputs } = item?.share ?? {};
    if (tab === "find") return part && (part !== "whole" || outputs === "hidden");
    return tab === "replay" && (outputs === "hidden" || part?.startsWith("command"));
  };

  const shareLine = ({ part, outputs, to, expires_at }) => h("p", { class: "share-line", role: "note" }, icon("review"),
    `Shared with ${to === "anyone" ? "anyone who has the link" : to.join(", ")}, read-only, until ${moment(expires_at)}`,
    part !== "whole" && ` · only ${part.startsWith("command") ? "one command" : "a stretch of time"}`,
    outputs === "hidden" && " · without outputs");

  function drawHead() {
    document.title = `${item.user ?? item.id} on ${item.role ?? "?"} · daybook`;
    fill(head,
      h("nav", { class: "crumbs", "aria-label": "Where" },
        !shared && h("a", { href: context.homeUrl() }, icon("back"), "Sessions"), h("span", { class: "crumb-id" }, item.id), head_tools),
      item.share && shareLine(item.share),
      h("h1", null, item.user ?? "Unknown user", h("span", { class: "on" }, "on"),
        h("span", { class: "type" }, icon(item.type), item.role ?? "unknown role")),
      h("div", { class: "session-facts" },
        statusBadge(item.status),
        item.agent && h("span", { class: "agent" }, icon("agent"), item.agent),
        item.started_at && when(item.started_at, moment(item.started_at)),
        h("span", null, duration(item.duration_ms)),
        item.summary && h("span", null, item.summary)));
  }

  /** The link to what is in sight. */
  function copyLink() {
    const at = view?.moment?.() ?? "";
    const target = state.seq || !at ? url({}) : url({ at });
    copy(new URL(target, location.href).href, "Link");
  }

  function drawTabs() {
    // A moment goes along from tab to tab; what is marked does not.
    const at = () => (state.at === "end" ? "" : view?.moment?.() || state.at);
    fill(tabs, TABS.filter(([name]) => !leaves(name)).map(([name, label]) => h("a", { role: "tab", href: url({ tab: name, seq: "", rerun: "" }), "aria-selected": String(!state.rerun && state.tab === name),
      onclick: (event) => {
        if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        change({ tab: name, seq: "", rerun: "", at: name === "" && !state.at ? "" : at() });
      } }, label)));
    fill(verdicts, VERDICTS.map(([name, label]) => h("button", { type: "button", "aria-pressed": String(state.verdict === name),
      onclick: () => change({ verdict: name, seq: "", at: "" }) }, label)));
    tools.hidden = state.tab === "details" || Boolean(state.rerun) || leaves("find");
    verdicts.hidden = ends.hidden = state.tab !== "";
    if (document.activeElement !== find) find.value = state.q;
  }

  const problem = (what) => {
    if (what.inQuery) fill(findError, what.message, what.hint && ` ${what.hint}`);
    return what.message;
  };

  function open(tab) {
    view?.close?.();
    view = null;
    asked = "";
    shown = tab;
    fill(panel);
    panel.className = `session-body tab-${state.rerun ? "rerun" : tab || "commands"}`;
    panel.classList.toggle("may-act", mayAct);
    scrollTo(0, 0);
    if (state.rerun) view = rerunView(panel, id, state.rerun, url);
    else if (tab === "replay") {
      view = replayView(panel, id, { ...state }, { problem,
        moved: (at) => state.tab === "replay" && change({ at, seq: "" }, true),
        speed: (speed) => change({ speed: speed === 1 ? "" : String(speed) }, true) });
    } else if (tab === "timeline") {
      view = axisView(panel, id, { ...state }, { problem, url,
        at: (at) => change({ at, seq: "" }),
        zoom: (zoom) => change({ zoom: zoom === 1 ? "" : String(zoom) }, true) });
    } else if (tab === "details") drawPanel();
    bind({ ...keys(), ...view?.keys });
  }

  function drawPanel() {
    if (item && state.tab === "details" && !state.rerun) fill(panel, detailsPanel(item), !shared && (work ??= casework(id, abort.signal)));
  }

  function openList() {
    const { q, verdict, seq, at } = state;
    const ask = { q, verdict, seq, at };
    const key = JSON.stringify(ask);
    if (key === asked) return;
    asked = key;
    view?.close();
    if (!state.seq) scrollTo(0, 0);
    view = timelineList(panel, id, ask, { clear: () => change({ q: "", verdict: "", seq: "", at: "" }), problem,
      ready: loadUnder(), under: under?.of });
  }

  /** What stands under the commands; it is drawn anew where it changed. */
  async function loadUnder() {
    if (!await under?.load()) return;
    mayAct = under.mayAct();
    panel.classList.toggle("may-act", mayAct);
    for (const place of panel.querySelectorAll("[data-under]")) fill(place, under.of(Number(place.dataset.under)));
  }

  async function load() {
    const next = await fetchSession(id, abort.signal);
    if (JSON.stringify(next) === JSON.stringify(item)) return;
    // At first the list asks for it itself.
    if (item && state.tab === "") loadUnder();
    item = next;
    drawHead();
    drawPanel();
    if (item.share) drawTabs();
    else if (item.reviews.length) await drawAsks(asks, id, abort.signal, () => load());
  }

  load().catch((problem) => {
    if (problem.name === "AbortError") return;
    view?.close?.();
    fill(main, h("div", { class: "state" },
      h("h2", null, problem.status === 404 ? "There is no such session" : "The session can't be shown"),
      h("p", null, problem.status === 404 && !shared ? `Nothing in the log has the ID ${id}.` : problem.message),
      !shared && h("p", null, h("a", { href: "/" }, "All sessions"))));
  });

  panel.addEventListener("click", (event) => {
    const { rerun, note } = event.target.closest("[data-rerun], [data-note]")?.dataset ?? {};
    if (note) askNote(id, Number(note), loadUnder);
    else if (rerun && item) {
      askRerun(item, Number(rerun), abort.signal, (run) => change({ rerun: run.id, tab: "", seq: "", at: "" })).catch(() => {});
    }
  });

  const stop = every(REFRESH_MS, async () => {
    if (!item || !["open", "pending_review"].includes(item.status)) return;
    await load();
    await view?.refresh?.();
  });

  function keys() {
    const tabKeys = Object.fromEntries(TABS.map(([tab], at) => [at + 1, () => tabs.children[at]?.click()]));
    return {
      ...tabKeys,
      j: () => moveFocus(stops(), 1),
      k: () => moveFocus(stops(), -1),
      n: () => mayAct && document.activeElement.closest(".event.command")?.querySelector("[data-note]").click(),
      f: () => !tools.hidden && find.focus(),
      Home: () => state.tab === "" && goTo(""),
      End: () => state.tab === "" && goTo("end"),
      y: copyLink,
    };
  }

  function stops() {
    const events = [...panel.querySelectorAll(".event.command, .terminal, .event.e-note, .axis-row")];
    for (const event of events) event.tabIndex = -1;
    return events;
  }

  return {
    update(at) {
      const get = (name) => at.searchParams.get(name) ?? "";
      state = Object.fromEntries(FIELDS.map((name) => [name, get(name)]));
      if (!TABS.some(([name]) => name === state.tab)) state.tab = "";
      if (shared) state.rerun = "";
      const key = state.rerun ? `rerun ${state.rerun}` : state.tab;
      if (view === null || shown !== key) open(key);
      else view.update?.({ ...state });
      if (state.tab === "" && !state.rerun) openList();
      drawTabs();
      drawPanel();
    },
    close() {
      abort.abort();
      stop();
      view?.close?.();
      document.body.classList.remove("shared");
    },
  };
}
