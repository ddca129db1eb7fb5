// What differs between two lists: the shortest way from one to the other, as pairs that stand beside each other.

/** Over this many comparisons the rest is taken as replaced: the browser would be busy with it for long. */
const COMPARISONS = 1_000_000;

/**
 * Pairs `[left, right]` in order; `undefined` where the other side has nothing to it. Texts that are equal on both sides
 * are `same`; what was taken away and what came in its place stand beside each other.
 */
export function pairs(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let a = left.length;
  let b = right.length;
  while (a > start && b > start && left[a - 1] === right[b - 1]) {
    a -= 1;
    b -= 1;
  }
  const out = left.slice(0, start).map((text) => [text, text]);
  out.push(...between(left.slice(start, a), right.slice(start, b)));
  out.push(...left.slice(a).map((text) => [text, text]));
  return out;
}

function between(left, right) {
  if (!left.length || !right.length || left.length * right.length > COMPARISONS) return replaced(left, right);
  // longest[i * width + j]: how much of left from i on and right from j on is common, in order.
  const width = right.length + 1;
  const longest = new Uint32Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = left[i] === right[j] ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const out = [];
  let [i, j] = [0, 0];
  let [gone, come] = [[], []];
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      out.push(...replaced(gone, come), [left[i], right[j]]);
      [gone, come] = [[], []];
      i += 1;
      j += 1;
    } else if (j >= right.length || (i < left.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      gone.push(left[i]);
      i += 1;
    } else {
      come.push(right[j]);
      j += 1;
    }
  }
  return [...out, ...replaced(gone, come)];
}

const replaced = (left, right) => Array.from({ length: Math.max(left.length, right.length) }, (_, at) => [left[at], right[at]]);

/** The middle of each of two texts that the other has not: `[[before, middle, after], ...]`. */
export function middles(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < Math.min(left.length, right.length) - start && left.at(-1 - end) === right.at(-1 - end)) end += 1;
  return [left, right].map((text) => [text.slice(0, start), text.slice(start, text.length - end), text.slice(text.length - end)]);
}
