/** The keeper of packet rules on a filter in memory, with a fake clock. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  RULES_CHECK_MS,
  RULES_PERIOD_MS,
  RULES_REPAIRS_MAX,
  RULES_REST_FACTOR,
} from "../../src/cni/limits.ts";
import {
  type HoldingFilter,
  PacketFilterError,
  PodRules,
  type PodRulesWanted,
} from "../../src/cni/pod-rules.ts";
import { planRules } from "../../src/cni/rules.ts";
import type { IpFamily } from "../../src/ip/address.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";
import { MemoryFilter } from "./memory-filter.ts";

const WANTED: PodRulesWanted = {
  pods: "bridge",
  nodeLink: "enp1s0",
  egress: true,
  exclude: [],
  families: [4],
};

function setUp(t: TestContext, dryRun = false) {
  const clock = new FakeClock();
  const filter = new MemoryFilter(clock);
  const other = new MemoryFilter(clock);
  const { log, lines } = recordingLog();
  const chosen = { used: filter, other: undefined as HoldingFilter | undefined };
  const rules = new PodRules(
    { dryRun },
    { choose: async () => chosen, clock, random: () => 0, log },
  );
  t.after(() => rules.stop());
  return { clock, filter, other, chosen, lines, rules };
}

/** As an earlier run did. */
async function leaveRules(filter: MemoryFilter, family: IpFamily): Promise<void> {
  const wanted = { ...WANTED, randomFully: true };
  const changes = planRules(family, wanted, await filter.read(family));
  await filter.change(family, "filter", changes.filter);
}

test("rules are set, and looked at no more while nobody changes any", async (t) => {
  const { clock, filter, rules } = setUp(t);
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(RULES_CHECK_MS * 2);
  assert.equal(filter.chain(4, "FORWARD").length, 3);
  assert.equal(filter.chain(4, "POSTROUTING").length, 1);
  assert.equal(filter.chain(6, "FORWARD").length, 0);
  const { reads } = filter;
  await clock.advanceAsync(RULES_PERIOD_MS / 2);
  assert.equal(filter.reads, reads);
  await clock.advanceAsync(RULES_PERIOD_MS);
  assert.ok(filter.reads > reads, "now and then nevertheless");
  assert.equal(rules.repairs, 0);
});

test("a foreign flush is repaired at the next look, with or without generations", async (t) => {
  for (const hasGeneration of [true, false]) {
    const { clock, filter, rules, lines } = setUp(t);
    filter.hasGeneration = hasGeneration;
    rules.want(WANTED);
    rules.start();
    await clock.advanceAsync(5000);
    filter.flush();
    await clock.advanceAsync(RULES_CHECK_MS);
    assert.equal(filter.chain(4, "POSTROUTING").length, 1);
    assert.equal(rules.repairs, 1);
    assert.ok(lines.some((line) => line.startsWith("info packet rules repaired")));
  }
});

test("rules that are undone again and again: a condition, and an end of the lines", async (t) => {
  const { clock, filter, rules, lines } = setUp(t);
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(5000);
  const undo = async (times: number) => {
    for (let i = 0; i < times; i++) {
      filter.flush();
      await clock.advanceAsync(RULES_CHECK_MS);
    }
  };
  await undo(RULES_REPAIRS_MAX - 1);
  assert.deepEqual(rules.conditions(), []);
  await undo(50);
  assert.equal(rules.repairs, RULES_REPAIRS_MAX + 49, "they are put right all the same");
  assert.deepEqual(
    rules.conditions().map(({ name, severity }) => `${severity} ${name}`),
    ["warning packet-rules-contested"],
  );
  const told = lines.filter((line) => line.startsWith("info packet rules repaired"));
  assert.equal(told.length, RULES_REPAIRS_MAX);
  await clock.advanceAsync(RULES_PERIOD_MS);
  assert.deepEqual(rules.conditions(), []);
  await undo(1);
  assert.deepEqual(rules.conditions(), []);
});

test("where listing takes long it is done more seldom", async (t) => {
  const { clock, filter, rules } = setUp(t);
  filter.hasGeneration = false;
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(5000);
  filter.readMs = 200;
  await clock.advanceAsync(RULES_CHECK_MS);
  const { reads } = filter;
  await clock.advanceAsync(200 * RULES_REST_FACTOR * 5);
  assert.ok(filter.reads - reads <= 6, `${filter.reads - reads} reads`);
});

