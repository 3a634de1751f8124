/** What is to be done to the links of a node, for each state in which they may be found. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostAddress, HostLink } from "../../src/cni/host-links.ts";
import { type LinksWanted, planLinks } from "../../src/cni/links-plan.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { address as ip } from "../support/address.ts";

const wanted: LinksWanted = {
  kind: "bridge",
  nodeIps: [ip("192.168.50.50")],
  podCidrs: [prefix("10.233.64.0/24")],
  autoMtu: true,
  overheadBytes: 0,
  gateways: [],
  taken: [],
};

const link = (index: number, name: string, fields: Partial<HostLink> = {}): HostLink => ({
  index,
  name,
  kind: undefined,
  mtu: 1500,
  up: true,
  loopback: false,
  masterIndex: 0,
  hairpin: false,
  ...fields,
});
const at = (linkIndex: number, address: string, length = 24): HostAddress => ({
  linkIndex,
  address: ip(address),
  length,
});

const LO = link(1, "lo", { mtu: 65536, loopback: true });
const NODE = link(2, "enp1s0");
const NODE_ADDRESS = at(2, "192.168.50.50");
const bridge = (fields: Partial<HostLink> = {}) =>
  link(5, "kube-bridge", { kind: "bridge", ...fields });
const pod = (index: number, master = 5) =>
  link(index, `veth${index}`, { kind: "veth", masterIndex: master });

/** A machine that has the node's interface, and these. */
const host = (links: readonly HostLink[] = [], addresses: readonly HostAddress[] = []) => ({
  links: [LO, NODE, ...links],
  addresses: [at(1, "127.0.0.1", 8), NODE_ADDRESS, ...addresses],
});

test("no bridge: it is made, with the MTU of the node's interface and a lasting address", () => {
  const plan = planLinks(host(), wanted, undefined);
  assert.deepEqual(plan.operations, [
    { kind: "create-bridge", name: "kube-bridge", mtu: 1500, linkAddress: "0a:58:c0:a8:32:32" },
  ]);
  assert.deepEqual([plan.ready, plan.nodeLink, plan.mtu], [false, "enp1s0", 1500]);
  assert.deepEqual(plan.conditions, []);
});

test("a bridge as it should be: nothing to do", () => {
  const plan = planLinks(host([bridge()]), wanted, undefined);
  assert.deepEqual([plan.operations, plan.conditions, plan.ready], [[], [], true]);
});

test("a bridge that is down, or as wide as it should not be", () => {
  const cases: readonly (readonly [Partial<HostLink>, object])[] = [
    [{ up: false }, { up: true }],
    [{ mtu: 1400 }, { mtu: 1500 }],
    [
      { up: false, mtu: 9000 },
      { up: true, mtu: 1500 },
    ],
  ];
  for (const [fields, change] of cases) {
    const plan = planLinks(host([bridge(fields)]), wanted, undefined);
    assert.deepEqual(plan.operations, [{ kind: "set", index: 5, change }]);
    assert.equal(plan.ready, fields.up ?? true);
  }
});

test("the MTU: of the narrowest interface with a node address, less the tunnels' share", () => {
  const links = [
    link(2, "enp1s0", { mtu: 9000 }),
    link(3, "enp2s0", { mtu: 1480 }),
    bridge({ mtu: 7 }),
  ];
  const addresses = [NODE_ADDRESS, at(3, "2001:db8::50", 64)];
  const mtu = (nodeIps: readonly IpAddress[], overheadBytes: number) =>
    planLinks({ links, addresses }, { ...wanted, nodeIps, overheadBytes }, undefined).mtu;
  const [v4, v6] = [ip("192.168.50.50"), ip("2001:db8::50")];
  assert.equal(mtu([v4], 0), 9000);
  assert.equal(mtu([v4], 50), 8950);
  assert.equal(mtu([v4, v6], 0), 1480);
  assert.equal(mtu([v6], 300), 1280, "what IPv6 must carry");
  assert.equal(mtu([v4], 8900), 576);
});

