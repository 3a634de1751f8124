/** The shape of a result in each version of the specification. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressRange } from "../../../src/cni/plugin/address-ranges.ts";
import { resultOf } from "../../../src/cni/plugin/result.ts";
import { type CniVersion, VERSIONS } from "../../../src/cni/plugin/spec.ts";
import { parseAddress } from "../../../src/ip/address.ts";
import { prefix } from "../../../src/ip/prefix.ts";

const addresses = [
  new AddressRange(prefix("10.0.0.0/24")).at(parseAddress("10.0.0.7")!),
  new AddressRange(prefix("fd00::/64")).at(parseAddress("fd00::7")!),
];
const link = (name: string) => ({ name, linkAddress: "02:00:00:00:00:01", mtu: 1450 });
const connected = { bridge: link("kube-bridge"), host: link("veth1"), pod: link("eth0") };
const netns = "/run/netns/a";

function result(cniVersion: CniVersion) {
  return resultOf({ cniVersion, netns, connected, addresses, previous: undefined });
}

test("each version", () => {
  for (const cniVersion of VERSIONS) {
    const old = cniVersion.startsWith("0.");
    const mtu = cniVersion === "1.1.0" ? { mtu: 1450 } : {};
    const mac = "02:00:00:00:00:01";
    assert.deepEqual(result(cniVersion), {
      cniVersion,
      interfaces: [
        { name: "kube-bridge", mac, ...mtu },
        { name: "veth1", mac, ...mtu },
        { name: "eth0", mac, ...mtu, sandbox: netns },
      ],
      ips: [
        {
          ...(old ? { version: "4" } : {}),
          interface: 2,
          address: "10.0.0.7/24",
          gateway: "10.0.0.1",
        },
        {
          ...(old ? { version: "6" } : {}),
          interface: 2,
          address: "fd00::7/64",
          gateway: "fd00::1",
        },
      ],
      routes: [
        { dst: "0.0.0.0/0", gw: "10.0.0.1" },
        { dst: "::/0", gw: "fd00::1" },
      ],
      dns: {},
    });
  }
});

test("what plugins before made stays in front, and numbers go on from there", () => {
  const previous = {
    interfaces: [{ name: "net1" }],
    ips: [{ address: "10.9.0.2/24", interface: 0 }],
    routes: [{ dst: "10.9.0.0/16" }],
    dns: { nameservers: ["10.9.0.1"] },
  };
  const merged = resultOf({ cniVersion: "1.0.0", netns, connected, addresses, previous }) as {
    interfaces: { name: string }[];
    ips: { interface: number }[];
    routes: unknown[];
    dns: unknown;
  };
  assert.deepEqual(
    merged.interfaces.map(({ name }) => name),
    ["net1", "kube-bridge", "veth1", "eth0"],
  );
  assert.deepEqual(
    merged.ips.map((ip) => merged.interfaces[ip.interface]!.name),
    ["net1", "eth0", "eth0"],
  );
  assert.equal(merged.routes.length, 3);
  assert.deepEqual(merged.dns, previous.dns);
});