test("where listing takes very long, once in its period is kept", async (t) => {
  const { clock, filter, rules } = setUp(t);
  filter.hasGeneration = false;
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(5000);
  filter.readMs = RULES_PERIOD_MS / 4;
  await clock.advanceAsync(RULES_CHECK_MS + filter.readMs);
  const { reads } = filter;
  await clock.advanceAsync(RULES_PERIOD_MS + 2 * filter.readMs);
  assert.ok(filter.reads > reads, "looked at again");
});

test("a change that takes long does not delay the next look", async (t) => {
  const { clock, filter, rules } = setUp(t);
  filter.changeMs = 300;
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(600);
  assert.equal(filter.chain(4, "POSTROUTING").length, 1);
  for (const repairs of [1, 2]) {
    filter.flush();
    await clock.advanceAsync(RULES_CHECK_MS + 600);
    assert.equal(rules.repairs, repairs);
  }
});

test("a new wish is carried out at once, and is no repair", async (t) => {
  const { clock, filter, rules } = setUp(t);
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(0);
  rules.want({ ...WANTED, egress: false, families: [4, 6] });
  await clock.advanceAsync(0);
  assert.equal(filter.chain(4, "POSTROUTING").length, 0);
  assert.equal(filter.chain(6, "FORWARD").length, 3);
  rules.want(WANTED);
  await clock.advanceAsync(0);
  assert.equal(filter.chain(6, "FORWARD").length, 0, "the family is used no more");
  assert.equal(rules.repairs, 0);
});

test("what an earlier run left in an unused family goes, once", async (t) => {
  const { clock, filter, rules } = setUp(t);
  const rule = ["-i", "kube-bridge", "-m", "comment", "--comment"];
  const left = [...rule, "allow outbound traffic from pods", "-j", "ACCEPT"];
  filter.rules.set("6 FORWARD", [left]);
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(0);
  assert.deepEqual(filter.chain(6, "FORWARD"), []);
});

test("ours in the back end that is not used go", async (t) => {
  const { clock, other, chosen, rules } = setUp(t);
  chosen.other = { filter: other, families: [4] };
  const masquerade =
    "-m set --match-set kube-router-pod-subnets src -m set ! --match-set kube-router-pod-subnets dst " +
    "-m set ! --match-set kube-router-node-ips dst -j MASQUERADE";
  other.rules.set("4 POSTROUTING", [masquerade.split(" "), ["-j", "KUBE-POSTROUTING"]]);
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(0);
  assert.deepEqual(other.chain(4, "POSTROUTING"), [["-j", "KUBE-POSTROUTING"]]);
});

test("a back end that is not used keeps nobody from the rules, whatever it refuses", async (t) => {
  const { clock, filter, other, chosen, rules } = setUp(t);
  other.refusal = new PacketFilterError("failed", "iptables-legacy: no table nat");
  chosen.other = { filter: other, families: [4] };
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(0);
  assert.equal(filter.chain(4, "POSTROUTING").length, 1);
  assert.match(rules.conditions()[0]!.message, /no table nat/);
  other.refusal = undefined;
  await clock.advanceAsync(60_000);
  assert.deepEqual(rules.conditions(), []);
});

test("a back end that would not say at first what it holds is asked again", async (t) => {
  const { clock, filter, other, chosen, lines, rules } = setUp(t);
  Object.assign(other, { version: "iptables v1.8.9 (legacy)" });
  Object.assign(chosen, { used: other, unsure: true });
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(RULES_PERIOD_MS * 3);
  assert.equal(other.chain(4, "FORWARD").length, 3);
  const chosenNow = () => lines.filter((line) => line.includes("packet filter chosen")).length;
  assert.equal(chosenNow(), 1, "said once");
  await leaveRules(filter, 6);
  filter.refusal = new PacketFilterError("failed", "busy");
  Object.assign(chosen, { used: filter, other: { filter: other, families: [4] }, unsure: false });
  await clock.advanceAsync(RULES_PERIOD_MS);
  assert.equal(other.chain(4, "FORWARD").length, 3, "until they stand elsewhere");
  filter.refusal = undefined;
  await clock.advanceAsync(RULES_PERIOD_MS * 2);
  assert.equal(filter.chain(6, "FORWARD").length, 0, "of an earlier run, in an unused family");
  assert.deepEqual([filter.chain(4, "FORWARD").length, other.chain(4, "FORWARD").length], [3, 0]);
  assert.deepEqual([chosenNow(), rules.repairs, rules.conditions()], [2, 0, []]);
});

