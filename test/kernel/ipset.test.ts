/** The set controller on the running kernel, in namespaces of its own; checked with `ipset`. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { IpSets } from "ipset-js";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { type IpAddress, parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { SetController, type SetControllerOptions } from "../../src/ipset/controller.ts";
import type { SetContents } from "../../src/ipset/desired.ts";
import { NetlinkSets } from "../../src/ipset/netlink-sets.ts";
import { findOwnSets, removeSets } from "../../src/ipset/remove-all.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { requireReal } from "../support/real.ts";
import { hasProgram, until } from "../support/shell.ts";

const PODS = "kube-router-pod-subnets";
const IPS = "kube-router-node-ips";
const PODS6 = "inet6:kube-router-pod-subnets";

function contents(podSubnets: readonly string[], nodeIps: readonly string[]): SetContents {
  return {
    podSubnets: podSubnets.map(prefix),
    nodeIps: nodeIps.map((text) => parseAddress(text) as IpAddress),
  };
}

const TWO = contents(["10.233.64.0/24", "10.233.65.0/24"], ["192.168.50.50", "192.168.50.51"]);

class Node {
  readonly namespace: Namespace;
  readonly kernel: NetlinkSets;
  readonly controller: SetController;

  private constructor(namespace: Namespace, options: SetControllerOptions) {
    this.namespace = namespace;
    this.kernel = new NetlinkSets({ around: (make) => namespace.enter(make) });
    this.controller = new SetController(options, {
      kernel: this.kernel,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
    });
  }

  static async make(t: TestContext, options: SetControllerOptions = {}): Promise<Node | undefined> {
    if (!requireReal(t, await hasProgram("ipset"), "the ipset program is missing"))
      return undefined;
    const namespace = Namespace.make(t);
    if (namespace === undefined) return undefined;
    const node = new Node(namespace, { checkPeriodMs: 100, ...options });
    t.after(async () => {
      await node.controller.stop();
      node.kernel.close();
    });
    return node;
  }

  ipset(words: string): string {
    return this.namespace.run("ipset", ...words.split(" "));
  }

  /** `ipset save`, members sorted. */
  save(name: string): string[] {
    const [create, ...adds] = this.ipset(`save ${name}`).trim().split("\n");
    return [create!.replace(/ bucketsize \d+ initval \S+/, ""), ...adds.sort()];
  }

  async becomes(name: string, lines: readonly string[]): Promise<number> {
    const began = performance.now();
    const same = () => {
      assert.deepEqual(this.save(name), lines);
      return true;
    };
    await until(lines.join(", "), same, 3000, 5);
    return performance.now() - began;
  }
}

const PODS_LINES = [
  `create ${PODS} hash:net family inet hashsize 1024 maxelem 65536 timeout 0`,
  `add ${PODS} 10.233.64.0/24 timeout 0`,
  `add ${PODS} 10.233.65.0/24 timeout 0`,
];
const IPS_LINES = [
  `create ${IPS} hash:ip family inet hashsize 1024 maxelem 65536 timeout 0`,
  `add ${IPS} 192.168.50.50 timeout 0`,
  `add ${IPS} 192.168.50.51 timeout 0`,
];

test("the sets are what kube-router makes, with twins for IPv6", async (t) => {
  const node = await Node.make(t);
  if (node === undefined) return;
  await node.controller.setDesired(TWO);
  assert.deepEqual(node.save(PODS), PODS_LINES);
  assert.deepEqual(node.save(IPS), IPS_LINES);
  assert.deepEqual(node.ipset("list -n").trim().split("\n").sort(), [IPS, PODS]);
  await node.controller.setDesired(
    contents([...TWO.podSubnets, "fd00:64::/64"], [...TWO.nodeIps, "2001:db8::50"]),
  );
  assert.deepEqual(node.save(PODS6), [
    `create ${PODS6} hash:net family inet6 hashsize 1024 maxelem 65536 timeout 0`,
    `add ${PODS6} fd00:64::/64 timeout 0`,
  ]);
  assert.deepEqual(node.controller.status().conditions, []);
  assert.equal(node.controller.status().counters.added, 6);
});

