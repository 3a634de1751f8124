/**
 * Memory for runs of words of many sizes, in one typed array. A freed run is kept for the next one
 * of its size class: multiples of 4 words up to 64, then powers of two. Runs do not move.
 */
import { grownCapacity, lasting32 } from "./columns.ts";

const FINE_WORDS_MAX = 64;
const FINE_CLASSES = FINE_WORDS_MAX / 4;

export class WordArena {
  words: Uint32Array = new Uint32Array(1024);
  /** Next word never used; 0 stands for "none". */
  private end = 4;
  /** First free run of each class; its first word names the next. */
  private readonly free = new Uint32Array(FINE_CLASSES + 33);

  /** Position of a new run that holds a copy of the first `length` words of `from`. */
  add(from: Uint32Array, length: number): number {
    const kind = classOf(length);
    let at = this.free[kind]!;
    if (at !== 0) this.free[kind] = this.words[at]!;
    else {
      at = this.end;
      this.end += wordsOf(kind);
      if (this.end > this.words.length) {
        this.words = lasting32(this.words, grownCapacity(this.words.length, this.end));
      }
    }
    for (let i = 0; i < length; i++) this.words[at + i] = from[i]!;
    return at;
  }

  /** Frees a run of `length` words. */
  remove(at: number, length: number): void {
    const kind = classOf(length);
    this.words[at] = this.free[kind]!;
    this.free[kind] = at;
  }

  /** Whether the run at `at` begins with the first `length` words of `other`. */
  equals(at: number, other: Uint32Array, length: number): boolean {
    for (let i = 0; i < length; i++) if (this.words[at + i] !== other[i]) return false;
    return true;
  }
}

function classOf(length: number): number {
  if (length <= FINE_WORDS_MAX) return (length + 3) >>> 2;
  return FINE_CLASSES + 32 - Math.clz32(length - 1);
}

function wordsOf(kind: number): number {
  return kind <= FINE_CLASSES ? kind * 4 : 2 ** (kind - FINE_CLASSES);
}
