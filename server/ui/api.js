// Talks to the server. Every failure becomes a Problem, which says in words what went wrong.

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

async function get(path, params, signal) {
  const query = params ? `?${params}` : "";
  let response;
  try {
    response = await fetch(path + query, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is it running?");
  }
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!response.ok) {
    const said = body?.detail ?? body?.title ?? `the server answered ${response.status}`;
    throw new Problem(sentence(said), { ...body, status: response.status });
  }
  if (body === null) throw new Problem("The server's answer is not JSON.");
  return body;
}

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
/** One session's state, or a Problem with status 404. */
export const session = (key, signal) => get(`/v1/sessions/${id(key)}`, null, signal);
/** A session's events in order: `{items, next_cursor}` */
export const timeline = (key, values, signal) =>
  get(`/v1/sessions/${id(key)}/timeline`, params(values), signal);
/** Hits: `{items, next_cursor, count}` */
export const search = (values, signal) => get("/v1/search", params(values), signal);
