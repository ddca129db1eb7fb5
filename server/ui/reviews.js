// Reviews: who waits for whom, the longest wait first; and what was decided, the latest first.
//
//   /reviews?show=decided

import { reviews as fetchReviews } from "./api.js";
import { badge, when } from "./badges.js";
import { actions, isDeciding } from "./decide.js";
import { h, fill, icon } from "./dom.js";
import { absolute, ago, duration, moment, number, plural, visible, visibleLines } from "./format.js";
import { bind, moveFocus } from "./keys.js";
import { endless, every } from "./pages.js";

const PAGE = 50;
const REFRESH_MS = 3000;

const TABS = {
  "": { name: "Pending", status: "pending" },
  decided: { name: "Decided", status: "approved,rejected,revoked,expired,executed" },
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

  const load = (tab, cursor, signal) => fetchReviews({ status: tab.status, limit: PAGE, cursor }, signal);

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

    const again = () => load(tab, null, signal).then((page) => {
      further = false;
      first(page);
    });

    function take(page) {
      cursor = page.next_cursor;
      loaded += page.items.length;
      list.append(...page.items.map((review) => drawReview(review, again)));
      fill(count, `${plural(loaded, "review")}${cursor ? " so far" : ""}`);
    }

    function first(page) {
      const text = JSON.stringify(page.items);
      if (list.dataset.text === text || further || isDeciding(list)) return tick();
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

function drawReview(review, done) {
  const where = new URLSearchParams({ seq: review.command ?? review.seq ?? 0, at: review.requested_at ?? "" });
  const who = visible(review.user ?? "unknown user");
  // What was said by a person says more than that it was carried out.
  const counted = review.decisions.filter((one) => one.effective);
  const decision = counted.findLast(({ by, decision: said }) => by && said !== "executed") ?? counted.at(-1);
  const needed = review.approvals_needed;
  return h("li", { class: `review-row r-${review.status}` },
    h("div", { class: "hit-who" },
      h("a", { class: "row-link", href: `/sessions/${encodeURIComponent(review.session)}?${where}`,
        "aria-label": `${who} on ${visible(review.role ?? "no role")}, ${review.status}` }, who),
      h("span", { class: "role" }, icon(review.type), visible(review.role ?? "")),
      review.agent && h("span", { class: "agent" }, icon("agent"), visible(review.agent))),
    h("div", { class: "review-what" },
      review.scope === "command"
        ? h("pre", null, h("code", null, review.input === null ? `command ${review.command}` : visibleLines(review.input), review.input_cut && "…"))
        : h("p", { class: "review-session" }, "The whole session", review.duration_ms && `, for ${duration(review.duration_ms)}`),
      review.reason && h("p", { class: "quote" }, visible(review.reason)),
      decision && h("p", { class: "review-said" }, decision.decision, decision.forced && " alone", decision.by && [" by ", h("strong", null, visible(decision.by))],
        ` ${ago(decision.time)}`, decision.comment && h("span", { class: "quote" }, visible(decision.comment))),
      actions(review, done)),
    h("div", { class: "review-facts" },
      h("span", null, badge(review.status, review.status)),
      when(review.requested_at, undefined, { "data-ago": "" }),
      h("span", { class: "review-groups" },
        `${needed > 1 ? `${number(review.approvers.length)} of ${number(needed)} ` : ""}${visible((review.groups ?? []).join(", "))}`),
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
