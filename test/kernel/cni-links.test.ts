/** kube-bridge on the running kernel, in namespaces of their own; checked with `ip`. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { LINKS_GAP_MS } from "../../src/cni/limits.ts";
import { NetlinkLinks } from "../../src/cni/netlink-links.ts";
import { PodLinks } from "../../src/cni/pod-links.ts";
import type { Sysctls } from "../../src/cni/sysctls.ts";
import { parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { sysctlPaths, writeSysctlNow } from "../../src/runtime/sysctl.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { until } from "../support/shell.ts";
import { Yardstick } from "../support/yardstick.ts";

const WANTED = {
  kind: "bridge" as const,
  nodeIps: [parseAddress("192.168.50.50")!],
  podCidrs: [prefix("10.233.64.0/24")],
  autoMtu: true,
  overheadBytes: 0,
  gateways: [],
  taken: [],
};

interface LinkJson {
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly address: string;
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_slave_data?: { readonly hairpin: boolean };
  };
}

/** The files of /proc/sys are those of the process's own namespace: not for most tests. */
const NO_SYSCTLS: Sysctls = { read: async () => "1", write: async () => undefined };

function setUp(t: TestContext, sysctlsOf = (_: Namespace) => NO_SYSCTLS) {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return undefined;
  namespace.veth("enp1s0", "192.168.50.50/24");
  const links = new PodLinks(
    {},
    {
      kernel: new NetlinkLinks({ around: (make) => namespace.enter(make) }),
      sysctls: sysctlsOf(namespace),
      clock: systemClock,
      random: () => 0,
      log: silentLog,
    },
  );
  t.after(() => links.stop());
  links.want(WANTED);
  const bridge = (): LinkJson | undefined =>
    (JSON.parse(namespace.ip("-j -d link show")) as LinkJson[]).find(
      (link) => link.ifname === "kube-bridge",
    );
  const names = () => links.conditions().map(({ name }) => name);
  return { namespace, links, bridge, names };
}

/** A pod by hand: a veth pair whose one end is a port of the bridge. */
function addPort(namespace: Namespace, name: string): void {
  namespace.ip(`link add ${name} type veth peer name ${name}p`);
  namespace.ip(`link set ${name} master kube-bridge up`);
}

test("the bridge is made, up, with the node's MTU, and follows it", async (t) => {
  const node = setUp(t);
  if (node === undefined) return;
  const { namespace, links, bridge } = node;
  namespace.ip("link set enp1s0 mtu 1450");
  links.start();
  await until("the bridge is there", () => links.state().ready);
  const made = bridge();
  assert.equal(made?.linkinfo?.info_kind, "bridge");
  assert.equal(made.mtu, 1450);
  assert.equal(made.address, "0a:58:c0:a8:32:32");
  assert.ok(made.flags.includes("UP"));
  namespace.ip("link set enp1s0 mtu 1400");
  await until("the MTU follows", () => bridge()?.mtu === 1400);
  links.want({ ...WANTED, overheadBytes: 50 });
  await until("less the tunnels' share", () => bridge()?.mtu === 1350);
  namespace.ip("link set kube-bridge down");
  await until("up again", () => bridge()?.flags.includes("UP"));
});

test("a deleted bridge is back with address and ports, within a fraction of a second", async (t) => {
  const node = setUp(t);
  if (node === undefined) return;
  const { namespace, links, bridge } = node;
  links.start();
  await until("the bridge is there", () => links.state().ready);
  namespace.ip("addr add 10.233.64.1/24 dev kube-bridge");
  addPort(namespace, "vetha");
  addPort(namespace, "vethb");
  namespace.ip("link set vetha type bridge_slave hairpin on");
  // What was added must have been seen before it is lost.
  await delay(LINKS_GAP_MS * 4);
  const hairpin = (name: string) =>
    (JSON.parse(namespace.ip(`-j -d link show ${name}`)) as LinkJson[])[0]?.linkinfo
      ?.info_slave_data?.hairpin;
  const before = bridge();
  const begun = performance.now();
  namespace.ip("link del kube-bridge");
  const runs = new Yardstick();
  const isWhole = () => {
    const all = JSON.parse(runs.timeSync(() => namespace.ip("-j link show"))) as LinkJson[];
    const ports = all.filter((link) => link.master === "kube-bridge");
    return (
      ports.length === 2 &&
      hairpin("vetha") &&
      namespace.ip("addr show kube-bridge").includes("10.233.64.1/24")
    );
  };
  await until("the bridge is whole", isWhole, 30_000);
  const took = performance.now() - begun;
  t.diagnostic(runs.told(took));
  assert.ok(took < runs.exchangesMs(1000), runs.told(took));
  assert.equal(hairpin("vethb"), false);
  assert.equal(bridge()?.address, before?.address, "pods need no new ARP entry");
});

