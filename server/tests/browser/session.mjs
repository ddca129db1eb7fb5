// One session's page in a real browser, against the real binary: commands, timeline, replay, details, live, hostile.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { accessible, closePage, copied, inAddress, openPage, startBrowser, startServer } from "./harness.mjs";

const START = Date.parse("2026-03-01T09:00:00Z");
const at = (ms) => new Date(START + ms).toISOString();

let server;
let browser;
let page;

before(async () => {
  server = await startServer();
  browser = await startBrowser();
  await send(terminal("replay"));
  await send(hostile("hostile"));
  await send(reviewed("reviewed"));
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
  page = await openPage(browser, server.url, { acceptDownloads: true, ...options });
  await page.goto(server.url + path);
}

async function send(events) {
  const lines = events.map((event) => JSON.stringify(event));
  const answer = await fetch(`${server.url}/v1/events`, {
    method: "POST", headers: { "content-type": "application/x-ndjson" }, body: `${lines.join("\n")}\n`,
  });
  const said = await answer.json();
  assert.equal(said.accepted + said.duplicates, events.length, JSON.stringify(said).slice(0, 500));
}

async function api(path, values = {}) {
  const answer = await fetch(`${server.url}${path}?${new URLSearchParams(values)}`);
  return answer.json();
}

const events = (session, list) => list.map(([ms, kind, more], seq) => ({ session, seq, time: at(ms), kind, ...more }));

/** A terminal of two minutes with a long silence in the middle, a resize, and a blocked command. */
const terminal = (id) => events(id, [
  [0, "session.start", { user: "erin@example.com", role: "bastion", type: "ssh", cols: 40, rows: 10 }],
  [500, "terminal.output", { text: "$ \x1b[32mls\x1b[0m\r\n" }],
  [600, "command", { input: "ls", language: "shell", verdict: "passed" }],
  [1000, "terminal.output", { text: "one  two\r\n$ " }],
  [60_000, "terminal.resize", { cols: 60, rows: 12 }],
  [61_000, "command", { input: "drop table cards", language: "sql", verdict: "blocked", rule: "no drops" }],
  [62_000, "terminal.output", { text: "\x1b[2J\x1b[Hneedle 界!\r\n$ " }],
  [119_000, "terminal.output", { text: "bye" }],
  [120_000, "session.end", { status: "done" }],
]);

/** One command waits for a review, one was approved by it. */
const reviewed = (id) => events(id, [
  [0, "session.start", { user: "henry@example.com", role: "db", type: "database" }],
  [1000, "command", { input: "delete from a", language: "sql", verdict: "pending" }],
  [1100, "review.request", { review: "r1", scope: "command", command: 1, groups: ["dba"], reason: "cleanup" }],
  [2000, "review.decision", { review: "r1", decision: "approved", by: "ivy@example.com", comment: "go on" }],
  [3000, "command", { input: "delete from b", language: "sql", verdict: "pending" }],
  [4000, "command", { input: "select 1", language: "sql" }],
]);

const hostile = (id) => events(id, [
  [0, "session.start", { user: "<img src=x onerror=alert(1)>", role: "</title><script>alert(1)</script>", type: "database" }],
  [1000, "command", { input: "<script>alert(1)</script> \u202Egpj.exe\u202C end", language: "sql", verdict: "blocked", rule: "<b>rule</b>" }],
  [2000, "command", { input: "select 1", language: "sql" }],
  [2100, "output", { command: 2, stream: "result", text: " <i>a</i> | b\n----------+---\n <b>1</b> | 2\n(1 row)\n" }],
  [2200, "output", { command: 2, stream: "stdout", text: `\x1b]0;title\x07\x1b[2J\x1b[31m<u>red</u>\x1b[0m\x1b]52;c;AAAA\x07` }],
  [3000, "command", { input: "cat big", language: "shell" }],
  [3100, "output", { command: 5, stream: "stdout", text: "x".repeat(10_000_000) }],
  [4000, "session.end", { status: "failed", reason: "<img src=x>" }],
]);

const screen = async () => (await page.locator(".screen-rows").innerText()).replace(/\s+$/, "");
const sees = (text) => page.locator(".screen-rows", { hasText: text }).waitFor({ timeout: 8000 });
const noMarkup = async () => assert.equal(await page.locator("main img, main script, main b, main i:not([class]), main u").count(), 0);

test("commands, timeline, replay and details are tabs with links of their own, and keys", async () => {
  await open("/sessions/replay");
  await page.locator(".event.command").first().waitFor();
  const tabs = await page.locator("[role=tab]").allTextContents();
  assert.deepEqual(tabs, ["Commands", "Timeline", "Replay", "Session Details"]);
  for (const [key, tab, seen] of [["2", "timeline", ".axis .spot"], ["3", "replay", ".screen"], ["4", "details", ".details"], ["1", null, ".event.command"]]) {
    await page.keyboard.press(key);
    await page.locator(seen).first().waitFor();
    await inAddress(page, "tab", ...(tab ? [tab] : []));
  }
});

test("a replay shows the screen of the moment in the URL", async () => {
  await open(`/sessions/replay?tab=replay&at=${at(1500)}`);
  await sees("one  two");
  assert.equal(await screen(), "$ ls\none  two\n$");
  assert.equal(await page.getAttribute(".screen", "data-size"), "40x10");
  assert.equal(await page.textContent(".replay-time"), "0:01 / 2:00");
});

test("a seek goes anywhere at once, forwards and back, over a resize", async () => {
  await open("/sessions/replay?tab=replay");
  await page.locator(".screen-row").first().waitFor();
  const seek = (ms) => page.locator(".bar-range").evaluate((slider, value) => {
    slider.value = String(value);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    slider.dispatchEvent(new Event("change", { bubbles: true }));
  }, ms);
  await seek(100_000);
  await sees("needle 界!");
  assert.equal(await page.getAttribute(".screen", "data-size"), "60x12");
  await inAddress(page, "at", at(100_000));
  await seek(700);
  await sees("$ ls");
  assert.equal(await screen(), "$ ls");
  assert.equal(await page.getAttribute(".screen", "data-size"), "40x10");
  await seek(120_000);
  await sees("bye");
  // A wide character takes two columns.
  const widths = await page.evaluate(() => {
    const wide = document.querySelector(".screen .wide");
    return [wide.getBoundingClientRect().width, Number.parseFloat(getComputedStyle(document.querySelector(".screen-rows")).width) / 60];
  });
  assert.ok(Math.abs(widths[0] / widths[1] - Math.round(widths[0] / widths[1])) < 0.1, widths.join(" of "));
});

test("a replay plays, skips what is idle, is as fast as is asked, and ends", async () => {
  await open("/sessions/replay?tab=replay&speed=4");
  await page.locator(".screen-row").first().waitFor();
  assert.equal(await page.inputValue(".replay-speed"), "4");
  const began = Date.now();
  await page.keyboard.press(" ");
  await page.locator("button[aria-label=Pause]").waitFor();
  await sees("one  two");
  await sees("bye");
  await page.locator("button[aria-label=Play]").waitFor({ timeout: 8000 });
  assert.ok(Date.now() - began < 12_000, "two minutes with a minute of silence twice, at four times the speed");
  assert.equal(await page.textContent(".replay-time"), "2:00 / 2:00");
  await page.keyboard.press("+");
  await inAddress(page, "speed", "8");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.querySelector(".replay-time").textContent.startsWith("0:00"));
});

