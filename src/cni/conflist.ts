/**
 * The CNI network configuration list of this node, as a pure function of the file that is there
 * and of what the Node wants. What an administrator (or kube-router) wrote is kept: unknown keys,
 * further plugins, the version, and above all the network's name and the lease folder, because
 * host-local keeps its leases under them and would otherwise give out addresses of running pods.
 * What is ours in it: the plugin's type, the bridge's name, the MTU, the ranges.
 *
 * host-local gives a pod one address from each range set, so there is one set for each family, in
 * the order of the Node's pod CIDRs: the first decides a pod's primary address.
 *
 * Our own plugin has no IPAM in the list: the agent gives the addresses out. It is told where to
 * find the agent, and keeps host-local's leases in mind when it takes over from it.
 *
 * No loopback plugin is in the list. The spec leaves `lo` to the runtime, and containerd and CRI-O
 * bring it up themselves; the plugin need only be installed, see conflist-file.ts.
 */
import { isDeepStrictEqual } from "node:util";
import type { IpFamily } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import { isJsonObject, type JsonObject } from "../runtime/json.ts";
import { type Gateway, gatewaysOf } from "./gateways.ts";
import { planIpam } from "./ipam.ts";
import { PLUGIN_TYPE } from "./plugin/wire.ts";
import { type CniPluginChoice, POD_BRIDGE } from "./types.ts";

/**
 * Spec version of a new file: what the Kubernetes project recommends to plugins ("Network Plugins",
 * kubernetes.io), and what every runtime of a supported Kubernetes speaks. CHECK needs 0.4.0.
 */
const VERSION_NEW = "1.0.0";
/** Lists of plugins exist since 0.3.0; an older or unreadable version in a list is replaced. */
const VERSION_USABLE = /^(?:0\.[3-9]\d*|[1-9]\d{0,2}\.\d{1,3})\.\d{1,3}$/;

/** The networks' names of kube-router and kindnet: leases stay known when one takes over. */
const NETWORK_NAMES: Readonly<Record<CniPluginChoice, string>> = {
  bridge: "mynet",
  ptp: "kindnet",
  podrouter: "podrouter",
};

/** Key and value by which a file is known to have been made here; runtimes ignore unknown keys. */
const CREATED_BY = "createdBy";
const CREATOR = "podrouter";

/** What has a meaning for the bridge plugin only. */
const BRIDGE_KEYS: ReadonlySet<string> = new Set([
  "bridge",
  "isGateway",
  "isDefaultGateway",
  "forceAddress",
  "hairpinMode",
  "promiscMode",
  "vlan",
  "vlanTrunk",
  "preserveDefaultVlan",
  "macspoofchk",
  "portIsolation",
]);

/** What has a meaning for our own plugin only. */
const OWN_KEYS: ReadonlySet<string> = new Set(["socket", "leases"]);

/** Names of the plugins in the list. */
const TYPES: Readonly<Record<CniPluginChoice, string>> = {
  bridge: "bridge",
  ptp: "ptp",
  podrouter: PLUGIN_TYPE,
};

/** Used unless the file says otherwise. */
const DEFAULTS: Readonly<Record<CniPluginChoice, JsonObject>> = {
  bridge: {
    // The bridge has the first address of the range, and is every pod's gateway.
    isDefaultGateway: true,
    // When the Node comes back with another pod CIDR, so does the bridge.
    forceAddress: true,
    // A pod that reaches itself through a host port or a service.
    hairpinMode: true,
  },
  ptp: { ipMasq: false },
  podrouter: { capabilities: { ips: true, mac: true } },
};

const PORTMAP: Readonly<Record<CniPluginChoice, JsonObject>> = {
  bridge: { type: "portmap", capabilities: { portMappings: true }, snat: true },
  ptp: { type: "portmap", capabilities: { portMappings: true } },
  podrouter: { type: "portmap", capabilities: { portMappings: true }, snat: true },
};

