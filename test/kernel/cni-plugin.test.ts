/** The own plugin's agent side against the running kernel; checked with the ip program. */
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
import { CniSpecError } from "../../src/cni/plugin/spec.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { addOf, addressesOf, checkOf, delOf, gcOf, STATUS } from "../support/pod-world.ts";

const CIDRS = ["10.0.0.0/24", "fd00::/64"].map(prefix);

function setUp(t: TestContext) {
  const node = Namespace.make(t);
  if (node === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "podrouter-wiring-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const boot = (): PodPlugin => {
    const wiring = new NetlinkWiring({ around: (make) => node.enter(make) });
    const plugin = new PodPlugin({
      wiring,
      file: leaseFile(join(folder, "leases.json")),
      foreign: hostLocalLeases([join(folder, "host-local")]),
      foreignBridge: () => undefined,
      log: silentLog,
    });
    plugin.setRanges(CIDRS);
    return plugin;
  };
  return { node, boot };
}

const bridgeUp = (node: Namespace) => {
  node.ip("link add kube-bridge mtu 1450 type bridge");
  node.ip("link set kube-bridge up");
};
const netnsOf = (pod: Namespace) => `/run/netns/${pod.name}`;

async function code(call: Promise<unknown>): Promise<number> {
  const error = await call.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CniSpecError, String(error));
  return error.code;
}

test("a pod is connected, checked and disconnected", async (t) => {
  const set = setUp(t);
  const pod = Namespace.make(t);
  if (set === undefined || pod === undefined) return;
  const { node } = set;
  const plugin = set.boot();
  const add = addOf("a", netnsOf(pod));
  assert.equal(await code(plugin.handle(add)), 11, "no bridge yet");
  assert.equal(await code(plugin.handle(STATUS)), 51);
  bridgeUp(node);
  assert.equal(await plugin.handle(STATUS), undefined);

  const result = (await plugin.handle(add)) as {
    interfaces: { name: string; mac: string; mtu: number; sandbox?: string }[];
  };
  const [bridge, host, inside] = result.interfaces;
  assert.deepEqual(
    [bridge?.name, inside?.name, inside?.sandbox, inside?.mtu, host?.mtu],
    ["kube-bridge", "eth0", netnsOf(pod), 1450, 1450],
  );
  const hostLink = JSON.parse(node.ip(`-d -j link show ${host?.name}`))[0];
  assert.equal(hostLink.master, "kube-bridge");
  assert.equal(hostLink.linkinfo.info_slave_data.hairpin, true);
  assert.match(hostLink.ifalias, /^podrouter mynet a eth0 10\.0\.0\.\d+,fd00::\d+$/);
  const [ip4, ip6] = addressesOf(result);
  const link = JSON.parse(pod.ip("-j address show eth0"))[0];
  assert.equal(link.address, inside?.mac);
  assert.equal(link.address, `0a:58:0a:00:00:0${ip4?.split(".")[3]}`);
  assert.match(pod.ip("route"), /default via 10\.0\.0\.1 dev eth0/);
  assert.match(pod.ip("-6 route"), /default via fd00::1 dev eth0/);
  assert.match(
    node.ip("address show kube-bridge"),
    /inet 10\.0\.0\.1\/24 .*\n(?:.*\n)*.*inet6 fd00::1\/64/,
  );
  // Other pods of the bridge could send some.
  assert.equal(pod.run("cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra").trim(), "0");
  // At once: nobody waits for duplicates to be looked for.
  pod.run("ping", "-c1", "-W1", "10.0.0.1");
  pod.run("ping", "-c1", "-W1", "fd00::1");

  const check = { ...checkOf("a", `${ip4}/24`, `${ip6}/64`), netns: netnsOf(pod) } as PluginRequest;
  const broken: readonly [() => void, () => void][] = [
    [
      () => pod.ip(`address del ${ip4}/24 dev eth0`),
      () => pod.ip(`address add ${ip4}/24 dev eth0`),
    ],
    [
      () => pod.ip("route del default"),
      () => pod.ip("route replace default via 10.0.0.1 dev eth0"),
    ],
    [
      () => pod.ip("-6 route del default"),
      () => pod.ip("-6 route replace default via fd00::1 dev eth0"),
    ],
    [
      () => node.ip(`link set ${host?.name} nomaster`),
      () => node.ip(`link set ${host?.name} master kube-bridge`),
    ],
    [() => node.ip(`link set ${host?.name} down`), () => node.ip(`link set ${host?.name} up`)],
  ];
  for (const [breaks, mends] of broken) {
    breaks();
    assert.equal(await code(plugin.handle(check)), 100, String(breaks));
    mends();
    // With an address goes what hung on it.
    pod.ip("route replace default via 10.0.0.1 dev eth0");
    assert.equal(await plugin.handle(check), undefined, String(mends));
  }
  assert.equal(await code(plugin.handle(add)), 102, "ADD without DEL");
  assert.equal(await plugin.handle(check), undefined, "and the pod is as it was");

  await plugin.handle(delOf("a", netnsOf(pod)));
  assert.equal(pod.ip("-br link").includes("eth0"), false);
  assert.equal(node.ip("-br link show master kube-bridge"), "");
  await plugin.handle(delOf("a", netnsOf(pod)));
  assert.equal(await code(plugin.handle(check)), 100);
});