test("a set that is flushed, or loses or gains a member, is repaired", async (t) => {
  const node = await Node.make(t);
  if (node === undefined) return;
  await node.controller.setDesired(TWO);
  for (const words of [
    `flush ${PODS}`,
    `destroy ${PODS}`,
    `del ${PODS} 10.233.64.0/24`,
    `add ${PODS} 10.99.0.0/24`,
  ]) {
    node.ipset(words);
    const ms = await node.becomes(PODS, PODS_LINES);
    t.diagnostic(`${words}: right again after ${ms.toFixed(0)} ms`);
  }
});

test("members of an earlier run, with a timeout or as an exception, are put right", async (t) => {
  const node = await Node.make(t);
  if (node === undefined) return;
  node.ipset(`create ${PODS} hash:net timeout 0`);
  node.ipset(`add ${PODS} 10.233.64.0/24 timeout 1000`);
  node.ipset(`add ${PODS} 10.233.65.0/24 nomatch`);
  node.ipset(`add ${PODS} 10.233.99.0/24`);
  await node.controller.setDesired(TWO);
  assert.deepEqual(node.save(PODS), PODS_LINES);
});

test("sets made with other options are made anew, whatever their members say", async (t) => {
  for (const [pods, ips] of [
    ["counters", "bitmask 255.255.255.0"],
    ["skbinfo", "netmask 24"],
    ["comment", "counters"],
  ]) {
    const node = await Node.make(t);
    if (node === undefined) return;
    node.ipset(`create ${PODS} hash:net timeout 0 ${pods}`);
    try {
      node.ipset(`create ${IPS} hash:ip timeout 0 ${ips}`);
    } catch {
      t.diagnostic(`no ${ips} here: ipset or the kernel is too old`);
      continue;
    }
    for (const member of TWO.nodeIps) node.ipset(`add ${IPS} ${member} -exist`);
    await node.controller.setDesired(TWO);
    assert.deepEqual([...node.save(PODS), ...node.save(IPS)], [...PODS_LINES, ...IPS_LINES]);
    assert.equal(node.controller.status().counters.rebuilt, 2);
  }
});

test("a rule that refers to a set survives everything, other sets are untouched", async (t) => {
  const node = await Node.make(t);
  if (node === undefined) return;
  const iptables = await hasProgram("iptables");
  if (!requireReal(t, iptables, "the iptables program is missing")) return;
  node.ipset(`create ${PODS} hash:net comment`);
  node.ipset("create administrators hash:ip");
  node.ipset("add administrators 198.51.100.1");
  const rule = ["-m", "set", "--match-set", PODS, "src", "-j", "ACCEPT"];
  node.namespace.run("iptables", "-A", "FORWARD", ...rule);
  await node.controller.setDesired(TWO);
  assert.deepEqual(node.save(PODS), PODS_LINES, "exchanged for one with our options");
  const rules = node.namespace.run("iptables", "-S", "FORWARD");
  assert.match(rules, /--match-set kube-router-pod-subnets src -j ACCEPT/);
  assert.match(node.ipset(`list ${PODS}`), /References: 1\n/);
  assert.deepEqual(node.ipset("list -n").trim().split("\n").sort(), ["administrators", IPS, PODS]);
  assert.match(node.ipset("list administrators"), /198\.51\.100\.1/);

  await node.controller.stop();
  const remove = async () => removeSets(node.kernel, (await findOwnSets(node.kernel)).own);
  const { removed, kept } = await remove();
  assert.deepEqual(removed, [IPS]);
  assert.match(kept[0]?.why ?? "", /SET_BUSY/);
  node.namespace.run("iptables", "-F", "FORWARD");
  assert.deepEqual(await remove(), { removed: [PODS], kept: [] });
  assert.equal(node.ipset("list -n").trim(), "administrators");
});

