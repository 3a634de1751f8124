/** Sets at a start from saved Nodes, of which some may be missing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeSets } from "./fake-sets.ts";
import { IPS, PODS, setUp, THREE, TWO } from "./lab.ts";

test("while Nodes may be missing nothing goes, and afterwards what was kept for them does", async () => {
  const { clock, kernel, controller, codes } = setUp({ syncPeriodMs: 60_000 });
  kernel.put(PODS, { members: ["10.233.64.0/24", "10.233.66.0/24", "10.1.0.0/24"] });
  const [one] = THREE.podSubnets;
  const some = { podSubnets: [one!], nodeIps: THREE.nodeIps.slice(0, 1), complete: false };
  await controller.setDesired(some);
  const kept = ["10.1.0.0/24", "10.233.64.0/24", "10.233.66.0/24"];
  assert.deepEqual([...(kernel.members(PODS) ?? [])].sort(), kept);
  assert.deepEqual(kernel.members(IPS), ["192.168.50.50"]);
  await controller.setDesired({ ...TWO, complete: false });
  assert.deepEqual([...(kernel.members(PODS) ?? [])].sort(), [...kept, "10.233.65.0/24"].sort());
  const passes = controller.status().counters.syncs;
  await clock.advanceAsync(59_000);
  assert.equal(
    controller.status().counters.syncs,
    passes,
    "what is kept is not taken for meddling",
  );
  await clock.advanceAsync(2_000);
  assert.equal(kernel.members(PODS)?.length, 4);
  kernel.taken();
  const none = { podSubnets: new Map(), nodeIps: new Map() };
  await controller.setDesired({ ...TWO, complete: true }, none);
  assert.deepEqual(kernel.members(PODS), [...TWO.podSubnets]);
  assert.deepEqual(kernel.taken(), [`del ${PODS} 2`]);
  assert.deepEqual(codes(), []);
});

test("Nodes that become complete while a pass is under way take nothing from that pass", async () => {
  const { clock, kernel, controller } = setUp({ syncPeriodMs: 60_000 });
  kernel.put(PODS, { members: [...THREE.podSubnets] });
  kernel.put(IPS, { members: [...THREE.nodeIps] });
  await controller.setDesired({ ...TWO, complete: false });
  kernel.taken();
  // The API server answers in the middle of the comparison that is made each minute.
  let told: Promise<void> | undefined;
  kernel.refuse = (call) => {
    if (call === "list") told ??= controller.setDesired({ ...THREE, complete: true });
    return undefined;
  };
  await clock.advanceAsync(60_000);
  await told;
  assert.deepEqual(kernel.taken(), [], "what all Nodes have was there all the time");
  assert.deepEqual(kernel.members(PODS), [...THREE.podSubnets]);
});

for (const [how, damage] of [
  ["flushes the sets", (kernel: FakeSets) => kernel.sets.get(PODS)?.members.clear()],
  ["deletes them", (kernel: FakeSets) => kernel.sets.delete(PODS)],
  ["removes a member", (kernel: FakeSets) => kernel.sets.get(PODS)?.members.delete("10.1.0.0/24")],
  ["made them with other options", (kernel: FakeSets) => kernel.put(PODS, { plain: false })],
] as const) {
  test(`somebody ${how} meanwhile: what was kept is put back, and goes in the end`, async () => {
    const { clock, kernel, controller, codes } = setUp();
    kernel.put(PODS, { members: ["10.233.66.0/24", "10.1.0.0/24"] });
    await controller.setDesired({ ...TWO, complete: false });
    for (let i = 0; i < 2; i++) {
      damage(kernel);
      await clock.advanceAsync(10_000);
      assert.deepEqual(
        kernel.members(PODS),
        [...TWO.podSubnets, "10.233.66.0/24", "10.1.0.0/24"].sort(),
      );
    }
    await controller.setDesired({ ...TWO, complete: true });
    assert.deepEqual(kernel.members(PODS), [...TWO.podSubnets]);
    kernel.sets.get(PODS)?.members.clear();
    await clock.advanceAsync(10_000);
    assert.deepEqual(kernel.members(PODS), [...TWO.podSubnets]);
    assert.deepEqual(codes(), []);
  });
}

test("a set of somebody else's that has the name for a while takes nothing of what was kept", async () => {
  const { clock, kernel, controller } = setUp();
  kernel.put(PODS, { members: ["10.233.66.0/24"] });
  await controller.setDesired({ ...TWO, complete: false });
  kernel.put(PODS, { type: "hash:ip", members: ["10.9.9.9"] });
  await clock.advanceAsync(10_000);
  assert.deepEqual(kernel.members(PODS), ["10.9.9.9"]);
  kernel.sets.delete(PODS);
  await clock.advanceAsync(10_000);
  assert.deepEqual(kernel.members(PODS), [...THREE.podSubnets]);
});

test("what was kept is forgotten with the first whole list of Nodes, whatever a later one lacks", async () => {
  const { kernel, controller } = setUp();
  kernel.put(PODS, { members: [...THREE.podSubnets] });
  await controller.setDesired({ ...TWO, complete: false });
  await controller.setDesired({ ...TWO, complete: true });
  assert.deepEqual(kernel.members(PODS), [...TWO.podSubnets]);
  await controller.setDesired({ ...TWO, complete: false });
  assert.deepEqual(kernel.members(PODS), [...TWO.podSubnets]);
});