test("kube-bridge takes no router advertisements, also when it is made anew", async (t) => {
  const node = setUp(t, (namespace) => ({
    read: async (name) =>
      namespace.enter(() => {
        const { own } = sysctlPaths(name);
        return existsSync(own) ? readFileSync(own, "utf8").trim() : undefined;
      }),
    write: async (name, value) => namespace.enter(() => void writeSysctlNow(name, value)),
  }));
  if (node === undefined) return;
  const { namespace, links, bridge } = node;
  const accepts = () =>
    namespace.run("cat", "/proc/sys/net/ipv6/conf/kube-bridge/accept_ra").trim();
  links.start();
  await until("the bridge is there", () => links.state().ready);
  assert.equal(accepts(), "0");
  namespace.ip("link del kube-bridge");
  await until("the bridge is back", () => bridge()?.flags.includes("UP"));
  await until("and takes none", () => accepts() === "0");
});

test("what is looked at when the namespace has lost its name is no error of the test", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  const kernel = new NetlinkLinks({ around: (task) => namespace.enter(task) });
  await kernel.read();
  t.after(async () => {
    await kernel.read();
    kernel.close();
  });
});

test("interfaces with a router's default route are asked for until IPv6 is forwarded", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("enp1s0", "fd00:50::50/64");
  namespace.ip("-6 route add default via fd00:50::1 dev enp1s0 proto ra metric 1024");
  const kernel = new NetlinkLinks({ around: (task) => namespace.enter(task) });
  t.after(() => kernel.close());
  const forward = (value: string) =>
    namespace.enter(() => writeSysctlNow("net.ipv6.conf.all.forwarding", value));
  forward("0");
  assert.deepEqual((await kernel.read()).routed, new Set([namespace.index("enp1s0")]));
  forward("1");
  // The kernel goes through all routes for it, and a pass is made with each pod that comes.
  assert.equal((await kernel.read()).routed, undefined);
});

test("a bridge that was down, or emptied, has the gateways of running pods again", async (t) => {
  const node = setUp(t);
  if (node === undefined) return;
  const { namespace, links, bridge } = node;
  links.want({ ...WANTED, podCidrs: [...WANTED.podCidrs, prefix("fd00:10:233:40::/64")] });
  links.start();
  await until("the bridge is there", () => links.state().ready);
  namespace.ip("addr add 10.233.64.1/24 dev kube-bridge");
  namespace.ip("addr add fd00:10:233:40::1/64 dev kube-bridge nodad");
  addPort(namespace, "vetha");
  await delay(LINKS_GAP_MS * 4);
  const isWhole = () => {
    const text = namespace.ip("addr show kube-bridge");
    return text.includes(" 10.233.64.1/24 ") && text.includes(" fd00:10:233:40::1/64 ");
  };
  // The kernel takes the IPv6 addresses of a link that goes down.
  namespace.ip("link set kube-bridge down");
  await until("up again, and whole", () => bridge()?.flags.includes("UP") && isWhole());
  namespace.ip("addr flush dev kube-bridge scope global");
  await until("whole again", isWhole);
  assert.doesNotMatch(namespace.ip("addr show kube-bridge"), /fd00:.* tentative/, "used at once");
});

test("pods that ran while nobody looked have their IPv6 gateway again", async (t) => {
  const node = setUp(t);
  if (node === undefined) return;
  const { namespace, links } = node;
  namespace.ip("link add kube-bridge type bridge");
  namespace.ip("link set kube-bridge up");
  namespace.ip("addr add 10.233.64.1/24 dev kube-bridge");
  namespace.ip("addr add fd00:10:233:40::1/64 dev kube-bridge nodad");
  addPort(namespace, "vetha");
  namespace.ip("link set kube-bridge down");
  namespace.ip("link set kube-bridge up");
  assert.doesNotMatch(namespace.ip("addr show kube-bridge"), /fd00:/, "the kernel took it");
  links.want({
    ...WANTED,
    podCidrs: [...WANTED.podCidrs, prefix("fd00:10:233:40::/64")],
    gateways: [{ address: parseAddress("fd00:10:233:40::1")!, length: 64 }],
  });
  links.start();
  await until("it is there", () =>
    namespace.ip("addr show kube-bridge").includes(" fd00:10:233:40::1/64 "),
  );
  assert.match(namespace.ip("addr show kube-bridge"), / 10\.233\.64\.1\/24 /);
});

test("a foreign device of that name is left alone, and reported until it is gone", async (t) => {
  const node = setUp(t);
  if (node === undefined) return;
  const { namespace, links, bridge, names } = node;
  namespace.ip("link add kube-bridge type veth peer name other");
  links.start();
  await until("it is reported", () => names().includes("pod-bridge-not-a-bridge"));
  assert.equal(bridge()?.linkinfo?.info_kind, "veth");
  assert.equal(bridge()?.flags.includes("UP"), false);
  namespace.ip("link del kube-bridge");
  await until("ours is there", () => links.state().ready && names().length === 0);
});

test("somebody's bridge is left alone", async (t) => {
  const node = setUp(t);
  if (node === undefined) return;
  const { namespace, links, bridge, names } = node;
  namespace.ip("link add kube-bridge type bridge");
  namespace.ip("link add other type vxlan id 7 dstport 4789 remote 192.168.50.51 dev enp1s0");
  namespace.ip("link set other master kube-bridge");
  namespace.ip("link set kube-bridge mtu 1300");
  links.start();
  await until("it is reported", () => names().includes("pod-bridge-foreign"));
  assert.equal(bridge()?.mtu, 1300);
  assert.equal(bridge()?.flags.includes("UP"), false);
});
