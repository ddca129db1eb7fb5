// The page's own small machines, without a browser: `node --test units.mjs`

import assert from "node:assert/strict";
import { test } from "node:test";
import { Screen, runs } from "../../ui/ansi.js";
import { statusOf } from "../../ui/command.js";
import { placeAt } from "../../ui/complete.js";
import { middles, pairs } from "../../ui/diff.js";
import { ago, duration, fullTime, moment, number, plural, splitAtBytes, timeOfDay, visible, visibleLines } from "../../ui/format.js";
import { shellPieces, sqlPieces } from "../../ui/highlight.js";
import { binned } from "../../ui/histogram.js";
import { asksForEvents, errorPlace, listParams, quote, readState, savedQuery, searchQuery, writeState } from "../../ui/query.js";
import { keyNames } from "../../ui/terminal.js";

// A small generator with a fixed seed, so that a failure can be seen again.
let seed = 12345;
const random = (n) => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const PARTS = ["select ", "'it''s'", '"a b"', "--x\n", "/*", "*/", "$$", "$1", " -la", "| ", "; ", "#", "\\", "é", "😀", "\n", "'", '"', "$(", "`", "42", "::", "\x1b[31m", "\x1b", "[", "\r"];
const anyText = () => Array.from({ length: random(12) }, () => PARTS[random(PARTS.length)]).join("");
const screenText = (text) => {
  const screen = new Screen();
  screen.write(text);
  return screen.lines.map((line) => runs(line).map(([piece]) => piece).join("")).join("\n");
};

test("colouring never changes or loses a character", () => {
  for (let turn = 0; turn < 20000; turn += 1) {
    const text = anyText();
    for (const pieces of [sqlPieces, shellPieces]) assert.equal(pieces(text).map(([, piece]) => piece).join(""), text);
  }
});

test("keywords, strings and comments get their kinds", () => {
  assert.deepEqual(sqlPieces("SELECT 'a' -- b").filter(([kind]) => kind),
    [["keyword", "SELECT"], ["string", "'a'"], ["comment", "-- b"]]);
  assert.deepEqual(shellPieces("sudo rm -rf $HOME | wc").filter(([kind]) => kind), [["function", "sudo"],
    ["function", "rm"], ["flag", "-rf"], ["variable", "$HOME"], ["operator", "|"], ["function", "wc"]]);
});

test("byte ranges of UTF-8 mark the same characters in a string", () => {
  for (let turn = 0; turn < 5000; turn += 1) {
    const text = anyText();
    const from = random(text.length + 1);
    const to = from + random(text.length + 1 - from);
    const bytes = (end) => Buffer.byteLength(text.slice(0, end));
    // A range inside a surrogate pair is no range of whole characters.
    if (!text.slice(0, from).isWellFormed?.() || !text.slice(from, to).isWellFormed?.()) continue;
    const pieces = splitAtBytes(text, [[bytes(from), bytes(to)]]);
    assert.equal(pieces.map(([piece]) => piece).join(""), text);
    assert.equal(pieces.filter(([, marked]) => marked).map(([piece]) => piece).join(""), text.slice(from, to));
  }
});

test("a range that cuts a character or lies outside is made whole", () => {
  assert.deepEqual(splitAtBytes("aéb", [[2, 3]]), [["a", false], ["é", true], ["b", false]]);
  assert.deepEqual(splitAtBytes("ab", [[1, 99]]), [["a", false], ["b", true]]);
});

test("a terminal reads the same however its bytes were cut", () => {
  for (let turn = 0; turn < 5000; turn += 1) {
    const text = anyText();
    const cut = random(text.length + 1);
    const screen = new Screen();
    screen.write(text.slice(0, cut));
    screen.write(text.slice(cut));
    if (text.slice(0, cut).isWellFormed?.() === false) continue;
    assert.equal(screen.lines.map((line) => runs(line).map(([piece]) => piece).join("")).join("\n"), screenText(text));
  }
});

test("a terminal overwrites, erases, and drops what is no text", () => {
  assert.equal(screenText("50%\r100%\r\nab\b\bxy\x1b]0;title\x07!"), "100%\nxy!");
  assert.equal(screenText("abc\x1b[2D\x1b[Kd"), "ad");
  assert.equal(screenText("one\x1b[2J\x1b[Htwo"), "one\ntwo");
});

test("a terminal's colours become runs", () => {
  const screen = new Screen();
  screen.write("a\x1b[1;31mb\x1b[0mc\x1b[38;2;1;2;3md");
  const seen = runs(screen.lines[0]).map(([text, style]) => [text, style.classes, style.fg]);
  assert.deepEqual(seen, [["a", "", ""], ["b", "t-bold t-f-1", ""], ["c", "", ""], ["d", "", "rgb(1, 2, 3)"]]);
});

