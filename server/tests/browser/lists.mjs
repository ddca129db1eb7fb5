// The lists and the other views in a real browser, against the real binary: `npm ci && node --test lists.mjs`
//
// A long list has 50,000 sessions, or as many as DAYBOOK_SESSIONS says.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { after, afterEach, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { accessible, closePage, inAddress, openPage, send, startBrowser, startServer } from "./harness.mjs";

const SESSIONS = Number(process.env.DAYBOOK_SESSIONS ?? 50_000);

let server;
let browser;
let page;

before(async () => {
  server = await startServer(["--journal-age", "5s"]);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

afterEach(async () => {
  const used = page;
  page = null;
  if (used) await closePage(used);
});

async function open(path, options) {
  page = await openPage(browser, server.url, options);
  await page.goto(server.url + path);
}

async function api(path, values = {}) {
  const answer = await fetch(`${server.url}${path}?${new URLSearchParams(values)}`);
  return answer.json();
}

const rows = () => page.locator("table.sessions tr[data-id]");
const params = async () => new URL(await page.evaluate(() => location.href)).searchParams;
const seesCount = (text) => page.waitForFunction((wanted) => document.querySelector(".count")?.textContent === wanted, text);
const sessions = (n) => `${n.toLocaleString("en-US")} ${n === 1 ? "session" : "sessions"}`;
const bars = () => page.locator(".overview .bars-place");

/** A session with its events, as a producer would send it. */
function session(id, { start = {}, events = [], at = Date.now(), end } = {}) {
  const time = (n) => new Date(at + n * 1000).toISOString();
  return [
    { kind: "session.start", user: "test@example.com", role: "test-role", type: "ssh", ...start },
    ...events,
    ...(end ? [{ kind: "session.end", status: end }] : []),
  ].map((event, n) => ({ session: id, seq: n, time: time(n), ...event }));
}

/** Waits until `look` answers something true. */
async function until(look, what) {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const found = await look();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
  return assert.fail(what);
}

// ---- the overview

test("the first list is asked for while the page is still loaded, and once", async () => {
  page = await openPage(browser, server.url);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url())));
  await page.goto(server.url);
  await rows().first().waitFor();
  const lists = asked.filter((url) => url.pathname === "/v1/sessions" && url.searchParams.get("limit") === "100");
  assert.equal(lists.length, 1, "what is told to the browser is what the page asks for");
  const [list, frame] = await page.evaluate(() => ["/v1/sessions?", "/app.js"].map((part) =>
    performance.getEntriesByType("resource").find(({ name }) => name.includes(part)).startTime));
  assert.ok(list <= frame, `the list is asked for after ${list} ms, the first script after ${frame} ms`);
});

test("the bars have what the sessions of the list have, by verdict", async () => {
  const { histogram, count } = await api("/v1/sessions", { histogram: "true", limit: 1 });
  await open("/");
  await page.locator(".overview .bar").first().waitFor();
  const sum = (name) => histogram.buckets.reduce((all, bucket) => all + bucket[name], 0).toLocaleString("en-US");
  const told = await page.locator(".overview .bars-told").textContent();
  for (const words of [sessions(count), `${sum("commands")} commands`, `${sum("approved")} approved`, `${sum("blocked")} blocked`]) {
    assert.ok(told.includes(words), `${words} is not in ${told}`);
  }
  for (const name of ["rest", "approved", "blocked"]) assert.ok(await page.locator(`.overview .bar-${name}`).count() > 0, name);
});

test("dragging over the bars narrows the period to that stretch", async () => {
  await open("/");
  await page.locator(".overview .bar").first().waitFor();
  const box = await bars().boundingBox();
  await page.mouse.move(box.x + box.width * 0.25, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 30, { steps: 4 });
  await page.locator(".bars-chosen").waitFor();
  await page.mouse.up();
  await page.waitForFunction(() => new URL(location).searchParams.has("after"));
  const { count } = await api("/v1/sessions", { after: (await params()).get("after"), before: (await params()).get("before"), limit: 1 });
  await seesCount(sessions(count));
  const all = await api("/v1/sessions", { limit: 1 });
  assert.ok(count > 0 && count < all.count, `${count} of ${all.count}`);
  await page.goBack();
  await seesCount(sessions(all.count));
});

