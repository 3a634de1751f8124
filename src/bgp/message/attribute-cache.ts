/**
 * Remembers the attributes of raw attribute blocks. A peer sends one block again for every few
 * prefixes, and other peers send the same ones: a block that is known costs a hash and a
 * comparison, and gives the *same* object, which a RIB then knows by identity.
 *
 * Bounded: a fixed number of slots, each with one block of at most 256 octets and its value; a new
 * block takes the slot of the old one that hashes alike. Longer blocks are not remembered. Memory
 * is taken at the first `put`. The key is compared whole: a collision of hashes costs time, never
 * truth.
 */
import { assert } from "../../runtime/assert.ts";
import { readS32 } from "./bytes.ts";
import type { PathAttributes } from "./types.ts";

/** Longest block that is remembered. */
const BLOCK_BYTES_MAX = 256;

export class AttributeCache {
  private readonly slots: number;
  /** Block of slot i at i × 256. */
  private blocks: Uint8Array;
  /** Its length; 0 = empty slot. */
  private lengths: Uint16Array;
  private contexts: Uint8Array;
  private values: (PathAttributes | undefined)[];
  /** Slot of the last `get`, where `put` puts; -1 when the block is too long. */
  private slot: number;
  /** Slot of the last block that was found or put: the next one is mostly the same. */
  private last: number;

  /** `slots` is a power of two. */
  constructor(slots: number) {
    assert(slots > 0 && (slots & (slots - 1)) === 0, "cache slots are a power of two");
    this.slots = slots;
    this.blocks = new Uint8Array(0);
    this.lengths = new Uint16Array(0);
    this.contexts = new Uint8Array(0);
    this.values = [];
    this.slot = -1;
    this.last = 0;
  }

  /**
   * Attributes of the block at `start` to `end`, or undefined. `context` (an octet) is whatever
   * else decides how a block is read.
   */
  get(buffer: Uint8Array, start: number, end: number, context: number): PathAttributes | undefined {
    const length = end - start;
    if (length > BLOCK_BYTES_MAX || length === 0) {
      this.slot = -1;
      return undefined;
    }
    this.slot = this.last;
    if (this.holds(this.last, buffer, start, length, context)) return this.values[this.last];
    const slot = hashOf(buffer, start, end, context) & (this.slots - 1);
    this.slot = slot;
    if (!this.holds(slot, buffer, start, length, context)) return undefined;
    this.last = slot;
    return this.values[slot];
  }

  /** Remembers `value` for the block that `get` did not find just now. */
  put(
    buffer: Uint8Array,
    start: number,
    end: number,
    context: number,
    value: PathAttributes,
  ): void {
    const slot = this.slot;
    if (slot < 0) return;
    if (this.blocks.length === 0) this.allocate();
    const blocks = this.blocks;
    for (let at = start, i = slot * BLOCK_BYTES_MAX; at < end; at++, i++) blocks[i] = buffer[at]!;
    this.lengths[slot] = end - start;
    this.contexts[slot] = context;
    this.values[slot] = value;
    this.last = slot;
  }

  /** Compared from behind: what follows the path tells sets of one peer apart soonest. */
  private holds(
    slot: number,
    buffer: Uint8Array,
    start: number,
    length: number,
    context: number,
  ): boolean {
    if (this.lengths[slot] !== length || this.contexts[slot] !== context) return false;
    const blocks = this.blocks;
    const block = slot * BLOCK_BYTES_MAX;
    for (let i = length - 1; i >= 0; i--) {
      if (buffer[start + i] !== blocks[block + i]) return false;
    }
    return true;
  }

  private allocate(): void {
    this.blocks = new Uint8Array(this.slots * BLOCK_BYTES_MAX);
    this.lengths = new Uint16Array(this.slots);
    this.contexts = new Uint8Array(this.slots);
    this.values = new Array<PathAttributes | undefined>(this.slots).fill(undefined);
  }
}

/** Multiply and shift, four octets at a time. */
function hashOf(buffer: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed ^ (end - start);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ readS32(buffer, at), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ buffer[at]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
