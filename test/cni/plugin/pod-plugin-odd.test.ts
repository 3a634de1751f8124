/** The agent's half of the plugin on a machine in memory: old files, other pod CIDRs, refusals. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hostLinkName } from "../../../src/cni/plugin/attachment.ts";
import { CniSpecError } from "../../../src/cni/plugin/spec.ts";
import { prefix } from "../../../src/ip/prefix.ts";
import { addOf, addressesOf, delOf, gcOf, PodWorld } from "../../support/pod-world.ts";

const attachment = (containerId: string) => ({
  ...{ network: "mynet", containerId, interfaceName: "eth0" },
});
const leasesIn = (world: PodWorld): string[] =>
  JSON.parse(world.file ?? "{}").leases.flatMap(
    ({ addresses }: { addresses: string[] }) => addresses,
  );

test("a file from a backup: the links are right, and no address is given out twice", async () => {
  const world = new PodWorld();
  let plugin = world.boot("10.0.0.0/29");
  await plugin.handle(addOf("a"));
  const backup = world.file!;
  // A container that is started anew under its name, while another one took what it had.
  await plugin.handle(delOf("a"));
  for (const id of ["x", "y", "z", "v", "b"]) await plugin.handle(addOf(id));
  for (const id of ["x", "y", "z", "v"]) await plugin.handle(delOf(id));
  await plugin.handle(addOf("a"));
  const before = [...world.inUse()].sort();
  world.file = backup;
  plugin = world.boot("10.0.0.0/29");
  for (const id of ["c", "d", "e", "f"]) await plugin.handle(addOf(id)).catch(() => undefined);
  const inUse = [...world.inUse()].sort();
  assert.equal(new Set(inUse).size, inUse.length, `${before} became ${inUse}`);
  assert.deepEqual(leasesIn(world).sort(), inUse);
});

test("an ADD without DEL after the pod CIDR changed: the lease of what runs stays known", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/29");
  await plugin.handle(addOf("a"));
  plugin.setRanges([prefix("10.1.0.0/29")]);
  await assert.rejects(plugin.handle(addOf("a")), CniSpecError);
  assert.deepEqual(leasesIn(world), ["10.0.0.2"]);
  plugin.setRanges([prefix("10.0.0.0/29")]);
  for (const id of ["b", "c", "d", "e", "f"]) {
    await plugin.handle(addOf(id)).catch(() => undefined);
  }
  assert.equal(new Set(world.inUse()).size, world.inUse().length);
});

test("an ADD without DEL after one family's pod CIDR changed gives no address of the pod away", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24", "fd00::/126");
  await plugin.handle(addOf("a"));
  plugin.setRanges(["10.1.0.0/24", "fd00::/126"].map(prefix));
  // While the ADD that will fail is on its way.
  await Promise.allSettled([plugin.handle(addOf("a")), plugin.handle(addOf("b"))]);
  const inUse = world.inUse();
  assert.equal(new Set(inUse).size, inUse.length, inUse.join(" "));
  assert.deepEqual(leasesIn(world).sort(), ["10.0.0.2", "10.1.0.3", "fd00::2", "fd00::3"]);
  // Its interface is gone: it is made anew, and what it had before is free.
  world.endNamespace("/run/netns/a");
  assert.deepEqual(addressesOf(await plugin.handle(addOf("a"))), ["10.1.0.4", "fd00::2"]);
  await plugin.handle(delOf("a"));
  assert.deepEqual(addressesOf(await plugin.handle(addOf("c"))), ["10.1.0.5", "fd00::2"]);
});

test("GC goes on past what cannot be removed, says so, and forgets nothing of it", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24");
  for (const id of ["a", "b", "c", "d"]) await plugin.handle(addOf(id));
  world.stuck.add(hostLinkName(attachment("b")));
  const failed = await plugin.handle(gcOf("d")).then(
    () => assert.fail("it succeeded"),
    (error: unknown) => error,
  );
  assert.ok(failed instanceof CniSpecError);
  assert.deepEqual([failed.code, failed.message], [103, `EBUSY: ${hostLinkName(attachment("b"))}`]);
  assert.deepEqual(leasesIn(world), ["10.0.0.3", "10.0.0.5"]);
  assert.equal(world.links.size, 2);
  world.stuck.clear();
  assert.equal(await plugin.handle(gcOf("d")), undefined);
  assert.deepEqual(leasesIn(world), ["10.0.0.5"]);
  assert.deepEqual(addressesOf(await plugin.handle(addOf("e"))), ["10.0.0.6"]);
});

test("two addresses of one family are asked for: none is left out in silence", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24", "fd00::/64");
  const both = { ...addOf("a"), addresses: ["10.0.0.8", "10.0.0.9"] };
  await assert.rejects(plugin.handle(both), { code: 7 });
  assert.equal(world.links.size, 0);
  const one = { ...addOf("a"), addresses: ["fd00::9", "10.0.0.9"] };
  assert.deepEqual(addressesOf(await plugin.handle(one)), ["10.0.0.9", "fd00::9"]);
});

test("DEL of a pod of ours ends its link alone, of one that is not ours what others made of it", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24");
  await plugin.handle(addOf("a"));
  await plugin.handle(delOf("a", "/run/netns/a"));
  // The lease was lost, the link is there.
  await plugin.handle(addOf("b"));
  for (const link of world.links.values()) link.marked = false;
  world.file = undefined;
  const again = world.boot("10.0.0.0/24");
  await again.handle(delOf("b", "/run/netns/b"));
  assert.deepEqual([world.links.size, world.calls], [0, []]);
  await again.handle(delOf("c", "/run/netns/c"));
  await again.handle(delOf("d"));
  assert.deepEqual(world.calls, [
    "eth0 removed in /run/netns/c",
    "host-local forgets c",
    "host-local forgets d",
  ]);
});

test("a link that says nothing of whose it is keeps its pod's lease", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/30");
  await plugin.handle(addOf("a"));
  // As where the name of the network is too long for the alias.
  for (const link of world.links.values()) link.marked = false;
  await assert.rejects(plugin.handle(addOf("b")), /no IPv4 address is left/);
  assert.deepEqual(world.inUse(), ["10.0.0.2"]);
  world.endNamespace("/run/netns/a");
  assert.deepEqual(addressesOf(await plugin.handle(addOf("b"))), ["10.0.0.2"]);
});
