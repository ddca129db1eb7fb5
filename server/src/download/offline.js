// The replay of a page that was downloaded: its frames are in the page itself.

import { h, fill, icon } from "./dom.js";
import { offsetTime } from "./format.js";
import { pictureView } from "./picture.js";
import { Player } from "./player.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
dark.addEventListener("change", theme);
theme();

const blocks = [...document.querySelectorAll("script.frames")];
const holder = document.getElementById("replay");
if (holder && blocks.length) begin();

function begin() {
  const starts = blocks.map((block) => Number(block.dataset.from));
  const duration = Number(holder.dataset.duration);
  const page = (at) => ({ frames: JSON.parse(blocks[at].textContent), duration_ms: duration,
    next_cursor: at + 1 < blocks.length ? String(at + 1) : null });
  const view = pictureView();
  const player = new Player({
    load: async ({ at, cursor }) => page(cursor ? Number(cursor) : Math.max(0, starts.findLastIndex((from) => from <= (at ?? 0)))),
    show: view.show,
    changed: draw,
  });
  const play = h("button", { type: "button", class: "primary square", "aria-label": "Play", onclick: toggle }, icon("play"));
  const slider = h("input", { type: "range", min: 0, max: duration, step: 1, value: 0, "aria-label": "Moment", class: "bar-range" });
  const time = h("span", { class: "replay-time" });
  const speeds = h("select", { "aria-label": "Speed", onchange: () => { player.speed = Number(speeds.value); } },
    [0.5, 1, 2, 4, 8, 16].map((speed) => h("option", { value: String(speed) }, `${speed}×`)));
  speeds.value = "1";
  slider.addEventListener("input", () => player.seek(Number(slider.value)));
  fill(holder, view.element, h("div", { class: "replay-controls" }, play, h("div", { class: "bar" }, slider), time, speeds));
  holder.hidden = false;

  function toggle() {
    if (player.playing) player.pause();
    else player.play();
  }

  function draw() {
    const label = player.playing ? "Pause" : "Play";
    if (play.getAttribute("aria-label") !== label) {
      play.setAttribute("aria-label", label);
      fill(play, icon(label.toLowerCase()));
    }
    slider.value = String(Math.floor(player.position));
    const text = `${offsetTime(player.position)} / ${offsetTime(player.duration)}`;
    slider.setAttribute("aria-valuetext", text);
    time.textContent = text;
  }

  addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest("button, select, input, a")) return;
    event.preventDefault();
    toggle();
  });
  player.fetchFrom(0);
  requestAnimationFrame(function turn() {
    player.tick();
    requestAnimationFrame(turn);
  });
}
