/** Two connections of one peer: collisions in every state, restarts, stops, timers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  newPeerMachine,
  type PeerInput,
  type PeerMachine,
  peerDeadline,
  SETTLE_MS,
  stepPeer,
  TRACK_MS,
} from "../../../src/bgp/fsm/peer-machine.ts";
import { noTimers } from "../../../src/bgp/fsm/state.ts";
import { KEEPALIVE_MIN_MS } from "../../../src/bgp/fsm/timing.ts";
import type { FsmStateName } from "../../../src/bgp/types.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";
import { brief, events, gracefulRestart, NOW, stateOf } from "./samples.ts";

/** Our router id is 5; the peer's 2 (lower) or 9 (higher). */
const local = { as: 64512, routerId: 5 };
const lower = negotiatedSession({ remoteRouterId: 2 });
const higher = negotiatedSession({ remoteRouterId: 9 });
const graceful = negotiatedSession({ remoteRouterId: 2, gracefulRestart });

class Peer {
  machine: PeerMachine;
  now = NOW;
  settings = { passive: false };

  constructor(name: FsmStateName, changes: Parameters<typeof stateOf>[1] = {}) {
    const connected = !["Idle", "Active"].includes(name);
    this.machine = {
      ...newPeerMachine,
      main: {
        fsm: stateOf(name, changes),
        connection: connected ? 1 : undefined,
        origin: "dialled",
      },
      nextConnection: 2,
    };
  }

  do(input: PeerInput): string {
    const step = stepPeer(this.machine, input, {
      now: this.now,
      random: 0,
      settings: this.settings,
      local,
    });
    this.machine = step.machine;
    return brief(step.actions);
  }

  on(connection: number, event: Extract<PeerInput, { type: "on" }>["event"]): string {
    return this.do({ type: "on", connection, event });
  }

  get states(): string {
    const { main, second } = this.machine;
    const of = (slot: typeof main) => `${slot.fsm.name}#${slot.connection ?? "-"}`;
    return second === undefined ? of(main) : `${of(main)} ${of(second)}`;
  }
}

const accepted = { type: "accepted" } as const;
const open = (session = lower) => ({ type: "openReceived", session }) as const;

test("a connection of the peer, in every state", () => {
  const cases: readonly [FsmStateName, string, string][] = [
    ["Idle", "refuse", "Idle#-"],
    ["Active", "adopt#2, OPEN#2", "OpenSent#2"],
    ["Connect", "adopt#2, OPEN#2", "Connect#1 OpenSent#2"],
    ["OpenSent", "adopt#2, OPEN#2", "OpenSent#1 OpenSent#2"],
    ["OpenConfirm", "refuse", "OpenConfirm#1"],
    ["Established", "refuse, KEEPALIVE#1", "Established#1"],
  ];
  for (const [name, actions, states] of cases) {
    const peer = new Peer(name);
    assert.equal(peer.do(accepted), actions, name);
    assert.equal(peer.states, states, name);
  }
});

test("OpenSent twice: the first OPEN confirms, the second decides by router id", () => {
  for (const [session, firstOn, end, states] of [
    [lower, 1, "notify#2 6/7, close#2, ended#2 collision", "OpenConfirm#1"],
    [higher, 1, "notify#1 6/7, close#1, ended#1 collision, KEEPALIVE#2", "OpenConfirm#2"],
    [lower, 2, "notify#2 6/7, close#2, ended#2 collision, KEEPALIVE#1", "OpenConfirm#1"],
    [higher, 2, "notify#1 6/7, close#1, ended#1 collision", "OpenConfirm#2"],
  ] as const) {
    const peer = new Peer("OpenSent");
    peer.do(accepted);
    assert.equal(peer.on(firstOn, open(session)), `KEEPALIVE#${firstOn}`);
    assert.equal(peer.on(firstOn === 1 ? 2 : 1, open(session)), end);
    assert.equal(peer.states, states);
  }
});

test("the same, when the first connection is Established before the second OPEN comes", () => {
  const peer = new Peer("OpenSent");
  peer.do(accepted);
  peer.on(1, open(higher));
  assert.equal(peer.on(1, events.keepaliveReceived), "established#1");
  assert.equal(
    peer.on(2, open(higher)),
    "notify#1 6/7, close#1, ended#1 collision session, KEEPALIVE#2",
  );
  assert.equal(peer.states, "OpenConfirm#2");
});

test("the same with graceful restart: no NOTIFICATION, whichever side is the first (RFC 4724 §5)", () => {
  const both = () => {
    const peer = new Peer("OpenSent");
    peer.do(accepted);
    peer.on(1, open({ ...higher, gracefulRestart }));
    peer.on(1, events.keepaliveReceived);
    assert.equal(peer.states, "Established#1 OpenSent#2");
    return peer;
  };
  const we = both();
  assert.equal(
    we.on(2, open({ ...higher, gracefulRestart })),
    "close#1, ended#1 collision session, KEEPALIVE#2",
  );
  assert.equal(we.states, "OpenConfirm#2");
  const notification = { code: 6, subcode: 7, data: new Uint8Array(0) };
  for (const event of [events.tcpFails, { ...events.notificationReceived, notification }]) {
    const they = both();
    assert.equal(they.on(1, event), "close#1, ended#1 collision session");
    assert.equal(they.states, "OpenSent#2");
    assert.equal(they.machine.main.fsm.flaps, 0);
  }
  const other = both();
  assert.equal(other.on(1, events.notificationReceived), "close#1, ended#1 received session");
});

