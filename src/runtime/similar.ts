/**
 * What a word from outside may have been meant to be: for "Did you mean …?" where commander, which
 * asks so of commands and flags, is not at hand. Its measure: at most three edits, and in fewer
 * than six letters of ten. Case, dashes and underlines count for nothing, in which programs differ.
 */

const EDITS_MAX = 3;
const EDITED_SHARE_MAX = 0.6;

/** Of the known words the most similar ones, in their order; none when nothing is near. */
export function similarWords(word: string, known: Iterable<string>): readonly string[] {
  const given = folded(word);
  let least = EDITS_MAX;
  let found: string[] = [];
  for (const candidate of known) {
    const text = folded(candidate);
    if (Math.abs(given.length - text.length) > least) continue;
    const count = edits(given, text);
    if (count > least || count >= EDITED_SHARE_MAX * Math.max(given.length, text.length)) continue;
    if (count < least) found = [];
    least = count;
    found.push(candidate);
  }
  return found;
}

function folded(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, "");
}

/** Letters to insert, remove, replace, or exchange with the next one, to make `b` of `a`. */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const exchanged =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? before[j - 2]! + 1
          : replaced;
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, replaced, exchanged));
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
