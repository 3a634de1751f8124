/** Links, addresses, rules and neighbours in the running kernel; checked with the ip program. */
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { type Link, LinkFlag, RouteNetlink, RuleFlag } from "../src/index.ts";
import { encodeInterfaceAddress } from "../src/interface-address.ts";
import { linuxSys } from "../src/libc.ts";
import { Flag } from "../src/message.ts";
import { MessageWriter } from "../src/message-writer.ts";
import { openNetlink, Protocol } from "../src/netlink-fd.ts";
import { Rtm } from "../src/rtm.ts";
import type { Sys } from "../src/sys.ts";
import { Namespace } from "./support/namespace.ts";

function setUp(t: TestContext) {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return undefined;
  const netlink = namespace.enter(() => new RouteNetlink());
  t.after(() => netlink.close());
  return { namespace, netlink };
}

/** What `ip -d -j link show NAME` says. */
function shown(namespace: Namespace, name: string): Record<string, unknown> {
  return JSON.parse(namespace.ip(`-d -j link show ${name}`))[0];
}

const isUp = (link: Link | undefined) => link !== undefined && (link.flags & LinkFlag.UP) !== 0;

test("a veth pair is made, changed, renamed, moved and removed", async (t) => {
  const set = setUp(t);
  const other = Namespace.make(t);
  if (set === undefined || other === undefined) return;
  const { namespace, netlink } = set;
  await netlink.links.create({
    name: "v0",
    linkAddress: "02:00:00:00:00:01",
    info: { kind: "veth", peer: { name: "v1", mtu: 1400 } },
  });
  assert.equal(shown(namespace, "v0")["address"], "02:00:00:00:00:01");
  assert.equal(shown(namespace, "v1")["mtu"], 1400);
  await netlink.links.set("v0", { up: true, mtu: 1300 });
  const v0 = await netlink.links.get("v0");
  assert.ok(isUp(v0));
  assert.equal(v0?.mtu, 1300);
  assert.equal(v0?.info?.kind, "veth");
  assert.deepEqual(await netlink.links.get(v0?.index ?? 0), v0);
  await netlink.links.set("v0", { up: false });
  assert.ok(!isUp(await netlink.links.get("v0")));
  await netlink.links.set("v0", { name: "renamed" });
  assert.equal(shown(namespace, "renamed")["operstate"], "DOWN");

  const file = openSync(`/run/netns/${other.name}`, "r");
  await netlink.links.set("v1", { namespaceFd: file, name: "eth0" });
  closeSync(file);
  assert.equal(shown(other, "eth0")["mtu"], 1400);
  assert.deepEqual(
    (await netlink.links.list()).map((link) => link.name),
    ["lo", "renamed"],
  );
  await netlink.links.delete("renamed");
  assert.equal(await netlink.links.get("renamed"), undefined);
  await assert.rejects(netlink.links.delete("renamed"), { code: "ENODEV" });
  assert.throws(() => other.ip("link show eth0"));
});

test("a bridge takes ports, a vxlan has its parameters", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  await netlink.links.create({ name: "br0", up: true, info: { kind: "bridge" } });
  await assert.rejects(netlink.links.create({ name: "br0", info: { kind: "bridge" } }), {
    code: "EEXIST",
  });
  const vxlan = { id: 42, local: "192.0.2.1", learning: false, port: 4789 };
  await netlink.links.create({ name: "vx0", info: { kind: "vxlan", vxlan } });
  const bridge = await netlink.links.get("br0");
  await netlink.links.set("vx0", { masterIndex: bridge?.index ?? 0 });
  assert.equal(shown(namespace, "vx0")["master"], "br0");
  const info = (shown(namespace, "vx0")["linkinfo"] as Record<string, object>)["info_data"];
  assert.partialDeepStrictEqual(info, { id: 42, local: "192.0.2.1", learning: false, port: 4789 });
  const listed = await netlink.links.get("vx0");
  assert.partialDeepStrictEqual(listed, { masterIndex: bridge?.index, info: { vxlan } });
  const tuned = { ttl: 3, df: 1, learning: true };
  await netlink.links.set("vx0", { info: { kind: "vxlan", vxlan: tuned } });
  const now = (shown(namespace, "vx0")["linkinfo"] as Record<string, object>)["info_data"];
  assert.partialDeepStrictEqual(now, { id: 42, ttl: 3, df: "set", learning: true, port: 4789 });
  const changed = await netlink.links.get("vx0");
  assert.partialDeepStrictEqual(changed, { info: { vxlan: { ...vxlan, ...tuned } } });
  await netlink.links.set("vx0", { masterIndex: 0 });
  assert.equal(shown(namespace, "vx0")["master"], undefined);
  await assert.rejects(netlink.links.create({ name: "x", info: { kind: "no-such" } }), {
    code: "EOPNOTSUPP",
  });
});