test("keys have names", () => {
  assert.equal(keyNames("ls\r\x03\x1b[A"), "ls⏎^C↑");
});

test("a state survives its URL", () => {
  const url = writeState({ ...readState(""), q: 'a "b" & c', role: ["x,y", "z"], period: "7d", sort: "duration", view: "hits" });
  assert.equal(writeState(readState(url.slice(1))), url);
});

test("filters become parameters of a list and clauses of a search", () => {
  const state = { ...readState(""), q: "a OR b", role: ["x", "y z"], type: ["p,q"] };
  assert.deepEqual(listParams(state).role, ["x", "y z"]);
  assert.equal(listParams(state).q, '(a OR b) type:"p,q"');
  assert.equal(searchQuery(state), '(a OR b) (role:x OR role:"y z") type:"p,q"');
  assert.equal(quote('a"b\\'), '"a\\"b\\\\"');
});

test("an error's bytes are found in the text that was typed", () => {
  assert.deepEqual(errorPlace('é "x', { start: 3, end: 5 }, 'é "x'), [2, 4]);
  assert.deepEqual(errorPlace('é OR "x', { start: 7, end: 99 }, '(é OR "x) role:a'), [5, 7]);
});

test("only what asks for events is a search for hits", () => {
  for (const q of ["drop", 'role:x "drop"', "verdict:blocked", "-secret"]) assert.ok(asksForEvents(q), q);
  for (const q of ["role:x", "user:a OR user:b", "NOT status:open", "after:2026-01-01", "review.status:pending -approver:x"]) assert.ok(!asksForEvents(q), q);
});

test("times and durations read well", () => {
  assert.deepEqual([0, 999, 2400, 61_000, 3_600_000, 90_000_000].map(duration),
    ["0 ms", "999 ms", "2.4 s", "1 m 1 s", "1 h", "1 d 1 h"]);
  const now = Date.parse("2026-03-01T12:00:00Z");
  assert.equal(ago("2026-03-01T11:59:30Z", now), "30 s ago");
  assert.equal(ago("2026-03-01T09:30:00Z", now), "2 h ago");
});

test("a review stands where the server says, and waits before anything was said", () => {
  assert.equal(statusOf(undefined), undefined);
  assert.equal(statusOf({ request: {} }), "pending");
  assert.equal(statusOf({ status: "revoked", decisions: [{ decision: "revoked" }] }), "revoked");
});

test("a completion takes the place of what stands at the caret", () => {
  const at = (text) => {
    const caret = text.indexOf("|");
    const { field, part, from, to } = placeAt(text.replace("|", ""), caret);
    return [field, part, text.replace("|", "").slice(from, to)];
  };
  assert.deepEqual(at("us|"), [null, "us", "us"]);
  assert.deepEqual(at("drop -us|er"), [null, "us", "user"]);
  assert.deepEqual(at("(user:al|"), ["user", "al", "al"]);
  assert.deepEqual(at("role:a,b|c d"), ["role", "b", "bc"]);
  assert.deepEqual(at('role:"two wo|'), ["role", "two wo", '"two wo']);
  assert.deepEqual(at('"a:b" -tag:x| y'), ["tag", "x", "x"]);
  assert.deepEqual(at("user:a |"), [null, "", ""]);
});

test("a completion stays within the text, whatever it is", () => {
  for (let turn = 0; turn < 5000; turn += 1) {
    const text = anyText();
    const caret = random(text.length + 1);
    const { from, to } = placeAt(text, caret);
    assert.ok(from >= 0 && from <= caret && caret <= to && to <= text.length, JSON.stringify([text, caret, from, to]));
  }
});

test("bars lose nothing of the buckets that they are made of", () => {
  const start = Date.parse("2026-01-01T00:00:00Z");
  for (let turn = 0; turn < 500; turn += 1) {
    const width = [1000, 60_000, 86_400_000][random(3)];
    const buckets = Array.from({ length: 1 + random(120) }, (_, at) => {
      const [blocked, approved] = [random(3), random(3)];
      return { start: new Date(start + at * width).toISOString(), count: random(5), commands: blocked + approved + random(9), blocked, approved, pending: 0 };
    });
    const wide = random(2) === 0;
    const until = start + buckets.length * width;
    const bins = binned({ bucket_ms: width, buckets, from: wide ? start - random(1e9) : null, until: wide ? until + random(1e9) : null }, 1 + random(300));
    const sum = (of, name) => of.reduce((all, one) => all + one[name], 0);
    assert.equal(sum(bins, "count"), sum(buckets, "count"));
    assert.equal(sum(bins, "total"), sum(buckets, "commands"));
    assert.equal(sum(bins, "blocked"), sum(buckets, "blocked"));
    assert.equal(sum(bins, "rest"), sum(bins, "total") - sum(bins, "blocked") - sum(bins, "approved"));
    bins.forEach((bin, at) => assert.equal(bin.start, at ? bins[at - 1].end : bin.start));
  }
});

