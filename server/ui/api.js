// Talks to the server. Every failure becomes a Problem, which says in words what went wrong.

/** Said where neither an answer nor a part of the page comes. */
export const NO_ANSWER = "The server does not answer. Is it running?";

/** What the server (or the way to it) answered instead of the thing asked for. */
export class Problem extends Error {
  constructor(message, more = {}) {
    super(message);
    this.status = more.status ?? 0;
    /** Where in the query the error is, in bytes of its UTF-8 form. */
    this.start = more.start;
    this.end = more.end;
    this.hint = more.hint;
  }

  /** Is it about the query's text? */
  get inQuery() {
    return Number.isInteger(this.start);
  }
}

/** Asks for what is at a path; `params` are of its query. */
export function get(path, params, signal) {
  return ask(params ? `${path}?${params}` : path, { signal });
}

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, headers: { accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(NO_ANSWER);
  }
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!response.ok) {
    if (response.status === 401) location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`);
    const said = body?.detail ?? body?.title ?? `the server answered ${response.status}`;
    throw new Problem(sentence(said), { ...body, status: response.status });
  }
  if (body === null) throw new Problem("The server's answer is not JSON.");
  return body;
}

/** Sends an object to a path. */
export const post = (path, what) => ask(path, { method: "POST", body: JSON.stringify(what), headers: { "content-type": "application/json" } });

const remove = (path) => ask(path, { method: "DELETE" });

function sentence(text) {
  const line = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(line) ? line : `${line}.`;
}

/** Drops what is not set and keeps lists as repeated names. */
export function params(values) {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "" || value === false) continue;
    for (const one of Array.isArray(value) ? value : [value]) out.append(name, String(one));
  }
  return out;
}

const id = encodeURIComponent;

/** `{items, next_cursor, count, facets?}` */
export const sessions = (values, signal) => get("/v1/sessions", params(values), signal);
/** Where a session is; on a page that was shared, what of it is shared. */
export const place = (key) => (isShared() ? `/v1${location.pathname.replace(/\/$/, "")}` : `/v1/sessions/${id(key)}`);
/** Is this a page that was shared? */
export const isShared = () => location.pathname.startsWith("/shared/");
/** One session's state, or a Problem with status 404. A shared one has `share`. */
export const session = async (key, signal) => {
  const found = await get(place(key), null, signal);
  return isShared() ? { ...found.session, share: found.share } : found;
};
/** A session's events in order: `{items, next_cursor}` */
export const timeline = (key, values, signal) =>
  get(`${place(key)}/timeline`, params(values), signal);
/** A session's terminal: `{frames, markers?, next_cursor, duration_ms}` */
export const replay = (key, values, signal) => get(`${place(key)}/replay`, params(values), signal);
/** Hits: `{items, next_cursor, count}` */
export const search = (values, signal) => get("/v1/search", params(values), signal);
/** Sessions with hits: `{items: [{session, matches, latest}], next_cursor, count}` */
export const searchSessions = (values, signal) => get("/v1/search/sessions", params(values), signal);
/** Values of a field that sessions have: `{items: [{value, count}], more}` */
export const facets = (values, signal) => get("/v1/facets", params(values), signal);

/** Access requests: `{items, next_cursor}` */
export const reviews = (values, signal) => get("/v1/reviews", params(values), signal);
/** Says something of an access request: `{decision, comment?, force?}`; answers how it stands then. */
export const decide = (key, session, said) => post(`/v1/reviews/${id(key)}/decision?${params({ session })}`, said);

/** Saved searches: `{items}` */
export const searches = (signal) => get("/v1/searches", null, signal);
/** Saves a search: `{name, query}`. */
export const saveSearch = (search) => post("/v1/searches", search);
/** Forgets a saved search. */
export const deleteSearch = (key) => remove(`/v1/searches/${id(key)}`);

/** Links to a session: `{items}` */
export const links = (session, signal) => get("/v1/links", params({ session }), signal);
/** Makes a link to a session's file (`{format}`) or to its page (`{to}`). */
export const makeLink = (key, link) => post(`/v1/sessions/${id(key)}/${link.to ? "share" : "links"}`, link);
/** Ends a link. */
export const revokeLink = (key) => remove(`/v1/links/${id(key)}`);
/** Commands that are run again: `{items, next_cursor, count, may_request}` */
export const runs = (values, signal) => get("/v1/runs", params(values), signal);
/** One of them, at once or when it has changed. */
export const run = (key, values, signal) => get(`/v1/runs/${id(key)}`, params(values), signal);
/** Asks for one: `{command, role, reason, repeat, id}`. */
export const rerun = (key, what) => post(`/v1/sessions/${id(key)}/rerun`, what);
/** Calls one off. */
export const cancelRun = (key) => remove(`/v1/runs/${id(key)}`);

/** The feeds of Parquet files: `{items}` */
export const feeds = (signal) => get("/v1/feeds", null, signal);
/** Files of a feed's table: `{items}` */
export const files = (values, signal) => get("/v1/parquet", params(values), signal);

/** What is stored, and how the server is doing. */
export const stats = (signal) => get("/v1/stats", null, signal);

/** The text at a path that is no JSON: metrics, the checkpoint. */
export async function text(path, signal) {
  const response = await fetch(path, { signal });
  if (!response.ok) throw new Problem(`The server answered ${response.status} for ${path}.`, { status: response.status });
  return response.text();
}
