/**
 * A machine for the plugin's agent side, in memory: links that outlive the agent, one file, and a
 * scheduler under which every effect waits until a test lets it happen. A death of the agent is the
 * moment from which none of its effects happens any more.
 */
import { hostLinkName, type Lease } from "../../src/cni/plugin/attachment.ts";
import type { LeaseFile } from "../../src/cni/plugin/lease-store.ts";
import { PodPlugin } from "../../src/cni/plugin/pod-plugin.ts";
import type { PluginRequest } from "../../src/cni/plugin/request.ts";
import { type ConnectSpec, type PodWiring, WiringError } from "../../src/cni/plugin/wiring.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { FileError } from "../../src/runtime/files.ts";
import { silentLog } from "../../src/runtime/log.ts";

export interface WorldLink {
  readonly lease: Lease;
  readonly netns: string;
  /** Says on itself whose it is. */
  marked: boolean;
  /** The pod can use its addresses. */
  configured: boolean;
}

export class PodWorld {
  readonly links = new Map<string, WorldLink>();
  file: string | undefined;
  /** What host-local gave out. */
  readonly foreign = new Set<string>();
  /** Set: the next effects of that kind fail. */
  fileFails = false;
  bridge: string | undefined;
  /** Whose the bridge is, if not ours. */
  foreignBridge: string | undefined;
  /** What is wrong inside a pod's namespace, by its path. */
  readonly damage = new Map<string, string>();
  readonly gone = new Set<string>();
  /** Links that the kernel does not remove. */
  readonly stuck = new Set<string>();
  /** What was done about pods that are not ours. */
  readonly calls: string[] = [];
  readonly #waiting: (() => void)[] = [];
  /** Effects happen at once. */
  immediate = true;
  /** What calls of the ports go through: `wiring.connect`, `file.write`. */
  through: <T>(name: string, run: () => Promise<T>) => Promise<T> = (_, run) => run();
  #life = { over: false };

  /** Effects that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Lets one of the effects that wait happen, and all that follows from it up to the next ones. */
  async step(choice: number): Promise<void> {
    this.#waiting.splice(choice % this.#waiting.length, 1)[0]?.();
    await settle();
  }

