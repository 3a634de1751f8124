import assert from "node:assert/strict";
import { test } from "node:test";
import { isBgpError } from "../../../src/bgp/message/errors.ts";
import { withHeader } from "../../../src/bgp/message/header.ts";
import { decodeRouteRefresh, encodeRouteRefresh } from "../../../src/bgp/message/route-refresh.ts";
import { bytes, hex } from "../../support/hex.ts";

const MARKER = "ff".repeat(16);

const WIRE = [
  [4, 0, "0001 00 01"],
  [6, 0, "0002 00 01"],
  [4, 1, "0001 01 01"],
  [6, 2, "0002 02 01"],
] as const;

for (const [family, subtype, body] of WIRE) {
  test(`IPv${family}, subtype ${subtype}, both directions`, () => {
    const wire = bytes(`${MARKER} 0017 05 ${body}`);
    assert.equal(hex(encodeRouteRefresh(family, subtype)), hex(wire));
    const decoded = decodeRouteRefresh(wire, 19, 23, true);
    assert.deepEqual(decoded, { afi: family === 4 ? 1 : 2, safi: 1, family, subtype });
  });
}

test("families that we do not carry have none", () => {
  const decoded = decodeRouteRefresh(bytes("0019 00 46"), 0, 4, true);
  assert.deepEqual(decoded, { afi: 25, safi: 70, family: undefined, subtype: 0 });
});

test("a demarcation of a wrong length is 7/1 with the whole message (RFC 7313 §5)", () => {
  for (const subtype of ["01", "02"]) {
    const body = bytes(`0001 ${subtype} 01 00`);
    const error = decodeRouteRefresh(body, 0, 5, true);
    assert.ok(isBgpError(error));
    assert.equal(`${error.code}/${error.subcode}`, "7/1");
    assert.equal(hex(error.data), hex(withHeader(5, body)));
    assert.ok(!isBgpError(decodeRouteRefresh(body, 0, 5, false)), "only when negotiated");
  }
});

test("a request may be longer: nobody may send ORF entries, they are not read", () => {
  assert.ok(!isBgpError(decodeRouteRefresh(bytes("0001 00 01 01 80 0000"), 0, 8, true)));
});

test("too short never throws", () => {
  for (let length = 0; length < 4; length++) {
    assert.ok(isBgpError(decodeRouteRefresh(new Uint8Array(length), 0, length, false)));
  }
});
