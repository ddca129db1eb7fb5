// Cases: named sets of sessions, with notes, a legal hold and an export.
//
//   /cases          all of them
//   /cases/{id}     one

import { get, post } from "./api.js";
import { badge, when } from "./badges.js";
import { h, fill, icon } from "./dom.js";
import { plural, visible, visibleLines } from "./format.js";

const id = encodeURIComponent;
const state = (item) => [item.hold && badge("pending", "legal hold", item.hold.text), item.closed ? badge("exit", "closed", item.closed.text) : badge("approved", "open")];

/** The page of all cases. */
export function cases(main) {
  const abort = new AbortController();
  const list = h("div", { class: "page" });
  const form = words("Open a case", [["name", "Name"], ["reason", "Why"]], async (values) => {
    await post("/v1/cases", values);
    await load();
  });
  fill(main, h("div", { class: "page-head" }, h("h1", null, "Cases")), list);

  async function load() {
    const { items } = await get("/v1/cases", null, abort.signal);
    fill(list, items.length ? table("Cases", ["Case", "Sessions", "Notes", "Why", "Changed", "State"], items.map((item) => [
      h("a", { href: `/cases/${id(item.id)}` }, visible(item.name)), item.session_count, item.note_count,
      visible(item.reason), when(item.changed_at), state(item)])) : h("p", { class: "hint" }, "There is no case yet. A case gathers sessions, keeps them from being deleted, and hands them over with proofs."), form);
  }

  load().catch((problem) => tell(list, problem));
  return view("Cases", abort);
}

/** The page of one case. */
export function caseView(main, context, key) {
  const abort = new AbortController();
  const page = h("div", { class: "page" });
  const title = h("h1", null, "Case");
  const path = `/v1/cases/${id(key)}`;
  fill(main, h("div", { class: "page-head" }, h("a", { href: "/cases" }, icon("back"), "Cases"), title,
    h("a", { class: "button", href: `${path}/export`, download: "" }, icon("download"), "Export with proofs")), page);

  const act = (what, body) => post(`${path}/${what}`, body).then(draw);
  const ask = (label, what) => words(label, [["text", "Why, or what came of it"]], (values) => act(what, values));

  function draw(item) {
    fill(title, visible(item.name));
    document.title = `${item.name} · daybook`;
    const over = Boolean(item.closed);
    const said = (name, one) => one && h("p", null, h("strong", null, name), ` by ${visible(one.by)}, `, when(one.at), `: ${visible(one.text)}`);
    fill(page,
      h("section", { class: "card" }, h("h2", null, "About ", state(item)),
        h("p", null, visible(item.reason)), h("p", { class: "hint" }, `Opened by ${visible(item.opened_by)}, `, when(item.opened_at), ` · ${item.id}`),
        said("Legal hold", item.hold), said("Closed", item.closed)),
      item.sessions.length ? table("Sessions", ["Session", "Added by", "Added", ""], item.sessions.map((one) => [
        h("a", { href: `/sessions/${id(one.id)}` }, visible(one.id)), visible(one.added_by), when(one.added_at),
        !over && h("button", { type: "button", "aria-label": `Take out ${one.id}`, onclick: (event) => guarded(event.target, () => act("sessions", { remove: [one.id] })) }, "Take out")]))
        : h("p", { class: "hint" }, "No session yet: a session's details have a way to add it to a case."),
      notes(item.notes),
      h("div", { class: "cards" },
        !over && words("Add a session", [["session", "Session ID"]], ({ session }) => act("sessions", { add: [session] })),
        !over && words("Write a note", [["text", "Note"]], (values) => act("notes", values)),
        !over && !item.hold && ask("Place a legal hold", "hold"),
        item.hold && ask("Release the hold", "release"),
        !over && ask("Close the case", "close")));
  }

  get(path, null, abort.signal).then(draw).catch((problem) => tell(page, problem));
  return view("Case", abort);
}

/** Notes as a list. */
export const notes = (list) => list.length > 0 && h("section", { class: "card" }, h("h2", null, plural(list.length, "note")),
  list.map((one) => drawNote(one, true)));

/** A note; `linked`: with the way to the command that it is on. */
export const drawNote = (one, linked) => h("div", { class: "note" }, icon("note"), h("div", null,
  h("p", null, h("strong", null, visible(one.by)), " ", when(one.at ?? one.time),
    linked && one.command !== undefined && [", on ", h("a", { href: `?${new URLSearchParams({ seq: one.command })}` }, `command ${one.command}`)]),
  h("p", null, visibleLines(one.text))));

/** A table with its name. */
export function table(name, columns, rows) {
  return h("section", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": name }, h("h2", { class: "unseen" }, name),
    h("table", { class: "plain wraps" },
      h("thead", null, h("tr", null, columns.map((column) => h("th", { scope: "col" }, column || h("span", { class: "unseen" }, "Action"))))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell) => h("td", null, cell)))))));
}

/** Facts as names and values; those that are not there are left out. */
export const facts = (rows) => h("dl", { class: "facts" },
  rows.filter(Boolean).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));

/** A form of some texts; `done(values)` may fail, which is said. */
export function words(label, fields, done) {
  const wrong = h("p", { class: "hint wrong", role: "alert" });
  const form = h("form", { class: "card words", "aria-label": label }, h("h2", null, label),
    fields.map(([name, text, more]) => h("label", null, text, name === "text"
      ? h("textarea", { name, rows: 2, required: true }) : h("input", { type: "text", name, required: true, autocomplete: "off", ...more }))),
    h("button", { type: "submit", class: "primary" }, label), wrong);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    fill(wrong);
    try {
      await done(Object.fromEntries(new FormData(form)));
      form.reset();
    } catch (problem) {
      fill(wrong, problem.message);
    }
    button.disabled = false;
  });
  return form;
}

/** Does something for a button, and says beside it what failed. */
export async function guarded(button, work) {
  button.disabled = true;
  if (button.nextElementSibling?.matches("[role=alert]")) button.nextElementSibling.remove();
  try {
    await work();
  } catch (problem) {
    button.after(h("span", { class: "hint wrong", role: "alert" }, problem.message));
  }
  button.disabled = false;
}

/** Says why a page has nothing to show. */
export const tell = (element, problem) => problem.name !== "AbortError" && fill(element, h("p", { class: "hint wrong", role: "alert" }, problem.message));

const view = (title, abort) => ({
  update() {
    document.title = `${title} · daybook`;
  },
  close: () => abort.abort(),
});
