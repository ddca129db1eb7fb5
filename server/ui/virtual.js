// Of a long list only the rows in sight are elements, and some around them: millions of rows scroll as a hundred do.
//
// Rows may differ in height. What a row takes is measured when it is drawn first; until then it is taken for an average one.

import { h, seen } from "./dom.js";

// So many rows are drawn above and below of what is in sight, and so many at first: the others wait until these are seen.
const AROUND = 30;
const AT_FIRST = 3;

/**
 * Shows items as rows of `body`. `draw(item, before)` makes a row, `tick(row, item, at)` is called for each row whenever
 * rows are placed. Items have an `id`, which rows have as `data-id`, and a link. `heights` are those of a list before.
 */
export function virtualRows(body, { draw, tick, heights = new Map() }) {
  const above = spacer(body);
  const below = spacer(body);
  const shown = new Map();
  const texts = new WeakMap();
  let items = [];
  let places = new Map();
  // Where each row begins, and where the last one ends.
  let tops = [0];
  let height = 36;
  let width = innerWidth;
  let active = null;
  let asked = 0;
  let around = AT_FIRST;
  let closed = false;

  body.append(above, below);
  addEventListener("scroll", ask, { passive: true });
  addEventListener("resize", resized, { passive: true });

  function ask() {
    if (closed) return;
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      place();
    });
  }

  function resized() {
    if (innerWidth === width) return ask();
    width = innerWidth;
    // Texts break elsewhere.
    return keep(() => heights.clear());
  }

  const heightOf = (item) => heights.get(item.id) ?? height;

  function pile() {
    let top = 0;
    tops = [0, ...items.map((item) => top += heightOf(item))];
  }

  /** The number of the row that is at `y`, counted from the first row's top. */
  function rowAt(y) {
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The numbers of the first row in sight and of the one behind the last. */
  function sight() {
    const { top } = body.getBoundingClientRect();
    return [rowAt(-top), clamp(rowAt(innerHeight - top) + 1)];
  }

  const clamp = (at) => Math.min(Math.max(at, 0), items.length);

  function textOf(item) {
    let text = texts.get(item);
    if (text === undefined) texts.set(item, text = JSON.stringify(item));
    return text;
  }

  /** Draws what is near; the row `first`, which began at `before`, stays where it is, whatever is learned of those above. */
  function place(first = sight()[0], before = tops[first]) {
    const [from, to] = [clamp(first - around), clamp(rowAt(tops[first] + innerHeight) + around)];
    const near = new Set(items.slice(from, to).map(({ id }) => id));
    // These go first: a row that stays is not moved then, and keeps the focus.
    for (const [id, { row }] of shown) {
      if (near.has(id)) continue;
      row.remove();
      shown.delete(id);
    }
    let next = above.nextSibling;
    for (let at = from; at < to; at += 1) {
      const item = items[at];
      const text = textOf(item);
      let entry = shown.get(item.id);
      if (entry?.text !== text) {
        // The keyboard stays where it was when a row is drawn anew.
        const focused = entry?.row.contains(document.activeElement);
        const row = draw(item, items[at - 1]);
        if (entry) {
          if (next === entry.row) next = row;
          entry.row.replaceWith(row);
        }
        entry = { row, text };
        shown.set(item.id, entry);
        if (focused) row.querySelector("a").focus({ preventScroll: true });
      }
      tick(entry.row, item, at);
      if (entry.row === next) next = next.nextSibling;
      else body.insertBefore(entry.row, next);
    }
    measure(items.slice(from, to));
    above.style.height = `${tops[from]}px`;
    below.style.height = `${tops[items.length] - tops[to]}px`;
    if (tops[first] !== before) scrollBy(0, tops[first] - before);
    if (around < AROUND && body.isConnected) {
      around = AROUND;
      seen().then(ask);
    }
  }

  /** Takes the heights of rows that are elements; `pile` only where one is not as was thought. */
  function measure(drawn) {
    let news = false;
    for (const item of drawn) {
      const real = shown.get(item.id).row.getBoundingClientRect().height;
      if (!real || Math.abs(real - heightOf(item)) < 0.01) continue;
      heights.set(item.id, real);
      news = true;
    }
    if (!news) return;
    height = [...heights.values()].reduce((sum, one) => sum + one, 0) / heights.size;
    pile();
  }

  /** Changes what the rows are, or how high; what is in sight stays where it is. */
  function keep(change) {
    const [first] = sight();
    const anchor = first > 0 ? items[first] : null;
    const before = tops[first];
    change();
    pile();
    const at = places.get(anchor?.id);
    place(at, at === undefined ? at : before);
  }

  return {
    /** Shows other items. */
    set: (next) => keep(() => {
      items = next;
      places = new Map(items.map((item, at) => [item.id, at]));
    }),
    place: () => place(),
    heights,
    /** The items in sight. */
    visible() {
      const [first, last] = sight();
      return items.slice(first, last);
    },
    /** Moves the focus by `step` rows; begins with the first one in sight. */
    move(step) {
      if (!items.length) return;
      const focused = document.activeElement.closest?.("[data-id]")?.dataset.id ?? active;
      const at = places.get(focused);
      const to = at === undefined ? Math.min(sight()[0], items.length - 1) : clamp(at + step);
      const item = items[Math.min(to, items.length - 1)];
      active = item.id;
      if (!shown.has(active)) {
        scrollTo(0, scrollY + body.getBoundingClientRect().top + tops[places.get(active)] - innerHeight / 2);
        place();
      }
      const { row } = shown.get(active);
      row.querySelector("a").focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    },
    close() {
      closed = true;
      cancelAnimationFrame(asked);
      removeEventListener("scroll", ask);
      removeEventListener("resize", resized);
    },
  };
}

const spacer = (body) => (body.tagName === "TBODY" ? h("tr", { class: "spacer", "aria-hidden": "true" }, h("td"))
  : h("li", { class: "spacer", "aria-hidden": "true" }));
