/** However many peers stop reading, what they miss is noted for them in bounded goes. */
import "../support/steps.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { RibLab, route } from "../support/rib-lab.ts";
import { stepsOf, total } from "../support/steps.ts";

const MEMBERS = 200;
const PREFIXES = 20_000;
/** Of one call: 262,144 prefixes noted, each in a few steps, and what else it does. */
const STEPS_MAX = 4_000_000;

test("members that do not read leave the shared stream in several goes", async () => {
  const groupLimits = { chunkRowsMax: 1000, chunkBucketsMax: 100, sharedBytesMax: 70_000 };
  const lab = new RibLab({ groupLimits });
  const source = lab.peer("10.9.0.1", { routeReflectorClient: true }).up();
  const members = Array.from({ length: MEMBERS }, (_, i) => lab.peer(`10.1.0.${i + 1}`).up());
  for (const member of members) member.receive();
  const all = Array.from({ length: PREFIXES }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
  for (let at = 0; at < PREFIXES; at += 1000) source.announce(all.slice(at, at + 1000), route());
  const reader = members[0]!;
  let most = 0;
  for (let calls = 0; lab.rib.hasOutput(reader.id); calls++) {
    assert.ok(calls < 200, `${calls} calls`);
    most = Math.max(most, total(await stepsOf(() => reader.receiveSome(4096))));
  }
  assert.ok(most < STEPS_MAX, `${most} steps in one call`);
  assert.equal(reader.view.size, PREFIXES);
  source.withdraw(all.slice(0, 1000));
  for (const member of [reader, members[1]!, members.at(-1)!]) {
    member.receive();
    assert.equal(member.view.size, PREFIXES - 1000);
  }
});
