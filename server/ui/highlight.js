// Colours for commands: a small lexer for SQL and one for shells. It only cuts the text into pieces;
// what it does not know stays plain, and no character is ever changed or lost.

import { h } from "./dom.js";

// Beyond this the colours are not worth the elements.
const LENGTH_MAX = 20000;

const SQL_WORDS = new Set(("abort add all alter analyze and any as asc attach begin between by call case cast "
  + "check close cluster collate column comment commit conflict constraint copy create cross current cursor "
  + "database deallocate declare default delete desc describe detach distinct do drop else end except exclude "
  + "execute exists explain extension fetch filter first following for foreign from full function grant group "
  + "grouping having if ilike import in index inherits inner insert intersect into is isnull join key last lateral "
  + "left like limit listen lock materialized merge natural not nothing notify null nulls of off offset on only or "
  + "order outer over owner partition pragma preceding prepare primary procedure public recursive references "
  + "refresh release rename replace reset restrict returning returns revoke right role rollback row rows savepoint "
  + "schema select sequence session set show some start table tables tablespace temp temporary then to trigger "
  + "truncate type unbounded union unique unlogged update use using vacuum values view when where window with "
  + "work true false").split(" "));

const SQL = [
  ["comment", /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y],
  ["string", /[eEbBxXnN]?'(?:[^'\\]|''|\\[\s\S])*(?:'|$)|\$(\w*)\$[\s\S]*?(?:\$\1\$|$)/y],
  ["name", /"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$)/y],
  ["variable", /\$\d+|:\w+(?!\w*:)|@\w+/y],
  ["number", /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/y],
  ["word", /[\p{L}_][\p{L}\p{N}_$]*/uy],
  ["operator", /::|[-+*/<>=~!@#%^&|?]+/y],
];

const SHELL_WORDS = new Set(("if then else elif fi for in do done while until case esac function return break continue "
  + "select time export local readonly declare unset").split(" "));

const SHELL = [
  ["comment", /#(?!\{)[^\n]*/y],
  ["string", /'[^']*(?:'|$)|\$?"(?:[^"\\]|\\[\s\S])*(?:"|$)/y],
  ["variable", /\$\{[^}]*\}?|\$\w+|\$[@*#?$!-]|%\w+%/y],
  ["operator", /\|\|?|&&?|;;?|\$\(|[()`]|\d?>{1,2}&?\d?|<{1,3}|\\\n/y],
  ["flag", /--?[\p{L}\p{N}][\p{L}\p{N}_-]*/uy],
  ["word", /(?:[^\s|&;()<>$"'`\\]|\\[\s\S])+/y],
];

const LANGUAGES = {
  sql: sqlPieces, postgres: sqlPieces, mysql: sqlPieces,
  shell: shellPieces, sh: shellPieces, bash: shellPieces, kubectl: shellPieces, kubernetes: shellPieces,
};

/** A command's text as nodes, coloured for its language. */
export function highlight(text, language) {
  const pieces = LANGUAGES[String(language ?? "").toLowerCase()];
  if (!pieces || text.length > LENGTH_MAX) return [text];
  return pieces(text).map(([kind, piece]) => (kind ? h("span", { class: `h-${kind}` }, piece) : piece));
}

/** Cuts `text` by the first rule that fits at each place: `[[kind, piece, at], ...]`. */
function lex(text, rules, allowed) {
  const pieces = [];
  let plain = 0;
  let at = 0;
  while (at < text.length) {
    let found = null;
    for (const [kind, rule] of rules) {
      if (allowed && !allowed(kind, text, at)) continue;
      rule.lastIndex = at;
      const match = rule.exec(text);
      if (match?.[0]) {
        found = [kind, match[0]];
        break;
      }
    }
    if (!found) {
      at += 1;
      continue;
    }
    if (plain < at) pieces.push(["", text.slice(plain, at)]);
    pieces.push(found);
    at += found[1].length;
    plain = at;
  }
  if (plain < text.length) pieces.push(["", text.slice(plain)]);
  return pieces;
}

/** SQL in pieces of `[kind, text]`. */
export function sqlPieces(text) {
  const pieces = lex(text, SQL);
  return pieces.map(([kind, piece], at) => {
    if (kind !== "word") return [kind, piece];
    if (SQL_WORDS.has(piece.toLowerCase())) return ["keyword", piece];
    return pieces[at + 1]?.[1].startsWith("(") ? ["function", piece] : ["", piece];
  });
}

// `#` and `-` mean something only where a word begins.
function startsWord(kind, text, at) {
  return (kind !== "comment" && kind !== "flag") || at === 0 || /[\s;|&(]/.test(text[at - 1]);
}

/** Shell in pieces of `[kind, text]`. */
export function shellPieces(text) {
  let first = true;
  return lex(text, SHELL, startsWord).map(([kind, piece]) => {
    if (kind === "operator") {
      first = /[|&;(`]/.test(piece);
      return [kind, piece];
    }
    if (!kind) {
      if (piece.includes("\n")) first = true;
      return ["", piece];
    }
    if (kind !== "word") {
      if (kind !== "comment" && kind !== "variable") first = false;
      return [kind, piece];
    }
    if (SHELL_WORDS.has(piece)) return ["keyword", piece];
    const isCommand = first && !/^[\p{L}_]\w*=/u.test(piece);
    if (isCommand) first = piece === "sudo" || piece === "exec" || piece === "env";
    return [isCommand ? "function" : "", piece];
  });
}
