/** Which addresses an interface has beside that of a session. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { addressesBeside, readAddressFlags } from "../../../src/bgp/session/link-addresses.ts";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import { ip } from "../../support/speakers.ts";

const list = (...addresses: string[]) => addresses.map((address) => ({ address }));

test("addresses of the interface that has the address, those that others can use", () => {
  const interfaces = {
    lo: list("127.0.0.1", "::1", "198.51.100.1", "2001:db8::1"),
    eth0: list("fe80::1", "192.0.2.1", "fe9f::2", "2001:DB8:2::1", "fd00::1", "169.254.1.1"),
    eth1: list("192.0.3.1", "2001:db8:3::1", "nonsense"),
    gone: undefined,
  };
  const beside = (own: string) => addressesBeside(ip(own), interfaces, new Map());
  assert.deepEqual(beside("192.0.2.1"), ["192.0.2.1", "2001:db8:2::1", "fd00::1"]);
  assert.deepEqual(beside("2001:db8:3::1"), ["192.0.3.1", "2001:db8:3::1"]);
  assert.deepEqual(beside("198.51.100.1"), ["198.51.100.1", "2001:db8::1"]);
  assert.deepEqual(beside("192.0.2.9"), []);
});

test("what lasts goes before what is temporary, deprecated or not usable yet", () => {
  const addresses = ["2001:db8::7", "2001:db8::6", "2001:db8::4", "2001:db8::5", "2001:db8::3"];
  const interfaces = { eth0: list("192.0.2.1", ...addresses, "fe80::1") };
  // As the kernel writes it: the newest first.
  const flags = readAddressFlags(
    [
      "20010db8000000000000000000000007 02 40 00 88     eth0", // found to be another machine's
      "20010db8000000000000000000000006 02 40 00 40     eth0", // tentative
      "20010db8000000000000000000000004 02 40 00 a0     eth0", // deprecated
      "20010db8000000000000000000000005 02 40 00 01     eth0", // temporary
      "20010db8000000000000000000000003 02 40 00 80     eth0",
      "fe800000000000000000000000000001 02 40 20 80     eth0",
      "nonsense",
    ].join("\n"),
  );
  assert.equal(flags.size, 6);
  assert.deepEqual(addressesBeside(ip("192.0.2.1"), interfaces, flags), [
    "192.0.2.1",
    "2001:db8::3",
    "2001:db8::5",
    "2001:db8::4",
    "2001:db8::7",
    "2001:db8::6",
  ]);
});

test("the machine's own interfaces are asked", () => {
  const transport = new TcpTransport();
  for (const { address } of Object.values(networkInterfaces()).flatMap((found) => found ?? [])) {
    const own = ip(address);
    const local = /^(fe80:|::1$|127\.|169\.254\.)/.test(own);
    assert.equal(transport.addressesBeside(own).includes(own), !local, own);
  }
  assert.deepEqual(transport.addressesBeside(ip("192.0.2.254")), []);
});
