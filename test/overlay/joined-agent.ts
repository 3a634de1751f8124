/** Tunnels and routes of one machine, on kernels in memory, joined as the agent joins them. */
import { familyOf } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { OverlayController } from "../../src/overlay/controller.ts";
import type {
  HostLink,
  OverlayOperation,
  OverlaySettings,
  OverlayWanted,
} from "../../src/overlay/types.ts";
import { RouteController } from "../../src/routes/controller.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeKernel } from "../routes/fake-kernel.ts";
import type { FakeDesired } from "../routes/harness.ts";
import type { FakeClock } from "../support/fake-clock.ts";
import { FakeOverlay, ip, NIC } from "./fake-overlay.ts";

export interface World {
  readonly overlay: FakeOverlay;
  readonly kernel: FakeKernel;
}

export class Agent {
  readonly clock: FakeClock;
  readonly overlay: OverlayController;
  readonly routes: RouteController;

  constructor(settings: OverlaySettings, world: World, desired: FakeDesired, clock: FakeClock) {
    this.clock = clock;
    const deps = { clock, random: () => 0.5, log: silentLog };
    this.overlay = new OverlayController(
      { settings },
      {
        ...{ ...deps, kernel: world.overlay, settled: () => this.routes.settled() },
        onWays: (news) => this.routes.tunnelsChanged(news),
      },
    );
    const guards = { protectedAddresses: [], ownPodCidrs: [] };
    this.routes = new RouteController(
      { guards },
      { ...deps, kernel: world.kernel, desired, tunnels: this.overlay },
    );
  }

  async start(wanted: OverlayWanted): Promise<void> {
    this.overlay.want(wanted);
    this.overlay.start();
    const started = this.routes.start();
    await this.clock.advanceAsync(1);
    await started;
    this.routes.converged();
  }

  async stop(): Promise<void> {
    await Promise.all([this.overlay.stop(), this.routes.stop()]);
  }

  /** All that is said. */
  said() {
    // Of many of one cause the oldest is told.
    const routes = this.routes.status().conditions.map(({ name, message }) => {
      return [name, message.replace(/ \(\S+ via \S+ for one\)$/, "")];
    });
    const { repairs: _, failed: __, ...status } = this.overlay.status();
    return {
      routes: routes.sort(),
      overlay: [...this.overlay.conditions()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      status: { ...status, devices: [...status.devices].sort() },
    };
  }
}

/** The kernel allows one tunnel of two ends, and one VXLAN of a VNI, port and family. */
export function excludes(a: Omit<HostLink, "index">, b: Omit<HostLink, "index">): boolean {
  if (a.kind !== b.kind || a.local === undefined || b.local === undefined) return false;
  if (a.kind !== "vxlan") return a.local === b.local && a.remote === b.remote;
  return a.vni === b.vni && a.port === b.port && familyOf(a.local) === familyOf(b.local);
}

/** What the one kernel does with a device the other one's routes feel. */
export class JoinedOverlay extends FakeOverlay {
  onGone: (index: number) => void = () => undefined;
  /** So many operations fail whatever they are. */
  unlucky = 0;
  override refuses = (operation: OverlayOperation) => {
    if (this.unlucky-- > 0) return true;
    if (operation.kind !== "create-device") return false;
    const { device } = operation;
    const made = { ...NIC, ...device, ...device.vxlan };
    return [...this.links.values()].some((link) => excludes(link, made));
  };

  override async apply(operations: Parameters<FakeOverlay["apply"]>[0]) {
    const before = [...this.links.keys()];
    const outcomes = await super.apply(operations);
    for (const index of before) if (!this.links.has(index)) this.onGone(index);
    return outcomes;
  }

  override remove(name: string): void {
    const index = this.link(name)?.index;
    super.remove(name);
    if (index !== undefined) this.onGone(index);
  }
}

/** With the devices that tunnels will have. */
export function kernelOf(clock: FakeClock): FakeKernel {
  const kernel = new FakeKernel(clock);
  kernel.links = [...kernel.links];
  kernel.addresses = kernel.addresses.slice(0, 1);
  for (let link = 100; link < 400; link++) {
    kernel.links.push({ index: link, name: `tunnel${link}`, up: true });
    const linkLocal = { link, address: ip(`fe80::${link}`), subnet: prefix("fe80::/64") };
    kernel.addresses.push(linkLocal);
  }
  return kernel;
}
