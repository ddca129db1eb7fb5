// Takes the pictures of the README and the docs: `node picture.mjs` writes docs/pictures/VIEW-light.webp and -dark.webp.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openPage, send, startBrowser, startServer } from "./harness.mjs";

const BYTES_MAX = 2_000_000;
const directory = join(resolve(dirname(fileURLToPath(import.meta.url)), "../../.."), "docs/pictures");

/** The address of the sample session that a list has first. */
const first = async (url, list, tab) => {
  const page = await (await fetch(`${url}/v1/sessions?limit=1&${list}`)).json();
  return `/sessions/${encodeURIComponent(page.items[0].id)}${tab}`;
};

const post = async (url, path, body) =>
  (await fetch(url + path, { method: "POST", body: JSON.stringify({ by: "eve@example.com", ...body }) })).json();

/** A case with sessions, a note and a hold; the same one each time. */
async function aCase(url) {
  const { items } = await (await fetch(`${url}/v1/cases`)).json();
  if (items.length) return `/cases/${items[0].id}`;
  const sessions = await (await fetch(`${url}/v1/sessions?limit=3&type=database&status=done&sort=-masked`)).json();
  const { id } = await post(url, "/v1/cases", { name: "2026-17", reason: "subpoena of 1 March", sessions: sessions.items.map((one) => one.id) });
  await post(url, `/v1/cases/${id}/notes`, { text: "The first query reads the whole table; ask for the ticket." });
  await post(url, `/v1/cases/${id}/hold`, { text: "court order" });
  return `/cases/${id}`;
}

/** What a reviewer has of a session. */
async function shared(url) {
  const [, , id] = (await first(url, "type=database&subtype=postgres&status=done&sort=-masked", "")).split("/");
  return (await post(url, `/v1/sessions/${id}/share`, { to: "anyone", expires_in: "7d" })).url;
}

/** Each view: where it is (or how that is found), what has to be there, and what is done to it before. */
const VIEWS = [
  ["sessions", "/", "tr[data-id]"],
  ["search", "/?q=select+-count&view=hits", ".hit"],
  ["complete", "/", "tr[data-id]", async (page) => {
    await page.fill("#q", "verdict:blocked role:prod");
    await page.locator("#q-list li").nth(1).waitFor();
  }],
  ["commands", (url) => first(url, "type=database&subtype=postgres&status=done&sort=-masked", ""), ".event.command"],
  ["timeline", (url) => first(url, "type=application&status=done&sort=-approved", "?tab=timeline"), ".axis .spot"],
  ["replay", (url) => first(url, "type=ssh&status=done&sort=-duration", "?tab=replay"), ".screen-row", async (page) => {
    await page.locator(".bar-range").evaluate((slider) => {
      slider.value = String(Math.round(Number(slider.max) * 0.6));
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      slider.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }],
  ["details", (url) => first(url, "type=application&status=done&sort=-approved", "?tab=details"), ".details"],
  ["reviews", "/reviews?show=decided", ".review-row"],
  ["queue", "/queue?name=prod-databases", "table a"],
  ["case", aCase, ".note"],
  ["report", "/report", ".card svg"],
  ["shared", shared, ".event.command"],
  ["exports", "/exports", "a.download"],
  ["status", "/status", ".health.fine", (page) => page.waitForTimeout(9000)],
];

const dir = await mkdtemp(join(tmpdir(), "daybook-pictures-"));
const config = join(dir, "daybook.toml");
await writeFile(config, '[queue.prod-databases]\nquery = "role:prod-* type:database"\nsample = "50 %"\n');
const server = await startServer(["--journal-age", "2s", "--config", config]);
const browser = await startBrowser();
// Something comes in while the pictures are taken, so that there is something to see.
let n = 0;
const timer = setInterval(() => {
  const rate = 20 + Math.round(15 * Math.sin(n / 4));
  const now = new Date().toISOString();
  const events = Array.from({ length: rate }, (_, at) => ({ session: "picture", seq: n * 100 + at, time: now, kind: "terminal.output", text: "\r\n" }));
  if (!n) events.unshift({ session: "picture", time: now, kind: "session.start", user: "robot@example.com", role: "build-runners", type: "ssh" });
  n += 1;
  send(server.url, n === 1 ? events.map((event, seq) => ({ ...event, seq })) : events).catch(() => {});
}, 700);
try {
  await mkdir(directory, { recursive: true });
  const encoder = await (await browser.newContext()).newPage();
  let sum = 0;
  for (const colorScheme of ["light", "dark"]) {
    const page = await openPage(browser, server.url, { colorScheme, viewport: { width: 1280, height: 760 } });
    for (const [name, path, there, act] of VIEWS) {
      await page.goto(server.url + (typeof path === "string" ? path : await path(server.url)));
      await page.locator(there).first().waitFor();
      await act?.(page);
      await page.waitForTimeout(500);
      const png = await page.screenshot({ animations: "disabled", caret: "hide" });
      const webp = Buffer.from(await encoder.evaluate(toWebp, png.toString("base64")), "base64");
      await writeFile(join(directory, `${name}-${colorScheme}.webp`), webp);
      sum += webp.length;
    }
  }
  if (sum > BYTES_MAX) throw new Error(`the pictures have ${sum} bytes, over ${BYTES_MAX}`);
  console.log(`${directory}: ${sum} bytes`);
} finally {
  clearInterval(timer);
  await browser.close();
  await server.stop();
  await rm(dir, { recursive: true, force: true });
}

/** Runs in the browser, which can write WebP. */
async function toWebp(base64) {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.9 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
