import assert from "node:assert/strict";
import { test } from "node:test";
import { isBgpError } from "../../../src/bgp/message/errors.ts";
import { type LocalSide, negotiate } from "../../../src/bgp/message/negotiate.ts";
import type { Capability, NegotiatedSession, OpenMessage } from "../../../src/bgp/message/types.ts";
import { bytes, hex } from "../../support/hex.ts";

const V4: Capability = { kind: "multiprotocol", family: 4 };
const V6: Capability = { kind: "multiprotocol", family: 6 };
const REFRESH: Capability = { kind: "routeRefresh" };
const LONG: Capability = { kind: "extendedMessage" };
const as4 = (as: number): Capability => ({ kind: "fourOctetAs", as });
const addPath = (family: 4 | 6, mode: 1 | 2 | 3): Capability => {
  return { kind: "addPath", families: [{ family, mode }] };
};
const restart = (restartSeconds: number): Capability => {
  const flags = { restarted: false, notification: false, families: [] };
  return { kind: "gracefulRestart", restartSeconds, ...flags };
};
const longLived: Capability = { kind: "longLivedGracefulRestart", families: [] };
const nextHop6: Capability = {
  kind: "extendedNextHop",
  entries: [{ family: 4, nextHopFamily: 6 }],
};

function local(capabilities: readonly Capability[] = [], changes: Partial<LocalSide> = {}) {
  return { as: 64_512, routerId: 1, holdSeconds: 90, capabilities, ...changes };
}

function remote(capabilities: readonly Capability[] = [], changes: Partial<OpenMessage> = {}) {
  return { version: 4, as2: 64_512, holdSeconds: 90, routerId: 2, capabilities, ...changes };
}

function agreed(
  ours: readonly Capability[],
  theirs: readonly Capability[],
  changes: Partial<OpenMessage> = {},
): NegotiatedSession {
  const result = negotiate(local(ours), remote(theirs, changes), { remoteAs: undefined });
  assert.ok(!isBgpError(result));
  return result;
}

function refused(side: LocalSide, open: OpenMessage, remoteAs?: number): string {
  const result = negotiate(side, open, { remoteAs });
  assert.ok(isBgpError(result));
  return `${result.code}/${result.subcode} ${hex(result.data)}`;
}

test("without any capability: IPv4, 4096 octets, 2-octet AS", () => {
  assert.deepEqual(agreed([], []), {
    remoteAs: 64_512,
    remoteRouterId: 2,
    internal: true,
    holdSeconds: 90,
    keepaliveSeconds: 30,
    families: [4],
    fourOctetAs: false,
    routeRefresh: false,
    enhancedRouteRefresh: false,
    sendBytesMax: 4096,
    receiveBytesMax: 4096,
    addPathReceive: [],
    addPathSend: [],
    extendedNextHop: false,
    gracefulRestart: undefined,
    longLivedGracefulRestart: undefined,
    remoteCapabilities: [],
    localCapabilities: [],
  });
});

const HOLD_TIMES = [
  [90, 90, 30],
  [90, 9, 3],
  [3, 90, 1],
  [4, 4, 1],
  [90, 0, 0],
  [0, 90, 0],
] as const;

for (const [ours, theirs, keepalive] of HOLD_TIMES) {
  test(`hold times ${ours} and ${theirs}: keepalive ${keepalive} (RFC 4271 §4.2, §4.4)`, () => {
    const side = local([], { holdSeconds: ours });
    const session = negotiate(side, remote([], { holdSeconds: theirs }), { remoteAs: undefined });
    assert.ok(!isBgpError(session));
    assert.equal(session.holdSeconds, Math.min(ours, theirs));
    assert.equal(session.keepaliveSeconds, keepalive);
  });
}

test("the 4-octet AS wins over the 2-octet field", () => {
  const session = agreed([as4(64_512)], [as4(4_200_000_000)], { as2: 23_456 });
  assert.equal(session.remoteAs, 4_200_000_000);
  assert.equal(session.internal, false);
  assert.equal(session.fourOctetAs, true);
  assert.equal(agreed([], [as4(64_512)]).fourOctetAs, false);
  assert.equal(agreed([as4(64_512)], []).fourOctetAs, false);
});

test("bad peer AS: unexpected, or 0 (RFC 4271 §6.2, RFC 7607 §2)", () => {
  assert.equal(refused(local(), remote(), 64_513), "2/2 ");
  assert.equal(refused(local(), remote([as4(65_000)]), 64_512), "2/2 ");
  assert.equal(refused(local(), remote([as4(0)])), "2/2 ");
});

