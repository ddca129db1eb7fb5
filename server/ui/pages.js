// A list that loads the next page when its end comes near.

import { h, fill } from "./dom.js";

/**
 * Watches the end of a list. `load()` answers a promise of whether there is more.
 * The element goes behind the list; it says that more is coming, or why it is not.
 */
export function endless(load) {
  const element = h("div", { class: "more", "aria-live": "polite" });
  let busy = false;
  let more = true;
  let closed = false;
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) next();
  }, { rootMargin: "1200px" });

  async function next() {
    if (busy || !more || closed) return;
    busy = true;
    try {
      more = await load();
      fill(element, more ? h("span", { class: "waiting" }, "Loading more") : null);
    } catch (error) {
      if (error.name === "AbortError" || closed) return;
      more = false;
      const again = () => {
        more = true;
        next();
      };
      fill(element, h("p", null, `${error.message} `, h("button", { type: "button", onclick: again }, "Try again")));
    } finally {
      busy = false;
    }
    // The page may be so short that its end is still in sight: ask to be told again.
    observer.unobserve(element);
    if (more && !closed) observer.observe(element);
  }

  return {
    element,
    start(hasMore) {
      more = hasMore;
      fill(element, more ? h("span", { class: "waiting" }, "Loading more") : null);
      observer.observe(element);
    },
    close() {
      closed = true;
      observer.disconnect();
    },
  };
}

// A refresh that takes long is asked for less often: it gets a tenth of the time at most.
const REST = 10;

/** Calls `work` every `ms` while the page is in sight, never twice at once; answers how to stop. */
export function every(ms, work) {
  let timer = 0;
  let stopped = false;
  const turn = async () => {
    if (stopped) return;
    const began = performance.now();
    if (!document.hidden) {
      try {
        await work();
        sayStale("");
      } catch (error) {
        // The next turn tries again; what is shown stays.
        if (!stopped && error.name !== "AbortError") sayStale(error.message);
      }
    }
    if (!stopped) timer = setTimeout(turn, Math.max(ms, (performance.now() - began) * REST));
  };
  timer = setTimeout(turn, ms);
  return () => {
    stopped = true;
    clearTimeout(timer);
    sayStale("");
  };
}

/** Says that what is shown may be old, and why; nothing when it is fresh again. */
function sayStale(why) {
  let note = document.getElementById("stale");
  if (!why) return note?.remove();
  if (!note) {
    note = h("div", { id: "stale", class: "stale", role: "status" });
    document.body.append(note);
  }
  const text = `${why} What is shown may be old.`;
  if (note.textContent !== text) note.textContent = text;
  return undefined;
}
