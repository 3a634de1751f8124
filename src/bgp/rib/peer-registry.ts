/**
 * Peers by address and by number. A peer keeps its number from session to session while paths of it
 * are left; then it is forgotten and the number serves another. What update groups still have
 * advertised from that number they are about to look at, before any new member reads it.
 */
import type { IpAddress } from "../../ip/address.ts";
import { assert } from "../../runtime/assert.ts";
import type { RouteFamily } from "../message/types.ts";
import type { ImportOptions } from "./import-rules.ts";
import { type PeerId, PeerTable } from "./peer-table.ts";
import type { PolicyCache } from "./policy.ts";
import { kindOf, ownNextHop, type PeerState, type RibPeer } from "./rib-peer.ts";

/** Our own identity, as loops are found by it. */
export interface OwnIdentity {
  readonly localAs: number;
  readonly routerId: number;
  readonly clusterId: number;
}

export class PeerRegistry {
  readonly table = new PeerTable<PeerState>();
  private readonly policies: PolicyCache;
  private readonly renamed: (id: PeerId) => void;
  private readonly byAddress = new Map<IpAddress, PeerState>();

  /** `renamed`: what is reflected of the number's paths reads otherwise now. */
  constructor(policies: PolicyCache, renamed: (id: PeerId) => void) {
    this.policies = policies;
    this.renamed = renamed;
  }

  find(address: IpAddress): PeerState | undefined {
    return this.byAddress.get(address);
  }

  /** A peer whose session is up; anything else is a caller's bug. */
  upPeer(id: PeerId): PeerState {
    const peer = this.table.get(id);
    assert(peer.up, "the peer's session is not up");
    return peer;
  }

  /** The peer of the address, made if need be, and then described. */
  take(config: RibPeer, own: OwnIdentity): PeerState {
    const known = this.byAddress.get(config.address);
    if (known !== undefined) return known;
    const peer = this.table.add((id) => ({
      id,
      address: config.address,
      config,
      up: false,
      held: false,
      unsent: [],
      notified: false,
      imports: this.importsOf(config, own),
      seats: [],
      firstSeat: 0,
    }));
    this.byAddress.set(config.address, peer);
    this.identify(peer);
    return peer;
  }

  /**
   * Brings what is derived from the peer's configuration and our identity up to date. True: paths
   * of the peer may be imported otherwise than before.
   */
  describe(peer: PeerState, own: OwnIdentity): boolean {
    this.identify(peer);
    const { imports: before } = peer;
    peer.imports = this.importsOf(peer.config, own);
    return importsDiffer(before[4], peer.imports[4]) || importsDiffer(before[6], peer.imports[6]);
  }

  forget(peer: PeerState): void {
    this.byAddress.delete(peer.address);
    this.table.remove(peer.id);
  }

  private identify({ id, config }: PeerState): void {
    if (this.table.describe(id, kindOf(config), config.remoteRouterId)) this.renamed(id);
  }

  private importsOf(config: RibPeer, own: OwnIdentity): PeerState["imports"] {
    return { 4: this.importOptions(config, 4, own), 6: this.importOptions(config, 6, own) };
  }

  private importOptions(config: RibPeer, family: RouteFamily, own: OwnIdentity): ImportOptions {
    const same = config.localAs === own.localAs;
    return {
      kind: kindOf(config),
      localAsns: same ? [own.localAs] : [own.localAs, config.localAs],
      routerId: own.routerId,
      clusterId: own.clusterId,
      ownNextHop: ownNextHop(config, family),
      policy: this.policies.get(config.importPolicy),
    };
  }
}

/** Internal peers of both kinds are imported alike; of another kind of peer nothing is kept. */
function importsDiffer(a: ImportOptions, b: ImportOptions): boolean {
  return (
    a.localAsns.join() !== b.localAsns.join() ||
    a.routerId !== b.routerId ||
    a.clusterId !== b.clusterId ||
    a.policy !== b.policy ||
    (b.policy !== undefined && a.ownNextHop !== b.ownNextHop)
  );
}
