// Saved searches: a menu that lists them with their alerts, runs and forgets them, and saves the one that is shown.

import { deleteSearch, saveSearch, searches } from "./api.js";
import { h, fill, icon, toast } from "./dom.js";
import { ago, number, plural, visible } from "./format.js";
import { savedQuery } from "./query.js";

/** The menu in `holder`, beside its `button`. `state()` is what the list shows, `run(query)` searches. */
export function savedSearches(holder, button, { state, run }) {
  let panel = null;

  document.addEventListener("pointerdown", (event) => panel && !holder.contains(event.target) && close());

  function close(focus = false) {
    panel?.remove();
    panel = null;
    button.setAttribute("aria-expanded", "false");
    if (focus) button.focus();
  }

  function toggle() {
    if (panel) return close();
    panel = h("div", { class: "menu saved", role: "dialog", "aria-label": "Saved searches" }, h("p", { class: "hint" }, "Loading"));
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      close(true);
    });
    button.setAttribute("aria-expanded", "true");
    holder.append(panel);
    return load();
  }

  async function load() {
    const mine = panel;
    try {
      const { items } = await searches();
      if (panel === mine) draw(items);
    } catch (problem) {
      if (panel === mine) fill(panel, h("p", { class: "hint wrong", role: "alert" }, problem.message));
    }
  }

  function draw(items) {
    const query = savedQuery(state());
    const name = h("input", { type: "text", "aria-label": "Name", placeholder: "Name", maxlength: 100, required: true, autocomplete: "off" });
    const wrong = h("p", { class: "hint wrong", role: "alert" });
    const save = async (event) => {
      event.preventDefault();
      try {
        await saveSearch({ name: name.value.trim(), query });
        toast("The search is saved");
        await load();
      } catch (problem) {
        fill(wrong, problem.message);
      }
    };
    fill(panel,
      h("h2", null, "Saved searches"),
      items.length ? h("ul", { class: "saved-list" }, items.map((item) => drawItem(item)))
        : h("p", { class: "hint" }, "None yet. Search for something, and save it here."),
      query && h("form", { class: "save", onsubmit: save },
        h("p", { class: "save-query" }, "Save ", h("code", null, visible(query))),
        h("div", { class: "save-row" }, name, h("button", { type: "submit", class: "primary" }, "Save")),
        wrong));
    (panel.querySelector(".saved-run") ?? panel.querySelector("input") ?? button).focus();
  }

  function drawItem(item) {
    const forget = h("button", { type: "button", class: "quiet square", "aria-label": `Delete ${visible(item.name)}`, title: "Delete" }, icon("trash"));
    const wrong = h("p", { class: "hint wrong", role: "alert" });
    // The second click is the one that counts.
    forget.addEventListener("click", async () => {
      if (!forget.classList.contains("sure")) {
        forget.classList.add("sure");
        fill(forget, "Delete?");
        return;
      }
      try {
        await deleteSearch(item.id);
        await load();
      } catch (problem) {
        fill(wrong, problem.message);
      }
    });
    return h("li", null,
      h("button", { type: "button", class: "saved-run", title: `Search for ${visible(item.query)}`, onclick: () => { close(); run(item.query); } },
        h("span", { class: "saved-name" }, visible(item.name)),
        h("code", null, visible(item.query)),
        item.alert && h("span", { class: `alert ${alertState(item.alert)[0]}` }, alertState(item.alert)[1])),
      forget, wrong);
  }

  return { toggle };
}

/** How an alert is doing: a class and words. */
function alertState({ status }) {
  if (status.paused) return ["wrong", `Alert stands since ${ago(status.paused.since)}: ${visible(status.paused.why)}`];
  if (status.failing_since) return ["wrong", `Alert fails since ${ago(status.failing_since)}: ${visible(status.last_error ?? "no reason known")}`];
  const behind = status.behind ? `, ${plural(status.behind, "event")} behind` : "";
  return ["fine", `Alert follows${behind} · ${number(status.delivered)} delivered`];
}
