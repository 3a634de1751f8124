/**
 * The vocabulary of tunnels: what is asked for, what the kernel has, what to do about it.
 *
 * Beside devices there are four kinds of items, which are all of one form to the plan: each has a
 * key, under which the kernel has one, and a content.
 *
 *   forwarding   VXLAN: to the device of the other node, by its MAC, via that node's address
 *   neighbour    VXLAN: that MAC belongs to the gateway of our routes
 *   route        in table 77: the other node's own address, for answers of our pods
 *   rule         from our pod CIDR: look into table 77
 */
import type { IpAddress } from "../ip/address.ts";
import type { LocalAddress } from "../ip/local-address.ts";
import type { Prefix } from "../ip/prefix.ts";

/** kube-router's table, `kube-router` in /etc/iproute2/rt_tables. */
export const OVERLAY_TABLE = 77;
/** Our mark on routes and rules, the same that our routes of the main table have. */
export const OVERLAY_PROTOCOL = 17;
/** Of the rules: after those that an administrator would number, before the main table's. */
export const RULE_PRIORITY = 32_000;
/** What `ip -d link` shows on our devices, and one of the marks that they are ours. */
export const DEVICE_ALIAS = "podrouter overlay";

export type OverlayEncap = "ipip" | "vxlan";
export type DeviceKind = "ipip" | "ip6tnl" | "vxlan";

export interface OverlaySettings {
  /** `subnet`: only to nodes that no interface leads to. `full`: to all. */
  readonly type: "subnet" | "full";
  readonly encap: OverlayEncap;
  /** VXLAN only. */
  readonly vni: number;
  /** UDP port, VXLAN only. */
  readonly port: number;
}

/** The address used for a family; absent where the Node has none of it. */
export interface FamilyAddresses {
  readonly 4: IpAddress | undefined;
  readonly 6: IpAddress | undefined;
}

export interface OverlayWanted {
  readonly own: FamilyAddresses;
  readonly ownPodCidrs: readonly Prefix[];
  /** The addresses of every other Node, which are the next hops of its routes. */
  readonly remotes: readonly FamilyAddresses[];
  /** False: some may be missing, and what leads to them stays. True unless given. */
  readonly complete?: boolean;
}

/** A device as it should be. Everything but MTU and state is fixed from its making on. */
export interface Device {
  readonly name: string;
  readonly kind: DeviceKind;
  readonly mtu: number;
  readonly local: IpAddress;
  /** IP in IP only: the one node that it leads to. */
  readonly remote: IpAddress | undefined;
  /**
   * Somebody else's with the same ends, which the kernel allows one of: it is used, and neither
   * changed nor removed. kube-router leaves such behind.
   */
  readonly borrowed: boolean;
  /** VXLAN only. */
  readonly vxlan: { readonly vni: number; readonly port: number; readonly mac: string } | undefined;
}

/** An interface as the kernel has it. */
export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** Undefined for a real device. */
  readonly kind: string | undefined;
  readonly mtu: number;
  readonly up: boolean;
  readonly loopback: boolean;
  /** Is a VRF or belongs to one: what its addresses say holds there only. */
  readonly vrf?: boolean;
  readonly alias: string | undefined;
  readonly mac: string | undefined;
  /** Of tunnels. */
  readonly local: IpAddress | undefined;
  readonly remote: IpAddress | undefined;
  readonly vni: number | undefined;
  readonly port: number | undefined;
  /** Of IP in IP: it carries other packets than ours would, or wraps them in UDP as well (FOU). */
  readonly unfit?: boolean;
  /**
   * Of ours: takes router advertisements, and could do without. Whoever can send UDP to this node
   * can send one through a VXLAN.
   */
  readonly advertised?: boolean;
  /**
   * Of tunnels: somebody has set how far its packets go, that they must not be cut up, or (VXLAN)
   * that it learns from what arrives, and so drops what comes by another way than the one it has.
   */
  readonly tuned?: boolean;
}

export type Item =
  | {
      readonly kind: "forwarding";
      readonly link: number;
      readonly mac: string;
      readonly remote: IpAddress;
      /** By another port, VNI or interface than the device's, which none of ours is. */
      readonly detour?: true;
    }
  | {
      readonly kind: "neighbour";
      readonly link: number;
      readonly address: IpAddress;
      readonly mac: string;
    }
  | {
      readonly kind: "route";
      readonly prefix: Prefix;
      readonly link: number;
      /** Undefined: the device leads to one node only. */
      readonly gateway: IpAddress | undefined;
      /** A blackhole or the like, which none of ours is. */
      readonly odd?: true;
      /** The next hop object that it goes by, which none of ours does. */
      readonly nextHopId?: number;
    }
  | { readonly kind: "rule"; readonly from: Prefix };

/** An item of the kernel. A foreign one stands where ours would, and is never changed. */
export interface HostItem {
  readonly item: Item;
  readonly foreign: boolean;
}

export interface HostDump {
  readonly links: readonly HostLink[];
  readonly addresses: readonly LocalAddress[];
  readonly items: readonly HostItem[];
}

export type OverlayOperation =
  | { readonly kind: "create-device"; readonly device: Device }
  | {
      readonly kind: "set-device";
      readonly link: HostLink;
      readonly change: {
        readonly mtu?: number;
        readonly up?: true;
        readonly alias?: string;
        readonly mac?: string;
        readonly advertised?: false;
        readonly tuned?: false;
      };
    }
  | { readonly kind: "delete-device"; readonly link: HostLink }
  /** `replaces`: one of ours with the same key and another content is there. */
  | { readonly kind: "put"; readonly item: Item; readonly replaces: boolean }
  | { readonly kind: "drop"; readonly item: Item };

/** Under this the kernel has at most one item. */
export function itemKey(item: Item): string {
  switch (item.kind) {
    case "forwarding":
      return `forwarding ${item.link} ${item.mac}`;
    case "neighbour":
      return `neighbour ${item.link} ${item.address}`;
    case "route":
      return `route ${item.prefix}`;
    case "rule":
      return `rule ${item.from}`;
  }
}

/** Whether two items of one key say the same. */
export function sameContent(a: Item, b: Item): boolean {
  switch (a.kind) {
    case "forwarding":
      return b.kind === "forwarding" && a.remote === b.remote && a.detour === b.detour;
    case "neighbour":
      return b.kind === "neighbour" && a.mac === b.mac;
    case "route":
      return (
        b.kind === "route" &&
        a.link === b.link &&
        a.gateway === b.gateway &&
        a.odd === b.odd &&
        a.nextHopId === b.nextHopId
      );
    case "rule":
      return b.kind === "rule";
  }
}

/** The device that an item belongs to; a rule belongs to none. */
export function linkOf(item: Item): number | undefined {
  return item.kind === "rule" ? undefined : item.link;
}
