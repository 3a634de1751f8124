/** Which routes outlive a session: RFC 4724 §4.2, RFC 8538 §4, RFC 9494 §4.2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  asHardReset,
  familiesStillForwarded,
  familiesToRetain,
} from "../../../src/bgp/fsm/graceful-restart.ts";
import type { EndCause } from "../../../src/bgp/fsm/state.ts";
import { bgpError } from "../../../src/bgp/message/errors.ts";
import type { NegotiatedSession } from "../../../src/bgp/message/types.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";
import { gracefulRestart } from "./samples.ts";

const notified = { ...gracefulRestart, notification: true };
const none = negotiatedSession();
const plain = negotiatedSession({ gracefulRestart, localCapabilities: [gracefulRestart] });
const onlyTheirs = negotiatedSession({
  gracefulRestart: notified,
  localCapabilities: [gracefulRestart],
});
const nBit = negotiatedSession({ gracefulRestart: notified, localCapabilities: [notified] });

const received = (code: number, subcode: number): EndCause => ({
  kind: "received",
  notification: { code, subcode, data: new Uint8Array(0) },
  reason: "",
});
const sent = (code: number, subcode: number): EndCause => ({
  kind: "sent",
  error: bgpError(code, subcode, ""),
});
const transport: EndCause = { kind: "transport", reason: "reset" };

test("what is kept, by how the session ended and what was negotiated", () => {
  const table: readonly [string, EndCause, string][] = [
    // cause, sessions that keep: p = GR, t = only the peer has N, n = both have N
    ["TCP lost", transport, "ptn"],
    ["replaced by a new connection", { kind: "replaced" }, "ptn"],
    ["UPDATE error sent", sent(3, 1), "n"],
    ["hold timer expired here", sent(4, 0), "n"],
    ["send hold timer expired here", sent(8, 0), "n"],
    ["administrative reset sent", sent(6, 4), "n"],
    ["hard reset sent", sent(6, 9), ""],
    ["hold timer expired there", received(4, 0), "n"],
    ["administrative shutdown received", received(6, 2), "n"],
    ["hard reset received", received(6, 9), ""],
    ["stopped", { kind: "stopped", reason: "" }, ""],
    ["another connection of the peer goes on", { kind: "collision" }, "ptn"],
  ];
  const sessions: readonly [string, NegotiatedSession][] = [
    ["-", none],
    ["p", plain],
    ["t", onlyTheirs],
    ["n", nBit],
  ];
  for (const [what, cause, expected] of table) {
    const keep = sessions.filter(([, session]) => familiesToRetain(session, cause).length > 0);
    assert.equal(keep.map(([name]) => name).join(""), expected, what);
  }
});

test("only families of the capability and of the session are kept, with their times", () => {
  const both = {
    ...gracefulRestart,
    families: [
      { family: 4, forwardingPreserved: false },
      { family: 6, forwardingPreserved: true },
    ],
  } as const;
  const longLived = {
    kind: "longLivedGracefulRestart",
    families: [{ family: 6, forwardingPreserved: true, staleSeconds: 3600 }],
  } as const;
  const session = negotiatedSession({
    families: [4, 6],
    gracefulRestart: both,
    longLivedGracefulRestart: longLived,
  });
  assert.deepEqual(familiesToRetain(session, transport), [
    { family: 4, restartSeconds: 120, longLivedSeconds: 0 },
    { family: 6, restartSeconds: 120, longLivedSeconds: 3600 },
  ]);
  assert.deepEqual(
    familiesToRetain({ ...session, families: [6] }, transport).map(({ family }) => family),
    [6],
  );
});

test("a family of the long-lived capability alone has a restart time of zero (RFC 9494 §4.2)", () => {
  const session = negotiatedSession({
    gracefulRestart: { ...gracefulRestart, families: [] },
    longLivedGracefulRestart: {
      kind: "longLivedGracefulRestart",
      families: [{ family: 4, forwardingPreserved: true, staleSeconds: 3600 }],
    },
  });
  assert.deepEqual(familiesToRetain(session, transport), [
    { family: 4, restartSeconds: 0, longLivedSeconds: 3600 },
  ]);
  assert.deepEqual(familiesToRetain({ ...session, families: [6] }, transport), []);
});

test("a restart time of zero keeps nothing but what is long-lived (RFC 9494 §4.2)", () => {
  const session = negotiatedSession({ gracefulRestart: { ...gracefulRestart, restartSeconds: 0 } });
  assert.deepEqual(familiesToRetain(session, transport), []);
  const families = [{ family: 4, forwardingPreserved: false, staleSeconds: 1 }] as const;
  const longLivedGracefulRestart = { kind: "longLivedGracefulRestart", families } as const;
  assert.deepEqual(familiesToRetain({ ...session, longLivedGracefulRestart }, transport), [
    { family: 4, restartSeconds: 0, longLivedSeconds: 1 },
  ]);
});

test("a restart time of one second keeps", () => {
  const session = negotiatedSession({ gracefulRestart: { ...gracefulRestart, restartSeconds: 1 } });
  assert.equal(familiesToRetain(session, transport).length, 1);
});

test("after the return only families with the F bit stay", () => {
  const session = negotiatedSession({
    families: [4, 6],
    gracefulRestart: {
      ...gracefulRestart,
      families: [
        { family: 4, forwardingPreserved: true },
        { family: 6, forwardingPreserved: false },
      ],
    },
  });
  assert.deepEqual(familiesStillForwarded(session), { restart: [4], longLived: [] });
  assert.deepEqual(familiesStillForwarded(none), { restart: [], longLived: [] });
  const longLived = {
    kind: "longLivedGracefulRestart",
    families: [
      { family: 4, forwardingPreserved: false, staleSeconds: 1 },
      { family: 6, forwardingPreserved: true, staleSeconds: 1 },
    ],
  } as const;
  const both = familiesStillForwarded({ ...session, longLivedGracefulRestart: longLived });
  assert.deepEqual(both, { restart: [4], longLived: [6] }, "each time by its own capability");
});

test("an end meant to be final is a Hard Reset towards a peer that would keep our routes", () => {
  const error = bgpError(6, 2, "administrative shutdown", Uint8Array.of(2, 104, 105));
  assert.deepEqual(asHardReset(nBit, error), {
    code: 6,
    subcode: 9,
    data: Uint8Array.of(6, 2, 2, 104, 105),
    reason: "administrative shutdown",
  });
  for (const session of [undefined, none, plain, onlyTheirs]) {
    assert.equal(asHardReset(session, error), error);
  }
});
