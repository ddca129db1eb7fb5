// The page's frame: the bar on top, which view a URL shows, the theme and the keys of every view.
//
//   /                the list of sessions, or search hits       home.js
//   /sessions /search  the same
//   /sessions/{id}   one session                                session.js
//
// The server answers both with index.html, and the files beside this one under /ui/.

import { h, icon, fill } from "./dom.js";
import { home } from "./home.js";
import { bind, listen, showSheet } from "./keys.js";
import { readState, writeState, asksForEvents } from "./query.js";
import { searchBox } from "./searchbox.js";
import { sessionView } from "./session.js";

const HOME = new Set(["/", "/sessions", "/search"]);

const main = document.getElementById("main");
let current = null;

function route(url) {
  const match = /^\/sessions\/([^/]+)\/?$/.exec(url.pathname);
  if (match) {
    const id = decodeURIComponent(match[1]);
    return { key: `session:${id}`, make: () => sessionView(main, context, id) };
  }
  if (HOME.has(url.pathname)) return { key: "home", make: () => home(main, context) };
  return { key: "lost", make: lost };
}

function lost() {
  return {
    update: () => fill(main, h("div", { class: "state" },
      h("h2", null, "There is no such page"),
      h("p", null, h("a", { href: "/" }, "All sessions")))),
    close() {},
  };
}

function show() {
  const url = new URL(location.href);
  const next = route(url);
  if (current?.key !== next.key) {
    current?.view.close();
    fill(main);
    bind({});
    document.title = "daybook";
    current = { key: next.key, view: next.make() };
  }
  if (next.key === "home") homeUrl = url.pathname + url.search;
  else box.set("");
  current.view.update(url);
}

/** Goes to a URL of this page. */
function go(url, replace = false) {
  const target = new URL(url, location.href);
  if (target.href === location.href && !replace) {
    current?.view.update(target, true);
    return;
  }
  history[replace ? "replaceState" : "pushState"](null, "", target);
  show();
}

// The list as it was last shown; a session leads back to it.
let homeUrl = "/";

function back() {
  if (!HOME.has(location.pathname)) go(homeUrl);
}

function onClick(event) {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const anchor = event.target.closest("a[href]");
  if (!anchor || anchor.target || anchor.hasAttribute("download")) return;
  const url = new URL(anchor.href);
  if (url.origin !== location.origin || anchor.getAttribute("href").startsWith("#")) return;
  if (/^\/(v1|ui|openapi|metrics)/.test(url.pathname)) return;
  event.preventDefault();
  go(url);
}

// ---- the theme

const dark = matchMedia("(prefers-color-scheme: dark)");

function storedTheme() {
  try {
    return localStorage.getItem("daybook.theme");
  } catch {
    return null;
  }
}

function applyTheme(theme) {
  const shown = theme ?? (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = shown;
  fill(themeButton, icon(shown === "dark" ? "sun" : "moon"));
  themeButton.setAttribute("aria-label", shown === "dark" ? "Light theme" : "Dark theme");
  themeButton.title = themeButton.getAttribute("aria-label");
}

function toggleTheme() {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  const followsSystem = next === (dark.matches ? "dark" : "light");
  try {
    if (followsSystem) localStorage.removeItem("daybook.theme");
    else localStorage.setItem("daybook.theme", next);
  } catch {
    // Without storage the choice lasts until the page is left.
  }
  applyTheme(next);
}

// ---- the bar

const box = searchBox({
  onSearch(text) {
    const url = new URL(location.href);
    const state = readState(HOME.has(url.pathname) ? url.search : "");
    const changed = text !== state.q;
    state.q = text;
    if (!text || !asksForEvents(text)) state.view = "sessions";
    else if (changed || !HOME.has(url.pathname)) state.view = "hits";
    go(writeState(state));
  },
});

const themeButton = h("button", { class: "quiet square", type: "button", onclick: toggleTheme });

fill(document.getElementById("top"),
  h("a", { class: "brand", href: "/", title: "All sessions" },
    h("img", { src: "/ui/favicon.svg", alt: "", width: 20, height: 20 }), "daybook"),
  box.element,
  h("div", { class: "top-tools" },
    h("button", { class: "quiet square", type: "button", "aria-label": "Keys", title: "Keys (?)",
      onclick: showSheet }, icon("keys")),
    themeButton));

const context = { go, box, homeUrl: () => homeUrl };

dark.addEventListener("change", () => applyTheme(storedTheme()));
applyTheme(storedTheme());
listen({
  "/": () => box.focus(),
  "?": showSheet,
  t: toggleTheme,
  Escape: back,
});
document.addEventListener("click", onClick);
addEventListener("popstate", show);
history.scrollRestoration = "manual";
show();