test("a set of another type is left alone and named", async (t) => {
  const node = await Node.make(t);
  if (node === undefined) return;
  node.ipset(`create ${PODS} hash:net,iface`);
  node.ipset(`create ${IPS} hash:net timeout 0`);
  await node.controller.setDesired(TWO);
  assert.deepEqual(
    node.controller.status().conditions.map(({ message }) => message),
    [
      `set ${PODS} is left as it is: it is of type hash:net,iface family inet, ` +
        "not hash:net family inet",
      `set ${IPS} is left as it is: it is of type hash:net family inet, not hash:ip family inet`,
    ],
  );
  node.ipset(`destroy ${PODS}`);
  await node.becomes(PODS, PODS_LINES);
});

test("more than 65,536 members: made anew, larger, while a rule refers to it", async (t) => {
  const node = await Node.make(t, { checkPeriodMs: 60_000 });
  if (node === undefined) return;
  await node.controller.setDesired(TWO);
  const iptables = await hasProgram("iptables");
  if (!requireReal(t, iptables, "the iptables program is missing")) return;
  const rule = ["-m", "set", "--match-set", PODS, "src", "-j", "ACCEPT"];
  node.namespace.run("iptables", "-A", "FORWARD", ...rule);
  const many = Array.from({ length: 70_000 }, (_, i) => {
    return `${10 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`;
  });
  const began = performance.now();
  await node.controller.setDesired(contents(many, TWO.nodeIps));
  t.diagnostic(`70,000 members in ${(performance.now() - began).toFixed(0)} ms`);
  assert.deepEqual(node.controller.status().conditions, []);
  const header = node.ipset(`list -t ${PODS}`);
  assert.match(header, /maxelem 131072 timeout 0/);
  assert.match(header, /References: 1\nNumber of entries: 70000\n/);
  assert.equal(node.ipset("list -n").includes("temporary"), false);
});

test("without the capability there is one condition, and nothing else happens", async (t) => {
  const node = await Node.make(t);
  if (node === undefined) return;
  // nfnetlink asks for the capability of whoever sends, whatever the socket: so a child sends.
  const script = `
    import { SetController } from "${new URL("../../src/ipset/controller.ts", import.meta.url)}";
    import { NetlinkSets } from "${new URL("../../src/ipset/netlink-sets.ts", import.meta.url)}";
    import { silentLog } from "${new URL("../../src/runtime/log.ts", import.meta.url)}";
    import { systemClock } from "${new URL("../../src/runtime/system-clock.ts", import.meta.url)}";
    const deps = {
      kernel: new NetlinkSets(), clock: systemClock, random: Math.random, log: silentLog,
    };
    const controller = new SetController({}, deps);
    await controller.setDesired({ podSubnets: ["10.233.64.0/24"], nodeIps: [] });
    console.log(JSON.stringify(controller.status().conditions.map((c) => c.message)));
    await controller.stop();
    deps.kernel.close();`;
  const drop = ["--bounding-set=-net_admin", "--inh-caps=-net_admin"];
  if (!requireReal(t, await hasProgram("setpriv"), "the setpriv program is missing")) return;
  const printed = node.namespace.run(
    ...(["setpriv", ...drop, process.execPath, "--input-type=module-typescript"] as const),
    ...["-e", script],
  );
  assert.deepEqual(JSON.parse(printed), [
    "ipsets cannot be kept up: EPERM: operation not permitted (is CAP_NET_ADMIN missing?)",
  ]);
});

test("a dry run changes nothing", async (t) => {
  const node = await Node.make(t, { dryRun: true });
  if (node === undefined) return;
  await node.controller.setDesired(TWO);
  assert.equal(node.controller.status().plannedTotal, 6);
  assert.equal(node.ipset("list -n").trim(), "");
  const sets = node.namespace.enter(() => new IpSets());
  assert.deepEqual(await sets.names(), []);
  sets.close();
});
