// What happened when, as bars over a period. A stretch of it is chosen by dragging, or by the arrow keys.

import { s, h, fill } from "./dom.js";
import { moment, number } from "./format.js";

const HEIGHT = 56;
// Bars of a few pixels are still bars.
const BAR_MIN = 5;
const SHOWN_MIN = 1.5;

/** The parts of a bar from below, with their names; the first is whatever the others are not. */
const PARTS = [["rest", ""], ["approved", "approved"], ["pending", "pending"], ["rejected", "rejected"], ["blocked", "blocked"]];

/** The histogram; `choose(after, before)` is called with the times of a stretch that was chosen. */
export function histogram(choose) {
  const svg = s("svg", { class: "bars", "aria-hidden": "true", height: HEIGHT });
  const told = h("output", { class: "bars-told", "aria-live": "polite" });
  const from = h("span");
  const until = h("span");
  const place = h("div", {
    class: "bars-place", tabindex: "0", role: "group", "aria-label": "Activity over time", "aria-describedby": "bars-help",
    title: "Drag, or use the arrow keys and Enter, to narrow the period",
  }, svg);
  const element = h("section", { class: "histogram", "aria-label": "Activity" }, place,
    h("div", { class: "bars-axis" }, from, told, until),
    h("p", { id: "bars-help", class: "unseen" }, "Arrow keys move, with Shift they choose a stretch, Enter narrows the period to it"));

  let data = null;
  let bins = [];
  let cursor = -1;
  let anchor = -1;
  let dragging = false;

  const resized = new ResizeObserver(() => data && draw());
  resized.observe(place);

  place.addEventListener("pointerdown", (event) => {
    if (event.button || !bins.length) return;
    place.setPointerCapture(event.pointerId);
    dragging = true;
    anchor = cursor = at(event);
    mark();
  });
  place.addEventListener("pointermove", (event) => {
    if (!bins.length) return;
    cursor = at(event);
    if (!dragging) anchor = cursor;
    mark();
  });
  place.addEventListener("pointerup", () => {
    if (dragging) take();
    dragging = false;
  });
  place.addEventListener("pointerleave", () => !dragging && leave());
  place.addEventListener("blur", () => !dragging && leave());
  place.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -bins.length, End: bins.length }[event.key];
    if (!bins.length || event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) {
      cursor = Math.min(Math.max((cursor < 0 ? (step < 0 ? bins.length : -1) : cursor) + step, 0), bins.length - 1);
      if (!event.shiftKey || anchor < 0) anchor = cursor;
      mark();
    } else if (event.key === "Enter" && cursor >= 0) {
      take();
    } else if (event.key === "Escape" && cursor >= 0) {
      leave();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });

  const at = (event) => {
    const { left, width } = place.getBoundingClientRect();
    return Math.min(Math.max(Math.floor((event.clientX - left) / width * bins.length), 0), bins.length - 1);
  };

  function take() {
    const [low, high] = [Math.min(cursor, anchor), Math.max(cursor, anchor)];
    const [after, before] = [bins[low].start, bins[high].end];
    leave();
    choose(new Date(after).toISOString(), new Date(before).toISOString());
  }

  function leave() {
    [cursor, anchor] = [-1, -1];
    mark();
  }

  function mark() {
    svg.querySelector(".bars-chosen")?.remove();
    if (cursor < 0) return fill(told, data ? whole() : "");
    const [low, high] = [Math.min(cursor, anchor), Math.max(cursor, anchor)];
    const width = place.clientWidth / bins.length;
    svg.prepend(s("rect", { class: "bars-chosen", x: low * width, y: 0, width: (high - low + 1) * width, height: HEIGHT }));
    return fill(told, said(bins[low].start, bins[high].end, bins.slice(low, high + 1)));
  }

  const whole = () => said(null, null, bins);

  function said(start, end, some) {
    const sum = (name) => some.reduce((all, bin) => all + bin[name], 0);
    const parts = PARTS.slice(1).map(([name, words]) => [name, words, sum(name)]).filter(([, , n]) => n);
    return [
      start !== null && h("span", null, `${moment(start)} – ${moment(end)}`),
      data.noun !== "events" && h("span", null, `${number(sum("count"))} ${data.noun}`),
      h("span", null, `${number(sum("total"))} ${data.unit}`),
      parts.map(([name, words, n]) => h("span", { class: `told-${name}` }, `${number(n)} ${words}`)),
    ];
  }

  function draw() {
    const width = place.clientWidth;
    bins = binned(data, Math.max(1, Math.floor(width / BAR_MIN)));
    const most = Math.max(1, ...bins.map((bin) => bin.total));
    const each = width / bins.length;
    const bars = bins.flatMap((bin, index) => {
      let bottom = HEIGHT;
      return PARTS.map(([name]) => {
        if (!bin[name]) return null;
        const height = Math.max(bin[name] / most * (HEIGHT - 6), SHOWN_MIN);
        bottom -= height;
        return s("rect", { class: `bar bar-${name}`, x: round(index * each), y: round(bottom), width: round(Math.max(each - 1, 1)), height: round(height) });
      });
    });
    svg.setAttribute("width", width);
    svg.replaceChildren(...bars.filter(Boolean));
    fill(from, bins.length ? moment(bins[0].start) : "");
    fill(until, bins.length ? moment(bins.at(-1).end) : "");
    mark();
  }

  return {
    element,
    /** `{bucket_ms, buckets, from, until, noun, unit}`: buckets as the server gives them, the period in milliseconds or null. */
    set(next) {
      data = next;
      if (element.isConnected) draw();
    },
    close: () => resized.disconnect(),
  };
}

const round = (n) => Math.round(n * 10) / 10;

/** Buckets joined to at most `most` bins over the whole period. */
export function binned({ bucket_ms: width, buckets, from, until }, most) {
  if (!buckets.length && (!from || !until)) return [];
  const first = from ?? Date.parse(buckets[0].start);
  const last = until ?? Date.parse(buckets.at(-1).start) + width;
  const joined = width * Math.max(1, Math.ceil((last - first) / width / most));
  // Bins begin where buckets do.
  const origin = buckets.length ? Date.parse(buckets[0].start) : first;
  const start = origin - Math.ceil((origin - first) / joined) * joined;
  const bins = [];
  for (let time = start; time < last || !bins.length; time += joined) {
    bins.push({ start: time, end: time + joined, count: 0, total: 0, rest: 0, approved: 0, pending: 0, rejected: 0, blocked: 0 });
  }
  for (const bucket of buckets) {
    const bin = bins[Math.floor((Date.parse(bucket.start) - start) / joined)];
    if (!bin) continue;
    const verdicts = bucket.verdicts ?? bucket;
    const total = bucket.commands ?? bucket.count;
    bin.count += bucket.count;
    bin.total += total;
    let rest = total;
    for (const [name] of PARTS.slice(1)) {
      bin[name] += verdicts[name] ?? 0;
      rest -= verdicts[name] ?? 0;
    }
    bin.rest += Math.max(rest, 0);
  }
  return bins;
}
