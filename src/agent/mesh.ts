/**
 * What the speaker is told about the cluster: itself, its peers and its prefixes, as a pure
 * function of the topology and the settings. Towards other Nodes a session looks to the byte as
 * kube-router's does, so that both can stand in one cluster: nothing optional is turned on.
 */
import { isDeepStrictEqual } from "node:util";
import type { Policy } from "../bgp/rib/policy-types.ts";
import type { OriginatedRoute, PeerConfig } from "../bgp/types.ts";
import {
  addressBytes,
  addressFromWord,
  FAMILIES,
  familyOf,
  type IpAddress,
} from "../ip/address.ts";
import { IPV4_MAPPED } from "../ip/host-address.ts";
import { prefixFamily } from "../ip/prefix.ts";
import { type NodeAnnotations, readNodeAs } from "../k8s/annotations.ts";
import type { PeerNode, SelfNode, Topology } from "../k8s/topology.ts";
import type { BgpSettings } from "./config.ts";
import { nodeImport } from "./external-peers.ts";
import type { RouterIdChoice } from "./flag-values.ts";
import { PolicyMemo } from "./policy-memo.ts";

/**
 * Sessions as they were made last. Nothing in it changes an answer, only its identity: of a
 * thousand Nodes of which one changed, one is new to the speaker.
 */
export class MeshMemo {
  readonly policies = new PolicyMemo();
  #session: MeshSession | undefined;
  #peers = new WeakMap<PeerNode, PeerConfig>();