test("equal router ids in two ASes: the higher AS's connection stays (RFC 6286 §2.3)", () => {
  for (const [remoteAs, states] of [
    [64511, "OpenConfirm#1"],
    [64513, "OpenConfirm#2"],
  ] as const) {
    const session = negotiatedSession({ remoteRouterId: 5, remoteAs, internal: false });
    const peer = new Peer("OpenSent");
    peer.do(accepted);
    peer.on(1, open(session));
    peer.on(2, open(session));
    assert.equal(peer.states, states);
  }
});

test("two connections that the peer opened: the newer one is the live one", () => {
  const peer = new Peer("Active");
  peer.do(accepted);
  assert.equal(peer.do(accepted), "adopt#3, OPEN#3");
  assert.equal(peer.on(3, open()), "KEEPALIVE#3");
  assert.equal(peer.states, "OpenConfirm#3 OpenSent#2");
  peer.on(2, events.tcpFails);
  assert.equal(peer.states, "OpenConfirm#3");
});

test("a dial after a connection of the peer is ours again when it collides", () => {
  const peer = new Peer("Active");
  peer.do(accepted);
  peer.on(2, events.tcpFails);
  peer.now += 1_000;
  assert.equal(peer.do({ type: "tick" }), "dial#3");
  peer.on(3, events.tcpConnected);
  peer.do(accepted);
  peer.on(3, open(lower));
  assert.equal(peer.on(4, open(lower)), "notify#4 6/7, close#4, ended#4 collision");
  assert.equal(peer.states, "OpenConfirm#3");
});

test("two connections that wait for OPENs both have four minutes (RFC 4271 §8.2.2)", () => {
  const peer = new Peer("OpenSent");
  peer.now += 1;
  peer.do(accepted);
  peer.now = NOW + 239_999;
  assert.equal(peer.do({ type: "tick" }), "");
  assert.equal(peer.states, "OpenSent#1 OpenSent#2");
});

test("a third connection takes the place of the tracked one", () => {
  const peer = new Peer("OpenSent");
  peer.do(accepted);
  assert.equal(peer.do(accepted), "notify#2 6/7, close#2, ended#2 collision, adopt#3, OPEN#3");
  assert.equal(peer.states, "OpenSent#1 OpenSent#3");
});

test("what is sent on the tracked connection ends nothing", () => {
  const peer = new Peer("OpenSent");
  peer.do(accepted);
  for (const event of [events.messagesSent, events.sendProgress]) {
    assert.equal(peer.on(2, event), "");
    assert.equal(peer.states, "OpenSent#1 OpenSent#2");
  }
});

test("a dial under way is dropped when the peer's own connection is confirmed", () => {
  const peer = new Peer("Connect");
  peer.do(accepted);
  assert.equal(peer.on(2, open()), "close#1, ended#1 collision, KEEPALIVE#2");
  assert.equal(peer.states, "OpenConfirm#2");
  assert.equal(peer.on(1, events.tcpConnected), "", "what is gone says nothing");
});

test("when one of two connections fails, the other goes on and pays nothing for it", () => {
  for (const event of [events.tcpFails, events.notificationReceived, events.openError]) {
    const peer = new Peer("OpenSent", { flaps: 1 });
    peer.do(accepted);
    peer.on(1, event);
    assert.equal(peer.states, "OpenSent#2", event.type);
    peer.on(2, open());
    peer.on(2, events.keepaliveReceived);
    assert.equal(peer.states, "Established#2");
  }
  const tracked = new Peer("OpenSent", { flaps: 1 });
  tracked.do(accepted);
  tracked.on(2, events.tcpFails);
  assert.equal(tracked.states, "OpenSent#1");
  assert.equal(tracked.machine.main.fsm.flaps, 1);
});

test("a restarted peer's OPEN replaces the old session silently (RFC 4724 §4.2)", () => {
  const peer = new Peer("Established", { session: graceful });
  assert.equal(peer.do(accepted), "adopt#2, OPEN#2");
  assert.equal(peer.states, "Established#1 OpenSent#2");
  assert.equal(peer.on(2, open(graceful)), "reset#1, ended#1 replaced session, KEEPALIVE#2");
  assert.equal(peer.states, "OpenConfirm#2");
});

test("a session that has just come up takes no late dial for a restart", () => {
  const establishedAt = NOW - SETTLE_MS + 1;
  const peer = new Peer("Established", { session: graceful, establishedAt });
  assert.equal(peer.do(accepted), "refuse, KEEPALIVE#1");
  peer.now += 1;
  assert.equal(peer.do(accepted), "adopt#2, OPEN#2");
});

