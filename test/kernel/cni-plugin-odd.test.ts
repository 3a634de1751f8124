/** The own plugin's agent side against the running kernel, on nodes and in namespaces of odd kinds. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { hostLocalLeases, leaseFile } from "../../src/cni/plugin/lease-disk.ts";
import { NetlinkWiring } from "../../src/cni/plugin/netlink-wiring.ts";
import { PodPlugin } from "../../src/cni/plugin/pod-plugin.ts";
import type { PluginRequest } from "../../src/cni/plugin/request.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { addOf, addressesOf, checkOf, delOf } from "../support/pod-world.ts";

const netnsOf = (pod: Namespace) => `/run/netns/${pod.name}`;

/** A node with `kube-bridge`, which has the MAC address that the agent gives it there. */
function setUp(t: TestContext, bridgeMac: string, ...cidrs: string[]) {
  const node = Namespace.make(t);
  const pods = [Namespace.make(t), Namespace.make(t)];
  if (node === undefined || !pods.every((pod) => pod !== undefined)) return undefined;
  node.ip(`link add kube-bridge address ${bridgeMac} type bridge`);
  // As the agent does: without its link-local address it forwards nothing for a second or two.
  node.run("sysctl", "-qw", "net.ipv6.conf.kube-bridge.accept_dad=0");
  node.ip("link set kube-bridge up");
  const folder = mkdtempSync(join(tmpdir(), "podrouter-wiring-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const plugin = new PodPlugin({
    wiring: new NetlinkWiring({ around: (make) => node.enter(make) }),
    file: leaseFile(join(folder, "leases.json")),
    foreign: hostLocalLeases([join(folder, "host-local")]),
    foreignBridge: () => undefined,
    log: silentLog,
  });
  plugin.setRanges(cidrs.map(prefix));
  return { node, pods: pods as [Namespace, Namespace], plugin };
}

const macOf = (pod: Namespace): string => JSON.parse(pod.ip("-j link show eth0"))[0].address;

test("a node fd00::2 and the pod that has ::2 of its pod CIDR are two on the bridge", async (t) => {
  const bridgeMac = "0a:58:00:00:00:02";
  const set = setUp(t, bridgeMac, "fd00:10:1::/64");
  if (set === undefined) return;
  const { pods, plugin } = set;
  const result = await plugin.handle(addOf("a", netnsOf(pods[0])));
  assert.deepEqual(addressesOf(result), ["fd00:10:1::2"]);
  pods[0].run("ping", "-c1", "-W2", "fd00:10:1::1");
  assert.notEqual(macOf(pods[0]), bridgeMac);
});

test("pods of two IPv6 ranges are two on the bridge", async (t) => {
  const set = setUp(t, "0a:58:c0:a8:32:32", "fd00:10:1::/126", "fd00:10:2::/126");
  if (set === undefined) return;
  const { node, pods, plugin } = set;
  node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
  const third = Namespace.make(t)!;
  const given: string[] = [];
  for (const [index, pod] of [...pods, third].entries()) {
    given.push(...addressesOf(await plugin.handle(addOf(`pod${index}`, netnsOf(pod)))));
  }
  assert.deepEqual(given, ["fd00:10:1::2", "fd00:10:1::3", "fd00:10:2::2"]);
  pods[0].run("ping", "-c1", "-W2", "fd00:10:2::2");
  assert.notEqual(macOf(pods[0]), macOf(third));
});

test("a pod whose namespace has IPv6 switched off, as Docker leaves it", async (t) => {
  const set = setUp(t, "0a:58:c0:a8:32:32", "10.0.0.0/24", "fd00:10:1::/64");
  if (set === undefined) return;
  const { pods, plugin } = set;
  pods[0].run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
  pods[0].run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
  await plugin.handle(addOf("a", netnsOf(pods[0])));
  pods[0].run("ping", "-c1", "-W2", "fd00:10:1::1");
  // Containers of a pod talk to each other there.
  pods[0].run("ping", "-c1", "-W2", "::1");
});

test("DEL of a pod of which nothing is left, whose path is another process's by now", async (t) => {
  const set = setUp(t, "0a:58:c0:a8:32:32", "10.0.0.0/24");
  if (set === undefined) return;
  // Paths like /proc/PID/ns/net come again: here it is one of the node itself.
  assert.equal(await set.plugin.handle(delOf("a", "/proc/self/ns/net")), undefined);
});

test("a second interface of a pod, of another network: the first default route stays", async (t) => {
  const set = setUp(t, "0a:58:c0:a8:32:32", "10.0.0.0/24", "fd00:10:1::/64");
  if (set === undefined) return;
  const { pods, plugin } = set;
  const [pod] = pods;
  const netns = netnsOf(pod);
  const second = { network: "second", interfaceName: "net1" };
  await plugin.handle(addOf("a", netns));
  const added = addressesOf(await plugin.handle({ ...addOf("a", netns), ...second }));
  assert.deepEqual(added, ["10.0.0.3", "fd00:10:1::3"]);
  assert.match(pod.ip("route show default"), /^default via 10\.0\.0\.1 dev eth0 /);
  assert.match(pod.ip("-6 route show default"), /^default via fd00:10:1::1 dev eth0 /);
  const check = { ...checkOf("a", ...added), netns, ...second } as PluginRequest;
  assert.equal(await plugin.handle(check), undefined);
  await plugin.handle(delOf("a", netns));
  assert.match(pod.ip("-br link"), /net1@/);
  await plugin.handle({ ...delOf("a", netns), ...second } as PluginRequest);
  assert.doesNotMatch(pod.ip("-br link"), /net1|eth0/);
});