test("the speed is the recording's own at 1×", async () => {
  await open(`/sessions/replay?tab=replay&at=${at(100_000)}`);
  await sees("needle");
  await page.uncheck(".replay-idle input");
  const position = () => page.$eval(".bar-range", (slider) => Number(slider.value));
  const [from, clock] = [await position(), Date.now()];
  await page.keyboard.press(" ");
  await page.waitForTimeout(2000);
  await page.keyboard.press(" ");
  const [moved, passed] = [await position() - from, Date.now() - clock];
  assert.ok(Math.abs(moved - passed) < 500, `${moved} ms in ${passed} ms`);
});

test("the bar has markers, and keys go from one to the next", async () => {
  await open("/sessions/replay?tab=replay&q=cards");
  await page.locator(".mark.m-blocked").first().waitFor();
  await page.locator(".bar-marks .mark.m-hit").first().waitFor();
  await page.keyboard.press("]");
  await page.waitForFunction((value) => new URL(location).searchParams.get("at") === value, at(600));
  await page.keyboard.press("]");
  await page.waitForFunction((value) => new URL(location).searchParams.get("at") === value, at(61_000));
  await page.keyboard.press("[");
  await page.waitForFunction((value) => new URL(location).searchParams.get("at") === value, at(600));
  await page.keyboard.press("n");
  await page.waitForFunction((value) => new URL(location).searchParams.get("at") === value, at(61_000));
});

