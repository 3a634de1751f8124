/** Neighbours and forwarding entries to the wire and back, with each of their fields. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageWriter } from "../src/message-writer.ts";
import {
  decodeNeighbour,
  encodeNeighbour,
  encodeNeighbourFilter,
  NeighbourFlag,
  type NeighbourSpec,
  NeighbourState,
} from "../src/neighbour.ts";

function body(write: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  write(writer);
  return Buffer.from(writer.bytes.subarray(0, writer.length));
}

const encoded = (neighbour: NeighbourSpec) => body((writer) => encodeNeighbour(writer, neighbour));

test("a neighbour has all of its fields on the wire", () => {
  for (const family of [4, 6, "bridge"] as const) {
    const neighbour = {
      ...{ family, interfaceIndex: 70_000, state: 0x1234, flags: 0x15, type: 5 },
      ...{ destination: family === 6 ? "fd00::9" : "192.0.2.9", vlan: 7, port: 4789, vni: 77 },
      ...{ linkAddress: "02:00:00:00:00:09", viaIndex: 3, masterIndex: 9 },
    };
    // Behind something else: positions count.
    const bytes = Buffer.concat([Buffer.alloc(3, 0xee), encoded(neighbour)]);
    assert.deepEqual(decodeNeighbour(bytes, 3, bytes.length), neighbour);
  }
});

test("what is left out of one to add, and a listing", () => {
  const permanent = "02000000" + "03000000" + "8000" + "00" + "00";
  assert.equal(encoded({ family: 4, interfaceIndex: 3 }).toString("hex"), permanent);
  const self = "07000000" + "03000000" + "8000" + "02" + "00";
  assert.equal(encoded({ family: "bridge", interfaceIndex: 3 }).toString("hex"), self);
  const filter = body((writer) => encodeNeighbourFilter(writer, 6));
  assert.equal(filter.toString("hex"), `0a${"00".repeat(11)}`);
});

test("the numbers are those of linux/neighbour.h", () => {
  const fields = { vlan: 1, port: 2, vni: 3, viaIndex: 4, masterIndex: 5 } as const;
  const attributes =
    "0600050001000000" +
    "0600060000020000" +
    "0800070003000000" +
    "0800080004000000" +
    "0800090005000000";
  const bytes = encoded({ family: 4, interfaceIndex: 3, ...fields });
  assert.equal(bytes.subarray(12).toString("hex"), attributes);
  assert.deepEqual(Object.values(NeighbourState), [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80]);
  assert.deepEqual(Object.values(NeighbourFlag), [2, 4, 8, 0x10]);
});

test("one of another family is not ours, one without a whole header is refused", () => {
  const bytes = encoded({ family: 4, interfaceIndex: 3 });
  assert.equal(decodeNeighbour(bytes, 0, bytes.length)?.interfaceIndex, 3);
  assert.throws(() => decodeNeighbour(bytes, 1, bytes.length), { name: "MalformedMessageError" });
  bytes[0] = 9;
  assert.equal(decodeNeighbour(bytes, 0, bytes.length), undefined);
});

test("a family that is none is refused, and not taken for IPv6", () => {
  for (const family of ["inet", 5, undefined] as unknown as 4[]) {
    const refused = { code: "EINVAL", message: `EINVAL: not a family, 4 or 6: ${family}` };
    assert.throws(() => encoded({ family, interfaceIndex: 3 }), refused);
    assert.throws(() => body((writer) => encodeNeighbourFilter(writer, family)), refused);
  }
});
