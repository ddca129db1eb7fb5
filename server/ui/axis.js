// The tab Timeline: what happened when, in lanes over one axis of time. Stretches in which nothing happened are folded.

import { replay as fetchReplay, timeline } from "./api.js";
import { badge, when } from "./badges.js";
import { verdictOf } from "./command.js";
import { eventWords } from "./chunk.js";
import { h, fill, icon } from "./dom.js";
import { duration, number, offsetTime, plural, timeOfDay } from "./format.js";

const LANES = [["command", "Commands"], ["blocked", "Blocked"], ["review", "Reviews"], ["note", "Notes"],
  ["marker", "Markers"], ["resize", "Resizes"], ["activity", "Activity"]];
const NAMES = { command: "command", blocked: "blocked command", review: "review event", note: "note", marker: "marker",
  resize: "resize", activity: "event" };
/** A gap is folded if it is this part of the session, and longer than half a minute. */
const GAP_PART = 1 / 15;
const GAP_MS = 30_000;
const GAP_PX = 44;
const LABEL_PX = 92;
const ZOOMS = [1, 2, 4, 8, 16, 32, 64];
const LISTED = 60;
/** What a terminal showed is no event that one lists. */
const NOT_KEYS = "-kind:terminal.output -kind:terminal.input";

/** Where each moment is on an axis of `width`: `{place(ms), gaps: [{from, to, x}], width}`. */
export function foldGaps(times, end, width) {
  const long = Math.max(GAP_MS, end * GAP_PART);
  const gaps = [];
  let before = 0;
  for (const time of [...times, end]) {
    // A little stays on both sides, so that what is next to a gap is not at its edge.
    const margin = Math.min(end / 100, 5000);
    if (time - before > long) gaps.push({ from: before + margin, to: time - margin });
    before = Math.max(before, time);
  }
  const folded = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  const scale = Math.max(width - gaps.length * GAP_PX, 1) / Math.max(end - folded, 1);
  let shift = 0;
  for (const gap of gaps) {
    gap.x = (gap.from - shift) * scale + gaps.indexOf(gap) * GAP_PX;
    shift += gap.to - gap.from;
  }
  const place = (ms) => {
    let cut = 0;
    let folds = 0;
    for (const gap of gaps) {
      if (ms <= gap.from) break;
      if (ms < gap.to) return gap.x + ((ms - gap.from) / (gap.to - gap.from)) * GAP_PX;
      cut += gap.to - gap.from;
      folds += 1;
    }
    return (ms - cut) * scale + folds * GAP_PX;
  };
  return { place, gaps, scale, width };
}

