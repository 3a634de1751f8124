/** What running pods need of kube-bridge when it is removed, or the Node gets another pod CIDR. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BridgeMemory } from "../../src/cni/bridge-memory.ts";
import type { HostAddress, HostLink, HostLinks, LinkOperation } from "../../src/cni/host-links.ts";
import { type LinksWanted, planLinks } from "../../src/cni/links-plan.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { address as ip } from "../support/address.ts";

const wanted: LinksWanted = {
  kind: "bridge",
  nodeIps: [ip("192.168.50.50")],
  podCidrs: [prefix("10.233.64.0/24")],
  autoMtu: false,
  overheadBytes: 0,
  gateways: [],
  taken: [],
};

const link = (index: number, name: string, fields: Partial<HostLink>): HostLink => ({
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
const bridge = (index = 5) => link(index, "kube-bridge", { kind: "bridge" });
const pod = (index: number, master = 5, hairpin = true) =>
  link(index, `veth${index}`, { kind: "veth", masterIndex: master, hairpin });
const at = (linkIndex: number, address: string, length = 24): HostAddress => ({
  linkIndex,
  address: ip(address),
  length,
});
const host = (links: readonly HostLink[], addresses: readonly HostAddress[] = []): HostLinks => ({
  links: [link(2, "enp1s0", {}), ...links],
  addresses: [at(2, "192.168.50.50"), ...addresses],
});
/** An operation on an address of the bridge. */
const change = (kind: "add-address" | "remove-address", address: string, index = 5) => {
  return { kind, index, address: ip(address), length: 24 };
};

test("a bridge that is removed under running pods is made whole, hairpin mode and all", () => {
  const addresses = [at(5, "10.233.64.1"), at(5, "10.233.66.1"), at(5, "fe80::1", 64)];
  const links = [bridge(), pod(6), pod(7), pod(12, 5, false)];
  const before = planLinks(host(links, addresses), wanted, undefined);
  const gone = planLinks(host([pod(6, 0, false), pod(7, 0, false)]), wanted, before.memory);
  assert.deepEqual(
    gone.operations.map(({ kind }) => kind),
    ["create-bridge"],
  );
  // Pod 7 is gone meanwhile, pod 8 was never a port, 10 took another master.
  const made = [bridge(9), pod(6, 0, false), pod(12, 0, false), pod(8, 0), pod(10, 11)];
  const back = planLinks(host(made), wanted, gone.memory);
  const expected: readonly LinkOperation[] = [
    change("add-address", "10.233.64.1", 9),
    { kind: "set", index: 6, change: { masterIndex: 9 } },
    { kind: "set", index: 12, change: { masterIndex: 9 } },
    change("add-address", "10.233.66.1", 9),
  ];
  assert.deepEqual(back.operations, expected);
  const ports = [bridge(9), pod(6, 9, false), pod(12, 9, false), pod(8, 0)];
  const both = [at(9, "10.233.64.1"), at(9, "10.233.66.1")];
  const joined = planLinks(host(ports, both), wanted, back.memory);
  assert.deepEqual(joined.operations, [{ kind: "set", index: 6, change: { hairpin: true } }]);
  const whole = host([bridge(9), pod(6, 9), pod(12, 9, false), pod(8, 0)], both);
  const after = planLinks(whole, wanted, joined.memory);
  assert.deepEqual(after.operations, []);
  assert.deepEqual<BridgeMemory | undefined>(after.memory, {
    index: 9,
    ports: [
      { index: 6, hairpin: true },
      { index: 12, hairpin: false },
    ],
    addresses: [
      { address: ip("10.233.64.1"), length: 24 },
      { address: ip("10.233.66.1"), length: 24 },
    ],
    former: [{ address: ip("10.233.66.1"), length: 24, ports: [6, 7, 12] }],
  });
});

test("a lost gateway is put back for the ports that there are, unless there is another", () => {
  const ports = [bridge(), pod(6)];
  const { memory } = planLinks(host(ports, [at(5, "10.233.64.1")]), wanted, undefined);
  const lost = planLinks(host(ports), wanted, memory);
  assert.deepEqual(lost.operations, [change("add-address", "10.233.64.1")]);
  const other = planLinks(host(ports, [at(5, "10.233.64.254")]), wanted, memory);
  assert.deepEqual(other.operations, []);
  assert.deepEqual(planLinks(host([bridge()]), wanted, memory).operations, []);
});