test("the bars of nothing are none, or those of the period", () => {
  assert.deepEqual(binned({ bucket_ms: 1000, buckets: [], from: null, until: null }, 10), []);
  assert.equal(binned({ bucket_ms: 1000, buckets: [], from: 5000, until: 15_000 }, 5).length, 5);
});

test("a saved search keeps a period that is counted back from now", () => {
  const state = readState("?q=a OR b&period=24h&role=x&role=y&after=");
  assert.equal(savedQuery(state), "(a OR b) (role:x OR role:y) since:24h");
});

test("nothing invisible is left in what is shown", () => {
  assert.equal(visible("a\u202eb\u001b[31m\u200b\n"), "a\u2039U+202E\u203ab\u241b[31m\u2039U+200B\u203a\u240a");
  assert.equal(visibleLines("a\tb\n\rc"), "a\tb\n\u240dc");
  assert.equal(visible("é😀 ا"), "é😀 ا");
});

test("what differs is found by the shortest way, and nothing is lost on it", () => {
  const some = () => Array.from({ length: random(9) }, () => "abc"[random(3)]);
  const common = (left, right) => {
    const row = new Array(right.length + 1).fill(0);
    for (const one of left) {
      const above = [...row];
      right.forEach((other, at) => { row[at + 1] = one === other ? above[at] + 1 : Math.max(row[at], above[at + 1]); });
    }
    return row[right.length];
  };
  for (let turn = 0; turn < 5000; turn += 1) {
    const [left, right] = [some(), some()];
    const found = pairs(left, right);
    assert.deepEqual(found.map(([one]) => one).filter(Boolean), left);
    assert.deepEqual(found.map(([, other]) => other).filter(Boolean), right);
    assert.equal(found.filter(([one, other]) => one === other).length, common(left, right), `${left} ${right}`);
  }
  // As long as that takes too long, the rest is replaced.
  const long = Array.from({ length: 3000 }, (_, at) => `${at}`);
  assert.equal(pairs(long, long.map((text) => `x${text}`)).length, 3000);
  assert.deepEqual(middles("aXXb", "aYb"), [["a", "XX", "b"], ["a", "Y", "b"]]);
  assert.deepEqual(middles("aa", "aaa"), [["aa", "", ""], ["aa", "a", ""]]);
});

test("numbers are written as the browser's own formats write them", () => {
  const theirs = new Intl.NumberFormat("en-US");
  const rules = new Intl.PluralRules("en-US");
  for (const n of [0, 1, 999, 1000, 1234567, 12.5, -4321, 0.0004, 1e15, ...Array.from({ length: 2000 }, () => random(1e9) / 10 ** random(5))]) {
    // It has no minus before a zero.
    assert.equal(number(n), theirs.format(n).replace(/^-0$/, "0"), String(n));
    assert.equal(plural(n, "thing"), `${number(n)} ${rules.select(n) === "one" ? "thing" : "things"}`);
  }
  assert.equal(number(undefined), "0");
});

test("times are written as the browser's own formats write them, in any zone", () => {
  const given = process.env.TZ;
  try {
    for (const zone of ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Auckland"]) {
      process.env.TZ = zone;
      const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
      const clock = format({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
      const day = format({ day: "numeric", month: "short", year: "numeric" });
      const weekday = format({ weekday: "short" });
      const offset = format({ timeZoneName: "longOffset" });
      for (let turn = 0; turn < 300; turn += 1) {
        const time = new Date(Date.parse("2015-01-01T00:00:00Z") + random(1e9) * 600);
        const iso = time.toISOString();
        const theirs = day.format(time).replace("Sept", "Sep");
        assert.equal(timeOfDay(iso), clock.format(time));
        assert.equal(moment(iso, Date.parse("2040-06-01T00:00:00Z")), `${theirs} ${clock.format(time).slice(0, 5)}`);
        const away = offset.formatToParts(time).find(({ type }) => type === "timeZoneName").value
          .replace("GMT", "UTC").replace("+00:00", "").replace(/([+-])0(\d)/, "$1$2").replace(":00", "");
        assert.equal(fullTime(iso), `${weekday.format(time)} ${theirs}, ${clock.format(time)} ${away}`);
      }
    }
  } finally {
    if (given === undefined) delete process.env.TZ;
    else process.env.TZ = given;
  }
});
