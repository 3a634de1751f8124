/** Links and addresses over netlink: the adapter behind {@link LinkKernel}. It decides nothing. */
import {
  AddressFlag,
  type InterfaceAddress,
  LinkFlag,
  LinkType,
  type Link as NetlinkLink,
  RouteNetlinkPair,
  RouteProtocol,
  RouteTable,
  rejectingWith,
} from "netlink-ts";
import { familyOf, type IpAddress, parseAddress } from "../ip/address.ts";
import { readSysctlNow } from "../runtime/sysctl.ts";
import type { HostAddress, HostLink, HostLinks, LinkOperation } from "./host-links.ts";
import { type LinkKernel, LinkKernelError } from "./pod-links.ts";
import { FORWARD_IPV6 } from "./sysctls.ts";

/** An address that nobody else has: IPv6 need not look for another owner, which takes a second. */
export function ownAddress(
  interfaceIndex: number,
  { address, length }: { readonly address: IpAddress; readonly length: number },
) {
  const flags = familyOf(address) === 6 ? { flags: AddressFlag.NODAD } : {};
  return { interfaceIndex, address: `${address}/${length}`, ...flags };
}

export interface NetlinkLinksOptions {
  /** Called around what is of a namespace: the making of each socket, the reading of a setting. */
  readonly around?: <T>(task: () => T) => T;
}

export class NetlinkLinks implements LinkKernel {
  readonly #sockets: RouteNetlinkPair;
  readonly #around: <T>(task: () => T) => T;

  constructor(options: NetlinkLinksOptions = {}) {
    this.#sockets = new RouteNetlinkPair(options.around);
    this.#around = options.around ?? ((task) => task());
  }

  async open(onEvent: () => void, onFailure: () => void): Promise<void> {
    await translatingErrors(async () =>
      this.#sockets.watch(["link", "address"], { onEvent, onOverrun: onEvent, onFailure }),
    );
  }

  read(): Promise<HostLinks> {
    return translatingErrors(async () => {
      const netlink = this.#sockets.asking;
      const links = await netlink.links.list();
      const addresses = await netlink.addresses.list({});
      const here = { links: links.map(linkOf), addresses: addresses.flatMap(addressOf) };
      // For a few routes the kernel goes through all: not with each pod that comes.
      const forwards = this.#around(() => readSysctlNow(FORWARD_IPV6)) === "1";
      return forwards ? here : { ...here, routed: await this.#routed() };
    });
  }

  async #routed(): Promise<ReadonlySet<number>> {
    const { routes } = this.#sockets.asking;
    const given = await routes.list({
      family: 6,
      table: RouteTable.MAIN,
      protocol: RouteProtocol.RA,
    });
    const routed = new Set<number>();
    for (const { destination, interfaceIndex } of given) {
      if (destination === "::/0" && interfaceIndex !== undefined) routed.add(interfaceIndex);
    }
    return routed;
  }

  apply(operation: LinkOperation): Promise<void> {
    return translatingErrors(async () => {
      const { links, addresses } = this.#sockets.asking;
      switch (operation.kind) {
        case "create-bridge": {
          const { name, mtu, linkAddress } = operation;
          await links.create({
            name,
            up: true,
            info: { kind: "bridge" },
            ...(mtu === undefined ? {} : { mtu }),
            ...(linkAddress === undefined ? {} : { linkAddress }),
          });
          return;
        }
        case "set":
          await links.set(operation.index, linkChange(operation.change));
          return;
        case "add-address": {
          await addresses.replace(ownAddress(operation.index, operation));
          return;
        }
        case "remove-address": {
          const { index, address, length } = operation;
          await addresses.delete({ interfaceIndex: index, address: `${address}/${length}` });
          return;
        }
      }
    });
  }

  close(): void {
    this.#sockets.close();
  }
}

/** What netlink-ts rejects with becomes our error; a bug stays one. */
function translatingErrors<T>(task: () => Promise<T>): Promise<T> {
  return rejectingWith(task, (...parts) => new LinkKernelError(...parts));
}

type LinkChange = Extract<LinkOperation, { kind: "set" }>["change"];

function linkChange({ hairpin, ...change }: LinkChange) {
  return hairpin === undefined ? change : { ...change, info: { bridgePort: { hairpin } } };
}

function linkOf({ index, name, flags, mtu, type, info, masterIndex }: NetlinkLink): HostLink {
  return {
    index,
    name,
    kind: info?.kind,
    mtu: mtu ?? 0,
    up: (flags & LinkFlag.UP) !== 0,
    loopback: type === LinkType.LOOPBACK,
    masterIndex: masterIndex ?? 0,
    hairpin: info?.bridgePort?.hairpin ?? false,
  };
}

/** None or one. */
function addressOf({ interfaceIndex, address }: InterfaceAddress): HostAddress[] {
  const [text, length] = address.split("/");
  const parsed = parseAddress(text ?? "");
  return parsed === undefined
    ? []
    : [{ linkIndex: interfaceIndex, address: parsed, length: Number(length) }];
}
