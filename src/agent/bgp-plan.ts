/**
 * What BGP is to do, all of it, from the Nodes, the flags and the configuration file: a pure
 * function that is run again on every change. The speaker takes the result and applies the
 * difference.
 *
 * Peers come from three places: the other Nodes, kube-router's flags and annotations for peers
 * outside the cluster, and the configuration file. An address that several of them name is the
 * file's, then the flags' or annotation's, then the Node's; that it was named twice is said.
 */
import type { OriginatedRoute, PeerConfig, SpeakerConfig } from "../bgp/types.ts";
import { type IpAddress, UNSPECIFIED_ADDRESSES } from "../ip/address.ts";
import { type NodeAnnotations, readNodeAnnotations } from "../k8s/annotations.ts";
import type { SelfNode, Topology } from "../k8s/topology.ts";
import type { Condition } from "./conditions.ts";
import type { AgentConfig } from "./config.ts";
import { buildNetworks, buildPeers, type PeerDefaults } from "./config-file/build.ts";
import type { LoadedConfig } from "./config-file/source.ts";
import {
  externalPeers,
  leftOutPeers,
  unknownAnnotations,
  unusedOptions,
} from "./external-peers.ts";
import { givenRouterId } from "./flag-values.ts";
import {
  listenAddresses,
  type MeshMemo,
  meshOf,
  meshPeers,
  ownAs,
  ownRoutes,
  routerIdOf,
} from "./mesh.ts";
import { NodePeers } from "./node-peers.ts";
import type { PolicyMemo } from "./policy-memo.ts";

export interface BgpPlan {
  readonly speaker: SpeakerConfig;
  readonly peers: readonly PeerConfig[];
  /** Addresses of those that the file, flags or annotations name. */
  readonly named: readonly IpAddress[];
  readonly routes: readonly OriginatedRoute[];
  /** What of the inputs could not be used, in one sentence each. */
  readonly problems: readonly string[];
  /** What of them is used, though not as it was asked for. */
  readonly warnings: readonly Condition[];
  /** Follows changes of other Nodes while all else stays; undefined without Nodes. */
  readonly nodePeers: NodePeers | undefined;
}

/** The plan, or why there can be none yet. */
export type BgpPlanned =
  | { readonly ok: true; readonly plan: BgpPlan }
  /** `fault`: nothing but a change of the configuration helps. */
  | { readonly ok: false; readonly reason: string; readonly fault?: true };

export interface BgpInputs {
  /** Undefined = the agent runs without Nodes, from its configuration file alone. */
  readonly topology: Topology | undefined;
  readonly config: AgentConfig;
  /** The configuration file, when there is one. */
  readonly loaded: LoadedConfig | undefined;
  readonly mesh?: MeshMemo;
  /** Routes of an earlier run were found in the kernel, so that forwarding went on. */
  readonly restarted: boolean;
}

/**
 * Without an own Node nobody is peered and nothing announced: the other Nodes drop us at the same
 * event. As soon as it is back, everything is there again.
 */
export function planBgp(inputs: BgpInputs): BgpPlanned {
  inputs.mesh?.policies.begin();
  return inputs.topology === undefined ? planAlone(inputs) : planNode(inputs, inputs.topology);
}

/** A BGP daemon without Kubernetes: the file says everything. */
function planAlone(inputs: BgpInputs): BgpPlanned {
  const { config, loaded } = inputs;
  if (loaded === undefined) return { ok: false, reason: "the configuration file is not read yet" };
  const { global } = loaded.file;
  const routerId = global.routerId ?? givenRouterId(config.bgp.routerId);
  if (routerId === undefined) {
    const reason = "global.routerId is needed in the configuration file, or --router-id";
    return { ok: false, reason, fault: true };
  }
  // Everywhere unless told.
  const listen =
    listenAsTold(loaded, config) ??
    UNSPECIFIED_ADDRESSES.map((address) => ({ address, port: config.bgp.port }));
  // Not the router id, which need not be an address of ours.
  const own = listen
    .map(({ address }) => address)
    .filter((one) => !UNSPECIFIED_ADDRESSES.includes(one));
  const file = fromFile(loaded, config, own, inputs.mesh?.policies);
  return {
    ok: true,
    plan: {
      speaker: {
        ...speakerConfig(inputs, global.as ?? config.bgp.clusterAs, routerId),
        hostName: global.hostName ?? config.nodeName,
        listen,
      },
      peers: file.peers,
      named: file.peers.map(({ address }) => address),
      routes: file.routes,
      problems: file.problems,
      warnings: [],
      nodePeers: undefined,
    },
  };
}