test("who is refused is told apart in words, for operators", () => {
  const reason = (side: LocalSide, open: OpenMessage, remoteAs?: number) => {
    const result = negotiate(side, open, { remoteAs });
    return isBgpError(result) ? result.reason : undefined;
  };
  assert.equal(reason(local(), remote(), 64_513), "peer is AS 64512, expected AS 64513");
  assert.equal(reason(local(), remote([as4(0)])), "AS 0");
  const own = remote([], { routerId: 1 });
  assert.equal(reason(local(), own), "internal peer has our own BGP identifier");
  assert.equal(reason(local([V6]), remote([V4])), "no address family in common");
});

test("our own identifier is refused from an internal peer only (RFC 6286 §2.2)", () => {
  assert.equal(refused(local(), remote([], { routerId: 1 })), "2/3 ");
  const external = remote([], { routerId: 1, as2: 65_000 });
  assert.ok(!isBgpError(negotiate(local(), external, { remoteAs: 65_000 })));
});

test("families: what both announced, in our order; IPv4 when a side announced none", () => {
  assert.deepEqual(agreed([V6, V4], [V4, V6, V4]).families, [6, 4]);
  assert.deepEqual(agreed([V4, V6], [V6]).families, [6]);
  assert.deepEqual(agreed([V4, V6], []).families, [4]);
  assert.deepEqual(agreed([], [V6, V4]).families, [4]);
  assert.deepEqual(agreed([V4, V6, V4], [V6, V4]).families, [4, 6]);
});

test("a capability that is not understood, of another code than 1, is no family", () => {
  const role: Capability = { kind: "unknown", code: 9, value: bytes("00") };
  assert.deepEqual(agreed([V4, V6], [role]).families, [4]);
});

test("no family in common is 2/7 with ours as data (RFC 5492 §5)", () => {
  assert.equal(refused(local([REFRESH, V6]), remote([V4])), "2/7 010400020001");
  assert.equal(refused(local([V6]), remote()), "2/7 010400020001");
  const evpn: Capability = { kind: "unknown", code: 1, value: bytes("00190046") };
  assert.equal(refused(local([V4]), remote([evpn])), "2/7 010400010001");
});

test("extended messages: we send when both announced, we take when we announced (RFC 8654)", () => {
  const sizes = (ours: Capability[], theirs: Capability[]) => {
    const session = agreed(ours, theirs);
    return [session.sendBytesMax, session.receiveBytesMax];
  };
  assert.deepEqual(sizes([LONG], [LONG]), [65_535, 65_535]);
  assert.deepEqual(sizes([LONG], []), [4096, 65_535]);
  assert.deepEqual(sizes([], [LONG]), [4096, 4096]);
});

test("add-path needs a sender and a receiver, per family and direction (RFC 7911 §4)", () => {
  const directions = (ours: Capability[], theirs: Capability[]) => {
    const session = agreed([V4, V6, ...ours], [V4, V6, ...theirs]);
    return [session.addPathReceive, session.addPathSend];
  };
  assert.deepEqual(directions([addPath(4, 3)], [addPath(4, 3)]), [[4], [4]]);
  assert.deepEqual(directions([addPath(4, 1)], [addPath(4, 2)]), [[4], []]);
  assert.deepEqual(directions([addPath(4, 2)], [addPath(4, 1)]), [[], [4]]);
  assert.deepEqual(directions([addPath(4, 1)], [addPath(4, 1)]), [[], []]);
  assert.deepEqual(directions([addPath(4, 3)], [addPath(6, 3)]), [[], []]);
  assert.deepEqual(directions([addPath(4, 3)], []), [[], []]);
});

test("path identifiers only for families in use", () => {
  const session = agreed([V4, addPath(6, 3)], [V4, V6, addPath(6, 3)]);
  assert.deepEqual(session.addPathReceive, []);
});

test("the last of repeated capabilities counts (RFC 4724 §3)", () => {
  const session = agreed([restart(1)], [restart(10), restart(20)]);
  assert.equal(session.gracefulRestart?.restartSeconds, 20);
});

