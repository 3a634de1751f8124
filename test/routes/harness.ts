/** A controller over a fake kernel, a fake clock and a Map as the BGP side. */
import type { IpAddress, IpFamily } from "../../src/ip/address.ts";
import { type NextHopBatch, NO_NEXT_HOPS } from "../../src/ip/next-hop-batch.ts";
import { type Prefix, prefix, prefixFamily } from "../../src/ip/prefix.ts";
import { pushPrefix } from "../../src/ip/prefix-batch.ts";
import { RouteController } from "../../src/routes/controller.ts";
import type {
  DesiredRoute,
  DesiredRoutes,
  RouteControllerOptions,
  RouteKernel,
  Tunnels,
  TunnelWay,
} from "../../src/routes/ports.ts";
import type { Topology } from "../../src/routes/topology.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { address, FakeKernel } from "./fake-kernel.ts";

export class FakeDesired implements DesiredRoutes {
  readonly routes = new Map<Prefix, DesiredRoute>();
  readonly #changed: Record<IpFamily, Set<Prefix>> = { 4: new Set(), 6: new Set() };

  /** To be taken as changed. */
  change(key: Prefix): void {
    this.#changed[prefixFamily(key)].add(key);
  }

  get changed(): number {
    return this.#changed[4].size + this.#changed[6].size;
  }

  takeChanged(into: NextHopBatch, max: number): void {
    const changed = this.#changed[into.prefixes.family];
    for (const key of [...changed].slice(0, max)) {
      changed.delete(key);
      this.#push(into, key);
    }
  }

  read(into: NextHopBatch): void {
    for (let i = 0; i < into.prefixes.count; i++) {
      into.nextHops[i] = this.#nextHopsOf(into.prefixes.prefixAt(i));
    }
  }

  walk(into: NextHopBatch, from: number, max: number): number {
    const { family } = into.prefixes;
    const all = [...this.routes.keys()].filter((key) => prefixFamily(key) === family);
    // Several steps also where there is little.
    const end = from + Math.min(max, Math.max(2, all.length >> 4));
    for (const key of all.slice(from, end)) this.#push(into, key);
    return end < all.length ? end : 0;
  }

  #push(into: NextHopBatch, key: Prefix): void {
    into.nextHops[into.prefixes.count] = this.#nextHopsOf(key);
    pushPrefix(into.prefixes, key);
  }

  #nextHopsOf(key: Prefix): readonly IpAddress[] {
    return this.routes.get(key)?.nextHops ?? NO_NEXT_HOPS;
  }
}

export const OWN = address("192.168.50.50");

export class FakeTunnels implements Tunnels {
  first = false;
  readonly ways = new Map<IpAddress, TunnelWay>();

  way(nextHop: IpAddress): TunnelWay | undefined {
    return this.ways.get(nextHop);
  }

  whyNone(): undefined {
    return undefined;
  }

  lead(nextHop: string, link = 9): void {
    const hop = { gateway: address(nextHop), link, weight: 1, onLink: true } as const;
    this.ways.set(address(nextHop), { ready: true, hop, source: OWN });
  }
}

export class Harness {
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel(this.clock);
  readonly desired = new FakeDesired();
  readonly controller: RouteController;
  /** How often it was told that links or addresses are others. */
  topologies = 0;
  topology: Topology | undefined;
  readonly #dryRun: boolean;

  /** `around`: what stands between the controller and the kernel. `random`: no jitter unless told. */
  constructor(
    options: Partial<RouteControllerOptions> = {},
    tunnels?: Tunnels,
    around: (kernel: RouteKernel, clock: FakeClock) => RouteKernel = (kernel) => kernel,
    random: () => number = () => 0,
  ) {
    this.#dryRun = options.dryRun === true;
    const guards = {
      protectedAddresses: ["192.168.50.50", "192.168.50.51", "192.168.50.52"].map(address),
      ownPodCidrs: [prefix("10.233.64.0/24")],
    };
    this.controller = new RouteController(
      { guards, ...options },
      {
        kernel: around(this.kernel, this.clock),
        desired: this.desired,
        tunnels,
        clock: this.clock,
        random,
        log: silentLog,
        onTopology: (topology, news) => {
          this.topology = topology;
          if (news) this.topologies++;
        },
      },
    );
  }

  /** Sets what is wanted without saying so. */
  want(destination: string, ...nextHops: string[]): Prefix {
    const to = prefix(destination);
    if (nextHops.length === 0) this.desired.routes.delete(to);
    else {
      this.desired.routes.set(to, { prefix: to, nextHops: nextHops.map(address) });
    }
    return to;
  }

  /** A change on the BGP side, as it is told: with its prefix, or in a dry run without. */
  change(destination: string, ...nextHops: string[]): void {
    const to = this.want(destination, ...nextHops);
    if (this.#dryRun) {
      this.controller.wantedChanged();
      return;
    }
    this.desired.change(to);
    this.controller.changesWait();
  }

  /** Starts, and lets it come to rest. */
  async started(): Promise<number> {
    const { adopted } = await this.controller.start();
    await this.rest();
    return adopted;
  }

  /** Lets everything happen that is due in the next milliseconds, well below any period. */
  async rest(ms = 20): Promise<void> {
    await this.clock.advanceAsync(ms);
  }

  /** Kinds of the operations tried since the last call. */
  tried(): string[] {
    return this.kernel.tried.splice(0).map(({ kind, prefix: to }) => `${kind} ${to}`);
  }

  codes(): string[] {
    return this.controller.status().conditions.map((condition) => condition.code);
  }

  messages(): string {
    return this.controller
      .status()
      .conditions.map((condition) => condition.message)
      .join("\n");
  }
}