test("a session without a terminal is played by its commands", async () => {
  await open(`/sessions/hostile?tab=replay&at=${at(1500)}`);
  await sees("sql> <script>alert(1)</script>");
  await page.locator(".replay-status:has-text('no terminal')").waitFor();
  await noMarkup();
});

test("a live session is followed on its screen and in its list", async () => {
  const id = `live-${Date.now()}`;
  const one = (seq, kind, more) => send([{ session: id, seq, time: new Date().toISOString(), kind, ...more }]);
  await one(0, "session.start", { user: "frank@example.com", role: "bastion", type: "ssh", cols: 40, rows: 8 });
  await one(1, "terminal.output", { text: "first\r\n" });
  await open(`/sessions/${id}?tab=replay`);
  await page.locator(".screen-row").first().waitFor();
  await page.click(".replay-live");
  await sees("first");
  await one(2, "terminal.output", { text: "second\r\n" });
  await sees("second");
  await one(3, "terminal.output", { text: "third\r\n" });
  await sees("third");
  await one(4, "session.end", { status: "done" });
  await page.locator(".replay-live").waitFor({ state: "hidden", timeout: 8000 });
});

test("the timeline has lanes, folds gaps, zooms, and a click goes to the moment", async () => {
  await open("/sessions/replay?tab=timeline");
  await page.locator(".spot.m-blocked").waitFor();
  assert.ok(await page.locator(".gap").count() >= 1);
  const width = () => page.$eval(".lanes", (lanes) => lanes.getBoundingClientRect().width);
  const before = await width();
  await page.keyboard.press("+");
  await page.waitForFunction((old) => document.querySelector(".lanes").getBoundingClientRect().width > old * 1.5, before);
  await inAddress(page, "zoom", "2");
  await page.click(".spot.m-blocked");
  await page.locator(".axis-row code", { hasText: "drop table cards" }).first().waitFor();
  await inAddress(page, "at", at(61_000));
  await page.locator(".axis-row", { hasText: "drop table cards" }).locator("a[title='Replay from here']").click();
  await page.locator(".screen").waitFor();
  await inAddress(page, "tab", "replay");
});

test("find and the verdict narrow the commands, and what is found is marked", async () => {
  await open("/sessions/replay");
  await page.locator(".event.command").first().waitFor();
  await page.keyboard.press("f");
  await page.keyboard.type("cards");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll(".event.command").length === 1);
  await inAddress(page, "q", "cards");
  assert.ok(await page.evaluate(() => CSS.highlights.get("find")?.size) >= 1);
  await page.click(".segments button:has-text('Passed')");
  await page.locator(".state:has-text('Nothing in this session matches')").waitFor();
  await page.click(".state button");
  await page.waitForFunction(() => document.querySelectorAll(".event.command").length === 2);
});

test("a command that its review approved says by whom, and is found as approved", async () => {
  await open("/sessions/reviewed");
  await page.locator(".event.command").nth(2).waitFor();
  assert.match(await page.locator(".v-approved .badge").first().textContent(), /approved by ivy@example\.com/);
  const narrowed = async (name, input) => {
    await page.click(`.segments button:has-text('${name}')`);
    await page.waitForFunction((text) => {
      const all = [...document.querySelectorAll(".event.command .input")];
      return all.length === 1 && all[0].textContent === text;
    }, input);
  };
  await narrowed("Approved", "delete from a");
  await narrowed("Pending", "delete from b");
  await narrowed("Passed", "select 1");
  await page.click(".segments button:has-text('Rejected')");
  await page.locator(".state:has-text('Nothing in this session matches')").waitFor();
  await page.goto(`${server.url}/sessions/reviewed?tab=timeline`);
  await page.locator(".spot.m-review").first().waitFor();
  assert.ok((await page.textContent(".axis-list")).includes("approved"));
});

