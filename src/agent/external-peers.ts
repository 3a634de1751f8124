/**
 * Peers outside the cluster, as kube-router's flags and annotations describe them, and the policies
 * that go with them: only our own pod CIDRs go out, with the Node's prepending and communities; the
 * default route and what `node.bgp.customimportreject` names stay out. A pure function of settings
 * and annotations, run again on every change.
 */
import type { Policy, PolicyStatement } from "../bgp/rib/policy-types.ts";
import type { PeerConfig } from "../bgp/types.ts";
import { ADDRESS_BITS, FAMILIES, familyOf, type IpAddress } from "../ip/address.ts";
import { DEFAULT_ROUTES, type Prefix, prefixFamily, prefixLength } from "../ip/prefix.ts";
import { NODE_ANNOTATIONS, type NodeAnnotations } from "../k8s/annotations.ts";
import { ANNOTATION_PREFIX } from "../k8s/node-snapshot.ts";
import type { SelfNode } from "../k8s/topology.ts";
import { printable, someOf } from "../runtime/operator-text.ts";
import type { Condition } from "./conditions.ts";
import type { BgpSettings } from "./config.ts";
import { PolicyMemo } from "./policy-memo.ts";

/** One external peer, wherever it was named. */
export interface ExternalPeer {
  readonly address: IpAddress;
  readonly as: number;
  readonly port: number | undefined;
  readonly localAddress: IpAddress | undefined;
  /** TCP MD5 key. Never log it. */
  readonly password: string | undefined;
}

/** `--peer-router-*` */
export interface ExternalSettings {
  readonly peers: readonly ExternalPeer[];
  /** TTL of the sessions; below 2 = directly connected, as in kube-router. */
  readonly multihopTtl: number;
  /** Where the peers' passwords are; undefined = they have none. */
  readonly passwordsFile: string | undefined;
  /** Addresses of those that are not among `peers`, for want of their passwords. */
  readonly leftOut?: readonly IpAddress[];
}

const BGP_PORT = 179;

/**
 * The external sessions of this node. Peers given by flag hold for every node, and the Node's own
 * annotations are then not looked at, as in kube-router.
 */
export function externalPeers(
  self: SelfNode,
  annotations: NodeAnnotations,
  external: ExternalSettings,
  settings: BgpSettings,
  policies = new PolicyMemo(),
): readonly PeerConfig[] {
  const peers = areFlagged(external) ? external.peers : annotations.peers;
  const exportPolicy = policies.keep("external export", undefined, () =>
    externalExport(annotations, settings),
  );
  const importPolicy = nodeImport(annotations.importReject, policies);
  return peers.map((peer): PeerConfig => {
    const local = peer.localAddress ?? self.nodeIps[familyOf(peer.address)];
    return {
      name: peer.address,
      address: peer.address,
      port: peer.port ?? BGP_PORT,
      remoteAs: peer.as,
      localAs: undefined,
      localAddress: local,
      nextHops: FAMILIES.flatMap((family) => self.nodeIps[family] ?? []),
      nextHopsByLink: false,
      passive: false,
      holdSeconds: settings.holdSeconds,
      families: FAMILIES.filter((family) => self.nodeIps[family] !== undefined),
      gracefulRestart:
        settings.restartSeconds === undefined
          ? undefined
          : {
              restartSeconds: settings.restartSeconds,
              notification: true,
              longLivedSeconds: undefined,
            },
      enhancedRouteRefresh: true,
      extendedMessage: false,
      addPath: "none",
      password: peer.password,
      ttlSecurity: false,
      multihopTtl: Math.max(1, external.multihopTtl),
      bindInterface: undefined,
      routeReflectorClient: false,
      nextHopSelf: settings.overrideNextHop,
      importPolicy,
      exportPolicy,
      maximumPrefixes: undefined,
      shutdown: undefined,
    };
  });
}

/** Peers are given by flag, though perhaps none while their passwords cannot be read. */
function areFlagged({ peers, passwordsFile }: ExternalSettings): boolean {
  return peers.length > 0 || passwordsFile !== undefined;
}

/**
 * Addresses of peers that flags or annotations name and that cannot be had as they are described:
 * nobody else's session is to be with these.
 */
export function leftOutPeers(
  annotations: NodeAnnotations,
  external: ExternalSettings,
): readonly IpAddress[] {
  return areFlagged(external) ? (external.leftOut ?? []) : annotations.peersLeftOut;
}

/** Peers, or annotations, named in one condition. Beyond: counted. */
const NAMED_MAX = 5;

/** What the Node's annotation asks of these sessions, and they do without. */
export function unusedOptions(
  annotations: NodeAnnotations,
  external: ExternalSettings,
): readonly Condition[] {
  if (areFlagged(external)) return [];
  const asked = annotations.peers.filter((peer) => peer.bfd?.enabled === true);
  if (asked.length === 0) return [];
  const names = asked.map((peer) => peer.address);
  return [
    {
      name: "bfd",
      severity: "warning",
      message:
        "annotation kube-router.io/peers asks for BFD, which podrouter does not have: the " +
        `session with ${someOf(names, NAMED_MAX)} runs without it, and a lost peer is noticed by ` +
        "the hold time",
    },
  ];
}

/** A misspelt `peer.passwords` makes a session without one, and says nothing. */
export function unknownAnnotations(annotations: ReadonlyMap<string, string>): readonly Condition[] {
  const unknown = [...annotations.keys()].filter((name) => !NODE_ANNOTATIONS.has(name));
  if (unknown.length === 0) return [];
  const names = unknown.map((name) => printable(ANNOTATION_PREFIX + name));
  const [subject, end] =
    unknown.length === 1
      ? ["annotation", "is not looked at: it is none that is known"]
      : ["annotations", "are not looked at: they are none that are known"];
  const message = `${subject} ${someOf(names, NAMED_MAX)} of this Node ${end}`;
  return [{ name: "annotations", severity: "warning", message }];
}

/** What leaves the cluster: our own pod CIDRs, or nothing. */
function externalExport(annotations: NodeAnnotations, settings: BgpSettings): Policy {
  const { pathPrepend, communities } = annotations;
  const own: PolicyStatement = {
    name: "own pod CIDRs",
    match: { originated: true },
    set: {
      ...(communities.length > 0 ? { addCommunities: communities } : {}),
      ...(pathPrepend === undefined ? {} : { prepend: pathPrepend }),
    },
    result: "accept",
  };
  return {
    name: "to external peers",
    statements: settings.advertisePodCidr ? [own] : [],
    defaultResult: "reject",
  };
}

/** What this node refuses to learn, from other Nodes too: default routes, and what it was told. */
export function nodeImport(importReject: readonly Prefix[], policies = new PolicyMemo()): Policy {
  return policies.keep("node import", importReject, () => importPolicyOf(importReject));
}

function importPolicyOf(importReject: readonly Prefix[]): Policy {
  const rejected = importReject.map((refused) => ({
    prefix: refused,
    ge: prefixLength(refused),
    le: ADDRESS_BITS[prefixFamily(refused)],
  }));
  const defaults = FAMILIES.map((family) => ({ prefix: DEFAULT_ROUTES[family], ge: 0, le: 0 }));
  return {
    name: "import",
    statements: [
      {
        name: "default routes and customimportreject",
        match: { prefixes: [...defaults, ...rejected] },
        set: {},
        result: "reject",
      },
    ],
    defaultResult: "accept",
  };
}
