/** Which addresses an interface has beside that of a session. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { addressesBeside } from "../../../src/bgp/session/link-addresses.ts";
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
  const beside = (own: string) => addressesBeside(ip(own), interfaces);
  assert.deepEqual(beside("192.0.2.1"), ["192.0.2.1", "2001:db8:2::1", "fd00::1"]);
  assert.deepEqual(beside("2001:db8:3::1"), ["192.0.3.1", "2001:db8:3::1"]);
  assert.deepEqual(beside("198.51.100.1"), ["198.51.100.1", "2001:db8::1"]);
  assert.deepEqual(beside("192.0.2.9"), []);
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
