// Builds elements. Text always becomes a text node, so nothing from the server is read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (`onclick`) and children; `null` and `false` are left out. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** An element of a drawing. */
export function s(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(...(child instanceof Node ? [child] : inert(String(child))));
  }
}

// Characters that turn the direction of what is written after them: a command could be shown as another one.
const TURNS = /([\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])/;

/** A text as nodes in which every such character turns nothing but itself, and can be seen. */
export function inert(text) {
  if (!TURNS.test(text)) return [document.createTextNode(text)];
  return text.split(TURNS).filter(Boolean).map((piece) => {
    if (!TURNS.test(piece)) return document.createTextNode(piece);
    const span = document.createElement("span");
    span.className = "turn";
    span.title = `U+${piece.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}, a character that turns the direction of text`;
    span.textContent = piece;
    return span;
  });
}

/** Puts children in the place of what an element held. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

// 16 × 16 line drawings.
const ICONS = {
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3 13.5 13.5",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  up: "M4 10l4-4 4 4",
  back: "M9.5 3.5 5 8l4.5 4.5",
  next: "M6.500 3.500 11 8l-4.500 4.500",
  play: "M5 3.500v9l7-4.500z",
  pause: "M5.500 3.500v9M10.500 3.500v9",
  download: "M8 2.500v7.500M4.800 7 8 10.200 11.200 7M3 13h10",
  copy: "M5.5 5.5h7v7h-7zM3.5 10.5v-7h7",
  link: "M6.5 9.5l3-3M7 4.8l1.2-1.2a2.6 2.6 0 0 1 3.7 3.7L10.7 8.5M8.9 11.2l-1.2 1.2A2.6 2.6 0 0 1 4 8.700L5.200 7.500",
  sun: "M8 5.200a2.800 2.800 0 1 1 0 5.600 2.800 2.800 0 0 1 0-5.600M8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M3.400 12.600l.9-.9M11.700 4.300l.9-.9",
  moon: "M13 9.300A5.500 5.500 0 0 1 6.700 3a5.500 5.500 0 1 0 6.300 6.300z",
  keys: "M2 4.500h12v7H2zM4.500 7h.01M7 7h.01M9.500 7h.01M11.800 7h.01M5 9.500h6",
  check: "M3.500 8.500l3 3 6-7",
  database: "M3 4c0-2 10-2 10 0s-10 2-10 0v8c0 2 10 2 10 0V4M3 8c0 2 10 2 10 0",
  ssh: "M2 3h12v10H2zM4.500 6l2 2-2 2M8.500 10.500h3",
  kubernetes: "M8 2l5.200 3v6L8 14l-5.200-3V5zM8 2v12M2.800 5l10.400 6M13.200 5 2.800 11",
  application: "M2 3h12v10H2zM2 6h12M4 4.500h.01M6 4.500h.01",
  agent: "M3.500 6h9v6.500h-9zM8 3v3M6 9h.01M10 9h.01M1.800 8.500v2M14.200 8.500v2",
  save: "M4.500 2.500h7v11L8 10.800 4.500 13.500z",
  trash: "M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.6 9h5.800l.6-9M6.800 7v4M9.200 7v4",
  note: "M3 2.500h10v8l-3 3H3zM5.500 6h5M5.500 8.500h3",
  review: "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4zM6 8l1.500 1.500L10.300 6.500",
};

/** A small drawing that says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? ICONS.application);
  svg.append(path);
  return svg;
}

/** When what was drawn by now can be seen; a page in the background is drawn for nobody. */
export const seen = () => new Promise((done) => {
  if (document.hidden) return done();
  return requestAnimationFrame(() => setTimeout(done));
});

/** Says something to screen readers without moving the focus. */
export function announce(text) {
  let region = document.getElementById("announce");
  if (!region) {
    region = h("div", { id: "announce", class: "unseen", "aria-live": "polite" });
    document.body.append(region);
  }
  region.textContent = text;
}

/** A short message at the bottom that goes by itself. */
export function toast(text) {
  document.querySelector(".toast")?.remove();
  const message = h("div", { class: "toast", role: "status" }, text);
  document.body.append(message);
  setTimeout(() => message.remove(), 1800);
}

/** Copies text and says so. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    toast("The browser did not allow copying");
  }
}
