/**
 * What a full table in the kernel costs an agent that looks at it: at its start, and once a minute.
 * In a container the memory limit counts, and whoever is killed there for a table that outlives him
 * is killed for it again.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { run } from "../support/shell.ts";

const COUNT = 200_000;
/** Room for the program and the columns of so many routes; as objects they take four times that. */
const HEAP_MB = 24;
const ROOT = join(import.meta.dirname, "..", "..");
const from = (path: string) => JSON.stringify(join(ROOT, path));

/** Runs inside the namespace: adopts what is there, and says how much it was. */
const AGENT = `
import { RouteController } from ${from("src/routes/controller.ts")};
import { NetlinkKernel } from ${from("src/routes/netlink-kernel.ts")};
import { silentLog } from ${from("src/runtime/log.ts")};
import { systemClock } from ${from("src/runtime/system-clock.ts")};
import { FakeDesired } from ${from("test/routes/harness.ts")};
const controller = new RouteController(
  { guards: { protectedAddresses: [], ownPodCidrs: [] } },
  {
    kernel: new NetlinkKernel(),
    desired: new FakeDesired(),
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  },
);
const { adopted } = await controller.start();
process.stdout.write(String(adopted), () => process.exit());
`;

test("the routes of a full table are never all in memory as objects", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("enp1s0", "192.168.50.50/24");
  const to = (i: number) => `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`;
  namespace.ipBatch(
    Array.from({ length: COUNT }, (_, i) => `route add ${to(i)} via 192.168.50.51 proto 17`),
  );
  const inside = ["netns", "exec", namespace.name, process.execPath];
  const heap = [`--max-old-space-size=${HEAP_MB}`, "--max-semi-space-size=1"];
  const { stdout, stderr } = await run("ip", [
    ...[...inside, ...heap, "--input-type=module", "-e", AGENT],
  ]);
  assert.equal(stdout, String(COUNT), stderr);
});