test("a node address on the loopback says nothing about the MTU", () => {
  const addresses = [at(1, "192.168.50.50", 32)];
  const plan = planLinks({ links: [LO, NODE, bridge()], addresses }, wanted, undefined);
  assert.deepEqual([plan.mtu, plan.nodeLink, plan.operations], [1500, "lo", []]);
});

test("without --auto-mtu the bridge keeps the MTU that it has", () => {
  const plan = planLinks(host([bridge({ mtu: 1400 })]), { ...wanted, autoMtu: false }, undefined);
  assert.deepEqual([plan.mtu, plan.nodeLink, plan.operations], [undefined, "enp1s0", []]);
});

test("a node address that no interface has is named, and the MTU left alone", () => {
  const links = [LO, NODE, bridge({ mtu: 1234 })];
  const plan = planLinks({ links, addresses: [] }, wanted, undefined);
  assert.deepEqual(
    [plan.mtu, plan.nodeLink, plan.operations, plan.ready],
    [undefined, undefined, [], true],
  );
  assert.deepEqual(
    plan.conditions.map(({ name, severity }) => [name, severity]),
    [["node-address-missing", "warning"]],
  );
  assert.match(plan.conditions[0]!.message, /192\.168\.50\.50/);
});

test("something else of that name is left alone", () => {
  for (const kind of ["dummy", undefined]) {
    const taken = link(5, "kube-bridge", { kind, up: false, mtu: 9 });
    const plan = planLinks(host([taken]), wanted, undefined);
    assert.deepEqual([plan.operations, plan.ready, plan.foreign], [[], false, undefined]);
    assert.deepEqual(
      plan.conditions.map((condition) => condition.name),
      ["pod-bridge-not-a-bridge"],
    );
    assert.match(plan.conditions[0]!.message, new RegExp(`kube-bridge is ${kind ?? "a device"},`));
  }
});

test("somebody's bridge with a port that is no pod's is left alone", () => {
  const port = link(7, "enp3s0", { masterIndex: 5 });
  const plan = planLinks(host([bridge({ up: false, mtu: 9000 }), pod(6), port]), wanted, undefined);
  assert.deepEqual([plan.operations, plan.ready], [[], false]);
  assert.match(plan.conditions[0]!.message, /its port enp3s0 is no pod's/);
  // For whoever connects pods, which has no other reason not to.
  assert.equal(plan.foreign, plan.conditions[0]!.message);
});

test("of many ports that are no pods' the first are named, and the others counted", () => {
  const ports = [0, 1, 2, 3, 4, 5, 6].map((n) => link(20 + n, `eth${n}`, { masterIndex: 5 }));
  const plan = planLinks(host([bridge(), ...ports]), wanted, undefined);
  assert.match(plan.foreign!, /its port eth0, eth1, eth2, eth3, eth4 and 2 more is no pod's/);
});

test("an address of an earlier pod CIDR is named, a link-local one is not", () => {
  const addresses = [at(5, "10.233.66.1"), at(5, "10.233.64.1"), at(5, "fe80::1", 64)];
  const plan = planLinks(host([bridge(), pod(6)], addresses), wanted, undefined);
  assert.equal(plan.ready, true);
  assert.equal(plan.conditions.length, 1);
  assert.match(plan.conditions[0]!.message, /has the address 10\.233\.66\.1\/24, which/);
  const early = { ...wanted, podCidrs: [] };
  assert.deepEqual(planLinks(host([bridge(), pod(6)], addresses), early, undefined).conditions, []);
});

test("ptp needs no bridge and touches none", () => {
  const plan = planLinks(host([bridge({ up: false })]), { ...wanted, kind: "ptp" }, undefined);
  assert.deepEqual([plan.operations, plan.ready, plan.mtu], [[], true, 1500]);
});
