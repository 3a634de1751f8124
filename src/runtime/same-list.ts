/** Lists that are told anew although nothing in them changed. */

/** Whether two lists have the same entries in the same order. */
export function sameList<T>(
  a: readonly T[],
  b: readonly T[],
  same: (x: T, y: T) => boolean = Object.is,
): boolean {
  return a === b || (a.length === b.length && a.every((entry, index) => same(entry, b[index]!)));
}
