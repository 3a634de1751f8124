/** The ipsets' controller on sets in memory: what it does, and what it leaves alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SetsError } from "../../src/ipset/ports.ts";
import { findOwnSets, removeSets } from "../../src/ipset/remove-all.ts";
import type { FakeSets } from "./fake-sets.ts";
import { contents, IPS, IPS6, PODS, PODS6, setUp, THREE, TWO } from "./lab.ts";

test("the sets are made and filled when the promise resolves", async () => {
  const { kernel, controller, codes } = setUp();
  await controller.setDesired(THREE);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24", "10.233.66.0/24"]);
  assert.deepEqual(kernel.members(IPS), ["192.168.50.50", "192.168.50.51", "192.168.50.52"]);
  assert.deepEqual([...kernel.sets.keys()], [PODS, IPS]);
  assert.deepEqual(kernel.taken(), [
    `create ${PODS} hash:net 4 65536`,
    `add ${PODS} 3`,
    `create ${IPS} hash:ip 4 65536`,
    `add ${IPS} 3`,
  ]);
  assert.deepEqual(codes(), []);
});

test("nothing is touched before the contents are known", async () => {
  const { clock, kernel } = setUp();
  kernel.put(PODS, { members: ["10.1.0.0/24"] });
  await clock.advanceAsync(100_000);
  assert.deepEqual(kernel.members(PODS), ["10.1.0.0/24"]);
  assert.equal(kernel.looks, 0);
});

test("a change costs what changed, and none costs nothing", async () => {
  const { kernel, controller } = setUp();
  await controller.setDesired(THREE);
  kernel.taken();
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.taken(), [`del ${PODS} 1`, `del ${IPS} 1`]);
  const { looks } = kernel;
  await controller.setDesired(contents(TWO.podSubnets, TWO.nodeIps));
  assert.equal(kernel.looks, looks);
  assert.deepEqual(kernel.taken(), []);
});

test("who says what changed gets that at once, and what is not told is seen at the comparison", async () => {
  const { clock, kernel, controller } = setUp();
  await controller.setDesired(THREE);
  kernel.taken();
  const [subnet] = contents(["10.233.66.0/24"], []).podSubnets;
  await controller.setDesired(TWO, { podSubnets: new Map([[subnet!, false]]), nodeIps: new Map() });
  assert.deepEqual(kernel.taken(), [`del ${PODS} 1`]);
  assert.deepEqual(kernel.members(PODS), [...TWO.podSubnets]);
  assert.equal(kernel.sets.get(IPS)?.members.size, 3);
  await clock.advanceAsync(60_000);
  assert.deepEqual(kernel.members(IPS), [...TWO.nodeIps]);
  // What is news to nobody costs nothing, and a member comes with its family's sets.
  await controller.setDesired(TWO, { podSubnets: new Map([[subnet!, false]]), nodeIps: new Map() });
  kernel.taken();
  const six = contents(["fd00:64::/64"], []).podSubnets;
  const both = { ...TWO, podSubnets: [...TWO.podSubnets, ...six] };
  await controller.setDesired(both, { podSubnets: new Map([[six[0]!, true]]), nodeIps: new Map() });
  assert.deepEqual(kernel.members(PODS6), ["fd00:64::/64"]);
  assert.deepEqual(kernel.members(PODS), [...TWO.podSubnets]);
});

test("a change reads no set, unless its number of members is not as it was left", async () => {
  const { kernel, controller, codes } = setUp();
  await controller.setDesired(THREE);
  kernel.reads = 0;
  await controller.setDesired(TWO);
  await controller.setDesired(THREE);
  assert.equal(kernel.reads, 0);
  assert.equal(controller.status().counters.added, 8);
  assert.equal(controller.status().counters.removed, 2);
  kernel.sets.get(PODS)?.members.delete("10.233.64.0/24");
  await controller.setDesired(TWO);
  assert.equal(kernel.reads, 1);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
  kernel.sets.delete(IPS);
  await controller.setDesired(THREE);
  assert.deepEqual(kernel.members(IPS), ["192.168.50.50", "192.168.50.51", "192.168.50.52"]);
  assert.deepEqual(codes(), []);
});

test("however often contents change, the full comparison comes in time", async () => {
  const { clock, kernel, controller } = setUp({ syncPeriodMs: 60_000, checkPeriodMs: 2_000 });
  await controller.setDesired(THREE);
  const members = kernel.sets.get(PODS)?.members;
  members?.delete("10.233.64.0/24");
  members?.set("10.99.0.0/24", true);
  for (let second = 0; second < 62; second++) {
    await clock.advanceAsync(1_000);
    const ips = second % 2 === 0 ? TWO.nodeIps : THREE.nodeIps;
    await controller.setDesired({ podSubnets: THREE.podSubnets, nodeIps: ips });
  }
  assert.deepEqual(kernel.members(PODS), [...THREE.podSubnets]);
});

test("additions come before deletions", async () => {
  const { kernel, controller } = setUp();
  await controller.setDesired(TWO);
  kernel.taken();
  await controller.setDesired(contents(["10.233.68.0/24"], ["192.168.50.50", "192.168.50.51"]));
  assert.deepEqual(kernel.taken(), [`add ${PODS} 1`, `del ${PODS} 2`]);
});

test("contents that change while the kernel is written to follow at once", async () => {
  const { kernel, controller } = setUp();
  const first = controller.setDesired(THREE);
  const second = controller.setDesired(TWO);
  await Promise.all([first, second]);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
});

test("who asked goes on when that is there, however often contents change meanwhile", async () => {
  const { kernel, controller } = setUp();
  await controller.setDesired(THREE);
  const header = kernel.header.bind(kernel);
  let changes = 0;
  const late: Promise<readonly string[] | undefined>[] = [];
  kernel.header = async (name) => {
    const next = contents([`10.233.${changes}.0/24`], TWO.nodeIps);
    const asks = changes++ < 200;
    if (asks) late.push(controller.setDesired(next).then(() => kernel.members(PODS)));
    return header(name);
  };
  await controller.setDesired(TWO);
  assert.ok(changes < 10, `${changes} changes came before`);
  // And not before: each asked while a pass was under way, which need not have had it.
  const found = await Promise.all(late);
  found.forEach((members, asked) => {
    const there = Number(members?.[0]?.split(".")[2]);
    assert.ok(there >= asked, `change ${asked} went on when there was ${members}`);
  });
});

test("members of an earlier run go, those that stay are not touched", async () => {
  const { kernel, controller } = setUp();
  kernel.put(PODS, { members: ["10.233.64.0/24", "10.233.99.0/24"], references: 2 });
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
  assert.deepEqual(kernel.taken().slice(0, 2), [`add ${PODS} 1`, `del ${PODS} 1`]);
});

test("the IPv6 twins come with the first IPv6 member and stay", async () => {
  const { kernel, controller } = setUp();
  await controller.setDesired(TWO);
  assert.equal(kernel.sets.size, 2);
  await controller.setDesired(contents(["10.233.64.0/24", "fd00:64::/64"], ["192.168.50.50"]));
  assert.deepEqual(kernel.members(PODS6), ["fd00:64::/64"]);
  assert.deepEqual(kernel.members(IPS6), []);
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.members(PODS6), []);
  assert.equal(kernel.sets.size, 4);
});

test("twins of an earlier run are emptied when nothing is of IPv6 any more", async () => {
  const { kernel, controller } = setUp();
  kernel.put(IPS6, { members: ["2001:db8::50"] });
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.members(IPS6), []);
});

for (const [what, damage] of [
  ["flushed", (kernel: FakeSets) => kernel.sets.get(PODS)!.members.clear()],
  ["destroyed", (kernel: FakeSets) => kernel.sets.delete(PODS)],
  [
    "one member poorer",
    (kernel: FakeSets) => kernel.sets.get(PODS)!.members.delete("10.233.64.0/24"),
  ],
  [
    "one member richer",
    (kernel: FakeSets) => kernel.sets.get(PODS)!.members.set("10.1.0.0/24", true),
  ],
] as const) {
  test(`a set that somebody left ${what} is repaired by the next check`, async () => {
    const { clock, kernel, controller } = setUp({ checkPeriodMs: 1000 });
    await controller.setDesired(TWO);
    damage(kernel);
    await clock.advanceAsync(1100);
    assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
    assert.equal(controller.status().counters.repairs, 1);
  });
}

test("an exchange of one member for another is found by the full comparison", async () => {
  const { clock, kernel, controller } = setUp({ checkPeriodMs: 1000, syncPeriodMs: 30_000 });
  await controller.setDesired(TWO);
  const { members } = kernel.sets.get(PODS)!;
  members.delete("10.233.64.0/24");
  members.set("10.1.0.0/24", true);
  await clock.advanceAsync(31_000);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
});

test("a check reads headers only", async () => {
  const { clock, kernel, controller } = setUp({ checkPeriodMs: 1000 });
  await controller.setDesired(TWO);
  kernel.refuse = (call) => (call === "list" ? new SetsError("failed", "a list") : undefined);
  const { looks } = kernel;
  await clock.advanceAsync(10_500);
  assert.equal(kernel.looks - looks, 20);
  assert.deepEqual(controller.status().conditions, []);
});

test("a set with other options is exchanged for a right one while rules refer to it", async () => {
  const { kernel, controller } = setUp();
  kernel.put(PODS, { plain: false, references: 2, members: ["10.233.64.0/24"] });
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.taken().slice(0, 4), [
    "create podrouter-temporary hash:net 4 65536",
    "add podrouter-temporary 2",
    `swap podrouter-temporary ${PODS}`,
    "destroy podrouter-temporary",
  ]);
  assert.equal(controller.status().counters.rebuilt, 1);
  assert.equal(kernel.sets.get(PODS)?.references, 2);
  assert.equal(kernel.sets.get(PODS)?.plain, true);
  assert.deepEqual([...kernel.sets.keys()], [PODS, IPS]);
});

test("what a killed run left behind is no hindrance", async () => {
  const { kernel, controller } = setUp();
  kernel.put("podrouter-temporary", { type: "hash:ip", members: ["1.2.3.4"] });
  kernel.put(PODS, { plain: false });
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
  assert.equal(kernel.sets.has("podrouter-temporary"), false);
});

test("more members than maxelem: made anew, larger", async () => {
  const { kernel, controller } = setUp();
  const many = Array.from({ length: 65_536 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
  await controller.setDesired(contents(many, []));
  await controller.setDesired(contents([...many, "11.0.0.0/24"], []));
  assert.equal(kernel.sets.get(PODS)?.maxElements, 131_072);
  assert.equal(kernel.sets.get(PODS)?.members.size, 65_537);
  await controller.setDesired(TWO);
  assert.equal(kernel.sets.get(PODS)?.maxElements, 131_072, "and kept");
});

test("somebody else's set of our name is left alone and named, until it goes", async () => {
  const { clock, kernel, controller, codes, messages } = setUp({ checkPeriodMs: 1000 });
  kernel.put(PODS, { type: "hash:ip", members: ["1.2.3.4"] });
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.members(PODS), ["1.2.3.4"]);
  assert.deepEqual(kernel.members(IPS), ["192.168.50.50", "192.168.50.51"], "the other is filled");
  assert.deepEqual(codes(), ["ipset-conflict"]);
  assert.match(messages(), /kube-router-pod-subnets is left as it is: it is of type hash:ip/);
  await clock.advanceAsync(5000);
  assert.equal(controller.status().counters.repairs, 0);
  kernel.sets.delete(PODS);
  await clock.advanceAsync(1100);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
  assert.deepEqual(codes(), []);
});

test("a set that became somebody else's is noticed, whatever its size", async () => {
  const { clock, kernel, controller, codes } = setUp({ checkPeriodMs: 1000 });
  await controller.setDesired(TWO);
  kernel.put(PODS, { type: "hash:ip", members: ["1.2.3.4", "1.2.3.5"] });
  await clock.advanceAsync(1100);
  assert.deepEqual(codes(), ["ipset-conflict"]);
  assert.deepEqual(kernel.members(PODS), ["1.2.3.4", "1.2.3.5"]);
});

test("a set that cannot be written stops no other, and is tried again", async () => {
  const { clock, kernel, controller, codes, messages } = setUp();
  kernel.refuse = (call) =>
    call.startsWith(`create ${PODS}`) ? new SetsError("failed", "SETS_FULL: no more") : undefined;
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.members(IPS), ["192.168.50.50", "192.168.50.51"]);
  assert.deepEqual(codes(), ["ipset-error"]);
  assert.match(messages(), /set kube-router-pod-subnets: SETS_FULL/);
  await clock.advanceAsync(120_000);
  const { failed } = controller.status().counters;
  assert.ok(failed >= 8 && failed <= 12, `${failed} tries`);
  kernel.refuse = () => undefined;
  await clock.advanceAsync(61_000);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
  assert.deepEqual(codes(), []);
});

test("no permission or no ip_set: one condition, and all is filled when it is there", async () => {
  const { clock, kernel, controller, codes, messages } = setUp();
  kernel.unavailable = "EPERM: operation not permitted (is CAP_NET_ADMIN missing?)";
  await controller.setDesired(THREE);
  assert.deepEqual(codes(), ["ipset-unavailable"]);
  assert.match(messages(), /ipsets cannot be kept up: EPERM/);
  await clock.advanceAsync(60_000);
  assert.deepEqual(codes(), ["ipset-unavailable"]);
  await controller.setDesired(TWO);
  kernel.unavailable = undefined;
  await clock.advanceAsync(61_000);
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.65.0/24"]);
  assert.deepEqual(codes(), []);
});

test("an outage after the first filling is noticed and repaired", async () => {
  const { clock, kernel, controller, codes } = setUp({ checkPeriodMs: 1000 });
  await controller.setDesired(TWO);
  kernel.unavailable = "ENOBUFS: broke";
  await clock.advanceAsync(1500);
  assert.deepEqual(codes(), ["ipset-unavailable"]);
  kernel.sets.clear();
  kernel.unavailable = undefined;
  await clock.advanceAsync(2000);
  assert.equal(kernel.sets.size, 2);
  assert.deepEqual(codes(), []);
});

test("a member that the kernel refuses is named, the others are in", async () => {
  const { clock, kernel, controller, codes, messages } = setUp({ checkPeriodMs: 1000 });
  kernel.refuseMember = (member) => member === "10.233.65.0/24";
  await controller.setDesired(contents(["0.0.0.0/0", ...THREE.podSubnets], THREE.nodeIps));
  assert.deepEqual(kernel.members(PODS), ["10.233.64.0/24", "10.233.66.0/24"]);
  assert.deepEqual(codes(), ["ipset-member-refused", "ipset-member-refused"]);
  assert.match(messages(), /goes without 0\.0\.0\.0\/0: it would match every address/);
  assert.match(messages(), /the kernel refused 10\.233\.65\.0\/24: EINVAL/);
  const names = controller.status().conditions.map((condition) => condition.name);
  assert.equal(new Set(names).size, 2);
  await clock.advanceAsync(10_000);
  assert.equal(controller.status().counters.repairs, 0, "the check knows about it");
});

test("a dry run plans, shows and changes nothing", async () => {
  const { clock, kernel, controller } = setUp({ dryRun: true, checkPeriodMs: 1000 });
  kernel.put(PODS, { members: ["10.233.64.0/24", "10.233.99.0/24"] });
  await controller.setDesired(TWO);
  assert.deepEqual(kernel.taken(), []);
  assert.deepEqual(controller.status().planned, [
    `add ${PODS} 10.233.65.0/24`,
    `del ${PODS} 10.233.99.0/24`,
    `create ${IPS} hash:ip family inet hashsize 1024 maxelem 65536 timeout 0`,
    `add ${IPS} 192.168.50.50`,
    `add ${IPS} 192.168.50.51`,
  ]);
  await clock.advanceAsync(10_000);
  assert.equal(controller.status().counters.repairs, 0);
  kernel.put(IPS, { members: ["192.168.50.50", "192.168.50.51"] });
  await clock.advanceAsync(1100);
  assert.equal(controller.status().plannedTotal, 2);
  assert.deepEqual(kernel.taken(), []);
});

test("stop leaves the sets and ends everything", async () => {
  const { clock, kernel, controller } = setUp();
  await controller.setDesired(TWO);
  await controller.stop();
  assert.equal(clock.pendingCount, 0);
  kernel.sets.get(PODS)!.members.clear();
  await clock.advanceAsync(200_000);
  await controller.setDesired(THREE);
  assert.deepEqual(kernel.members(PODS), []);
  assert.equal(clock.pendingCount, 0);
});

test("stop waits for what is under way", async () => {
  const { clock, kernel, controller } = setUp();
  const asked = controller.setDesired(THREE);
  await controller.stop();
  assert.deepEqual(kernel.members(IPS), [...THREE.nodeIps]);
  await asked;
  kernel.taken();
  await clock.advanceAsync(1000);
  assert.deepEqual(kernel.taken(), []);
});

test("each contents are one pass, and checks that find nothing wrong are none", async () => {
  const { clock, kernel, controller } = setUp({ checkPeriodMs: 1000 });
  const passes = () => controller.status().counters.syncs;
  await controller.setDesired(THREE);
  await controller.setDesired(TWO);
  assert.equal(passes(), 2);
  assert.equal(clock.pendingCount, 1, "one check, however often contents came");
  assert.equal(controller.status().lastSync, clock.wall());
  await clock.advanceAsync(5500);
  assert.equal(passes(), 2);
  kernel.unavailable = "EPERM";
  await clock.advanceAsync(1000);
  assert.ok(controller.status().counters.failed > 0);
});

test("cleanup removes our sets, but none that is referred to or not ours", async () => {
  const { kernel } = setUp();
  kernel.put(PODS, { references: 1, members: ["10.233.64.0/24"] });
  kernel.put(IPS);
  kernel.put(IPS6, { type: "hash:net" });
  kernel.put("podrouter-temporary");
  kernel.put("kube-router-local-ips");
  const { own, foreign } = await findOwnSets(kernel);
  assert.deepEqual(own, [PODS, IPS, "podrouter-temporary"]);
  assert.deepEqual(foreign, [
    { name: IPS6, why: "it is of type hash:net family inet6, not hash:ip family inet6" },
  ]);
  assert.deepEqual(await removeSets(kernel, own), {
    removed: [IPS, "podrouter-temporary"],
    kept: [{ name: PODS, why: "SET_BUSY: the set is in use" }],
  });
  assert.deepEqual([...kernel.sets.keys()], [PODS, IPS6, "kube-router-local-ips"]);
});
