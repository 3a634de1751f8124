/** What a speaker leaves behind when it is stopped: nothing that keeps a program from its end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SESSION_LINES_MAX } from "../../../src/bgp/session/limits.ts";
import type { PeerConfig } from "../../../src/bgp/types.ts";
import { type Log, silentLog } from "../../../src/runtime/log.ts";
import { openOf, RawPeer, restartCapability } from "../../support/raw-peer.ts";
import { ip, World } from "../../support/speakers.ts";

const longLived: PeerConfig["gracefulRestart"] = {
  restartSeconds: 90,
  notification: false,
  longLivedSeconds: 86_400,
};

for (const notify of [true, false]) {
  test(`no timer waits for a peer whose stale routes were kept, told or not (${notify})`, () => {
    const world = new World();
    const a = world.node("192.0.2.1");
    const b = world.node("192.0.2.2");
    a.peers([b], { gracefulRestart: longLived });
    b.peers([a], { gracefulRestart: longLived }).originate("10.0.2.0/24");
    a.speaker.start();
    b.speaker.start();
    world.until(() => a.routes().length === 1, "the route");
    b.speaker.stop({ notify: false });
    world.advance(1_000);
    assert.deepEqual(a.routes(), ["10.0.2.0/24 via 192.0.2.2 stale"]);
    a.speaker.stop({ notify });
    world.advance(10_000);
    assert.equal(world.clock.pendingCount, 0);
    // And begins as a new one.
    a.speaker.start();
    world.advance(1_000);
    assert.deepEqual(a.routes(), []);
    b.speaker.start();
    world.until(() => a.routes().length === 1, "the route again");
    assert.deepEqual(a.routes(), ["10.0.2.0/24 via 192.0.2.2"]);
  });
}

test("sessions that came up and ended without a line of their own are counted by then", () => {
  const counts: string[] = [];
  const log: Log = {
    ...silentLog,
    info: ({ sessions }, message) => {
      if (sessions !== undefined) counts.push(`${sessions} ${message}`);
    },
    child: () => log,
  };
  const world = new World({ log });
  const hub = world.node("192.0.2.250");
  const all = SESSION_LINES_MAX + 7;
  const others = Array.from({ length: all }, (_, i) => world.node(`192.0.2.${i + 1}`));
  // Each of them has one session, and counts none.
  for (const other of others) other.peers([hub]).speaker.start();
  hub.peers(others).speaker.start();
  world.until(() => others.every((other) => hub.isUp(other)), "sessions", 900);
  assert.deepEqual(counts, []);
  hub.speaker.stop({ notify: true });
  assert.deepEqual(counts, ["7 further sessions established", "7 further sessions ended"]);
  world.advance(10_000);
  assert.equal(counts.length, 2);
});

test("a speaker that is stopped and started again knows nothing of its first run", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { restarted: true });
  const b = world.node("192.0.2.2");
  let heard = 0;
  a.speaker.onConverged(() => heard++);
  a.peers([b]).originate("10.0.1.0/24");
  b.peers([a]);
  a.speaker.start();
  b.speaker.start();
  const isWhole = () => a.speaker.converged() && a.speaker.complete() && b.routes().length === 1;
  world.until(isWhole, "tables");
  a.speaker.stop({ notify: false });
  world.advance(1_000);
  a.speaker.start();
  assert.deepEqual([a.speaker.converged(), a.speaker.complete(), heard], [false, false, 1]);
  // With the R and F bits in its OPEN again: what it forwards stays.
  world.until(() => {
    assert.equal(b.routes().length, 1, "the route is kept");
    return a.isUp(b) && isWhole();
  }, "tables again");
  assert.deepEqual(b.routes(), ["10.0.1.0/24 via 192.0.2.1"]);
  assert.equal(heard, 2);
});

test("a listener stops the speaker when it is converged while routes are held back: no timer", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { restarted: true, deferralSeconds: 360 });
  // Promises an End-of-RIB, and never sends it.
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  raw.autoOpen = openOf(address, { capabilities: [restartCapability()] });
  raw.keepalives = true;
  a.speaker.setPeers([{ ...a.peerTo(a), address, routeReflectorClient: true }]);
  a.speaker.onConverged(() => a.speaker.stop({ notify: false }));
  a.speaker.start();
  world.until(() => a.speaker.converged(), "convergence", 60_000);
  world.advance(10_000);
  assert.equal(world.clock.pendingCount, 0);
});

for (const kind of ["onPeerChange", "onConverged", "onTableChange", "onBestChange"] as const) {
  test(`once a listener has stopped the speaker, the next one is not called: ${kind}`, () => {
    const world = new World();
    const a = world.node("192.0.2.1");
    const b = world.node("192.0.2.2");
    a.peers([b]);
    b.peers([a]).originate("10.0.2.0/24");
    const heard: string[] = [];
    a.speaker[kind](() => {
      heard.push("first");
      a.speaker.stop({ notify: false });
    });
    a.speaker[kind](() => heard.push("second"));
    b.speaker.start();
    a.speaker.start();
    world.until(() => heard.length > 0, "news");
    world.advance(10_000);
    assert.deepEqual(heard, ["first"]);
  });
}
