/** Packet rules as text and as plans. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  NO_RULES,
  type PresentRules,
  parseRules,
  planRules,
  type Rule,
  type RuleChanges,
  type RulesWanted,
} from "../../src/cni/rules.ts";
import type { IpFamily } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";

const wanted: RulesWanted = {
  pods: "bridge",
  nodeLink: "enp1s0",
  egress: true,
  exclude: [],
  randomFully: true,
};
const EMPTY: PresentRules = { forward: [], postrouting: [], egressChain: undefined };

const LEAVING =
  "-m set --match-set kube-router-pod-subnets src -m set ! --match-set kube-router-pod-subnets dst " +
  "-m set ! --match-set kube-router-node-ips dst";
const MASQUERADE = `${LEAVING} -j MASQUERADE --random-fully`;
const OUT = '-i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT';
const IN = '-o kube-bridge -m comment --comment "allow inbound traffic to pods" -j ACCEPT';
const NODE =
  '-o enp1s0 -m comment --comment "allow outbound node port traffic on node interface ' +
  'with which node ip is associated" -j ACCEPT';

/** A chain from lines as `iptables -S` prints them. */
const chain = (name: string, ...rules: readonly string[]): readonly Rule[] =>
  parseRules([`-P ${name} ACCEPT`, ...rules.map((rule) => `-A ${name} ${rule}`)].join("\n"), name);

const right: PresentRules = {
  forward: chain("FORWARD", OUT, IN, NODE),
  postrouting: chain("POSTROUTING", MASQUERADE),
  egressChain: undefined,
};

test("on an empty machine: kube-router's rule and the accepts, in this order", () => {
  assert.deepEqual(planRules(4, wanted, EMPTY), {
    filter: [`-I FORWARD 1 ${NODE}`, `-I FORWARD 1 ${IN}`, `-I FORWARD 1 ${OUT}`],
    nat: [`-A POSTROUTING ${MASQUERADE}`],
  });
});

test("IPv6 has its own sets", () => {
  const { nat } = planRules(6, wanted, EMPTY);
  assert.deepEqual(nat, [
    `-A POSTROUTING ${MASQUERADE.replaceAll("kube-router", "inet6:kube-router")}`,
  ]);
});

test("without --random-fully where iptables does not know it", () => {
  const plan = planRules(4, { ...wanted, randomFully: false }, EMPTY);
  assert.deepEqual(plan.nat, [`-A POSTROUTING ${LEAVING} -j MASQUERADE`]);
});

test("with ptp the accepts go by the set of pod subnets", () => {
  const { filter } = planRules(4, { ...wanted, pods: "ptp", nodeLink: undefined }, EMPTY);
  assert.deepEqual(filter, [
    '-I FORWARD 1 -m set --match-set kube-router-pod-subnets dst -m comment --comment "allow inbound traffic to pods" -j ACCEPT',
    '-I FORWARD 1 -m set --match-set kube-router-pod-subnets src -m comment --comment "allow outbound traffic from pods" -j ACCEPT',
  ]);
});

test("what is right is left alone, with the rules of others around it", () => {
  const busy: PresentRules = {
    forward: chain("FORWARD", "-j KUBE-FORWARD", OUT, IN, NODE, '-m comment --comment "x" -j DROP'),
    postrouting: chain("POSTROUTING", "-j KUBE-POSTROUTING", MASQUERADE, "-j MASQUERADE"),
    egressChain: undefined,
  };
  assert.deepEqual(planRules(4, wanted, busy), { filter: [], nat: [] });
});

test("only what is missing is added", () => {
  const plan = planRules(4, wanted, { ...right, forward: chain("FORWARD", OUT, NODE) });
  assert.deepEqual(plan, { filter: [`-I FORWARD 1 ${IN}`], nat: [] });
});

test("repetitions and older forms go", () => {
  const present: PresentRules = {
    forward: chain("FORWARD", OUT, OUT, IN, NODE, NODE.replace("enp1s0", "eth0")),
    postrouting: chain("POSTROUTING", `${LEAVING} -j MASQUERADE`, MASQUERADE, MASQUERADE),
    egressChain: undefined,
  };
  assert.deepEqual(planRules(4, wanted, present), {
    filter: [`-D FORWARD ${OUT}`, `-D FORWARD ${NODE.replace("enp1s0", "eth0")}`],
    nat: [`-D POSTROUTING ${LEAVING} -j MASQUERADE`, `-D POSTROUTING ${MASQUERADE}`],
  });
});

test("while the node's interface is not known, the rule about it stays", () => {
  assert.deepEqual(planRules(4, { ...wanted, nodeLink: undefined }, right).filter, []);
});

test("egress off, or pods not our business: the rules go, those of others stay", () => {
  const present: PresentRules = {
    forward: chain("FORWARD", "-j KUBE-FORWARD", OUT, IN, NODE),
    postrouting: chain("POSTROUTING", "-j MASQUERADE", MASQUERADE),
    egressChain: undefined,
  };
  assert.deepEqual(planRules(4, { ...wanted, egress: false }, present), {
    filter: [],
    nat: [`-D POSTROUTING ${MASQUERADE}`],
  });
  assert.deepEqual(planRules(4, NO_RULES, present), {
    filter: [`-D FORWARD ${OUT}`, `-D FORWARD ${IN}`, `-D FORWARD ${NODE}`],
    nat: [`-D POSTROUTING ${MASQUERADE}`],
  });
});

const exclude = [prefix("10.0.0.0/8"), prefix("fd00::/8"), prefix("192.0.2.7/32")];
const JUMP = `${LEAVING} -j PODROUTER-EGRESS`;
const CHAIN = [
  "-d 10.0.0.0/8 -j RETURN",
  "-d 192.0.2.7/32 -j RETURN",
  "-j MASQUERADE --random-fully",
];

