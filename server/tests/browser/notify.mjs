// What could not be delivered, on the page Status: it is listed with its reason, and sent again on request.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { accessible, binary, closePage, openPage, send, startBrowser, startServer } from "./harness.mjs";

const run = promisify(execFile);
let server;
let browser;
let receiver;
let dir;
// What the receiver answers, and what it was sent.
let answer = 410;
const taken = [];

before(async () => {
  receiver = createServer((request, response) => {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece)).on("end", () => {
      if (answer === 200) taken.push(Buffer.concat(pieces).toString());
      response.writeHead(answer).end();
    });
  });
  await new Promise((done) => receiver.listen(0, "127.0.0.1", done));
  dir = await mkdtemp(join(tmpdir(), "daybook-config-"));
  const config = join(dir, "daybook.toml");
  await writeFile(config, `[notify.dba]\nurl = "http://127.0.0.1:${receiver.address().port}/hook"\nform = "slack"\nevents = "request"\n`);
  [server, browser] = await Promise.all([startServer(["--config", config]), startBrowser()]);
  for (const name of ["dead-1", "dead-2"]) {
    await send(server.url, [
      { kind: "session.start", user: "waits@example.com", role: "prod-db", type: "database" },
      { kind: "command", input: `drop ${name}`, language: "sql", verdict: "pending" },
      { kind: "review.request", review: name, scope: "command", command: 1, reason: "<b>old</b>" },
    ].map((event, seq) => ({ session: name, seq, time: new Date().toISOString(), ...event })));
  }
});

after(async () => {
  await browser?.close();
  await server?.stop();
  receiver?.close();
  await rm(dir, { recursive: true, force: true });
});

const card = (page) => page.getByRole("region", { name: "Notifications of dba" });
const again = (page, session) => card(page).getByRole("button", { name: `Send again: request, ${session}` });

test("what could not be delivered is listed with its reason, and sent again", async () => {
  const page = await openPage(browser, server.url);
  await page.goto(`${server.url}/status`);
  await again(page, "dead-1").waitFor({ timeout: 20_000 });
  await again(page, "dead-2").waitFor({ timeout: 20_000 });
  assert.match(await card(page).locator("tr", { hasText: "dead-1" }).textContent(), /410/);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await accessible(page, `dead letters, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360, "it fits a small window");
  await accessible(page, "dead letters at 360 pixels");

  answer = 200;
  await again(page, "dead-1").focus();
  await page.keyboard.press("Enter");
  await again(page, "dead-1").waitFor({ state: "detached" });
  // The keyboard goes on with the next one.
  await page.waitForFunction(() => document.activeElement.ariaLabel === "Send again: request, dead-2");
  await card(page).getByText("1 delivered").waitFor({ timeout: 20_000 });
  assert.ok(taken.length === 1 && taken[0].includes("drop dead-1"), taken.join("\n"));
  await card(page).getByRole("link", { name: "dead-2" }).click();
  await page.waitForURL("**/sessions/dead-2");
  await page.locator(".event.command").waitFor();
  await closePage(page);
});

test("without the scope for it nothing is listed", async () => {
  const { stdout } = await run(binary, ["token", "create", "--data", server.data, "--scope", "read", "reads"]);
  const page = await openPage(browser, server.url);
  const reading = () => fetch(`${server.url}/v1/stats`);
  // From the first token on, the server asks for one; it looks a few times a second.
  for (let turn = 0; (await reading()).status !== 401; turn += 1) {
    assert.ok(turn < 100, "the token is there");
    await page.waitForTimeout(50);
  }
  await page.context().addCookies([{ name: "daybook", value: stdout.trim(), url: server.url }]);
  const refused = page.waitForResponse((one) => one.url().endsWith("/v1/admin/notifications"));
  await page.goto(`${server.url}/status`);
  assert.equal((await refused).status(), 403);
  await page.locator(".health.fine").waitFor();
  assert.equal(await card(page).count(), 0);
  await closePage(page);
});
