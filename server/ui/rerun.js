// Running a command again: a dialog that asks for it, and a page that shows how it goes and both results side by side.
//
//   /sessions/{id}?rerun=RUN

import { cancelRun, rerun, run as fetchRun, timeline } from "./api.js";
import { badge, when } from "./badges.js";
import { textOutputs } from "./command.js";
import { middles, pairs } from "./diff.js";
import { h, fill, icon } from "./dom.js";
import { duration, number, plural, visible, visibleLines } from "./format.js";
import { highlight } from "./highlight.js";
import { askSheet } from "./keys.js";
import { readTable } from "./table.js";

/** So many lines or rows of each side are shown. */
const LINES_MAX = 2000;
const LIVE_MS = 1000;
const WAIT = "20s";
const ENDED = new Set(["done", "failed", "lost", "expired", "cancelled", "rejected"]);
const STATES = {
  waiting: ["pending", "waits for approval"], requested: ["pending", "waits for a runner"], leased: ["pending", "taken"],
  running: ["pending", "running"], done: ["approved", "done"], failed: ["blocked", "failed"], lost: ["blocked", "lost"],
  expired: ["rejected", "expired"], cancelled: ["rejected", "cancelled"], rejected: ["rejected", "rejected"],
};

/** How a run is going. */
export const stateBadge = ({ state }) => badge(...(STATES[state] ?? ["pending", state]));

/** Asks for a command to be run again; `done(run)` is called once that is so. */
export async function askRerun(session, seq, signal, done) {
  const item = await command(session.id, seq, signal);
  // Said again it is the same run, not one more.
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const field = (props) => h("input", { type: "text", autocomplete: "off", ...props });
  const role = field({ value: session.role ?? "", required: true, maxlength: 1000 });
  const reason = field({ maxlength: 2000, placeholder: "Why" });
  const repeat = h("input", { type: "checkbox" });
  askSheet("Run this command again?", [
    h("pre", { class: "input", tabindex: 0, "aria-label": "Command" }, h("code", null, highlight(item.input.slice(0, 4000), item.language))),
    h("p", { class: "hint" }, "It runs for real. What it changes is changed, and its result is recorded."),
    h("label", null, "Resource role", role),
    h("label", null, "Reason", reason),
    h("label", { class: "check" }, repeat, "Start it again if its runner dies (only if it changes nothing)"),
  ], "Run again", async () => done(await rerun(session.id, { id, command: seq, role: role.value, reason: reason.value, repeat: repeat.checked })));
  reason.focus();
}

const command = async (session, seq, signal) => (await timeline(session, { from: String(seq), limit: 1 }, signal)).items[0];

/** The page of a run. */
export function rerunView(panel, id, runId, urlOf) {
  const abort = new AbortController();
  const head = h("div", { class: "rerun-head" });
  const body = h("div", { class: "compare" });
  const verdict = h("p", { class: "rerun-verdict", role: "status" });
  fill(panel, h("section", { class: "rerun", "aria-label": "Run again" }, head, verdict, body));
  let [run, before, after] = [null, null, null];

  async function go() {
    run = await fetchRun(runId, {}, abort.signal);
    before = await command(run.session, run.command, abort.signal);
    for (;;) {
      await look();
      draw();
      if (ENDED.has(run.state)) return;
      // While it runs its output is looked at, too.
      const running = run.state === "running";
      run = await fetchRun(runId, { wait: running ? `${LIVE_MS}ms` : WAIT, version: run.version }, abort.signal);
    }
  }

  async function look() {
    if (!run.result) return;
    try {
      const { items } = await timeline(run.result, { limit: 20 }, abort.signal);
      after = items.find((one) => one.kind === "command" && one.rerun_of === `${run.session}:${run.command}`);
    } catch (problem) {
      // Its first event is on its way, or it may not be seen.
      if (problem.status !== 404) throw problem;
    }
  }

  function draw() {
    const people = [
      ["asked for by", run.by], ["decided by", run.decided_by], ["called off by", run.cancelled_by], ["run by", run.taker],
    ].filter(([, who]) => who);
    const cancel = !ENDED.has(run.state) && !run.cancelled_by && h("button", { type: "button", onclick: off }, "Cancel the run");
    fill(head,
      h("h2", null, "Run again ", stateBadge(run)),
      h("pre", { class: "input" }, h("code", null, highlight((before?.input ?? "").slice(0, 4000), before?.language))),
      h("p", { class: "hint" }, `on ${visible(run.role)}, `, people.map(([what, who], at) => [at ? ", " : "", `${what} ${visible(who)}`]), ", ",
        when(run.requested_at)),
      run.reason && h("p", { class: "quote" }, visible(run.reason)),
      run.why && h("p", { class: "notice" }, visible(run.why)),
      h("p", { class: "rerun-links" },
        h("a", { href: urlOf({ rerun: "", tab: "", seq: run.command, at: before?.time ?? "" }) }, icon("back"), "The command in its session"),
        after && h("a", { href: `/sessions/${encodeURIComponent(run.result)}` }, icon("link"), "The new session"),
        cancel));
    if (after) compare();
    else fill(body);
  }

  function compare() {
    const [left, right] = [before, after].map(outcome);
    const tables = [left, right].map(({ text }) => readTable(text));
    const same = tables.every(Boolean) && JSON.stringify(tables[0].columns) === JSON.stringify(tables[1].columns);
    const [drawn, differs] = same ? compareTables(...tables) : compareTexts(left.text, right.text);
    const facts = left.facts.join(" · ") !== right.facts.join(" · ");
    const sides = [["Then", before, left], ["Now", after, right]].map(([title, item, { facts: said, took }], at) => h("section", { "aria-label": title },
      h("h3", null, title, " ", when(item.time)),
      h("p", { class: "hint" }, h("span", { class: facts ? "differs" : null }, said.join(" · ")), took && ` · ${took}`),
      h("div", { class: "diff-holder", tabindex: 0, role: "group", "aria-label": `${title}: result` }, drawn[at])));
    fill(body, sides);
    if (!ENDED.has(run.state)) fill(verdict, "It runs.");
    else if (!differs && !facts) fill(verdict, badge("approved", "same"), " Both gave the same result.");
    else fill(verdict, badge("blocked", "different"), ` ${differs ? `${plural(differs, same ? "row" : "line")} ${differs === 1 ? "differs" : "differ"}` : "How they ended differs"}.`);
  }

  async function off() {
    try {
      run = await cancelRun(runId);
      draw();
    } catch (problem) {
      failed(problem);
    }
  }

  const failed = (problem) => {
    if (problem.name === "AbortError") return;
    fill(verdict, problem.status === 404 ? "There is no such run." : problem.message, " ",
      h("button", { type: "button", onclick: () => { fill(verdict); go().catch(failed); } }, "Try again"));
  };
  go().catch(failed);

  return { close: () => abort.abort() };
}

