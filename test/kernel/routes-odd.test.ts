/** What a kernel may have and show that no program of ours would make. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RouteNetlink } from "netlink-ts";
import { prefix } from "../../src/ip/prefix.ts";
import { address, STATIC } from "../routes/fake-kernel.ts";
import { RouteNode } from "../support/route-node.ts";
import { until } from "../support/shell.ts";

const A6 = "2001:db8::51";

test("others may add IPv6 routes while all are compared: none of ours is taken out", async (t) => {
  const node = RouteNode.make(t, { syncPeriodMs: 20 });
  if (node === undefined) return;
  const count = 3000;
  for (let i = 1; i <= count; i++) {
    const to = prefix(`fd00:0:0:${i.toString(16)}::/64`);
    node.desired.routes.set(to, { prefix: to, nextHops: [address(A6)] });
  }
  await node.controller.start();
  await until("all", () => node.controller.status().installed === count, 10_000, 1);
  const others = node.namespace.enter(() => new RouteNetlink());
  t.after(() => others.close());
  const interfaceIndex = node.namespace.index("enp1s0");
  const { resyncs } = node.controller.status().counters;
  // They stand before ours in the kernel's tree, which begins anew and counts itself short.
  for (let i = 1; node.controller.status().counters.resyncs < resyncs + 30; i++) {
    const destination = `fc00:${i >> 16}:${(i & 0xffff).toString(16)}::/64`;
    const route = { destination, gateway: A6, interfaceIndex, protocol: STATIC };
    assert.deepEqual(await others.routes.apply([{ kind: "add", route }]), [undefined]);
  }
  const { created, deleted } = node.controller.status().counters;
  assert.deepEqual([created, deleted], [count, 0]);
});
