// The page's frame: the bar on top, which view a URL shows, the theme and the keys of every view.
//
//   /  /sessions  /search   the list of sessions, or search hits     home.js
//   /sessions/{id}          one session                              session.js
//   /shared/{token}         what somebody shared of a session        session.js
//   /reviews                who waits for whom                       reviews.js
//   /queue                  sessions to be reviewed                  queue.js
//   /cases  /cases/{id}     sets of sessions                         cases.js
//   /report                 what happened in a period                report.js
//   /exports                feeds of files, and exports              exports.js
//   /status                 how the server is doing                  status.js
//
// The server answers each with index.html, and the files beside this one under /ui/. A view's module is loaded when it
// is looked at first, and the style sheets of all views but the list with the first of them.

import { facets, NO_ANSWER } from "./api.js";
import { h, icon, fill, toast } from "./dom.js";
import { bind, listen, showSheet } from "./keys.js";
import { readState, writeState, asksForEvents } from "./query.js";
import { searchBox } from "./searchbox.js";

const HOME = new Set(["/", "/sessions", "/search"]);

// What the list does without: to be shown soon, it loads little.
const MORE_STYLES = ["session.css", "views.css"];

const VIEWS = [
  ["/", "Sessions", () => import("./home.js").then(({ home }) => home)],
  ["/reviews", "Reviews", () => import("./reviews.js").then(({ reviews }) => reviews)],
  ["/queue", "Queue", () => import("./queue.js").then(({ queue }) => queue)],
  ["/cases", "Cases", () => import("./cases.js").then(({ cases }) => cases)],
  ["/report", "Report", () => import("./report.js").then(({ report }) => report)],
  ["/exports", "Exports", () => import("./exports.js").then(({ exports }) => exports)],
  ["/status", "Status", () => import("./status.js").then(({ status }) => status)],
];

const main = document.getElementById("main");
let current = null;
let turns = 0;

let styles = null;

/** Loads the styles of all views but the list. */
function moreStyles() {
  styles ??= Promise.all(MORE_STYLES.map(styleSheet)).catch((problem) => {
    styles = null;
    throw problem;
  });
  return styles;
}

function styleSheet(name) {
  return new Promise((onload, onerror) => {
    document.head.append(h("link", { rel: "stylesheet", href: new URL(name, import.meta.url).href, onload, onerror }));
  });
}

function route(url) {
  const match = /^\/(?:sessions|shared)\/([^/]+)\/?$/.exec(url.pathname);
  if (match) {
    const id = decodeURIComponent(match[1]);
    return { key: `session:${id}`, load: () => import("./session.js").then(({ sessionView }) => () => sessionView(main, context, id)) };
  }
  const one = /^\/cases\/([^/]+)\/?$/.exec(url.pathname);
  if (one) return { key: url.pathname, load: () => import("./cases.js").then(({ caseView }) => () => caseView(main, context, decodeURIComponent(one[1]))) };
  const path = HOME.has(url.pathname) ? "/" : url.pathname;
  const found = VIEWS.find(([at]) => at === path);
  if (found) return { key: path, load: () => found[2]().then((view) => () => view(main, context)) };
  return { key: "lost", load: async () => lost };
}

function lost() {
  return {
    update: () => fill(main, h("div", { class: "state" },
      h("h2", null, "There is no such page"),
      h("p", null, h("a", { href: "/" }, "All sessions")))),
    close() {},
  };
}

async function show() {
  const url = new URL(location.href);
  const next = route(url);
  const turn = turns += 1;
  setBox(url);
  if (current?.key !== next.key) {
    let make;
    try {
      [make] = await Promise.all([next.load(), next.key === "/" || moreStyles()]);
    } catch {
      make = unloaded;
    }
    // Meanwhile somebody may have gone elsewhere.
    if (turn !== turns) return;
    current?.view.close();
    fill(main);
    bind({});
    document.title = "daybook";
    current = { key: next.key, view: make() };
  }
  if (next.key === "/") homeUrl = url.pathname + url.search;
  drawNav(next.key);
  current.view.update(url);
}

function unloaded() {
  return {
    update: () => fill(main, h("div", { class: "state" },
      h("h2", null, "This page can't be loaded"),
      h("p", null, NO_ANSWER),
      h("button", { type: "button", onclick: () => location.reload() }, "Try again"))),
    close() {},
  };
}

/** Goes to a URL of this page. */
function go(url, replace = false) {
  const target = new URL(url, location.href);
  if (target.href === location.href && !replace) {
    setBox(target);
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
  if (/^\/(v1|ui|openapi|metrics|login)/.test(url.pathname)) return;
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

const stateAt = (url) => readState(HOME.has(url.pathname) ? url.search : "");
const homeState = () => stateAt(location);

/** Searches for a text, with the filters that are set. */
function searchFor(text, state = homeState()) {
  const changed = text !== state.q || !HOME.has(location.pathname);
  const next = { ...state, q: text };
  if (!text || !asksForEvents(text)) next.view = "sessions";
  else if (changed) next.view = "hits";
  go(writeState(next));
}

const box = searchBox({
  onSearch: searchFor,
  values: async (field, find, signal) => (await facets({ field, find, limit: 20 }, signal)).items,
});

/** The box has what a URL searches for. Set before the view is there: what somebody types while it is loaded stays. */
function setBox(url) {
  box.set(stateAt(url).q);
}

const nav = h("nav", { class: "views", "aria-label": "Views" });

function drawNav(key) {
  const at = key.startsWith("session:") ? "/" : key.startsWith("/cases/") ? "/cases" : key;
  fill(nav, VIEWS.map(([path, name]) => h("a", { href: path, "aria-current": path === at && (key === path ? "page" : "true") }, name)));
}

const savedButton = h("button", { class: "quiet square", type: "button", "aria-label": "Saved searches", title: "Saved searches",
  "aria-haspopup": "dialog", "aria-expanded": "false", onclick: openSaved }, icon("save"));
const savedHolder = h("div", { class: "saved-holder" }, savedButton);
let saved = null;

async function openSaved() {
  try {
    saved ??= (await import("./saved.js")).savedSearches(savedHolder, savedButton, {
      state: homeState, run: (query) => searchFor(query, readState("")),
    });
    saved.toggle();
  } catch {
    toast(NO_ANSWER);
  }
}

const themeButton = h("button", { class: "quiet square", type: "button", onclick: toggleTheme });

fill(document.getElementById("top"),
  h("a", { class: "brand", href: "/", title: "All sessions" },
    h("img", { src: new URL("favicon.svg", import.meta.url).href, alt: "", width: 20, height: 20 }), h("span", null, "daybook")),
  nav,
  box.element,
  h("div", { class: "top-tools" },
    savedHolder,
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
