/** A controller over a fake kernel, a fake clock and a Map as the BGP side. */
import type { Prefix } from "../../src/ip/prefix.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { RouteController } from "../../src/routes/controller.ts";
import type {
  DesiredRoute,
  DesiredRoutes,
  RouteControllerOptions,
  Tunnels,
} from "../../src/routes/ports.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { address, FakeKernel } from "./fake-kernel.ts";

export class FakeDesired implements DesiredRoutes {
  readonly routes = new Map<Prefix, DesiredRoute>();

  lookup(key: Prefix): DesiredRoute | undefined {
    return this.routes.get(key);
  }

  all(): Iterable<DesiredRoute> {
    return this.routes.values();
  }
}

export class Harness {
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel(this.clock);
  readonly desired = new FakeDesired();
  readonly controller: RouteController;

  constructor(options: Partial<RouteControllerOptions> = {}, tunnels?: Tunnels) {
    const guards = {
      protectedAddresses: ["192.168.50.50", "192.168.50.51", "192.168.50.52"].map(address),
      ownPodCidrs: [prefix("10.233.64.0/24")],
    };
    this.controller = new RouteController(
      { guards, ...options },
      {
        kernel: this.kernel,
        desired: this.desired,
        tunnels,
        clock: this.clock,
        random: () => 0,
        log: silentLog,
      },
    );
  }

  /** Sets what is wanted without saying so. */
  want(destination: string, ...nextHops: string[]): Prefix {
    const to = prefix(destination);
    if (nextHops.length === 0) this.desired.routes.delete(to);
    else {
      this.desired.routes.set(to, {
        prefix: to,
        nextHops: nextHops.map(address),
        stale: false,
      });
    }
    return to;
  }

  /** A change on the BGP side, as it comes: changed and marked. */
  change(destination: string, ...nextHops: string[]): void {
    this.controller.markDirty([this.want(destination, ...nextHops)]);
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
