/**
 * Sets of path attributes, interned by content and use-counted. A path keeps the 4-octet id of its
 * set; what the decision process compares stands in typed columns by that id, the whole content as
 * words in an arena. So choosing a best path touches no object, and a hundred thousand sets give
 * the garbage collector nothing to do. A set with no use left is forgotten at once.
 *
 * Id 0 means "none". The hash index is open addressing with linear probing; a removal shifts later
 * entries back, so that there are no tombstones.
 */
import { assert } from "../../runtime/assert.ts";
import { asPathLength } from "../message/attribute/as-path.ts";
import type { ByteWriter } from "../message/bytes.ts";
import type { PathAttributes } from "../message/types.ts";
import { communityBits, DEFAULT_LOCAL_PREF, neighborAs } from "./attribute-content.ts";
import { AttributeWords, decodeAttributeWords, linkLocalIdOf } from "./attribute-words.ts";
import { grownCapacity, lasting8, lasting16, lasting32 } from "./columns.ts";
import type { NextHopTable } from "./next-hop-table.ts";
import { type Telling, tellWords } from "./told-attributes.ts";
import { WordArena } from "./word-arena.ts";

/** Id of an attribute set in its store; 0 = none. */
export type AttributeId = number;

export const NO_ATTRIBUTES: AttributeId = 0;

const CAPACITY_FIRST = 64;

export class AttributeStore {
  private readonly nextHops: NextHopTable;
  private readonly seed: number;
  private readonly scratch = new AttributeWords();
  private readonly arena = new WordArena();
  /** First id that is free again; its place names the next. */
  private freeHead: AttributeId = NO_ATTRIBUTES;
  private limit = 1;
  private used = 0;

  private uses: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private hashes: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  /** Where in the arena, and how many words. */
  private places: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private sizes: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private localPrefs: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private meds: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private neighbors: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private originators: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private nextHopIds: Uint32Array = new Uint32Array(CAPACITY_FIRST);
  private pathLengths: Uint16Array = new Uint16Array(CAPACITY_FIRST);
  private clusterLengths: Uint16Array = new Uint16Array(CAPACITY_FIRST);
  private origins: Uint8Array = new Uint8Array(CAPACITY_FIRST);
  private bits: Uint8Array = new Uint8Array(CAPACITY_FIRST);

  /** Ids by hash; a power of two, at most half full. */
  private slots = new Uint32Array(CAPACITY_FIRST * 2);
  /** What was interned last: a decoder gives the same object for the same octets. */
  private lastId: AttributeId = NO_ATTRIBUTES;
  private lastValue: PathAttributes | undefined;
  /** What was asked for last: walks over paths or rows come in runs of one set. */
  private gotId: AttributeId = NO_ATTRIBUTES;
  private gotValue: PathAttributes | undefined;

  /** `seed`: any u32; a random one makes hash collisions unforeseeable to peers. */
  constructor(nextHops: NextHopTable, seed: number) {
    this.nextHops = nextHops;
    this.seed = seed;
  }

  /** How many different sets there are. */
  get size(): number {
    return this.used;
  }

  /** The id of this content, with one more use, which the caller releases. */
  intern(attributes: PathAttributes): AttributeId {
    if (this.lastValue === attributes) {
      const last = this.lastId;
      this.uses[last] = this.uses[last]! + 1;
      return last;
    }
    const { scratch, nextHops } = this;
    const nextHopId = nextHops.acquire(attributes.nextHop);
    const linkLocalId = nextHops.acquire(attributes.linkLocalNextHop);
    scratch.encode(attributes, nextHopId, linkLocalId);
    const hash = scratch.hash(this.seed);
    const slot = this.findSlot(hash);
    let id = this.slots[slot]!;
    if (id === NO_ATTRIBUTES) id = this.add(attributes, nextHopId, hash, slot);
    else {
      nextHops.release(nextHopId);
      nextHops.release(linkLocalId);
      this.uses[id] = this.uses[id]! + 1;
    }
    this.lastId = id;
    this.lastValue = attributes;
    return id;
  }

  retain(id: AttributeId): void {
    this.uses[id] = this.uses[id]! + 1;
  }

  /** Gives one use back; the last one forgets the set. Releasing "none" does nothing. */
  release(id: AttributeId): void {
    if (id === NO_ATTRIBUTES) return;
    const uses = this.uses[id]! - 1;
    this.uses[id] = uses;
    if (uses === 0) this.remove(id);
  }

  /** The set as an object; while one is asked for again and again, the same. */
  get(id: AttributeId): PathAttributes {
    assert(this.uses[id]! > 0, "attribute set is in use");
    if (this.gotValue === undefined || this.gotId !== id) {
      this.gotValue = decodeAttributeWords(this.arena.words, this.places[id]!, this.nextHops);
      this.gotId = id;
    }
    return this.gotValue;
  }

  /** Appends the octets that a group is told; see `tellWords`. */
  tell(id: AttributeId, telling: Telling, out: ByteWriter): boolean {
    return tellWords(this.arena.words, this.places[id]!, telling, out);
  }

