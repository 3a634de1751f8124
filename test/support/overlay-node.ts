/** A node with tunnels to others, on the running kernel, in a namespace of its own. */
import type { TestContext } from "node:test";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { FAMILIES } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { OverlayController } from "../../src/overlay/controller.ts";
import { deviceKind } from "../../src/overlay/names.ts";
import { NetlinkOverlay } from "../../src/overlay/netlink-overlay.ts";
import type { OverlayKernel } from "../../src/overlay/ports.ts";
import type { OverlayEncap, OverlaySettings, OverlayWanted } from "../../src/overlay/types.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { ip } from "../overlay/fake-overlay.ts";
import { requireReal } from "./real.ts";
import { until } from "./shell.ts";

export const VXLAN: OverlaySettings = { type: "subnet", encap: "vxlan", vni: 77, port: 4789 };
export const IPIP: OverlaySettings = { ...VXLAN, encap: "ipip" };
const OWN = { 4: ip("192.168.50.50"), 6: ip("fd00:50::50") };

/** Nodes 1 to `count`, each in a subnet of its own. */
export function wanted(count: number): OverlayWanted {
  const remotes = Array.from({ length: count }, (_, index) => ({
    4: ip(`10.1.${index >> 8}.${index & 255}`),
    6: ip(`fd00:1::${(index + 1).toString(16)}`),
  }));
  const ownPodCidrs = [prefix("10.233.64.0/24"), prefix("fd00:10:64::/64")];
  return { own: OWN, ownPodCidrs, remotes };
}

/** A namespace with the node's addresses; undefined when there can be none, or no such tunnels. */
export async function machine(t: TestContext, encap: OverlayEncap = "vxlan") {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return undefined;
  namespace.veth("enp1s0", "192.168.50.50/24");
  namespace.ip("address add fd00:50::50/64 dev enp1s0 nodad");
  const kernel = new NetlinkOverlay({ around: (make) => namespace.enter(make) });
  t.after(() => kernel.close());
  for (const kind of new Set(FAMILIES.map((family) => deviceKind(encap, family)))) {
    const has = await kernel.supports(kind);
    if (!requireReal(t, has, `this kernel has no ${kind}`)) return undefined;
  }
  return { namespace, kernel };
}

/** Keeps tunnels, of no nodes at first; counts what it asks of the kernel. */
export function keeper(t: TestContext, kernel: OverlayKernel, settings?: OverlaySettings) {
  const told: unknown[] = [];
  let operations = 0;
  let reads = 0;
  let underWay = 0;
  const counting: OverlayKernel = {
    open: (listener) => kernel.open(listener),
    read() {
      reads++;
      return kernel.read();
    },
    apply(list) {
      operations += list.length;
      underWay++;
      return kernel.apply(list).finally(() => underWay--);
    },
    supports: (kind) => kernel.supports(kind),
    close: () => kernel.close(),
  };
  const overlay = new OverlayController(
    { settings },
    {
      ...{ kernel: counting, clock: systemClock, random: () => 0.5, log: silentLog },
      settled: () => true,
      onWays: (nextHops) => told.push(nextHops),
    },
  );
  t.after(() => overlay.stop());
  overlay.start();
  return {
    ...{ overlay, told, operations: () => operations, reads: () => reads },
    /**
     * What was asked of the kernel is answered: it is done before, but counted then, and until then
     * what others change of the same is taken for ours.
     */
    answered: () => underWay === 0,
  };
}

/** A keeper of the tunnels to so many nodes, once all of them stand. */
export async function standing(
  t: TestContext,
  kernel: OverlayKernel,
  nodes: number,
  settings: OverlaySettings = VXLAN,
) {
  const kept = keeper(t, kernel, settings);
  kept.overlay.want(wanted(nodes));
  await until("all tunnels", () => kept.overlay.status().tunnels[6] === nodes);
  return kept;
}

/** A machine with the tunnels to three nodes; undefined when there can be none. */
export async function machineWithTunnels(t: TestContext, settings: OverlaySettings = VXLAN) {
  const on = await machine(t, settings.encap);
  return on === undefined ? undefined : { ...on, ...(await standing(t, on.kernel, 3, settings)) };
}
