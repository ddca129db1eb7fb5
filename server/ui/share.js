// A session for others: its files, and links to its files and its page, for who has no token, and their end.

import { links, makeLink, place, revokeLink } from "./api.js";
import { copy, h, fill, icon, toast } from "./dom.js";
import { moment, plural, visible } from "./format.js";
import { openSheet } from "./keys.js";

const FORMATS = [["txt", "Text"], ["html", "Page that replays offline, HTML"], ["csv", "Result tables, CSV"], ["cast", "Terminal, asciicast v2"],
  ["cast3", "Terminal, asciicast v3"], ["ndjson", "Events, NDJSON"], ["parquet", "Events, Parquet"]];
const TIMES = [["1h", "1 hour"], ["24h", "1 day"], ["7d", "7 days"], ["30d", "30 days"], ["365d", "1 year"]];

const options = (list) => list.map(([value, label]) => h("option", { value }, label));

/** How long a link is good. */
function expiry() {
  const choice = h("select", null, options(TIMES));
  choice.value = "7d";
  return choice;
}

/** Makes a link, and copies it. */
async function copyNew(id, wanted) {
  const { url } = await makeLink(id, wanted);
  await copy(new URL(url, location.href).href, "Link");
}

/** The menu of a session's files; `links`: with a way to link to each. */
export function downloadMenu(id, links) {
  const expires = expiry();
  const link = (format) => async () => {
    try {
      await copyNew(id, { format, expires_in: expires.value });
    } catch (problem) {
      toast(problem.message);
    }
  };
  const row = (path, label, format) => h("li", null, h("a", { href: `${place(id)}/${path}`, download: "" }, label),
    links && format && h("button", { type: "button", class: "quiet square", "aria-label": `Copy a link to: ${label}`, title: "Copy a link", onclick: link(format) }, icon("link")));
  const summary = h("summary", { class: "quiet square", "aria-label": "Download", title: "Download" }, icon("download"));
  const menu = h("details", { class: "drop" }, summary,
    h("div", { class: "drop-items", tabindex: -1 },
      h("ul", null, FORMATS.map(([format, label]) => row(`download?format=${format}`, label, format)), row("proof", "Proof, JSON")),
      links && h("label", null, "Links are good for", expires)));
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("click", (event) => {
    if (event.target.closest("a")) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.preventDefault();
    summary.focus();
    menu.open = false;
  });
  return menu;
}

/** Opens the sheet for a session; `at` is the moment that is in sight. */
export function shareSheet(id, at) {
  const what = h("select", { "aria-label": "What" }, h("option", { value: "" }, "The session\u2019s page, read-only"),
    FORMATS.map(([value, label]) => h("option", { value }, `A file: ${label}`)));
  const who = h("input", { type: "text", placeholder: "Anyone who has the link", autocomplete: "off", spellcheck: "false" });
  const expires = expiry();
  const part = h("select", null, options([["whole", "The whole session"], ["command", "One command"], ["time", "A stretch of time"]]));
  const seq = h("input", { type: "number", min: 0, placeholder: "Its number" });
  const from = h("input", { type: "text", value: at, placeholder: "2026-03-01T09:30:00Z", spellcheck: "false" });
  const to = h("input", { type: "text", placeholder: "2026-03-01T09:45:00Z", spellcheck: "false" });
  const outputs = h("input", { type: "checkbox" });
  outputs.checked = true;
  const note = h("input", { type: "text", maxlength: 300, autocomplete: "off" });
  const wrong = h("p", { class: "hint wrong", role: "alert" });
  const list = h("div", { class: "share-list", "aria-live": "polite" });
  const field = (label, ...inputs) => h("label", null, label, inputs);
  const reviewers = field("Reviewers, by the names of their tokens", who);
  const command = field("Command", seq);
  const times = [field("From", from), field("To", to)];
  const form = h("form", { class: "share-form", onsubmit: make },
    field("Link to", what), reviewers, field("Part", part), command, times, field("Good for", expires), field("Note", note),
    h("label", { class: "share-check" }, outputs, "Show outputs"), wrong,
    h("button", { type: "submit", class: "primary" }, "Make the link"));

  function point() {
    reviewers.hidden = what.value !== "";
    command.hidden = part.value !== "command";
    for (const one of times) one.hidden = part.value !== "time";
  }
  what.addEventListener("change", point);
  part.addEventListener("change", point);
  point();

  async function make(event) {
    event.preventDefault();
    fill(wrong);
    const names = who.value.split(",").map((name) => name.trim()).filter(Boolean);
    const wanted = { expires_in: expires.value, outputs: outputs.checked ? "shown" : "hidden", note: note.value.trim(),
      part: { whole: "whole", command: `command:${seq.value}`, time: `${from.value.trim()}..${to.value.trim()}` }[part.value],
      ...(what.value ? { format: what.value } : { to: names.length ? names : "anyone" }) };
    try {
      await copyNew(id, wanted);
      await load();
    } catch (problem) {
      fill(wrong, problem.message);
    }
  }

  async function load() {
    try {
      const { items } = await links(id);
      fill(list, h("h3", null, "Links"), items.length ? h("ul", null, items.map(draw)) : h("p", { class: "hint" }, "None yet."));
    } catch (problem) {
      fill(list, h("p", { class: "hint wrong", role: "alert" }, problem.message));
    }
  }

  function draw(link) {
    const over = link.revoked_by ? `revoked by ${visible(link.revoked_by)}` : Date.parse(link.expires_at) <= Date.now() ? "expired" : "";
    const title = link.format ? `File, ${link.format}` : link.to === "anyone" ? "Page, for anyone" : `Page, for ${link.to.map(visible).join(", ")}`;
    const end = async () => {
      try {
        await revokeLink(link.id);
        await load();
      } catch (problem) {
        fill(wrong, problem.message);
      }
    };
    return h("li", { class: over ? "over" : null },
      h("div", null, h("strong", null, title),
        link.part !== "whole" && ` · ${link.part}`, link.outputs === "hidden" && " · no outputs",
        h("p", { class: "hint" }, `by ${visible(link.by)} · ${over || `until ${moment(link.expires_at)}`} · ${plural(link.uses, "use")}`,
          link.note && ` · ${visible(link.note)}`)),
      !over && link.url && h("button", { type: "button", class: "quiet square", "aria-label": `Copy the link: ${title}`, title: "Copy the link",
        onclick: () => copy(new URL(link.url, location.href).href, "Link") }, icon("copy")),
      !over && h("button", { type: "button", class: "quiet", onclick: end, "aria-label": `Revoke: ${title}` }, "Revoke"));
  }

  openSheet("share", "Share", form, list);
  load();
}
