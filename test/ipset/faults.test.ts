/** The ipsets' controller when calls of the kernel fail, one or two of them, at any place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SetController } from "../../src/ipset/controller.ts";
import { SetsError, type SetsErrorKind } from "../../src/ipset/ports.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type Fault, FaultyPort, withEachFault, withPairsOfFaults } from "../support/faults.ts";
import { FakeSets } from "./fake-sets.ts";
import { contents, IPS, IPS6, PODS, PODS6, THREE, TWO } from "./lab.ts";

const CALLS = ["header", "list", "create", "add", "remove", "swap", "destroy"] as const;
const KINDS: readonly SetsErrorKind[] = ["unavailable", "failed", "busy", "mismatch"];

/** A start beside sets of an earlier run, changes, a family that comes, and damage by others. */
async function scenario(faults: readonly Fault[]): Promise<number> {
  const clock = new FakeClock();
  const kernel = new FakeSets();
  const others = kernel.put("somebody-else", { members: ["10.0.0.0/8"], references: 1 });
  kernel.put(PODS, { plain: false, references: 2, members: ["10.9.0.0/24"] });
  kernel.put(IPS, { members: ["192.168.50.50", "192.168.50.99"] });
  const faulty = new FaultyPort(faults, clock, (code, call) => {
    return new SetsError(code as SetsErrorKind, `${call}: ${code}`);
  });
  const controller = new SetController(
    {},
    { kernel: faulty.around(kernel, CALLS), clock, random: () => 0, log: silentLog },
  );
  void controller.setDesired(THREE);
  await clock.advanceAsync(3000);
  void controller.setDesired(TWO);
  await clock.advanceAsync(1);
  const both = contents([...THREE.podSubnets, "fd00:64::/64"], [...TWO.nodeIps, "2001:db8::50"]);
  void controller.setDesired(both);
  await clock.advanceAsync(3000);
  kernel.sets.delete(PODS);
  kernel.sets.get(IPS)?.members.delete("192.168.50.50");
  await clock.advanceAsync(70_000);
  assert.deepEqual(kernel.members(PODS), [...THREE.podSubnets]);
  assert.deepEqual(kernel.members(IPS), [...TWO.nodeIps]);
  assert.deepEqual(kernel.members(PODS6), ["fd00:64::/64"]);
  assert.deepEqual(kernel.members(IPS6), ["2001:db8::50"]);
  assert.ok([...kernel.sets.values()].every(({ plain }) => plain));
  assert.equal(kernel.sets.get("somebody-else"), others);
  assert.deepEqual([...kernel.sets.keys()].sort(), [IPS6, PODS6, IPS, PODS, "somebody-else"]);
  assert.deepEqual(controller.status().conditions, []);
  const { length } = faulty.calls;
  assert.ok(length < 350, `${length} calls`);
  await controller.stop();
  // What comes after is the same each time.
  return faults.length > 0 ? length : Math.min(length, 60);
}

test("one call that fails, whichever and however: the sets are right again", async () => {
  await withEachFault(scenario, KINDS);
});

test("two of them", async () => {
  await withPairsOfFaults(scenario, KINDS);
});
