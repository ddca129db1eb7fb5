// Of a long list only the rows in sight are elements, and some around them: millions of rows scroll as a hundred do.

import { h } from "./dom.js";

// So many rows are drawn above and below of what is in sight.
const AROUND = 30;

/**
 * Shows items as rows of a table's `body`, all of one height. `draw(item)` makes a row, `tick(row, item)` is called for
 * each row whenever rows are placed. Items have an `id`.
 */
export function virtualRows(body, { draw, tick }) {
  const above = spacer();
  const below = spacer();
  const shown = new Map();
  const texts = new WeakMap();
  let items = [];
  let places = new Map();
  let height = 36;
  let active = null;
  let asked = 0;

  body.append(above, below);
  addEventListener("scroll", ask, { passive: true });
  addEventListener("resize", ask, { passive: true });

  function ask() {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      place();
    });
  }

  /** The numbers of the first row in sight and of the one behind the last. */
  function sight() {
    const { top } = body.getBoundingClientRect();
    const first = Math.floor(-top / height);
    return [clamp(first), clamp(first + Math.ceil(innerHeight / height) + 1)];
  }

  const clamp = (at) => Math.min(Math.max(at, 0), items.length);

  function textOf(item) {
    let text = texts.get(item);
    if (text === undefined) texts.set(item, text = JSON.stringify(item));
    return text;
  }

  function place() {
    const [first, last] = sight();
    const [from, to] = [clamp(first - AROUND), clamp(last + AROUND)];
    const keep = new Set();
    let next = above.nextSibling;
    for (let at = from; at < to; at += 1) {
      const item = items[at];
      const text = textOf(item);
      let entry = shown.get(item.id);
      if (entry?.text !== text) {
        // The keyboard stays where it was when a row is drawn anew.
        const focused = entry?.row.contains(document.activeElement);
        const row = draw(item);
        if (entry) {
          if (next === entry.row) next = row;
          entry.row.replaceWith(row);
        }
        entry = { row, text };
        shown.set(item.id, entry);
        if (focused) row.querySelector("a").focus({ preventScroll: true });
      }
      entry.row.setAttribute("aria-rowindex", at + 2);
      tick(entry.row, item);
      keep.add(item.id);
      if (entry.row === next) next = next.nextSibling;
      else body.insertBefore(entry.row, next);
    }
    for (const [id, { row }] of shown) {
      if (keep.has(id)) continue;
      row.remove();
      shown.delete(id);
    }
    const one = above.nextSibling;
    if (one !== below) height = one.getBoundingClientRect().height || height;
    above.firstChild.style.height = `${from * height}px`;
    below.firstChild.style.height = `${(items.length - to) * height}px`;
  }

  return {
    /** Shows other items; what is in sight stays where it is. */
    set(next) {
      const [first] = sight();
      const anchor = first > 0 ? items[first] : null;
      items = next;
      places = new Map(items.map((item, at) => [item.id, at]));
      const moved = anchor && places.has(anchor.id) ? places.get(anchor.id) - first : 0;
      place();
      if (moved) scrollBy(0, moved * height);
    },
    place,
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
        scrollTo(0, scrollY + body.getBoundingClientRect().top + to * height - innerHeight / 2);
        place();
      }
      const { row } = shown.get(active);
      row.querySelector("a").focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    },
    close() {
      cancelAnimationFrame(asked);
      removeEventListener("scroll", ask);
      removeEventListener("resize", ask);
    },
  };
}

const spacer = () => h("tr", { class: "spacer", "aria-hidden": "true" }, h("td"));
