/**
 * From the Nodes and this machine's addresses to the tunnels that should be there. Pure.
 *
 * `subnet`: a node is reached by a tunnel when its address is in no subnet of an interface of this
 * machine, whether that interface is up or not: what is wrong with a link is not cured by a way
 * around it. What is in a VRF does not count. This is what src/routes finds unreachable for want of
 * a subnet.
 *
 * An address family whose own node address is on no interface gets no tunnels, and a condition.
 */
import { FAMILIES, familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { LOOPBACK_MTU, MTU_MIN } from "../ip/mtu.ts";
import { hostPrefix, type Prefix, prefixContains, prefixFamily } from "../ip/prefix.ts";
import type { HostState } from "./host-state.ts";
import {
  deviceKind,
  isOurDevice,
  overheadBytes,
  tunnelName,
  vtepGateway,
  vtepMac,
  vxlanName,
} from "./names.ts";
import {
  type Device,
  type HostLink,
  type Item,
  itemKey,
  type OverlaySettings,
  type OverlayWanted,
} from "./types.ts";

export interface OverlayProblem {
  /** Stable and unique. */
  readonly name: string;
  readonly severity: "warning" | "error";
  readonly message: string;
}

/** A node that is reached by a tunnel. */
export interface Target {
  readonly node: IpAddress;
  readonly source: IpAddress;
  /** Name of the device. */
  readonly device: string;
  /** VXLAN only. */
  readonly vtep: { readonly mac: string; readonly gateway: IpAddress } | undefined;
}

/** An item and its key. */
export type KeyedItem = readonly [key: string, item: Item];

/**
 * What one keeper remembers between calls: names, keys and items that follow from a node's address.
 * Nothing in it changes an answer; without it each Node event would make all of them anew.
 */
export class TargetMemo {
  /** As they were desired last, by node. */
  readonly targets = new Map<IpAddress, Target>();
  readonly #counts: Record<IpFamily, number> = { 4: 0, 6: 0 };
  readonly items = new WeakMap<
    Target,
    { readonly link: number; readonly list: readonly KeyedItem[] }
  >();

  /** Targets of a family. */
  count(family: IpFamily): number {
    return this.#counts[family];
  }

  add(target: Target): void {
    if (!this.targets.has(target.node)) this.#counts[familyOf(target.node)]++;
    this.targets.set(target.node, target);
  }

  remove(node: IpAddress): void {
    if (this.targets.delete(node)) this.#counts[familyOf(node)]--;
  }

  replace(targets: readonly Target[]): void {
    this.targets.clear();
    for (const family of FAMILIES) this.#counts[family] = 0;
    for (const target of targets) this.add(target);
  }
}

export interface DesiredOverlay {
  readonly targets: readonly Target[];
  /** By name. */
  readonly devices: ReadonlyMap<string, Device>;
  readonly podCidrs: readonly Prefix[];
  /** Nodes that need a tunnel and get none, and why: completes "no tunnel leads there: …". */
  readonly without: ReadonlyMap<IpAddress, string>;
  /** Devices of targets that cannot be made, by name: completes "cannot be made: …". */
  readonly hindered: ReadonlyMap<string, string>;
  readonly problems: readonly OverlayProblem[];
}

export const NOTHING_DESIRED: DesiredOverlay = {
  targets: [],
  devices: new Map(),
  podCidrs: [],
  without: new Map(),
  hindered: new Map(),
  problems: [],
};

export function desiredOverlay(
  settings: OverlaySettings,
  wanted: OverlayWanted,
  host: HostState,
  memo: TargetMemo = new TargetMemo(),
): DesiredOverlay {
  const targets: Target[] = [];
  const devices = new Map<string, Device>();
  const problems: OverlayProblem[] = [];
  const podCidrs: Prefix[] = [];
  const without = new Map<IpAddress, string>();
  const hindered = new Map<string, string>();
  for (const family of FAMILIES) {
    const nodes = nodesToTunnel(settings, wanted, host, family);
    if (nodes.length === 0) continue;
    const own = wanted.own[family];
    const mtu = own === undefined ? undefined : deviceMtu(settings, own, family, host);
    if (own === undefined || mtu === undefined) {
      const why = own === undefined ? `this Node has no IPv${family} address` : lacksAddress(own);
      if (own !== undefined) problems.push(ownAddressMissing(own));
      for (const node of nodes) without.set(node, why);
      continue;
    }
    const made = new Maker(settings, own, mtu, host, problems, memo.targets, hindered);
    const before = devices.size;
    for (const node of nodes) {
      const target = made.target(node, devices);
      if (typeof target === "string") without.set(node, target);
      else targets.push(target);
    }
    if (devices.size === before) continue;
    podCidrs.push(...wanted.ownPodCidrs.filter((cidr) => prefixFamily(cidr) === family));
  }
  memo.replace(targets);
  return { targets, devices, podCidrs, without, hindered, problems };
}

/** What the device of a target must hold, once it has an index. */
export function itemsOf(target: Target, link: number, memo: TargetMemo): readonly KeyedItem[] {
  const known = memo.items.get(target);
  if (known?.link === link) return known.list;
  const list = makeItems(target, link).map((item) => [itemKey(item), item] as const);
  memo.items.set(target, { link, list });
  return list;
}

function makeItems(target: Target, link: number): readonly Item[] {
  const { node, vtep } = target;
  const prefix = hostPrefix(node);
  if (vtep === undefined) return [{ kind: "route", prefix, link, gateway: undefined }];
  const { mac, gateway } = vtep;
  return [
    { kind: "forwarding", link, mac, remote: node },
    { kind: "neighbour", link, address: gateway, mac },
    { kind: "route", prefix, link, gateway },
  ];
}

function nodesToTunnel(
  { type }: OverlaySettings,
  { remotes, own }: OverlayWanted,
  host: HostState,
  family: IpFamily,
): readonly IpAddress[] {
  const { alone, subnets } = host.subnets(family);
  const isLocal = (node: IpAddress) =>
    alone.has(node) || subnets.some((subnet) => prefixContains(subnet, node));
  const nodes = new Set<IpAddress>();
  for (const { [family]: node } of remotes) {
    if (node === undefined || node === own[family]) continue;
    if (type === "full" || !isLocal(node)) nodes.add(node);
  }
  return [...nodes];
}

function deviceMtu(
  { encap }: OverlaySettings,
  own: IpAddress,
  family: IpFamily,
  host: HostState,
): number | undefined {
  const at = host.addresses.find((one) => one.address === own && !host.isInVrf(one));
  const link = at === undefined ? undefined : host.links.get(at.link);
  if (link === undefined) return undefined;
  const width = link.loopback ? LOOPBACK_MTU : link.mtu;
  return Math.max(MTU_MIN[family], width - overheadBytes(encap, family));
}

/** Makes the targets of one family. */
class Maker {
  readonly #settings: OverlaySettings;
  readonly #own: IpAddress;
  readonly #mtu: number;
  readonly #host: HostState;
  readonly #problems: OverlayProblem[];
  /** Who has a MAC or a device name already. */
  readonly #taken = new Map<string, IpAddress>();
  /** Devices that cannot be made, and why. */
  readonly #hindered: Map<string, string>;
  readonly #known: ReadonlyMap<IpAddress, Target>;
  /** VXLAN: one device for all nodes of a family. */
  #shared: Device | undefined;

  constructor(
    settings: OverlaySettings,
    own: IpAddress,
    mtu: number,
    host: HostState,
    problems: OverlayProblem[],
    known: ReadonlyMap<IpAddress, Target>,
    hindered: Map<string, string>,
  ) {
    this.#known = known;
    this.#hindered = hindered;
    this.#settings = settings;
    this.#own = own;
    this.#mtu = mtu;
    this.#host = host;
    this.#problems = problems;
    if (settings.encap === "vxlan") this.#taken.set(vtepMac(own), own);
  }

  /** Or why there is none. */
  target(node: IpAddress, devices: Map<string, Device>): Target | string {
    const vxlan = this.#settings.encap === "vxlan";
    const known = this.#known.get(node);
    const unique = vxlan ? (known?.vtep?.mac ?? vtepMac(node)) : tunnelName(node);
    const rival = this.#taken.get(unique);
    if (rival !== undefined) {
      this.#problems.push(collision(node, rival));
      return `the Node ${rival} has the same short name for its tunnel`;
    }
    this.#taken.set(unique, node);
    const device = this.#device(node);
    if (!devices.has(device.name)) {
      const checked = device.borrowed || this.#hindered.has(device.name);
      const twin = this.#twinOf(node);
      const hindrance = checked ? undefined : hindranceOf(device, this.#host, twin);
      if (hindrance !== undefined) {
        this.#hindered.set(device.name, hindrance.why);
        this.#problems.push(hindrance.problem);
      }
      if (!this.#hindered.has(device.name)) devices.set(device.name, device);
    }
    const same = known?.source === this.#own && known.device === device.name;
    if (same && vxlan === (known.vtep !== undefined)) return known;
    const vtep = vxlan ? { mac: unique, gateway: vtepGateway(node) } : undefined;
    return { node, source: this.#own, device: device.name, vtep };
  }

  /** Somebody else's with the ends that ours would have. */
  #twinOf(node: IpAddress): HostLink | undefined {
    const kind = deviceKind(this.#settings.encap, familyOf(node));
    return this.#host.foreignTunnel(kind, this.#own, node);
  }

  #device(node: IpAddress): Device {
    const { encap, vni, port } = this.#settings;
    if (this.#shared !== undefined) return this.#shared;
    const family = familyOf(node);
    const kind = deviceKind(encap, family);
    const common = { kind, mtu: this.#mtu, local: this.#own, borrowed: false };
    if (encap === "ipip") {
      const twin = this.#twinOf(node);
      const borrowed = twin !== undefined && twin.unfit !== true;
      const name = borrowed ? twin.name : tunnelName(node);
      return { ...common, name, remote: node, vxlan: undefined, borrowed };
    }
    const vxlan = { vni, port, mac: vtepMac(this.#own) };
    this.#shared = { ...common, name: vxlanName(family), remote: undefined, vxlan };
    return this.#shared;
  }
}

interface Hindrance {
  readonly problem: OverlayProblem;
  /** The same in short. */
  readonly why: string;
}

/** Why a device cannot be made: what stands in its way is somebody else's. */
function hindranceOf(
  device: Device,
  host: HostState,
  twin: HostLink | undefined,
): Hindrance | undefined {
  const { name, vxlan } = device;
  if (twin !== undefined) {
    return { problem: unfitTwin(device, twin), why: `${twin.name} of somebody else has its ends` };
  }
  const there = host.byName.get(name);
  if (there !== undefined && !isOurDevice(there)) {
    return { problem: foreignDevice(there), why: `${name} is somebody else's` };
  }
  if (vxlan === undefined) return undefined;
  const rival = [...host.links.values()].find((link) => sharesVni(link, device));
  if (rival === undefined) return undefined;
  const message =
    `the VXLAN device ${rival.name} of somebody else has VNI ${vxlan.vni} and UDP port ` +
    `${vxlan.port}: nodes in other subnets are not reached; take another --overlay-vni on all ` +
    "nodes";
  return {
    problem: { name: `overlay-vni ${name}`, severity: "error", message },
    why: `${rival.name} of somebody else has its VNI and UDP port`,
  };
}

function foreignDevice({ name, kind = "device" }: HostLink): OverlayProblem {
  return {
    name: `overlay-device ${name}`,
    severity: "error",
    message:
      `${name} is somebody else's ${kind}: it is left as it is, and nodes in ` +
      "other subnets are not reached; rename or remove it",
  };
}

/** The kernel allows one tunnel of a kind with two ends. */
function unfitTwin({ local, remote }: Device, { name }: HostLink): OverlayProblem {
  return {
    name: `overlay-device ${name}`,
    severity: "error",
    message:
      `the tunnel ${name} of somebody else has the ends ${local} and ${remote} and is not plain ` +
      "IP in IP (FOU, or for other packets): the node is not reached; remove it with " +
      `\`ip link delete ${name}\``,
  };
}

function sharesVni(link: HostLink, device: Device): boolean {
  const { vxlan } = device;
  if (link.kind !== "vxlan" || isOurDevice(link)) return false;
  const otherFamily = link.local !== undefined && familyOf(link.local) !== familyOf(device.local);
  return link.vni === vxlan?.vni && link.port === vxlan?.port && !otherFamily;
}

function collision(node: IpAddress, rival: IpAddress): OverlayProblem {
  return {
    name: `overlay-collision ${node}`,
    severity: "error",
    message:
      `the nodes ${node} and ${rival} have the same short name for their tunnels: ${node} is not ` +
      "reached; give one of them another address",
  };
}

function lacksAddress(own: IpAddress): string {
  return `no interface has this Node's address ${own}, or one in a VRF only`;
}

function ownAddressMissing(own: IpAddress): OverlayProblem {
  return {
    name: `overlay-address ${own}`,
    severity: "error",
    message:
      `no interface of this machine has the node's address ${own}, or one in a VRF only: ` +
      "tunnels cannot start from it, and nodes in other subnets are not reached",
  };
}