test("the time of an event is a link to it, and a command can be replayed from there", async () => {
  await open("/sessions/replay");
  const command = page.locator(".event.command", { hasText: "drop table cards" });
  await command.locator(".event-time").click();
  await page.locator(".event.marked[data-seq='5']").waitFor();
  await inAddress(page, "seq", "5");
  await command.hover();
  await command.locator(".replay-link").click();
  await page.locator(".screen").waitFor();
  await page.waitForFunction(() => document.querySelector(".replay-time").textContent.startsWith("1:01"));
});

test("details say what covers the session, and link to its proof", async () => {
  await open("/sessions/replay?tab=details");
  const details = page.locator(".details");
  await details.waitFor();
  const text = await details.textContent();
  for (const part of ["erin@example.com", "bastion", "2 commands · 1 blocked", "Checkpoint", "covered"]) assert.ok(text.includes(part), part);
  assert.equal(await details.locator("a:has-text('verify')").getAttribute("href"), "/v1/sessions/replay/proof");
});

test("a session is downloaded in each form", async () => {
  await open("/sessions/replay");
  await page.locator(".event.command").first().waitFor();
  for (const [label, test] of [["NDJSON", /"kind":"session\.start"/], ["Text", /^session  replay/], ["v2", /^\{"version":2/], ["v3", /^\{"version":3/],
    ["HTML", /^<!doctype html>/], ["Parquet", /^PAR1/]]) {
    await page.click(".drop summary");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`.drop a:has-text('${label}')`)]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    assert.match(Buffer.concat(chunks).toString("latin1"), test);
  }
});