test("index 0 is no link, whatever name a change gives", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { links } = set.netlink;
  await links.create({ name: "br0", info: { kind: "bridge" } });
  await assert.rejects(links.set(0, { name: "br0", mtu: 1400 }), { code: "EINVAL" });
  assert.equal((await links.get("br0"))?.mtu, 1500);
  await assert.rejects(links.get(0), { code: "EINVAL" });
  await assert.rejects(links.delete(0), { code: "EINVAL" });
});

test("addresses of both families are added, listed and deleted", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  namespace.ip("link add v0 type veth peer name v1");
  const interfaceIndex = namespace.index("v0");
  const ipv4 = { interfaceIndex, address: "192.0.2.1/24", broadcast: "192.0.2.255", label: "v0:a" };
  const ipv6 = { interfaceIndex, address: "fd00::1/64" };
  const peer = { interfaceIndex, address: "198.51.100.1/32", peer: "198.51.100.2" };
  for (const address of [ipv4, ipv6, peer]) await netlink.addresses.add(address);
  const show = namespace.ip("address show v0");
  assert.match(show, /inet 192\.0\.2\.1\/24 brd 192\.0\.2\.255 scope global v0:a/);
  assert.match(show, /inet6 fd00::1\/64 scope global/);
  assert.match(show, /inet 198\.51\.100\.1 peer 198\.51\.100\.2\/32/);
  const listed = await netlink.addresses.list({ interfaceIndex, family: 4 });
  assert.partialDeepStrictEqual(listed, [ipv4, peer]);
  assert.equal(listed[0]?.peer, undefined);
  assert.partialDeepStrictEqual(await netlink.addresses.list({ family: 6, interfaceIndex }), [
    ipv6,
  ]);
  // In the kernel's own words, where it has some for this: 6.1 has none.
  await assert.rejects(netlink.addresses.add(ipv4), {
    code: "EEXIST",
    message: /^EEXIST: (ipv4: Address already assigned|file already exists)$/,
  });
  await netlink.addresses.replace(ipv4);
  for (const address of listed) await netlink.addresses.delete(address);
  await netlink.addresses.delete(ipv6);
  assert.deepEqual(await netlink.addresses.list({ interfaceIndex }), []);
  await assert.rejects(netlink.addresses.delete(ipv4), { code: "EADDRNOTAVAIL" });
});

test("addresses are listed although they change without a pause, for a while", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const MANY = 1000;
  const lines = Array.from({ length: MANY }, (_, i) => `10.96.${i >> 8}.${i & 255}/32 dev v0`);
  namespace.ipBatch(lines.map((line) => `address add ${line}`));
  const { fd } = namespace.enter(() => openNetlink(linuxSys, Protocol.ROUTE, 1 << 20, () => {}));
  const index = namespace.index("v0");
  let changes = 0;
  /** One address comes or goes with each part that is read: no listing is whole. */
  const change = () => {
    const writer = new MessageWriter();
    writer.begin(changes++ % 2 === 0 ? Rtm.NEWADDR : Rtm.DELADDR, Flag.REQUEST | Flag.CREATE);
    encodeInterfaceAddress(writer, { interfaceIndex: index, address: "10.97.0.1/32" });
    writer.end();
    writer.seal(changes, 0);
    linuxSys.send(fd, writer.bytes, writer.length);
  };
  let isChanging = true;
  const sys: Sys = {
    ...linuxSys,
    receive(...given) {
      if (isChanging) change();
      return linuxSys.receive(...given);
    },
  };
  const netlink = namespace.enter(() => new RouteNetlink({ sys }));
  t.after(() => {
    netlink.close();
    linuxSys.close(fd);
  });
  setTimeout(() => {
    isChanging = false;
  }, 400);
  const listed = await netlink.addresses.list({});
  assert.ok(listed.length >= MANY + 1, `${listed.length} listed`);
});

