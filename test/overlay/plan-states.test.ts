/** Tunnels that are not whole, down, or there too much: what is said of them, and what waits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { desiredOverlay, TargetMemo } from "../../src/overlay/desired.ts";
import { HostState } from "../../src/overlay/host-state.ts";
import { isWhole, planOverlay } from "../../src/overlay/plan.ts";
import type { Item, OverlaySettings, OverlayWanted } from "../../src/overlay/types.ts";
import { FakeOverlay, ip } from "./fake-overlay.ts";

const VXLAN: OverlaySettings = { type: "subnet", encap: "vxlan", vni: 77, port: 4789 };
const wanted = (...remotes: readonly string[]): OverlayWanted => ({
  own: { 4: ip("192.168.50.50"), 6: undefined },
  ownPodCidrs: [prefix("10.233.64.0/24")],
  remotes: remotes.map((text) => ({ 4: ip(text), 6: undefined })),
});
const FAR = wanted("192.168.51.50");

async function look(kernel: FakeOverlay, want = FAR, settled = true, settings = VXLAN) {
  const host = new HostState(await kernel.read());
  const desired = desiredOverlay(settings, want, host);
  const { operations, waiting } = planOverlay(desired, want, host, settled);
  const memo = new TargetMemo();
  const whole = desired.targets.map((target) => isWhole(desired, target, host, memo)?.name);
  return { kinds: operations.map(({ kind }) => kind), operations, waiting, whole };
}

async function made(): Promise<FakeOverlay> {
  const kernel = new FakeOverlay();
  for (let round = 0; round < 3; round++) await kernel.apply((await look(kernel)).operations);
  return kernel;
}

function change(kernel: FakeOverlay, fields: object): void {
  const link = kernel.link("podrouter-vx4")!;
  kernel.links.set(link.index, { ...link, ...fields });
}

function replaceItem(kernel: FakeOverlay, kind: Item["kind"], fields: object, foreign = false) {
  const [item] = kernel.itemsOf(kind);
  kernel.put({ ...item!, ...fields } as Item, foreign);
}

test("a way is there when the device is up and right, and all is on it but what is for answers", async () => {
  const cases: readonly [string, (kernel: FakeOverlay) => void, boolean][] = [
    ["untouched", () => undefined, true],
    ["no device", (kernel) => kernel.remove("podrouter-vx4"), false],
    ["down", (kernel) => change(kernel, { up: false }), false],
    ["another VNI", (kernel) => change(kernel, { vni: 78 }), false],
    ["another port", (kernel) => change(kernel, { port: 8472 }), false],
    ["another end", (kernel) => change(kernel, { local: ip("192.168.50.9") }), false],
    ["another MTU", (kernel) => change(kernel, { mtu: 1400 }), true],
    ["no route in table 77", (kernel) => kernel.items.delete("route 192.168.51.50/32"), true],
    ["another's neighbour", (kernel) => replaceItem(kernel, "neighbour", {}, true), false],
    [
      "a neighbour with another MAC",
      (kernel) => replaceItem(kernel, "neighbour", { mac: "0e:00:00:00:00:01" }),
      false,
    ],
    ["another's forwarding", (kernel) => replaceItem(kernel, "forwarding", {}, true), false],
    ...(["neighbour", "forwarding"] as const).map(
      (kind): [string, (kernel: FakeOverlay) => void, boolean] => [
        `no ${kind}`,
        (kernel) => {
          for (const [key, { item }] of kernel.items) {
            if (item.kind === kind) kernel.items.delete(key);
          }
        },
        false,
      ],
    ),
  ];
  for (const [what, damage, whole] of cases) {
    const kernel = await made();
    damage(kernel);
    assert.deepEqual((await look(kernel)).whole, [whole ? "podrouter-vx4" : undefined], what);
  }
});

test("what hangs on a device that is only down stays, and nothing is put on it", async () => {
  const kernel = await made();
  change(kernel, { up: false });
  const down = await look(kernel);
  assert.deepEqual(down.kinds, ["set-device"]);
  const bare = await made();
  change(bare, { up: false });
  bare.items.clear();
  assert.deepEqual((await look(bare)).kinds, ["set-device"], "a device that is down takes none");
  await kernel.apply(down.operations);
  assert.deepEqual((await look(kernel)).kinds, []);
});

test("what can be changed of a device is put right in place, else it is made anew", async () => {
  for (const [wrong, right] of [
    [{ mtu: 1400 }, { mtu: 1450 }],
    [{ tuned: true }, { tuned: false }],
    [{ mac: "0e:00:00:00:00:01" }, { mac: "0e:58:c0:a8:32:32" }],
    [
      { up: false, mtu: 9000 },
      { up: true, mtu: 1450 },
    ],
  ]) {
    const kernel = await made();
    change(kernel, wrong!);
    const [operation] = (await look(kernel)).operations;
    assert.ok(operation?.kind === "set-device");
    assert.deepEqual(operation.change, right);
  }
  const ipip = { ...VXLAN, encap: "ipip" } as const;
  for (const wrong of [{ remote: ip("192.168.51.51") }, { local: ip("192.168.50.9") }]) {
    const kernel = new FakeOverlay();
    for (let round = 0; round < 3; round++) {
      await kernel.apply((await look(kernel, FAR, true, ipip)).operations);
    }
    const link = kernel.link("tun-c0a83332")!;
    kernel.links.set(link.index, { ...link, ...wrong });
    const { kinds, whole } = await look(kernel, FAR, true, ipip);
    assert.deepEqual(kinds.slice(0, 2), ["delete-device", "create-device"]);
    assert.deepEqual(whole, [undefined]);
  }
});

test("what is there too much waits for the routes, and is said to wait", async () => {
  const kernel = await made();
  assert.equal((await look(kernel, FAR, false)).waiting, false);
  // The Node's subnet is ours now: routes may still lead through the tunnel.
  kernel.addresses = new FakeOverlay(["192.168.50.50/24", "192.168.51.1/24"]).addresses;
  const early = await look(kernel, FAR, false);
  assert.deepEqual([early.kinds, early.waiting], [[], true]);
  const late = await look(kernel, FAR, true);
  assert.deepEqual([late.kinds, late.waiting], [["drop", "delete-device"], false]);
  // The same of one Node among others: its entries wait, on a device that stays.
  const two = new FakeOverlay();
  const both = wanted("192.168.51.50", "192.168.52.50");
  for (let round = 0; round < 3; round++) await two.apply((await look(two, both)).operations);
  two.addresses = kernel.addresses;
  const entries = await look(two, both, false);
  assert.deepEqual([entries.kinds, entries.waiting], [[], true]);
  assert.deepEqual((await look(two, both, true)).kinds, ["drop", "drop", "drop"]);
  // Of an IP in IP tunnel the device alone waits.
  const ipip = { ...VXLAN, encap: "ipip" } as const;
  const other = new FakeOverlay();
  for (let round = 0; round < 3; round++) {
    await other.apply((await look(other, FAR, true, ipip)).operations);
  }
  other.items.clear();
  other.addresses = kernel.addresses;
  const tunnel = await look(other, FAR, false, ipip);
  assert.deepEqual([tunnel.kinds, tunnel.waiting], [[], true]);
  const gone = await look(other, wanted(), false, ipip);
  assert.deepEqual(
    [gone.kinds, gone.waiting],
    [["delete-device"], false],
    "of a Node that is gone",
  );
});