test("the keyboard narrows the period, too", async () => {
  await open("/");
  await page.locator(".overview .bar").first().waitFor();
  await bars().focus();
  await page.keyboard.press("Home");
  for (let step = 0; step < 10; step += 1) await page.keyboard.press("Shift+ArrowRight");
  const told = await page.locator(".overview .bars-told").textContent();
  assert.match(told, /–/);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => new URL(location).searchParams.has("after"));
  const { count } = await api("/v1/sessions", { after: (await params()).get("after"), before: (await params()).get("before"), limit: 1 });
  await seesCount(sessions(count));
  assert.ok(told.includes(sessions(count)), told);
});

test("each chip has its count, and filters by it", async () => {
  const { facets } = await api("/v1/sessions", { facets: "true", limit: 1 });
  const [{ value, count }] = facets.status;
  await open("/");
  const chip = page.locator(`[data-facet=status][data-value=${value}]`);
  assert.equal(await chip.locator(".chip-count").textContent(), count.toLocaleString("en-US"));
  await chip.click();
  await seesCount(sessions(count));
  await inAddress(page, "status", value);
  // The others are still there, with what they would show.
  await page.locator(`[data-facet=status][data-value=${value}][aria-pressed=true]`).waitFor();
  assert.equal(await page.locator("[data-facet=status]").count(), Math.min(facets.status.length, 6));
  await page.locator(`[data-facet=status][data-value=${value}]`).click();
  await page.waitForFunction(() => location.search === "");
});

test("hits have bars, too", async () => {
  await open("/?q=kind:command&view=hits");
  await page.locator(".overview .bar-blocked").first().waitFor();
  const { count } = await api("/v1/search", { q: "kind:command", count: "exact", limit: 1 });
  assert.ok((await page.locator(".overview .bars-told").textContent()).includes(`${count.toLocaleString("en-US")} events`));
});

// ---- the search box

const options = () => page.locator("#q-list [role=option]");

test("the box completes fields, then their values, by the keyboard", async () => {
  const { items: [top] } = await api("/v1/facets", { field: "role", limit: 1 });
  await open("/");
  await page.keyboard.press("/");
  await page.keyboard.type("ro");
  await options().filter({ hasText: "role:" }).waitFor();
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.getAttribute("#q", "aria-activedescendant"), "q-option-0");
  await page.keyboard.press("Enter");
  assert.equal(await page.inputValue("#q"), "role:");
  await options().filter({ hasText: top.value }).first().waitFor();
  await page.keyboard.type(top.value.slice(0, 4).toUpperCase());
  const option = options().filter({ has: page.getByText(top.value, { exact: true }) });
  await option.waitFor();
  assert.equal(await option.locator(".completion-about").textContent(), String(top.count));
  await option.click();
  assert.equal(await page.inputValue("#q"), `role:${top.value} `);
  await page.keyboard.press("Enter");
  await seesCount(sessions(top.count));
  await inAddress(page, "q", `role:${top.value}`);
});

