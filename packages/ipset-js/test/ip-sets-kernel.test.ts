/** Sets in the running kernel, in namespaces of their own; checked with the ipset program. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Namespace } from "../../netlink-ts/test/support/namespace.ts";
import { formatEntry, formatHeader, IpSets } from "../src/index.ts";

/** A namespace and the sets in it. */
function setUp(t: Parameters<typeof Namespace.make>[0]) {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return undefined;
  const sets = namespace.enter(() => new IpSets());
  t.after(() => sets.close());
  return { namespace, sets };
}

const SUBNETS = "kube-router-pod-subnets";
const NODE_IPS = "kube-router-node-ips";
const forEver = (member: string) => ({ member, timeout: 0 });

test("the sets of a node are what ipset prints for kube-router's", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, sets } = set;
  await sets.create({ name: SUBNETS, type: "hash:net", timeout: 0 });
  await sets.create({ name: NODE_IPS, type: "hash:ip", timeout: 0 });
  await sets.create({ name: `inet6:${SUBNETS}`, type: "hash:net", family: 6, timeout: 0 });
  const subnets = ["10.233.64.0/24", "10.233.65.0/24", "10.233.66.0/24"].map(forEver);
  assert.deepEqual(await sets.add(SUBNETS, subnets), []);
  assert.deepEqual(await sets.add(NODE_IPS, [forEver("192.168.50.50")]), []);
  assert.deepEqual(await sets.add(`inet6:${SUBNETS}`, [forEver("fd00:10:233::/64")]), []);
  assert.deepEqual(namespace.run("ipset", "save", "-sorted").trim().split("\n"), [
    `create ${SUBNETS} hash:net family inet hashsize 1024 maxelem 65536 timeout 0`,
    `add ${SUBNETS} 10.233.64.0/24 timeout 0`,
    `add ${SUBNETS} 10.233.65.0/24 timeout 0`,
    `add ${SUBNETS} 10.233.66.0/24 timeout 0`,
    `create ${NODE_IPS} hash:ip family inet hashsize 1024 maxelem 65536 timeout 0`,
    `add ${NODE_IPS} 192.168.50.50 timeout 0`,
    `create inet6:${SUBNETS} hash:net family inet6 hashsize 1024 maxelem 65536 timeout 0`,
    `add inet6:${SUBNETS} fd00:10:233::/64 timeout 0`,
  ]);
  const listed = namespace.run("ipset", "list", SUBNETS, "-sorted").split("\n");
  assert.deepEqual(listed.slice(0, 4), [
    `Name: ${SUBNETS}`,
    "Type: hash:net",
    "Revision: 6",
    "Header: family inet hashsize 1024 maxelem 65536 timeout 0",
  ]);
  assert.deepEqual(listed.slice(7, 11), ["Members:", ...subnets.map(formatEntry)]);
  assert.match(namespace.run("ipset", "list", NODE_IPS), /^Revision: 4$/m);
});

test("a set is listed as it was filled", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { sets } = set;
  await sets.create({ name: SUBNETS, type: "hash:net", timeout: 0 });
  await sets.add(SUBNETS, [forEver("10.233.64.0/24")]);
  const { members, ...header } = (await sets.list(SUBNETS))!;
  assert.deepEqual(members, [forEver("10.233.64.0/24")]);
  assert.deepEqual(header, await sets.header(SUBNETS));
  assert.equal(header.elements, 1);
  assert.equal(formatHeader(header), "family inet hashsize 1024 maxelem 65536 timeout 0");
  assert.deepEqual(await sets.names(), [SUBNETS]);
  assert.equal(await sets.exists(SUBNETS), true);
  assert.equal(await sets.exists(NODE_IPS), false);
  assert.equal(await sets.list(NODE_IPS), undefined);
  assert.equal(await sets.header(NODE_IPS), undefined);
});

test("a refused entry is named and costs no other", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, sets } = set;
  await sets.create({ name: "s", type: "hash:net" });
  const failures = await sets.add("s", ["10.1.0.0/24", "0.0.0.0/0", "10.2.0.0/24", "nonsense"]);
  assert.deepEqual(
    failures.map(({ index, entry, error }) => [index, entry.member, error.code]),
    [
      [1, "0.0.0.0/0", "INVALID_CIDR"],
      [3, "nonsense", "EINVAL"],
    ],
  );
  assert.deepEqual(namespace.run("ipset", "save", "-sorted").trim().split("\n").slice(1), [
    "add s 10.1.0.0/24",
    "add s 10.2.0.0/24",
  ]);
  await assert.rejects(sets.add("missing", ["10.1.0.0/24"]), { code: "SET_NOT_FOUND" });
});
