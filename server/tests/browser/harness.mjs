// What the tests share: the server, the browser, and a watch on everything that must not happen.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
/** The binary. */
export const binary = process.env.DAYBOOK_BIN ?? join(target, "debug/daybook");

/** Starts the binary with its demo sessions and some arguments, or takes the server that DAYBOOK_URL names. */
export async function startServer(args = []) {
  if (process.env.DAYBOOK_URL) return { url: process.env.DAYBOOK_URL, stop: async () => {} };
  const data = await mkdtemp(join(tmpdir(), "daybook-browser-"));
  // What the tests read is not to be among the sessions that they count, unless they ask for it.
  const child = spawn(binary, ["serve", "--demo", "--listen", "127.0.0.1:0", "--data", data, "--set", "audit=false", ...args]);
  const ended = new Promise((done) => child.once("close", done));
  const url = await new Promise((found, failed) => {
    let said = "";
    const hear = (chunk) => {
      said += chunk;
      const match = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (match) found(match[0]);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", failed);
    ended.then((code) => failed(new Error(`the server ended with ${code} and said: ${said}`)));
  });
  return {
    url,
    data,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** A browser; the network is only the server. */
export const startBrowser = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/**
 * A new page. `page.faults` collects policy violations, script errors, console errors and requests
 * to anywhere else; answers of 4xx are not among them, for some tests ask for one.
 */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error.stack)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) page.faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) page.faults.push(`asked for ${request.url()}`);
  });
  await page.addInitScript(() => {
    globalThis.policyViolations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      globalThis.policyViolations.push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return page;
}

/** Closes a page, and fails if anything happened in it that must not. */
export async function closePage(page) {
  const violations = await page.evaluate(() => globalThis.policyViolations);
  const { faults } = page;
  await page.context().close();
  assert.deepEqual(violations, [], "the content security policy was violated");
  assert.deepEqual(faults, []);
}

/** Waits until the page's address has just these values of a parameter: it may follow a click or key a moment later. */
export async function inAddress(page, name, ...values) {
  const deadline = Date.now() + 5000;
  for (;;) {
    const found = await page.evaluate((one) => new URL(location).searchParams.getAll(one), name);
    if (JSON.stringify(found) === JSON.stringify(values)) return;
    if (Date.now() > deadline) assert.deepEqual(found, values, `the parameter ${name} of the address`);
    await page.waitForTimeout(20);
  }
}

/** Waits until another text than `before` was copied, and answers it. */
export async function copied(page, before = "") {
  for (const deadline = Date.now() + 5000; ;) {
    const text = await page.evaluate(() => navigator.clipboard.readText());
    if (text !== before) return text;
    assert.ok(Date.now() < deadline, "nothing was copied");
    await page.waitForTimeout(20);
  }
}

/** Sends events; each is given its session's next number if it has none. */
export async function send(url, events) {
  const answer = await fetch(`${url}/v1/events`, {
    method: "POST", headers: { "content-type": "application/x-ndjson" }, body: events.map((event) => `${JSON.stringify(event)}\n`).join(""),
  });
  const said = await answer.json();
  if (said.accepted !== events.length) throw new Error(`${said.accepted} of ${events.length} events were taken: ${JSON.stringify(said)}`);
}

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Fails unless axe finds nothing in the page as it is. */
export async function accessible(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((runOnly) => globalThis.axe.run(document, { runOnly }), RULES);
  const said = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
  assert.deepEqual(said, [], what);
}
