/** Copies of an encoded route are the bytes that encoding each would have given. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NetlinkError } from "../src/errors.ts";
import { MessageWriter } from "../src/message-writer.ts";
import type { RouteSpec } from "../src/route.ts";
import { RouteTemplates } from "../src/route-templates.ts";
import { encodeOperation, type RouteOperation } from "../src/routes.ts";

const shared: readonly RouteSpec[] = [
  { destination: "0.0.0.0/0", gateway: "192.168.1.1", interfaceIndex: 2, protocol: 17 },
  { destination: "0.0.0.0/0", gateway: "fd00::1", interfaceIndex: 3, priority: 1024 },
  { destination: "::/0", table: 1000, mtu: 1400 },
  { destination: "0.0.0.0/0", nextHops: [{ gateway: "10.0.0.1" }, { interfaceIndex: 4 }] },
];

const destination = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 33 })),
  fc.tuple(fc.constantFrom("fd00::", "2001:db8:1::", "::"), fc.integer({ min: 0, max: 129 })),
);
const operation: fc.Arbitrary<RouteOperation> = fc
  .record({
    kind: fc.constantFrom<RouteOperation["kind"]>("add", "replace", "change", "delete"),
    route: fc.constantFrom(...shared),
    destination: fc.option(
      destination.map(([address, length]) => `${address}/${length}`),
      { nil: undefined },
    ),
  })
  .map(({ kind, route, destination }) => ({
    ...{ kind, route },
    ...(destination === undefined ? {} : { destination }),
  }));

/** The batch of all, and which of them were refused. */
function encoded(
  operations: readonly RouteOperation[],
  encode: (writer: MessageWriter, operation: RouteOperation) => void,
): { readonly bytes: string; readonly refused: readonly (string | undefined)[] } {
  const writer = new MessageWriter();
  const refused = operations.map((operation) => {
    const before = writer.count;
    try {
      encode(writer, operation);
      return undefined;
    } catch (error) {
      assert.ok(error instanceof NetlinkError);
      writer.keep(before);
      return error.message;
    }
  });
  writer.seal(7, 4);
  return { bytes: writer.bytes.toString("hex", 0, writer.length), refused };
}

test("a template gives the bytes and the errors of the straightforward form", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const templates = new RouteTemplates(encodeOperation);
      assert.deepEqual(
        encoded(operations, (writer, each) => templates.encode(writer, each)),
        encoded(operations, encodeOperation),
      );
    }),
  );
});
