// Deciding on a review: a button for each thing that one may say, and a form that asks for a comment before it is said.

import { decide, reviews } from "./api.js";
import { h, fill, icon, toast } from "./dom.js";
import { visible, visibleLines } from "./format.js";

const SAYS = {
  approve: ["Approve", { decision: "approved" }],
  force: ["Approve alone", { decision: "approved", force: true }],
  reject: ["Reject", { decision: "rejected" }],
  revoke: ["Revoke", { decision: "revoked" }],
};

/** What may be said of a review now; `done()` is called after it was said. Nothing where one may say nothing. */
export function actions(review, done) {
  const may = Object.keys(SAYS).filter((name) => review.may.includes(name));
  // Whoever may reject needs not take it back for somebody else.
  const shown = may.includes("reject") ? may.filter((name) => name !== "revoke") : may;
  if (!shown.length) return null;
  const holder = h("div", { class: "decide", role: "group", "aria-label": `Decide on the request of ${visible(review.user ?? "an unknown user")}` });
  const buttons = () => fill(holder, shown.map((name) => h("button", { type: "button", class: name === "approve" ? "primary" : "",
    "data-say": name, onclick: () => ask(name) }, SAYS[name][0])));

  function ask(name) {
    const [label, said] = SAYS[name];
    const comment = h("input", { type: "text", "aria-label": "Comment", placeholder: "Comment", maxlength: 4000, autocomplete: "off" });
    const wrong = h("p", { class: "hint wrong", role: "alert" });
    const sure = h("button", { type: "submit", class: "primary" }, label);
    const back = () => {
      buttons();
      holder.querySelector(`[data-say="${name}"]`)?.focus();
    };
    const say = async (event) => {
      event.preventDefault();
      sure.disabled = true;
      try {
        const now = await decide(review.id, review.session, { ...said, comment: comment.value });
        toast(now.status === "pending" ? `Approved; ${now.approvers.length} of ${now.approvals_needed}` : `The request is ${now.status}`);
        fill(holder);
        done();
      } catch (problem) {
        sure.disabled = false;
        fill(wrong, problem.message);
      }
    };
    const form = h("form", { onsubmit: say }, comment, sure, h("button", { type: "button", onclick: back }, "Cancel"), wrong);
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      back();
    });
    fill(holder, form);
    comment.focus();
  }

  buttons();
  return holder;
}

/** Is somebody about to decide in there? Then it is not drawn again. */
export const isDeciding = (element) => Boolean(element.querySelector(".decide form"));

/** Draws what waits in a session, and what can still be taken back, with the buttons. */
export async function drawAsks(holder, session, signal, done) {
  const { items } = await reviews({ session, limit: 50 }, signal);
  if (isDeciding(holder)) return;
  const asks = items.filter((one) => one.status === "pending" || (one.scope === "session" && one.may.includes("revoke")));
  const text = JSON.stringify(asks);
  if (holder.dataset.text === text) return;
  holder.dataset.text = text;
  fill(holder, asks.map((one) => h("div", { class: "ask" }, icon("review"),
    h("div", { class: "ask-what" },
      h("strong", null, one.scope === "command" ? "A command waits for a review" : one.status === "pending" ? "The session waits for a review" : "The session was approved"),
      one.input && h("pre", null, h("code", null, visibleLines(one.input), one.input_cut && "…")),
      one.reason && h("p", { class: "quote" }, visible(one.reason))),
    actions(one, done))));
}