test("the ID and the link to the moment are copied", async () => {
  await open(`/sessions/replay?tab=replay&at=${at(61_500)}`, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.locator(".screen-row").first().waitFor();
  await page.waitForFunction(() => document.querySelector(".replay-time").textContent.startsWith("1:01"));
  await page.click("button[aria-label='Copy the session ID']");
  assert.equal(await copied(page), "replay");
  await page.keyboard.press("y");
  const link = new URL(await copied(page, "replay"));
  assert.equal(link.searchParams.get("at"), at(61_500));
});

test("markup, escape sequences, turned text and a line of 10 MB are shown inert", async () => {
  await open("/sessions/hostile");
  await page.locator(".event.command").nth(2).waitFor();
  await noMarkup();
  const input = page.locator(".command .input").first();
  assert.ok((await input.textContent()).includes("<script>alert(1)</script>"));
  assert.equal(await input.locator(".turn").count(), 2);
  assert.equal(await page.locator("table.result td").first().textContent(), "<b>1</b>");
  assert.ok((await page.locator(".output").first().textContent()).includes("<u>red</u>"));
  const big = page.locator(".event.command").nth(2);
  const began = Date.now();
  await big.locator(".unfold").click();
  assert.ok((await big.locator(".output").textContent()).length < 400_000);
  assert.ok(Date.now() - began < 5000, "a long line takes long to show");
  for (const tab of ["timeline", "details"]) {
    await page.goto(`${server.url}/sessions/hostile?tab=${tab}`);
    await page.locator(tab === "timeline" ? ".axis-row" : ".details").first().waitFor();
    await noMarkup();
  }
  assert.ok(!(await page.title()).includes("\n"));
});

test("100,000 commands scroll with few elements, and both ends are a key away", async () => {
  const id = "long";
  const total = 100_000;
  const list = [{ session: id, seq: 0, time: at(0), kind: "session.start", user: "grace@example.com", role: "db", type: "database" }];
  for (let seq = 1; seq <= total; seq += 1) {
    list.push({ session: id, seq, time: at(seq * 100), kind: "command", input: `select ${seq} from t`, language: "sql",
      verdict: seq % 1000 === 0 ? "blocked" : "passed" });
  }
  for (let from = 0; from < list.length; from += 20_000) await send(list.slice(from, from + 20_000));
  const began = Date.now();
  await open(`/sessions/${id}`);
  await page.locator(".event.command").nth(20).waitFor();
  assert.ok(Date.now() - began < 5000, `the first commands took ${Date.now() - began} ms`);
  let most = 0;
  for (let turn = 0; turn < 40; turn += 1) {
    await page.evaluate(() => scrollBy(0, 4000));
    await page.waitForTimeout(50);
    most = Math.max(most, await page.locator(".event").count());
  }
  assert.ok(await page.evaluate(() => scrollY) > 60_000, "it scrolled far");
  assert.ok(most < 1500, `${most} events were elements at once`);
  const text = await page.locator(".event.command .input").last().textContent();
  assert.ok(Number(/\d+/.exec(text)[0]) > 1000, text);
  // Back up: what was let go is there again.
  await page.evaluate(() => scrollTo(0, 0));
  await page.locator(".event.command .input", { hasText: /^select 1 from t$/ }).waitFor();
  await page.keyboard.press("End");
  await page.locator(".event.command .input", { hasText: `select ${total} from t` }).waitFor();
  for (let turn = 0; turn < 10; turn += 1) {
    await page.evaluate(() => scrollBy(0, -3000));
    await page.waitForTimeout(80);
  }
  const seqs = (await page.locator(".event.command").evaluateAll((all) => all.map((one) => Number(one.dataset.seq))));
  assert.ok(seqs.every((seq, place) => !place || seq > seqs[place - 1]), "they are in order");
  await page.click(".segments button:has-text('Blocked')");
  await page.waitForFunction(() => document.querySelectorAll(".event.v-blocked").length === 100);
  // A moment in the middle is shown at once.
  await page.goto(`${server.url}/sessions/${id}?at=${at(5_000_000)}`);
  await page.locator(".event.command .input", { hasText: "select 50000 from t" }).waitFor();
  const replayed = await api(`/v1/sessions/${id}/replay`, { at: at(5_000_000), limit: 1 });
  assert.ok(replayed.frames[0].lines.some((line) => line.runs.some((run) => run.text.includes("select 50000"))));
  assert.ok(replayed.markers.length <= 1000);
});

test("a long terminal is drawn to its end before somebody goes there", async () => {
  const id = "long-terminal";
  const text = `${"\x1b[32m.\x1b[0m ".repeat(90)}\r\n`;
  for (let first = 0; first < 24_000; first += 4_000) {
    await send(Array.from({ length: 4_000 }, (_, n) => ({
      session: id, seq: first + n, time: at((first + n) * 100), kind: "terminal.output", text })));
  }
  page = await openPage(browser, server.url);
  const answers = [];
  page.on("response", (response) => response.url().includes("/replay") && answers.push(response.json().catch(() => null)));
  await page.goto(`${server.url}/sessions/${id}?tab=replay`);
  // The first page, then one after the other until the end is reached.
  for (const deadline = Date.now() + 60_000; ;) {
    const pages = await Promise.all([...answers]);
    if (pages.length > 2 && pages.at(-1)?.frames.length) break;
    assert.ok(Date.now() < deadline, `${pages.length} answers, and the end is not reached`);
    await page.waitForTimeout(100);
  }
  const far = await api(`/v1/sessions/${id}/replay`, { at: at(2_390_000), limit: 1 });
  assert.equal(far.frames.length, 1, "whoever goes there now sees it at once");
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing in any tab, ${colorScheme}`, async () => {
    await open("/sessions/replay", { colorScheme, reducedMotion: "reduce" });
    for (const width of [1440, 360]) {
      await page.setViewportSize({ width, height: 900 });
      for (const [path, seen] of [["replay", ".event.command"], ["reviewed", ".event.command"], ["replay?tab=timeline", ".spot"],
        ["replay?tab=replay", ".screen-row"], ["replay?tab=details", ".details"]]) {
        await page.goto(`${server.url}/sessions/${path}`);
        await page.locator(seen).first().waitFor();
        await page.waitForTimeout(200);
        await accessible(page, `${path} ${colorScheme} at ${width} pixels`);
      }
    }
  });
}

for (const [name, width, height] of [["a phone of 360 px", 360, 740], ["4K", 3840, 2160]]) {
  test(`every tab fits ${name}`, async () => {
    await open("/sessions/replay", { viewport: { width, height } });
    for (const [tab, seen] of [["", ".event.command"], ["timeline", ".spot"], ["replay", ".screen-row"], ["details", ".details"]]) {
      await page.goto(`${server.url}/sessions/replay${tab && `?tab=${tab}`}`);
      await page.locator(seen).first().waitFor();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `${tab || "commands"} is ${over} px too wide`);
    }
  });
}
