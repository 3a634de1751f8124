/** A machine's links, addresses and settings in memory. */
import type { HostAddress, HostLink, HostLinks, LinkOperation } from "../../src/cni/host-links.ts";
import { type LinkKernel, LinkKernelError } from "../../src/cni/pod-links.ts";
import type { Sysctls, Unreadable } from "../../src/cni/sysctls.ts";
import { parseAddress } from "../../src/ip/address.ts";

export const NODE_IP = parseAddress("192.168.50.50")!;
export const NODE_IP6 = parseAddress("2001:db8::50")!;

export class MemoryKernel implements LinkKernel {
  links: HostLink[] = [
    {
      index: 2,
      name: "enp1s0",
      kind: undefined,
      mtu: 1500,
      up: true,
      loopback: false,
      masterIndex: 0,
      hairpin: false,
    },
  ];
  addresses: HostAddress[] = [
    { linkIndex: 2, address: NODE_IP, length: 24 },
    { linkIndex: 2, address: NODE_IP6, length: 64 },
  ];
  readonly done: string[] = [];
  refusal: LinkKernelError | undefined;
  opens = 0;
  reads = 0;
  onEvent = (): void => undefined;
  onFailure = (): void => undefined;
  #nextIndex = 9;

  async open(onEvent: () => void, onFailure: () => void): Promise<void> {
    this.opens++;
    this.onEvent = onEvent;
    this.onFailure = onFailure;
  }

  async read(): Promise<HostLinks> {
    this.reads++;
    return { links: [...this.links], addresses: [...this.addresses] };
  }

  async apply(operation: LinkOperation): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal;
    this.done.push(operation.kind);
    if (operation.kind === "create-bridge") {
      const { name } = operation;
      if (this.links.some((link) => link.name === name)) throw refused("EEXIST");
      const mtu = operation.mtu ?? 1500;
      const made = { index: this.#nextIndex++, name, kind: "bridge", mtu, up: true };
      this.links.push({ ...made, loopback: false, masterIndex: 0, hairpin: false });
    }
    if (operation.kind === "set") {
      this.links = this.links.map((link) =>
        link.index === operation.index ? { ...link, ...operation.change } : link,
      );
    }
    if (operation.kind === "add-address" || operation.kind === "remove-address") {
      const { kind, index: linkIndex, address, length } = operation;
      const others = this.addresses.filter(
        (one) => one.linkIndex !== linkIndex || one.address !== address,
      );
      const gone = others.length === this.addresses.length;
      if (kind === "remove-address" && gone) throw refused("EADDRNOTAVAIL");
      this.addresses =
        kind === "add-address" ? [...others, { linkIndex, address, length }] : others;
    }
  }

  /** Somebody removes a link; the kernel takes its addresses along, and frees its ports. */
  remove(name: string): void {
    const { index } = this.links.find((link) => link.name === name)!;
    this.links = this.links
      .filter((link) => link.index !== index)
      .map((link) => (link.masterIndex === index ? { ...link, masterIndex: 0 } : link));
    this.addresses = this.addresses.filter(({ linkIndex }) => linkIndex !== index);
    this.onEvent();
  }

  close(): void {
    this.onEvent = () => undefined;
  }
}

function refused(code: string): LinkKernelError {
  return new LinkKernelError(code, `${code}: refused by the kernel in memory`);
}

export class MemorySysctls implements Sysctls {
  readonly values = new Map<string, string>([
    ["net.ipv4.ip_forward", "0"],
    ["net.ipv6.conf.all.forwarding", "0"],
    ["net.ipv6.conf.enp1s0.accept_ra", "1"],
    ["net.ipv6.conf.kube-bridge.accept_dad", "1"],
    ["net.bridge.bridge-nf-call-iptables", "1"],
    ["net.bridge.bridge-nf-call-ip6tables", "0"],
  ]);
  readonly written: string[] = [];
  refusal: string | undefined;
  /** What this one says cannot be read, and not written. */
  blocked: RegExp | undefined;

  async read(name: string): Promise<string | Unreadable | undefined> {
    if (this.blocked?.test(name)) return { unreadable: "too many open files" };
    return this.values.get(name);
  }

  async write(name: string, value: string): Promise<string | undefined> {
    if (this.refusal !== undefined) return this.refusal;
    if (this.blocked?.test(`${name}=${value}`)) return "too many open files";
    if (!this.values.has(name)) return "ENOENT";
    this.values.set(name, value);
    this.written.push(`${name}=${value}`);
    return undefined;
  }
}