  async finish(): Promise<void> {
    await settle();
    while (this.#waiting.length > 0) await this.step(0);
  }

  /** A new agent; the one before is dead. */
  boot(...cidrs: string[]): PodPlugin {
    this.#life.over = true;
    this.#life = { over: false };
    this.#waiting.length = 0;
    const life = this.#life;
    const plugin = new PodPlugin({
      wiring: this.#counted("wiring", this.#wiring(life)),
      file: this.#counted("file", this.#file(life)),
      foreign: this.#counted("foreign", {
        taken: () => Promise.resolve(this.foreign),
        release: async ({ containerId }) => {
          this.calls.push(`host-local forgets ${containerId}`);
        },
      }),
      foreignBridge: () => this.foreignBridge,
      log: silentLog,
    });
    plugin.setRanges(cidrs.map(prefix));
    return plugin;
  }

  /** As the kernel does when a pod's namespace ends. */
  endNamespace(netns: string): void {
    for (const [name, link] of this.links) if (link.netns === netns) this.links.delete(name);
  }

  /** Addresses that pods have. */
  inUse(): readonly IpAddress[] {
    return [...this.links.values()]
      .filter(({ configured }) => configured)
      .flatMap(({ lease }) => lease.addresses);
  }

  #effect(life: { readonly over: boolean }): Promise<void> {
    if (life.over) return new Promise(() => {});
    if (this.immediate) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(() => life.over || resolve()));
  }

  #counted<T extends object>(name: string, port: T): T {
    const calls = Object.entries(port).map(([call, run]) => [
      call,
      async (...given: unknown[]) => this.through(`${name}.${call}`, async () => run(...given)),
    ]);
    return Object.fromEntries(calls) as T;
  }

  #file(life: { readonly over: boolean }): LeaseFile {
    return {
      read: async () => {
        await this.#effect(life);
        return this.file;
      },
      write: async (text) => {
        await this.#effect(life);
        if (this.fileFails) throw new FileError("/leases", "ENOSPC");
        this.file = text;
      },
      putAside: async () => {
        await this.#effect(life);
        this.file = undefined;
        return "/leases.damaged";
      },
    };
  }

  #wiring(life: { readonly over: boolean }): PodWiring {
    return {
      hostEnds: async () => {
        await this.#effect(life);
        const listed = [...this.links].map(([name, { lease, marked }]) => ({
          name,
          lease: marked ? lease : undefined,
        }));
        // A list is read in parts, and is older than the moment when it is whole.
        await this.#effect(life);
        return listed;
      },
      connect: (spec) => this.#connect(spec, life),
      disconnect: async (name) => {
        await this.#effect(life);
        if (this.stuck.has(name)) throw new WiringError("kernel", `EBUSY: ${name}`);
        return this.links.delete(name);
      },
      removeInside: async (netns, name) => {
        this.calls.push(`${name} removed in ${netns}`);
      },
      inspect: async ({ lease, netns }) => {
        const found = this.damage.get(netns);
        const missing = this.links.has(hostLinkName(lease)) ? [] : ["its link is gone"];
        return [...missing, ...(found === undefined ? [] : [found])];
      },
      bridgeProblem: () => Promise.resolve(this.bridge),
    };
  }

  async #connect(spec: ConnectSpec, life: { readonly over: boolean }) {
    await this.#effect(life);
    if (this.gone.has(spec.netns)) throw new WiringError("no-namespace", "no such namespace");
    if (this.bridge !== undefined) throw new WiringError("no-bridge", this.bridge);
    const name = hostLinkName(spec.lease);
    if (this.links.has(name)) throw new WiringError("exists", "eth0 is there already");
    const link = { lease: spec.lease, netns: spec.netns, marked: false, configured: false };
    this.links.set(name, link);
    try {
      await this.#effect(life);
      link.marked = true;
      await spec.recorded;
      await this.#effect(life);
      link.configured = true;
      await this.#effect(life);
    } catch (error) {
      this.links.delete(name);
      throw error;
    }
    const wired = (own: string) => ({ name: own, linkAddress: "02:00:00:00:00:01", mtu: 1500 });
    return { bridge: wired("kube-bridge"), host: wired(name), pod: wired("eth0") };
  }
}

/** Lets everything run that waits for nothing from outside. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

const COMMON = {
  cniVersion: "1.1.0",
  network: "mynet",
  mtu: undefined,
  socket: undefined,
  leases: undefined,
  linkAddress: undefined,
  addresses: [],
  previous: undefined,
} as const;

export function addOf(
  containerId: string,
  netns = `/run/netns/${containerId}`,
): Extract<PluginRequest, { readonly command: "ADD" | "CHECK" }> {
  return { ...COMMON, command: "ADD", containerId, interfaceName: "eth0", netns };
}

export function checkOf(containerId: string, ...addresses: string[]): PluginRequest {
  const ips = addresses.map((address) => ({ address }));
  const previous = { interfaces: [], ips, routes: [], dns: undefined };
  return { ...addOf(containerId), command: "CHECK", previous };
}

export function delOf(containerId: string, netns?: string): PluginRequest {
  return { ...COMMON, command: "DEL", containerId, interfaceName: "eth0", netns };
}

export function gcOf(...containerIds: string[]): PluginRequest {
  const keep = containerIds.map((containerId) => ({ containerId, interfaceName: "eth0" }));
  return { ...COMMON, command: "GC", keep };
}

export const STATUS: PluginRequest = { ...COMMON, command: "STATUS" };

/** The addresses in a result. */
export function addressesOf(result: unknown): readonly string[] {
  const { ips } = result as { ips: { address: string }[] };
  return ips.map(({ address }) => address.split("/")[0]!);
}
