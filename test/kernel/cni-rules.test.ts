/** The packet rules on the running kernel, by both back ends of iptables, in namespaces. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { chooseIptables, Iptables } from "../../src/cni/iptables.ts";
import { NftGeneration } from "../../src/cni/nft-generation.ts";
import { PodRules, type PodRulesWanted } from "../../src/cni/pod-rules.ts";
import { runProgram } from "../../src/cni/run-program.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { requireReal } from "../support/real.ts";
import { hasProgram, until } from "../support/shell.ts";
import { Yardstick } from "../support/yardstick.ts";

const BACKENDS = ["nft", "legacy"] as const;
type Backend = (typeof BACKENDS)[number];

const WANTED: PodRulesWanted = {
  pods: "bridge",
  nodeLink: "enp1s0",
  egress: true,
  exclude: [],
  families: [4, 6],
};

async function setUp(t: TestContext, backend: Backend) {
  for (const program of ["iptables-nft", "iptables-legacy", "ipset"]) {
    if (!requireReal(t, await hasProgram(program), `the program ${program} is missing`)) return;
  }
  const namespace = Namespace.make(t);
  if (namespace === undefined) return undefined;
  for (const [start, family] of [["", "inet"] as const, ["inet6:", "inet6"] as const]) {
    namespace.run(
      "ipset",
      "create",
      `${start}kube-router-pod-subnets`,
      "hash:net",
      "family",
      family,
    );
    namespace.run("ipset", "create", `${start}kube-router-node-ips`, "hash:ip", "family", family);
  }
  // What makes a machine one that uses this back end.
  for (const iptables of [`iptables-${backend}`, `ip6tables-${backend}`]) {
    namespace.run(iptables, "-A", "FORWARD", "-i", "docker0", "-j", "ACCEPT");
    namespace.run(iptables, "-A", "FORWARD", "-j", "DROP");
    namespace.run(iptables, "-t", "nat", "-A", "POSTROUTING", "-o", "docker0", "-j", "MASQUERADE");
  }
  const generation = new NftGeneration({ around: (make) => namespace.enter(make) });
  t.after(() => generation.close());
  const iptablesRuns = new Yardstick();
  const deps = {
    run(program: string, args: readonly string[], input?: string) {
      const command = ["netns", "exec", namespace.name, program, ...args];
      return iptablesRuns.time(() => runProgram("ip", command, input));
    },
    nftGeneration: () => generation.read(),
  };
  const passes: string[][] = [];
  const rules = new PodRules(
    {},
    {
      choose: () => chooseIptables(deps),
      clock: systemClock,
      random: () => 0,
      log: silentLog,
      onChanged: () => passes.push(rules.conditions().map(({ message }) => message)),
    },
  );
  t.after(() => rules.stop());
  const lines = (iptables: string, ...args: string[]): readonly string[] =>
    namespace
      .run(`${iptables}-${backend}`, ...args)
      .split("\n")
      .filter((line) => line.startsWith("-A"));
  const inPlace = () =>
    ["iptables", "ip6tables"].every(
      (program) =>
        lines(program, "-S", "FORWARD").length >= 3 &&
        lines(program, "-t", "nat", "-S", "POSTROUTING").some((line) =>
          line.includes("kube-router"),
        ),
    );
  return { namespace, rules, lines, deps, inPlace, passes, iptablesRuns };
}

/** As kube-router leaves them (reference: iptables). */
const expectedForward = [
  '-A FORWARD -i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT',
  '-A FORWARD -o kube-bridge -m comment --comment "allow inbound traffic to pods" -j ACCEPT',
  '-A FORWARD -o enp1s0 -m comment --comment "allow outbound node port traffic on node interface with which node ip is associated" -j ACCEPT',
  "-A FORWARD -i docker0 -j ACCEPT",
  "-A FORWARD -j DROP",
];
const expectedNat = (start: string) => [
  "-A POSTROUTING -o docker0 -j MASQUERADE",
  `-A POSTROUTING -m set --match-set ${start}kube-router-pod-subnets src -m set ! --match-set ${start}kube-router-pod-subnets dst -m set ! --match-set ${start}kube-router-node-ips dst -j MASQUERADE --random-fully`,
];

