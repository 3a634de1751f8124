/** The keeper of links and settings on a machine in memory, with a fake clock. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { LINKS_GAP_MS, LINKS_PERIOD_MS } from "../../src/cni/limits.ts";
import { LinkKernelError, PodLinks } from "../../src/cni/pod-links.ts";
import { parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";
import { MemoryKernel, MemorySysctls, NODE_IP, NODE_IP6 } from "./memory-links.ts";

const WANTED = {
  kind: "bridge" as const,
  nodeIps: [NODE_IP],
  podCidrs: [prefix("10.233.64.0/24")],
  autoMtu: true,
  overheadBytes: 0,
  gateways: [],
  taken: [],
};

function setUp(t: TestContext, dryRun = false) {
  const kernel = new MemoryKernel();
  const sysctls = new MemorySysctls();
  const clock = new FakeClock();
  const { log, lines } = recordingLog();
  const links = new PodLinks({ dryRun }, { kernel, sysctls, clock, random: () => 0, log });
  t.after(() => links.stop());
  return { kernel, sysctls, clock, links, lines };
}

test("bridge and settings are made, and then left", async (t) => {
  const { kernel, sysctls, clock, links } = setUp(t);
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(0);
  assert.deepEqual(kernel.done, ["create-bridge"]);
  assert.deepEqual(links.state(), {
    nodeLink: "enp1s0",
    mtu: 1500,
    ready: true,
    foreign: undefined,
    former: [],
  });
  assert.deepEqual(sysctls.written, ["net.ipv4.ip_forward=1"]);
  await clock.advanceAsync(LINKS_PERIOD_MS * 2);
  assert.deepEqual([kernel.done.length, links.conditions()], [1, []]);
});

test("a bridge that goes comes back within a moment", async (t) => {
  const { kernel, clock, links } = setUp(t);
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(0);
  kernel.links.pop();
  for (let i = 0; i < 100; i++) kernel.onEvent();
  const reads = kernel.reads;
  await clock.advanceAsync(LINKS_GAP_MS);
  assert.deepEqual(kernel.done, ["create-bridge", "create-bridge"]);
  assert.ok(kernel.reads - reads <= 3, "many events, few looks");
});

test("IPv6 forwarding: router advertisements are still accepted", async (t) => {
  const { sysctls, clock, links } = setUp(t);
  links.want({ ...WANTED, nodeIps: [NODE_IP, NODE_IP6] });
  links.start();
  await clock.advanceAsync(0);
  assert.deepEqual(sysctls.written, [
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.enp1s0.accept_ra=2",
    "net.ipv6.conf.all.forwarding=1",
    "net.bridge.bridge-nf-call-ip6tables=1",
    "net.ipv6.conf.kube-bridge.accept_dad=0",
  ]);
});

test("the interface of the IPv6 address is looked after as well, where it is another one", async (t) => {
  const { kernel, sysctls, clock, links } = setUp(t);
  const uplink = { ...kernel.links[0]!, index: 3, name: "enp2s0" };
  kernel.links.push(uplink);
  kernel.read = async () => ({
    links: [...kernel.links],
    addresses: [
      { linkIndex: 2, address: NODE_IP, length: 24 },
      { linkIndex: 3, address: NODE_IP6, length: 64 },
    ],
  });
  sysctls.values.set("net.ipv6.conf.enp1s0.accept_ra", "0");
  sysctls.values.set("net.ipv6.conf.enp2s0.accept_ra", "1");
  links.want({ ...WANTED, nodeIps: [NODE_IP, NODE_IP6] });
  links.start();
  await clock.advanceAsync(0);
  assert.deepEqual(sysctls.written.slice(1, 3), [
    "net.ipv6.conf.enp2s0.accept_ra=2",
    "net.ipv6.conf.all.forwarding=1",
  ]);
});

test("an interface of a router's default route is, where the node has no address there", async (t) => {
  const { kernel, sysctls, clock, links } = setUp(t);
  kernel.links.push({ ...kernel.links[0]!, index: 3, name: "enp2s0.7" });
  const read = kernel.read.bind(kernel);
  kernel.read = async () => ({ ...(await read()), routed: new Set([3]) });
  sysctls.values.set("net.ipv6.conf.enp2s0/7.accept_ra", "1");
  links.want({ ...WANTED, nodeIps: [NODE_IP, NODE_IP6] });
  links.start();
  await clock.advanceAsync(0);
  assert.deepEqual(sysctls.written.slice(1, 4), [
    "net.ipv6.conf.enp1s0.accept_ra=2",
    "net.ipv6.conf.enp2s0/7.accept_ra=2",
    "net.ipv6.conf.all.forwarding=1",
  ]);
});

test("IPv6 is not forwarded while router advertisements would be lost by it", async (t) => {
  const accept = "net.ipv6.conf.enp1s0.accept_ra";
  const forwarding = "net.ipv6.conf.all.forwarding";
  for (const blocked of [/accept_ra$/, /accept_ra=2$/, /all\.forwarding$/]) {
    const { sysctls, clock, links } = setUp(t);
    sysctls.blocked = blocked;
    links.want({ ...WANTED, nodeIps: [NODE_IP6] });
    links.start();
    await clock.advanceAsync(0);
    assert.ok(!sysctls.written.includes(`${forwarding}=1`), `${blocked}`);
    const [condition] = links.conditions();
    assert.match(condition?.message ?? "", /\(too many open files\)/);
    if (blocked.test(forwarding)) continue;
    assert.ok(condition?.message.includes(`${forwarding}=1 (not before ${accept} is made)`));
    sysctls.blocked = undefined;
    await clock.advanceAsync(LINKS_PERIOD_MS);
    const made = sysctls.written.filter((line) => line.startsWith("net.ipv6.conf"));
    assert.deepEqual(made.slice(-2).sort(), [`${forwarding}=1`, `${accept}=2`].sort());
    assert.deepEqual(links.conditions(), []);
  }
});

test("where IPv6 is forwarded already, router advertisements are as somebody wants them", async (t) => {
  const { sysctls, clock, links } = setUp(t);
  sysctls.values.set("net.ipv6.conf.all.forwarding", "1");
  sysctls.refusal = "/proc/sys is read-only here";
  sysctls.values.set("net.bridge.bridge-nf-call-ip6tables", "1");
  links.want({ ...WANTED, nodeIps: [NODE_IP6] });
  links.start();
  await clock.advanceAsync(0);
  // Also: what is merely nice to have is not worth a condition.
  assert.deepEqual(
    links.conditions().map(({ message }) => message.replace(/^.*: /, "")),
    ["net.ipv4.ip_forward=1 (/proc/sys is read-only here)"],
  );
});

test("the bridge has IPv6 where its pods have, whatever new interfaces get", async (t) => {
  for (const [nodeIps, value] of [
    [[NODE_IP], "1"],
    [[NODE_IP, NODE_IP6], "0"],
  ] as const) {
    const { sysctls, clock, links } = setUp(t);
    sysctls.values.set("net.ipv6.conf.kube-bridge.disable_ipv6", "1");
    links.want({ ...WANTED, nodeIps });
    links.start();
    await clock.advanceAsync(0);
    assert.equal(sysctls.values.get("net.ipv6.conf.kube-bridge.disable_ipv6"), value);
  }
});

test("a bridge that is made anew has IPv6 before it gets its gateway back", async (t) => {
  const { kernel, sysctls, clock, links, lines } = setUp(t);
  const off = "net.ipv6.conf.kube-bridge.disable_ipv6";
  const apply = kernel.apply.bind(kernel);
  kernel.apply = async (operation) => {
    if (operation.kind === "create-bridge") sysctls.values.set(off, "1");
    if (operation.kind === "add-address" && sysctls.values.get(off) === "1") {
      throw new LinkKernelError("EACCES", "EACCES: IPv6 is off there");
    }
    await apply(operation);
  };
  const [podCidr, address] = [prefix("fd00:10:40::/64"), parseAddress("fd00:10:40::1")!];
  links.want({ ...WANTED, nodeIps: [NODE_IP6], podCidrs: [podCidr] });
  links.start();
  await clock.advanceAsync(0);
  const { index } = kernel.links.find(({ name }) => name === "kube-bridge")!;
  const gateway = { address, length: 64 };
  kernel.addresses.push({ linkIndex: index, ...gateway });
  kernel.links.push({
    ...kernel.links[0]!,
    index: 5,
    name: "veth1",
    kind: "veth",
    masterIndex: index,
  });
  kernel.onEvent();
  await clock.advanceAsync(LINKS_GAP_MS);
  // Then one of a node that has nothing of IPv6 but pods of the pod CIDR that it has lost.
  for (const lost of [undefined, { ...WANTED, podCidrs: [] }]) {
    if (lost !== undefined) links.want(lost);
    await clock.advanceAsync(LINKS_GAP_MS);
    kernel.remove("kube-bridge");
    await clock.advanceAsync(LINKS_GAP_MS);
    assert.ok(
      kernel.addresses.some((one) => one.address === address),
      lines.join(),
    );
    assert.deepEqual(links.conditions(), []);
  }
});

test("no pod is the router of the node: kube-bridge takes no router advertisements", async (t) => {
  const { kernel, sysctls, clock, links } = setUp(t);
  const accept = "net.ipv6.conf.kube-bridge.accept_ra";
  sysctls.values.set(accept, "1");
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(0);
  assert.deepEqual(sysctls.written, [`${accept}=0`, "net.ipv4.ip_forward=1"], "first of all");
  sysctls.values.set(accept, "1");
  await clock.advanceAsync(LINKS_PERIOD_MS);
  assert.equal(sysctls.values.get(accept), "0", "put back");
  // Made anew it has the kernel's default again.
  kernel.remove("kube-bridge");
  sysctls.values.set(accept, "1");
  await clock.advanceAsync(LINKS_GAP_MS);
  assert.equal(sysctls.values.get(accept), "0", "made anew");
  sysctls.refusal = "/proc/sys is read-only here";
  for (const [value, forwarding, told] of [
    ["1", "0", true],
    ["2", "1", true],
    ["1", "1", false],
  ] as const) {
    sysctls.values.set(accept, value).set("net.ipv6.conf.all.forwarding", forwarding);
    await clock.advanceAsync(LINKS_PERIOD_MS);
    const messages = links.conditions().map(({ message }) => message);
    assert.equal(messages.join().includes(`${accept}=0`), told, `${value} ${forwarding}`);
  }
});

test("router advertisements of somebody else's kube-bridge are left alone", async (t) => {
  const { kernel, sysctls, clock, links } = setUp(t);
  const accept = "net.ipv6.conf.kube-bridge.accept_ra";
  sysctls.values.set(accept, "1");
  const bridge = { ...kernel.links[0]!, index: 7, name: "kube-bridge", kind: "bridge" };
  kernel.links = [bridge, { ...kernel.links[0]!, masterIndex: 7 }];
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(0);
  assert.match(links.conditions()[0]?.message ?? "", /belongs to somebody else/);
  assert.equal(sysctls.values.get(accept), "1");
});

test("settings that cannot be made are said in one sentence", async (t) => {
  const { sysctls, clock, links } = setUp(t);
  sysctls.refusal = "/proc/sys is read-only here";
  sysctls.values.delete("net.bridge.bridge-nf-call-iptables");
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(0);
  assert.deepEqual(links.conditions(), [
    {
      name: "sysctl-not-set",
      severity: "error",
      message:
        "kernel settings for pods could not be made, make them on the host: " +
        "net.ipv4.ip_forward=1 (/proc/sys is read-only here), " +
        "net.bridge.bridge-nf-call-iptables=1 (module br_netfilter is not loaded)",
    },
  ]);
  sysctls.values.set("net.ipv4.ip_forward", "1");
  await clock.advanceAsync(LINKS_PERIOD_MS);
  assert.equal(links.conditions()[0]?.severity, "warning");
});

test("a refusal by the kernel: a condition, more and more seldom tries, then done", async (t) => {
  const { kernel, sysctls, clock, links } = setUp(t);
  kernel.refusal = new LinkKernelError("EPERM", "Operation not permitted");
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(60_000);
  assert.match(links.conditions()[0]!.message, /not permitted \(is CAP_NET_ADMIN missing\?\)/);
  assert.deepEqual([links.state().ready, links.state().nodeLink], [false, "enp1s0"]);
  // What else pods need does not wait for it.
  assert.deepEqual(sysctls.written, ["net.ipv4.ip_forward=1"]);
  assert.ok(kernel.reads < 20, `${kernel.reads} tries in a minute`);
  kernel.refusal = undefined;
  await clock.advanceAsync(10_000);
  assert.deepEqual([links.state().ready, links.conditions()], [true, []]);
});

test("a broken event socket is opened again", async (t) => {
  const { kernel, clock, links } = setUp(t);
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(0);
  kernel.onFailure();
  await clock.advanceAsync(LINKS_GAP_MS);
  assert.equal(kernel.opens, 2);
});

test("somebody who undoes what is done does not make it spin", async (t) => {
  const { kernel, clock, links } = setUp(t);
  kernel.apply = async () => undefined;
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(0);
  assert.match(links.conditions()[0]!.message, /somebody else undoes/);
});

test("a dry run changes nothing", async (t) => {
  const { kernel, sysctls, clock, links } = setUp(t, true);
  links.want(WANTED);
  links.start();
  await clock.advanceAsync(LINKS_PERIOD_MS);
  assert.deepEqual([kernel.done, sysctls.written], [[], []]);
  assert.deepEqual(links.planned(), [
    "link add kube-bridge address 0a:58:c0:a8:32:32 mtu 1500 type bridge",
  ]);
});
