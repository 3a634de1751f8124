/**
 * RFC 7606 and RFC 4271 §6.3: every attribute, every kind of error, every kind of peer. Each case
 * is followed by a good UPDATE through the same decoder, which proves that nothing of the bad one
 * stayed behind.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isBgpError } from "../../../src/bgp/message/errors.ts";
import { withHeader } from "../../../src/bgp/message/header.ts";
import { UpdateDecoder } from "../../../src/bgp/message/update-decoder.ts";
import { bytes, hex } from "../../support/hex.ts";
import {
  attribute,
  decoded,
  errorOf,
  errorText,
  external,
  type Seen,
  seen,
  session,
  update,
} from "./build.ts";
import { ATTRIBUTE_CASES, type AttributeCase, type Peer, reach } from "./conformance-cases.ts";

const SESSIONS = {
  internal: session(),
  external: session(external),
  old: session({ ...external, fourOctetAs: false }),
} as const;

/** The attributes of a good route from each kind of peer, by type. */
function goodAttributes(peer: Peer): Map<number, Uint8Array> {
  const path = { internal: "", external: "02 01 0000fde9", old: "02 01 fde9" }[peer];
  const list = new Map([
    [1, attribute(0x40, 1, "00")],
    [2, attribute(0x40, 2, path)],
    [3, attribute(0x40, 3, "c0000201")],
  ]);
  if (peer === "internal") list.set(5, attribute(0x40, 5, "00000064"));
  return list;
}

function good(peer: Peer): Uint8Array[] {
  return [...goodAttributes(peer).values()];
}

function assertGoodRouteWorks(decoder: UpdateDecoder, peer: Peer): void {
  const result = decoded(decoder, update(good(peer), "18 c63364"));
  assert.equal(result.treatment, "none");
  assert.deepEqual(result.errors, []);
  assert.deepEqual(result.announced, ["198.51.100.0/24"]);
  assert.equal(result.attributes?.nextHop, "192.0.2.1");
  assert.equal(result.attributes?.med, undefined);
  assert.deepEqual(result.attributes?.opaque, []);
}

/** `none`, `discard`, `withdraw`, or `reset 3/5 data`. */
function outcome(decoder: UpdateDecoder, message: Uint8Array): { text: string; seen?: Seen } {
  const result = decoder.decode(message, 19, message.length);
  if (isBgpError(result)) return { text: `reset ${errorText(result)}` };
  return { text: result.treatment, seen: seen(result) };
}

function caseMessages(row: AttributeCase, peer: Peer) {
  const bad = attribute(row.flags, row.type, row.value);
  const list = goodAttributes(peer);
  list.set(row.type, bad);
  const attributes = [...list.values()];
  return {
    bad,
    reachable: update(attributes, "08 0a 08 0b"),
    unreachable: update(attributes),
  };
}

for (const row of ATTRIBUTE_CASES) {
  for (const peer of row.peers) {
    test(`${row.name}, ${peer} peer: ${row.expected}`, () => {
      const decoder = new UpdateDecoder(SESSIONS[peer]);
      const { bad, reachable, unreachable } = caseMessages(row, peer);
      const [treatment, code, data] = row.expected.split(" ");
      const error = `reset ${code}${data === "+attribute" ? ` ${hex(bad)}` : ""}`;
      const withPrefixes = outcome(decoder, reachable);
      assert.equal(withPrefixes.text, treatment === "reset" ? error : treatment);
      if (withPrefixes.seen !== undefined) assertSeen(withPrefixes.seen, row);
      assertGoodRouteWorks(decoder, peer);

      // The same without a prefix: nothing can be withdrawn (RFC 7606 §5.2).
      const judged = code === "announced" ? "none" : error;
      const without = treatment === "none" || treatment === "discard" ? treatment : judged;
      assert.equal(outcome(decoder, unreachable).text, without);
      assertGoodRouteWorks(decoder, peer);
    });
  }
}

function assertSeen(result: Seen, row: AttributeCase): void {
  assert.deepEqual(result.announced, ["10.0.0.0/8", "11.0.0.0/8"]);
  const withdrawn = result.treatment === "withdraw";
  assert.equal(result.attributes === undefined, withdrawn);
  if (result.treatment === "none") {
    assert.deepEqual(result.errors, []);
    const kept = result.attributes?.opaque.find((entry) => entry.type === row.type);
    const carried = row.type > 18 && row.type !== 32 && (row.flags & 0x40) !== 0;
    assert.equal(kept !== undefined, carried, "transitive is passed on, non-transitive is not");
    if (kept !== undefined) assert.equal(kept.flags, 0xe0, "optional, transitive, partial");
  } else {
    assert.equal(result.errors.length, 1);
    const [error] = result.errors;
    assert.ok(error?.startsWith(`${result.treatment} ${row.type}: `), error);
  }
}