for (const backend of BACKENDS) {
  test(`${backend}: chosen, set in both families, repaired within a second, removed`, async (t) => {
    const node = await setUp(t, backend);
    if (node === undefined) return;
    const { namespace, rules, lines, inPlace, iptablesRuns } = node;
    rules.want(WANTED);
    rules.start();
    await until("the rules are there", inPlace);
    for (const [program, start] of [["iptables", ""] as const, ["ip6tables", "inet6:"] as const]) {
      assert.deepEqual(lines(program, "-S", "FORWARD"), expectedForward);
      assert.deepEqual(lines(program, "-t", "nat", "-S", "POSTROUTING"), expectedNat(start));
    }
    const other = backend === "nft" ? "legacy" : "nft";
    assert.equal(namespace.run(`iptables-${other}-save`).includes("kube-router"), false);
    // Settled: what follows is a foreign change.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const flushes = [
      ["-F", "FORWARD"],
      ["-t", "nat", "-F"],
      ["-D", "FORWARD", "1"],
    ];
    for (const [index, flush] of flushes.entries()) {
      const begun = performance.now();
      namespace.run(`iptables-${backend}`, ...flush);
      await until("the rules are back", () => rules.repairs === index + 1);
      const took = performance.now() - begun;
      const told = `${flush.join(" ")}: ${iptablesRuns.told(took)}`;
      t.diagnostic(told);
      assert.ok(took < iptablesRuns.repairMs(), told);
      assert.equal(inPlace(), true);
    }
    rules.want({ ...WANTED, egress: false });
    await until(
      "the masquerade rules are gone",
      () =>
        !["iptables", "ip6tables"].some((program) =>
          lines(program, "-t", "nat", "-S").some((line) => line.includes("kube-router")),
        ),
    );
    assert.deepEqual(rules.conditions(), []);
  });

  test(`${backend}: kube-router's own rules are taken over, exclusions come and go`, async (t) => {
    const node = await setUp(t, backend);
    if (node === undefined) return;
    const { namespace, rules, lines, inPlace } = node;
    const leaving = expectedNat("")[1]!.split(" ").slice(2);
    namespace.run(`iptables-${backend}`, "-t", "nat", "-A", "POSTROUTING", ...leaving);
    const comment = "allow outbound traffic from pods";
    const accept = ["-m", "comment", "--comment", comment, "-i", "kube-bridge", "-j", "ACCEPT"];
    namespace.run(`iptables-${backend}`, "-I", "FORWARD", ...accept);
    rules.want(WANTED);
    rules.start();
    await until("the rules are there", inPlace);
    assert.deepEqual(lines("iptables", "-t", "nat", "-S", "POSTROUTING"), expectedNat(""));
    const own = lines("iptables", "-S", "FORWARD").filter((line) => line.includes(comment));
    assert.equal(own.length, 1, "not twice");
    rules.want({ ...WANTED, exclude: [prefix("198.51.100.0/24"), prefix("203.0.113.9/32")] });
    await until("there is a chain", () =>
      lines("iptables", "-t", "nat", "-S").some((line) => line.includes("-j PODROUTER-EGRESS")),
    );
    assert.deepEqual(lines("iptables", "-t", "nat", "-S", "PODROUTER-EGRESS"), [
      "-A PODROUTER-EGRESS -d 198.51.100.0/24 -j RETURN",
      "-A PODROUTER-EGRESS -d 203.0.113.9/32 -j RETURN",
      "-A PODROUTER-EGRESS -j MASQUERADE --random-fully",
    ]);
    assert.deepEqual(lines("ip6tables", "-t", "nat", "-S", "POSTROUTING"), expectedNat("inet6:"));
    await until("nothing is left to do", () => rules.conditions().length === 0);
    rules.want(WANTED);
    await until(
      "the chain is gone",
      () => !namespace.run(`iptables-${backend}`, "-t", "nat", "-S").includes("PODROUTER-EGRESS"),
    );
    assert.deepEqual(lines("iptables", "-t", "nat", "-S", "POSTROUTING"), expectedNat(""));
  });
}

test("legacy rules of another agent move, where IPv6 has no legacy nat table", async (t) => {
  const node = await setUp(t, "nft");
  if (node === undefined) return;
  const { namespace, rules, deps, inPlace, passes } = node;
  const words = expectedNat("")[1]!.split(" ");
  namespace.run("iptables-legacy", "-t", "nat", ...words);
  // Of its other parts, which stay.
  namespace.run("iptables-legacy", "-N", "KUBE-ROUTER-FORWARD");
  namespace.run("iptables-legacy", "-A", "FORWARD", "-j", "KUBE-ROUTER-FORWARD");
  // As with a module that is not loaded, which a container cannot do.
  const { run } = deps;
  deps.run = async (program, args, input) => {
    const stdout = "*filter\n-A FORWARD -j ufw6-before-forward\nCOMMIT\n";
    if (program === "ip6tables-legacy-save") return { status: 0, stdout, stderr: "" };
    if (program !== "ip6tables-legacy") return run(program, args, input);
    if (args.includes("filter")) return { status: 0, stdout, stderr: "" };
    const stderr = "can't initialize ip6tables table `nat': Table does not exist\n";
    return { status: 3, stdout: "", stderr };
  };
  rules.want(WANTED);
  rules.start();
  await until("the rules are there", inPlace);
  await until("a pass has ended", () => passes.length > 0);
  assert.deepEqual(passes[0], []);
  const left = namespace.run("iptables-legacy-save");
  assert.doesNotMatch(left, /kube-router/);
  assert.match(left, /-A FORWARD -j KUBE-ROUTER-FORWARD/);
});

test("sets that are missing are said so, and the accepts stand all the same", async (t) => {
  const node = await setUp(t, "nft");
  if (node === undefined) return;
  const { namespace, rules, lines } = node;
  namespace.run("ipset", "destroy");
  rules.want(WANTED);
  rules.start();
  await until("it is reported", () =>
    rules.conditions().some(({ message }) => /kube-router-pod-subnets doesn't exist/.test(message)),
  );
  assert.equal(lines("iptables", "-S", "FORWARD").length, 5);
});

test("the generation grows with each change by anybody", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  const generation = new NftGeneration({ around: (make) => namespace.enter(make) });
  t.after(() => generation.close());
  const first = await generation.read();
  assert.equal(typeof first, "number");
  assert.equal(await generation.read(), first);
  namespace.run("iptables-nft", "-A", "FORWARD", "-j", "ACCEPT");
  assert.notEqual(await generation.read(), first);
});

test("a program that is missing, refuses or never ends", async (t) => {
  if (!requireReal(t, await hasProgram("iptables-nft"), "iptables is missing")) return;
  const missing = new Iptables("-none", "iptables v1.8.9 (legacy)", {
    run: runProgram,
    nftGeneration: async () => undefined,
  });
  await assert.rejects(missing.read(4, false), {
    code: "missing",
    message: /iptables-none: not installed/,
  });
  const result = await runProgram("sh", ["-c", "cat; echo done >&2; exit 3"], "given");
  assert.deepEqual(result, { status: 3, stdout: "given", stderr: "done\n" });
});
