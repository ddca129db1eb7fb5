// Small drawings of numbers: a line over time, and a bar of shares. Each says in words what it shows.

import { h, s, fill } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 64;
const BARS_MIN = 30;

/** A line over time; `set(points)` takes `[[time, number], ...]`, `say(number)` makes words of one. */
export function line(name, say) {
  const area = s("path", { class: "plot-area" });
  const path = s("path", { class: "plot-line" });
  const svg = s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": name }, area, path);
  const most = h("span", { class: "plot-most" });
  const element = h("div", { class: "plot-holder" }, svg, most);
  return {
    element,
    set(points) {
      const top = Math.max(...points.map(([, n]) => n), 0);
      svg.setAttribute("aria-label", points.length ? `${name}: now ${say(points.at(-1)[1])}, at most ${say(top)}` : `${name}: no numbers yet`);
      fill(most, points.length > 1 && top > 0 ? say(top) : "");
      const [first, last] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 0];
      const x = (time) => round((time - first) / Math.max(last - first, 1) * WIDTH);
      const y = (n) => round(HEIGHT - 2 - n / (top || 1) * (HEIGHT - 8));
      const drawn = points.map(([time, n]) => `${x(time)},${y(n)}`).join("L");
      path.setAttribute("d", points.length > 1 ? `M${drawn}` : "");
      area.setAttribute("d", points.length > 1 ? `M0,${HEIGHT}L${drawn}L${WIDTH},${HEIGHT}Z` : "");
    },
  };
}

const round = (n) => Math.round(n * 10) / 10;

/** Bars side by side; `say(number)` makes words of one. */
export function bars(name, numbers, say) {
  const most = Math.max(...numbers, 0);
  // A few bars are not wider than many.
  const each = WIDTH / Math.max(numbers.length, BARS_MIN);
  const left = WIDTH - each * numbers.length;
  const words = numbers.length ? `${name}: latest ${say(numbers.at(-1))}, at most ${say(most)}` : `${name}: none yet`;
  return h("div", { class: "plot-holder" },
    s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      numbers.map((n, at) => {
        const height = Math.max(n / (most || 1) * (HEIGHT - 8), n ? 1.5 : 0);
        return s("rect", { class: "plot-bar", x: round(left + at * each), y: round(HEIGHT - height), width: round(Math.max(each - 2, 1)), height: round(height) });
      })),
    most > 0 && h("span", { class: "plot-most" }, say(most)));
}

/** Shares of a whole as one bar with its legend: `[[name, number], ...]`; `say(number)` makes words of one. */
export function shares(name, parts, say) {
  const all = parts.reduce((sum, [, n]) => sum + n, 0);
  let left = 0;
  const rects = parts.map(([, n], at) => {
    const width = all ? n / all * WIDTH : 0;
    const rect = s("rect", { class: `share share-${at}`, x: round(left), y: 0, width: round(width), height: 12 });
    left += width;
    return rect;
  });
  return h("div", { class: "shares" },
    s("svg", { viewBox: `0 0 ${WIDTH} 12`, preserveAspectRatio: "none", role: "img",
      "aria-label": `${name}: ${parts.map(([part, n]) => `${part} ${say(n)}`).join(", ")}` }, rects),
    h("ul", { class: "legend" }, parts.map(([part, n], at) => h("li", null,
      h("span", { class: `swatch share-${at}`, "aria-hidden": "true" }), part, h("span", { class: "legend-number" }, say(n))))));
}
