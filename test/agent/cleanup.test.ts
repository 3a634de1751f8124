/** What `podrouter cleanup` finds, removes and leaves, on a machine in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CleanupPorts, carryOutCleanup, planCleanup } from "../../src/agent/cleanup.ts";
import { planConflist } from "../../src/cni/conflist.ts";
import { type PacketFilter, PacketFilterError } from "../../src/cni/pod-rules.ts";
import { parseRules, type Rule } from "../../src/cni/rules.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { SetsError } from "../../src/ipset/ports.ts";
import type { ActualHeader } from "../../src/ipset/types.ts";
import { OverlayKernelError } from "../../src/overlay/ports.ts";
import { DEVICE_ALIAS } from "../../src/overlay/types.ts";
import { KernelUnavailableError } from "../../src/routes/ports.ts";
import type { KernelRoute } from "../../src/routes/types.ts";
import { FileError } from "../../src/runtime/files.ts";
import { FakeOverlay, FOREIGN_VXLAN } from "../overlay/fake-overlay.ts";
import { address } from "../routes/fake-kernel.ts";

const PATH = "/etc/cni/net.d/10-kuberouter.conflist";
const OURS = planConflist(undefined, {
  kind: "bridge",
  podCidrs: [prefix("10.233.64.0/24")],
  mtu: 1500,
});
const OUT = '-i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT';

const route = (to: string, protocol: number): KernelRoute => ({
  prefix: prefix(to),
  protocol,
  tos: 0,
  metric: 0,
  hops: [{ gateway: address("192.168.50.51"), link: 2, weight: 1 }],
  plain: true,
});

const header = (name: string, type: string, references = 0): ActualHeader => ({
  name,
  type,
  family: name.startsWith("inet6:") ? 6 : 4,
  maxElements: 65536,
  plain: true,
  elements: 3,
  references,
});

/** A machine with something of ours, and something of others, of each kind. */
function machine() {
  const files = new Map<string, string>(OURS.ok ? [[PATH, OURS.text!]] : []);
  const routes = [route("10.233.65.0/24", 17), route("10.9.0.0/16", 4)];
  const sets = new Map<string, ActualHeader>();
  for (const one of [
    header("kube-router-pod-subnets", "hash:net", 1),
    header("kube-router-node-ips", "hash:ip"),
    header("inet6:kube-router-node-ips", "hash:net"),
    header("KUBE-SRC-X", "hash:ip"),
  ]) {
    sets.set(one.name, one);
  }
  const forward = parseRules(`-A FORWARD -j KUBE-FORWARD\n-A FORWARD ${OUT}`, "FORWARD");
  const changed: string[] = [];
  const filter: PacketFilter = {
    version: "iptables v1.8.9 (nf_tables)",
    randomFully: true,
    async read(family) {
      if (family === 6)
        throw new PacketFilterError("failed", "ip6tables-nft: somebody has the lock");
      const none: readonly Rule[] = [];
      return { forward, postrouting: none, egressChain: undefined };
    },
    async change(family, table, lines) {
      changed.push(...lines.map((line) => `${family} ${table} ${line}`));
    },
    generation: async () => undefined,
  };
  const overlay = new FakeOverlay();
  overlay.addLink({ ...FOREIGN_VXLAN, index: 8 });
  overlay.addLink({ ...FOREIGN_VXLAN, index: 9, name: "podrouter-vx4", alias: DEVICE_ALIAS });
  overlay.put({ kind: "rule", from: prefix("10.233.64.0/24") });
  const to = prefix("192.168.51.50/32");
  overlay.put({ kind: "route", prefix: to, link: 9, gateway: address("192.168.51.50") });
  overlay.put({ kind: "route", prefix: prefix("192.0.2.1/32"), link: 2, gateway: undefined }, true);
  const ports: CleanupPorts = {
    routes: {
      dumpTopology: async () => ({
        links: [{ index: 2, name: "enp1s0", up: true }],
        addresses: [],
      }),
      async dumpRoutes(begin) {
        const visit = begin();
        for (const one of routes) visit(one);
      },
      async apply(batch) {
        for (const { prefix: to } of batch.operations()) {
          routes.splice(
            routes.findIndex((one) => one.prefix === to),
            1,
          );
        }
        return new Map();
      },
    },
    sets: {
      header: async (name) => sets.get(name),
      async destroy(name) {
        if (sets.get(name)?.references !== 0) throw new SetsError("busy", "it is in use");
        sets.delete(name);
      },
    },
    overlay,
    filters: async () => ({ holding: [{ filter, families: [4] }], unseen: [] }),
    files: { read: async (path) => files.get(path) },
    removeFile: async (path) => void files.delete(path),
    fileExists: (path) => files.has(path),
  };
  return { ports, files, routes, sets, changed, overlay, filter };
}

test("what is ours is listed, and only that", async () => {
  const { ports } = machine();
  const plan = await planCleanup(PATH, ports);
  assert.deepEqual(plan.lines, [
    `file ${PATH}`,
    `iptables -t filter -D FORWARD ${OUT}`,
    "route 10.233.65.0/24 via 192.168.50.51 dev enp1s0 proto 17",
    "rule from 10.233.64.0/24 lookup 77",
    "route 192.168.51.50/32 via 192.168.51.50 dev podrouter-vx4 table 77 proto 17",
    "tunnel podrouter-vx4 (vxlan)",
    "ipset kube-router-pod-subnets",
    "ipset kube-router-node-ips",
  ]);
  assert.deepEqual(plan.notes, [
    "ipset inet6:kube-router-node-ips stays, since it is not ours: " +
      "it is of type hash:net family inet6, not hash:ip family inet6",
  ]);
});