/** What came of a command: its text, and how it ended in words. */
function outcome(item) {
  const end = item.end ?? {};
  const [rows, exit, took] = [end.rows ?? item.rows, end.exit_code ?? item.exit_code, end.duration_ms ?? item.duration_ms];
  const outputs = textOutputs(item);
  const masked = (item.masked ?? 0) + (end.masked ?? 0);
  const facts = [
    Number.isInteger(rows) && plural(rows, "row"), Number.isInteger(exit) && `exit ${exit}`, masked > 0 && `${number(masked)} masked`,
    outputs.some((one) => one.truncated) && "output was cut",
  ].filter(Boolean);
  return { text: outputs.map((one) => one.text).join(""), facts, took: Number.isInteger(took) ? duration(took) : "" };
}

const cutTo = (list) => (list.length > LINES_MAX ? [...list.slice(0, LINES_MAX), `… ${plural(list.length - LINES_MAX, "more line")}`] : list);

function compareTexts(left, right) {
  const lines = [left, right].map((text) => cutTo(visibleLines(text.replace(/\r\n/g, "\n").replace(/\s+$/, "")).split("\n")));
  const found = pairs(...lines);
  const side = (at) => h("pre", { class: "diff" }, found.map((pair) => lineOf(pair, at)));
  return [[side(0), side(1)], found.filter(([one, other]) => one !== other).length];
}

const tag = (at) => (at ? "ins" : "del");

function lineOf(pair, at) {
  const [one, other] = [pair[at], pair[1 - at]];
  if (one === undefined) return h("span", { class: "line none" }, "\u00a0");
  if (one === other) return h("span", { class: "line" }, one || "\u00a0");
  const [before, middle, after] = other === undefined ? ["", one, ""] : middles(pair[0], pair[1])[at];
  return h("span", { class: "line" }, h(tag(at), null, before, h("b", null, middle), after || (one ? "" : "\u00a0")));
}

function compareTables(left, right) {
  const key = (row) => row.join("\u0000");
  const rows = [left, right].map((table) => new Map(table.rows.slice(0, LINES_MAX).map((row) => [key(row), row])));
  const found = pairs(...[left, right].map((table) => table.rows.slice(0, LINES_MAX).map(key)));
  const cell = (value, other, at) => h("td", null, value === other ? value || "\u00a0" : h(tag(at), null, h("b", null, value || "\u00a0")));
  const side = (at) => h("table", { class: "result diff" },
    h("thead", null, h("tr", null, left.columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, found.map((pair) => {
      const row = rows[at].get(pair[at]);
      const other = rows[1 - at].get(pair[1 - at]);
      return h("tr", { class: row ? null : "none" }, left.columns.map((_, column) => (row ? cell(row[column], other?.[column], at) : h("td", null, "\u00a0"))));
    })));
  const more = [left, right].some((table) => table.rows.length > LINES_MAX);
  const note = () => more && h("p", { class: "hint" }, `The first ${number(LINES_MAX)} rows of each are compared.`);
  return [[[side(0), note()], [side(1), note()]], found.filter(([one, other]) => one !== other).length];
}
