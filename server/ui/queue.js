// The queue: sessions that somebody is to look at, as the server's sampling rules have them.
//
//   /queue?name=prod

import { get } from "./api.js";
import { statusBadge, when } from "./badges.js";
import { table, tell } from "./cases.js";
import { h, fill } from "./dom.js";
import { duration, number, visible } from "./format.js";

/** The page of queues. */
export function queue(main, context) {
  const abort = new AbortController();
  const tabs = h("div", { class: "tabs" });
  const page = h("div", { class: "page" });
  fill(main, h("div", { class: "page-head" }, h("h1", null, "Queue"), tabs), page);
  const listed = get("/v1/queue", null, abort.signal);

  async function load(wanted, cursor) {
    const { items } = await listed;
    const chosen = items.find(({ name }) => name === wanted) ?? items[0];
    fill(tabs, items.map(({ name }) => h("a", { href: `/queue?${new URLSearchParams({ name })}`, "aria-current": name === chosen?.name ? "page" : null }, name)));
    if (!chosen) {
      return fill(page, h("p", { class: "hint" }, "No queue is configured: a table [queue.NAME] of the configuration says which sessions are to be reviewed."));
    }
    const params = new URLSearchParams({ limit: 100, ...(cursor && { cursor }) });
    const found = await get(`/v1/queue/${chosen.name}`, params, abort.signal);
    return fill(page,
      h("p", { class: "hint" }, `${number(chosen.sample_percent)} % of the sessions that ended in the last ${chosen.age_max_days} days`, chosen.query && [" and match ", h("code", null, visible(chosen.query))]),
      found.items.length ? table("Sessions to review", ["Session", "User", "Role", "Ended", "Duration", "Summary", "Status"], found.items.map((item) => [
        h("a", { href: `/sessions/${encodeURIComponent(item.id)}?tab=details` }, visible(item.id)), visible(item.user ?? ""), visible(item.role ?? ""),
        when(item.ended_at), duration(item.duration_ms), item.summary, statusBadge(item.status)]))
        : h("p", null, found.next_cursor ? "None on this page." : "Nothing waits for a review here."),
      found.next_cursor && h("a", { href: `/queue?${new URLSearchParams({ name: chosen.name, cursor: found.next_cursor })}` }, "More"));
  }

  return {
    update(url) {
      document.title = "Queue · daybook";
      load(url.searchParams.get("name"), url.searchParams.get("cursor")).catch((problem) => tell(page, problem));
    },
    close: () => abort.abort(),
  };
}
