import assert from "node:assert/strict";
import { test } from "node:test";
import { type IpAddress, parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { desiredSets, hasIpv6, sizeFor } from "../../src/ipset/desired.ts";
import { MEMBERS_MAX } from "../../src/ipset/limits.ts";

const address = (text: string): IpAddress => parseAddress(text)!;

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
