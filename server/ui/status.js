// Status: what comes in, what is stored, what waits, what was signed, and who could not be told of an access request; asked
// for again while it is looked at.

import { get, post, search, stats, text } from "./api.js";
import { health, when } from "./badges.js";
import { facts, guarded, table } from "./cases.js";
import { h, fill, toast } from "./dom.js";
import { ago, bytes, duration, number, plural, visible } from "./format.js";
import { histogram } from "./histogram.js";
import { every } from "./pages.js";
import { line, shares } from "./plot.js";

const REFRESH_MS = 2000;
// Ten minutes of them.
const POINTS = 300;
const DAY_MS = 86_400_000;
// The last day is spread over time again so often.
const DAY_EVERY_MS = 60_000;
const LETTERS_EVERY_MS = 10_000;
// So many dead letters of each are listed.
const LETTERS = 20;

/** The page of the server's state. */
export function status(main, context) {
  const abort = new AbortController();
  const rate = line("Events a second", (n) => `${number(Math.round(n))}/s`);
  const lag = line("Events not indexed yet", (n) => number(n));
  const reads = line("Time to answer, on average", (n) => duration(n));
  const day = histogram((after, before) => context.go(`/?${new URLSearchParams({ after, before })}`));
  const state = h("div", { class: "health-holder" });
  const [now, lags, answers] = [h("strong"), h("strong"), h("strong")];
  const [storage, log, signed, server] = [h("div"), h("div"), h("div"), h("div")];
  const letters = h("div", { class: "letters" });
  const card = (name, ...children) => h("section", { class: "card", "aria-label": name }, h("h2", null, name), children);
  fill(main, h("div", { class: "page-head" }, h("h1", null, "Status"), state),
    h("div", { class: "page" },
      h("section", { class: "card wide", "aria-label": "The last 24 hours" }, h("h2", null, "The last 24 hours"), day.element),
      h("div", { class: "cards" },
        card("Ingest", h("p", { class: "figure" }, now), rate.element),
        card("Index lag", h("p", { class: "figure" }, lags), lag.element),
        card("Requests", h("p", { class: "figure" }, answers), reads.element),
        card("Storage", storage), card("Log", log), card("Checkpoint", signed), card("Server", server)),
      letters));
  const points = { rate: [], lag: [], reads: [] };
  let before = null;

  async function load() {
    const { signal } = abort;
    const [found, metrics, checkpoint] = await Promise.all([stats(signal), text("/metrics", signal), text("/v1/checkpoint", signal).catch(() => "")]);
    const at = performance.now();
    const answered = requests(metrics);
    if (before) {
      const seconds = (at - before.at) / 1000;
      add("rate", at, Math.max(0, found.next_offset - before.offset) / seconds);
      const many = answered.count - before.answered.count;
      if (many > 0) add("reads", at, (answered.seconds - before.answered.seconds) / many * 1000);
    }
    add("lag", at, found.index_lag_events);
    before = { at, offset: found.next_offset, answered };
    draw(found, checkpoint, answered);
  }

  function add(name, at, value) {
    points[name].push([at, value]);
    if (points[name].length > POINTS) points[name].shift();
  }

  function draw(found, checkpoint, answered) {
    const last = (name) => points[name].at(-1)?.[1];
    rate.set(points.rate);
    lag.set(points.lag);
    reads.set(points.reads);
    fill(now, last("rate") === undefined ? "Counting" : `${number(Math.round(last("rate")))} events/s`);
    fill(lags, plural(found.index_lag_events, "event"));
    fill(answers, last("reads") === undefined ? `${number(answered.count)} answered` : duration(last("reads")));
    const wrong = troubles(found);
    fill(state, wrong.length ? wrong.map((words) => health(false, visible(words))) : health(true, "All is well"));
    const other = Math.max(0, found.stored_bytes - found.journal_bytes);
    fill(storage, shares("Storage", [["Segments", other], ["Journals", found.journal_bytes]], bytes),
      facts([["Free", bytes(found.free_bytes)], ["As it was sent", bytes(found.bytes)], ["Stored", found.bytes ? `${bytes(found.stored_bytes)}, ${Math.round(found.stored_bytes / found.bytes * 100)} %` : bytes(found.stored_bytes)],
        ["Kept free at least", bytes(found.free_bytes_min)]]));
    fill(log, facts([["Events", number(found.events)], ["Sessions", number(found.sessions)], ["Next offset", number(found.next_offset)],
      ["Segments", number(found.segments)], ["Journals", number(found.journals)], ["Waiting in the queue", bytes(found.queue_bytes)]]));
    fill(signed, signature(found, checkpoint));
    fill(server, facts([["Version", found.version], ["Up for", duration(found.uptime_seconds * 1000)],
      ["Connections", `${number(found.connections)} of ${number(found.connections_max)}`],
      found.open_files !== null && ["Open files", `${number(found.open_files)} of ${number(found.open_files_max)}`],
      ["CPU time of the log", duration(Object.values(found.cpu_seconds).reduce((sum, n) => sum + n, 0) * 1000)],
      Object.keys(found.encryption_keys).length > 0 && ["Encrypted with", Object.keys(found.encryption_keys).map(visible).join(", ")]]));
  }

  async function loadDay() {
    const until = Date.now();
    const from = until - DAY_MS;
    const page = await search({ q: `after:${new Date(from).toISOString()}`, limit: 1, histogram: true }, abort.signal);
    day.set({ ...page.histogram, from, until, noun: "events", unit: "events" });
  }

  let shown = "";

  /** Who is told of access requests, and what could not be delivered. */
  async function loadLetters() {
    const { items } = await get("/v1/admin/notifications", null, abort.signal);
    const now = JSON.stringify(items.map(({ through: _, ...item }) => item));
    if (now === shown) return;
    shown = now;
    const focused = letters.contains(document.activeElement) ? document.activeElement.ariaLabel : null;
    fill(letters, items.map(told));
    buttons().find((button) => button.ariaLabel === focused)?.focus({ preventScroll: true });
  }

  const buttons = () => [...letters.querySelectorAll("button")];

  function told(target) {
    const { name, form, url, behind, delivered, failing_since: failing, dead, forgotten } = target;
    const rows = dead.slice(-LETTERS).reverse().map((letter) => [when(letter.at), letter.event,
      h("a", { href: `/sessions/${encodeURIComponent(letter.session)}` }, visible(letter.session)), visible(letter.why),
      h("button", { type: "button", "aria-label": `Send again: ${letter.event}, ${visible(letter.session)}`,
        onclick: (event) => guarded(event.target, () => resend(letter)) }, "Send again")]);
    const more = dead.length + forgotten - rows.length;
    return h("section", { class: "card wide", "aria-label": `Notifications of ${visible(name)}` },
      h("h2", null, `Notifications of ${visible(name)}`, h("span", { class: "card-kind" }, `${form}, ${visible(url)}`)),
      health(!failing,
        failing ? `Fails since ${ago(failing)}: ${visible(target.last_error ?? "no reason known")}`
          : `${number(delivered)} delivered${behind ? `, ${plural(behind, "event")} behind` : ""}`),
      rows.length > 0 && table(`Not delivered to ${visible(name)}`, ["Given up", "Event", "Session", "Why", ""], rows),
      more > 0 && h("p", { class: "hint" }, `${plural(more, "older one")} not listed`));
  }

  async function resend(letter) {
    await post(`/v1/admin/notifications/${encodeURIComponent(letter.id)}/resend`, {});
    toast("It is sent again");
    await loadLetters();
    buttons()[0]?.focus();
  }

  const first = load().catch((problem) => {
    if (problem.name !== "AbortError") fill(state, h("p", { class: "health wrong", role: "alert" }, problem.message));
  });
  const firstDay = loadDay().catch(() => {});
  const stops = [every(REFRESH_MS, () => first.then(load)), every(DAY_EVERY_MS, () => firstDay.then(loadDay))];
  // It takes `admin`: for others there is nothing to be seen, and nothing to be asked for again.
  loadLetters().catch((problem) => problem).then((problem) => {
    if (problem?.status !== 403 && !abort.signal.aborted) stops.push(every(LETTERS_EVERY_MS, loadLetters));
  });

  return {
    update() {
      document.title = "Status · daybook";
    },
    close() {
      abort.abort();
      stops.forEach((stop) => stop());
      day.close();
    },
  };
}