test("what is listed is removed, the rest stays, and what is in the way is said", async () => {
  const { ports, files, routes, sets, changed } = machine();
  const { removed, left } = await carryOutCleanup(await planCleanup(PATH, ports), ports);
  assert.deepEqual(removed, [
    `file ${PATH}`,
    "packet rules (IPv4): 1",
    "routes of protocol 17: 1",
    "tunnels, and routes and rules of table 77: 3",
    "ipset kube-router-node-ips",
  ]);
  assert.deepEqual(left, ["ipset kube-router-pod-subnets: it is in use"]);
  assert.equal(files.size, 0);
  assert.deepEqual(
    routes.map((one) => one.prefix),
    ["10.9.0.0/16"],
  );
  assert.ok(sets.has("KUBE-SRC-X") && sets.has("inet6:kube-router-node-ips"));
  assert.deepEqual(changed, [`4 filter -D FORWARD ${OUT}`]);
});

test("a configuration that was taken over stays", async () => {
  const { ports, files } = machine();
  files.set(PATH, JSON.stringify({ name: "mynet", plugins: [{ type: "bridge" }] }));
  const plan = await planCleanup(PATH, ports);
  assert.equal(plan.conflist, undefined);
  assert.ok(plan.notes.includes(`file ${PATH} stays: it was there before podrouter`));
});

test("many routes are counted, not all named", async () => {
  const { ports, routes } = machine();
  for (let i = 0; i < 100; i++) routes.push(route(`10.234.${i}.0/24`, 17));
  const plan = await planCleanup(PATH, ports);
  const named = plan.lines.filter((line) => /^route .*(?<!table 77 )proto 17$/.test(line));
  assert.equal(named.length, 20);
  assert.ok(plan.lines.includes("and 81 more routes of protocol 17"));
});

test("what cannot be looked at is said, and the rest is done", async () => {
  const { ports } = machine();
  const broken: CleanupPorts = {
    ...ports,
    files: { read: async (path) => Promise.reject(new FileError(path, "EACCES")) },
    routes: {
      ...ports.routes,
      dumpTopology: async () => Promise.reject(new KernelUnavailableError("EPERM", "no")),
    },
    sets: { ...ports.sets, header: async () => Promise.reject(new SetsError("unavailable", "no")) },
    overlay: {
      apply: async () => [],
      read: () => Promise.reject(new OverlayKernelError("EPERM", "no")),
    },
  };
  const plan = await planCleanup(PATH, broken);
  assert.equal(plan.lines.length, 1);
  assert.deepEqual(plan.notes, [
    `${PATH}: permission denied`,
    "the routes cannot be listed: no",
    "the tunnels cannot be listed: no",
    "the ipsets cannot be listed: no",
  ]);
  assert.deepEqual(plan.unseen, plan.notes.slice(0, 3));
});

test("a node whose packet rules cannot be listed is not taken for clean", async () => {
  const { ports, filter } = machine();
  const holding = [{ filter, families: [4, 6] as const }];
  const locked = { ...ports, filters: async () => ({ holding, unseen: [] }) };
  const plan = await planCleanup(PATH, locked);
  assert.ok(plan.lines.includes(`iptables -t filter -D FORWARD ${OUT}`));
  assert.deepEqual(plan.unseen, [
    "the packet rules cannot be listed: ip6tables-nft: somebody has the lock",
  ]);
  const mute = { holding, unseen: ["iptables-legacy-save: no"] };
  assert.deepEqual((await planCleanup(PATH, { ...ports, filters: async () => mute })).unseen, [
    "the packet rules cannot be listed: iptables-legacy-save: no",
    ...plan.unseen,
  ]);
  const error = new PacketFilterError("failed", "iptables-nft: spawn iptables-nft EMFILE");
  const { unseen } = await planCleanup(PATH, { ...ports, filters: () => Promise.reject(error) });
  assert.match(unseen.join(), /^the packet rules cannot be listed: iptables-nft: .*EMFILE$/);
});

test("leases and socket of the own plugin go, where the configuration has them", async () => {
  const { ports, files } = machine();
  const own = { socket: "/run/x/cni.sock", leases: "/var/lib/x/pod-leases.json" };
  const podCidrs = [prefix("10.233.64.0/24")];
  const list = planConflist(undefined, { kind: "podrouter", own, podCidrs, mtu: 1500 });
  assert.ok(list.ok);
  files.set(PATH, list.text!);
  for (const path of [own.socket, own.leases, "/run/podrouter/cni.sock"]) files.set(path, "");
  const plan = await planCleanup(PATH, ports);
  assert.deepEqual(plan.lines.slice(0, 3), [
    `file ${PATH}`,
    `file ${own.leases}`,
    `file ${own.socket}`,
  ]);
  await carryOutCleanup(plan, ports);
  assert.deepEqual([...files.keys()], ["/run/podrouter/cni.sock"]);
  // Without the configuration they are looked for where they are by default.
  const again = await planCleanup(PATH, ports);
  assert.deepEqual(again.pluginFiles, ["/run/podrouter/cni.sock"]);
});