test("excluded destinations: a chain of our own, and back", () => {
  assert.deepEqual(planRules(4, { ...wanted, exclude }, right).nat, [
    ":PODROUTER-EGRESS - [0:0]",
    ...CHAIN.map((rule) => `-A PODROUTER-EGRESS ${rule}`),
    `-A POSTROUTING ${JUMP}`,
    `-D POSTROUTING ${MASQUERADE}`,
  ]);
  const withChain: PresentRules = {
    ...right,
    postrouting: chain("POSTROUTING", JUMP),
    egressChain: chain("PODROUTER-EGRESS", ...CHAIN),
  };
  assert.deepEqual(planRules(4, { ...wanted, exclude }, withChain).nat, []);
  assert.deepEqual(planRules(4, wanted, withChain).nat, [
    `-A POSTROUTING ${MASQUERADE}`,
    `-D POSTROUTING ${JUMP}`,
    "-F PODROUTER-EGRESS",
    "-X PODROUTER-EGRESS",
  ]);
  const tampered = { ...withChain, egressChain: chain("PODROUTER-EGRESS", ...CHAIN.slice(1)) };
  assert.deepEqual(planRules(4, { ...wanted, exclude }, tampered).nat, [
    ":PODROUTER-EGRESS - [0:0]",
    ...CHAIN.map((rule) => `-A PODROUTER-EGRESS ${rule}`),
  ]);
});

test("everything excluded is nothing masqueraded, in that family", () => {
  const all = { ...wanted, exclude: [prefix("0.0.0.0/0")] };
  assert.deepEqual(planRules(4, all, right).nat, [`-D POSTROUTING ${MASQUERADE}`]);
  assert.equal(planRules(6, all, EMPTY).nat.length, 1);
});

test("lines of `iptables -S` are read word by word", () => {
  const output = [
    "-P FORWARD DROP",
    "-N KUBE-FORWARD",
    '-A FORWARD -m comment --comment "it is \\"so\\" \\\\ there" -j ACCEPT',
    "-A FORWARDING -j DROP",
    "-A FORWARD -i a+ -j DROP",
    "",
  ].join("\n");
  assert.deepEqual(parseRules(output, "FORWARD"), [
    ["-m", "comment", "--comment", 'it is "so" \\ there', "-j", "ACCEPT"],
    ["-i", "a+", "-j", "DROP"],
  ]);
  assert.deepEqual(parseRules("", "FORWARD"), []);
});

/** What the kernel would have after the changes. */
function applied(present: PresentRules, changes: RuleChanges): PresentRules {
  const chains = new Map<string, (readonly string[])[]>([
    ["FORWARD", [...present.forward]],
    ["POSTROUTING", [...present.postrouting]],
  ]);
  if (present.egressChain !== undefined) chains.set("PODROUTER-EGRESS", [...present.egressChain]);
  for (const line of [...changes.filter, ...changes.nat]) {
    const declared = /^:(\S+) /.exec(line)?.[1];
    const [, command, name, , rest] = /^-(\w) (\S+)( 1)? ?(.*)$/.exec(line) ?? [];
    if (declared !== undefined) chains.set(declared, []);
    if (command === "F") chains.set(name!, []);
    if (command === "X") chains.delete(name!);
    const rule = parseRules(`-A X ${rest}`, "X")[0];
    if (command === "A") chains.get(name!)!.push(rule!);
    if (command === "I") chains.get(name!)!.unshift(rule!);
    if (command === "D") {
      const rules = chains.get(name!)!;
      const at = rules.findIndex((one) => JSON.stringify(one) === JSON.stringify(rule));
      assert.ok(at >= 0, `deleted what is not there: ${line}`);
      rules.splice(at, 1);
    }
  }
  return {
    forward: chains.get("FORWARD")!,
    postrouting: chains.get("POSTROUTING")!,
    egressChain: chains.get("PODROUTER-EGRESS"),
  };
}

test("from any state to any wish in one step, and no rule of others lost", () => {
  const family = fc.constantFrom<IpFamily>(4);
  const forward = fc.array(fc.constantFrom(OUT, IN, NODE, "-j KUBE-FORWARD", "-i x -j DROP"));
  const nat = fc.array(fc.constantFrom(MASQUERADE, JUMP, `${LEAVING} -j MASQUERADE`, "-j KUBE"));
  const own = fc.option(fc.array(fc.constantFrom(...CHAIN)), { nil: undefined });
  const wish = fc.record<RulesWanted>({
    pods: fc.constantFrom("bridge", "ptp", undefined),
    nodeLink: fc.constantFrom("enp1s0", "eth0", undefined),
    egress: fc.boolean(),
    exclude: fc.subarray(exclude),
    randomFully: fc.boolean(),
  });
  const foreign = (rules: readonly Rule[]) =>
    rules.map((rule) => rule.join(" ")).filter((rule) => /KUBE|DROP/.test(rule));
  fc.assert(
    fc.property(family, wish, forward, nat, own, (ipFamily, wants, one, two, three) => {
      const before: PresentRules = {
        forward: chain("FORWARD", ...one),
        postrouting: chain("POSTROUTING", ...two),
        egressChain: three === undefined ? undefined : chain("PODROUTER-EGRESS", ...three),
      };
      const after = applied(before, planRules(ipFamily, wants, before));
      assert.deepEqual(planRules(ipFamily, wants, after), { filter: [], nat: [] });
      assert.deepEqual(foreign(after.forward), foreign(before.forward));
      assert.deepEqual(foreign(after.postrouting), foreign(before.postrouting));
    }),
  );
});