const PEERS = ["internal", "external", "old"] as const;

function eachPeer(name: string, body: (peer: Peer, decoder: UpdateDecoder) => void): void {
  for (const peer of PEERS) {
    test(`${name}, ${peer} peer`, () => {
      const decoder = new UpdateDecoder(SESSIONS[peer]);
      body(peer, decoder);
      assertGoodRouteWorks(decoder, peer);
    });
  }
}

for (const [type, name] of [
  [1, "ORIGIN"],
  [2, "AS_PATH"],
  [3, "NEXT_HOP"],
] as const) {
  eachPeer(`${name} missing is treated as withdrawn (RFC 7606 §3 d)`, (peer, decoder) => {
    const list = goodAttributes(peer);
    list.delete(type);
    const result = decoded(decoder, update([...list.values()], "08 0a"));
    assert.equal(result.treatment, "withdraw");
    assert.deepEqual(result.errors, [`withdraw ${type}: ${name} is missing`]);
    assert.deepEqual(result.announced, ["10.0.0.0/8"]);
  });
}

eachPeer("only an unknown transitive attribute and a prefix (CVE-2023-47235)", (_, decoder) => {
  const result = decoded(decoder, update([attribute(0xc0, 31, "00".repeat(16))], "08 0a"));
  assert.equal(result.treatment, "withdraw");
  assert.equal(result.errors.length, 3);
});

eachPeer("NEXT_HOP that no host can have", (peer, decoder) => {
  for (const value of ["00000000", "00000001", "7f000001", "e0000001", "f0000001", "ffffffff"]) {
    const list = goodAttributes(peer);
    list.set(3, attribute(0x40, 3, value));
    const result = decoded(decoder, update([...list.values()], "08 0a"));
    assert.equal(result.treatment, "withdraw");
    assert.deepEqual(result.errors, ["withdraw 3: NEXT_HOP is no address of a host"]);
  }
});

eachPeer("NEXT_HOP beside MP_REACH_NLRI alone is ignored (RFC 4760 §3)", (peer, decoder) => {
  const list = goodAttributes(peer);
  list.set(3, attribute(0x40, 3, "00000000"));
  const mp = attribute(0x80, 14, reach("20 20010db8"));
  const result = decoded(decoder, update([mp, ...list.values()]));
  assert.equal(result.treatment, "none");
  assert.equal(result.mpAttributes?.nextHop, "2001:db8::1");
  list.delete(3);
  assert.equal(decoded(decoder, update([mp, ...list.values()])).treatment, "none");
});

eachPeer("next hop of MP_REACH_NLRI that no host can have", (peer, decoder) => {
  for (const value of ["00".repeat(16), `${"00".repeat(15)}01`, `ff02${"00".repeat(13)}01`]) {
    const mp = attribute(0x80, 14, reach("20 20010db8", value));
    const result = decoded(decoder, update([mp, ...good(peer)]));
    assert.equal(result.treatment, "withdraw");
    assert.deepEqual(result.mpReach, ["2001:db8::/32"]);
    assert.equal(result.mpAttributes, undefined);
  }
});

eachPeer("a second next hop that is not link-local is left out (RFC 2545 §3)", (peer, decoder) => {
  const two = "000201 20 20010db8000000000000000000000001 20010db8000000000000000000000002 00";
  const result = decoded(decoder, update([attribute(0x80, 14, `${two} 08 20`), ...good(peer)]));
  assert.equal(result.mpAttributes?.nextHop, "2001:db8::1");
  assert.equal(result.mpAttributes?.linkLocalNextHop, undefined);
});

