// The small labels: states and times. Each says its meaning in words; the colour only helps.

import { h } from "./dom.js";
import { absolute, ago } from "./format.js";

const STATUS = {
  open: "Open", done: "Done", failed: "Failed", killed: "Killed",
  pending_review: "Pending review", rejected: "Rejected",
};

/** A status as people read it. */
export const statusName = (status) => STATUS[status] ?? status;

/** A label of a kind that the style sheet colours. */
export function badge(kind, text, title) {
  return h("span", { class: `badge b-${kind}`, title, "aria-label": title }, text);
}

/** A time as people read it, with the whole of it as its title. */
export const when = (time, text = ago(time), more) => h("time", { datetime: time, title: absolute(time), ...more }, text);

/** How something is doing, in words. */
export const health = (fine, words) => h("p", { class: `health ${fine ? "fine" : "wrong"}` }, h("span", { class: "dot", "aria-hidden": "true" }), words);

/** A session's status; an open one has a living dot. */
export function statusBadge(status) {
  return h("span", { class: `status s-${status}` },
    h("span", { class: "dot", "aria-hidden": "true" }), statusName(status));
}
