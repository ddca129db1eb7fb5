// The session page's small machines, without a browser: the player, the axis, tables, terms. `node --test player.mjs`

import assert from "node:assert/strict";
import { test } from "node:test";
import { foldGaps } from "../../ui/axis.js";
import { Player } from "../../ui/player.js";
import { readTable } from "../../ui/table.js";
import { termsOf } from "../../ui/terms.js";

/** A recording: the screen of moment `t` is the text of the last frame at or before it. */
function recording(times, { live = () => false, size = 3 } = {}) {
  const line = (t) => [{ row: 0, runs: [{ text: `at ${t}` }] }];
  const frame = (t) => ({ time_ms: t, cols: 9, rows: 1, cursor: null, lines: line(t) });
  const calls = [];
  const page = (from) => {
    const some = times.slice(from, from + size);
    const end = from + some.length;
    return {
      started_at: "2026-03-01T00:00:00Z", duration_ms: times.at(-1), source: "terminal",
      frames: [frame(from ? times[from - 1] : 0), ...some.map(frame)],
      next_cursor: end < times.length || live() ? String(end) : null,
    };
  };
  return {
    calls,
    async load({ at, cursor }) {
      calls.push(at ?? cursor);
      if (cursor !== undefined) return page(Number(cursor));
      return page(times.filter((t) => t <= at).length);
    },
  };
}

function playerOf(of) {
  let clock = 0;
  const shown = [];
  const player = new Player({
    load: of.load, changed() {}, now: () => clock,
    show: (picture) => shown.push(picture.lines[0][0].text),
  });
  const pass = async (ms, step = 20) => {
    for (let passed = 0; passed < ms; passed += step) {
      clock += step;
      player.tick();
      await new Promise((done) => setImmediate(done));
    }
  };
  return { player, shown, pass };
}

test("a seek to any moment shows the frame of that moment, however it is come to", async () => {
  const times = Array.from({ length: 50 }, (_, n) => n * 137 + (n % 7) * 20);
  const { player, shown, pass } = playerOf(recording(times));
  await player.fetchFrom(0);
  let seed = 7;
  for (let turn = 0; turn < 300; turn += 1) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const ms = seed % 7000;
    await player.seek(ms);
    await pass(seed % 100);
    const wanted = times.filter((t) => t <= Math.min(ms, player.duration)).at(-1) ?? 0;
    assert.equal(shown.at(-1), `at ${wanted}`, `sought ${ms}`);
  }
});

test("a moment that is loaded needs no request", async () => {
  const of = recording([100, 200, 300]);
  const { player, shown } = playerOf(of);
  await player.fetchFrom(0);
  await player.seek(250);
  await player.seek(120);
  assert.deepEqual(of.calls, [0]);
  assert.equal(shown.at(-1), "at 100");
});

test("time goes on as fast as is asked, and stands at the end", async () => {
  const times = Array.from({ length: 100 }, (_, n) => n * 100);
  for (const speed of [0.5, 1, 4, 16]) {
    const { player, shown, pass } = playerOf(recording(times, { size: 30 }));
    player.speed = speed;
    await player.fetchFrom(0);
    player.play();
    await pass(600);
    assert.ok(Math.abs(player.position - Math.min(600 * speed, 9900)) <= 40 * speed, `${player.position} at ${speed}`);
    await pass(9900 / speed);
    assert.equal(player.position, 9900);
    assert.equal(player.playing, false);
    assert.equal(shown.at(-1), "at 9900");
  }
});

test("idle time is skipped, and only if that is asked", async () => {
  for (const [skips, takes] of [[true, 4000], [false, 62_000]]) {
    const { player, pass } = playerOf(recording([100, 60_000]));
    player.skipsIdle = skips;
    await player.fetchFrom(0);
    player.play();
    await pass(takes, 50);
    assert.equal(player.playing, false, `idle is ${skips ? "" : "not "}skipped`);
    assert.equal(player.position, 60_000);
  }
});

test("a moment far away is asked for until there are frames", async () => {
  const of = recording([100, 200]);
  let empty = 3;
  const { player, shown } = playerOf({ load: async (asked) => (empty-- > 0
    ? { duration_ms: 200, frames: [], next_cursor: "1" } : of.load(asked)) });
  await player.fetchFrom(150);
  assert.equal(player.waits, "");
  assert.equal(shown.at(-1), "at 100");
});

test("what fails is said, and a live session is asked again", async () => {
  const times = [100];
  const of = recording(times, { live: () => true });
  let broken = false;
  const { player, shown, pass } = playerOf({ load: async (asked) => {
    if (broken) throw new Error("away");
    return of.load(asked);
  } });
  await player.fetchFrom(0);
  player.play();
  await pass(300);
  broken = true;
  await pass(1500);
  assert.equal(player.problem?.message, "away");
  broken = false;
  times.push(900, 1400);
  await pass(5000);
  assert.equal(player.problem, null);
  assert.equal(shown.at(-1), "at 1400");
});

test("an axis keeps the order of moments and folds what is empty", () => {
  const times = [0, 1000, 5000, 3_600_000, 3_601_000, 7_200_000];
  const axis = foldGaps(times, 7_200_000, 1000);
  assert.equal(axis.gaps.length, 2);
  const places = times.map(axis.place);
  assert.ok(places.every((x, n) => !n || x >= places[n - 1]), places.join());
  assert.ok(Math.abs(axis.place(7_200_000) - 1000) < 1);
  assert.ok(places[2] - places[1] > 50, "what happened has room");
});

test("tables of psql and mysql are read, and other texts are not", () => {
  assert.deepEqual(readTable(" id | name\n----+------\n  1 | a b\n  2 |\n(2 rows)\n"),
    { columns: ["id", "name"], rows: [["1", "a b"], ["2", ""]], after: "(2 rows)" });
  assert.deepEqual(readTable(" count\n-------\n 7\n(1 row)\n"), { columns: ["count"], rows: [["7"]], after: "(1 row)" });
  assert.deepEqual(readTable("+----+---+\n| a  | b |\n+----+---+\n| 1  | | |\n+----+---+\n1 row in set\n"),
    { columns: ["a", "b"], rows: [["1", "|"]], after: "1 row in set" });
  for (const text of ["", "a", "a\nb", "-----", "a | b\n--+--+--\n1 | 2", " id | name\n----+------\n  1 | a\nb | c\n"]) {
    assert.equal(readTable(text), null, text);
  }
});

test("the terms of a query are those that stand for themselves", () => {
  assert.deepEqual(termsOf('drop "from Cards" -secret NOT other user:x /etc/shadow AND ~"a.*b" OR in*'),
    ["drop", "from cards", "/etc/shadow"]);
});
