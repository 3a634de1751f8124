/**
 * What must be done so that pods can be connected: kube-bridge there, a bridge, up, with the MTU of
 * the node's own interface. Pure: from the links and addresses that there are to operations and
 * conditions.
 *
 * What is put back for running pods stands in bridge-memory.ts.
 */
import { addressBytes, familyOf, type IpAddress } from "../ip/address.ts";
import { LOOPBACK_MTU, MTU_MIN } from "../ip/mtu.ts";
import type { Prefix } from "../ip/prefix.ts";
import { someOf } from "../runtime/operator-text.ts";
import {
  type BridgeMemory,
  type FormerAddress,
  formerAddresses,
  isNeeded,
  keepFormer,
  portsOf,
  remember,
  restore,
} from "./bridge-memory.ts";
import type { Gateway } from "./gateways.ts";
import type { HostLink, HostLinks, LinkOperation } from "./host-links.ts";
import { NAMED_MAX } from "./limits.ts";
import { type CniCondition, type CniPluginKind, POD_BRIDGE } from "./types.ts";

export interface LinksWanted {
  readonly kind: CniPluginKind;
  /** Of this node, one a family, the primary one first. */
  readonly nodeIps: readonly IpAddress[];
  readonly podCidrs: readonly Prefix[];
  /** Whether the bridge gets the MTU of the node's interface; otherwise it keeps what it has. */
  readonly autoMtu: boolean;
  /** Bytes that tunnels take from each packet. */
  readonly overheadBytes: number;
  /** What the bridge gets with pods, by the CNI configuration. */
  readonly gateways: readonly Gateway[];
  /** Addresses of an earlier pod CIDR of this node that another Node has now. */
  readonly taken: readonly IpAddress[];
}

export interface LinksPlan {
  readonly operations: readonly LinkOperation[];
  readonly conditions: readonly CniCondition[];
  /** The interface with the node's primary address. */
  readonly nodeLink: string | undefined;
  /** Those with any address of the node, or a default route that a router gave; each once. */
  readonly uplinks: readonly string[];
  /** For pods; undefined when it is left as it is, or no interface has an address of the node. */
  readonly mtu: number | undefined;
  /** Whether pods can be connected as things are. */
  readonly ready: boolean;
  /** Why the bridge is left alone, where it is one and somebody else's; undefined otherwise. */
  readonly foreign: string | undefined;
  /** The bridge's addresses of earlier pod CIDRs, for `taken`. */
  readonly former: readonly IpAddress[];
  readonly memory: BridgeMemory | undefined;
}

export function planLinks(
  host: HostLinks,
  wanted: LinksWanted,
  memory: BridgeMemory | undefined,
): LinksPlan {
  const conditions: CniCondition[] = [];
  const node = nodeLinksOf(host, wanted, conditions);
  const { name: nodeLink, names, mtu } = node;
  // What a pod has told the bridge is no uplink.
  const routed = host.links.filter(
    ({ index, name }) => name !== POD_BRIDGE && host.routed?.has(index) === true,
  );
  const uplinks = [...new Set([...names, ...routed.map(({ name }) => name)])];
  const plain = { conditions, nodeLink, uplinks, mtu, foreign: undefined, former: [] };
  if (wanted.kind === "ptp") return { ...plain, operations: [], ready: true, memory: undefined };
  const bridge = host.links.find((link) => link.name === POD_BRIDGE);
  if (bridge === undefined) {
    const linkAddress = bridgeLinkAddress(wanted.nodeIps);
    const create = { kind: "create-bridge", name: POD_BRIDGE, mtu: node.mtu, linkAddress } as const;
    return { ...plain, operations: [create], ready: false, memory };
  }
  const unusable = whyNoBridge(bridge) ?? whyForeign(bridge, host);
  if (unusable !== undefined) {
    conditions.push(unusable);
    const foreign = bridge.kind === "bridge" ? unusable.message : undefined;
    return { ...plain, operations: [], ready: false, foreign, memory: undefined };
  }
  const former = formerAddresses(bridge, host, wanted, memory);
  const needed = former.filter((one) => isNeeded(one, host, wanted));
  conditions.push(...formerConditions(wanted.podCidrs.length === 0 ? [] : needed));
  const operations = [
    ...adjust(bridge, node.mtu),
    ...restore(bridge, host, wanted, memory),
    ...keepFormer(bridge, host, wanted, former, memory),
  ];
  const settled = operations.length === 0;
  return {
    ...plain,
    operations,
    ready: bridge.up,
    former: (settled ? needed : former).map(({ address }) => address),
    memory: settled ? remember(bridge, host, needed) : memory,
  };
}

