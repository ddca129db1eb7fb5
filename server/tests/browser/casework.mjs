// Notes, marks, cases, the queue and the report, in a browser.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, closePage, inAddress, openPage, send, startBrowser, startServer } from "./harness.mjs";

let server;
let browser;
let dir;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "daybook-config-"));
  const config = join(dir, "daybook.toml");
  await writeFile(config, "[queue.lab]\nquery = 'role:casework-lab'\n");
  [server, browser] = await Promise.all([startServer(["--config", config]), startBrowser()]);
  const at = (minute) => new Date(Date.now() - 3_600_000 + minute * 60_000).toISOString();
  await send(server.url, [
    { session: "w-1", seq: 1, time: at(0), kind: "session.start", user: "ann@example.com", role: "casework-lab", type: "database" },
    { session: "w-1", seq: 2, time: at(1), kind: "command", input: "select 1", language: "sql", verdict: "passed" },
    { session: "w-1", seq: 4, time: at(2), kind: "session.end", status: "done", events: 4 },
  ]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await rm(dir, { recursive: true, force: true });
});

test("a session is annotated, found incomplete, gathered in a case and marked", async () => {
  const page = await openPage(browser, server.url);
  await page.goto(`${server.url}/queue`);
  await page.getByRole("link", { name: "w-1" }).click();
  await inAddress(page, "tab", "details");
  const whole = page.getByRole("region", { name: "Completeness" });
  await whole.getByText("3: missing").waitFor();
  await page.getByLabel("Note on this session").fill("looks <b>odd</b>");
  await page.getByRole("button", { name: "Write a note" }).click();
  await page.getByText("looks <b>odd</b>").waitFor();
  await accessible(page, "the details with casework");

  await page.goto(`${server.url}/cases`);
  await page.getByLabel("Name").fill("2026-17");
  await page.getByLabel("Why").fill("subpoena");
  await page.getByRole("button", { name: "Open a case" }).click();
  await page.getByRole("link", { name: "2026-17" }).waitFor();
  await accessible(page, "the cases");
  await page.goto(`${server.url}/sessions/w-1?tab=details`);
  await page.getByRole("button", { name: "Add to the case" }).click();
  await page.getByText("It is in").getByRole("link", { name: "2026-17" }).click();
  await page.getByRole("link", { name: "w-1", exact: true }).waitFor();
  const hold = page.getByRole("form", { name: "Place a legal hold" });
  await hold.getByRole("textbox").fill("court order");
  await hold.getByRole("button").click();
  await page.getByText("legal hold", { exact: true }).waitFor();
  const holds = await (await fetch(`${server.url}/v1/admin/holds`)).json();
  assert.deepEqual(holds.items.map((item) => item.sessions), [["w-1"]]);
  await accessible(page, "one case");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Export with proofs" }).click()]);
  assert.match(file.suggestedFilename(), /^case-.*\.zip$/);

  await page.goto(`${server.url}/sessions/w-1?tab=details`);
  await page.getByText("Waits in lab").waitFor();
  await page.getByLabel("Comment").fill("in order");
  await page.getByRole("button", { name: "Mark as reviewed" }).click();
  await page.getByText("reviewed", { exact: true }).waitFor();
  await page.goto(`${server.url}/queue?name=lab`);
  await page.getByText("Nothing waits for a review here.").waitFor();
  await accessible(page, "the queue");
  await closePage(page);
});

test("the report shows a period and roles, and prints without a script", async () => {
  const page = await openPage(browser, server.url);
  await page.goto(`${server.url}/report`);
  await page.getByText("casework-lab").first().waitFor();
  await accessible(page, "the report");
  await page.getByLabel("Roles").fill("casework-*");
  await page.getByRole("button", { name: "Show" }).click();
  await inAddress(page, "role", "casework-*");
  const table = page.getByRole("group", { name: "By role" });
  await page.waitForFunction(() => document.querySelectorAll("[aria-label='By role'] tbody tr").length === 1);
  assert.match(await table.innerText(), /casework-lab\s+1\s+1\s+1\s+0/);
  const print = await page.getByRole("link", { name: "Print" }).getAttribute("href");
  await page.goto(server.url + print);
  await page.getByRole("heading", { name: "Compliance report" }).waitFor();
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("h1")).marginTop), "0px", "its style is let in");
  await closePage(page);
});

test("what a case page shows on a small screen and in the dark is readable", async () => {
  const page = await openPage(browser, server.url, { viewport: { width: 400, height: 800 }, colorScheme: "dark" });
  await page.goto(`${server.url}/report`);
  await page.getByText("casework-lab").first().waitFor();
  await accessible(page, "the report on a small screen in the dark");
  await closePage(page);
});

const command = (page, seq) => page.locator(`.event.command[data-seq="${seq}"]`);

test("a note on a command is written by the keyboard, and stands beneath that command", async () => {
  const page = await openPage(browser, server.url);
  await page.goto(`${server.url}/sessions/w-1`);
  await command(page, 2).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("n");
  await page.getByRole("dialog", { name: "Note on command 2" }).waitFor();
  await accessible(page, "the dialog");
  await page.keyboard.type("why <i>this</i>?");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const note = command(page, 2).locator(".under .note");
  await note.filter({ hasText: "why <i>this</i>?" }).waitFor();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const { items } = await (await fetch(`${server.url}/v1/sessions/w-1/notes`)).json();
  assert.deepEqual(items.filter((one) => one.command === 2).map((one) => one.text), ["why <i>this</i>?"]);
  // What is refused is said, and what was written stays.
  await command(page, 2).locator("[data-note]").click();
  await page.getByLabel("Note", { exact: true }).fill("x".repeat(20_000));
  await page.getByRole("button", { name: "Write a note" }).click();
  await page.getByRole("alert").filter({ hasText: /20,?000/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.reload();
  await note.waitFor();
  assert.equal(await note.count(), 1);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await accessible(page, `a command with a note, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360, "it fits a small window");
  await closePage(page);
});

test("a note opens at its command, however far down that is", async () => {
  const at = (n) => new Date(Date.now() - 7_200_000 + n * 1000).toISOString();
  const events = [{ kind: "session.start", user: "ann@example.com", role: "far", type: "database" }];
  for (let n = 1; n <= 7000; n += 1) events.push({ kind: "command", input: `select ${n}`, language: "sql", verdict: n === 6500 ? "blocked" : "passed" });
  await send(server.url, events.map((event, seq) => ({ session: "far", seq, time: at(seq), ...event })));
  const written = await fetch(`${server.url}/v1/sessions/far/notes`, { method: "POST", body: JSON.stringify({ text: "far down", command: 6500 }) });
  assert.equal(written.status, 201);
  const page = await openPage(browser, server.url);
  await page.goto(`${server.url}/sessions/far?tab=details`);
  await page.getByRole("link", { name: "command 6500" }).click();
  const marked = page.locator(".event.command.marked[data-seq='6500']");
  await marked.locator(".note", { hasText: "far down" }).waitFor();
  const box = await marked.boundingBox();
  assert.ok(box.y > 0 && box.y + box.height < 800, `it is at ${box.y}`);
  assert.equal(await page.locator(".under .note").count(), 1, "under no other command");
  await closePage(page);
});