test("rules are added, listed and deleted", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  const marked = { family: 4, priority: 100, mark: 0x10, markMask: 0xff, table: 300 } as const;
  const from = {
    family: 4,
    priority: 101,
    from: "10.0.0.0/8",
    to: "192.0.2.0/24",
    table: 77,
  } as const;
  const ipv6 = {
    family: 6,
    priority: 102,
    inputInterface: "lo",
    table: 77,
    flags: RuleFlag.INVERT,
  } as const;
  assert.deepEqual(
    await netlink.rules.apply([marked, from, ipv6].map((value) => ({ kind: "add", value }))),
    [undefined, undefined, undefined],
  );
  const rules = namespace.ip("rule list");
  assert.match(rules, /^100:\tfrom all fwmark 0x10\/0xff lookup 300/m);
  assert.match(rules, /^101:\tfrom 10\.0\.0\.0\/8 to 192\.0\.2\.0\/24 lookup 77/m);
  assert.match(namespace.ip("-6 rule list"), /^102:\tnot from all iif lo lookup 77/m);
  const listed = await netlink.rules.list({});
  const ours = listed.filter(({ priority = 0 }) => priority >= 100 && priority < 200);
  assert.partialDeepStrictEqual(ours, [marked, from, ipv6]);
  for (const rule of ours) await netlink.rules.delete(rule);
  assert.doesNotMatch(namespace.ip("rule list"), /^10[012]:/m);
  await assert.rejects(netlink.rules.delete(marked), { code: "ENOENT" });
});

test("a rule that is there is not replaced: the kernel adds a second one", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { netlink } = set;
  const rule = { family: 4, priority: 100, from: "10.0.0.0/8", table: 77 } as const;
  await netlink.rules.replace(rule);
  await assert.rejects(netlink.rules.add(rule), { code: "EEXIST" });
  await netlink.rules.replace(rule);
  const listed = await netlink.rules.list({ family: 4 });
  assert.equal(listed.filter(({ priority }) => priority === 100).length, 2);
});

test("neighbours and forwarding entries are added, listed and deleted", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  namespace.veth("v0", "192.0.2.1/24");
  namespace.ip("link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.1");
  const linkAddress = "02:00:00:00:00:09";
  const neighbour = {
    family: 4,
    interfaceIndex: namespace.index("v0"),
    destination: "192.0.2.9",
    linkAddress,
  } as const;
  const remote = {
    ...neighbour,
    family: "bridge",
    interfaceIndex: namespace.index("vx0"),
  } as const;
  await netlink.neighbours.add(neighbour);
  await netlink.neighbours.add(remote);
  assert.match(
    namespace.ip("neighbour show"),
    /192\.0\.2\.9 dev v0 lladdr 02:00:00:00:00:09 PERMANENT/,
  );
  assert.match(
    namespace.run("bridge", "fdb", "show", "dev", "vx0"),
    /02:00:00:00:00:09 dst 192\.0\.2\.9 self permanent/,
  );
  assert.partialDeepStrictEqual(await netlink.neighbours.list({ family: 4 }), [neighbour]);
  const fdb = { family: "bridge", interfaceIndex: remote.interfaceIndex } as const;
  assert.partialDeepStrictEqual(await netlink.neighbours.list(fdb), [remote]);
  await netlink.neighbours.delete(neighbour);
  await netlink.neighbours.delete(remote);
  assert.deepEqual(await netlink.neighbours.list(fdb), []);
});
