/**
 * Growth of typed columns. A column grows by copying into one twice as long: 4 MB of a million
 * rows take about 2 ms, and memory that no row has reached yet costs no page.
 */

/** Room for at least `needed` elements: doubled from `current`. */
export function grownCapacity(current: number, needed: number): number {
  let capacity = Math.max(current, 16);
  while (capacity < needed) capacity *= 2;
  return capacity;
}

export function grown32(column: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity);
  larger.set(column);
  return larger;
}

export function grown16(column: Uint16Array, capacity: number): Uint16Array<ArrayBuffer> {
  const larger = new Uint16Array(capacity);
  larger.set(column);
  return larger;
}

export function grown8(column: Uint8Array, capacity: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(capacity);
  larger.set(column);
  return larger;
}
