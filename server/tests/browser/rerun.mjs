// Running a command again in a real browser: the dialog, the run as it goes on with a small proxy that behaves as a real
// one, and both results side by side.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { accessible, closePage, inAddress, openPage, send, startBrowser, startServer } from "./harness.mjs";

const at = (second) => new Date(Date.parse("2026-03-01T09:00:00Z") + second * 1000).toISOString();
const TABLE = " id | owner | state\n----+-------+-------\n  1 | Ann   | open\n  2 | Ben   | open\n  3 | Cat   | shut\n(3 rows)\n";

let server;
let browser;
let page;

before(async () => {
  server = await startServer(["--set", "run_approval=guarded"]);
  browser = await startBrowser();
  const command = (session, seq, input, more) => ({ session, seq, time: at(seq), kind: "command", input, language: "sql", ...more });
  for (const [session, role] of [["again", "pg"], ["hostile", "<img src=x>"], ["guard", "guarded"], ["sh", "box"]]) {
    await send(server.url, [
      { session, seq: 0, time: at(0), kind: "session.start", user: "alice@example.com", role, type: "database" },
      command(session, 1, "select * from accounts"),
      { session, seq: 2, time: at(1), kind: "output", command: 1, stream: "result", text: TABLE },
      { session, seq: 3, time: at(1), kind: "command.end", command: 1, rows: 3, duration_ms: 12 },
      command(session, 4, "drop table accounts", { verdict: "blocked" }),
      command(session, 5, "echo one; echo two", { language: "shell" }),
      { session, seq: 6, time: at(6), kind: "output", command: 5, stream: "stdout", text: "one\ntwo\n" },
      { session, seq: 7, time: at(7), kind: "session.end", status: "done" },
    ]);
  }
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

async function open(path) {
  page = await openPage(browser, server.url);
  await page.goto(server.url + path);
}

async function post(path, body) {
  const answer = await fetch(server.url + path, { method: "POST", body: JSON.stringify(body) });
  return { status: answer.status, ...await answer.json() };
}

/** Takes a run of a role, and begins it. */
async function take(role) {
  const { run } = await post("/v1/runs/take", { roles: [role], wait: "20s" });
  assert.ok(run, "there is a run to take");
  const session = `run-${run.id}`;
  const { lease } = run;
  assert.equal((await post(`/v1/runs/${run.id}/start`, { lease, session })).status, 200);
  const event = (seq, kind, more) => ({ session, seq, time: new Date().toISOString(), kind, ...more });
  await send(server.url, [
    event(0, "session.start", { user: run.by, role, type: "database" }),
    event(1, "command", { input: run.input, language: run.language, rerun_of: run.rerun_of }),
  ]);
  return {
    run,
    output: (seq, text, stream = "result") => send(server.url, [event(seq, "output", { command: 1, stream, text })]),
    async done(seq, end) {
      await send(server.url, [event(seq, "command.end", { command: 1, ...end }), event(seq + 1, "session.end", { status: "done" })]);
      assert.equal((await post(`/v1/runs/${run.id}/done`, { lease })).status, 200);
    },
  };
}

async function askFor(session, seq = 1) {
  await open(`/sessions/${session}`);
  await page.locator(`[data-rerun="${seq}"]`).focus();
  await page.keyboard.press("Enter");
  await page.locator(".ask-sheet").waitFor();
}

const state = (name) => page.locator(".rerun-head .badge", { hasText: name }).waitFor({ timeout: 20_000 });

test("a command is run again from the page, seen as it runs, and both results are compared cell by cell", async () => {
  await askFor("again");
  assert.equal(await page.inputValue(".ask-sheet input >> nth=0"), "pg");
  await accessible(page, "the dialog");
  await page.keyboard.type("is it still so?");
  await page.keyboard.press("Enter");
  await state("waits for a runner");
  const proxy = await take("pg");
  await inAddress(page, "rerun", proxy.run.id);
  assert.equal(proxy.run.reason, "is it still so?");
  await state("running");
  await proxy.output(2, TABLE.replace("Ben   | open", "Ben   | shut").replace("(3 rows)", "  4 | Dan   | open\n(4 rows)"));
  await page.locator(".compare table").nth(1).waitFor();
  await proxy.done(3, { rows: 4, duration_ms: 15 });
  await state("done");
  await page.locator(".rerun-verdict", { hasText: "2 rows differ" }).waitFor();
  assert.deepEqual(await page.locator(".compare del").allTextContents(), ["open"]);
  assert.deepEqual((await page.locator(".compare ins").allTextContents()), ["shut", "4", "Dan", "open"]);
  assert.equal(await page.locator(".compare tr.none").count(), 1);
  await accessible(page, "both results");
  // The address alone shows it again, and leads to both sessions.
  await page.reload();
  await page.locator(".rerun-verdict", { hasText: "2 rows differ" }).waitFor();
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page, "both results in the dark");
  await page.getByRole("link", { name: "The new session" }).click();
  await page.getByRole("link", { name: "rerun" }).click();
  await page.locator(".event.command.marked").waitFor();
  assert.match(page.url(), /\/sessions\/again\?seq=1$/);
});

test("the same result is said to be the same, and texts are compared line by line", async () => {
  await askFor("sh", 5);
  await page.getByRole("button", { name: "Run again", exact: true }).last().click();
  let proxy = await take("box");
  await proxy.output(2, "one\ntwo\n", "stdout");
  await proxy.done(3, {});
  await page.locator(".rerun-verdict", { hasText: "Both gave the same result" }).waitFor();
  await closePage(page);

  await askFor("sh", 5);
  await page.keyboard.press("Enter");
  proxy = await take("box");
  await proxy.output(2, "zero\none\ntwofold\n", "stdout");
  await proxy.done(3, { exit_code: 1 });
  await page.locator(".rerun-verdict", { hasText: "2 lines differ" }).waitFor();
  assert.deepEqual(await page.locator(".compare ins b").allTextContents(), ["zero", "fold"]);
  assert.equal(await page.locator(".compare .differs").count(), 2);
});

test("a command that was run again has its runs beneath it, the newest first, with the way to both results", async () => {
  await open("/sessions/sh");
  const runs = page.locator(".event.command[data-seq='5'] .runs li");
  await runs.nth(1).waitFor();
  assert.equal(await runs.count(), 2);
  for (const text of await runs.allTextContents()) assert.match(text, /^done local .*Compare$/);
  assert.equal(await page.locator(".runs").count(), 1, "other commands have none");
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await accessible(page, `the runs, ${colorScheme}`);
  }
  await runs.first().getByRole("link").click();
  await page.locator(".rerun-verdict", { hasText: "2 lines differ" }).waitFor();
  await page.goBack();
  await runs.nth(1).getByRole("link").click();
  await page.locator(".rerun-verdict", { hasText: "Both gave the same result" }).waitFor();

  // However often that was, the list is short; and one that is asked for now is in it.
  for (let turn = 0; turn < 4; turn += 1) assert.equal((await post("/v1/sessions/sh/rerun", { command: 5 })).status, 201);
  await page.goBack();
  await runs.filter({ hasText: "1 earlier" }).waitFor();
  assert.equal(await runs.count(), 6);
  assert.match(await runs.first().textContent(), /^waits for a runner/);
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360, "it fits a small window");
});

