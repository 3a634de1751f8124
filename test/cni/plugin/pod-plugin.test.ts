/** The agent's half of the plugin on a machine in memory: each command, and deaths at any point. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hostLinkName } from "../../../src/cni/plugin/attachment.ts";
import type { PodPlugin } from "../../../src/cni/plugin/pod-plugin.ts";
import type { PluginRequest } from "../../../src/cni/plugin/request.ts";
import { CniSpecError } from "../../../src/cni/plugin/spec.ts";
import {
  addOf,
  addressesOf,
  checkOf,
  delOf,
  gcOf,
  PodWorld,
  STATUS,
  settle,
} from "../../support/pod-world.ts";

const attachment = (containerId: string) => ({
  ...{ network: "mynet", containerId, interfaceName: "eth0" },
});

async function failure(call: Promise<unknown>): Promise<readonly [number, string]> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof CniSpecError, String(error));
    return [error.code, error.message];
  }
  return assert.fail("it succeeded");
}

const leasesIn = (world: PodWorld): string[] =>
  JSON.parse(world.file ?? '{"leases":[]}').leases.flatMap(
    (lease: { addresses: string[] }) => lease.addresses,
  );

test("ADD, CHECK, DEL, and what is on disk meanwhile", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24", "fd00::/64");
  const result = await plugin.handle(addOf("a"));
  assert.deepEqual(addressesOf(result), ["10.0.0.2", "fd00::2"]);
  assert.deepEqual(leasesIn(world), ["10.0.0.2", "fd00::2"]);
  assert.equal(await plugin.handle(checkOf("a", "10.0.0.2/24", "fd00::2/64")), undefined);
  assert.equal(await plugin.handle(delOf("a")), undefined);
  assert.deepEqual([world.links.size, leasesIn(world)], [0, []]);
  assert.equal(await plugin.handle(delOf("a")), undefined, "a second time");
  assert.equal(await plugin.handle(delOf("never", "/run/netns/gone")), undefined);
});

test("CHECK fails when the lease, the link, or something in the pod is not as it was", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24");
  await plugin.handle(addOf("a"));
  const check = checkOf("a", "10.0.0.2/24");
  assert.deepEqual(await failure(plugin.handle(checkOf("a", "10.0.0.9/24"))), [
    100,
    "prevResult lacks 10.0.0.2",
  ]);
  world.damage.set("/run/netns/a", "eth0 lacks its address 10.0.0.2");
  assert.deepEqual(await failure(plugin.handle(check)), [100, "eth0 lacks its address 10.0.0.2"]);
  world.damage.clear();
  world.endNamespace("/run/netns/a");
  assert.deepEqual(await failure(plugin.handle(check)), [100, "its link is gone"]);
  assert.equal((await failure(plugin.handle(checkOf("b"))))[0], 100);
});

test("a second ADD without DEL is an error, and takes nothing away from the pod", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24");
  await plugin.handle(addOf("a"));
  assert.equal((await failure(plugin.handle(addOf("a"))))[0], 102);
  assert.deepEqual([world.inUse(), leasesIn(world)], [["10.0.0.2"], ["10.0.0.2"]]);
  // What an ADD that came to no end left: the same address again.
  world.endNamespace("/run/netns/a");
  assert.deepEqual(addressesOf(await plugin.handle(addOf("a"))), ["10.0.0.2"]);
});

test("each trouble has its code, and leaves no lease behind", async () => {
  const world = new PodWorld();
  const plugin = world.boot();
  assert.deepEqual(await failure(plugin.handle(addOf("a"))), [
    11,
    "the pod CIDR of this node is not known yet",
  ]);
  assert.equal((await failure(plugin.handle(STATUS)))[0], 50);
  const ready = world.boot("10.0.0.0/30");
  world.gone.add("/run/netns/a");
  assert.equal((await failure(ready.handle(addOf("a"))))[0], 3);
  world.bridge = "kube-bridge is down";
  assert.equal((await failure(ready.handle(addOf("b"))))[0], 11);
  assert.deepEqual(await failure(ready.handle(STATUS)), [51, "kube-bridge is down"]);
  world.bridge = undefined;
  world.foreignBridge = "kube-bridge belongs to somebody else";
  assert.deepEqual(await failure(ready.handle(addOf("b"))), [11, world.foreignBridge]);
  assert.deepEqual(await failure(ready.handle(STATUS)), [50, world.foreignBridge]);
  assert.equal(await ready.handle(delOf("b")), undefined);
  world.foreignBridge = undefined;
  assert.equal(await ready.handle(STATUS), undefined);
  world.fileFails = true;
  const [code, message] = await failure(ready.handle(addOf("b")));
  assert.deepEqual(
    [code, message],
    [5, "the lease cannot be written down: /leases: no space left on the device"],
  );
  assert.match(ready.conditions()[0]!.message, /leases of pods cannot be written down/);
  world.fileFails = false;
  assert.equal(world.links.size, 0);
  assert.deepEqual(addressesOf(await ready.handle(addOf("b"))), ["10.0.0.2"]);
  assert.deepEqual(
    ready.conditions().filter(({ name }) => name !== "pod-addresses"),
    [],
  );
  assert.deepEqual(await failure(ready.handle(addOf("c"))), [
    101,
    "no IPv4 address is left in 10.0.0.0/30",
  ]);
  assert.equal((await failure(ready.handle(STATUS)))[0], 50);
  assert.match(ready.conditions()[0]!.message, /no IPv4 address is left in 10\.0\.0\.0\/30/);
});

test("a full range is looked through for pods that are gone", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/30");
  await plugin.handle(addOf("a"));
  world.endNamespace("/run/netns/a");
  assert.deepEqual(addressesOf(await plugin.handle(addOf("b"))), ["10.0.0.2"]);
});

test("a pod that is made while the links are listed keeps its address", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/30");
  await plugin.start();
  world.immediate = false;
  const first = plugin.handle(addOf("a"));
  await settle();
  // The range is full: the links are listed, before the first pod has one.
  const second = failure(plugin.handle(addOf("b")));
  await settle();
  assert.equal(world.waiting, 3);
  await world.step(2);
  await world.step(0);
  await world.step(0);
  // What is left at the front is the list, on its way.
  while (world.waiting > 1) await world.step(1);
  assert.deepEqual(addressesOf(await first), ["10.0.0.2"]);
  await world.finish();
  assert.equal((await second)[0], 101, "there is no other address");
  assert.deepEqual([world.inUse(), leasesIn(world)], [["10.0.0.2"], ["10.0.0.2"]]);
});

test("GC removes what is in nobody's list, of its network alone", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24");
  for (const id of ["a", "b", "c"]) await plugin.handle(addOf(id));
  await plugin.handle({ ...addOf("d"), network: "other" } as PluginRequest);
  assert.equal(await plugin.handle(gcOf("b")), undefined);
  assert.deepEqual(leasesIn(world), ["10.0.0.3", "10.0.0.5"]);
  assert.deepEqual(world.inUse(), ["10.0.0.3", "10.0.0.5"]);
});

test("GC leaves alone what is being made", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24");
  await plugin.start();
  world.immediate = false;
  const adding = plugin.handle(addOf("a"));
  await world.step(0);
  const collecting = plugin.handle(gcOf());
  await world.finish();
  await Promise.all([adding, collecting]);
  assert.deepEqual(world.inUse(), ["10.0.0.2"]);
});

test("addresses that host-local gave out are passed over", async () => {
  const world = new PodWorld();
  world.foreign.add("10.0.0.2").add("10.0.0.3");
  const plugin = world.boot("10.0.0.0/24");
  assert.deepEqual(addressesOf(await plugin.handle(addOf("a"))), ["10.0.0.4"]);
});

test("a damaged file is put aside, and the links tell who has what", async () => {
  const world = new PodWorld();
  await world.boot("10.0.0.0/24").handle(addOf("a"));
  world.file = '{"format":1,"leases":[{';
  const plugin = world.boot("10.0.0.0/24");
  await plugin.start();
  const [said] = plugin.conditions();
  assert.equal(said?.name, "pod-leases-damaged");
  assert.match(said?.message ?? "", /^the file of leases .* put aside as \/leases\.damaged; /);
  assert.deepEqual(leasesIn(world), ["10.0.0.2"]);
  assert.deepEqual(addressesOf(await plugin.handle(addOf("b"))), ["10.0.0.3"]);
});

test("fifty at once: fifty addresses, and few writings", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/24");
  await plugin.start();
  world.immediate = false;
  const ids = Array.from({ length: 50 }, (_, index) => `pod${index}`);
  const adding = Promise.all(ids.map((id) => plugin.handle(addOf(id))));
  await world.finish();
  const addresses = (await adding).flatMap(addressesOf);
  assert.equal(new Set(addresses).size, 50);
  assert.deepEqual([...leasesIn(world)].sort(), [...addresses].sort());
  const deleting = Promise.all(ids.map((id) => plugin.handle(delOf(id))));
  await world.finish();
  await deleting;
  assert.deepEqual([leasesIn(world), world.links.size], [[], 0]);
});

/** One thing that happens: a call, an effect, the death of the agent, the end of a pod. */
const happening = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("add" as const), id: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("del" as const), id: fc.nat(9) }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant("step" as const), id: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const), id: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("end" as const), id: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("gc" as const), id: fc.nat(9) }) },
);

