/** What the agent makes of flags and Nodes for the tunnels, and what it refuses at its start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OverlayPart, OverlayUnsupportedError } from "../../src/agent/overlay-part.ts";
import type { IpFamily } from "../../src/ip/address.ts";
import type { PeerNode, SelfNode, Topology } from "../../src/k8s/topology.ts";
import type { DeviceKind, OverlaySettings } from "../../src/overlay/types.ts";
import { FakeOverlay, ip } from "../overlay/fake-overlay.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";

const VXLAN: OverlaySettings = { type: "subnet", encap: "vxlan", vni: 77, port: 4789 };
const IPIP: OverlaySettings = { ...VXLAN, encap: "ipip" };

function part(
  overlay: OverlaySettings | undefined,
  options: { kinds?: readonly DeviceKind[]; dryRun?: boolean; families?: IpFamily[] } = {},
) {
  const kernel = new FakeOverlay();
  kernel.kinds = new Set(options.kinds ?? []);
  const clock = new FakeClock();
  const config = {
    overlay,
    dryRun: options.dryRun ?? false,
    families: options.families ?? [4 as const, 6 as const],
  };
  const deps = {
    ...{ clock, random: () => 0.5, log: recordingLog().log },
    settled: () => true,
    onWays: () => undefined,
  };
  return { part: new OverlayPart(config, deps, kernel), kernel, clock };
}

test("an encapsulation that the kernel lacks is one sentence that says what to do", async () => {
  const check = (...args: Parameters<typeof part>) => part(...args).part.check();
  await assert.rejects(
    check(IPIP, { kinds: ["vxlan"] }),
    (error) =>
      error instanceof OverlayUnsupportedError &&
      error.message ===
        "--overlay-encap=ipip: this kernel has no ipip devices: load its module " +
          "(modprobe ipip), or give --overlay-encap=vxlan on all Nodes",
  );
  await assert.rejects(check(VXLAN, { kinds: ["ipip"] }), /modprobe vxlan.*--overlay-encap=ipip/);
  await assert.rejects(
    check(IPIP, { kinds: ["vxlan", "ipip"], families: [6] }),
    /no ip6tnl devices: .*modprobe ip6_tunnel/,
  );
  await check(IPIP, { kinds: ["ipip"] });
  await check(undefined);
  // A dry run changes nothing, so it needs nothing.
  await check(IPIP, { dryRun: true });
});

test("who may not ask the kernel is not refused for it", async () => {
  const one = part(VXLAN);
  one.kernel.broken = true;
  await one.part.check();
});

test("off, the routes have nobody to ask, and pods lose no room", () => {
  const { part: off } = part(undefined);
  assert.equal(off.tunnels, undefined);
  assert.equal(off.summary(), undefined);
  assert.equal(off.overheadBytes(topologyOf([])), 0);
});

test("the Nodes become tunnels; without the own Node all stays", async (t) => {
  const { part: on, kernel, clock } = part(VXLAN, { kinds: ["vxlan"] });
  on.start();
  t.after(() => on.stop());
  on.update({ topology: topologyOf(["192.168.51.50", "192.168.50.51"]), complete: true }, "all");
  await clock.advanceAsync(1);
  assert.equal(on.tunnels?.way(ip("192.168.51.50"))?.ready, true);
  assert.equal(on.tunnels?.way(ip("192.168.50.51")), undefined);
  assert.equal(on.overheadBytes(topologyOf([])), 50);
  assert.deepEqual(on.counts(), {
    tunnels: 1,
    tunnelsMissing: 0,
    tunnelsRepaired: 0,
    tunnelsFailed: 0,
  });
  assert.deepEqual(on.summary()?.devices, ["podrouter-vx4"]);
  on.update({ topology: { ...topologyOf([]), self: undefined }, complete: true }, "all");
  await clock.advanceAsync(1);
  assert.equal(kernel.itemsOf("forwarding").length, 1);
  on.update({ topology: topologyOf([]), complete: false }, "all");
  await clock.advanceAsync(1);
  assert.equal(kernel.itemsOf("forwarding").length, 1, "the Node may only not be known yet");
  on.update({ topology: topologyOf([]), complete: true }, "all");
  await clock.advanceAsync(1);
  assert.equal(kernel.itemsOf("forwarding").length, 0);
});

function topologyOf(peers: readonly string[]): Topology {
  const self: SelfNode = {
    name: "node1",
    uid: "1",
    primaryAddress: ip("192.168.50.50"),
    addresses: [],
    nodeIps: { 4: ip("192.168.50.50"), 6: undefined },
    podCidrs: [],
    annotations: new Map(),
  };
  return {
    self,
    peers: peers.map(
      (text, index): PeerNode => ({
        name: `node${index + 2}`,
        address: ip(text),
        nodeIps: { 4: ip(text), 6: undefined },
        families: [4],
        podCidrs: [],
        annotations: new Map(),
      }),
    ),
    podSubnets: [],
    nodeIps: [],
    problems: [],
  };
}
