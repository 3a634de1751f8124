/** Addresses of interfaces to the wire and back, where codecs.test.ts has no bytes of ip's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AddressFlag,
  decodeInterfaceAddress,
  encodeAddressFilter,
  encodeInterfaceAddress,
  type InterfaceAddressSpec,
} from "../src/interface-address.ts";
import { MessageWriter } from "../src/message-writer.ts";

function body(write: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  write(writer);
  return Buffer.from(writer.bytes.subarray(0, writer.length));
}

const encoded = (spec: InterfaceAddressSpec) =>
  body((writer) => encodeInterfaceAddress(writer, spec));

test("an address has all of its fields on the wire", () => {
  for (const address of [
    {
      ...{ interfaceIndex: 70_000, address: "192.0.2.1/24", peer: "192.0.2.2" },
      ...{ broadcast: "192.0.2.255", label: "eth0:a", scope: 253, flags: 0x280 },
    },
    { interfaceIndex: 3, address: "fd00::1/64", peer: "fd00::2", scope: 254, flags: 0 },
    { interfaceIndex: 3, address: "fd00::1/128", scope: 0, flags: AddressFlag.NOPREFIXROUTE },
  ]) {
    // Behind something else: positions count.
    const bytes = Buffer.concat([Buffer.alloc(3, 0xee), encoded(address)]);
    assert.deepEqual(decodeInterfaceAddress(bytes, 3, bytes.length), address);
  }
});

test("flags are whole in their attribute, and in the header as far as they fit", () => {
  const bytes = encoded({ interfaceIndex: 3, address: "fd00::1/64", flags: 0x282 });
  assert.equal(bytes.toString("hex", 0, 4), "0a408200");
  assert.equal(bytes.toString("hex", bytes.length - 8), "0800080082020000");
  // An old kernel has the header's alone.
  const short = bytes.subarray(0, bytes.length - 8);
  assert.equal(decodeInterfaceAddress(short, 0, short.length)?.flags, 0x82);
  assert.deepEqual(Object.values(AddressFlag), [1, 2, 8, 0x20, 0x40, 0x80, 0x200]);
});

test("IPv6 says its own address as such only where there is a peer", () => {
  const types = (spec: Omit<InterfaceAddressSpec, "interfaceIndex">) => {
    const bytes = encoded({ interfaceIndex: 3, ...spec });
    return Array.from({ length: (bytes.length - 8) / 20 }, (_, i) => bytes[8 + 20 * i + 2]);
  };
  assert.deepEqual(types({ address: "fd00::1/64" }), [1]);
  assert.deepEqual(types({ address: "fd00::1/64", peer: "fd00::2" }), [2, 1]);
});

test("a listing asks for a family and an interface, or for all", () => {
  const filter = (family: 4 | 6 | undefined, index: number) =>
    body((writer) => encodeAddressFilter(writer, family, index)).toString("hex");
  assert.equal(filter(6, 3), "0a00000003000000");
  assert.equal(filter(4, 0), "0200000000000000");
  assert.equal(filter(undefined, 0), "0000000000000000");
});

test("one of another family or without an address is not ours, nor is half a header one", () => {
  const bytes = encoded({ interfaceIndex: 3, address: "192.0.2.1/24" });
  assert.equal(decodeInterfaceAddress(bytes, 0, 8), undefined);
  assert.throws(() => decodeInterfaceAddress(bytes, 0, 7), { name: "MalformedMessageError" });
  bytes[0] = 7;
  assert.equal(decodeInterfaceAddress(bytes, 0, bytes.length), undefined);
});
