/** A kernel's tunnels in memory: what is done to it is what it then has. */
import type { LocalAddress } from "../../src/ip/local-address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import {
  type OverlayKernel,
  OverlayKernelError,
  type OverlayListener,
  type OverlayOutcome,
} from "../../src/overlay/ports.ts";
import {
  type Device,
  type DeviceKind,
  type HostDump,
  type HostItem,
  type HostLink,
  type Item,
  itemKey,
  linkOf,
  type OverlayOperation,
} from "../../src/overlay/types.ts";
import { address as ip } from "../support/address.ts";

export { address as ip } from "../support/address.ts";

export const NIC: HostLink = {
  index: 2,
  name: "enp1s0",
  kind: undefined,
  mtu: 1500,
  up: true,
  loopback: false,
  alias: undefined,
  mac: "02:00:00:00:00:01",
  local: undefined,
  remote: undefined,
  vni: undefined,
  port: undefined,
};

export const FOREIGN_VXLAN: HostLink = {
  ...NIC,
  index: 9,
  name: "flannel.1",
  kind: "vxlan",
  local: ip("192.168.50.50"),
  vni: 77,
  port: 4789,
};

const REFUSED: OverlayOutcome = { ok: false, code: "EINVAL", message: "no" };

export class FakeOverlay implements OverlayKernel {
  readonly links = new Map<number, HostLink>();
  readonly items = new Map<string, HostItem>();
  addresses: readonly LocalAddress[];
  /** Everything that was asked for, in order. */
  log: OverlayOperation[] = [];
  reads = 0;
  /** Called when the answer to a read is made, and on its way. */
  duringRead: () => void = () => undefined;
  listener: OverlayListener | undefined;
  kinds: ReadonlySet<DeviceKind> = new Set(["vxlan", "ipip", "ip6tnl"]);
  /** Operations that the kernel does not take. */
  refuses: (operation: OverlayOperation) => boolean = () => false;
  /** In place of what would come of an operation. */
  outcome: (operation: OverlayOperation) => OverlayOutcome | undefined = () => undefined;
  /** What is told of an operation that was done, in place of what came of it. */
  answer: (operation: OverlayOperation) => OverlayOutcome | undefined = () => undefined;
  broken = false;
  #index = 100;

  constructor(addresses: readonly string[] = ["192.168.50.50/24"]) {
    this.links.set(NIC.index, NIC);
    this.addresses = addresses.map((text) => {
      const [address = "", length = ""] = text.split("/");
      const six = text.includes(":");
      const network = six ? address.replace(/::.*$/, "::") : address.replace(/\d+$/, "0");
      return { link: NIC.index, address: ip(address), subnet: prefix(`${network}/${length}`) };
    });
  }

  addLink(link: HostLink): void {
    this.links.set(link.index, link);
  }

  put(item: Item, foreign = false): void {
    this.items.set(itemKey(item), { item, foreign });
  }

  /** Of a kind, in the order in which they were made. */
  itemsOf<K extends Item["kind"]>(kind: K): readonly (Item & { readonly kind: K })[] {
    const found: (Item & { readonly kind: K })[] = [];
    for (const { item } of this.items.values()) {
      if (item.kind === kind) found.push(item as Item & { readonly kind: K });
    }
    return found;
  }

  link(name: string): HostLink | undefined {
    return [...this.links.values()].find((link) => link.name === name);
  }

  /** As if by hand. */
  remove(name: string): void {
    const link = this.link(name);
    if (link !== undefined) this.#removeLink(link);
  }

  async open(listener: OverlayListener): Promise<void> {
    this.#check();
    this.listener = listener;
  }

  async read(): Promise<HostDump> {
    this.#check();
    this.reads++;
    const items = [...this.items.values()];
    const dump = { links: [...this.links.values()], addresses: this.addresses, items };
    this.duringRead();
    return dump;
  }

  async apply(operations: readonly OverlayOperation[]): Promise<readonly OverlayOutcome[]> {
    this.#check();
    return operations.map((operation) => {
      this.log.push(operation);
      if (this.refuses(operation)) return REFUSED;
      const outcome = this.outcome(operation) ?? this.#apply(operation);
      return this.answer(operation) ?? outcome;
    });
  }

  async supports(kind: DeviceKind): Promise<boolean> {
    this.#check();
    return this.kinds.has(kind);
  }

  close(): void {
    this.listener = undefined;
  }

  #check(): void {
    if (this.broken) throw new OverlayKernelError("EPERM", "operation not permitted");
  }

  #apply(operation: OverlayOperation): OverlayOutcome {
    switch (operation.kind) {
      case "create-device": {
        if (this.link(operation.device.name) !== undefined) {
          return { ok: false, code: "EEXIST", message: "there already" };
        }
        const made = linkFrom(operation.device, this.#index++);
        this.links.set(made.index, made);
        return { ok: true, made };
      }
      case "set-device":
        this.links.set(operation.link.index, { ...operation.link, ...operation.change });
        return { ok: true };
      case "delete-device":
        this.#removeLink(operation.link);
        return { ok: true };
      case "put": {
        const there = this.items.has(itemKey(operation.item));
        if (there && !operation.replaces) {
          return { ok: false, code: "EEXIST", message: "there already" };
        }
        this.put(operation.item);
        return { ok: true };
      }
      case "drop": {
        if (this.items.get(itemKey(operation.item))?.foreign === true) {
          throw new Error("a foreign item was touched");
        }
        const gone = this.items.delete(itemKey(operation.item));
        return gone ? { ok: true } : { ok: false, code: "ESRCH", message: "not there" };
      }
    }
  }

  #removeLink({ index }: HostLink): void {
    this.links.delete(index);
    for (const [key, { item }] of this.items) {
      if (linkOf(item) === index) this.items.delete(key);
    }
  }
}

function linkFrom({ name, kind, mtu, local, remote, vxlan }: Device, index: number): HostLink {
  return {
    ...NIC,
    index,
    name,
    kind,
    mtu,
    local,
    remote,
    mac: vxlan?.mac,
    vni: vxlan?.vni,
    port: vxlan?.port,
  };
}
