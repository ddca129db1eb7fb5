// Reviews: who waits for whom, the longest wait first; and what was decided, the latest first.
//
//   /reviews?show=decided

import { search, session, sessions } from "./api.js";
import { badge } from "./badges.js";
import { h, fill, icon } from "./dom.js";
import { absolute, ago, duration, moment, number, plural, visible, visibleLines } from "./format.js";
import { bind, moveFocus } from "./keys.js";
import { endless, every } from "./pages.js";
import { anyOf } from "./query.js";

// Of each session of a page the reviews are asked for, so pages are small.
const PAGE = 20;
const REFRESH_MS = 4000;

const TABS = {
  "": { name: "Pending", ask: { q: "pending:>0 OR status:pending_review", sort: "started" }, wanted: (review) => review.status === "pending" },
  decided: { name: "Decided", ask: { q: "kind:review.decision", sort: "-last_event" }, wanted: (review) => review.status !== "pending" },
};

/** The page of reviews. */
export function reviews(main, context) {
  const count = h("output", { class: "count", "aria-live": "polite" });
  const tabs = h("nav", { class: "tabs", "aria-label": "Which reviews" });
  const body = h("div", { class: "list" });
  fill(main, h("div", { class: "page-head" }, h("h1", null, "Reviews"), tabs, count), body);
  let abort = new AbortController();
  let stop = () => {};
  let pages = null;

  bind({
    j: () => moveFocus([...body.querySelectorAll("a.row-link")], 1),
    k: () => moveFocus([...body.querySelectorAll("a.row-link")], -1),
  });

  async function load(tab, cursor, signal) {
    const page = await sessions({ ...tab.ask, limit: PAGE, cursor }, signal);
    const ids = page.items.map((item) => item.id);
    const [details, commands] = await Promise.all([
      Promise.all(ids.map((id) => session(id, signal))),
      ids.length ? commandsOf(ids, signal) : new Map(),
    ]);
    const rows = details.flatMap((item) => item.reviews.filter(tab.wanted)
      .map((review) => ({ item, review, command: commands.get(`${item.id} ${review.command}`) })));
    return { rows, cursor: page.next_cursor ?? null, sessions: page.count };
  }

  function open(show) {
    const tab = TABS[show];
    const { signal } = abort = new AbortController();
    const list = h("ol", { class: "reviews" });
    let cursor = null;
    let loaded = 0;
    // Who reads further down is not moved.
    let further = false;
    pages = endless(async () => {
      const next = await load(tab, cursor, signal);
      further = true;
      take(next);
      return Boolean(cursor);
    });

    function take(page) {
      cursor = page.cursor;
      loaded += page.rows.length;
      list.append(...page.rows.map(drawReview));
      fill(count, cursor ? `in ${plural(page.sessions, "session")}` : plural(loaded, "review"));
    }

    function first(page) {
      const text = JSON.stringify(page.rows);
      if (list.dataset.text === text || further) return tick();
      list.dataset.text = text;
      const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      loaded = 0;
      fill(list);
      take(page);
      if (!loaded && !cursor) {
        fill(body, nothing(show));
      } else if (!list.isConnected) {
        fill(body, list, pages.element);
        pages.start(Boolean(cursor));
      }
      [...list.querySelectorAll("a.row-link")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
      return undefined;
    }

    function tick() {
      for (const time of list.querySelectorAll("time[data-ago]")) time.textContent = ago(time.dateTime);
    }

    body.classList.add("loading");
    const began = load(tab, null, signal).then(first).catch((problem) => {
      if (problem.name !== "AbortError") fill(body, h("div", { class: "state" }, h("p", null, problem.message)));
    }).finally(() => !signal.aborted && body.classList.remove("loading"));
    stop = every(REFRESH_MS, () => began.then(() => load(tab, null, signal)).then(first));
  }

  function close() {
    abort.abort();
    stop();
    pages?.close();
  }

  return {
    update(url) {
      close();
      const show = url.searchParams.get("show") === "decided" ? "decided" : "";
      document.title = "Reviews · daybook";
      fill(count);
      fill(tabs, Object.entries(TABS).map(([name, tab]) => h("a", {
        href: name ? `/reviews?show=${name}` : "/reviews", "aria-current": name === show ? "page" : null,
      }, tab.name)));
      open(show);
    },
    close,
  };
}

/** The texts of commands that reviews are of, by session and number. */
async function commandsOf(ids, signal) {
  const q = `kind:command verdict:pending,approved,rejected ${anyOf("session", ids)}`;
  const found = await search({ q, limit: 200 }, signal);
  return new Map(found.items.map((hit) => [`${hit.session} ${hit.seq}`, hit.snippets[0]?.text ?? ""]));
}

function drawReview({ item, review, command }) {
  const where = new URLSearchParams({ seq: review.command ?? review.seq ?? 0, at: review.requested_at ?? item.started_at ?? "" });
  const who = visible(item.user ?? "unknown user");
  // What was said by a person says more than that it was carried out.
  const decision = review.decisions.findLast(({ by }) => by) ?? review.decisions.at(-1);
  return h("li", { class: `review-row r-${review.status}` },
    h("div", { class: "hit-who" },
      h("a", { class: "row-link", href: `/sessions/${encodeURIComponent(item.id)}?${where}`,
        "aria-label": `${who} on ${visible(item.role ?? "no role")}, ${review.status}` }, who),
      h("span", { class: "role" }, icon(item.type), visible(item.role ?? "")),
      item.agent && h("span", { class: "agent" }, icon("agent"), visible(item.agent))),
    h("div", { class: "review-what" },
      review.scope === "command"
        ? h("pre", null, h("code", null, command === undefined ? `command ${review.command}` : visibleLines(command)))
        : h("p", { class: "review-session" }, "The whole session"),
      review.reason && h("p", { class: "quote" }, visible(review.reason)),
      decision && h("p", { class: "review-said" }, decision.decision, decision.by && [" by ", h("strong", null, visible(decision.by))],
        ` ${ago(decision.time)}`, decision.comment && h("span", { class: "quote" }, visible(decision.comment)))),
    h("div", { class: "review-facts" },
      h("span", null, badge(review.status, review.status)),
      h("time", { datetime: review.requested_at, title: absolute(review.requested_at), "data-ago": "" }, ago(review.requested_at)),
      h("span", { class: "review-groups" },
        `${review.min_approvals > 1 ? `${number(review.min_approvals)} of ` : ""}${visible((review.groups ?? []).join(", "))}`),
      h("span", { title: absolute(review.expires_at) },
        review.status === "pending" && review.expires_at ? left(review.expires_at) : "")));
}

function left(time) {
  const ms = Date.parse(time) - Date.now();
  return ms > 0 ? `${duration(ms)} left` : `expired ${moment(time)}`;
}

function nothing(show) {
  return h("div", { class: "state" },
    h("h2", null, show ? "Nothing was decided yet" : "Nobody waits"),
    h("p", null, show ? "What reviewers said is listed here." : "Commands and sessions that ask for a review are listed here, the longest wait first."));
}
