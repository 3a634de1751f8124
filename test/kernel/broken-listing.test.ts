/**
 * A listing that the running kernel breaks off in its middle, as it does for want of memory. It
 * begins no further one on that socket: whoever keeps something has to take another socket.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Errno } from "netlink-ts";
import { linuxSys } from "../../packages/netlink-ts/src/libc.ts";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { errorMessage } from "../../packages/netlink-ts/test/support/scripted-sys.ts";
import { NetlinkLinks } from "../../src/cni/netlink-links.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { SetController } from "../../src/ipset/controller.ts";
import { NetlinkSets } from "../../src/ipset/netlink-sets.ts";
import { NetlinkOverlay } from "../../src/overlay/netlink-overlay.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { RouteNode } from "../support/route-node.ts";
import { until } from "../support/shell.ts";

const MANY = 1200;
const REFUSAL_BYTES = 36;

const DUMP = 0x300;
const MULTI = 2;

/**
 * The next listing of more than one datagram ends after its first, and that socket lists no more:
 * the kernel has not finished it, and says EBUSY. Tells when that happened.
 */
function breakOff(t: TestContext): () => boolean {
  const { receive, send, sendAsync, close } = linuxSys;
  let [fd, broken, asks] = [-1, false, false];
  let refusal: Buffer | undefined;
  linuxSys.receive = (from, bytes, flags) => {
    if (from === fd && refusal !== undefined) {
      bytes.set(refusal);
      refusal = undefined;
      return REFUSAL_BYTES;
    }
    if (from === fd && !broken) {
      broken = true;
      return -Errno.ENOBUFS;
    }
    if (from === fd && !asks) return -Errno.EAGAIN;
    const length = receive(from, bytes, flags);
    const view = Buffer.from(bytes.buffer, bytes.byteOffset);
    if (fd < 0 && length > 2000 && (view.readUInt16LE(6) & MULTI) !== 0) fd = from;
    return length;
  };
  linuxSys.send = (to, bytes, length) => {
    const request = Buffer.from(bytes.buffer, bytes.byteOffset, length);
    asks = to === fd && (request.readUInt16LE(6) & DUMP) !== DUMP;
    if (to !== fd || asks) return send(to, bytes, length);
    refusal = errorMessage(request.readUInt32LE(8), Errno.EBUSY);
    return length;
  };
  linuxSys.sendAsync = (to, ...given) => {
    asks = to === fd;
    return sendAsync(to, ...given);
  };
  linuxSys.close = (closed) => {
    if (closed === fd) fd = Number.POSITIVE_INFINITY;
    return close(closed);
  };
  t.after(() => Object.assign(linuxSys, { receive, send, sendAsync, close }));
  return () => broken;
}

test("routes are kept all the same", async (t) => {
  const node = RouteNode.make(t, { syncPeriodMs: 300 });
  if (node === undefined) return;
  const lines: string[] = [];
  for (let i = 0; i < MANY; i++) lines.push(`route add 10.${i >> 8}.${i & 255}.0/24 dev enp1s0`);
  node.namespace.run("sh", "-c", `ip -batch - <<END\n${lines.join("\n")}\nEND`);
  node.want("10.233.65.0/24", "192.168.50.51");
  await node.controller.start();
  node.controller.converged();
  await node.has(["10.233.65.0/24 via 192.168.50.51 dev enp1s0"]);
  const happened = breakOff(t);
  await until("a listing breaks off", happened);
  node.namespace.ip("route del 10.233.65.0/24");
  node.want("10.233.66.0/24", "192.168.50.51");
  const routes = ["65", "66"].map((n) => `10.233.${n}.0/24 via 192.168.50.51 dev enp1s0`);
  await node.has(routes);
  await until("nothing is said to be wrong", () => node.codes().length === 0);
});

test("sets are kept all the same", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  const kernel = new NetlinkSets({ around: (make) => namespace.enter(make) });
  const controller = new SetController(
    { checkPeriodMs: 100, syncPeriodMs: 300 },
    { kernel, clock: systemClock, random: Math.random, log: silentLog },
  );
  t.after(async () => {
    await controller.stop();
    kernel.close();
  });
  const podSubnets = Array.from({ length: MANY }, (_, i) => prefix(`10.${i >> 8}.${i & 255}.0/24`));
  await controller.setDesired({ podSubnets, nodeIps: [] });
  const happened = breakOff(t);
  await until("a listing breaks off", happened);
  await until("it is made good", () => controller.status().conditions.length === 0);
  const pods = "kube-router-pod-subnets";
  namespace.run("ipset", "del", pods, "10.0.0.0/24");
  await until("the member is back", async () => (await kernel.list(pods))?.members.size === MANY);
  await until("nothing is said to be wrong", () => controller.status().conditions.length === 0);
});

for (const [name, make] of [
  ["pod links", (around: <T>(make: () => T) => T) => new NetlinkLinks({ around })],
  ["tunnels", (around: <T>(make: () => T) => T) => new NetlinkOverlay({ around })],
] as const) {
  test(`${name}: closed, and read again`, async (t) => {
    const namespace = Namespace.make(t);
    if (namespace === undefined) return;
    for (let i = 0; i < 60; i++) namespace.ip(`link add br${i} type bridge`);
    const kernel = make((open) => namespace.enter(open));
    t.after(() => kernel.close());
    const { links } = await kernel.read();
    breakOff(t);
    await assert.rejects(kernel.read(), { code: "ENOBUFS" });
    kernel.close();
    assert.equal((await kernel.read()).links.length, links.length);
  });
}