export interface ConflistWanted {
  readonly kind: CniPluginChoice;
  /** Of this node, in the order of the Node; at least one. */
  readonly podCidrs: readonly Prefix[];
  /** Where our own plugin finds the agent and its leases; needed for that kind alone. */
  readonly own?: OwnPluginPaths | undefined;
  /** Undefined: whatever the file says. */
  readonly mtu: number | undefined;
}

export interface OwnPluginPaths {
  readonly socket: string;
  readonly leases: string;
}

/** Why a file is left as it is. */
export type ConflistRefusal = "not-json" | "not-a-list" | "no-known-plugin";

export type ConflistPlan =
  | {
      readonly ok: true;
      /** The whole new file; undefined when the one that is there will do. */
      readonly text: string | undefined;
      /** Names of the programs that it needs, IPAM included, each once. */
      readonly programs: readonly string[];
      /** Why the pod CIDRs, or some of them, are not in it. */
      readonly notes: readonly string[];
      /** What kube-bridge gets from it. */
      readonly gateways: readonly Gateway[];
    }
  | { readonly ok: false; readonly refusal: ConflistRefusal };

/** Whether there is a file, given its text: an empty one counts as none. */
export function isThere(existing: string | undefined): existing is string {
  return existing !== undefined && existing.trim() !== "";
}

/** `existing`: the text of the file, undefined when there is none. */
export function planConflist(existing: string | undefined, wanted: ConflistWanted): ConflistPlan {
  const notes: string[] = [];
  if (!isThere(existing)) {
    const main = mainPlugin({}, wanted, notes);
    const list = newList(main, wanted.kind);
    const gateways = gatewaysOf(main, wanted.podCidrs);
    return { ok: true, text: format(list), programs: programsOf(list), notes, gateways };
  }
  const before = parseList(existing);
  if (typeof before === "string") return { ok: false, refusal: before };
  const index = mainPluginIndex(before.plugins, wanted.kind);
  if (index < 0) return { ok: false, refusal: "no-known-plugin" };
  const main = mainPlugin(before.plugins[index]!, wanted, notes);
  const plugins = before.plugins.with(index, main);
  const { name, cniVersion } = before.list;
  const list: JsonObject = {
    ...before.list,
    cniVersion:
      typeof cniVersion === "string" && VERSION_USABLE.test(cniVersion) ? cniVersion : VERSION_NEW,
    name: typeof name === "string" && name !== "" ? name : NETWORK_NAMES[wanted.kind],
    plugins,
  };
  const text = isDeepStrictEqual(list, before.list) ? undefined : format(list);
  const gateways = gatewaysOf(main, wanted.podCidrs);
  return { ok: true, text, programs: programsOf(list), notes, gateways };
}

/** Whether this text is a list that was made here, and not taken over from others. */
export function isOwnConflist(text: string): boolean {
  const parsed = parseList(text);
  return typeof parsed !== "string" && parsed.list[CREATED_BY] === CREATOR;
}

/** Where our own plugin is told to find the agent; undefined when the list does not name it. */
export function ownPluginPaths(text: string): OwnPluginPaths | undefined {
  const parsed = parseList(text);
  if (typeof parsed === "string") return undefined;
  const own = parsed.plugins.find((plugin) => plugin["type"] === PLUGIN_TYPE);
  const { socket, leases } = own ?? {};
  return typeof socket === "string" && typeof leases === "string" ? { socket, leases } : undefined;
}

function newList(main: JsonObject, kind: CniPluginChoice): JsonObject {
  return {
    cniVersion: VERSION_NEW,
    name: NETWORK_NAMES[kind],
    [CREATED_BY]: CREATOR,
    plugins: [main, PORTMAP[kind]],
  };
}

function parseList(
  text: string,
):
  | { readonly list: JsonObject; readonly plugins: readonly JsonObject[] }
  | "not-json"
  | "not-a-list" {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return "not-json";
  }
  if (!isJsonObject(list)) return "not-a-list";
  const plugins = list["plugins"];
  if (!Array.isArray(plugins) || !plugins.every(isJsonObject)) return "not-a-list";
  return { list, plugins };
}

