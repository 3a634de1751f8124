/** The links and addresses of a machine, as far as pods need them, and what is done to them. */
import type { IpAddress } from "../ip/address.ts";

export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** `bridge`, `veth`, …; undefined for a real device. */
  readonly kind: string | undefined;
  readonly mtu: number;
  readonly up: boolean;
  readonly loopback: boolean;
  /** Index of the bridge it is a port of; 0 for none. */
  readonly masterIndex: number;
  /** As a port of a bridge: frames may leave by it that came by it. */
  readonly hairpin: boolean;
}

export interface HostAddress {
  readonly linkIndex: number;
  readonly address: IpAddress;
  /** Of the prefix, in bits. */
  readonly length: number;
}

export interface HostLinks {
  readonly links: readonly HostLink[];
  readonly addresses: readonly HostAddress[];
  /**
   * Indexes of those with a default route of IPv6 that a router gave. Left out where IPv6 is
   * forwarded already: such a route is lost when that is switched on, and then alone.
   */
  readonly routed?: ReadonlySet<number>;
}

export type LinkOperation =
  | {
      readonly kind: "create-bridge";
      readonly name: string;
      readonly mtu: number | undefined;
      readonly linkAddress: string | undefined;
    }
  | {
      readonly kind: "set";
      readonly index: number;
      readonly change: {
        readonly up?: true;
        readonly mtu?: number;
        readonly masterIndex?: number;
        readonly hairpin?: true;
      };
    }
  | {
      readonly kind: "add-address" | "remove-address";
      readonly index: number;
      readonly address: IpAddress;
      readonly length: number;
    };

/** As one would type it after `ip`. */
export function describeOperation(operation: LinkOperation): string {
  switch (operation.kind) {
    case "create-bridge": {
      const { name, mtu, linkAddress } = operation;
      const width = mtu === undefined ? "" : ` mtu ${mtu}`;
      const own = linkAddress === undefined ? "" : ` address ${linkAddress}`;
      return `link add ${name}${own}${width} type bridge`;
    }
    case "set": {
      const { up, mtu, masterIndex, hairpin } = operation.change;
      const words = [
        ...(up === undefined ? [] : ["up"]),
        ...(mtu === undefined ? [] : [`mtu ${mtu}`]),
        ...(masterIndex === undefined ? [] : [`master if${masterIndex}`]),
        ...(hairpin === undefined ? [] : ["type bridge_slave hairpin on"]),
      ];
      return `link set if${operation.index} ${words.join(" ")}`;
    }
    case "add-address":
    case "remove-address": {
      const { kind, address, length, index } = operation;
      const verb = kind === "add-address" ? "add" : "del";
      return `address ${verb} ${address}/${length} dev if${index}`;
    }
  }
}
