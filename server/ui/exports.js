// Exports: the feeds of Parquet files with their newest files, and an export of what a query finds.
//
//   /exports?feed=native&table=events

import { feeds, files } from "./api.js";
import { health, when } from "./badges.js";
import { facts, tell } from "./cases.js";
import { h, fill, icon } from "./dom.js";
import { ago, bytes, moment, number, plural, visible } from "./format.js";
import { bind, moveFocus } from "./keys.js";
import { every } from "./pages.js";
import { bars } from "./plot.js";

const REFRESH_MS = 5000;
const NEWEST = 30;

const FORMATS = [["ndjson", "NDJSON, as it was sent"], ["csv", "CSV"], ["parquet", "Parquet"], ["arrow", "Arrow"]];

/** The page of exports. */
export function exports(main, context) {
  const abort = new AbortController();
  const cards = h("div", { class: "cards" });
  const newest = h("section", { class: "files", "aria-label": "Newest files" });
  fill(main, h("div", { class: "page-head" }, h("h1", null, "Exports")), h("div", { class: "page" }, cards, newest));
  const form = exportForm();
  let chosen = { feed: "", table: "" };
  let shown = "";

  bind({
    j: () => moveFocus([...newest.querySelectorAll("a.download")], 1),
    k: () => moveFocus([...newest.querySelectorAll("a.download")], -1),
  });

  async function load() {
    const { items } = await feeds(abort.signal);
    const feed = items.find(({ name }) => name === chosen.feed) ?? items[0];
    const table = feed?.tables.find(({ name }) => name === chosen.table) ?? feed?.tables[0];
    let list = [];
    if (table) list = (await files({ feed: feed.name, table: table.name, newest: true, limit: NEWEST }, abort.signal)).items.slice(0, NEWEST);
    // Links are signed anew each time; only what they lead to counts as a change.
    const text = JSON.stringify([items.map(({ cpu_seconds: _, ...item }) => item), list.map(({ file }) => file), chosen]);
    if (text === shown) return;
    shown = text;
    fill(cards, items.length ? items.map((item) => card(item, feed, table))
      : h("p", { class: "hint" }, "No feed is configured."), form);
    drawFiles(feed, table, list);
  }

  function card(item, feed, table) {
    const failing = item.failing_since;
    return h("section", { class: "card", "aria-label": `Feed ${visible(item.name)}` },
      h("h2", null, visible(item.name), h("span", { class: "card-kind" }, item.schema === "ocsf" ? `OCSF ${item.version}` : "daybook's own columns")),
      health(!failing,
        failing ? `Fails since ${ago(failing)}: ${visible(item.last_error ?? "no reason known")}`
          : item.behind ? `${plural(item.behind, "event")} behind` : "Up to what is sealed"),
      facts([
        ["Up to offset", number(item.through)],
        ["Lag", plural(item.behind, "event")],
        item.unknown > 0 && ["Left out", plural(item.unknown, "event")],
        ["Last file", item.last_written_at ? when(item.last_written_at) : "not since the start"]]),
      h("table", { class: "plain" },
        h("thead", null, h("tr", null, ["Table", "Files", "Rows", "Size"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", null, item.tables.map((one) => {
          const here = item === feed && one === table;
          return h("tr", null,
            h("td", null, h("a", { href: `/exports?${new URLSearchParams({ feed: item.name, table: one.name })}`, "aria-current": here ? "true" : null }, visible(one.name))),
            h("td", null, number(one.files)), h("td", null, number(one.rows)), h("td", null, bytes(one.bytes)));
        }))));
  }

  function drawFiles(feed, table, list) {
    if (!table) return fill(newest);
    const title = h("h2", null, "Newest files", h("span", { class: "card-kind" }, `${visible(feed.name)} / ${visible(table.name)}`));
    if (!list.length) {
      return fill(newest, title, h("p", { class: "hint" }, "None yet: files are made when the log is sealed, at the latest some minutes after events arrived."));
    }
    const rows = [...list].reverse().map((file) => file.rows);
    return fill(newest, title, bars("Rows of the newest files", rows, (n) => plural(n, "row")),
      h("div", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": "Files" }, h("table", { class: "plain" },
        h("thead", null, h("tr", null, ["File", "Rows", "Size", "From", "Until", "Offsets", "SHA-256"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", null, list.map((file) => h("tr", null,
          h("td", null, h("a", { class: "download", href: new URL(file.url, location.href).href, download: "", title: visible(file.file) },
            icon("download"), h("span", null, visible(file.file.split("/").at(-1))))),
          h("td", null, number(file.rows)),
          h("td", null, bytes(file.bytes)),
          h("td", null, when(file.min_time, moment(file.min_time))),
          h("td", null, when(file.max_time, moment(file.max_time))),
          h("td", null, `${number(file.offsets[0])} – ${number(file.offsets[1])}`),
          h("td", null, h("code", { title: file.sha256 }, file.sha256.slice(0, 12)))))))));
  }

  const stop = every(REFRESH_MS, () => began.then(load));
  let began = Promise.resolve();

  return {
    update(url) {
      document.title = "Exports · daybook";
      chosen = { feed: url.searchParams.get("feed") ?? "", table: url.searchParams.get("table") ?? "" };
      began = load().catch((problem) => tell(cards, problem));
    },
    close() {
      abort.abort();
      stop();
    },
  };
}

/** Exports what a query finds, by a link that the browser saves. */
function exportForm() {
  const query = h("input", { type: "text", name: "q", placeholder: "All events, or role:prod-* since:24h", autocomplete: "off", spellcheck: "false" });
  const format = h("select", { name: "format" }, FORMATS.map(([value, name]) => h("option", { value }, name)));
  const link = h("a", { class: "button primary", download: "", href: "" }, icon("download"), "Export");
  const point = () => {
    const values = new URLSearchParams({ format: format.value });
    if (query.value.trim()) values.set("q", query.value.trim());
    link.href = `/v1/export?${values}`;
  };
  query.addEventListener("input", point);
  format.addEventListener("change", point);
  point();
  return h("section", { class: "card export", "aria-label": "Export" },
    h("h2", null, "Export events"),
    h("form", { onsubmit: (event) => { event.preventDefault(); link.click(); } },
      h("label", null, "Query", query), h("label", null, "Format", format), link));
}