/** Fills `body`. `ask` has `at` and `zoom`; `on.at(iso)`, `on.zoom(n)` change the URL, `on.url(values)` makes one. */
export function axisView(body, id, ask, on) {
  const abort = new AbortController();
  const lanes = h("div", { class: "lanes" });
  const scroller = h("div", { class: "axis", tabindex: 0, role: "group", "aria-label": "Events over time" }, lanes);
  const zoomOut = h("button", { type: "button", "aria-label": "Zoom out", title: "Zoom out (-)", onclick: () => zoom(-1) }, "−");
  const zoomIn = h("button", { type: "button", "aria-label": "Zoom in", title: "Zoom in (+)", onclick: () => zoom(1) }, "+");
  const scaleText = h("span", { class: "hint" });
  const listing = h("div", { class: "axis-list" });
  let data = null;
  let start = 0;
  let closed = false;

  fill(body, h("div", { class: "axis-tools" }, scaleText, h("span", { class: "spring" }), zoomOut, zoomIn), scroller, listing);

  const iso = (ms) => new Date(start + ms).toISOString();
  const factor = () => (ZOOMS.includes(Number(ask.zoom)) ? Number(ask.zoom) : 1);

  function zoom(step) {
    const at = Math.min(Math.max(ZOOMS.indexOf(factor()) + step, 0), ZOOMS.length - 1);
    on.zoom(ZOOMS[at]);
  }

  async function load() {
    const page = await fetchReplay(id, { limit: 1 }, abort.signal);
    if (closed) return;
    start = Date.parse(page.started_at ?? 0);
    data = page;
    draw();
  }

  function draw() {
    if (!data) return;
    const { markers, duration_ms: end } = data;
    const shown = LANES.filter(([kind]) => markers.some((one) => one.kind === kind));
    const room = Math.max(scroller.clientWidth - LABEL_PX - 24, 200);
    const axis = foldGaps(markers.map((one) => one.time_ms), end, room * factor());
    lanes.style.width = `${axis.width + LABEL_PX + 24}px`;
    const at = (element, x) => {
      element.style.left = `${LABEL_PX + x}px`;
      return element;
    };
    const most = Math.max(1, ...markers.filter((one) => one.kind === "activity").map((one) => one.count));
    fill(lanes,
      h("div", { class: "axis-times", "aria-hidden": "true" }, ticks(axis, end).map((ms) => at(h("span", { class: "tick" }, offsetTime(ms)), axis.place(ms)))),
      shown.map(([kind, name]) => h("div", { class: `lane lane-${kind}` }, h("span", { class: "lane-name" }, name),
        markers.filter((one) => one.kind === kind).map((one) => drawMark(one, axis, at, most)))),
      axis.gaps.map((gap) => {
        const fold = at(h("div", { class: "gap", title: `Nothing for ${duration(gap.to - gap.from)}` }, h("span", null, duration(gap.to - gap.from))), gap.x);
        fold.style.width = `${GAP_PX}px`;
        return fold;
      }),
      ask.at && Number.isFinite(Date.parse(ask.at)) && at(h("div", { class: "axis-now", "aria-hidden": "true" }),
        axis.place(Math.min(Math.max(Date.parse(ask.at) - start, 0), end))));
    fill(scaleText, plural(markers.reduce((sum, one) => sum + (one.kind === "activity" ? 0 : one.count), 0), "event"), ` over ${duration(end)}`,
      axis.gaps.length > 0 && `, ${plural(axis.gaps.length, "gap")} folded`);
    zoomOut.disabled = factor() === 1;
    zoomIn.disabled = factor() === ZOOMS.at(-1);
  }

  function drawMark(one, axis, at, most) {
    const x = axis.place(one.time_ms);
    if (one.kind === "activity") {
      const bar = at(h("i", { class: "beat" }), x);
      bar.style.height = `${20 + 80 * Math.sqrt(one.count / most)}%`;
      return bar;
    }
    const what = one.count > 1 ? plural(one.count, NAMES[one.kind]) : NAMES[one.kind];
    return at(h("button", { type: "button", class: `spot m-${one.kind}`, "data-ms": one.time_ms, title: `${what} at ${offsetTime(one.time_ms)}`,
      "aria-label": `${what} at ${offsetTime(one.time_ms)}`, tabindex: -1, onclick: () => on.at(iso(one.time_ms)) },
    one.count > 1 && number(one.count)), x);
  }

  function ticks(axis, end) {
    const steps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400].map((s) => s * 1000);
    const step = steps.find((one) => one * axis.scale >= 90) ?? steps.at(-1);
    const out = [];
    let last = -Infinity;
    for (let ms = 0; ms <= end && out.length < 400; ms += step) {
      const inGap = axis.gaps.some((gap) => ms > gap.from && ms < gap.to);
      const x = axis.place(ms);
      if (inGap || x - last < 70 || x > axis.width - 34) continue;
      last = x;
      out.push(ms);
    }
    return out;
  }

  async function list() {
    try {
      const page = await timeline(id, { q: `${ask.q ? `(${ask.q}) ` : ""}${NOT_KEYS}`, at: ask.at || undefined, limit: LISTED }, abort.signal);
      if (closed) return;
      fill(listing, page.items.map(row),
        page.next_cursor && h("p", { class: "hint" }, h("a", { href: on.url({ tab: "", at: page.items.at(-1)?.time ?? "" }) }, "Later events under Commands")));
    } catch (problem) {
      if (problem.name !== "AbortError") fill(listing, h("p", { class: "notice" }, on.problem(problem)));
    }
  }

  function row(item) {
    const verdict = item.kind === "command" ? verdictOf(item) : null;
    const offset = Math.max(0, Date.parse(item.time) - start);
    return h("div", { class: "axis-row", "data-seq": item.seq },
      when(item.time, timeOfDay(item.time)),
      h("div", { class: "axis-what" }, verdict ? h("code", null, item.input.length > 300 ? `${item.input.slice(0, 300)}…` : item.input) : eventWords(item)),
      verdict && verdict.name !== "passed" && badge(verdict.name, verdict.name),
      h("a", { class: "quiet", href: on.url({ tab: "", at: item.time, seq: item.seq }), title: "Show it under Commands" }, "Show"),
      h("a", { class: "quiet", href: on.url({ tab: "replay", at: iso(offset), seq: "" }), title: "Replay from here" }, icon("play")));
  }

  function step(direction) {
    const now = ask.at ? Date.parse(ask.at) - start : -1;
    const times = [...new Set((data?.markers ?? []).filter((one) => one.kind !== "activity").map((one) => one.time_ms))];
    const next = direction > 0 ? times.find((ms) => ms > now) : times.findLast((ms) => ms < now);
    if (next !== undefined) on.at(iso(next));
  }

  const resized = new ResizeObserver(draw);
  resized.observe(scroller);
  load().then(reveal).catch((problem) => {
    if (problem.name !== "AbortError") fill(listing, h("p", { class: "notice" }, on.problem(problem)));
  });
  list();

  function reveal() {
    const now = lanes.querySelector(".axis-now");
    if (now) scroller.scrollLeft = now.offsetLeft - scroller.clientWidth / 2;
  }

  return {
    keys: {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      "[": () => step(-1),
      "]": () => step(1),
      "+": () => zoom(1),
      "-": () => zoom(-1),
    },
    moment: () => ask.at,
    update(next) {
      const moved = next.at !== ask.at || next.q !== ask.q;
      ask = next;
      draw();
      reveal();
      if (moved) list();
    },
    async refresh() {
      await load();
      if (!ask.at) await list();
    },
    close() {
      closed = true;
      abort.abort();
      resized.disconnect();
    },
  };
}
