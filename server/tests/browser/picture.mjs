// Takes the README's picture: `node picture.mjs [session id]` writes docs/page.png.

import { mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openPage, startBrowser, startServer } from "./harness.mjs";

const BYTES_MAX = 300 * 1024;
const docs = join(resolve(dirname(fileURLToPath(import.meta.url)), "../../.."), "docs");

const server = await startServer();
const browser = await startBrowser();
try {
  const page = await openPage(browser, server.url);
  const id = process.argv[2];
  await page.goto(server.url + (id ? `/sessions/${encodeURIComponent(id)}` : "/"));
  await page.locator(id ? ".event" : "table.sessions tbody tr").first().waitFor();
  await page.waitForTimeout(300);
  await mkdir(docs, { recursive: true });
  const path = join(docs, "page.png");
  await page.screenshot({ path, animations: "disabled" });
  const { size } = await stat(path);
  if (size > BYTES_MAX) throw new Error(`${path} has ${size} bytes, over ${BYTES_MAX}`);
  console.log(`${path}: ${size} bytes`);
} finally {
  await browser.close();
  await server.stop();
}