test("what a back end that is not used says later, that it holds rules of ours, is seen to", async (t) => {
  const { clock, other, chosen, lines, rules } = setUp(t);
  await leaveRules(other, 4);
  Object.assign(chosen, { unsure: true });
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(RULES_PERIOD_MS / 2);
  assert.ok(other.chain(4, "FORWARD").length > 0);
  Object.assign(chosen, { other: { filter: other, families: [4] }, unsure: false });
  await clock.advanceAsync(RULES_PERIOD_MS * 2);
  assert.equal(other.chain(4, "FORWARD").length, 0);
  assert.equal(lines.filter((line) => line.includes("packet filter chosen")).length, 1);
  assert.equal(rules.repairs, 0);
});

test("missing iptables, refused rules: one condition each, and done as soon as it can be", async (t) => {
  const cases = [
    [new PacketFilterError("missing", "iptables is not installed"), "iptables-missing"],
    [new PacketFilterError("failed", "iptables-restore: no such set"), "packet-rules"],
  ] as const;
  for (const [refusal, name] of cases) {
    const { clock, filter, rules } = setUp(t);
    filter.refusal = refusal;
    rules.want(WANTED);
    rules.start();
    await clock.advanceAsync(60_000);
    assert.deepEqual(
      rules.conditions().map((condition) => [condition.name, condition.message]),
      [[name, `the packet rules for pods cannot be kept: ${refusal.message}`]],
    );
    assert.ok(filter.reads < 30, `${filter.reads} tries in a minute`);
    filter.refusal = undefined;
    await clock.advanceAsync(10_000);
    assert.deepEqual([rules.conditions(), filter.chain(4, "FORWARD").length], [[], 3]);
  }
});

test("one family that fails does not keep the other from its rules", async (t) => {
  const { clock, filter, rules } = setUp(t);
  const read = filter.read.bind(filter);
  filter.read = (family) =>
    family === 4 ? Promise.reject(new PacketFilterError("failed", "no IPv4")) : read(family);
  rules.want({ ...WANTED, families: [4, 6] });
  rules.start();
  await clock.advanceAsync(0);
  assert.equal(filter.chain(6, "FORWARD").length, 3);
  assert.match(rules.conditions()[0]!.message, /no IPv4/);
});

test("rules that do not stay as they were written are reported, not written for ever", async (t) => {
  const { clock, filter, rules } = setUp(t);
  let changes = 0;
  filter.change = async () => void changes++;
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(60_000);
  assert.match(rules.conditions()[0]!.message, /does not keep: -I FORWARD 1 /);
  assert.ok(changes < 60, `${changes} changes in a minute`);
});

test("a dry run says what it would do", async (t) => {
  const { clock, filter, rules } = setUp(t, true);
  rules.want(WANTED);
  rules.start();
  await clock.advanceAsync(1000);
  assert.equal(filter.rules.size, 0);
  assert.equal(rules.planned().length, 4);
  assert.match(rules.planned()[3]!, /^iptables -t nat -A POSTROUTING .* MASQUERADE/);
});

test("a dry run says of each family what can be typed", async (t) => {
  const { clock, rules } = setUp(t, true);
  rules.want({ ...WANTED, families: [4, 6] });
  rules.start();
  await clock.advanceAsync(1000);
  const lines = rules.planned();
  const of = (program: string) => lines.filter((line) => line.startsWith(`${program} -`)).length;
  assert.deepEqual([of("iptables"), of("ip6tables")], [4, 4]);
  for (const line of lines.filter((one) => one.includes("--match-set"))) {
    assert.equal(line.includes("inet6:"), line.startsWith("ip6tables "), line);
  }
});
