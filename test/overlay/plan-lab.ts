/** Settings, Nodes and rounds for tests of plans. */
import { prefix } from "../../src/ip/prefix.ts";
import { describeOperation } from "../../src/overlay/describe.ts";
import { desiredOverlay } from "../../src/overlay/desired.ts";
import { HostState } from "../../src/overlay/host-state.ts";
import { planOverlay } from "../../src/overlay/plan.ts";
import type { OverlaySettings, OverlayWanted } from "../../src/overlay/types.ts";
import { type FakeOverlay, ip } from "./fake-overlay.ts";

export const VXLAN: OverlaySettings = { type: "subnet", encap: "vxlan", vni: 77, port: 4789 };
export const IPIP: OverlaySettings = { ...VXLAN, encap: "ipip" };
export const wanted = (...remotes: readonly string[]): OverlayWanted => ({
  own: { 4: ip("192.168.50.50"), 6: undefined },
  ownPodCidrs: [prefix("10.233.64.0/24")],
  remotes: remotes.map((text) => ({ 4: ip(text), 6: undefined })),
});

/** Rounds until nothing is left to do; every operation, in words. */
export async function settle(
  kernel: FakeOverlay,
  settings: OverlaySettings,
  want: OverlayWanted,
  settled = true,
): Promise<readonly string[]> {
  const begun = kernel.log.length;
  for (let round = 0; round < 5; round++) {
    const host = new HostState(await kernel.read());
    const desired = desiredOverlay(settings, want, host);
    const { operations } = planOverlay(desired, want, host, settled);
    if (operations.length === 0) return kernel.log.slice(begun).map(describeOperation);
    await kernel.apply(operations);
  }
  throw new Error("it never comes to rest");
}
