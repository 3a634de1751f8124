/** What the agent says while BGP has nothing to do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BgpPart } from "../../src/agent/bgp-part.ts";
import { parseAddress } from "../../src/ip/address.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryNetwork } from "../support/memory-network.ts";
import { recordingLog } from "../support/recording-log.ts";

const part = () => {
  const clock = new FakeClock();
  const transport = new MemoryNetwork(clock).host(parseAddress("192.0.2.1")!);
  const nothing = () => undefined;
  return new BgpPart(
    { clock, transport, log: recordingLog().log, random: () => 0.5 },
    { onChangesWait: undefined, onTableChange: nothing, onConverged: nothing },
  );
};

test("what only a change of the configuration can mend is a condition", () => {
  const bgp = part();
  bgp.update({ ok: false, reason: "global.routerId is needed", fault: true });
  assert.equal(bgp.notReady(), "global.routerId is needed");
  assert.deepEqual(bgp.conditions(), [
    {
      name: "configuration #1",
      severity: "error",
      message: "BGP does nothing: global.routerId is needed",
    },
  ]);
  bgp.update({ ok: false, reason: "Node node1 has no usable address yet" });
  assert.equal(bgp.notReady(), "Node node1 has no usable address yet");
  assert.deepEqual(bgp.conditions(), [], "what passes by itself is not");
});