/** The plugin that connects pods: the wanted kind if it is there, otherwise another kind. */
function mainPluginIndex(plugins: readonly JsonObject[], kind: CniPluginChoice): number {
  const wanted = plugins.findIndex((plugin) => plugin["type"] === TYPES[kind]);
  if (wanted >= 0) return wanted;
  return plugins.findIndex((plugin) =>
    Object.values(TYPES).some((known) => known === plugin["type"]),
  );
}

function mainPlugin(before: JsonObject, wanted: ConflistWanted, notes: string[]): JsonObject {
  const { kind, mtu } = wanted;
  if (kind === "podrouter") return ownPlugin(before, wanted);
  const kept = Object.fromEntries(
    Object.entries(before).filter(
      ([key]) =>
        (kind === "bridge" || !BRIDGE_KEYS.has(key)) &&
        (before["type"] !== PLUGIN_TYPE || !(OWN_KEYS.has(key) || key === "capabilities")),
    ),
  );
  const cidrs = usableCidrs(wanted, notes);
  const ipam = planIpam(before["ipam"], kind, cidrs);
  if (ipam === undefined) {
    notes.push(
      "its addresses are not managed by host-local, so the pod CIDRs of this node are not kept " +
        "in it",
    );
  }
  const ours = { type: kind, ...(kind === "bridge" ? { bridge: POD_BRIDGE } : {}) };
  return {
    // In front for the eye, and once more over what was kept.
    ...ours,
    ...DEFAULTS[kind],
    ...kept,
    ...ours,
    ...(ipam === undefined ? {} : { ipam }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

/** What belongs to another plugin goes, above all its IPAM: the agent is asked instead. */
function ownPlugin(before: JsonObject, { own, mtu }: ConflistWanted): JsonObject {
  if (own === undefined) throw new Error("bug: nobody said where the agent is to be found");
  const kept = Object.fromEntries(
    Object.entries(before).filter(
      ([key]) => !(BRIDGE_KEYS.has(key) || key === "ipam" || key === "ipMasq"),
    ),
  );
  const ours = { type: PLUGIN_TYPE, socket: own.socket, leases: own.leases };
  return {
    ...ours,
    ...DEFAULTS.podrouter,
    ...kept,
    ...ours,
    ...(mtu === undefined ? {} : { mtu }),
  };
}

/**
 * The bridge plugin holds one IPv4 address on the bridge and takes another away again, so pods of
 * a second range would cut those of the first off: only the first CIDR of a family is used there.
 */
function usableCidrs({ kind, podCidrs }: ConflistWanted, notes: string[]): readonly Prefix[] {
  if (kind === "ptp") return podCidrs;
  const first = new Map<IpFamily, Prefix>();
  for (const cidr of podCidrs) {
    const family = prefixFamily(cidr);
    if (!first.has(family)) first.set(family, cidr);
  }
  const used = podCidrs.filter((cidr) => first.get(prefixFamily(cidr)) === cidr);
  const unused = podCidrs.filter((cidr) => !used.includes(cidr));
  if (unused.length > 0) {
    notes.push(
      "the bridge plugin uses one range of a family: no pod gets an address of " +
        `${unused.join(", ")} ` +
        "(--cni-plugin=ptp and --cni-plugin=podrouter use all)",
    );
  }
  return used;
}

function programsOf(list: JsonObject): string[] {
  const programs = new Set<string>();
  for (const plugin of list["plugins"] as readonly JsonObject[]) {
    const ipam = plugin["ipam"];
    for (const type of [plugin["type"], isJsonObject(ipam) ? ipam["type"] : undefined]) {
      if (typeof type === "string" && type !== "") programs.add(type);
    }
  }
  return [...programs];
}

function format(list: JsonObject): string {
  return `${JSON.stringify(list, undefined, 2)}\n`;
}