  /** The session with a Node; `local` is our address for it. */
  peer(session: MeshSession, node: PeerNode, local: IpAddress): PeerConfig {
    if (session !== this.#session) {
      if (!isDeepStrictEqual(session, this.#session)) this.#peers = new WeakMap();
      this.#session = session;
    }
    let peer = this.#peers.get(node);
    if (peer === undefined) {
      peer = meshPeer(session, node, local);
      this.#peers.set(node, peer);
    }
    return peer;
  }
}

/** Gives the session with another Node; undefined = they are not peered. */
export type Mesh = (peer: PeerNode) => PeerConfig | undefined;

/**
 * Who of the other Nodes is peered, and how, as it follows from the own Node: from each other one
 * alone. Clients of a route reflector peer with the reflectors alone, as in kube-router: presence
 * of the annotations decides, on both sides alike.
 */
export function meshOf(
  self: SelfNode | undefined,
  annotations: NodeAnnotations,
  settings: BgpSettings,
  memo = new MeshMemo(),
): Mesh {
  if (self === undefined || !settings.nodePeers) return () => undefined;
  const as = ownAs(self, settings);
  const session: MeshSession = {
    self,
    settings,
    as,
    reflects: annotations.routeReflectorServer !== undefined,
    importPolicy: nodeImport(annotations.importReject, memo.policies),
  };
  return (peer) => {
    if (!settings.fullMesh && (as === undefined || annotatedAs(peer) !== as)) return undefined;
    if (isClient(self) && !isReflector(peer)) return undefined;
    if (isClient(peer) && !isReflector(self)) return undefined;
    const local = self.nodeIps[familyOf(peer.address)];
    return local === undefined ? undefined : memo.peer(session, peer, local);
  };
}

/** One session for each Node that is to be peered; in the topology's order. */
export function meshPeers(
  topology: Topology,
  annotations: NodeAnnotations,
  settings: BgpSettings,
  memo = new MeshMemo(),
): readonly PeerConfig[] {
  const mesh = meshOf(topology.self, annotations, settings, memo);
  return topology.peers.flatMap((peer) => mesh(peer) ?? []);
}

/** What all sessions of this node with other Nodes have in common. */
interface MeshSession {
  readonly self: SelfNode;
  readonly settings: BgpSettings;
  readonly as: number | undefined;
  readonly reflects: boolean;
  readonly importPolicy: Policy;
}

const isReflector = (node: SelfNode | PeerNode) => node.annotations.has("rr.server");
const isClient = (node: SelfNode | PeerNode) =>
  node.annotations.has("rr.client") && !isReflector(node);

/** The AS of this node: the cluster's in a full mesh, otherwise that of its annotation. */
export function ownAs(self: SelfNode, settings: BgpSettings): number | undefined {
  return settings.fullMesh ? settings.clusterAs : annotatedAs(self);
}

function annotatedAs(node: SelfNode | PeerNode): number | undefined {
  return readNodeAs(node.annotations);
}

function meshPeer(session: MeshSession, peer: PeerNode, local: IpAddress): PeerConfig {
  const { self, settings } = session;
  return {
    ...NOTHING_OPTIONAL,
    name: peer.name,
    address: peer.address,
    port: settings.port,
    remoteAs: session.as,
    localAs: undefined,
    localAddress: local,
    nextHops: FAMILIES.flatMap((family) => {
      const own = self.nodeIps[family];
      return own === undefined || own === local ? [] : [own];
    }),
    passive: false,
    holdSeconds: settings.holdSeconds,
    families: FAMILIES.filter(
      (family) => self.nodeIps[family] !== undefined && peer.families.includes(family),
    ),
    gracefulRestart:
      settings.restartSeconds === undefined
        ? undefined
        : {
            restartSeconds: settings.restartSeconds,
            notification: false,
            longLivedSeconds: undefined,
          },
    routeReflectorClient: session.reflects && isClient(peer),
    importPolicy: session.importPolicy,
  };
}

/**
 * Prefixes of one family that another Node may announce: far more than pod CIDRs and services come
 * to, also through a reflector, and few enough to bear.
 */
export const MESH_PREFIXES_MAX = 20_000;
export const MESH_RESTART_SECONDS = 60;

const MESH_LIMITS = {
  limit: MESH_PREFIXES_MAX,
  warningPercent: 75,
  restartSeconds: MESH_RESTART_SECONDS,
} as const;

/** What is not part of a session between Nodes. */
const NOTHING_OPTIONAL = {
  nextHopsByLink: false,
  enhancedRouteRefresh: false,
  extendedMessage: false,
  addPath: "none",
  password: undefined,
  ttlSecurity: false,
  multihopTtl: 1,
  bindInterface: undefined,
  nextHopSelf: false,
  exportPolicy: undefined,
  maximumPrefixes: MESH_LIMITS,
  shutdown: undefined,
} as const;

/** The pod CIDRs of this node, each with its address of that family as next hop. */
export function ownRoutes(self: SelfNode): readonly OriginatedRoute[] {
  return self.podCidrs.flatMap((prefix) => {
    const nextHop = self.nodeIps[prefixFamily(prefix)];
    return nextHop === undefined ? [] : [{ prefix, nextHop, communities: [], med: undefined }];
  });
}

/**
 * The BGP Identifier: a given one, the IPv4 node address, or a hash of the primary address, which
 * is also what a node without any IPv4 address gets. Undefined while it has no address at all.
 */
export function routerIdOf(self: SelfNode, choice: RouterIdChoice): IpAddress | undefined {
  if (choice !== "primary" && choice !== "generate") return choice;
  const ipv4 = self.nodeIps[4];
  if (choice === "primary" && ipv4 !== undefined) return ipv4;
  return self.primaryAddress === undefined ? undefined : hashedId(self.primaryAddress);
}

/** FNV-1a of 32 bits over the 16-octet form of the address, as kube-router's `generate` does it. */
function hashedId(address: IpAddress): IpAddress {
  const bytes = addressBytes(address);
  const mapped = bytes.length === 16 ? bytes : Uint8Array.of(...IPV4_MAPPED, ...bytes);
  let hash = 0x811c_9dc5;
  for (const byte of mapped) hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0;
  // RFC 6286 §2.1: an identifier is not zero.
  return addressFromWord(hash === 0 ? 1 : hash);
}

/** Where the speaker listens: every own address of a family that it peers over. */
export function listenAddresses(self: SelfNode): readonly IpAddress[] {
  return FAMILIES.flatMap((family) => self.nodeIps[family] ?? []);
}
