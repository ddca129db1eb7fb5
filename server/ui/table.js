// Result tables as psql and mysql print them, read back into rows.

const PSQL_RULE = /^-+(?:\+-+)*\s*$/;
const MYSQL_RULE = /^\+(?:-+\+)+\s*$/;
const PSQL_END = /^\(\d+ rows?\)$/;

/** `{columns, rows, after}` of a text that is one table, with what stands behind it; null for any other text. */
export function readTable(text) {
  const lines = text.replace(/\r\n/g, "\n").replace(/\n+$/, "").split("\n");
  if (lines.length < 2) return null;
  if (PSQL_RULE.test(lines[1])) return psql(lines);
  return MYSQL_RULE.test(lines[0]) && MYSQL_RULE.test(lines[2] ?? "") ? mysql(lines) : null;
}

function psql(lines) {
  const edges = places(lines[1], "+");
  const cut = (line) => cells(line, edges);
  const columns = cut(lines[0]);
  if (!columns) return null;
  const rows = [];
  let at = 2;
  for (; at < lines.length && lines[at] !== "" && !PSQL_END.test(lines[at]); at += 1) {
    const row = cut(lines[at]);
    // A value with a line break, or wide characters: then the text is clearer as it is.
    if (!row) return null;
    rows.push(row);
  }
  return { columns, rows, after: lines.slice(at).filter(Boolean).join("\n") };
}

function mysql(lines) {
  const edges = places(lines[0], "+");
  const cut = (line) => (line.startsWith("|") && line.trimEnd().endsWith("|")
    ? cells(line.trimEnd().slice(1, -1), edges.slice(1, -1).map((edge) => edge - 1)) : null);
  const columns = cut(lines[1]);
  if (!columns) return null;
  const rows = [];
  let at = 3;
  for (; at < lines.length && !MYSQL_RULE.test(lines[at]); at += 1) {
    const row = cut(lines[at]);
    if (!row) return null;
    rows.push(row);
  }
  return { columns, rows, after: lines.slice(at + 1).filter(Boolean).join("\n") };
}

function places(text, mark) {
  const out = [];
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1)) out.push(at);
  return out;
}

/** The cells of a line between edges, at each of which it has a bar. */
function cells(line, edges) {
  if (edges.some((edge) => line[edge] !== "|")) return null;
  const bounds = [-1, ...edges, line.length];
  return bounds.slice(1).map((to, at) => line.slice(bounds[at] + 1, to).trim());
}

/** Is every value of a column a number, or missing? */
export const isNumeric = (rows, column) => rows.length > 0
  && rows.every((row) => /^$|^NULL$|^-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?%?$/i.test(row[column]));
