// One command: the prompt, what was sent, what the proxy decided, and what came back.

import { badge } from "./badges.js";
import { h, icon } from "./dom.js";
import { absolute, duration, number, plural, textOf, timeOfDay } from "./format.js";
import { highlight } from "./highlight.js";
import { outputBlock } from "./output.js";

const INPUT_LINES = 24;
/** Of a longer command only so much is shown. */
const SHOWN_CHARACTERS = 100_000;

/** A command event with what is folded under it, and what `under(seq)` has about it. */
export function drawCommand(item, under) {
  const verdict = verdictOf(item);
  return h("article", { class: `event command v-${verdict.name}`, "data-seq": item.seq, "aria-label": "Command" },
    eventTime(item),
    h("div", { class: "event-body" },
      h("div", { class: "command-line" },
        h("span", { class: "prompt", "aria-hidden": "true" }, prompt(item.language)),
        input(item),
        h("div", { class: "command-facts" }, facts(item, verdict),
          ["passed", "approved"].includes(verdict.name)
            && h("button", { type: "button", class: "quiet act-link", "data-rerun": item.seq, title: "Run it again" }, "Run again"),
          h("button", { type: "button", class: "quiet act-link", "data-note": item.seq, title: "Write a note on it (n)" }, "Note"),
          h("a", { class: "replay-link", href: linkTo({ tab: "replay", at: item.time }), title: "Replay from here", "aria-label": "Replay from here" },
            icon("play")))),
      verdict.name === "blocked" && h("p", { class: "verdict-line" }, "Blocked by the rule ",
        item.rule ? h("strong", null, item.rule) : "of the proxy"),
      item.review && [item.review, ...(item.review.more ?? [])].map(reviewLine),
      outputs(item),
      under && h("div", { class: "under", "data-under": item.seq }, under(item.seq))));
}

const linkTo = (values) => `?${new URLSearchParams(values)}`;

/** When an event was: the link to it. */
export const eventTime = (item) => h("a", { class: "event-time", href: linkTo({ seq: item.seq, at: item.time }), title: absolute(item.time) },
  h("time", { datetime: item.time }, timeOfDay(item.time)));

/** What became of a command: its own verdict, or its review's. */
export function verdictOf(item) {
  const sent = item.verdict ?? "passed";
  const status = statusOf(item.review);
  if (sent !== "pending" || !status) return { name: sent, by: deciders(item.review) };
  const name = { approved: "approved", executed: "approved", rejected: "rejected", revoked: "rejected", expired: "rejected" };
  return { name: name[status] ?? "pending", by: deciders(item.review), status };
}

/** Where a review stands, as the server says; one of which nothing was said waits. */
export const statusOf = (review) => review && (review.status ?? "pending");

function deciders(review) {
  const said = (review?.decisions ?? []).filter((one) => one.by && /approved|rejected|revoked/.test(one.decision));
  if (!said.length && review?.by) return [review.by];
  return [...new Set(said.map((one) => one.by))];
}

/** The command that one runs again, as `SESSION:SEQ` has it. */
function originOf(text) {
  const at = text.lastIndexOf(":");
  return at > 0 ? `/sessions/${encodeURIComponent(text.slice(0, at))}?${new URLSearchParams({ seq: text.slice(at + 1) })}` : `/sessions/${encodeURIComponent(text)}`;
}

const prompt = (language) => ({ sql: "sql", http: "http" }[language] ?? "$");

function input(item) {
  const whole = (item.input ?? "").replace(/\s+$/, "");
  const text = whole.length > SHOWN_CHARACTERS ? `${whole.slice(0, SHOWN_CHARACTERS)}…` : whole;
  const code = h("code", null, highlight(text, item.language));
  const pre = h("pre", { class: "input" }, code);
  const lines = text.split("\n").length;
  if (lines <= INPUT_LINES && text.length <= 4000) return pre;
  pre.classList.add("folded");
  const button = h("button", { type: "button", class: "unfold", "aria-expanded": "false", onclick: () => {
    const open = !pre.classList.toggle("folded");
    button.textContent = open ? "Show less" : `Show all ${plural(lines, "line")}`;
    button.setAttribute("aria-expanded", String(open));
  } }, `Show all ${plural(lines, "line")}`);
  return h("div", { class: "input-holder" }, pre, button);
}