test("a new connection that shows no OPEN leaves the session as it is", () => {
  const peer = new Peer("Established", { session: graceful });
  peer.do(accepted);
  assert.equal(peerDeadline(peer.machine), NOW + TRACK_MS);
  peer.now += TRACK_MS;
  assert.equal(peer.do({ type: "tick" }), "notify#2 6/7, close#2, ended#2 collision");
  assert.equal(peer.states, "Established#1");
});

test("the old session dies first: the tracked connection goes on", () => {
  const peer = new Peer("Established", { session: graceful });
  peer.do(accepted);
  assert.equal(peer.on(1, events.tcpFails), "close#1, ended#1 transport session");
  assert.equal(peer.states, "OpenSent#2");
});

test("KEEPALIVEs that probe an old session are at most one a second (RFC 4271 §4.4)", () => {
  const peer = new Peer("Established");
  assert.equal(peer.do(accepted), "refuse, KEEPALIVE#1");
  assert.equal(peer.do(accepted), "refuse");
  peer.now += KEEPALIVE_MIN_MS - 1;
  assert.equal(peer.do(accepted), "refuse");
  peer.now += 1;
  assert.equal(peer.do(accepted), "refuse, KEEPALIVE#1");
});

test("what probes an old session and what keeps it alive are a second apart (RFC 4271 §4.4)", () => {
  const session = negotiatedSession({ holdSeconds: 3, keepaliveSeconds: 1 });
  const timers = { ...noTimers, hold: NOW + 60_000, keepalive: NOW + 1_000 };
  const peer = new Peer("Established", { session, timers });
  const sent: number[] = [];
  for (; peer.now < NOW + 10_000; peer.now++) {
    const dialled = (peer.now - NOW) % 900 === 450;
    const actions = [peer.do({ type: "tick" }), dialled ? peer.do(accepted) : ""];
    if (actions.join().includes("KEEPALIVE#1")) sent.push(peer.now - NOW);
  }
  assert.deepEqual(sent, [450, 1450, 2450, 3450, 4450, 5450, 6450, 7450, 8450, 9450]);
});

test("a probe waits for its second, and no other follows", () => {
  for (const [holdSeconds, keepalive] of [
    [90, NOW + 30_000],
    [0, undefined],
  ] as const) {
    const session = negotiatedSession({ holdSeconds, keepaliveSeconds: holdSeconds / 3 });
    const timers = { ...noTimers, keepalive };
    const peer = new Peer("Established", { session, timers });
    assert.equal(peer.do(accepted), "refuse, KEEPALIVE#1");
    peer.now += 400;
    assert.equal(peer.do(accepted), "refuse");
    peer.now += 599;
    assert.equal(peer.do({ type: "tick" }), "");
    peer.now += 1;
    assert.equal(peer.do({ type: "tick" }), "KEEPALIVE#1");
    const deadline = holdSeconds === 0 ? undefined : peer.now + 22_500;
    assert.equal(peerDeadline(peer.machine), deadline);
  }
});

test("a stop ends both connections; an automatic one begins again", () => {
  const peer = new Peer("OpenSent");
  peer.do(accepted);
  assert.equal(
    peer.do({ type: "order", event: events.manualStop }),
    "notify#2 6/2, close#2, ended#2 sent, notify#1 6/2, close#1, ended#1 sent",
  );
  assert.equal(peer.states, "Idle#-");
  assert.equal(peerDeadline(peer.machine), undefined);
  const both = new Peer("OpenSent");
  both.do(accepted);
  assert.equal(both.do({ type: "order", event: events.manualStart }), "");
  assert.equal(both.states, "OpenSent#1 OpenSent#2", "a start ends nothing");
  both.do({ type: "order", event: events.automaticStop });
  assert.equal(both.states, "Active#-");
  const again = new Peer("Established");
  again.do({ type: "order", event: events.automaticStop });
  assert.equal(again.states, "Active#-");
});

test("time: each due timer runs once, and the next deadline is ahead", () => {
  const peer = new Peer("Active");
  peer.now += 1_000;
  assert.equal(peer.do({ type: "tick" }), "dial#2");
  assert.equal(peer.states, "Connect#2");
  peer.now += 5_000;
  assert.equal(peer.do({ type: "tick" }), "reset#2, ended#2 transport, dial#3");
  peer.do(accepted);
  assert.equal(peerDeadline(peer.machine), peer.now + 5_000);
  const up = new Peer("Established");
  up.now += 90_000;
  assert.equal(up.do({ type: "tick" }), "notify#1 4/0, close#1, ended#1 sent session");
  assert.ok(peerDeadline(up.machine)! > up.now);
});

test("the reborn peer keeps its record: flaps survive a replaced session, less what uptime forgave", () => {
  const peer = new Peer("Established", {
    session: graceful,
    flaps: 4,
    establishedAt: NOW - 120_000,
  });
  peer.do(accepted);
  peer.on(2, open(graceful));
  assert.equal(peer.machine.main.fsm.flaps, 2);
});