  /** 100 when the set has none. */
  localPref(id: AttributeId): number {
    return this.localPrefs[id]!;
  }
  pathLength(id: AttributeId): number {
    return this.pathLengths[id]!;
  }
  origin(id: AttributeId): number {
    return this.origins[id]!;
  }
  /** 0 when the set has none, RFC 4271 §9.1.2.2 c. */
  med(id: AttributeId): number {
    return this.meds[id]!;
  }
  neighborAs(id: AttributeId): number {
    return this.neighbors[id]!;
  }
  /** 0 when the set has none. */
  originatorId(id: AttributeId): number {
    return this.originators[id]!;
  }
  clusterLength(id: AttributeId): number {
    return this.clusterLengths[id]!;
  }
  /** Id in the next hop table. */
  nextHop(id: AttributeId): number {
    return this.nextHopIds[id]!;
  }
  /** Well-known communities as bits of `CommunityBit`. */
  communityBits(id: AttributeId): number {
    return this.bits[id]!;
  }

  /** The slot of the set in `scratch`, or the empty one where it belongs. */
  private findSlot(hash: number): number {
    const { words, length } = this.scratch;
    const mask = this.slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.slots[slot]!;
      if (id === NO_ATTRIBUTES) return slot;
      if (this.hashes[id] !== hash || this.sizes[id] !== length) continue;
      if (this.arena.equals(this.places[id]!, words, length)) return slot;
    }
  }

  /** Adds the set in `scratch`. */
  private add(
    attributes: PathAttributes,
    nextHopId: number,
    hash: number,
    slot: number,
  ): AttributeId {
    const id = this.takeId();
    this.uses[id] = 1;
    this.hashes[id] = hash;
    this.places[id] = this.arena.add(this.scratch.words, this.scratch.length);
    this.sizes[id] = this.scratch.length;
    this.localPrefs[id] = attributes.localPref ?? DEFAULT_LOCAL_PREF;
    this.meds[id] = attributes.med ?? 0;
    this.neighbors[id] = neighborAs(attributes.asPath);
    this.originators[id] = attributes.originatorId ?? 0;
    this.nextHopIds[id] = nextHopId;
    this.pathLengths[id] = Math.min(asPathLength(attributes.asPath), 0xffff);
    this.clusterLengths[id] = Math.min(attributes.clusterList.length, 0xffff);
    this.origins[id] = attributes.origin;
    this.bits[id] = communityBits(attributes.communities);
    this.slots[slot] = id;
    this.used++;
    if (this.used * 2 > this.slots.length) this.rehash(this.slots.length * 2);
    return id;
  }

  private takeId(): AttributeId {
    const reused = this.freeHead;
    if (reused !== NO_ATTRIBUTES) {
      this.freeHead = this.places[reused]!;
      return reused;
    }
    const id = this.limit++;
    if (id >= this.uses.length) this.growColumns(id + 1);
    return id;
  }

  private remove(id: AttributeId): void {
    const place = this.places[id]!;
    this.nextHops.release(this.nextHopIds[id]!);
    this.nextHops.release(linkLocalIdOf(this.arena.words, place));
    this.arena.remove(place, this.sizes[id]!);
    this.places[id] = this.freeHead;
    this.freeHead = id;
    this.used--;
    if (this.lastId === id) this.lastValue = undefined;
    if (this.gotId === id) this.gotValue = undefined;
    const mask = this.slots.length - 1;
    let hole = this.hashes[id]! & mask;
    while (this.slots[hole] !== id) hole = (hole + 1) & mask;
    for (let probe = (hole + 1) & mask; ; probe = (probe + 1) & mask) {
      const moved = this.slots[probe]!;
      if (moved === NO_ATTRIBUTES) break;
      const home = this.hashes[moved]! & mask;
      if (((probe - home) & mask) < ((probe - hole) & mask)) continue;
      this.slots[hole] = moved;
      hole = probe;
    }
    this.slots[hole] = NO_ATTRIBUTES;
  }

  private rehash(size: number): void {
    const slots = new Uint32Array(size);
    const mask = size - 1;
    for (let i = 0; i < this.slots.length; i++) {
      const id = this.slots[i]!;
      if (id === NO_ATTRIBUTES) continue;
      let slot = this.hashes[id]! & mask;
      while (slots[slot] !== NO_ATTRIBUTES) slot = (slot + 1) & mask;
      slots[slot] = id;
    }
    this.slots = slots;
  }

  private growColumns(needed: number): void {
    const capacity = grownCapacity(this.uses.length, needed);
    this.uses = lasting32(this.uses, capacity);
    this.hashes = lasting32(this.hashes, capacity);
    this.places = lasting32(this.places, capacity);
    this.sizes = lasting32(this.sizes, capacity);
    this.localPrefs = lasting32(this.localPrefs, capacity);
    this.meds = lasting32(this.meds, capacity);
    this.neighbors = lasting32(this.neighbors, capacity);
    this.originators = lasting32(this.originators, capacity);
    this.nextHopIds = lasting32(this.nextHopIds, capacity);
    this.pathLengths = lasting16(this.pathLengths, capacity);
    this.clusterLengths = lasting16(this.clusterLengths, capacity);
    this.origins = lasting8(this.origins, capacity);
    this.bits = lasting8(this.bits, capacity);
  }
}