test("what is typed before the list is there stays", async () => {
  page = await openPage(browser, server.url);
  let letGo;
  const held = new Promise((resolve) => { letGo = resolve; });
  await page.route("**/home.js", async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${server.url}/?q=insert`, { waitUntil: "commit" });
  await page.waitForFunction(() => document.querySelector("#q")?.value === "insert");
  await page.fill("#q", "ro");
  await options().filter({ hasText: "role:" }).waitFor();
  letGo();
  await rows().first().waitFor();
  assert.equal(await page.inputValue("#q"), "ro");
  assert.ok(await options().filter({ hasText: "role:" }).isVisible());
});

test("completion knows verdicts, lists, negation, and what has to stand in quotes", async () => {
  await send(server.url, session("quoted", { start: { role: "two words" }, end: "done" }));
  await open("/");
  const offers = async (text, fits) => {
    await page.fill("#q", text);
    await until(async () => fits(await options().locator(".completion").allTextContents()), `what is offered for ${text}`);
  };
  const only = (...wanted) => (offered) => JSON.stringify(offered) === JSON.stringify(wanted);
  await offers("drop verdict:bl", only("blocked"));
  await offers("(-sta", (offered) => offered.includes("status:"));
  await offers("status:open,ki", only("killed"));
  await offers('"user:', only());
  await offers("status:open,ki", only("killed"));
  await offers("drop database:", only());
  await offers("role:two", only("two words"));
  await page.keyboard.press("Tab");
  assert.equal(await page.inputValue("#q"), 'role:"two words" ');
  await page.keyboard.press("Enter");
  await seesCount("1 session");
});

test("Escape closes the completions and leaves the text", async () => {
  await open("/");
  await page.fill("#q", "us");
  await options().first().waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await options().count(), 0);
  assert.equal(await page.inputValue("#q"), "us");
});

test("an error stays at its character where filters are set, too", async () => {
  await open("/?role=web-prod&period=7d");
  await page.fill("#q", "drop OR (ünsafe");
  await page.press("#q", "Enter");
  await page.locator(".query-error").waitFor();
  assert.equal(await page.locator(".query-error-place mark").textContent(), "(");
});

// ---- filters

test("a menu finds any user by a part of the name", async () => {
  await open("/");
  await page.click("[data-field=user] .filter");
  await page.fill(".menu input[type=text]", "MAYA");
  const option = page.locator(".option");
  await page.waitForFunction(() => document.querySelectorAll(".option").length === 1);
  assert.match(await option.textContent(), /maya\.lindqvist@example\.com/);
  await option.click();
  await page.waitForFunction(() => new URL(location).searchParams.get("user") === "maya.lindqvist@example.com");
});

test("a user can be asked for by a pattern", async () => {
  const { count } = await api("/v1/sessions", { user: "maya*", limit: 1 });
  await open("/");
  await page.click("[data-field=user] .filter");
  await page.fill(".menu input[type=text]", "maya*");
  await page.click(".use-typed");
  await seesCount(sessions(count));
});

test("a tag in a row filters by it", async () => {
  await open("/", { viewport: { width: 1440, height: 800 } });
  const tag = page.locator("td .tag").first();
  const name = await tag.textContent();
  const { count } = await api("/v1/sessions", { tag: name, limit: 1 });
  await tag.click();
  await seesCount(sessions(count));
});

for (const [column, sort] of [["User", "user"], ["Resource role", "role"], ["Status", "status"], ["Agent", "agent"], ["Started", "started"], ["Duration", "duration"], ["Commands", "commands"], ["Blocked", "blocked"], ["Approved", "approved"], ["Masked", "masked"]]) {
  test(`the list is sorted by ${column}, both ways`, async () => {
    await open("/?type=database", { viewport: { width: 1440, height: 800 } });
    await rows().first().waitFor();
    for (const order of ["started", "user", "role", "status", "agent"].includes(sort) ? [sort, `-${sort}`] : [`-${sort}`, sort]) {
      const { items } = await api("/v1/sessions", { type: "database", sort: order, limit: 10 });
      await page.click(`th button:has-text("${column}")`);
      await page.waitForFunction((ids) => {
        const shown = [...document.querySelectorAll("tr[data-id]")].slice(0, ids.length).map((row) => row.dataset.id);
        return JSON.stringify(shown) === JSON.stringify(ids);
      }, items.map((item) => item.id));
      await inAddress(page, "sort", ...(order === "-started" ? [] : [order]));
    }
  });
}

// ---- live

test("a new session comes in on top by itself, and its state follows", async () => {
  await open("/?user=arrives@example.com");
  await page.locator(".state").waitFor();
  const id = `arrives-${Date.now()}`;
  await send(server.url, session(id, { start: { user: "arrives@example.com" } }));
  const row = page.locator(`tr[data-id="${id}"]`);
  await row.locator(".s-open").waitFor({ timeout: 10_000 });
  await seesCount("1 session");
  const later = `${id}-later`;
  await send(server.url, session(later, { start: { user: "arrives@example.com" }, at: Date.now() + 1000 }));
  await page.waitForFunction((first) => document.querySelector("tr[data-id]")?.dataset.id === first, later);
  await send(server.url, [{ session: id, seq: 1, time: new Date().toISOString(), kind: "session.end", status: "killed" }]);
  await row.locator(".s-killed").waitFor({ timeout: 10_000 });
});

// ---- hits

test("hits are grouped by session, and each group leads to its hits", async () => {
  const expected = await api("/v1/search/sessions", { q: "select", limit: 40 });
  await open("/?q=select&view=hits");
  await page.locator(".hit").first().waitFor();
  await page.click("button:has-text('By session')");
  await page.locator(".hit.group").first().waitFor();
  await inAddress(page, "group", "session");
  await seesCount(sessions(expected.count));
  const first = expected.items[0];
  await page.locator(".hit.group .hit-replay").first().click();
  await page.waitForURL(`**/sessions/${encodeURIComponent(first.session.id)}?q=select`);
});

test("hits come by relevance on request", async () => {
  const expected = await api("/v1/search", { q: "customers", sort: "relevance", limit: 5 });
  await open("/?q=customers&view=hits");
  await page.locator(".hit").first().waitFor();
  await page.selectOption("select[aria-label=Order]", "relevance");
  await page.waitForFunction((href) => document.querySelector(".hit a.row-link")?.getAttribute("href").startsWith(href),
    `/sessions/${encodeURIComponent(expected.items[0].session)}?seq=${expected.items[0].seq}&`);
  await inAddress(page, "order", "relevance");
});

test("a hit in a terminal leads to its moment of the replay", async () => {
  const { items: [hit] } = await api("/v1/search", { q: "kind:terminal.output", limit: 1 });
  await open("/?q=kind:terminal.output&view=hits");
  const link = page.locator(".hit-replay").first();
  await link.waitFor();
  assert.equal(await link.getAttribute("href"), `/sessions/${encodeURIComponent(hit.session)}?${new URLSearchParams({ tab: "replay", at: hit.time })}`);
});

test("of thousands of hits only some are elements, and the place is kept", async () => {
  const HITS = 1200;
  // Some take one line, some three, so that no two stretches are of one height.
  const input = (n) => (n % 7 ? `windowed hit ${n}` : `windowed hit ${n}\nsecond line\nthird line`);
  const events = Array.from({ length: HITS }, (_, n) => ({ kind: "command", input: input(n), language: "sql", verdict: "passed" }));
  await send(server.url, session("windowed", { events, at: Date.parse("2026-02-01T00:00:00Z"), end: "done" }));
  await open("/?q=windowed&view=hits");
  await seesCount(`${HITS.toLocaleString("en-US")} hits`);
  const hits = page.locator("li.hit");
  const places = () => hits.evaluateAll((all) => all.map((one) => [Number(one.ariaPosInSet), one.querySelector(".row-link").href]));
  // Every hit comes into sight once, in order, whatever was let go meanwhile.
  const seen = new Map();
  let most = 0;
  for (let turn = 0; turn < 400 && seen.size < HITS; turn += 1) {
    for (const [place, link] of await places()) {
      assert.equal(seen.get(place) ?? link, link, `hit ${place} stays the same one`);
      seen.set(place, link);
    }
    most = Math.max(most, await hits.count());
    const before = await page.evaluate(() => {
      scrollBy(0, innerHeight);
      return scrollY;
    });
    await page.waitForFunction((y) => {
      const at = document.elementFromPoint(600, 500)?.closest("li.hit");
      return at || scrollY !== y || scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    }, before);
  }
  assert.equal(seen.size, HITS);
  assert.equal(new Set(seen.values()).size, HITS);
  assert.ok(most < 160, `${most} hits were elements at once`);
  assert.ok(await page.evaluate(() => document.querySelectorAll("main *").length) < 3000);

  // From the middle, by the keyboard, into a session and back: the same hits are at the same place.
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight / 2));
  await page.waitForFunction(() => document.elementFromPoint(600, 500)?.closest("li.hit"));
  await page.keyboard.press("j");
  const focused = () => page.evaluate(() => Number(document.activeElement.closest("li.hit")?.ariaPosInSet));
  const first = await focused();
  assert.ok(first > 400 && first < 800, `j begins with what is in sight, not with hit ${first}`);
  for (let step = 1; step <= 100; step += 1) {
    await page.keyboard.press("j");
    assert.equal(await focused(), first + step);
  }
  await page.keyboard.press("k");
  assert.equal(await focused(), first + 99);
  const where = () => page.evaluate((place) => {
    const one = document.querySelector(`li.hit[aria-posinset="${place}"]`);
    return one && Math.round(one.getBoundingClientRect().top);
  }, first + 99);
  const top = await where();
  assert.ok(top >= 0 && top < 800, `the hit with the focus is at ${top}`);
  const { seq } = Object.fromEntries(new URL(seen.get(first + 99)).searchParams);
  await page.keyboard.press("Enter");
  await page.locator(`.event.marked[data-seq="${seq}"]`).waitFor();
  await page.goBack();
  await until(async () => Math.abs(await where() - top) <= 1, `the hit is at ${top} again`);

  // Another width breaks lines elsewhere; what was at the top stays in sight.
  const atTop = () => page.evaluate(() => [...document.querySelectorAll("li.hit")].find((one) => one.getBoundingClientRect().bottom > 120)?.ariaPosInSet);
  const place = Number(await atTop());
  await page.setViewportSize({ width: 360, height: 800 });
  await until(async () => Math.abs(Number(await atTop()) - place) <= 10, `hit ${place} is in sight`);
  await accessible(page, "hits from the middle on");
});

// ---- saved searches

test("a search is saved with its filters, run, and deleted", async () => {
  await open("/?q=drop&view=hits&period=7d&type=database");
  await page.locator(".hit, .state").first().waitFor();
  await page.click("[aria-label='Saved searches']");
  await page.fill(".saved input[aria-label=Name]", "drops of the week");
  await page.click(".saved button[type=submit]");
  await page.locator(".saved-name", { hasText: "drops of the week" }).waitFor();
  const { items } = await api("/v1/searches");
  assert.equal(items.find(({ name }) => name === "drops of the week").query, "drop type:database since:7d");
  // A name that is taken is refused, and why is said.
  await page.fill(".saved input[aria-label=Name]", "drops of the week");
  await page.click(".saved button[type=submit]");
  await page.locator(".save .hint.wrong", { hasText: /./ }).waitFor();
  await page.keyboard.press("Escape");
  await page.goto(`${server.url}/reviews`);
  await page.click("[aria-label='Saved searches']");
  await page.click(".saved-run");
  await page.waitForURL("**/?q=drop+type%3Adatabase+since%3A7d&view=hits");
  await page.click("[aria-label='Saved searches']");
  const forget = page.locator(".saved-list button.square");
  await forget.click();
  assert.equal((await api("/v1/searches")).items.length, 1);
  await page.click(".saved-list button:has-text('Delete?')");
  await page.locator(".saved .hint", { hasText: "None yet" }).waitFor();
  assert.equal((await api("/v1/searches")).items.length, 0);
});

test("a saved search says how its alert is doing", async () => {
  const saved = await fetch(`${server.url}/v1/searches`, { method: "POST", body: JSON.stringify({
    name: "alerts", query: "drop", alert: { url: "http://127.0.0.1:1/hook", from: 0 } }) });
  const { id } = await saved.json();
  await until(async () => (await api(`/v1/searches/${id}`)).alert.status.failing_since, "the alert fails");
  await open("/");
  await page.click("[aria-label='Saved searches']");
  await page.locator(".saved .alert.wrong", { hasText: "Alert fails since" }).waitFor();
  await fetch(`${server.url}/v1/searches/${id}`, { method: "DELETE" });
});

// ---- reviews

test("who waits for a review is listed, the longest wait first, until it is decided", async () => {
  const id = `review-${Date.now()}`;
  await send(server.url, session(id, {
    start: { user: "waits@example.com", role: "prod-db", type: "database" },
    events: [
      { kind: "command", input: "drop table <b>invoices</b>", language: "sql", verdict: "pending" },
      { kind: "review.request", review: "r1", scope: "command", command: 1, groups: ["dba"], reason: "old ones" },
    ],
  }));
  await open("/reviews");
  const row = page.locator(".review-row", { hasText: "waits@example.com" });
  await row.waitFor();
  assert.ok((await row.textContent()).includes("drop table <b>invoices</b>"));
  assert.ok((await row.textContent()).includes("old ones"));
  const times = await page.locator(".review-row time").evaluateAll((all) => all.map((one) => one.dateTime));
  assert.deepEqual(times, [...times].sort());
  await page.keyboard.press("j");
  assert.ok(await page.evaluate(() => document.activeElement.matches(".review-row a")));
  await send(server.url, [{ session: id, seq: 3, time: new Date().toISOString(), kind: "review.decision", review: "r1", decision: "approved", by: "dba@example.com", comment: "fine" }]);
  await row.waitFor({ state: "detached", timeout: 15_000 });
  await page.click(".tabs a:has-text('Decided')");
  await row.waitFor();
  await inAddress(page, "show", "decided");
  assert.match(await row.textContent(), /approved by dba@example\.com/);
  await row.locator("a").click();
  await page.waitForURL(`**/sessions/${id}?seq=1**`);
});

// ---- exports

test("the newest files of a feed are listed, and what is downloaded is what was promised", async () => {
  const { items: [file] } = await until(async () => {
    const found = await api("/v1/parquet", { newest: "true", limit: 1 });
    return found.items?.length ? found : null;
  }, "a file is written");
  await open("/exports");
  const link = page.locator("a.download").first();
  await link.waitFor();
  // Meanwhile there may be one more.
  await until(async () => {
    const { items: [feed] } = await api("/v1/feeds");
    const card = await page.locator(".card").first().textContent();
    return card.includes(feed.name) && card.includes(feed.tables[0].rows.toLocaleString("en-US"));
  }, "the card has the feed's name and its rows");
  const listed = (await api("/v1/parquet", { newest: "true" })).items;
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const bytes = await readFile(await download.path());
  const hash = createHash("sha256").update(bytes).digest("hex");
  assert.ok(listed.some(({ sha256 }) => sha256 === hash), `${hash} is none of those of ${file.file}`);
});

test("events are exported by a query", async () => {
  await open("/exports");
  await page.fill(".export input", "verdict:blocked");
  await page.selectOption(".export select", "csv");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(".export .button")]);
  const text = await readFile(await download.path(), "utf8");
  const { count } = await api("/v1/search", { q: "verdict:blocked", count: "exact", limit: 1 });
  assert.ok(text.split("\n").length > count, `${count} events`);
});

// ---- status

test("the status has the server's numbers, and draws what comes in", async () => {
  const stats = await api("/v1/stats");
  await open("/status");
  await page.locator(".health.fine").waitFor();
  const text = await page.locator("main").textContent();
  for (const part of [stats.version, stats.events.toLocaleString("en-US"), "localhost/daybook"]) assert.ok(text.includes(part), part);
  await page.locator("main .bar").first().waitFor();
  const more = setInterval(() => send(server.url, session(`rate-${Math.random()}`, { end: "done" })), 300);
  try {
    await page.waitForFunction(() => /^[1-9][0-9,]* events\/s$/.test(document.querySelector(".figure strong").textContent));
    await page.waitForFunction(() => document.querySelector("[aria-label^='Events a second'] .plot-line").getAttribute("d").length > 0);
  } finally {
    clearInterval(more);
  }
});

// ---- what nobody should do

test("hostile names, texts and tags are shown, and do nothing", async () => {
  const evil = '<img src=x onerror=alert(1)>\u202Egpj.exe\u001b[31m"&';
  await send(server.url, session("hostile", {
    start: { user: evil.replace(/[\u0000-\u001f]/g, ""), role: "<script>1</script>", type: "<b>", agent: "\u2066<i>", tags: ["<u>tag</u>", "\u202Etag"] },
    events: [
      { kind: "command", input: `${evil} findhostile`, language: "sql", verdict: "pending" },
      { kind: "review.request", review: "r", scope: "command", command: 1, groups: ["<b>g</b>"], reason: evil },
    ],
  }));
  const inert = async (text) => {
    assert.equal(await page.locator("main img, main b, main script, main i, main u").count(), 0);
    const shown = await page.locator("main").textContent();
    assert.ok(shown.includes(text), text);
    assert.doesNotMatch(shown, /[\u202a-\u202e\u2066-\u2069\u001b]/);
  };
  await open("/?q=session:hostile", { viewport: { width: 1600, height: 800 } });
  await rows().first().waitFor();
  await inert("<img src=x onerror=alert(1)>\u2039U+202E\u203agpj.exe");
  await inert("<u>tag</u>");
  await page.goto(`${server.url}/?q=findhostile&view=hits`);
  await page.locator(".hit").waitFor();
  await inert("\u241b[31m");
  await page.goto(`${server.url}/reviews`);
  await page.locator(".review-row", { hasText: "hostile" }).waitFor();
  await inert("<b>g</b>");
  await page.goto(`${server.url}/?user=${encodeURIComponent('"><img src=x>')}&q=%3Cimg%20src%3Dx%3E`);
  await page.locator(".filter-value").waitFor();
  assert.equal(await page.locator("main img, header img[src=x]").count(), 0);
});

// ---- for everybody

const VIEWS = [["/", "tr[data-id]"], ["/?q=select&view=hits", ".hit"], ["/?q=select&view=hits&group=session", ".hit"],
  ["/reviews", ".review-row"], ["/reviews?show=decided", ".review-row"], ["/exports", ".card"], ["/status", ".health.fine"],
  ["/?user=nobody", ".state"]];

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing in any view, ${colorScheme}`, async () => {
    await open("/", { colorScheme, viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
    for (const [path, there] of VIEWS) {
      await page.goto(server.url + path);
      await page.locator(there).first().waitFor();
      await page.waitForTimeout(300);
      await accessible(page, `${path} ${colorScheme}`);
    }
  });

  test(`axe finds nothing in menus, completions, errors and small windows, ${colorScheme}`, async () => {
    await open("/?status=done", { colorScheme, viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
    for (const [what, act] of [
      ["the user's menu", async () => { await page.click("[data-field=user] .filter"); await page.locator(".option").first().waitFor(); }],
      ["the period's menu", () => page.click("[data-field=period] .filter")],
      ["saved searches", async () => { await page.click("[aria-label='Saved searches']"); await page.locator(".save").waitFor(); }],
      ["completions", async () => { await page.fill("#q", "user:a"); await page.locator("#q-list li").first().waitFor(); await page.keyboard.press("ArrowDown"); }],
      ["an error", async () => { await page.fill("#q", "(x"); await page.press("#q", "Enter"); await page.locator(".query-error").waitFor(); }],
      ["the keys", async () => { await page.focus("#main"); await page.keyboard.press("?"); await page.locator("dialog.sheet").waitFor(); }],
    ]) {
      await act();
      await accessible(page, `${what} ${colorScheme}`);
      await page.keyboard.press("Escape");
    }
    await page.setViewportSize({ width: 360, height: 740 });
    for (const [path, there] of VIEWS) {
      await page.goto(server.url + path);
      await page.locator(there).first().waitFor();
      await accessible(page, `${path} ${colorScheme} at 360 pixels`);
    }
  });
}

test("no view is wider than its window, from 360 pixels to 4K", async () => {
  await open("/");
  for (const [width, height] of [[360, 740], [768, 1024], [1024, 768], [3840, 2160]]) {
    await page.setViewportSize({ width, height });
    for (const [path, there] of VIEWS) {
      await page.goto(server.url + path);
      await page.locator(there).first().waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${path} is ${wide} wide in ${width}`);
    }
  }
});

test("what is in the bar is reached, and every view opened, by the keyboard alone", async () => {
  await open("/");
  await rows().first().waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  for (const [name, there] of [["Reviews", ".review-row"], ["Exports", ".card"], ["Status", ".health"], ["Sessions", "tr[data-id]"]]) {
    await page.locator(`.views a:has-text("${name}")`).focus();
    await page.keyboard.press("Enter");
    await page.locator(`.views a[aria-current=page]:text-is("${name}")`).waitFor();
    await page.locator(there).first().waitFor();
    assert.equal(await page.locator(".views a[aria-current=page]").textContent(), name);
  }
});

/** Notes in a page when its first row is there. */
const noteFirstRow = (one) => one.addInitScript(() => new MutationObserver((_, observer) => {
  if (!document.querySelector("tr[data-id]")) return;
  observer.disconnect();
  globalThis.firstRow = performance.now();
}).observe(document, { childList: true, subtree: true }));

/** Opens the first page, and answers what it asked for before its rows were there, and how many milliseconds what took. */
async function firstPage(context) {
  const opened = await context.newPage();
  await noteFirstRow(opened);
  await opened.goto(server.url);
  // Nothing looks at the page while it is measured.
  await opened.waitForTimeout(600);
  await opened.locator(".overview .bars-told").waitFor();
  const found = await opened.evaluate(() => ({
    interactive: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
    rows: globalThis.firstRow,
    files: performance.getEntriesByType("resource").filter((one) => one.startTime < globalThis.firstRow && one.name.includes("/ui/"))
      .map((one) => one.name.split("/").at(-1)),
  }));
  await opened.close();
  return found;
}

test("the first page asks at once for what it needs first, and for nothing else", async () => {
  const index = await (await fetch(server.url, { headers: { accept: "text/html" } })).text();
  const named = [...index.matchAll(/(?:href|src)="\/ui\/[0-9a-f]+\/([^"]+)"/g)].map(([, name]) => name);
  assert.ok(named.includes("app.js") && named.length > 10, named.join());
  const [fresh, again] = [[], []];
  for (let turn = 0; turn < 9; turn += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    fresh.push(await firstPage(context));
    again.push(await firstPage(context));
    await context.close();
  }
  for (const { files } of [...fresh, ...again]) {
    assert.deepEqual([...new Set(files)].filter((name) => name !== "favicon.svg").sort(), named.filter((name) => name !== "favicon.svg").sort());
  }
  const median = (all, name) => Math.round(all.map((one) => one[name]).sort((a, b) => a - b)[all.length >> 1]);
  for (const [how, all] of [["in a new browser context", fresh], ["with its files kept", again]]) {
    console.log(`the first page ${how}: interactive after ${median(all, "interactive")} ms, rows after ${median(all, "rows")} ms (medians of ${all.length})`);
  }
});

test("the whole page is under 100 KB on the wire", async () => {
  let sum = 0;
  for (const name of await readdir(new URL("../../ui/", import.meta.url))) {
    // As it comes, not as fetch unpacks it.
    const answer = await fetch(`${server.url}/ui/${name}`, { headers: { "accept-encoding": "identity" } });
    const plain = Buffer.from(await answer.arrayBuffer());
    const packed = await raw(`/ui/${name}`);
    if (packed.length !== plain.length) assert.deepEqual(gunzipSync(packed), plain, name);
    sum += packed.length;
  }
  console.log(`the page: ${sum.toLocaleString("en-US")} bytes compressed`);
  assert.ok(sum < 100 * 1024, `${sum} bytes`);
});

async function raw(path) {
  const { get } = await import("node:http");
  return new Promise((done, failed) => get(server.url + path, { headers: { "accept-encoding": "gzip" } }, (answer) => {
    const pieces = [];
    answer.on("data", (piece) => pieces.push(piece));
    answer.on("end", () => done(Buffer.concat(pieces)));
  }).on("error", failed));
}

// ---- a long list

test(`a list of ${SESSIONS.toLocaleString("en-US")} sessions is scrolled, sorted and narrowed`, { timeout: 1_800_000 }, async () => {
  const began = Date.parse("2026-01-01T00:00:00Z");
  const CHUNK = 5000;
  for (let from = 0; from < SESSIONS; from += CHUNK) {
    const events = Array.from({ length: Math.min(CHUNK, SESSIONS - from) }, (_, n) => session(`many-${from + n}`, {
      start: { user: `user${(from + n) % 997}@example.com`, role: `many-${n % 40}`, type: "kubernetes", tags: ["many"] },
      events: [{ kind: "command", input: `get pods ${n}`, language: "shell", verdict: n % 50 ? "passed" : "blocked" }],
      at: began + (from + n) * 7000, end: "done",
    })).flat();
    await send(server.url, events);
  }
  const { count } = await api("/v1/sessions", { tag: "many", limit: 1 });
  assert.equal(count, SESSIONS);

  await open("/");
  await page.evaluate(() => localStorage.clear());
  await noteFirstRow(page);
  const times = [];
  for (let turn = 0; turn < 5; turn += 1) {
    await page.goto("about:blank");
    await page.goto(server.url);
    await rows().first().waitFor();
    times.push(await page.evaluate(() => Math.round(globalThis.firstRow)));
  }
  console.log(`the first page has its rows after ${times.join(", ")} ms`);

  await page.goto(`${server.url}/?tag=many`);
  await seesCount(sessions(SESSIONS));
  // A few thousand rows further down there are still only some elements, in order.
  let last = 0;
  for (let turn = 0; turn < 120 && last < 2000; turn += 1) {
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await page.waitForTimeout(60);
    last = await page.evaluate(() => Math.max(...[...document.querySelectorAll("tr[data-id]")].map((row) => Number(row.ariaRowIndex))));
  }
  assert.ok(last >= 2000, `came to row ${last}`);
  assert.ok(await rows().count() < 150, `${await rows().count()} rows are elements`);
  const shown = await rows().evaluateAll((all) => all.map((row) => Number(row.dataset.id.slice(5))));
  assert.deepEqual(shown, shown.map((_, n) => shown[0] - n), "each session once, newest first");

  // What comes in on top does not move what is looked at.
  const middle = await page.evaluate(() => {
    const row = document.elementFromPoint(400, 400).closest("tr");
    return [row.dataset.id, Math.round(row.getBoundingClientRect().top)];
  });
  await send(server.url, session("many-new", { start: { tags: ["many"] } }));
  await seesCount(sessions(SESSIONS + 1));
  const top = await page.evaluate((id) => Math.round(document.querySelector(`tr[data-id="${id}"]`).getBoundingClientRect().top), middle[0]);
  assert.ok(Math.abs(top - middle[1]) <= 1, `the row went from ${middle[1]} to ${top}`);

  // Back from a session it is where it was left.
  await page.click(`tr[data-id="${middle[0]}"] a`);
  await page.locator(".session-head h1").waitFor();
  await page.goBack();
  await page.locator(`tr[data-id="${middle[0]}"]`).waitFor();
  const { y, height } = await page.locator(`tr[data-id="${middle[0]}"]`).boundingBox();
  assert.ok(y > 0 && y + height < 800, `the row is at ${y}`);

  await page.goto(`${server.url}/?tag=many&sort=started`);
  await page.waitForFunction(() => document.querySelector("tr[data-id]")?.dataset.id === "many-0");
  await page.fill("#q", "user:user99");
  await options().filter({ hasText: "user99@example.com" }).waitFor();
  await page.locator(".overview .bar-blocked").first().waitFor();
});