eachPeer("the first of two attributes counts (RFC 7606 §3 g)", (peer, decoder) => {
  const list = [
    ...good(peer),
    attribute(0x80, 4, "00000001"),
    attribute(0x80, 4, "00000002"),
    attribute(0xc0, 254, "01"),
    attribute(0xc0, 254, "02"),
    attribute(0x40, 1, "ffff"),
  ];
  const result = decoded(decoder, update(list, "08 0a"));
  assert.equal(result.treatment, "discard");
  assert.equal(result.attributes?.med, 1);
  assert.equal(result.attributes?.origin, 0);
  assert.deepEqual(result.attributes?.opaque, [{ flags: 0xe0, type: 254, value: bytes("01") }]);
  assert.deepEqual(result.errors, [
    "discard 4: MULTI_EXIT_DISC came twice",
    "discard 254: attribute 254 came twice",
    "discard 1: ORIGIN came twice",
  ]);
});

eachPeer("two MP attributes of one kind end the session (RFC 7606 §3 g)", (peer, decoder) => {
  const mp = attribute(0x80, 14, reach("20 20010db8"));
  assert.equal(errorOf(decoder, update([mp, ...good(peer), mp], "08 0a")), "3/1");
  const unreach = attribute(0x80, 15, "000201 20 20010db8");
  assert.equal(errorOf(decoder, update([unreach, unreach])), "3/1");
  const foreign = attribute(0x80, 15, "001946");
  assert.equal(errorOf(decoder, update([foreign, foreign])), "3/1");
});

eachPeer("octets left over behind the last attribute (RFC 7606 §4)", (peer, decoder) => {
  for (const rest of ["40", "4001", "500100", "80", "90", "8004"]) {
    const list = [...good(peer), bytes(rest)];
    const result = decoded(decoder, update(list, "08 0a"));
    assert.equal(result.treatment, "withdraw", rest);
    assert.deepEqual(result.announced, ["10.0.0.0/8"]);
    assert.equal(errorOf(decoder, update(list)), "3/1");
    assert.equal(errorOf(decoder, update([bytes(rest)])), "3/1");
  }
});

eachPeer("an attribute runs over the list (RFC 7606 §4)", (peer, decoder) => {
  const cases = ["80 04 05 00000001", "90 04 0005 00000001", "c0 fe ff", "40 01 20"];
  for (const rest of cases) {
    const list = [...good(peer), bytes(rest)];
    assert.equal(decoded(decoder, update(list, "08 0a")).treatment, "withdraw");
    assert.equal(errorOf(decoder, update(list)), "3/1");
  }
});

eachPeer(
  "an MP attribute that runs over the list hides prefixes (RFC 7606 §3 j)",
  (peer, decoder) => {
    const heads = ["80 0e", "90 0e 01", "80 0f", "90 0f", "90 0f 01"];
    for (const rest of ["80 0e ff 000201", "80 0f ff 000201", ...heads]) {
      assert.equal(errorOf(decoder, update([...good(peer), bytes(rest)], "08 0a")), "3/1");
    }
  },
);

eachPeer("ORIGIN of stated 32 octets, nothing else (RFC 7606 §5.2)", (_, decoder) => {
  assert.equal(errorOf(decoder, withHeader(2, bytes("0000 0004 40012000"))), "3/1");
  assert.equal(errorOf(decoder, withHeader(2, bytes("0000 0003 400120"))), "3/1");
});

eachPeer("what looks like End-of-RIB but has a bad attribute (RFC 7606 §5.2)", (_, decoder) => {
  const list = [attribute(0x80, 15, "000201"), attribute(0x40, 1, "")];
  assert.equal(errorOf(decoder, update(list)), "3/5 400100");
});

eachPeer("the strongest treatment wins (RFC 7606 §3 h)", (peer, decoder) => {
  const discard = attribute(0x40, 6, "00");
  const withdraw = attribute(0x80, 4, "00");
  const reset = attribute(0x40, 99, "");
  const list = [...good(peer), discard, withdraw];
  assert.equal(decoded(decoder, update(list, "08 0a")).treatment, "withdraw");
  assert.equal(decoded(decoder, update(list, "08 0a")).errors.length, 2);
  const turned = [...good(peer), withdraw, discard];
  assert.equal(decoded(decoder, update(turned, "08 0a")).treatment, "withdraw");
  assert.equal(errorOf(decoder, update([...list, reset], "08 0a")), "3/2 406300");
  assert.equal(errorOf(decoder, update(list)), "3/5 80040100");
});

