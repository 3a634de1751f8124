/** However many peers stop reading, what they miss is noted for them in bounded goes. */
import "../support/steps.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedStream } from "../../src/bgp/rib/shared-stream.ts";
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

test("to leave the shared stream costs so much for each block, be there few or many", async () => {
  const stepsOfABlock = async (blocks: number) => {
    const released: number[] = [];
    const stream = new SharedStream(([row]) => released.push(row!));
    for (let i = 0; i < blocks; i++) {
      const rows = Uint32Array.of(i);
      const segments = [{ bytes: new Uint8Array(60), audience: 0 }];
      stream.append({ segments, rows, withdrawn: rows, readers: i === 0 ? 2 : 1 });
    }
    stream.pass(0);
    const steps = await stepsOf(() => {
      for (let i = 0; i < blocks; i++) {
        stream.pass(i);
        assert.equal(stream.begin, i + 1);
        assert.equal(stream.end, blocks);
        assert.equal(stream.bytes, 60 * (blocks - i - 1));
        if (i + 1 < blocks) assert.equal(stream.at(i + 1).rows[0], i + 1);
      }
    });
    assert.deepEqual(released, [...Array(blocks).keys()]);
    return total(steps) / blocks;
  };
  const few = await stepsOfABlock(100);
  const many = await stepsOfABlock(3000);
  assert.ok(many < 1.5 * few, `${many} steps of each of 3000, ${few} of each of 100`);
});