test("a run that waits for its approval says so, goes on once it is given, and can be called off", async () => {
  await askFor("guard");
  await page.keyboard.press("Enter");
  await state("waits for approval");
  const id = new URL(page.url()).searchParams.get("rerun");
  const review = `rerun-${id}`;
  const asked = async () => (await (await fetch(`${server.url}/v1/sessions/guard`)).json()).reviews.some((one) => one.id === review);
  for (let turn = 0; !await asked(); turn += 1) {
    assert.ok(turn < 100, "the review is asked for");
    await page.waitForTimeout(50);
  }
  await send(server.url, [{ session: "guard", time: at(100), kind: "review.decision", review, decision: "approved", by: "bob@example.com" }]);
  await state("waits for a runner");
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await state("cancelled");
});

test("what is blocked has no button, and what is recorded is no markup", async () => {
  await askFor("hostile");
  assert.equal(await page.locator("[data-rerun]").count(), 2);
  await page.keyboard.press("Enter");
  const proxy = await take("<img src=x>");
  await proxy.output(2, " <b>a</b>\n----------\n <i>1</i> \u202e\n(1 row)\n");
  await proxy.done(3, { error: "<script>alert(1)</script>" });
  await page.locator(".compare ins").first().waitFor();
  assert.equal(await page.locator("main img, main script, .compare i, .compare b b").count(), 0);
});

test("without the scope there are no buttons", async () => {
  page = await openPage(browser, server.url);
  await page.route(/\/v1\/runs\?/, (route) => route.fulfill({ json: { items: [], next_cursor: null, count: 0, may_request: false } }));
  await page.goto(`${server.url}/sessions/again`);
  await page.locator(".event.command").first().waitFor();
  await page.waitForLoadState("networkidle");
  assert.equal(await page.locator("[data-rerun]:visible").count(), 0);
});
