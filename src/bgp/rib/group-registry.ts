/**
 * Finds or makes the update group of a peer. Peers share a group when nothing that decides what
 * they are told, or how it is encoded, differs: then one Adj-RIB-Out and one encoding serve all.
 */
import type { NegotiatedSession, RouteFamily } from "../message/types.ts";
import { UpdateWriter } from "../message/update-writer.ts";
import { AddPathAdjRibOut } from "./add-path-adj-rib-out.ts";
import type { AdjRibOut } from "./adj-rib-out.ts";
import { BucketEncoder } from "./bucket-encoder.ts";
import { ExportJudge } from "./export-judge.ts";
import type { ExportOptions } from "./export-rules.ts";
import type { FamilyRib, RibCore } from "./family-rib.ts";
import type { GroupLimits } from "./limits.ts";
import { type PeerId, PeerKind } from "./peer-table.ts";
import { PlainAdjRibOut } from "./plain-adj-rib-out.ts";
import type { PolicyCache, PolicyProgram } from "./policy.ts";
import type { Policy } from "./policy-types.ts";
import type { RowId } from "./prefix-table.ts";
import { kindOf, ownNextHop, type RibPeer } from "./rib-peer.ts";
import { UpdateBuckets } from "./update-buckets.ts";
import { UpdateGroup } from "./update-group.ts";

export class GroupRegistry {
  private readonly core: RibCore;
  private readonly policies: PolicyCache;
  private readonly limits: GroupLimits;
  private readonly groups = new Map<string, UpdateGroup>();
  private readonly keys = new Map<UpdateGroup, string>();
  private readonly policyTexts = new WeakMap<Policy, string>();
  private readonly buckets = new UpdateBuckets();
  /** Families of routes that go to every kind of peer with our address towards it. */
  private readonly ownAddressed = new Set<RouteFamily>();

  /** One for each way to encode; groups take turns. */
  private readonly writers = new Map<string, UpdateWriter>();

  constructor(core: RibCore, policies: PolicyCache, limits: GroupLimits) {
    this.core = core;
    this.policies = policies;
    this.limits = limits;
  }

  /**
   * From now on there are routes of the family that every kind of peer is told with our address
   * towards it: peers are to be put into their groups again. False: it was so before. For good:
   * such a route that comes and goes is not to move the peers each time.
   */
  addressOwn(family: RouteFamily): boolean {
    if (this.ownAddressed.has(family)) return false;
    this.ownAddressed.add(family);
    return true;
  }

  /** The group that the peer belongs to for the family of `rib`. */
  groupFor(peer: RibPeer, rib: FamilyRib, clusterId: number): UpdateGroup {
    const key = this.keyOf(peer, rib.family, clusterId);
    let group = this.groups.get(key);
    if (group === undefined) {
      group = this.make(peer, rib, clusterId);
      this.groups.set(key, group);
      this.keys.set(group, key);
      rib.groups.push(group);
    }
    return group;
  }

  /**
   * Peers that something is kept from, because there is no address of ours to go with it. Asked for
   * each second: members are looked at where there are some.
   */
  withoutNextHop(): { readonly id: PeerId; readonly family: RouteFamily }[] {
    return [...this.groups.values()].flatMap((group) => {
      if (!group.mayLackOwnNextHop) return [];
      const lacking = [...group.members.keys()].filter((id) => group.lacksOwnNextHop(id));
      return lacking.map((id) => ({ id, family: group.options.family }));
    });
  }

  /** Groups with paths that no message to their members has room for. */
  withOversized(): readonly UpdateGroup[] {
    return [...this.groups.values()].filter((group) => group.out.oversized.size > 0);
  }

  /** Takes the group out of use when it has no members left. */
  releaseIfEmpty(group: UpdateGroup, rib: FamilyRib): void {
    if (group.members.size > 0) return;
    const key = this.keys.get(group);
    if (key === undefined) return;
    this.groups.delete(key);
    this.keys.delete(group);
    rib.retire(group);
  }

  private writerFor(session: NegotiatedSession): UpdateWriter {
    const key = encodingKey(session);
    let writer = this.writers.get(key);
    if (writer === undefined) {
      writer = new UpdateWriter(session);
      this.writers.set(key, writer);
    }
    return writer;
  }

  private keyOf(peer: RibPeer, family: RouteFamily, clusterId: number): string {
    const { negotiated } = peer;
    const kind = kindOf(peer);
    const policy = peer.exportPolicy;
    const identity = kind === PeerKind.external ? peer.localAs : clusterId;
    const uses = this.ownAddressed.has(family) || usesOwnNextHop(peer, kind);
    const own = uses ? (ownNextHop(peer, family) ?? "none") : "";
    const longLived = negotiated.longLivedGracefulRestart !== undefined;
    const text = policy === undefined ? "" : this.policyText(policy);
    const encoding = encodingKey(negotiated);
    const told = `${family}|${kind}|${identity}|${own}|${peer.nextHopSelf}`;
    return `${told}|${encoding}|${longLived}|${text}`;
  }

  private policyText(policy: Policy): string {
    let text = this.policyTexts.get(policy);
    if (text === undefined) {
      text = JSON.stringify(policy);
      this.policyTexts.set(policy, text);
    }
    return text;
  }

  private make(peer: RibPeer, rib: FamilyRib, clusterId: number): UpdateGroup {
    const policy = this.policies.get(peer.exportPolicy);
    const options = exportOptionsOf(peer, rib.family, clusterId, policy);
    const { store, nextHops, peers } = this.core;
    const { table, paths, decision } = rib;
    const judge = new ExportJudge(options, rib, store, nextHops, peers);
    const addPath = peer.negotiated.addPathSend.includes(rib.family);
    const isMember = (id: number) => group.members.has(id);
    const out: AdjRibOut = addPath
      ? new AddPathAdjRibOut({ table, paths, store, decision, judge, isMember })
      : new PlainAdjRibOut(table, paths, store, judge, isMember);
    const writer = this.writerFor(peer.negotiated);
    const oversized = (row: RowId, pathId: number) => out.noteOversized(row, pathId);
    const shared = { options, table, store, nextHops, peers };
    const encoder = new BucketEncoder({ ...shared, writer, oversized });
    const { buckets, limits } = this;
    const parts = { table, paths, peers, judge, out, encoder, buckets, limits };
    const group: UpdateGroup = new UpdateGroup({ options, addPath, ...parts });
    return group;
  }
}

/** Equal for sessions whose UPDATEs are the same octets for the same routes. */
function encodingKey(session: NegotiatedSession): string {
  const { internal, fourOctetAs, sendBytesMax, addPathSend, extendedNextHop } = session;
  return `${internal}:${fourOctetAs}:${sendBytesMax}:${addPathSend.join(",")}:${extendedNextHop}`;
}

function exportOptionsOf(
  peer: RibPeer,
  family: RouteFamily,
  clusterId: number,
  policy: PolicyProgram | undefined,
): ExportOptions {
  return {
    family,
    kind: kindOf(peer),
    localAs: peer.localAs,
    clusterId,
    nextHopSelf: peer.nextHopSelf,
    ownNextHop: ownNextHop(peer, family),
    extendedNextHop: peer.negotiated.extendedNextHop,
    longLived: peer.negotiated.longLivedGracefulRestart !== undefined,
    policy,
  };
}

/** Whether our address towards the peer can get into what it is told. */
function usesOwnNextHop(peer: RibPeer, kind: PeerKind): boolean {
  if (kind === PeerKind.external || peer.nextHopSelf) return true;
  return peer.exportPolicy?.statements.some((s) => s.set.nextHopSelf === true) ?? false;
}
