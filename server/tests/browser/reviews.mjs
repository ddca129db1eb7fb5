// Access requests in the page: a proxy asks and waits, reviewers decide in browsers of their own, and the proxy goes on.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { accessible, binary, closePage, inAddress, openPage, startBrowser, startServer } from "./harness.mjs";

const run = promisify(execFile);
let server;
let browser;
const tokens = {};

before(async () => {
  [server, browser] = await Promise.all([startServer(), startBrowser()]);
  for (const [name, ...args] of [
    ["proxy", "--scope", "ingest"],
    ["ann@example.com", "--scope", "review", "--scope", "read", "--group", "dba"],
    ["bea@example.com", "--scope", "review", "--scope", "read", "--group", "dba"],
    ["asks@example.com", "--scope", "review", "--scope", "read", "--group", "dba"],
    ["reads@example.com", "--scope", "read"],
  ]) {
    const { stdout } = await run(binary, ["token", "create", "--data", server.data, ...args, name]);
    tokens[name.split("@")[0]] = stdout.trim();
  }
  // The server looks for tokens a few times a second.
  const headers = { authorization: `Bearer ${tokens.reads}` };
  for (const deadline = Date.now() + 10_000; (await fetch(`${server.url}/v1/reviews`)).status !== 401
    || (await fetch(`${server.url}/v1/reviews`, { headers })).status !== 200;) {
    assert.ok(Date.now() < deadline, "the tokens are there");
    await new Promise((done) => setTimeout(done, 50));
  }
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page of somebody with a token. */
async function pageOf(name, path, options) {
  const page = await openPage(browser, server.url, options);
  await page.context().addCookies([{ name: "daybook", value: tokens[name], url: server.url }]);
  await page.goto(server.url + path);
  return page;
}

async function ask(method, path, body, name = "proxy") {
  const answer = await fetch(server.url + path, { method, headers: { authorization: `Bearer ${tokens[name]}` }, body });
  const said = await answer.json();
  assert.ok(answer.ok, `${path}: ${JSON.stringify(said)}`);
  return said;
}

let count = 0;

/** A proxy that writes a command down, asks whether it may run, waits, runs it and says so. */
async function proxy(input, more = {}) {
  const session = `asked-${count += 1}`;
  const time = new Date().toISOString();
  const events = [
    { kind: "session.start", user: "asks@example.com", role: "prod-db", type: "database" },
    { kind: "command", input, language: "sql", verdict: "pending" },
  ].map((event, seq) => JSON.stringify({ session, seq, time, ...event }));
  const taken = await ask("POST", "/v1/events", events.join("\n"));
  assert.equal(taken.accepted, 2);
  const review = `${session}-1`;
  await ask("POST", "/v1/reviews", JSON.stringify({ session, scope: "command", command: 1, review, seq: 2, reason: "to mend it", groups: ["dba"], ...more }));
  const ended = (async () => {
    for (;;) {
      const { status } = await ask("GET", `/v1/reviews/${review}?wait=20s`);
      if (status === "pending") continue;
      if (status !== "approved") return status;
      await ask("POST", "/v1/events", JSON.stringify({ session, seq: 3, time: new Date().toISOString(), kind: "command.end", command: 1, rows: 1 }));
      return (await ask("POST", `/v1/reviews/${review}/decision`, JSON.stringify({ decision: "executed" }))).status;
    }
  })();
  return { session, review, ended };
}

const rowOf = (page, text) => page.locator(".review-row", { hasText: text });

test("a reviewer approves a command with a comment, and it runs", async () => {
  const asked = await proxy("delete from <b>cards</b> where id = 1");
  const page = await pageOf("ann", "/reviews");
  const row = rowOf(page, "delete from <b>cards</b> where id = 1");
  await row.locator("button", { hasText: "Approve" }).click();
  // What is written is not swept away by what comes meanwhile.
  await row.locator(".decide input").fill("go on");
  const other = await proxy("select 'meanwhile'");
  await page.waitForTimeout(3500);
  assert.equal(await row.locator(".decide input").inputValue(), "go on");
  await row.locator(".decide button[type=submit]").click();
  assert.equal(await asked.ended, "executed");
  await row.waitFor({ state: "detached" });
  await rowOf(page, "select 'meanwhile'").locator("button", { hasText: "Reject" }).click();
  await rowOf(page, "select 'meanwhile'").locator("button[type=submit]").click();
  assert.equal(await other.ended, "rejected");
  await page.click(".tabs a:has-text('Decided')");
  await inAddress(page, "show", "decided");
  await row.filter({ hasText: "approved by ann@example.com" }).filter({ hasText: "go on" }).waitFor();
  assert.equal(await row.locator(".badge").textContent(), "executed");
  assert.equal(await row.locator("button").count(), 0, "what ran can't be taken back");
  await row.locator("a").click();
  await page.locator(".event.command .badge", { hasText: "approved by ann@example.com" }).waitFor();
  await closePage(page);
});

test("a rejection reaches the proxy, by keyboard alone", async () => {
  const asked = await proxy("drop table customers");
  const page = await pageOf("ann", `/sessions/${asked.session}`);
  const reject = page.locator(".ask button", { hasText: "Reject" });
  await reject.waitFor();
  await reject.focus();
  await page.keyboard.press("Enter");
  await page.locator(".ask form input").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement.textContent === "Reject");
  await page.keyboard.press("Enter");
  await page.keyboard.type("not on a Friday");
  await page.keyboard.press("Enter");
  assert.equal(await asked.ended, "rejected");
  await page.locator(".ask").waitFor({ state: "detached" });
  await page.locator(".event.command .badge", { hasText: "rejected by ann@example.com" }).waitFor();
  await page.locator(".event.command .quote", { hasText: "not on a Friday" }).waitFor();
  await closePage(page);
});

test("nobody approves their own request, and who may only read decides nothing", async () => {
  const asked = await proxy("update own set x = 1");
  const own = await pageOf("asks", "/reviews");
  const row = rowOf(own, "update own set x = 1");
  await row.waitFor();
  assert.deepEqual(await row.locator("button").allTextContents(), ["Reject"]);
  await closePage(own);
  const reader = await pageOf("reads", "/reviews");
  await rowOf(reader, "update own set x = 1").waitFor();
  assert.equal(await reader.locator(".decide").count(), 0);
  // Nor do they write notes, or have anything run again.
  for (const [page, may] of [[reader, false], [await pageOf("ann", "/"), true]]) {
    await page.goto(`${server.url}/sessions/${asked.session}`);
    await page.locator(".event.command").waitFor();
    await page.waitForLoadState("networkidle");
    assert.equal(await page.locator("[data-note]").isVisible(), may);
    if (may) await closePage(page);
  }
  await closePage(reader);
  await ask("POST", `/v1/reviews/${asked.review}/decision`, JSON.stringify({ decision: "revoked" }), "asks");
  assert.equal(await asked.ended, "revoked");
});

test("of two who decide at once the second is told what the first one said", async () => {
  const asked = await proxy("truncate logs");
  const pages = [await pageOf("ann", "/reviews"), await pageOf("bea", "/reviews")];
  for (const [page, label] of [[pages[0], "Approve"], [pages[1], "Reject"]]) {
    await rowOf(page, "truncate logs").locator("button", { hasText: label }).click();
  }
  await rowOf(pages[0], "truncate logs").locator("button[type=submit]").click();
  assert.equal(await asked.ended, "executed");
  await rowOf(pages[1], "truncate logs").locator("button[type=submit]").click();
  await rowOf(pages[1], "truncate logs").locator(".wrong", { hasText: "The review is executed" }).waitFor();
  for (const page of pages) await closePage(page);
});

test("two are needed: the row says how many there are, and what expires says so", async () => {
  const asked = await proxy("grant all", { min_approvals: 2, expires_in: "1h" });
  const ann = await pageOf("ann", "/reviews");
  const row = rowOf(ann, "grant all");
  await row.locator("button", { hasText: "Approve" }).click();
  await row.locator("button[type=submit]").click();
  await row.filter({ hasText: "1 of 2" }).waitFor();
  await row.filter({ hasText: "left" }).waitFor();
  assert.deepEqual(await row.locator("button").allTextContents(), ["Reject"], "an approval counts once");
  const bea = await pageOf("bea", "/reviews");
  await rowOf(bea, "grant all").locator("button", { hasText: "Approve" }).click();
  await rowOf(bea, "grant all").locator("button[type=submit]").click();
  assert.equal(await asked.ended, "executed");
  await row.waitFor({ state: "detached" });
  const soon = await proxy("too late", { expires_in: "8s" });
  await rowOf(ann, "too late").locator("button", { hasText: "Approve" }).click();
  assert.equal(await soon.ended, "expired");
  await rowOf(ann, "too late").locator("button[type=submit]").click();
  await rowOf(ann, "too late").locator(".wrong", { hasText: "expired" }).waitFor();
  await closePage(ann);
  await closePage(bea);
});

test("a session that waits is let in and taken back on its page, and its proxy is told", async () => {
  const session = "jit-1";
  await ask("POST", "/v1/reviews", JSON.stringify({ session, scope: "session", review: "jit-r", duration: "2h", reason: "on call",
    start: { user: "asks@example.com", role: "bastion", type: "ssh" } }));
  const page = await pageOf("ann", `/sessions/${session}`);
  await page.locator(".ask", { hasText: "The session waits for a review" }).filter({ hasText: "on call" }).waitFor();
  const waiting = ask("GET", "/v1/reviews/jit-r?wait=20s");
  await page.locator(".ask button", { hasText: "Approve" }).click();
  await page.locator(".ask button[type=submit]").click();
  assert.equal((await waiting).status, "approved");
  await ask("POST", "/v1/reviews/jit-r/decision", JSON.stringify({ decision: "executed" }));
  await page.locator(".status", { hasText: "Open" }).waitFor();
  const told = ask("GET", "/v1/reviews/jit-r?wait=30s&while=executed");
  await page.locator(".ask button", { hasText: "Revoke" }).click();
  await page.locator(".ask input").fill("too long");
  await page.locator(".ask button[type=submit]").click();
  assert.equal((await told).status, "revoked");
  await page.locator(".status", { hasText: "Rejected" }).waitFor();
  await page.goto(`${server.url}/?q=${encodeURIComponent("review.status:revoked approver:ann@example.com")}`);
  await page.locator("tr[data-id]").first().waitFor();
  assert.equal(await page.locator("tr[data-id]").count(), 1);
  await closePage(page);
});

test("what one decides with can be used by everybody, in the light and in the dark", async () => {
  const asked = await proxy("select 'for all'");
  for (const colorScheme of ["light", "dark"]) {
    for (const [path, at] of [["/reviews", ".review-row"], [`/sessions/${asked.session}`, ".ask"]]) {
      const page = await pageOf("ann", path, { colorScheme });
      const row = page.locator(at, { hasText: "for all" });
      await row.waitFor();
      await accessible(page, `${path} in the ${colorScheme}`);
      await row.locator("button", { hasText: "Approve" }).click();
      await accessible(page, `the form on ${path} in the ${colorScheme}`);
      await closePage(page);
    }
  }
  const narrow = await pageOf("ann", "/reviews", { viewport: { width: 390, height: 800 } });
  await rowOf(narrow, "for all").waitFor();
  const over = await narrow.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `it is ${over} pixels too wide`);
  await closePage(narrow);
  await ask("POST", `/v1/reviews/${asked.review}/decision`, JSON.stringify({ decision: "revoked" }));
  await asked.ended;
});
