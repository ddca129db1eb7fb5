// What is made of a session: notes, its mark as reviewed, its cases, and whether it is all here. In Session Details.

import { get, post } from "./api.js";
import { badge, when } from "./badges.js";
import { guarded, notes, tell, words } from "./cases.js";
import { h, fill } from "./dom.js";
import { number, plural, visible } from "./format.js";

/** The panel of a session. */
export function casework(id, signal) {
  const path = `/v1/sessions/${encodeURIComponent(id)}`;
  const [mark, whole, said] = [h("div"), h("div"), h("div")];
  const add = h("section", { class: "card" });
  const note = words("Write a note", [["text", "Note on this session"]], async ({ text }) => {
    await post(`${path}/notes`, { text });
    await loadNotes();
  });
  const card = (name, ...children) => h("section", { class: "card", "aria-label": name }, h("h2", null, name), children);
  const element = h("div", { class: "casework" }, said, h("div", { class: "cards" }, card("Reviewed", mark), card("Completeness", whole), note, add));

  async function loadNotes() {
    const { items } = await get(`${path}/notes`, new URLSearchParams({ limit: 100 }), signal);
    fill(said, notes(items));
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
