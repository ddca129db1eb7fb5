// The page's state, its form in the URL, and the queries that it becomes.
//
//   /?q=drop&role=pg-billing&role=pg-prod&period=24h&sort=-duration&view=hits
//
// A list is asked with a parameter for each value. A search has only a query, so there the filters
// become clauses behind the words that were typed, where the place of an error stays true.

/** The fields of a session that can be filtered by, in the order of the page. */
export const FIELDS = ["user", "role", "type", "status", "tag"];
/** The periods that are counted back from now, by their names in the URL: in words, and in seconds. */
export const PERIODS = {
  "1h": ["Last hour", 3600], "24h": ["Last 24 hours", 86400], "7d": ["Last 7 days", 7 * 86400], "30d": ["Last 30 days", 30 * 86400],
};

const DEFAULT_SORT = "-started";

/** The state that a URL's query string holds. */
export function readState(search) {
  const given = new URLSearchParams(search);
  const state = { q: given.get("q") ?? "", sort: given.get("sort") || DEFAULT_SORT };
  for (const field of FIELDS) state[field] = [...new Set(given.getAll(field))].filter(Boolean);
  state.period = given.get("period") in PERIODS ? given.get("period") : "";
  state.after = validTime(given.get("after"));
  state.before = validTime(given.get("before"));
  state.view = given.get("view") === "hits" ? "hits" : "sessions";
  state.group = given.get("group") === "session";
  state.order = given.get("order") === "relevance" ? "relevance" : "newest";
  return state;
}

function validTime(text) {
  return text && !Number.isNaN(Date.parse(text)) ? text : "";
}

/** The query string of a state; what is at its default is left out. */
export function writeState(state) {
  const out = new URLSearchParams();
  if (state.q) out.set("q", state.q);
  for (const field of FIELDS) for (const value of state[field]) out.append(field, value);
  for (const name of ["period", "after", "before"]) if (state[name]) out.set(name, state[name]);
  if (state.sort !== DEFAULT_SORT) out.set("sort", state.sort);
  if (state.view === "hits") {
    out.set("view", "hits");
    if (state.group) out.set("group", "session");
    if (state.order !== "newest") out.set("order", state.order);
  }
  const text = out.toString();
  return text ? `/?${text}` : "/";
}

/** Does a state narrow the list at all? */
export function isNarrowed(state) {
  return Boolean(state.q || state.period || state.after || state.before
    || FIELDS.some((field) => state[field].length));
}

/** The state without any filter, in the same order and view. */
export function cleared(state) {
  return { ...readState(""), sort: state.sort };
}

/** The period as two times, with a name counted back from `now`. */
export function bounds(state, now = Date.now()) {
  if (state.period) {
    return { after: new Date(now - PERIODS[state.period][1] * 1000).toISOString(), before: "" };
  }
  return { after: state.after, before: state.before };
}

/** What `GET /v1/sessions` is asked; `without` names a field that is left out. */
export function listParams(state, without = "", now = Date.now()) {
  const out = { sort: state.sort, ...bounds(state, now) };
  const clauses = [];
  for (const field of FIELDS) {
    if (field === without) continue;
    const values = state[field];
    // The server reads a comma in a parameter as the end of a value.
    if (values.some((value) => value.includes(","))) clauses.push(anyOf(field, values));
    else out[field] = values;
  }
  return { ...out, q: join(state.q, clauses) };
}

/** What `GET /v1/search` is asked: everything as one query. */
export function searchQuery(state, now = Date.now()) {
  return query(state, bounds(state, now));
}

/** The same to be kept: a period that is counted back from now stays one. */
export function savedQuery(state) {
  return query(state, { after: state.after, before: state.before }, state.period ? [`since:${state.period}`] : []);
}

function query(state, { after, before }, more = []) {
  const clauses = FIELDS.filter((field) => state[field].length)
    .map((field) => anyOf(field, state[field])).concat(more);
  if (after) clauses.push(`after:${new Date(after).toISOString()}`);
  if (before) clauses.push(`before:${new Date(before).toISOString()}`);
  return join(state.q, clauses);
}

/** The clause for any of some values of a field. */
export function anyOf(field, values) {
  const each = values.map((value) => `${field}:${quote(value)}`);
  return each.length === 1 ? each[0] : `(${each.join(" OR ")})`;
}

/** A value as the query language reads it back. */
export function quote(value) {
  if (/^[\p{L}\p{N}_@.][\p{L}\p{N}_@.-]*$/u.test(value)) return value;
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

function join(text, clauses) {
  if (!clauses.length) return text.trim();
  if (!text.trim()) return clauses.join(" ");
  return `${wrapped(text) ? `(${text})` : text} ${clauses.join(" ")}`;
}

/** Must a text stand in parentheses to be joined with more? */
const wrapped = (text) => /\bOR\b/.test(text);

/** Where an error that the server found in a joined query is in the text that was typed. */
export function errorPlace(text, problem, joined) {
  const shift = joined !== text.trim() && wrapped(text) ? 1 : 0;
  const lead = joined.startsWith(text) || shift ? 0 : text.length - text.trimStart().length;
  const at = (byte) => toIndex(text, Math.max(0, byte - shift + lead));
  const start = Math.min(at(problem.start), text.length);
  const end = Math.min(Math.max(at(problem.end ?? problem.start), start), text.length);
  return [start, end];
}

/** The index in a string of a byte of its UTF-8 form. */
function toIndex(text, byte) {
  let seen = 0;
  let index = 0;
  for (const char of text) {
    if (seen >= byte) break;
    seen += new TextEncoder().encode(char).length;
    index += char.length;
  }
  return index;
}

const SESSION_FIELDS = new Set([
  "user", "role", "type", "subtype", "agent", "tag", "status", "session", "after", "before",
  "since", "duration", "masked", "blocked", "approved", "commands", "review", "review.status", "approver",
]);

/** Does a query ask for something inside events, and not of sessions alone? */
export function asksForEvents(q) {
  const tokens = q.matchAll(/-?(?:([\w.]+):)?=?~?("(?:[^"\\]|\\.)*"?|[^\s()]+)/g);
  for (const [whole, field] of tokens) {
    if (/^(AND|OR|NOT|then|session)$/.test(whole)) continue;
    if (!field || !SESSION_FIELDS.has(field)) return true;
  }
  return false;
}
