/**
 * The peers of the RIB by number. What the decision process asks of a path's peer stands in
 * columns. Number 0 is this speaker itself: the peer of the routes that it originates.
 */
import type { IpAddress } from "../../ip/address.ts";
import { assert } from "../../runtime/assert.ts";
import { grown8, grown32, grownCapacity } from "./columns.ts";
import { PEERS_MAX } from "./limits.ts";

/** A peer of this RIB. The same address keeps its number while any of its paths are left. */
export type PeerId = number;

/** Originated here. */
export const LOCAL_PEER: PeerId = 0;

/** Where a path comes from, as decision and reflection see it (RFC 4456 §6). */
export const PeerKind = { local: 0, external: 1, client: 2, internal: 3 } as const;
export type PeerKind = (typeof PeerKind)[keyof typeof PeerKind];

export class PeerTable<T extends { readonly address: IpAddress }> {
  private readonly values: (T | undefined)[] = [undefined];
  private readonly free: PeerId[] = [];
  private kinds = new Uint8Array(16);
  private routerIds = new Uint32Array(16);

  /** Adds a peer; throws beyond PEERS_MAX, which configuration must keep. */
  add(value: (id: PeerId) => T): T {
    const id = this.free.pop() ?? this.values.length;
    assert(id < PEERS_MAX, `more than ${PEERS_MAX} peers`);
    if (id >= this.kinds.length) {
      const capacity = grownCapacity(this.kinds.length, id + 1);
      this.kinds = grown8(this.kinds, capacity);
      this.routerIds = grown32(this.routerIds, capacity);
    }
    const made = value(id);
    this.values[id] = made;
    return made;
  }

  /** Makes the number free for another peer. */
  remove(id: PeerId): void {
    this.values[id] = undefined;
    this.free.push(id);
  }

  find(id: PeerId): T | undefined {
    return this.values[id];
  }

  get(id: PeerId): T {
    const value = this.values[id];
    assert(value !== undefined, "unknown peer number");
    return value;
  }

  /** All peers, the local one excluded. */
  all(): T[] {
    return this.values.filter((value) => value !== undefined);
  }

  /** False: what is reflected of the peer's paths, if anything, reads as before, RFC 4456 §8. */
  describe(id: PeerId, kind: PeerKind, routerId: number): boolean {
    const isInternal = kind >= PeerKind.client;
    const wasInternal = this.kinds[id]! >= PeerKind.client;
    const other = isInternal && routerId !== this.routerIds[id];
    this.kinds[id] = kind;
    this.routerIds[id] = routerId;
    return other || wasInternal !== isInternal;
  }

  kind(id: PeerId): PeerKind {
    return this.kinds[id]! as PeerKind;
  }

  /** BGP Identifier as u32; 0 for the local peer. */
  routerId(id: PeerId): number {
    return this.routerIds[id]!;
  }

  /** One more than the largest number: the size of a column by peer. */
  get idLimit(): number {
    return this.values.length;
  }
}
