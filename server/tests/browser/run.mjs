// The pages in a real browser, against the real binary. `npm ci && node --test run.mjs`
//
// What is expected is asked of the API, so the tests hold for any sessions that the server has.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { closePage, inAddress, openPage, startBrowser, startServer } from "./harness.mjs";

let server;
let browser;
let page;

before(async () => {
  server = await startServer();
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
  const answer = await page.goto(server.url + path);
  return answer;
}

async function api(path, values = {}) {
  const answer = await fetch(`${server.url}${path}?${new URLSearchParams(values)}`);
  return answer.json();
}

const rows = () => page.locator("table.sessions tr[data-id]");
const count = () => page.locator(".count");
const params = async () => new URL(await page.evaluate(() => location.href)).searchParams;
const sessionCount = (n) => new RegExp(`^${n.toLocaleString("en-US")} sessions?$`);

async function seesCount(pattern) {
  await page.waitForFunction(([text, flags]) => new RegExp(text, flags)
    .test(document.querySelector(".count")?.textContent ?? ""), [pattern.source, pattern.flags]);
}

async function aBlockedCommand() {
  const found = await api("/v1/search", { q: "kind:command verdict:blocked", limit: 50 });
  for (const hit of found.items) {
    const { items } = await api(`/v1/sessions/${encodeURIComponent(hit.session)}/timeline`, { limit: 1000 });
    const command = items.find((item) => item.seq === hit.seq);
    if (command?.rule) return { hit, command };
  }
  assert.fail("the server has no command that a rule blocked");
}

/** A word of letters that stands in a command. */
async function aWord() {
  const found = await api("/v1/search", { q: "kind:command", limit: 20 });
  for (const hit of found.items) {
    const word = hit.snippets.flatMap((snippet) => snippet.text.match(/\b[a-zA-Z]{5,}\b/g) ?? [])[0];
    if (word) return word.toLowerCase();
  }
  return assert.fail("the server has no command with a word");
}

test("the page has a strict policy and needs nothing from elsewhere", async () => {
  const answer = await open("/");
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  await rows().first().waitFor();
});

test("the list shows the sessions with their exact count", async () => {
  const expected = await api("/v1/sessions", { limit: 1 });
  await open("/");
  await rows().first().waitFor();
  await seesCount(/sessions?$/);
  const shown = Number((await count().textContent()).replace(/\D/g, ""));
  assert.ok(shown >= expected.count, `${shown} of ${expected.count}`);
  // Those that fill the window are elements, and some more.
  assert.ok(await rows().count() >= Math.min(expected.count, 20));
  // The first of them is right below the heads of the columns.
  const [head, row] = await Promise.all([page.locator("thead").boundingBox(), rows().first().boundingBox()]);
  assert.ok(Math.abs(row.y - head.y - head.height) < 3, `${row.y} is not below ${head.y + head.height}`);
});

test("the list loads on by cursor until every session is there, each once", async () => {
  const expected = await api("/v1/sessions", { limit: 1 });
  const wanted = Math.min(expected.count, 130);
  await open("/");
  await rows().first().waitFor();
  // Only rows around those in sight are elements; each knows which one it is.
  const seen = new Map();
  for (let turn = 0; turn < 60 && seen.size < wanted; turn += 1) {
    const here = await rows().evaluateAll((all) => all.map((row) => [row.ariaRowIndex, row.dataset.id]));
    for (const [at, id] of here) seen.set(at, id);
    await page.evaluate(() => scrollBy(0, innerHeight));
    await page.waitForTimeout(50);
  }
  assert.ok(seen.size >= wanted, `${seen.size} of ${wanted}`);
  assert.equal(new Set(seen.values()).size, seen.size);
});

for (const field of ["user", "role", "type", "status"]) {
  test(`the filter ${field} narrows the list, is in the URL, and back undoes it`, async () => {
    const all = await api("/v1/sessions", { facets: "true", limit: 1 });
    await open("/");
    await rows().first().waitFor();
    await page.click(`[data-field="${field}"] .filter`);
    const option = page.locator(".option").last();
    const value = await option.locator("input").getAttribute("value");
    const promised = Number((await option.locator(".option-count").textContent()).replace(/\D/g, ""));
    await option.click();
    await seesCount(sessionCount(promised));
    await inAddress(page, field, value);
    const expected = await api("/v1/sessions", { [field]: value, limit: 1 });
    assert.equal(expected.count, promised);
    assert.ok(promised <= all.count);
    await page.goBack();
    await page.waitForFunction(() => location.search === "");
    await seesCount(sessionCount((await api("/v1/sessions", { limit: 1 })).count));
  });
}

test("two values of a filter show the sessions of both", async () => {
  await open("/");
  await rows().first().waitFor();
  let sum = 0;
  for (const at of [0, 1]) {
    await page.click('[data-field="role"] .filter');
    const option = page.locator(".option").nth(at);
    sum += Number((await option.locator(".option-count").textContent()).replace(/\D/g, ""));
    if (!await option.locator("input").isChecked()) await option.click();
    await seesCount(sessionCount(sum));
    await page.keyboard.press("Escape");
  }
  await page.waitForFunction(() => new URL(location).searchParams.getAll("role").length === 2);
});

test("the period narrows the list, by name and by times", async () => {
  const newest = (await api("/v1/sessions", { limit: 1 })).items[0];
  await open("/");
  await rows().first().waitFor();
  await page.click('[data-field="period"] .filter');
  await page.click("text=Last 7 days");
  await inAddress(page, "period", "7d");
  await page.click('[data-field="period"] .filter');
  // The browser leaves out seconds that are zero, and then the value is not what was filled in.
  const start = new Date(Math.floor(Date.parse(newest.started_at) / 60000) * 60000 - 59000);
  const local = new Date(start.getTime() - start.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
  await page.locator(".custom input").first().fill(local);
  await page.click(".custom button[type=submit]");
  await page.waitForFunction(() => new URL(location).searchParams.has("after"));
  await inAddress(page, "period");
  const expected = await api("/v1/sessions", { after: (await params()).get("after"), limit: 1 });
  await seesCount(sessionCount(expected.count));
});

test("a click on a heading sorts, and another one turns the order round", async () => {
  const most = (await api("/v1/sessions", { sort: "-commands", limit: 1 })).items[0];
  await open("/");
  await rows().first().waitFor();
  await page.click("th button:has-text('Commands')");
  await page.waitForFunction((n) => document.querySelector("tr[data-id] td:nth-child(7)")?.textContent === n,
    most.commands.toLocaleString("en-US"));
  await inAddress(page, "sort", "-commands");
  await page.click("th button:has-text('Commands')");
  await page.waitForSelector("th[aria-sort=ascending]");
  await inAddress(page, "sort", "commands");
});

test("a deep link restores filters, order and words", async () => {
  const { items: [item] } = await api("/v1/sessions", { limit: 1 });
  const expected = await api("/v1/sessions", { role: item.role, limit: 1 });
  await open(`/?role=${encodeURIComponent(item.role)}&sort=started&q=${encodeURIComponent(`type:${item.type}`)}`);
  await seesCount(sessionCount(expected.count));
  assert.equal(await page.locator("[data-field=role] .filter-value").textContent(), item.role);
  assert.equal(await page.inputValue("#q"), `type:${item.type}`);
  assert.equal(await page.locator("th[aria-sort]").getAttribute("aria-sort"), "ascending");
});

test("a search finds hits with marked words, and a hit opens its session at the event", async () => {
  const word = await aWord();
  await open("/");
  await page.fill("#q", word);
  await page.press("#q", "Enter");
  const hit = page.locator(".hit").first();
  await hit.waitFor();
  await inAddress(page, "view", "hits");
  const expected = await api("/v1/search", { q: word, limit: 1, count: "exact" });
  await seesCount(new RegExp(`^${expected.count.toLocaleString("en-US")} hits?$`));
  assert.equal((await page.locator(".hit mark").first().textContent()).toLowerCase(), word);
  await hit.locator("a").click();
  const marked = page.locator(".marked").first();
  await marked.waitFor();
  const box = await marked.boundingBox();
  assert.ok(box.y >= 0 && box.y < 800, `the event is at ${box.y}`);
  await page.waitForFunction(() => new URL(location).searchParams.has("seq"));
  await page.goBack();
  await page.locator(".hit").first().waitFor();
});

test("hits and sessions are two views of one search", async () => {
  const word = await aWord();
  await open(`/?q=${word}&view=hits`);
  await page.locator(".hit").first().waitFor();
  await page.click(".segments button:has-text('Sessions')");
  await rows().first().waitFor();
  const expected = await api("/v1/sessions", { q: word, limit: 1 });
  await seesCount(sessionCount(expected.count));
});

test("a blocked command shows the rule that blocked it", async () => {
  const { hit, command } = await aBlockedCommand();
  await open(`/sessions/${encodeURIComponent(hit.session)}?seq=${hit.seq}&at=${hit.time}`);
  const shown = page.locator(`.command.v-blocked[data-seq="${hit.seq}"]`);
  await shown.waitFor();
  assert.match(await shown.locator(".badge").first().textContent(), /blocked/);
  assert.ok((await shown.locator(".verdict-line").textContent()).includes(command.rule));
  assert.equal((await shown.locator(".input").textContent()).trim(), command.input.trim());
});

test("only blocked commands are left by the verdict filter", async () => {
  const { hit } = await aBlockedCommand();
  await open(`/sessions/${encodeURIComponent(hit.session)}`);
  await page.locator(".event").first().waitFor();
  await page.click(".segments button:has-text('Blocked')");
  await page.waitForFunction(() => document.querySelectorAll(".event").length
    && [...document.querySelectorAll(".event")].every((one) => one.matches(".v-blocked")));
  await inAddress(page, "verdict", "blocked");
});

test("session details say who, where and when, and are a link of their own", async () => {
  const { items: [item] } = await api("/v1/sessions", { limit: 1 });
  await open(`/sessions/${encodeURIComponent(item.id)}`);
  await page.click("text=Session Details");
  const text = await page.locator(".details").textContent();
  for (const part of [item.user, item.role, item.id, item.summary]) assert.ok(text.includes(part), part);
  await inAddress(page, "tab", "details");
});

test("an error in the query is shown at its character", async () => {
  await open("/");
  await page.fill("#q", 'über "drop');
  await page.press("#q", "Enter");
  await page.locator(".query-error").waitFor();
  const shown = await page.locator(".query-error-place").textContent();
  assert.equal(shown.trimEnd(), 'über "drop');
  const marked = await page.locator(".query-error-place mark").textContent();
  assert.ok(marked.startsWith('"') || marked.trim() === "", `marked is ${marked}`);
  assert.equal(await page.getAttribute("#q", "aria-invalid"), "true");
});

test("a session that is not there is said so", async () => {
  await open("/sessions/there-is-no-such-session");
  await page.locator(".state h2:has-text('no such session')").waitFor();
});

test("a list without a match offers to clear the filters", async () => {
  await open("/?user=nobody-of-this-name");
  await page.click(".state button:has-text('Clear the filters')");
  await rows().first().waitFor();
  assert.equal(new URL(page.url()).search, "");
});

test("the keyboard searches, moves, opens, goes back and shows its keys", async () => {
  await open("/");
  await rows().nth(1).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const second = await page.evaluate(() => document.activeElement.closest("tr").dataset.id);
  await page.keyboard.press("k");
  const first = await page.evaluate(() => document.activeElement.closest("tr").dataset.id);
  assert.notEqual(first, second);
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/sessions/${encodeURIComponent(first)}`);
  await page.locator(".session-head h1").waitFor();
  await page.keyboard.press("Escape");
  await rows().first().waitFor();
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.locator("dialog.sheet").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog.sheet").waitFor({ state: "detached" });
});

test("the page is dark where the system is, and the button turns it and is remembered", async () => {
  await open("/", { colorScheme: "dark" });
  await rows().first().waitFor();
  const brightness = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor
    .match(/\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0));
  assert.ok(await brightness() < 150);
  await page.click("button[aria-label='Light theme']");
  assert.ok(await brightness() > 600);
  await page.reload();
  await rows().first().waitFor();
  assert.ok(await brightness() > 600);
});

test("an open session grows while it is looked at", async () => {
  const id = `browser-test-${Date.now()}`;
  const send = async (seq, event) => {
    const answer = await fetch(`${server.url}/v1/events`, {
      method: "POST", headers: { "content-type": "application/x-ndjson" },
      body: `${JSON.stringify({ session: id, seq, time: new Date().toISOString(), ...event })}\n`,
    });
    assert.equal((await answer.json()).accepted, 1);
  };
  await send(0, { kind: "session.start", user: "live@example.com", role: "bastion", type: "ssh" });
  await send(1, { kind: "terminal.output", text: "\x1b[32mfirst\x1b[0m line\r\n<b>not" });
  await open("/?user=live@example.com");
  await page.locator(`tr[data-id="${id}"] .s-open`).waitFor();
  await page.click(`tr[data-id="${id}"] a`);
  await page.locator(".tline:has-text('first line')").waitFor();
  await send(2, { kind: "terminal.output", text: " markup</b>\r\n" });
  await page.locator(".tline", { hasText: "<b>not markup</b>" }).waitFor({ timeout: 6000 });
  await send(3, { kind: "command", input: "exit", language: "shell", verdict: "passed" });
  await page.locator(".command .input", { hasText: "exit" }).waitFor({ timeout: 6000 });
  await send(4, { kind: "session.end", status: "failed", reason: "<img src=x>" });
  await page.locator(".session-head .s-failed").waitFor({ timeout: 6000 });
  assert.equal(await page.locator("main img, main b").count(), 0);
});
