// Sharing in a real browser: the sheet that makes links, the page that reviewers see, and the page that replays offline.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { accessible, closePage, copied, openPage, send, startBrowser, startServer } from "./harness.mjs";

const at = (s) => new Date(Date.parse("2026-03-01T09:00:00Z") + s * 1000).toISOString();
const events = (session, list) => list.map(([s, kind, more], seq) => ({ session, seq, time: at(s), kind, ...more }));

let server;
let browser;
let page;
let dir;

before(async () => {
  server = await startServer();
  browser = await startBrowser();
  dir = await mkdtemp(join(tmpdir(), "daybook-share-"));
  await send(server.url, events("two", [
    [0, "session.start", { user: "erin@example.com", role: "bastion", type: "ssh", cols: 40, rows: 10 }],
    [1, "command", { input: "first one", verdict: "passed" }],
    [2, "output", { command: 1, stream: "stdout", text: "SECRET-ONE" }],
    [3, "command", { input: "second one", verdict: "passed" }],
    [4, "terminal.output", { text: "\x1b[31mSECRET-SCREEN\x1b[0m </script><img src=x>\r\n" }],
    [9, "terminal.output", { text: "the end" }],
    [10, "session.end", { status: "done" }],
  ]));
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await rm(dir, { recursive: true, force: true });
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

async function share(body) {
  const answer = await fetch(`${server.url}/v1/sessions/two/share`, { method: "POST", body: JSON.stringify(body) });
  return answer.json();
}

test("a link is made, copied, listed and revoked in the sheet", async () => {
  await open("/sessions/two", { permissions: ["clipboard-read", "clipboard-write"] });
  await page.click("button:has-text('Share')");
  const sheet = page.locator("dialog.share");
  await sheet.locator(".share-list .hint").waitFor();
  await accessible(page, "the sheet");
  await sheet.locator("label:has-text('Part') select").selectOption("command");
  await sheet.locator("label:has-text('Command') input").fill("99");
  await sheet.locator("button[type=submit]").click();
  await sheet.locator(".wrong:has-text('command 99')").waitFor();
  await sheet.locator("label:has-text('Command') input").fill("1");
  await sheet.locator("label:has-text('Note') input").fill("for <b>review</b>");
  await sheet.locator("button[type=submit]").click();
  const item = sheet.locator(".share-list li");
  await item.waitFor();
  const link = await copied(page);
  assert.match(link, /\/shared\//);
  assert.match(await item.textContent(), /Page, for anyone · command:1.*for <b>review<\/b>/);
  await accessible(page, "the sheet with a link");
  assert.equal((await fetch(link.replace("/shared/", "/v1/shared/"))).status, 200);
  await item.locator("button:has-text('Revoke')").click();
  await sheet.locator(".share-list li.over").waitFor();
  assert.equal((await fetch(link.replace("/shared/", "/v1/shared/"))).status, 410);
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "detached" });
});

test("a link to each file is copied from the menu, for as long as is chosen", async () => {
  await open("/sessions/two", { permissions: ["clipboard-read", "clipboard-write"] });
  const menu = page.locator(".drop");
  await menu.locator("summary").focus();
  await page.keyboard.press("Enter");
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await accessible(page, `the menu, ${colorScheme}`);
  }
  await menu.getByLabel("Links are good for").selectOption("1 hour");
  let link = await page.evaluate(() => navigator.clipboard.readText());
  for (const [label, format, content] of [["Events, NDJSON", "ndjson", /SECRET-ONE/], ["Terminal, asciicast v2", "cast", /^\{"version":2/], ["Text", "txt", /^session {2}two/]]) {
    await menu.getByRole("button", { name: `Copy a link to: ${label}` }).focus();
    await page.keyboard.press("Enter");
    link = await copied(page, link);
    const answer = await fetch(link);
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), content);
    const { items } = await (await fetch(`${server.url}/v1/links?session=two`)).json();
    const made = items.find((one) => one.url && link.endsWith(one.url));
    assert.equal(made.format, format);
    const left = Date.parse(made.expires_at) - Date.now();
    assert.ok(left > 3_500_000 && left <= 3_600_000, `${left} ms are left`);
  }
  assert.equal(await menu.getByRole("button", { name: /^Copy a link to/ }).count(), 7);
  // Escape closes the menu, not the page.
  await page.keyboard.press("Escape");
  await menu.locator(".drop-items").waitFor({ state: "hidden" });
  assert.ok(await page.evaluate(() => document.activeElement.matches(".drop summary")));
  assert.match(page.url(), /\/sessions\/two$/);
  await page.setViewportSize({ width: 360, height: 740 });
  await page.keyboard.press("Enter");
  const box = await menu.locator(".drop-items").boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360, `the menu is from ${box.x}, ${box.width} wide`);
});

test("a reviewer sees the session read-only, with its replay and its downloads", async () => {
  const { url } = await share({ to: "anyone" });
  await open(url, { acceptDownloads: true });
  await page.locator(".event.command").nth(1).waitFor();
  await page.locator(".share-line:has-text('read-only')").waitFor();
  assert.equal(await page.locator("button:has-text('Share')").count(), 0);
  assert.equal(await page.locator("nav.views").isVisible(), false);
  await accessible(page, "a shared session");
  await page.click("[role=tab]:has-text('Replay')");
  await page.locator(".screen-row:has-text('SECRET-SCREEN')").waitFor({ timeout: 10_000 }).catch(async () => {
    await page.keyboard.press("End");
    await page.locator(".screen-row:has-text('SECRET-SCREEN')").waitFor();
  });
  await page.click(".drop summary");
  assert.equal(await page.locator(".drop button").count(), 0, "who has a link makes none");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(".drop a:has-text('NDJSON')")]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  assert.match(Buffer.concat(chunks).toString(), /SECRET-ONE/);
});

test("a part without outputs shows nothing else", async () => {
  const { url, id } = await share({ to: "anyone", part: "command:1", outputs: "hidden" });
  await open(url);
  await page.locator(".event.command").first().waitFor();
  await page.locator(".share-line:has-text('only one command')").waitFor();
  assert.deepEqual(await page.locator("[role=tab]").allTextContents(), ["Commands", "Timeline", "Session Details"]);
  const text = await page.evaluate(() => document.body.textContent);
  assert.ok(text.includes("first one") && !text.includes("second one") && !text.includes("SECRET"), text);
  assert.equal(await page.locator(".session-tools").isVisible(), false);
  await fetch(`${server.url}/v1/links/${id}`, { method: "DELETE" });
  await page.reload();
  await page.locator("text=revoked").waitFor();
});

test("the downloaded page replays offline, without a request and within its own policy", async () => {
  const answer = await fetch(`${server.url}/v1/sessions/two/download?format=html`);
  const file = join(dir, "two.html");
  await writeFile(file, Buffer.from(await answer.arrayBuffer()));
  const address = pathToFileURL(file).href;
  page = await openPage(browser, address, { offline: true });
  await page.goto(address);
  await page.locator("h1:has-text('erin@example.com on bastion')").waitFor();
  await page.locator("button[aria-label=Play]").waitFor();
  assert.equal(await page.locator("img").count(), 0);
  const range = page.locator("input[type=range]");
  await range.fill("5000");
  await page.locator(".screen-row:has-text('SECRET-SCREEN </script><img src=x>')").waitFor();
  assert.equal(await page.locator(".screen-row:has-text('the end')").count(), 0);
  await page.click("button[aria-label=Play]");
  await page.locator(".screen-row:has-text('the end')").waitFor();
  await accessible(page, "the downloaded page");
});
