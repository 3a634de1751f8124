/** Any order of changes, damage and refusals: in the end the sets are right. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type IpAddress, parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import type { SetContents } from "../../src/ipset/desired.ts";
import { SetsError } from "../../src/ipset/ports.ts";
import type { SetContentsChange } from "../../src/ipset/wanted.ts";
import { IPS, IPS6, PODS, PODS6, setUp, THREE, TWO } from "./lab.ts";

const subnets = fc.subarray([...THREE.podSubnets, prefix("fd00:64::/64"), prefix("0.0.0.0/0")]);
const ips = fc.subarray([...THREE.nodeIps, parseAddress("2001:db8::50") as IpAddress]);
const names = fc.constantFrom(PODS, IPS, PODS6, IPS6, "administrators");
const step = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant("want" as const), subnets, ips) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("tell" as const), subnets, ips, fc.boolean()) },
  fc.tuple(fc.constant("flush" as const), names),
  fc.tuple(fc.constant("delete" as const), names),
  fc.tuple(fc.constant("options" as const), names),
  fc.tuple(fc.constant("fail" as const), fc.constantFrom("add", "create", "del", "swap", "header")),
  fc.tuple(fc.constant("outage" as const), fc.boolean()),
  { weight: 2, arbitrary: fc.tuple(fc.constant("wait" as const), fc.constantFrom(1, 500, 3000)) },
);

/** What came and went; when `wordy` also what stayed. */
function told(before: SetContents, after: SetContents, wordy: boolean): SetContentsChange {
  const changed = <T>(old: readonly T[], now: readonly T[]) =>
    new Map(
      [...old, ...now]
        .map((one) => [one, now.includes(one)] as const)
        .filter(([one, there]) => wordy || there !== old.includes(one)),
    );
  return {
    podSubnets: changed(before.podSubnets, after.podSubnets),
    nodeIps: changed(before.nodeIps, after.nodeIps),
  };
}

test("whatever happens, the sets are right once things are quiet, and others are untouched", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { clock, kernel, controller, codes } = setUp();
      const others = kernel.put("somebody-else", { members: ["10.0.0.0/8"], references: 1 });
      let wanted = TWO;
      void controller.setDesired(wanted);
      for (const one of steps) {
        const set = kernel.sets.get(String(one[1]));
        if (one[0] === "want") {
          wanted = { podSubnets: one[1], nodeIps: one[2] };
          void controller.setDesired(wanted);
        } else if (one[0] === "tell") {
          const before = wanted;
          wanted = { podSubnets: one[1], nodeIps: one[2] };
          void controller.setDesired(wanted, told(before, wanted, one[3]));
        } else if (one[0] === "flush") set?.members.clear();
        else if (one[0] === "delete") kernel.sets.delete(one[1]);
        else if (one[0] === "options" && set !== undefined) set.plain = false;
        else if (one[0] === "fail") {
          const [, what] = one;
          kernel.refuse = (call) =>
            call.startsWith(what) ? new SetsError("failed", "EIO") : undefined;
        } else if (one[0] === "outage") kernel.unavailable = one[1] ? "EPERM" : undefined;
        else if (one[0] === "wait") await clock.advanceAsync(one[1]);
      }
      kernel.refuse = () => undefined;
      kernel.unavailable = undefined;
      await clock.advanceAsync(130_000);
      for (const [podSet, ipSet, six] of [
        [PODS, IPS, false],
        [PODS6, IPS6, true],
      ] as const) {
        const of = (list: readonly string[]) =>
          list.filter((entry) => entry.includes(":") === six && entry !== "0.0.0.0/0").sort();
        const pods = of(wanted.podSubnets);
        const addresses = of(wanted.nodeIps);
        if (six && !kernel.sets.has(podSet)) assert.deepEqual([...pods, ...addresses], []);
        else {
          assert.deepEqual(kernel.members(podSet), pods);
          assert.deepEqual(kernel.members(ipSet), addresses);
          assert.ok(kernel.sets.get(podSet)!.plain && kernel.sets.get(ipSet)!.plain);
        }
      }
      assert.equal(kernel.sets.get("somebody-else"), others);
      assert.equal(kernel.sets.has("podrouter-temporary"), false);
      const refused = wanted.podSubnets.some((entry) => entry === "0.0.0.0/0");
      assert.deepEqual(codes(), refused ? ["ipset-member-refused"] : []);
      await controller.stop();
    }),
    { numRuns: 200 },
  );
});
