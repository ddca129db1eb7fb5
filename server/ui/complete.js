// What a query can go on with at the caret: fields, and the values that they have.

import { quote } from "./query.js";

/** The fields, with what they are about. */
const FIELDS = [
  ["user:", "who"], ["role:", "resource role"], ["type:", "type of the resource"], ["subtype:", "such as postgres"],
  ["agent:", "AI agent"], ["tag:", "tag of the session"], ["status:", "status of the session"], ["session:", "id of a session"],
  ["kind:", "kind of event"], ["verdict:", "what became of a command"], ["input:", "what was typed or sent"],
  ["output:", "what came back"], ["text:", "notes, comments, reasons"], ["screen:", "a line of a terminal"],
  ["typed:", "a line typed at a terminal"], ["after:", "from a time on"], ["before:", "before a time"], ["since:", "so long ago at most"],
  ["duration:", "such as >5s"], ["masked:", "fields masked, such as >0"], ["rows:", "rows of a result"], ["exit:", "exit code, such as !=0"],
  ["commands:", "commands of the session"], ["blocked:", "blocked ones of the session"], ["approved:", "approved ones of the session"],
  ["pending:", "waiting ones of the session"], ["review.status:", "where a review stands"], ["approver:", "who approved a review"],
];

/** Values that are always the same. */
const VALUES = {
  status: ["open", "pending_review", "done", "failed", "killed", "rejected"],
  verdict: ["passed", "blocked", "pending", "approved", "rejected"],
  kind: ["command", "command.end", "output", "session.start", "session.end", "terminal.output", "terminal.input", "terminal.resize",
    "terminal.marker", "review.request", "review.decision", "note", "access", "retention"],
  "review.status": ["pending", "approved", "rejected", "revoked", "expired", "executed"],
  since: ["15m", "1h", "24h", "7d", "30d"],
};

/** Fields whose values the server knows. */
const ASKED = new Set(["user", "role", "type", "subtype", "agent", "tag"]);

const SHOWN = 8;

/**
 * What stands at the caret: `{field, part, from, to}`. `part` is what was typed of a value (or of a field, where `field`
 * is null), and `[from, to]` the place that a completion takes.
 */
export function placeAt(text, caret) {
  let [start, valueFrom, field, quoted] = [0, -1, null, false];
  for (let at = 0; at < caret; at += 1) {
    const char = text[at];
    if (quoted) {
      if (char === "\\") at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') {
      quoted = true;
    } else if (/[\s()]/.test(char)) {
      [start, valueFrom, field] = [at + 1, -1, null];
    } else if (char === ":" && field === null) {
      field = text.slice(start, at).replace(/^-/, "");
      valueFrom = at + 1;
    } else if (char === "," && field !== null) {
      valueFrom = at + 1;
    }
  }
  const from = field === null ? start + (text[start] === "-" ? 1 : 0) : valueFrom;
  let to = caret;
  if (!quoted) while (to < text.length && !/[\s(),]/.test(text[to])) to += 1;
  const part = text.slice(from, caret).replace(/^"/, "");
  return { field, part, from: Math.min(from, caret), to };
}

/**
 * The completions at the caret: `[{value, about, insert}]`; `values(field, part, signal)` asks the server. Nothing is
 * offered for what can't be a field, and all fields for nothing only if `all` says so.
 */
export async function completions(text, caret, { all, values, signal }) {
  const { field, part } = placeAt(text, caret);
  if (field === null) {
    if (!/^\w*$/.test(part) || (!part && !all)) return [];
    const found = FIELDS.filter(([name]) => name.startsWith(part.toLowerCase()));
    return found.slice(0, part ? SHOWN : FIELDS.length).map(([name, about]) => ({ value: name, about, insert: name }));
  }
  if (VALUES[field]) {
    const found = VALUES[field].filter((value) => value.includes(part.toLowerCase()) && value !== part);
    return found.map((value) => ({ value, about: "", insert: `${value} ` }));
  }
  if (!ASKED.has(field)) return [];
  const items = await values(field, part, signal);
  return items.slice(0, SHOWN).filter(({ value }) => value !== part)
    .map(({ value, count }) => ({ value, about: count, insert: `${quote(value)} ` }));
}