test("an IPv6 gateway that was lost while nobody looked is put back for running pods", () => {
  const six = prefix("fd00:40::/64");
  const gateways = [
    { address: ip("10.233.64.1"), length: 24 },
    { address: ip("fd00:40::1"), length: 64 },
    { address: ip("fd00:99::1"), length: 64 },
  ];
  const dual = { ...wanted, podCidrs: [...wanted.podCidrs, six], gateways };
  const ports = [bridge(), pod(6)];
  const operations = (links: readonly HostLink[], addresses: readonly HostAddress[]) =>
    planLinks(host(links, addresses), dual, undefined).operations;
  const back = { ...change("add-address", "fd00:40::1"), length: 64 };
  assert.deepEqual(operations(ports, [at(5, "10.233.64.1")]), [back]);
  // Not that of IPv4, which is taken away by hand alone; a second one would stop the bridge plugin.
  assert.deepEqual(operations(ports, []), [back]);
  assert.deepEqual(operations(ports, [at(5, "fd00:40::fe", 64)]), []);
  assert.deepEqual(operations([bridge()], []), [], "there is no pod");
  // What was seen counts more than what the configuration says.
  const seen = planLinks(host(ports, [at(5, "fd00:40::fe", 64)]), dual, undefined).memory;
  assert.deepEqual(planLinks(host(ports), dual, seen).operations, [
    { ...change("add-address", "fd00:40::fe"), length: 64 },
  ]);
});

test("a pod that was taken off the bridge, or off hairpin, while it is there is left so", () => {
  const before = planLinks(host([bridge(), pod(6), pod(7)]), wanted, undefined);
  const plan = planLinks(host([bridge(), pod(6, 0), pod(7, 5, false)]), wanted, before.memory);
  assert.deepEqual(plan.operations, []);
});

test("the gateway of an earlier pod CIDR stays as long as a pod that may use it", () => {
  const moved = { ...wanted, podCidrs: [prefix("10.233.68.0/24")] };
  const [old, fresh] = [at(5, "10.233.64.1"), at(5, "10.233.68.1")];
  const before = planLinks(host([bridge(), pod(6), pod(7)], [old]), wanted, undefined);
  assert.deepEqual(before.conditions, []);
  const changed = planLinks(host([bridge(), pod(6), pod(7)], [old]), moved, before.memory);
  assert.deepEqual(changed.operations, []);
  assert.match(
    changed.conditions[0]!.message,
    /has the address 10\.233\.64\.1\/24, which is in no/,
  );
  assert.deepEqual(changed.former, [ip("10.233.64.1")]);

  // The plugin makes pod 8 and takes the old gateway away.
  const added = planLinks(host([bridge(), pod(6), pod(7), pod(8)], [fresh]), moved, changed.memory);
  assert.deepEqual(added.operations, [change("add-address", "10.233.64.1")]);
  const kept = planLinks(
    host([bridge(), pod(6), pod(7), pod(8)], [fresh, old]),
    moved,
    added.memory,
  );
  assert.deepEqual(kept.operations, []);

  const fewer = planLinks(host([bridge(), pod(7), pod(8)], [fresh, old]), moved, kept.memory);
  assert.deepEqual(fewer.operations, []);
  const last = planLinks(host([bridge(), pod(8)], [fresh, old]), moved, fewer.memory);
  assert.deepEqual(last.operations, [change("remove-address", "10.233.64.1")]);
  assert.deepEqual(last.conditions, []);
  const done = planLinks(host([bridge(), pod(8)], [fresh]), moved, last.memory);
  assert.deepEqual([done.operations, done.former, done.memory?.former], [[], [], []]);
});

test("it goes at once when another Node has that CIDR, and stays when the old one comes back", () => {
  const moved = { ...wanted, podCidrs: [prefix("10.233.68.0/24")] };
  const old = host([bridge(), pod(6)], [at(5, "10.233.64.1")]);
  const changed = planLinks(old, moved, undefined);
  const taken = planLinks(old, { ...moved, taken: [ip("10.233.64.1")] }, changed.memory);
  assert.deepEqual(taken.operations, [change("remove-address", "10.233.64.1")]);
  assert.deepEqual(taken.conditions, []);
  const returned = planLinks(old, wanted, changed.memory);
  assert.deepEqual([returned.operations, returned.former, returned.conditions], [[], [], []]);
});

test("before the Node has any pod CIDR nothing is out of place", () => {
  const early = { ...wanted, podCidrs: [] };
  const plan = planLinks(host([bridge()], [at(5, "10.233.64.1")]), early, undefined);
  assert.deepEqual([plan.operations, plan.conditions], [[], []]);
});

test("the only pod CIDR lost to another Node: the gateway goes with the last pod, not before", () => {
  const old = [at(5, "10.233.64.1")];
  const none = { ...wanted, podCidrs: [] };
  const lost = { ...none, taken: [ip("10.233.64.1")] };
  const first = planLinks(host([bridge(), pod(6)], old), none, undefined);
  assert.deepEqual(first.former, [ip("10.233.64.1")], "whether it is taken can be asked");
  const kept = planLinks(host([bridge(), pod(6)], old), lost, first.memory);
  assert.deepEqual([kept.operations, kept.former], [[], [ip("10.233.64.1")]]);
  // Plugins other than our own do not hear of it: a pod that was made meanwhile counts.
  const more = planLinks(host([bridge(), pod(7)], old), lost, kept.memory);
  assert.deepEqual([more.operations, more.conditions], [[], []]);
  const last = planLinks(host([bridge()], old), lost, more.memory);
  assert.deepEqual(last.operations, [change("remove-address", "10.233.64.1")]);
  const done = planLinks(host([bridge()]), lost, last.memory);
  assert.deepEqual([done.operations, done.former, done.memory?.former], [[], [], []]);
  // The other Node has given it back while pods ran.
  const back = planLinks(host([bridge(), pod(7)], old), wanted, more.memory);
  assert.deepEqual([back.operations, back.former], [[], []]);
  const asEver = planLinks(host([bridge()], old), none, more.memory);
  assert.deepEqual(asEver.operations, [], "nobody wants it");
});