eachPeer("withdrawals of a message that is treated as withdrawn count too", (_, decoder) => {
  const list = [attribute(0x80, 15, "000201 20 20010db8"), attribute(0x40, 1, "07")];
  const result = decoded(decoder, update(list, "08 0a", "08 0b"));
  assert.equal(result.treatment, "withdraw");
  assert.deepEqual(result.withdrawn, ["11.0.0.0/8"]);
  assert.deepEqual(result.announced, ["10.0.0.0/8"]);
  assert.deepEqual(result.mpUnreach, ["2001:db8::/32"]);
});

const ORIGIN = attribute(0x40, 1, "00");
const AS_PATH = attribute(0x40, 2, "");

test("MP_REACH_NLRI: the reserved octet says nothing, and ends the next hop (RFC 4760 §3)", () => {
  // With the prefix behind it, it looks like a link-local address.
  const mp = attribute(0x80, 14, `000201 10 20010db8${"0".repeat(24)} fe 80 ${"00".repeat(16)}`);
  const result = decoded(new UpdateDecoder(session()), update([mp, ORIGIN, AS_PATH]));
  assert.deepEqual(result.mpReach, ["::/128"]);
  assert.equal(result.mpAttributes?.linkLocalNextHop, undefined);
});

test("prefixes in MP_REACH_NLRI need ORIGIN and AS_PATH too, one as many (RFC 7606 §3 d)", () => {
  const [one, two] = ["20 20010db8", "20 20010db9"];
  for (const nlri of [one, `${one} ${two}`]) {
    const mp = attribute(0x80, 14, `000201 10 20010db8${"0".repeat(24)} 00 ${nlri}`);
    const decoder = new UpdateDecoder(session());
    assert.equal(decoded(decoder, update([mp, AS_PATH])).treatment, "withdraw");
    assert.equal(decoded(decoder, update([mp, ORIGIN])).treatment, "withdraw");
  }
});

test("a fault beside prefixes of a family that is not carried leaves the session up", () => {
  const only4 = new UpdateDecoder(session({ families: [4] }));
  const mp = attribute(0x80, 14, `000201 10 20010db8${"0".repeat(24)} 00 20 20010db8`);
  const origin = attribute(0x40, 1, "07");
  assert.equal(decoded(only4, update([mp, origin, AS_PATH])).treatment, "withdraw");
});

eachPeer("errors kept of one message are bounded", (peer, decoder) => {
  const many = Array.from({ length: 500 }, () => attribute(0x80, 4, "00000001"));
  const result = decoded(decoder, update([...good(peer), ...many], "08 0a"));
  assert.equal(result.errors.length, 16);
  assert.equal(result.treatment, "discard");
});

eachPeer(
  "prefixes that cannot be read end the session with 3/10 (RFC 7606 §5.3)",
  (peer, decoder) => {
    for (const field of ["21 0a00000000", "ff", "18 0a00", "20 0a0000", "08", "08 0a 09 0b"]) {
      assert.equal(errorOf(decoder, update(good(peer), field)), "3/10", `NLRI ${field}`);
      assert.equal(errorOf(decoder, update([], "", field)), "3/10", `withdrawn ${field}`);
    }
  },
);

eachPeer("lengths that do not fit the message are 3/1 (RFC 4271 §6.3)", (_, decoder) => {
  for (const body of ["0001 0000", "ffff 0000", "0000 0001", "0000 ffff 08 0a", "0003 08 0a 00"]) {
    assert.equal(errorOf(decoder, withHeader(2, bytes(body))), "3/1", body);
  }
  for (let length = 0; length < 4; length++) {
    assert.equal(errorOf(decoder, withHeader(2, new Uint8Array(length))), "3/1");
  }
});

test("add-path: an identifier without a prefix is cut off", () => {
  const decoder = new UpdateDecoder(session({ addPathReceive: [4, 6] }));
  assert.equal(errorOf(decoder, update(good("internal"), "00000001")), "3/10");
  assert.equal(errorOf(decoder, update(good("internal"), "00000001 08")), "3/10");
  const unreach = attribute(0x80, 15, "000201 00000001");
  assert.equal(errorOf(decoder, update([unreach])), `3/9 ${hex(unreach)}`);
});

test("the first AS need not be the peer's where that is switched off", () => {
  const decoder = new UpdateDecoder(SESSIONS.external, { enforceFirstAs: false });
  const list = goodAttributes("external");
  list.set(2, attribute(0x40, 2, "02 01 0000ffff"));
  assert.equal(decoded(decoder, update([...list.values()], "08 0a")).treatment, "none");
});
