// A stretch of a session's events as elements: the unit that is built when it comes near, and let go when it is far.

import { drawNote } from "./cases.js";
import { drawCommand, eventTime, reviewLine } from "./command.js";
import { h, icon } from "./dom.js";
import { textOf } from "./format.js";
import { outputBlock } from "./output.js";
import { TerminalBlock } from "./terminal.js";

/** A terminal goes on in another stretch past so many lines. */
const LINES_MAX = 1500;

export class Chunk {
  /** `apart`: events that were found are apart from each other, so each stands alone; `under(seq)` is for under commands. */
  constructor(apart, under) {
    this.apart = apart;
    this.under = under;
    this.element = h("div", { class: "chunk" });
    /** The pages that it is made of. */
    this.asks = [];
    this.height = 0;
    this.clear();
  }

  clear() {
    this.known = new Map();
    this.blocks = [];
    this.terminal = null;
    this.filled = false;
    this.element.replaceChildren();
  }

  /** Puts a page's items in; those that are there already are drawn anew if they changed. */
  put(items) {
    this.filled = true;
    for (const item of items) this.add(item);
    this.terminal?.draw();
  }

  add(item) {
    const text = JSON.stringify(item);
    const old = this.known.get(item.offset);
    if (old) {
      if (old.text === text || !old.node) return;
      const node = drawEvent(item, this.under);
      old.node.replaceWith(node);
      this.known.set(item.offset, { text, node });
      return;
    }
    if (item.kind.startsWith("terminal.")) {
      if (!this.terminal || this.apart) {
        this.terminal?.draw();
        this.terminal = new TerminalBlock(item);
        this.blocks.push(this.terminal);
        this.element.append(this.terminal.element);
      }
      this.terminal.add(item);
      this.known.set(item.offset, { text });
      return;
    }
    this.terminal?.draw();
    if (item.kind !== "access") this.terminal = null;
    const node = drawEvent(item, this.under);
    this.element.append(node);
    this.known.set(item.offset, { text, node });
  }

  /** May the next page begin another stretch? Not in the middle of a terminal, unless that is long. */
  get isWhole() {
    return !this.terminal || this.apart || this.terminal.screen.lines.length > LINES_MAX;
  }

  /** Lets the elements go; the place that they took stays. */
  empty() {
    this.height = this.element.offsetHeight;
    this.element.style.height = `${this.height}px`;
    this.clear();
  }

  /** The element of an event, or null. */
  find(seq) {
    for (const block of this.blocks) {
      const line = block.mark(seq);
      if (line) return line;
    }
    return this.element.querySelector(`[data-seq="${seq}"]`) ?? this.element.querySelector(`[data-holds~="${seq}"]`);
  }
}

function drawEvent(item, under) {
  if (item.kind === "command") {
    const node = drawCommand(item, under);
    // A hit may be in what is folded under the command.
    const reviews = item.review ? [item.review, ...(item.review.more ?? [])] : [];
    const held = [...(item.outputs ?? []), item.end, ...reviews.flatMap((one) => [one.request, ...(one.decisions ?? [])])]
      .map((one) => one?.seq).filter(Number.isInteger);
    node.dataset.holds = held.join(" ");
    return node;
  }
  return h("article", { class: `event line e-${item.kind.replace(".", "-")}`, "data-seq": item.seq,
    "data-holds": item.decisions?.map((one) => one.seq).join(" ") },
    eventTime(item),
    h("div", { class: "event-body" }, eventWords(item)));
}

/** An event that is no command, in words. */
export function eventWords(item) {
  const strong = (text) => h("strong", null, text);
  switch (item.kind) {
    case "session.start":
      return ["Session started", item.user && [" by ", strong(item.user)], item.agent && [" with the agent ", strong(item.agent)],
        item.client_ip && [" from ", strong(item.client_ip)]];
    case "session.end":
      return ["Session ended ", strong(item.status), item.reason && `: ${item.reason}`,
        item.exit_code ? ` (exit ${item.exit_code})` : ""];
    case "note":
      return drawNote(item, true);
    case "review.request":
      return reviewLine({ request: item, decisions: item.decisions });
    case "review.decision":
      return h("div", { class: "review" }, icon("review"), h("p", null, "Review ", item.decision, item.by && [" by ", strong(item.by)],
        item.comment && h("span", { class: "quote" }, item.comment)));
    case "access":
      return [strong(item.by), ` ${item.action}`, item.target && ` ${item.target}`];
    case "retention":
      return [strong(item.by), ` ${item.action}`, item.target && ` ${item.target}`, item.case && ` (case ${item.case})`,
        item.reason && `: ${item.reason}`];
    case "output":
      return outputBlock(textOf(item), item.stream ?? "stdout", item.truncated);
    case "command.end":
      return ["Command ", String(item.command), " ended", Number.isInteger(item.exit_code) && ` with exit ${item.exit_code}`];
    default:
      return [item.kind, " ", textOf(item)];
  }
}
