/** Sets in the running kernel, in namespaces of their own; checked with the ipset program. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { Namespace } from "../../netlink-ts/test/support/namespace.ts";
import {
  type EntryFailure,
  formatEntry,
  formatHeader,
  IpSets,
  type SetEntry,
} from "../src/index.ts";

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

test("an entry of another form than the set's costs no other", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { sets } = set;
  const said = (failures: readonly EntryFailure[]) =>
    failures.map(({ index, error }) => [index, error.code]);
  await sets.create({ name: "nets", type: "hash:net" });
  const nets = ["10.0.0.0/24", "10.0.1.0/24,x", "10.0.2.0/24,80", "10.0.3.0/24", "10.0.4.1,80"];
  assert.deepEqual(said(await sets.add("nets", nets, { exist: false })), [
    [1, "EINVAL"],
    [2, "PROTOCOL"],
    [4, "PROTOCOL"],
  ]);
  assert.equal((await sets.header("nets"))?.elements, 2);
  await sets.create({ name: "ips", type: "hash:ip" });
  const ips = ["10.0.0.1", { member: "10.0.0.2", nomatch: true }, "10.0.0.3"];
  assert.deepEqual(said(await sets.add("ips", ips)), [[1, "PROTOCOL"]]);
  assert.equal((await sets.header("ips"))?.elements, 2);
  await assert.rejects(sets.add("none", ["10.0.0.1,80"]), { code: "SET_NOT_FOUND" });
});

test("without a name nothing is destroyed or flushed", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { sets } = set;
  await sets.create({ name: "a", type: "hash:ip" });
  await sets.add("a", ["192.0.2.1"]);
  const none = undefined as unknown as string;
  const calls = [
    () => sets.destroy(none),
    () => sets.flush(none),
    () => sets.header(none),
    () => sets.list(none),
    () => sets.exists(none),
    () => sets.rename(none, "b"),
  ];
  for (const call of calls) await assert.rejects(call(), { code: "EINVAL" });
  assert.equal((await sets.header("a"))?.elements, 1);
});

test("10,000 members are added, listed and deleted", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, sets } = set;
  const members = Array.from({ length: 10_000 }, (_, i) => forEver(`10.${i >> 8}.${i & 255}.0/24`));
  await sets.create({ name: "s", type: "hash:net", hashSize: 16_384, timeout: 0 });
  assert.deepEqual(await sets.add("s", members), []);
  const saved = namespace.run("ipset", "save", "s").trim().split("\n");
  const listed = await sets.list("s");
  // The same members in the same order: the kernel's.
  assert.deepEqual(
    listed?.members.map((entry) => `add s ${formatEntry(entry)}`),
    saved.slice(1),
  );
  assert.deepEqual(new Set(listed?.members.map(({ member }) => member)).size, members.length);
  assert.equal((await sets.header("s"))?.elements, members.length);
  assert.deepEqual(await sets.delete("s", members), []);
  assert.equal((await sets.header("s"))?.elements, 0);
});

test("entries that are there already are fine, unless one asks", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { sets } = set;
  const spec = { name: "s", type: "hash:ip" } as const;
  await sets.create(spec);
  await sets.create(spec);
  await assert.rejects(sets.create(spec, { exist: false }), { code: "SET_EXISTS" });
  await assert.rejects(sets.create({ ...spec, maxElements: 9 }), { code: "SET_EXISTS" });
  await sets.add("s", ["192.0.2.1"]);
  assert.deepEqual(await sets.add("s", ["192.0.2.1"]), []);
  const codes = (failures: readonly EntryFailure[]) => failures.map(({ error }) => error.code);
  assert.deepEqual(codes(await sets.add("s", ["192.0.2.1"], { exist: false })), ["EXIST"]);
  assert.deepEqual(await sets.delete("s", ["192.0.2.2"]), []);
  assert.deepEqual(codes(await sets.delete("s", ["192.0.2.2"], { exist: false })), ["EXIST"]);
  assert.equal(await sets.test("s", "192.0.2.1"), true);
  assert.equal(await sets.test("s", "192.0.2.2"), false);
  await sets.flush("s");
  assert.deepEqual((await sets.list("s"))?.members, []);
  await sets.destroy("s");
  await sets.destroy("s");
  await assert.rejects(sets.destroy("s", { exist: false }), { code: "SET_NOT_FOUND" });
  await assert.rejects(sets.flush("s"), { code: "SET_NOT_FOUND" });
  await assert.rejects(sets.test("s", "192.0.2.1"), { code: "SET_NOT_FOUND" });
});

test("a set in use is swapped under its rule, and only the other can be destroyed", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, sets } = set;
  await sets.create({ name: SUBNETS, type: "hash:net", timeout: 0 });
  await sets.add(SUBNETS, [forEver("10.233.64.0/24")]);
  const rule = ["-m", "set", "--match-set", SUBNETS, "src", "-j", "ACCEPT"];
  namespace.run("iptables", "-A", "FORWARD", ...rule);
  assert.equal((await sets.header(SUBNETS))?.references, 1);
  await assert.rejects(sets.destroy(SUBNETS), { code: "SET_BUSY" });
  await assert.rejects(sets.rename(SUBNETS, "other"), { code: "REFERENCED" });
  await sets.create({ name: "next", type: "hash:net", timeout: 0 });
  await sets.add("next", [forEver("10.233.65.0/24")]);
  await sets.swap(SUBNETS, "next");
  assert.deepEqual((await sets.list(SUBNETS))?.members, [forEver("10.233.65.0/24")]);
  assert.equal((await sets.header(SUBNETS))?.references, 1);
  await sets.rename("next", "old");
  await sets.destroy("old");
  assert.deepEqual(await sets.names(), [SUBNETS]);
  await assert.rejects(sets.swap(SUBNETS, "missing"), { code: "SECOND_SET" });
  await sets.create({ name: "ips", type: "hash:ip", timeout: 0 });
  await assert.rejects(sets.swap(SUBNETS, "ips"), { code: "TYPE_MISMATCH" });
  await assert.rejects(sets.rename("ips", SUBNETS), { code: "SECOND_SET" });
  assert.match(
    namespace.run("iptables", "-S", "FORWARD"),
    new RegExp(`--match-set ${SUBNETS} src`),
  );
  namespace.run("iptables", "-D", "FORWARD", ...rule);
});

test("addresses with ports, both families, timeouts that run, comments", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, sets } = set;
  const members = [{ member: "192.0.2.1,tcp:179", comment: "bgp" }, { member: "192.0.2.1,udp:53" }];
  await sets.create({ name: "p", type: "hash:ip,port", comment: true });
  assert.deepEqual(await sets.add("p", members), []);
  assert.deepEqual(namespace.run("ipset", "save", "p", "-sorted").trim().split("\n"), [
    "create p hash:ip,port family inet hashsize 1024 maxelem 65536 comment",
    'add p 192.0.2.1,tcp:179 comment "bgp"',
    "add p 192.0.2.1,udp:53",
  ]);
  const found = (await sets.list("p"))?.members ?? [];
  assert.deepEqual(
    new Set(found.map((entry) => formatEntry(entry))),
    new Set(members.map(formatEntry)),
  );
  await sets.create({ name: "q", type: "hash:ip", family: 6, timeout: 600 });
  await sets.add("q", ["fd00::1", { member: "fd00::2", timeout: 60 }]);
  const left = new Map(
    (await sets.list("q"))?.members.map((entry) => [entry.member, entry.timeout]),
  );
  assert.ok((left.get("fd00::1") ?? 0) > 590);
  assert.ok((left.get("fd00::2") ?? 99) <= 60);
});

test("a full set refuses what is too much, and the rest is not tried for ever", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { sets } = set;
  // Of a small table the kernel drops buckets only when they are full, so maxelem is what counts.
  await sets.create({ name: "s", type: "hash:ip", maxElements: 1_000 });
  const members = Array.from({ length: 3_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const failures = await sets.add("s", members);
  const listed = await sets.list("s");
  assert.equal(failures.length + (listed?.members.length ?? 0), members.length);
  assert.deepEqual(
    [...new Set(failures.map(({ error }) => error.code))],
    ["SET_FULL", "ECANCELED"],
  );
  assert.equal(failures.filter(({ error }) => error.code === "SET_FULL").length, 64);
});

test("what a set cannot hold is refused by name", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, sets } = set;
  await sets.create({ name: "s", type: "hash:net" });
  const codes = async (entries: readonly SetEntry[]) =>
    (await sets.add("s", entries)).map(({ error }) => error.code);
  assert.deepEqual(await codes([{ member: "10.0.0.0/24", timeout: 5 }]), ["TIMEOUT"]);
  assert.deepEqual(await codes([{ member: "10.0.0.0/24", comment: "no" }]), ["COMMENT"]);
  assert.deepEqual(await codes([{ member: "10.0.0.0/24", comment: "x".repeat(300) }]), ["EINVAL"]);
  assert.deepEqual(await codes([{ member: "fd00::/64" }]), ["PROTOCOL"]);
  const bad = { member: "10.0.0.0/24", timeout: 1.5 };
  assert.deepEqual(await codes([{ member: "10.1.0.0/24" }, bad, { member: "10.2.0.0/24" }]), [
    "EINVAL",
  ]);
  assert.equal((await sets.header("s"))?.elements, 2);
  await assert.rejects(sets.create({ name: "x".repeat(32), type: "hash:net" }), { code: "EINVAL" });
  await assert.rejects(sets.create({ name: "", type: "hash:net" }), { code: "EINVAL" });
  namespace.run("ipset", "create", "m", "bitmap:port", "range", "0-100");
  namespace.run("ipset", "add", "m", "80");
  assert.equal((await sets.header("m"))?.type, "bitmap:port");
  await assert.rejects(sets.list("m"), { code: "EOPNOTSUPP", message: /bitmap:port/ });
});

test("a process ends by itself, with the socket open or closed", () => {
  const index = new URL("../src/index.ts", import.meta.url).href;
  const source = `import { IpSets } from ${JSON.stringify(index)};
    const sets = new IpSets();
    await sets.names().catch((error) => error);
    new IpSets().close();`;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(child.signal, null);
  assert.equal(child.status, 0, child.stderr);
});