test("of two families one lost to another Node: its gateway goes with the last pod of then", () => {
  const lost = { ...wanted, podCidrs: [prefix("fd00:64::/64")] };
  const taken = { ...lost, taken: [ip("10.233.64.1")] };
  const [old, other] = [at(5, "10.233.64.1"), at(5, "fd00:64::1", 64)];
  const first = planLinks(host([bridge(), pod(6)], [old, other]), lost, undefined);
  const kept = planLinks(host([bridge(), pod(6)], [old, other]), taken, first.memory);
  assert.deepEqual([kept.operations, kept.former], [[], [ip("10.233.64.1")]]);
  assert.match(kept.conditions[0]!.message, /has the address 10\.233\.64\.1\/24.* recreate them$/);
  const byHand = planLinks(host([bridge(), pod(6)], [other]), taken, kept.memory);
  assert.deepEqual(byHand.operations, []);
  // A pod that is made now has addresses of the other family alone.
  const last = planLinks(host([bridge(), pod(7)], [old, other]), taken, kept.memory);
  assert.deepEqual(last.operations, [change("remove-address", "10.233.64.1")]);
  const done = planLinks(host([bridge(), pod(7)], [other]), taken, last.memory);
  assert.deepEqual([done.operations, done.former, done.conditions], [[], [], []]);
});

test("a bridge removed while the Node has no pod CIDR has its gateway again, for pods that run", () => {
  const none = { ...wanted, podCidrs: [] };
  const old = [at(5, "10.233.64.1")];
  const before = planLinks(host([bridge(), pod(6)], old), wanted, undefined);
  const lost = planLinks(host([bridge(), pod(6)], old), none, before.memory);
  const gone = planLinks(host([pod(6, 0)]), none, lost.memory);
  const made = host([bridge(9), pod(6, 0)]);
  const join: LinkOperation = { kind: "set", index: 6, change: { masterIndex: 9 } };
  const back = planLinks(made, none, gone.memory);
  assert.deepEqual(back.operations, [join, change("add-address", "10.233.64.1", 9)]);
  const whole = host([bridge(9), pod(6, 9)], [at(9, "10.233.64.1")]);
  const after = planLinks(whole, none, back.memory);
  assert.deepEqual([after.operations, after.conditions], [[], []]);
  // Nobody uses it, or another Node has that CIDR: whoever removed the bridge may have meant it.
  assert.deepEqual(planLinks(host([bridge(9)]), none, gone.memory).operations, []);
  const taken = { ...none, taken: [ip("10.233.64.1")] };
  assert.deepEqual(planLinks(made, taken, gone.memory).operations, [join]);
  // It was taken away by hand before: it did not go with the bridge.
  const byHand = planLinks(host([bridge(), pod(6)]), none, lost.memory);
  assert.deepEqual(planLinks(made, none, byHand.memory).operations, [join]);
});

test("a gateway lost while the Node had no pod CIDR comes back with it, for running pods", () => {
  const none = { ...wanted, podCidrs: [] };
  const old = [at(5, "10.233.64.1")];
  const lost = planLinks(host([bridge(), pod(6)], old), none, undefined);
  // Somebody makes way for another Node: he is not contradicted, as long as the CIDR is not ours.
  const byHand = planLinks(host([bridge(), pod(6)]), none, lost.memory);
  assert.deepEqual(byHand.operations, []);
  const back = planLinks(host([bridge(), pod(6)]), wanted, byHand.memory);
  assert.deepEqual(back.operations, [change("add-address", "10.233.64.1")]);
  assert.deepEqual([back.conditions, back.former], [[], []]);
  // The pods are gone, or the gateway is another one by now.
  assert.deepEqual(planLinks(host([bridge()]), wanted, byHand.memory).operations, []);
  const other = host([bridge(), pod(6)], [at(5, "10.233.64.254")]);
  assert.deepEqual(planLinks(other, wanted, byHand.memory).operations, []);
  // Of one that another Node had meanwhile as well, and once only.
  const taken = planLinks(made(), { ...none, taken: [ip("10.233.64.1")] }, lost.memory);
  const ports: LinkOperation = { kind: "set", index: 6, change: { masterIndex: 9 } };
  assert.deepEqual(taken.operations, [ports]);
  const returned = planLinks(made(), wanted, taken.memory);
  assert.deepEqual(returned.operations, [change("add-address", "10.233.64.1", 9), ports]);

  function made(): HostLinks {
    return host([bridge(9), pod(6, 0)]);
  }
});
