/**
 * The agent's half of the plugin when the kernel or the disk fails in the middle of a call, as a
 * container runtime sees it: what failed is asked for again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PluginRequest } from "../../../src/cni/plugin/request.ts";
import { CniSpecError } from "../../../src/cni/plugin/spec.ts";
import { WiringError } from "../../../src/cni/plugin/wiring.ts";
import { FileError } from "../../../src/runtime/files.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type Fault, FaultyPort, withEachFault, withPairsOfFaults } from "../../support/faults.ts";
import { addOf, delOf, gcOf, PodWorld } from "../../support/pod-world.ts";

const CODES = ["kernel", "ENOSPC", "EMFILE"];
const KINDS = ["refused", "lost"] as const;

/** Pods that come and go, the agent's death between, and an old pod's remains. */
async function scenario(faults: readonly Fault[]): Promise<number> {
  const world = new PodWorld();
  const faulty = new FaultyPort(faults, new FakeClock(), (code, call) =>
    FILE_CALLS.has(call) || code !== "kernel"
      ? new FileError("/leases", code === "kernel" ? "EIO" : code)
      : new WiringError("kernel", `${call}: EBUSY`),
  );
  world.through = (name, run) => faulty.call(name, run);
  let plugin = world.boot("10.0.0.0/29");
  const done = async (request: PluginRequest) => {
    for (let tries = 0; tries < 6; tries++) {
      try {
        return await plugin.handle(request);
      } catch (error) {
        assert.ok(error instanceof CniSpecError, String(error));
        // A runtime clears away what an ADD has failed to make.
        if (request.command === "ADD") await done({ ...delOf(request.containerId) });
      }
    }
    return assert.fail(`${request.command} never succeeds`);
  };
  await plugin.start().catch(() => undefined);
  for (const id of ["a", "b", "c"]) await done(addOf(id));
  await done(delOf("b"));
  plugin = world.boot("10.0.0.0/29");
  await plugin.start().catch(() => undefined);
  for (const id of ["d", "e", "f"]) await done(addOf(id));
  world.endNamespace("/run/netns/d");
  await done(gcOf("a", "c", "e", "f"));
  for (const id of ["a", "e"]) await done(delOf(id));
  // Nobody calls any more: what is left to be done is done without.
  for (let round = 0; round < 3; round++) await plugin.tend();
  const inUse = [...world.inUse()].sort();
  assert.equal(inUse.length, 2);
  assert.equal(new Set(inUse).size, 2);
  assert.deepEqual(leasesIn(world), inUse);
  assert.deepEqual(plugin.conditions(), []);
  assert.ok(faulty.calls.length < 150, `${faulty.calls.length} calls`);
  return faulty.calls.length;
}

const FILE_CALLS = new Set(["file.read", "file.write", "file.putAside"]);

function leasesIn({ file }: PodWorld): readonly string[] {
  const { leases } = JSON.parse(file!) as { leases: { addresses: string[] }[] };
  return leases.flatMap(({ addresses }) => addresses).sort();
}

test("one call that fails, whichever and however", async () => {
  await withEachFault(scenario, CODES, KINDS);
});

test("two of them", async () => {
  await withPairsOfFaults(scenario, CODES, KINDS);
});

test("nothing is known at the start, and nobody calls: it is found out all the same", async () => {
  const world = new PodWorld();
  let fails = true;
  world.through = (name, run) => {
    if (name === "wiring.hostEnds" && fails) throw new WiringError("kernel", "ENOBUFS");
    return run();
  };
  const plugin = world.boot("10.0.0.0/29");
  await assert.rejects(plugin.start());
  assert.deepEqual(
    plugin.conditions().map(({ name }) => name),
    ["pod-leases"],
  );
  await plugin.tend();
  assert.deepEqual(
    plugin.conditions().map(({ name }) => name),
    ["pod-leases"],
  );
  fails = false;
  await plugin.tend();
  assert.deepEqual(plugin.conditions(), []);
});

test("a disk that was full has room again, and nobody calls: what is due is written", async () => {
  const world = new PodWorld();
  const plugin = world.boot("10.0.0.0/29");
  await plugin.handle(addOf("a"));
  world.fileFails = true;
  await plugin.handle(delOf("a"));
  await plugin.tend();
  assert.deepEqual(
    plugin.conditions().map(({ name }) => name),
    ["pod-leases-not-kept"],
  );
  world.fileFails = false;
  await plugin.tend();
  assert.deepEqual([plugin.conditions(), leasesIn(world)], [[], []]);
});

test("a damaged file stays said when the first start fails over something else", async () => {
  const world = new PodWorld();
  world.file = "{";
  let fails = true;
  world.through = (name, run) => {
    if (name === "wiring.hostEnds" && fails) throw new WiringError("kernel", "ENOBUFS");
    return run();
  };
  const plugin = world.boot("10.0.0.0/29");
  await assert.rejects(plugin.start());
  fails = false;
  await plugin.start();
  assert.deepEqual(
    plugin.conditions().map(({ name }) => name),
    ["pod-leases-damaged"],
  );
});