test("property: with deaths at any point no two pods have one address, and none is lost", async () => {
  // Ten containers, and five addresses: they run out.
  const cidrs = ["10.0.0.0/29"];
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 400, size: "max" }), async (happenings) => {
      const world = new PodWorld();
      world.immediate = false;
      let plugin: PodPlugin = world.boot(...cidrs);
      let namespaces = 0;
      const pods = new Map<number, string>();
      for (const { kind, id } of happenings) {
        if (kind === "add" && !pods.has(id)) {
          const netns = `/run/netns/${namespaces++}`;
          pods.set(id, netns);
          void plugin.handle(addOf(`c${id}`, netns)).catch(onlySpecErrors);
        } else if (kind === "del") {
          const netns = pods.get(id);
          void plugin.handle(delOf(`c${id}`, netns)).catch(onlySpecErrors);
        } else if (kind === "step" && world.waiting > 0) {
          await world.step(id);
        } else if (kind === "die") {
          plugin = world.boot(...cidrs);
        } else if (kind === "end") {
          const netns = pods.get(id);
          if (netns !== undefined) world.endNamespace(netns);
          pods.delete(id);
        } else if (kind === "gc") {
          const kept = [...pods.keys()].map((one) => `c${one}`);
          void plugin.handle(gcOf(...kept)).catch(onlySpecErrors);
        }
        const used = world.inUse();
        assert.equal(new Set(used).size, used.length, `two pods have one address: ${used}`);
      }
      await world.finish();
      // The agent starts once more: leases are exactly those of links, and all else is free.
      world.immediate = true;
      const last = world.boot(...cidrs);
      await last.start();
      for (const { lease, marked, configured } of world.links.values()) {
        if (configured) assert.ok(marked || leasesIn(world).includes(lease.addresses[0]!));
      }
      for (const id of pods.keys()) {
        await last.handle(delOf(`c${id}`));
        world.links.delete(hostLinkName(attachment(`c${id}`)));
      }
      for (let i = 0; i < 10; i++) await last.handle(delOf(`c${i}`));
      const results = [];
      for (let i = 0; i < 5; i++) results.push(await last.handle(addOf(`new${i}`)));
      assert.equal(new Set(results.flatMap(addressesOf)).size, 5);
    }),
    { numRuns: 300 },
  );
});

function onlySpecErrors(error: unknown): void {
  assert.ok(error instanceof CniSpecError, String(error));
}