function nodeLinksOf(
  host: HostLinks,
  { nodeIps, autoMtu, overheadBytes }: LinksWanted,
  conditions: CniCondition[],
): {
  readonly name: string | undefined;
  readonly names: readonly string[];
  readonly mtu: number | undefined;
} {
  const found = nodeIps.flatMap((ip) => {
    const address = host.addresses.find((one) => one.address === ip);
    const link = host.links.find((one) => one.index === address?.linkIndex);
    return link === undefined ? [] : [{ ip, link }];
  });
  const missing = nodeIps.filter((ip) => !found.some((one) => one.ip === ip));
  if (missing.length > 0) conditions.push(nodeAddressMissing(missing));
  if (found.length === 0) return { name: undefined, names: [], mtu: undefined };
  const widths = found.map(({ link }) => (link.loopback ? LOOPBACK_MTU : link.mtu));
  const needed = Math.max(...nodeIps.map((ip) => MTU_MIN[familyOf(ip)]));
  const mtu = Math.max(needed, Math.min(...widths) - overheadBytes);
  const primary = found.find(({ ip }) => ip === nodeIps[0]);
  const names = [...new Set(found.map(({ link }) => link.name))];
  return { name: primary?.link.name, names, mtu: autoMtu ? mtu : undefined };
}

/**
 * The bridge would take the lowest address of its ports, another one with each pod that comes or
 * goes; and made anew with the same address, it needs no new ARP entries in the pods. 0a:58 is a
 * locally administered block that CNI plugins have used for the purpose.
 */
function bridgeLinkAddress(nodeIps: readonly IpAddress[]): string | undefined {
  const ip = nodeIps.find((one) => familyOf(one) === 4) ?? nodeIps[0];
  if (ip === undefined) return undefined;
  const tail = [...addressBytes(ip).slice(-4)];
  return ["0a", "58", ...tail.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** A link of that name that no pod can be connected to. */
function whyNoBridge({ kind }: HostLink): CniCondition | undefined {
  if (kind === "bridge") return undefined;
  return {
    name: "pod-bridge-not-a-bridge",
    severity: "error",
    message:
      `${POD_BRIDGE} is ${kind ?? "a device"}, not a bridge: it is left as it is, and no pod can ` +
      "be connected to it; rename or remove it",
  };
}

/** A bridge of that name that we keep our hands off. */
function whyForeign(bridge: HostLink, host: HostLinks): CniCondition | undefined {
  // Pods come by veth pairs. Anything else says that somebody uses the bridge for something else.
  const others = portsOf(bridge, host).filter((port) => port.kind !== "veth");
  if (others.length === 0) return undefined;
  const names = others.map((port) => port.name);
  return {
    name: "pod-bridge-foreign",
    severity: "error",
    message:
      `${POD_BRIDGE} belongs to somebody else: its port ${someOf(names, NAMED_MAX)} is no pod's: ` +
      "it is left as it is, and podrouter connects no pod to it; " +
      "rename it, or use --cni-plugin=ptp",
  };
}

function formerConditions(former: readonly FormerAddress[]): readonly CniCondition[] {
  if (former.length === 0) return [];
  const texts = former.map(({ address, length }) => `${address}/${length}`);
  return [
    {
      name: "pod-bridge-address",
      severity: "warning",
      message:
        `${POD_BRIDGE} has the address ${someOf(texts, NAMED_MAX)}, which is in no pod CIDR of ` +
        "this node: it is kept for pods of an earlier pod CIDR, which are not reached from other " +
        "nodes; recreate them",
    },
  ];
}

function adjust(bridge: HostLink, mtu: number | undefined): readonly LinkOperation[] {
  const change: { up?: true; mtu?: number } = {};
  if (!bridge.up) change.up = true;
  if (mtu !== undefined && bridge.mtu !== mtu) change.mtu = mtu;
  if (Object.keys(change).length === 0) return [];
  return [{ kind: "set", index: bridge.index, change }];
}

function nodeAddressMissing(missing: readonly IpAddress[]): CniCondition {
  return {
    name: "node-address-missing",
    severity: "warning",
    message:
      `no interface of this machine has the node's address ${missing.join(", ")}: ` +
      "the MTU of pods cannot be taken from it",
  };
}