test("entries of repeated add-path and next hop capabilities add up", () => {
  const ours = [V4, V6, addPath(4, 3), addPath(6, 3), nextHop6];
  const forIpv6: Capability = {
    kind: "extendedNextHop",
    entries: [{ family: 6, nextHopFamily: 6 }],
  };
  const session = agreed(ours, [V4, V6, addPath(4, 2), addPath(6, 3), nextHop6, forIpv6]);
  assert.deepEqual([session.addPathReceive, session.addPathSend], [[4, 6], [6]]);
  assert.equal(session.extendedNextHop, true);
  // Of one family the last word counts.
  assert.deepEqual(agreed(ours, [V4, addPath(4, 2), addPath(4, 1)]).addPathReceive, []);
});

test("restart capabilities need ours too; long-lived needs graceful restart", () => {
  assert.equal(agreed([], [restart(10)]).gracefulRestart, undefined);
  const both = agreed([restart(1), longLived], [restart(10), longLived]);
  assert.deepEqual(both.longLivedGracefulRestart, longLived);
  const without = agreed([restart(1), longLived], [longLived]);
  assert.equal(without.longLivedGracefulRestart, undefined);
  const notOurs = agreed([restart(1)], [restart(10), longLived]);
  assert.equal(notOurs.longLivedGracefulRestart, undefined);
});

test("IPv6 next hops for IPv4 need both sides (RFC 8950 §4)", () => {
  assert.equal(agreed([nextHop6], [nextHop6]).extendedNextHop, true);
  assert.equal(agreed([nextHop6], []).extendedNextHop, false);
  assert.equal(agreed([], [nextHop6]).extendedNextHop, false);
  const forIpv6: Capability = {
    kind: "extendedNextHop",
    entries: [{ family: 6, nextHopFamily: 6 }],
  };
  assert.equal(agreed([nextHop6], [forIpv6]).extendedNextHop, false);
  const ownFamily: Capability = {
    kind: "extendedNextHop",
    entries: [{ family: 4, nextHopFamily: 4 }],
  };
  assert.equal(agreed([nextHop6], [ownFamily]).extendedNextHop, false);
  const withoutIpv4 = agreed([V4, V6, nextHop6], [V6, nextHop6]);
  assert.deepEqual([withoutIpv4.families, withoutIpv4.extendedNextHop], [[6], false]);
});

test("route refresh, plain and enhanced", () => {
  const enhanced: Capability = { kind: "enhancedRouteRefresh" };
  const session = agreed([REFRESH, enhanced], [REFRESH, enhanced]);
  assert.deepEqual([session.routeRefresh, session.enhancedRouteRefresh], [true, true]);
  assert.equal(agreed([REFRESH], [enhanced]).routeRefresh, false);
  assert.equal(agreed([enhanced], [REFRESH]).routeRefresh, false);
  assert.equal(agreed([REFRESH, enhanced], [REFRESH]).enhancedRouteRefresh, false);
  assert.equal(agreed([REFRESH], [REFRESH, enhanced]).enhancedRouteRefresh, false);
});

test("each capability alone agrees on what it says, and on nothing else", () => {
  const nothing = agreed([], []);
  const alone: readonly (readonly [Capability, Partial<NegotiatedSession>])[] = [
    [V4, {}],
    [as4(64_512), { fourOctetAs: true }],
    [REFRESH, { routeRefresh: true }],
    [{ kind: "enhancedRouteRefresh" }, { enhancedRouteRefresh: true }],
    [LONG, { sendBytesMax: 65_535, receiveBytesMax: 65_535 }],
    [restart(1), { gracefulRestart: restart(1) as NegotiatedSession["gracefulRestart"] }],
    [longLived, {}],
    [addPath(4, 3), { addPathReceive: [4], addPathSend: [4] }],
    [nextHop6, { extendedNextHop: true }],
    [{ kind: "fqdn", hostName: "node1", domainName: "" }, {}],
    [{ kind: "softwareVersion", version: "1" }, {}],
  ];
  for (const [capability, what] of alone) {
    const lists = { remoteCapabilities: [capability], localCapabilities: [capability] };
    assert.deepEqual(agreed([capability], [capability]), { ...nothing, ...lists, ...what });
  }
  // A family of another list is no word about path identifiers.
  const stale = { family: 4, forwardingPreserved: false, staleSeconds: 1 } as const;
  const behind: Capability = { kind: "longLivedGracefulRestart", families: [stale] };
  const both = [addPath(4, 3), behind];
  assert.deepEqual(agreed(both, both).addPathReceive, [4]);
});
