// What is made of a session: notes, its mark as reviewed, its cases, and whether it is all here, in Session Details; and
// what stands under its commands: notes on them, and how they were run again.

import { get, params, post, runs as fetchRuns } from "./api.js";
import { badge, when } from "./badges.js";
import { drawNote, guarded, notes, tell, words } from "./cases.js";
import { h, fill, toast } from "./dom.js";
import { number, plural, visible } from "./format.js";
import { askSheet } from "./keys.js";
import { stateBadge } from "./rerun.js";

/** So many runs of a command are listed; the newest 1,000 of a session are looked at. */
const RUNS_LISTED = 5;
const RUNS = 1000;

const pathOf = (id) => `/v1/sessions/${encodeURIComponent(id)}`;

/** All notes on a session and its commands. */
async function allNotes(id, signal) {
  const found = [];
  let cursor = null;
  do {
    const page = await get(`${pathOf(id)}/notes`, params({ limit: 1000, cursor }), signal);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}

/** What stands under the commands of a session. */
export function underCommands(id, signal) {
  let [notes, runs, may, text] = [[], [], false, ""];

  return {
    /** Asks for it; answers whether it changed. What can't be had is not shown, and stops nobody from reading the rest. */
    async load() {
      const [noted, run] = await Promise.allSettled([allNotes(id, signal), fetchRuns({ session: id, limit: RUNS }, signal)]);
      notes = noted.value ?? notes;
      runs = run.value?.items ?? runs;
      may = run.value?.may_request ?? may;
      const before = text;
      text = JSON.stringify([notes, runs, may]);
      return text !== before;
    },
    /** Notes and runs have one answer: both take `review` or `admin`. */
    mayAct: () => may,
    of(seq) {
      const again = runs.filter(({ command }) => command === seq);
      return [
        notes.filter(({ command }) => command === seq).map((note) => drawNote(note)),
        again.length > 0 && h("ul", { class: "runs", "aria-label": "Run again" },
          again.slice(0, RUNS_LISTED).map((run) => h("li", null, stateBadge(run), ` ${visible(run.by)} `, when(run.requested_at),
            h("a", { href: `?${params({ rerun: run.id })}` }, "Compare"))),
          again.length > RUNS_LISTED && h("li", null, `${number(again.length - RUNS_LISTED)} earlier`)),
      ];
    },
  };
}

/** Asks for a note on a command; `done()` is called once it is written. */
export function askNote(id, command, done) {
  const text = h("textarea", { rows: 4, required: true });
  askSheet(`Note on command ${command}`, h("label", null, "Note", text), "Write a note", async () => {
    await post(`${pathOf(id)}/notes`, { text: text.value, command });
    toast("The note is written");
    await done();
  });
  text.focus();
}

/** The panel of a session. */
export function casework(id, signal) {
  const path = pathOf(id);
  const [mark, whole, said] = [h("div"), h("div"), h("div")];
  const add = h("section", { class: "card" });
  const note = words("Write a note", [["text", "Note on this session"]], async ({ text }) => {
    await post(`${path}/notes`, { text });
    await loadNotes();
  });
  const card = (name, ...children) => h("section", { class: "card", "aria-label": name }, h("h2", null, name), children);
  const element = h("div", { class: "casework" }, said, h("div", { class: "cards" }, card("Reviewed", mark), card("Completeness", whole), note, add));

  async function loadNotes() {
    fill(said, notes(await allNotes(id, signal)));
  }

  function drawMark({ reviewed, queues }) {
    const comment = h("input", { type: "text", "aria-label": "Comment", placeholder: "Comment", autocomplete: "off" });
    const set = (body) => (event) => guarded(event.target, async () => drawMark(await post(`${path}/reviewed`, body())));
    fill(mark, reviewed
      ? [h("p", null, badge("approved", "reviewed"), ` by ${visible(reviewed.by)} `, when(reviewed.at)),
        reviewed.comment && h("p", { class: "quote" }, visible(reviewed.comment)),
        h("button", { type: "button", onclick: set(() => ({ undo: true })) }, "Take the mark back")]
      : [h("p", null, queues.length ? `Waits in ${queues.join(", ")}` : "Nobody has to look at it"), comment,
        h("button", { type: "button", class: "primary", onclick: set(() => ({ comment: comment.value })) }, "Mark as reviewed")]);
  }

  function drawWhole(found) {
    const last = found.last_seq === null ? "" : `Events ${found.first_seq} to ${found.last_seq}`;
    fill(whole, h("p", null, found.complete ? [badge("approved", "complete"), ` ${last} are all here`]
      : found.lacking > 0 ? [badge("blocked", "incomplete"), ` ${plural(found.lacking, "number")} lacking`]
        : found.sent > found.events ? [badge("blocked", "incomplete"), ` ${number(found.sent)} were sent, ${number(found.events)} are here`]
          : [badge("pending", "not ended"), ` ${last} are here so far`]),
    found.gaps.length > 0 && h("ul", null, found.gaps.slice(0, 10).map((gap) => h("li", null, `${gap.first}${gap.last > gap.first ? ` to ${gap.last}` : ""}: ${gap.why}`))),
    found.sent !== null && h("p", { class: "hint" }, `The producer sent ${number(found.sent)}; ${number(found.events)} are here`));
  }

  async function loadCases() {
    const { items } = await get("/v1/cases", null, signal);
    const open = items.filter((item) => !item.closed);
    if (!open.length) return fill(add, h("h2", null, "Cases"), h("p", { class: "hint" }, h("a", { href: "/cases" }, "Open a case"), " to gather sessions."));
    const choice = h("select", { "aria-label": "Case" }, open.map((item) => h("option", { value: item.id }, visible(item.name))));
    const done = h("p", { class: "hint", role: "status" });
    return fill(add, h("h2", null, "Cases"), choice, h("button", { type: "button", onclick: (event) => guarded(event.target, async () => {
      const item = await post(`/v1/cases/${choice.value}/sessions`, { add: [id] });
      fill(done, "It is in ", h("a", { href: `/cases/${item.id}` }, visible(item.name)));
    }) }, "Add to the case"), done);
  }

  loadNotes().catch((problem) => tell(said, problem));
  get(`${path}/reviewed`, null, signal).then(drawMark).catch((problem) => tell(mark, problem));
  get(`${path}/completeness`, null, signal).then(drawWhole).catch((problem) => tell(whole, problem));
  loadCases().catch((problem) => tell(add, problem));
  return element;
}
