// Session Details: everything that is known of a session, in one table.

import { place } from "./api.js";
import { badge, statusBadge } from "./badges.js";
import { reviewLine } from "./command.js";
import { h, icon } from "./dom.js";
import { bytes, duration, fullTime, number, plural } from "./format.js";

/** The panel of a session item. */
export function detailsPanel(item) {
  const start = item.start ?? item;
  const text = (name, value) => value !== undefined && value !== null && value !== "" && value !== false && row(name, value);
  const tags = item.tags?.length ? h("div", { class: "tags" }, item.tags.map((tag) => h("a", {
    class: "tag", href: `/?${new URLSearchParams({ tag })}` }, tag))) : null;
  const metadata = Object.entries(item.metadata ?? start.metadata ?? {});
  const reviews = Array.isArray(item.reviews) ? item.reviews
    : Object.entries(item.reviews ?? {}).map(([review, rest]) => ({ review, ...rest }));
  return h("div", { class: "details" },
    section("Who and where", [
      text("User", link("user", item.user)),
      text("Name", item.user_name ?? start.user_name),
      text("Agent", item.agent),
      text("Groups", (item.groups ?? start.groups)?.join(", ")),
      text("Resource role", link("role", item.role)),
      text("Type", item.type && h("span", { class: "type" }, icon(item.type), [item.type, item.subtype].filter(Boolean).join(" · "))),
      text("Origin", item.origin ?? start.origin),
      text("Client address", item.client_ip ?? start.client_ip),
    ]),
    section("When", [
      text("Started", time(item.started_at)),
      text("Ended", item.ended_at ? time(item.ended_at) : "Not yet"),
      text("Duration", duration(item.duration_ms)),
      text("Status", statusBadge(item.status)),
    ]),
    section("What", [
      text("Summary", item.summary),
      text("Pending", item.pending > 0 && badge("pending", `${number(item.pending)} pending`)),
      text("Events", Number.isInteger(item.events) && number(item.events)),
      text("Recorded", Number.isInteger(item.bytes) && bytes(item.bytes)),
      text("Tags", tags),
    ]),
    reviews.length > 0 && section("Reviews", reviews.map((review) => reviewLine(review))),
    section("Record", [
      text("Session ID", h("code", null, item.id)),
      text("Correlation", item.correlation_id ?? start.correlation_id),
      text("Batch", item.batch_id ?? start.batch_id),
    ]),
    section("Integrity", integrity(item)),
    metadata.length > 0 && section("Metadata", metadata.map(([name, value]) => row(name, value))));
}

function section(title, rows) {
  const left = rows.filter(Boolean);
  if (!left.length) return null;
  const list = left.every((one) => one.tagName === "DIV" && one.classList.contains("fact-row"));
  return h("section", { class: "panel" }, h("h2", null, title), list ? h("dl", null, left) : left);
}

const row = (name, value) => h("div", { class: "fact-row" }, h("dt", null, name), h("dd", null, value));
const time = (iso) => iso && h("time", { datetime: iso, title: iso }, fullTime(iso));
const link = (field, value) => value && h("a", { href: `/?${new URLSearchParams({ [field]: value })}` }, value);

/** What proves the session: the signed checkpoint that covers its events, and the proof to check without this server. */
function integrity(item) {
  const { size, covered } = item.checkpoint ?? {};
  if (!Number.isInteger(size)) return [];
  const sealed = (item.segments ?? []).filter((one) => one.sealed).length;
  return [
    row("Checkpoint", covered
      ? h("span", null, badge("approved", "covered"), ` by the signed checkpoint of size ${number(size)}`)
      : h("span", null, badge("pending", "not yet covered"), " by a signed checkpoint; one comes within a minute of the last event")),
    item.segments?.length && row("Stored in", `${plural(item.segments.length, "part")} of the log, ${number(sealed)} sealed`),
    row("Proof", h("a", { href: `${place(item.id)}/proof`, download: "" }, "Download, to check with daybook verify")),
    row("The log's head", h("a", { href: "/v1/checkpoint", target: "_blank", rel: "noopener" }, "Signed checkpoint")),
  ];
}
