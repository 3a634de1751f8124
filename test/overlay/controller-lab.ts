/** A keeper of tunnels on a kernel in memory, with a clock that tests move. */
import type { TestContext } from "node:test";
import type { IpAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { OverlayController } from "../../src/overlay/controller.ts";
import type { OverlaySettings, OverlayWanted } from "../../src/overlay/types.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";
import { FakeOverlay, ip } from "./fake-overlay.ts";

export const VXLAN: OverlaySettings = { type: "subnet", encap: "vxlan", vni: 77, port: 4789 };
export const FAR = ip("192.168.51.50");

export function wanted(...remotes: readonly string[]): OverlayWanted {
  return {
    own: { 4: ip("192.168.50.50"), 6: undefined },
    ownPodCidrs: [prefix("10.233.64.0/24")],
    remotes: remotes.map((text) => ({ 4: ip(text), 6: undefined })),
  };
}

export interface Lab {
  readonly kernel: FakeOverlay;
  readonly clock: FakeClock;
  readonly overlay: OverlayController;
  readonly told: (readonly IpAddress[] | "all")[];
  settled: boolean;
}

export function lab(
  t: TestContext,
  settings: OverlaySettings | "off" = VXLAN,
  options: { readonly kernel?: FakeOverlay; readonly dryRun?: boolean } = {},
): Lab {
  const kernel = options.kernel ?? new FakeOverlay();
  const clock = new FakeClock();
  const told: Lab["told"] = [];
  const made = { kernel, clock, told, settled: true };
  const overlay = new OverlayController(
    { settings: settings === "off" ? undefined : settings, dryRun: options.dryRun ?? false },
    {
      ...{ kernel, clock, random: () => 0.5, log: recordingLog().log },
      settled: () => result.settled,
      onWays: (nextHops) => told.push(nextHops === "all" ? "all" : [...nextHops]),
    },
  );
  const result: Lab = Object.assign(made, { overlay });
  overlay.start();
  t.after(() => overlay.stop());
  return result;
}

/** Gives the Nodes, and the time that a pass takes. */
export async function want(one: Lab, ...remotes: readonly string[]): Promise<void> {
  one.overlay.want(wanted(...remotes));
  await one.clock.advanceAsync(1);
}
