import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { prefix } from "../../src/ip/prefix.ts";
import { desiredSets, hasIpv6, sizeFor } from "../../src/ipset/desired.ts";
import { MEMBERS_MAX } from "../../src/ipset/limits.ts";
import { type SetContentsChange, WantedSets } from "../../src/ipset/wanted.ts";
import { address } from "../support/address.ts";

const contents = {
  podSubnets: [
    "10.233.64.0/24",
    "10.233.65.0/24",
    "10.233.64.0/24",
    "10.9.9.9/32",
    "fd00:64::/64",
  ].map(prefix),
  nodeIps: ["192.168.50.50", "192.168.50.50", "2001:db8::50"].map(address),
};

test("families go to sets of their own, doubles are one member, host prefixes are addresses", () => {
  const { sets, leftOut } = desiredSets(contents, true);
  assert.deepEqual(
    sets.map(({ name, type, family, members }) => [name, type, family, [...members]]),
    [
      ["kube-router-pod-subnets", "hash:net", 4, ["10.233.64.0/24", "10.233.65.0/24", "10.9.9.9"]],
      ["kube-router-node-ips", "hash:ip", 4, ["192.168.50.50"]],
      ["inet6:kube-router-pod-subnets", "hash:net", 6, ["fd00:64::/64"]],
      ["inet6:kube-router-node-ips", "hash:ip", 6, ["2001:db8::50"]],
    ],
  );
  assert.deepEqual(leftOut, []);
  assert.ok(sets.every((set) => set.name.length <= 31));
});

test("without IPv6 there are no twins", () => {
  assert.deepEqual(
    desiredSets(contents, false).sets.map((set) => set.name),
    ["kube-router-pod-subnets", "kube-router-node-ips"],
  );
  assert.equal(hasIpv6(contents), true);
  assert.equal(hasIpv6({ podSubnets: [prefix("10.0.0.0/24")], nodeIps: [] }), false);
  assert.equal(hasIpv6({ podSubnets: [], nodeIps: [address("::1")] }), true);
});

test("what would match every address never gets in, and is named", () => {
  const { sets, leftOut } = desiredSets(
    {
      podSubnets: ["0.0.0.0/0", "10.0.0.0/24", "::/0"].map(prefix),
      nodeIps: ["0.0.0.0", "::", "192.168.50.50"].map(address),
    },
    true,
  );
  assert.deepEqual(
    sets.map((set) => [...set.members]),
    [["10.0.0.0/24"], ["192.168.50.50"], [], []],
  );
  assert.deepEqual(
    leftOut.map(({ set, members }) => `${set} ${members}`),
    [
      "kube-router-pod-subnets 0.0.0.0/0",
      "kube-router-node-ips 0.0.0.0",
      "inet6:kube-router-pod-subnets ::/0",
      "inet6:kube-router-node-ips ::",
    ],
  );
});

test("more members than a set usually holds get a larger one", () => {
  assert.deepEqual(sizeFor(0), { hashSize: 1024, maxElements: 65_536 });
  assert.deepEqual(sizeFor(65_536), { hashSize: 1024, maxElements: 65_536 });
  assert.deepEqual(sizeFor(65_537), { hashSize: 32_768, maxElements: 131_072 });
  assert.deepEqual(sizeFor(110_000), { hashSize: 65_536, maxElements: 262_144 });
  assert.deepEqual(sizeFor(MEMBERS_MAX), { hashSize: MEMBERS_MAX / 4, maxElements: MEMBERS_MAX });
});

const SUBNETS = ["10.1.0.0/24", "10.2.0.0/24", "10.9.9.9/32", "fd00:64::/64", "0.0.0.0/0"];
const IPS = ["192.168.50.50", "192.168.50.51", "2001:db8::50", "::"];

function told<T>(before: readonly T[], after: readonly T[]): Map<T, boolean> {
  const either = new Set([...before, ...after]);
  return new Map([...either].map((one) => [one, after.includes(one)]));
}

test("what is told change by change is what the whole says, or is to be made anew", () => {
  const some = fc.record({
    podSubnets: fc.subarray(SUBNETS).map((texts) => texts.map(prefix)),
    nodeIps: fc.subarray(IPS).map((texts) => texts.map(address)),
  });
  fc.assert(
    fc.property(some, some, fc.boolean(), fc.boolean(), (before, after, ipv6, lists) => {
      const wanted = new WantedSets(before, ipv6);
      const fresh = new WantedSets(after, ipv6);
      for (const set of wanted.sets) if (lists) set.touched = new Set();
      const change: SetContentsChange = {
        podSubnets: told(before.podSubnets, after.podSubnets),
        nodeIps: told(before.nodeIps, after.nodeIps),
      };
      const members = ({ sets }: WantedSets) => sets.map((set) => [...set.members].sort());
      const old = members(wanted);
      const all = [...change.podSubnets.keys(), ...change.nodeIps.keys()];
      const refused = all.some((one) => one === "0.0.0.0/0" || one === "::");
      const strange = !ipv6 && all.some((one) => one.includes(":"));
      assert.equal(wanted.change(change), !refused && !strange);
      if (refused || strange) return;
      assert.deepEqual(members(wanted), members(fresh));
      for (const [i, { touched }] of wanted.sets.entries()) {
        const differ = [...old[i]!, ...members(fresh)[i]!].filter(
          (one, _, both) => both.indexOf(one) === both.lastIndexOf(one),
        );
        if (lists) for (const one of differ) assert.ok(touched?.has(one), one);
        else assert.equal(touched, undefined);
      }
    }),
    { numRuns: 300 },
  );
});

test("a member too many for the size of its set: all is to be made anew", () => {
  const many = Array.from({ length: 65_536 }, (_, i) => prefix(`10.${i >> 8}.${i & 255}.0/24`));
  const wanted = new WantedSets({ podSubnets: many, nodeIps: [] }, false);
  const change = (text: string, there: boolean) =>
    wanted.change({ podSubnets: new Map([[prefix(text), there]]), nodeIps: new Map() });
  assert.equal(change("10.0.0.0/24", false), true);
  assert.equal(change("11.0.0.0/24", true), true);
  assert.equal(change("11.0.1.0/24", true), false);
});