function facts(item, verdict) {
  const end = item.end ?? {};
  const masked = (item.masked ?? 0) + (end.masked ?? 0);
  const types = Object.entries({ ...item.masked_types, ...end.masked_types });
  const took = end.duration_ms ?? item.duration_ms;
  const exit = end.exit_code ?? item.exit_code;
  const rows = end.rows ?? item.rows;
  const by = verdict.by.length ? ` by ${verdict.by.join(", ")}` : "";
  const title = types.map(([type, count]) => `${count} ${type}`).join(", ") || undefined;
  return [
    verdict.name === "blocked" && badge("blocked", "blocked", item.rule && `rule ${item.rule}`),
    verdict.name === "pending" && badge("pending", "pending review"),
    verdict.name === "approved" && badge("approved", `approved${by}`),
    verdict.name === "rejected" && badge("rejected", `${verdict.status ?? "rejected"}${by}`),
    verdict.name === "passed" && h("span", { class: "passed", title: "Passed" }, icon("check"),
      h("span", { class: "unseen" }, "passed")),
    masked > 0 && badge("masked", `${number(masked)} masked`, title),
    item.rerun_of && h("a", { class: "fact", href: originOf(item.rerun_of), title: `Runs ${item.rerun_of} again` }, "rerun"),
    Number.isInteger(rows) && h("span", { class: "fact" }, plural(rows, "row")),
    Number.isInteger(exit) && exit !== 0 && badge("exit", `exit ${exit}`),
    took !== undefined && took !== null && verdict.name !== "blocked" && h("span", { class: "fact" }, duration(took)),
  ];
}

/** A review in words, for a command or a whole session. */
export function reviewLine(review) {
  const request = review.request ?? review;
  const said = review.decisions ?? [];
  return h("div", { class: "review" }, icon("review"),
    h("div", null,
      h("p", null, request.scope === "session" ? "Access review " : "Review ",
        badge(statusOf(review) === "executed" ? "approved" : statusOf(review), statusOf(review)),
        request.groups?.length ? ` asked of ${request.groups.join(", ")}` : "",
        request.min_approvals > 1 && `, ${request.min_approvals} approvals needed`),
      request.reason && h("p", { class: "quote" }, request.reason),
      said.map((one) => h("p", null, one.decision, one.by && [" by ", h("strong", null, one.by)],
        one.time && ` at ${timeOfDay(one.time)}`,
        one.comment && h("span", { class: "quote" }, one.comment)))));
}

/** What came back: `[{stream, text, truncated}]`, neighbours of one stream as one. */
export function textOutputs(item) {
  const blocks = [];
  if (item.output) blocks.push({ stream: "result", text: item.output });
  for (const event of item.outputs ?? []) {
    const stream = event.stream ?? "stdout";
    const last = blocks.at(-1);
    const joined = last && last.stream === stream && !last.truncated;
    if (joined) Object.assign(last, { text: last.text + textOf(event), truncated: event.truncated });
    else blocks.push({ stream, text: textOf(event), truncated: event.truncated });
  }
  return blocks.filter((block) => block.text);
}

function outputs(item) {
  const error = item.end?.error;
  return [
    textOutputs(item).map((block) => outputBlock(block.text, block.stream, block.truncated)),
    error && outputBlock(error, "stderr"),
    item.folded_omitted > 0 && h("p", { class: "hint" },
      `${plural(item.folded_omitted, "more output event")} too long to be shown here`),
  ];
}