test("what was asked for by name, and what cannot be had", async (t) => {
  const set = setUp(t);
  const pod = Namespace.make(t);
  if (set === undefined || pod === undefined) return;
  const { node } = set;
  bridgeUp(node);
  const plugin = set.boot();
  const add = addOf("a", netnsOf(pod));
  const named = {
    ...add,
    addresses: ["10.0.0.77"],
    linkAddress: "02:00:00:00:00:77",
    mtu: 1400,
  } as PluginRequest;
  assert.deepEqual(addressesOf(await plugin.handle(named))[0], "10.0.0.77");
  const link = JSON.parse(pod.ip("-j link show eth0"))[0];
  assert.deepEqual([link.address, link.mtu], ["02:00:00:00:00:77", 1400]);
  assert.equal(await code(plugin.handle(addOf("b", "/run/netns/not-there"))), 3);
  assert.equal(await code(plugin.handle(addOf("b", "/dev/null"))), 3);
  assert.equal(await code(plugin.handle(addOf("b", "/proc/self/ns/net"))), 102, "the node's own");
  const strange = Namespace.make(t)!;
  strange.ip("link add eth0 type veth peer name other");
  assert.equal(await code(plugin.handle(addOf("b", netnsOf(strange)))), 102);
  assert.equal(node.ip("-br link show master kube-bridge").trim().split("\n").length, 1);
  assert.equal(strange.ip("-br link show eth0").includes("eth0"), true, "it stays");
});

test("after a death the links tell; of pods that are gone nothing stays", async (t) => {
  const set = setUp(t);
  const pods = [Namespace.make(t), Namespace.make(t), Namespace.make(t)];
  if (set === undefined || !pods.every((pod) => pod !== undefined)) return;
  const { node } = set;
  bridgeUp(node);
  let plugin = set.boot();
  const given: string[] = [];
  for (const [index, pod] of pods.entries()) {
    given.push(addressesOf(await plugin.handle(addOf(`pod${index}`, netnsOf(pod!))))[0]!);
  }
  // As the kernel does when a namespace ends.
  pods[0]!.ip("link del eth0");
  plugin = set.boot();
  await plugin.start();
  const last = addressesOf(await plugin.handle(addOf("again", netnsOf(pods[0]!))))[0]!;
  assert.equal(given.includes(last), false, "none is in use, and none comes back at once");
  await plugin.handle(gcOf("pod1"));
  assert.equal(node.ip("-br link show master kube-bridge").trim().split("\n").length, 1);
  assert.match(pods[1]!.ip("-br address show eth0"), new RegExp(given[1]!.replaceAll(".", "\\.")));
});

test("fifty at once", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { node } = set;
  bridgeUp(node);
  const plugin = set.boot();
  await plugin.start();
  const pods = Array.from({ length: 50 }, () => Namespace.make(t)!);
  const results = await Promise.all(
    pods.map((pod, index) => plugin.handle(addOf(`pod${index}`, netnsOf(pod)))),
  );
  const addresses = results.flatMap(addressesOf);
  assert.equal(new Set(addresses).size, 100);
  assert.equal(node.ip("-br link show master kube-bridge").trim().split("\n").length, 50);
  const [first, last] = [pods[0]!, addressesOf(results[49])];
  for (const address of last) first.run("ping", "-c1", "-W1", address);
  await Promise.all(pods.map((_, index) => plugin.handle(delOf(`pod${index}`))));
  assert.equal(node.ip("-br link show master kube-bridge"), "");
});
