// Marks what is looked for in the texts that are shown, without touching them: by the browser's own highlights.

/** The words and quoted texts of a query that stand for themselves. */
export function termsOf(query) {
  const terms = [];
  for (const [, sign, quoted, word] of query.matchAll(/(-|NOT\s+)?(?:"((?:[^"\\]|\\.)*)"|(\S+))/g)) {
    if (sign) continue;
    if (quoted !== undefined) terms.push(quoted.replace(/\\(["\\])/g, "$1"));
    else if (!/^(AND|OR|NOT)$|[:~=()*]/.test(word)) terms.push(word);
  }
  return terms.filter((term) => term.length > 1).map((term) => term.toLowerCase());
}

const RANGES_MAX = 2000;

/** Marks the terms of a query in an element; an empty query takes the marks away. */
export function markTerms(element, query) {
  if (!globalThis.CSS?.highlights) return;
  const terms = termsOf(query ?? "");
  CSS.highlights.delete("find");
  if (!terms.length) return;
  const highlight = new Highlight();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && highlight.size < RANGES_MAX) {
    const node = walker.currentNode;
    const text = node.data.toLowerCase();
    // Lower case may be longer than what it is of.
    if (text.length !== node.length) continue;
    for (const term of terms) {
      for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + term.length)) {
        highlight.add(new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: at + term.length }));
      }
    }
  }
  CSS.highlights.set("find", highlight);
}