function planNode(inputs: BgpInputs, topology: Topology): BgpPlanned {
  const { config, loaded } = inputs;
  const { self } = topology;
  const node = `Node ${config.nodeName}`;
  if (self === undefined) {
    return { ok: false, reason: `${node} is not among the Nodes that are known` };
  }
  const global = loaded?.file.global;
  const routerId = global?.routerId ?? routerIdOf(self, config.bgp.routerId);
  if (self.primaryAddress === undefined || routerId === undefined) {
    return { ok: false, reason: `${node} has no usable address yet` };
  }
  const as = global?.as ?? ownAs(self, config.bgp);
  if (as === undefined) {
    return {
      ok: false,
      reason:
        `${node} has no annotation kube-router.io/node.asn, ` +
        "which --nodes-full-mesh=false needs",
      fault: true,
    };
  }
  const { values: annotations, problems } = readNodeAnnotations(self.name, self.annotations);
  const policies = inputs.mesh?.policies;
  const file =
    loaded === undefined ? NOTHING : fromFile(loaded, config, listenAddresses(self), policies);
  const named = namedPeers(self, annotations, config, file, policies);
  const settings = { ...config.bgp, clusterAs: as };
  const nodes = meshPeers(topology, annotations, settings, inputs.mesh);
  const mesh = meshOf(self, annotations, settings, inputs.mesh);
  const merged = mergePeers([named.peers, withoutPeers(nodes, named.leftOut)]);
  const taken = new Set([...named.leftOut, ...named.addresses]);
  return {
    ok: true,
    plan: {
      speaker: {
        ...speakerConfig(inputs, as, routerId),
        hostName: global?.hostName ?? self.name,
        listen: listenAsTold(loaded, config) ?? listenAt(self, annotations, config),
        clusterId: global?.clusterId ?? annotations.routeReflectorServer,
      },
      peers: merged.peers,
      named: [...named.addresses],
      routes: [...ownRoutes(self), ...file.routes],
      problems: [
        ...problems.map((problem) => problem.message),
        ...file.problems,
        ...named.problems,
        ...merged.problems,
        ...nodes.filter(({ address }) => named.leftOut.has(address)).map(leftOutNode),
      ],
      warnings: [
        ...unusedOptions(annotations, config.bgp.external),
        ...unknownAnnotations(self.annotations),
      ],
      nodePeers: new NodePeers(topology.peers, mesh, taken),
    },
  };
}

interface NamedPeers {
  readonly peers: readonly PeerConfig[];
  /** Theirs. */
  readonly addresses: ReadonlySet<IpAddress>;
  /** Addresses that are named, though no peer can be had for them now: no Node gets them either. */
  readonly leftOut: ReadonlySet<IpAddress>;
  readonly problems: readonly string[];
}

/** Those of the file, the flags and the annotations. */
function namedPeers(
  self: SelfNode,
  annotations: NodeAnnotations,
  config: AgentConfig,
  file: FromFile,
  policies: PolicyMemo | undefined,
): NamedPeers {
  const external = externalPeers(self, annotations, config.bgp.external, config.bgp, policies);
  const { peers, problems } = mergePeers([
    file.peers,
    withoutPeers(external, new Set(file.leftOut)),
  ]);
  const addresses = new Set(peers.map(({ address }) => address));
  // Rather without a session than with one that has no password, or another's policies.
  const leftOut = [...file.leftOut, ...leftOutPeers(annotations, config.bgp.external)];
  return {
    peers,
    addresses,
    leftOut: new Set(leftOut.filter((address) => !addresses.has(address))),
    problems,
  };
}

/** By the file; undefined = it says nothing of it. */
function listenAsTold(
  loaded: LoadedConfig | undefined,
  config: AgentConfig,
): SpeakerConfig["listen"] | undefined {
  return loaded?.file.global.listen?.map(({ address, port = config.bgp.port }) => {
    return { address, port };
  });
}

function listenAt(
  self: SelfNode,
  annotations: NodeAnnotations,
  config: AgentConfig,
): SpeakerConfig["listen"] {
  const { localAddresses } = annotations;
  const addresses = localAddresses.length > 0 ? localAddresses : listenAddresses(self);
  return addresses.map((address) => ({ address, port: config.bgp.port }));
}

function speakerConfig(inputs: BgpInputs, as: number, routerId: IpAddress): SpeakerConfig {
  const { config, loaded, restarted } = inputs;
  const global = loaded?.file.global;
  return {
    as,
    routerId,
    hostName: config.nodeName,
    domainName: "",
    listen: [],
    dialsNeedPort: true,
    clusterId: global?.clusterId,
    restarted: restarted && config.bgp.restartSeconds !== undefined,
    deferralSeconds: config.bgp.deferralSeconds,
    maximumPaths: global?.maximumPaths ?? config.bgp.maximumPaths,
  };
}

interface FromFile {
  readonly peers: readonly PeerConfig[];
  /** Addresses that the file has a peer for, which cannot be had now. */
  readonly leftOut: readonly IpAddress[];
  readonly routes: readonly OriginatedRoute[];
  readonly problems: readonly string[];
}

const NOTHING: FromFile = { peers: [], leftOut: [], routes: [], problems: [] };

function fromFile(
  loaded: LoadedConfig,
  config: AgentConfig,
  ownAddresses: readonly IpAddress[],
  policies: PolicyMemo | undefined,
): FromFile {
  const defaults: PeerDefaults = {
    holdSeconds: config.bgp.holdSeconds,
    port: 179,
    restartSeconds: config.bgp.restartSeconds,
    ownAddresses,
  };
  const built = buildPeers(loaded.file, defaults, loaded.readSecret, policies);
  const routes = buildNetworks(loaded.file);
  return { ...built, routes };
}

function withoutPeers(
  peers: readonly PeerConfig[],
  addresses: ReadonlySet<IpAddress>,
): readonly PeerConfig[] {
  return addresses.size === 0 ? peers : peers.filter(({ address }) => !addresses.has(address));
}

function leftOutNode({ name, address }: PeerConfig): string {
  return `Node ${name} is left out as well: ${address} is the address of a peer that is left out`;
}

/** One peer for each address; earlier lists win. */
function mergePeers(lists: readonly (readonly PeerConfig[])[]): {
  readonly peers: readonly PeerConfig[];
  readonly problems: readonly string[];
} {
  const byAddress = new Map<IpAddress, PeerConfig>();
  const problems: string[] = [];
  for (const peer of lists.flat()) {
    const first = byAddress.get(peer.address);
    if (first === undefined) byAddress.set(peer.address, peer);
    else
      problems.push(`peer ${peer.address} is named twice; it is ${first.name}, not ${peer.name}`);
  }
  return { peers: [...byAddress.values()], problems };
}
