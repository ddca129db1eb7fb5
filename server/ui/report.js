// The report: what happened in a period, for who has to vouch for it.
//
//   /report?after=2026-03-01&before=2026-04-01&role=prod-*

import { get } from "./api.js";
import { when } from "./badges.js";
import { table, tell } from "./cases.js";
import { h, fill, icon } from "./dom.js";
import { duration, moment, number, visible } from "./format.js";
import { bars } from "./plot.js";

const DAY_MS = 86_400_000;
const day = (ms) => new Date(ms).toISOString().slice(0, 10);
const COLUMNS = ["Sessions", "Users", "Commands", "Blocked", "Approved", "Masked", "Not reviewed", "Out of hours"];
const counts = (row) => [row.sessions, row.users, row.commands, row.blocked, row.approved, row.masked, row.unreviewed, row.out_of_hours].map(number);

/** The page of the report. */
export function report(main, context) {
  const abort = new AbortController();
  const input = (name, type, label, more) => h("label", null, label, h("input", { name, type, autocomplete: "off", ...more }));
  const form = h("form", { class: "report-form" }, input("after", "date", "From"), input("before", "date", "Until"),
    input("role", "text", "Roles", { placeholder: "all, or prod-*, lab" }), h("button", { type: "submit", class: "primary" }, "Show"));
  const files = h("div", { class: "report-files" });
  const page = h("div", { class: "page" });
  fill(main, h("div", { class: "page-head" }, h("h1", null, "Report"), form, files), page);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = [...new FormData(form)].filter(([, value]) => value);
    context.go(`/report?${new URLSearchParams(values)}`);
  });

  async function load(params) {
    const link = (format, label, more) => h("a", { href: `/v1/report?${new URLSearchParams({ ...params, format })}`, ...more }, icon("download"), label);
    fill(files, link("csv", "CSV", { download: "" }), link("html", "Print", { target: "_blank", rel: "noopener" }));
    const found = await get("/v1/report", new URLSearchParams(params), abort.signal);
    const { totals } = found;
    const card = (name, value, more) => h("section", { class: "card" }, h("h2", null, name), h("p", { class: "figure" }, h("strong", null, value)), more);
    const plot = (name, numbers) => h("section", { class: "card" }, h("h2", null, name), bars(name, numbers, number));
    const section = (name, columns, rows) => rows.length > 0 && h("div", null, h("h2", null, name), table(name, columns, rows));
    const session = (id) => h("a", { href: `/sessions/${encodeURIComponent(id)}` }, visible(id));
    const time = (at) => when(at, moment(at));
    fill(page,
      !found.complete && h("p", { class: "hint wrong", role: "status" }, "The period has more sessions than a report looks at: numbers are floors. Ask for a shorter one."),
      h("div", { class: "cards" },
        card("Sessions", number(totals.sessions), plot("By day", found.days.map((one) => one.sessions))),
        card("Commands", number(totals.commands), plot("Blocked by day", found.days.map((one) => one.blocked))),
        card("Out of hours", number(totals.out_of_hours), plot("Sessions by hour", found.by_hour)),
        card("Users", number(totals.users), `${number(totals.first_time)} used a role for the first time`),
        card("Blocked", number(totals.blocked), `${number(totals.masked)} fields masked`),
        card("Approved", number(totals.approved), totals.approval_ms === null ? "No review" : `after ${duration(totals.approval_ms)} on average`),
        card("Not reviewed", number(totals.unreviewed), `${number(totals.open)} still open`)),
      h("p", { class: "hint" }, `Working hours ${found.hours}, ${found.zone}`),
      section("By role", ["Role", ...COLUMNS], found.by_role.map((row) => [visible(row.name), ...counts(row)])),
      section("By user", ["User", ...COLUMNS], found.by_user.map((row) => [visible(row.name), ...counts(row)])),
      section("Who decided", ["Reviewer", "Approvals", "Rejections", "Mean time", "Slowest"], found.reviewers.map((row) => [
        visible(row.name), number(row.approvals), number(row.rejections), duration(row.mean_ms), duration(row.max_ms)])),
      section("Longest sessions", ["Session", "User", "Role", "Started", "Duration"], found.longest.slice(0, 10).map((row) => [
        session(row.session), visible(row.user), visible(row.role), time(row.started_at), duration(row.duration_ms)])),
      section("First-time users of a role", ["User", "Role", "Session", "Started"], found.first_time.map((row) => [
        visible(row.user), visible(row.role), session(row.session), time(row.started_at)])),
      found.checkpoint && h("section", { class: "card" }, h("h2", null, "Signed checkpoint that covers it"), h("pre", { class: "scroll-x", tabindex: "0" }, found.checkpoint)));
  }

  return {
    update(url) {
      document.title = "Report · daybook";
      const given = Object.fromEntries(url.searchParams);
      const params = { after: day(Date.now() - 30 * DAY_MS), before: day(Date.now() + DAY_MS), ...given };
      for (const [name, value] of Object.entries({ role: "", ...params })) if (form.elements[name]) form.elements[name].value = value;
      load(params).catch((problem) => tell(page, problem));
    },
    close: () => abort.abort(),
  };
}