/** What is not as it should be, in sentences. */
function troubles(found) {
  return [
    found.read_only && `The log is read-only: ${found.read_only}`,
    found.full && `The disk is full: ${found.full}`,
    found.checkpoint_error && `No checkpoint can be signed: ${found.checkpoint_error}`,
    ...found.findings.map((finding) => (typeof finding === "string" ? finding : JSON.stringify(finding))),
    ...found.warnings,
  ].filter(Boolean);
}

function signature(found, checkpoint) {
  const [origin, size, root] = checkpoint.split("\n");
  const open = Math.max(0, found.next_offset - found.checkpoint_through);
  return [
    shares("Events", [["Signed", found.checkpoint_through], ["Not yet", open]], number),
    facts([["Signs as", visible(origin ?? "")], ["Leaves", number(Number(size) || found.checkpoint_size)],
      root && ["Root", h("code", { title: root }, `${root.slice(0, 16)}…`)],
      found.verifier_key && ["Key", h("code", { title: found.verifier_key }, `${found.verifier_key.slice(0, 26)}…`)]]),
  ];
}

/** How many requests were answered, in how many seconds. */
function requests(metrics) {
  const sum = (name) => [...metrics.matchAll(new RegExp(`^daybook_http_request_seconds_${name}\\{.*\\} ([0-9.e-]+)$`, "gm"))]
    .reduce((all, [, n]) => all + Number(n), 0);
  return { count: sum("count"), seconds: sum("sum") };
}
