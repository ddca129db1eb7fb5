// The tab Replay: the terminal's picture, the bar with what happened where, and the keys to move about.

import { replay as fetchReplay, timeline } from "./api.js";
import { h, fill, icon } from "./dom.js";
import { number, offsetTime, plural } from "./format.js";
import { pictureView } from "./picture.js";
import { Player } from "./player.js";

const SPEEDS = [0.5, 1, 2, 4, 8, 16];
const STEP_MS = 5000;
/** So many hits are marked on the bar. */
const HITS = 1000;
/** So many stretches of a long terminal, of 8 MiB each, are drawn before somebody goes there. */
const AHEAD_MAX = 16;
const NAMES = { command: "command", blocked: "blocked command", review: "review event", resize: "resize", marker: "marker",
  note: "note", hit: "hit" };
/** What `[` and `]` go to. */
const STOPS = new Set(["command", "blocked", "marker", "review"]);

/** Fills `body`. `on.moved(iso)` hears of the moment that the URL should have, `on.speed(n)` of the speed. */
export function replayView(body, id, ask, on) {
  const abort = new AbortController();
  const view = pictureView();
  let start = 0;
  let source = "terminal";
  let markers = [];
  let hits = [];
  let dragged = false;
  let closed = false;

  const iso = (ms) => new Date(start + Math.floor(ms)).toISOString();
  const player = new Player({
    async load({ at, cursor }) {
      const values = cursor ? { cursor } : { at: start && at > 0 ? iso(at) : ask.at && !start ? ask.at : "" };
      const page = await fetchReplay(id, values, abort.signal);
      start ||= Date.parse(page.started_at ?? 0);
      source = page.source;
      if (page.markers) {
        markers = page.markers;
        drawMarkers(page.duration_ms);
      }
      return page;
    },
    show: view.show,
    changed: () => drawControls(),
  });
  player.speed = SPEEDS.includes(Number(ask.speed)) ? Number(ask.speed) : 1;

  // ---- what is seen

  const status = h("p", { class: "replay-status", role: "status" });
  const play = h("button", { type: "button", class: "primary square", "aria-label": "Play", onclick: toggle }, icon("play"));
  const slider = h("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Moment", class: "bar-range" });
  const marks = h("div", { class: "bar-marks", "aria-hidden": "true" });
  const time = h("span", { class: "replay-time" });
  const speeds = h("select", { "aria-label": "Speed", class: "replay-speed", onchange: () => {
    setSpeed(Number(speeds.value));
    speeds.blur();
  } }, SPEEDS.map((speed) => h("option", { value: String(speed) }, `${speed}×`)));
  const idle = h("input", { type: "checkbox" });
  idle.checked = true;
  idle.addEventListener("change", () => {
    player.skipsIdle = idle.checked;
    // So that the space bar plays again.
    idle.blur();
  });
  const live = h("button", { type: "button", class: "replay-live", onclick: goLive }, h("span", { class: "dot" }), "Live");
  const jump = (name, label, key, kind, step) => h("button", { type: "button", class: "quiet square", "aria-label": label,
    title: `${label} (${key})`, onclick: () => toStop(step, kind) }, icon(name));
  const hitTools = h("span", { class: "replay-hits" });
  const legend = h("div", { class: "bar-legend", "aria-hidden": "true" });

  fill(body, h("section", { class: "replay", "aria-label": "Replay" }, view.element,
    h("div", { class: "replay-controls" },
      play,
      jump("back", "Previous command or marker", "[", "stop", -1),
      jump("next", "Next command or marker", "]", "stop", 1),
      h("div", { class: "bar" }, marks, slider),
      time, speeds,
      h("label", { class: "replay-idle" }, idle, "Skip idle time"),
      live),
    h("div", { class: "replay-foot" }, legend, hitTools, status)));

  slider.addEventListener("input", () => {
    dragged = true;
    player.seek(Number(slider.value));
  });
  slider.addEventListener("change", () => {
    dragged = false;
    moved();
  });
  // The keys of the page move in time, not the slider's by a thousandth of a second.
  slider.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      by(event.key === "ArrowLeft" ? -STEP_MS : STEP_MS);
    }
  });

  function drawControls() {
    if (closed) return;
    const label = player.playing ? "Pause" : "Play";
    if (play.getAttribute("aria-label") !== label || !play.title) {
      fill(play, icon(label.toLowerCase()));
      play.setAttribute("aria-label", label);
      play.title = `${label} (space)`;
    }
    slider.max = String(player.duration);
    if (!dragged) slider.value = String(Math.floor(player.position));
    const text = `${offsetTime(player.position)} of ${offsetTime(player.duration)}`;
    slider.setAttribute("aria-valuetext", text);
    time.textContent = `${offsetTime(player.position)} / ${offsetTime(player.duration)}`;
    time.title = start ? iso(player.position) : "";
    speeds.value = String(player.speed);
    live.hidden = !player.isLive;
    live.setAttribute("aria-pressed", String(player.isLive && player.playing && player.duration - player.position < 2000));
    const said = player.problem ? player.problem.message
      : { winding: "Playing up to this moment for the first time…", loading: "Loading…" }[player.waits]
        ?? (player.pages.length && source === "commands" ? "This session has no terminal: its commands are played." : "");
    if (status.textContent !== said) status.textContent = said;
  }

  function drawMarkers(duration) {
    const all = [...markers, ...hits];
    const place = (ms) => `${Math.min(100, (ms / Math.max(duration, 1)) * 100)}%`;
    const most = Math.max(1, ...markers.map(({ kind, count }) => (kind === "activity" ? count : 0)));
    fill(marks, all.map(({ time_ms, kind, count }) => {
      const mark = h("i", { class: `mark m-${kind}` });
      if (kind === "activity") mark.style.opacity = String(0.25 + 0.5 * Math.sqrt(count / most));
      mark.style.left = place(time_ms);
      return mark;
    }));
    const counts = new Map();
    for (const { kind, count } of all) counts.set(kind, (counts.get(kind) ?? 0) + count);
    counts.delete("activity");
    fill(legend, [...counts].map(([kind, count]) => h("span", null, h("i", { class: `mark m-${kind}` }),
      plural(count, NAMES[kind] ?? kind))));
  }

  async function findHits() {
    hits = [];
    fill(hitTools);
    if (!ask.q) return;
    try {
      const page = await timeline(id, { q: ask.q, fold: "false", limit: HITS }, abort.signal);
      hits = page.items.map((item) => ({ kind: "hit", count: 1, seq: item.seq,
        time_ms: Math.max(0, Date.parse(item.time) - start) }));
      drawMarkers(player.duration);
      fill(hitTools, `${number(hits.length)}${page.next_cursor ? "+" : ""} ${hits.length === 1 ? "hit" : "hits"}`, hits.length > 0 && [
        jump("up", "Previous hit", "p", "hit", -1), jump("down", "Next hit", "n", "hit", 1)]);
    } catch (problem) {
      if (problem.name !== "AbortError") fill(hitTools, h("span", { class: "wrong" }, on.problem(problem)));
    }
  }

  // ---- what is done

  function toggle() {
    if (player.playing) {
      player.pause();
      moved();
    } else player.play();
  }

  function setSpeed(speed) {
    player.speed = speed;
    on.speed(speed);
    drawControls();
  }

  const faster = (step) => setSpeed(SPEEDS[Math.min(Math.max(SPEEDS.indexOf(player.speed) + step, 0), SPEEDS.length - 1)]);

  async function to(ms) {
    await player.seek(ms);
    moved();
  }

  const by = (ms) => to(player.position + ms);

  function toStop(step, kind) {
    const all = (kind === "hit" ? hits : markers.filter((one) => STOPS.has(one.kind))).map((one) => one.time_ms);
    const next = step > 0 ? all.find((ms) => ms > player.position) : all.findLast((ms) => ms < Math.floor(player.position));
    if (next !== undefined) to(next);
    else if (step < 0) to(0);
  }

  async function goLive() {
    await player.seek(player.duration);
    player.play();
  }

  const moved = () => on.moved(iso(player.position));

  let frame = requestAnimationFrame(function turn() {
    player.tick();
    frame = requestAnimationFrame(turn);
  });

  async function begin() {
    await player.fetchFrom(0);
    if (closed) return;
    if (ask.at && start) player.position = Math.min(Math.max(0, Date.parse(ask.at) - start), player.duration);
    if (player.pages.length) player.stand(0);
    drawControls();
    await findHits();
    await drawAhead();
  }
  begin();

  /** The server draws a long terminal once, up to some length, and keeps pictures on the way: that it has them before somebody goes far. */
  async function drawAhead() {
    if (!player.isLive) return;
    try {
      let page = await fetchReplay(id, { at: iso(player.duration), limit: 1 }, abort.signal);
      for (let turn = 1; !page.frames.length && turn < AHEAD_MAX; turn += 1) page = await fetchReplay(id, { cursor: page.next_cursor, limit: 1 }, abort.signal);
    } catch {
      // It was only to be ready.
    }
  }

  return {
    keys: {
      " ": toggle,
      ArrowLeft: () => by(-STEP_MS),
      ArrowRight: () => by(STEP_MS),
      Home: () => to(0),
      End: () => to(player.duration),
      "[": () => toStop(-1, "stop"),
      "]": () => toStop(1, "stop"),
      n: () => toStop(1, "hit"),
      p: () => toStop(-1, "hit"),
      "+": () => faster(1),
      "-": () => faster(-1),
    },
    /** The moment that is shown, as a time. */
    moment: () => (start ? iso(player.position) : ""),
    /** What has come to a session that goes on: its length and its markers. */
    async refresh() {
      if (!player.isLive) return;
      const page = await fetchReplay(id, { limit: 1 }, abort.signal);
      if (closed) return;
      player.duration = Math.max(player.duration, page.duration_ms);
      if (JSON.stringify(page.markers) === JSON.stringify(markers)) return;
      markers = page.markers;
      drawMarkers(player.duration);
    },
    /** Another moment or another search, by the URL. */
    update(next) {
      const { at, q } = ask;
      ask = next;
      if (next.q !== q) findHits();
      if (next.at !== at && next.at && start && next.at !== iso(player.position)) player.seek(Date.parse(next.at) - start);
    },
    close() {
      closed = true;
      abort.abort();
      cancelAnimationFrame(frame);
    },
  };
}
