/**
 * Tunnels of IP in IP against what ip-link(8) sent for them (iproute2 6.1, seen by strace): each
 * attribute of ours must be one of its, byte for byte, and what it sends beyond must be zero, which
 * is what the kernel takes for an attribute left out.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpTunnelFlag, IpTunnelProtocol } from "../src/ip-tunnel.ts";
import { decodeLink, encodeLink, type LinkInfo, type LinkSpec } from "../src/link.ts";
import { forEachAttribute } from "../src/message.ts";
import { MessageWriter } from "../src/message-writer.ts";

const IFLA_LINKINFO = 18;
const INFO_DATA = 2;
const INFO_HEADER_BYTES = 16;
const ENCAPSULATION_LIMIT = 6;

/** `ip link add tun-0a000210 type ipip local 10.0.1.10 remote 10.0.2.10 ttl 64`: INFO_DATA. */
const IPIP_DATA =
  "05000900000000000800020" +
  "00a00010a080003000a00020a05000a000100000005000500000000000500040040000000" +
  "0800010000000000080014000000000006000f00000000000600100000000000060011000000000006001200" +
  "00000000";
/**
 * `ip link add tun6-0123456789 type ip6tnl mode ip6ip6 local fd00:1::10 remote fd00:2::10
 * encaplimit none hoplimit 64`: INFO_DATA.
 */
const IP6TNL_DATA =
  "0500090029000000" +
  "14000200fd000001000000000000000000000010" +
  "14000300fd000002000000000000000000000010" +
  "050004004000000005000600040000000800070000000000080008000100000008000100000000000800140000" +
  "00000006000f00000000000600100002000000060011000000000006001200" +
  "00000000";

const ipip: LinkInfo = {
  kind: "ipip",
  ipTunnel: { local: "10.0.1.10", remote: "10.0.2.10", ttl: 64, tos: 0, pathMtuDiscovery: true },
};
const ip6tnl: LinkInfo = {
  kind: "ip6tnl",
  ipTunnel: {
    protocol: IpTunnelProtocol.IPV6,
    local: "fd00:1::10",
    remote: "fd00:2::10",
    ttl: 64,
    flags: IpTunnelFlag.IGNORE_ENCAPSULATION_LIMIT,
  },
};

function attributesOf(bytes: Buffer, start: number, end: number): Map<number, string> {
  const found = new Map<number, string>();
  forEachAttribute(bytes, start, end, (type, from, to) => {
    found.set(type, bytes.toString("hex", from, to));
  });
  return found;
}

/** The attributes of LINKINFO { DATA } of a message's body. */
function dataOf(link: LinkSpec): { readonly kind: string; readonly data: Map<number, string> } {
  const body = bodyOf(link);
  const info = attributesOf(body, INFO_HEADER_BYTES, body.length).get(IFLA_LINKINFO);
  const nested = attributesOf(Buffer.from(info ?? "", "hex"), 0, (info ?? "").length / 2);
  const data = Buffer.from(nested.get(INFO_DATA) ?? "", "hex");
  return { kind: nested.get(1) ?? "", data: attributesOf(data, 0, data.length) };
}

function bodyOf(link: LinkSpec): Buffer {
  const writer = new MessageWriter();
  writer.begin(0, 0);
  encodeLink(writer, link);
  writer.end();
  return Buffer.from(writer.bytes.subarray(16, writer.length));
}

for (const [info, hex, unread] of [
  [ipip, IPIP_DATA, []],
  // The limit is not looked at where the flag says to ignore it; the encapsulation flags belong to
  // FOU and GUE, which encapsulation type 0 switches off.
  [ip6tnl, IP6TNL_DATA, [ENCAPSULATION_LIMIT, 16]],
] as const) {
  test(`${info.kind}: as ip-link(8) would send it`, () => {
    const { kind, data } = dataOf({ name: "tun-0a000210", info });
    assert.equal(Buffer.from(kind, "hex").toString(), `${info.kind}\0`);
    const theirs = Buffer.from(hex, "hex");
    const expected = attributesOf(theirs, 0, theirs.length);
    assert.ok(expected.size >= 11, `only ${expected.size} attributes in the fixture`);
    for (const [type, value] of data) assert.equal(value, expected.get(type), `attribute ${type}`);
    for (const [type, value] of expected) {
      if (data.has(type) || (unread as readonly number[]).includes(type)) continue;
      assert.match(value, /^0+$/, `attribute ${type} is left out`);
    }
  });

  test(`${info.kind}: is read back as it was written`, () => {
    const body = bodyOf({ name: "tun-0a000210", info });
    assert.deepEqual(decodeLink(body, 0, body.length)?.info, info);
  });
}

test("each attribute has its number of linux/if_tunnel.h", () => {
  const ipTunnel = {
    protocol: IpTunnelProtocol.IPV4,
    local: "192.0.2.1",
    remote: "192.0.2.2",
    pathMtuDiscovery: false,
    tos: 1,
    ttl: 64,
    flags: 0x0102_0304,
    underlayIndex: 9,
    encapsulation: 2,
  };
  const { data } = dataOf({ name: "tun", info: { kind: "ipip", ipTunnel } });
  assert.deepEqual(
    [...data].sort(([a], [b]) => a - b),
    [
      [1, "09000000"],
      [2, "c0000201"],
      [3, "c0000202"],
      [4, "40"],
      [5, "01"],
      [8, "04030201"],
      [9, "04"],
      [10, "00"],
      [15, "0200"],
    ],
  );
  assert.deepEqual([IpTunnelProtocol.ANY, IpTunnelProtocol.IPV6], [0, 41]);
});
