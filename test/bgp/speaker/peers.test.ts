/** Peers that come, go and change while the speaker runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policy } from "../../../src/bgp/rib/policy-types.ts";
import type { PeerConfig } from "../../../src/bgp/types.ts";
import { announce, hex } from "../../support/raw-peer.ts";
import { ip, type TestNode as N, World } from "../../support/speakers.ts";
import { withRaw } from "./with-raw.ts";

function pair(changes: Partial<PeerConfig> = {}) {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b], changes).originate("10.0.1.0/24");
  b.peers([a], changes).originate("10.0.2.0/24");
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.routes().length === 1 && b.routes().length === 1, "routes");
  return { world, a, b };
}

const rejectAll: Policy = { name: "none", statements: [], defaultResult: "reject" };

test("a peer that is taken out is told so, and its routes go at once in spite of graceful restart", () => {
  const { world, a, raw } = withRaw();
  raw.send(announce(raw.address, 1));
  world.until(() => a.routes().length === 1, "route");
  const changed: string[] = [];
  a.speaker.onPeerChange((addresses) => changed.push(...addresses));
  a.speaker.setPeers([]);
  assert.deepEqual(a.routes(), []);
  assert.deepEqual(a.speaker.peers(), []);
  world.advance(5);
  assert.equal(raw.notification, "6/3");
  assert.equal(raw.closed, "closed by peer");
  assert.deepEqual(changed, [raw.address]);
  raw.dial(a.address);
  world.advance(10);
  assert.equal(raw.closed, "connection reset by peer");
  assert.equal(a.speaker.refusedConnections, 1);
});

test("a peer that is taken out while its stale routes are kept: they go too", () => {
  const { world, a, b } = pair();
  b.speaker.stop({ notify: false });
  world.advance(1_000);
  assert.equal(a.routes().length, 1);
  a.speaker.setPeers([]);
  world.advance(1);
  assert.deepEqual(a.routes(), []);
});

test("the count of UPDATEs never falls when peers go and come", () => {
  const { world, a, raw, config, up } = withRaw();
  raw.send(announce(raw.address, 1));
  world.until(() => a.routes().length === 1, "route");
  const before = a.speaker.updates.counts();
  assert.ok(before.received > 0 && before.sent > 0);
  a.speaker.setPeers([]);
  assert.deepEqual(a.speaker.updates.counts(), before);
  world.advance(1_000);
  a.speaker.setPeers([config]);
  assert.deepEqual(a.speaker.updates.counts(), before);
  world.until(up, "the session again");
  world.advance(10);
  assert.equal(a.speaker.updates.counts().sent, 2 * before.sent);
});

test("a peer that is shut down while its stale routes are kept: they go too", () => {
  const { world, a, b } = pair();
  b.speaker.stop({ notify: false });
  world.advance(1_000);
  assert.equal(a.routes().length, 1);
  a.peers([b], { shutdown: { message: "" } });
  world.advance(1);
  assert.deepEqual(a.routes(), []);
  assert.deepEqual(a.status(b).families, []);
});

test("policies of a peer that is away count for the routes that are kept of it", () => {
  const { world, a, b } = pair();
  b.speaker.stop({ notify: false });
  world.advance(1_000);
  a.peers([b], { importPolicy: rejectAll });
  world.advance(1);
  assert.deepEqual(a.routes(), []);
  a.peers([b]);
  world.advance(1);
  assert.deepEqual(a.routes(), ["10.0.2.0/24 via 192.0.2.2 stale"]);
});

test("the same peers again change nothing, also as new objects", () => {
  const { world, a, b } = pair();
  const [sentBefore] = a.speaker.peers().map((peer) => peer.sent.total);
  for (let i = 0; i < 10; i++) a.peers([b]);
  world.advance(100);
  assert.equal(a.status(b).sent.total, sentBefore);
  assert.equal(a.status(b).established, 1);
});

test("policies, limits and names change without a reset", () => {
  const { world, a, b } = pair();
  a.peers([b], { name: "other name", importPolicy: rejectAll });
  world.advance(10);
  assert.deepEqual(a.routes(), []);
  assert.equal(a.status(b).name, "other name");
  a.peers([b], { exportPolicy: rejectAll });
  world.advance(10);
  assert.equal(a.routes().length, 1);
  assert.deepEqual(b.routes(), []);
  a.peers([b], { routeReflectorClient: true, nextHopSelf: true, port: 1790, passive: true });
  world.advance(10);
  assert.deepEqual([a.status(b).established, b.status(a).established], [1, 1]);
});

test("what was said in the OPEN, or done to the socket, needs a new session", () => {
  const changes: Partial<PeerConfig>[] = [
    { holdSeconds: 30 },
    { families: [4, 6] },
    { gracefulRestart: undefined },
    { extendedMessage: true },
    { enhancedRouteRefresh: true },
    { addPath: "both" },
    { remoteAs: undefined },
    { ttlSecurity: true },
  ];
  for (const change of changes) {
    const { world, a, b } = pair();
    a.peers([b], change);
    const what = JSON.stringify(change);
    assert.ok(!a.isUp(b), what);
    world.until(() => a.isUp(b) && b.isUp(a), what, 3_000);
    assert.match(b.status(a).lastError!.reason, /Other Configuration Change/, what);
  }
});

test("a password that both sides change: up again with it", () => {
  const { world, a, b } = pair({ password: "old" });
  a.peers([b], { password: "new" });
  world.advance(500);
  assert.ok(!a.isUp(b));
  b.peers([a], { password: "new" });
  world.until(() => a.isUp(b) && b.isUp(a), "session", 10_000);
});

test("shut down with a text, which the other side shows; and up again", () => {
  const { world, a, b } = pair();
  a.peers([b], { shutdown: { message: "new\u0007 disks" } });
  world.advance(10);
  assert.equal(a.status(b).adminState, "down");
  assert.equal(a.status(b).state, "Idle");
  assert.equal(
    b.status(a).lastError!.reason,
    'received Cease / Administrative Shutdown: "new disks"',
  );
  const dials = world.network.dials;
  world.advance(60_000);
  assert.ok(!a.isUp(b));
  assert.ok(world.network.dials - dials <= 8, "only the other side dials");
  a.peers([b]);
  world.until(() => a.isUp(b) && b.isUp(a), "session", 1_000);
});

test("a peer configured as down is not even listened to", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b], { shutdown: { message: "" } });
  b.peers([a]);
  a.speaker.start();
  b.speaker.start();
  world.advance(10_000);
  assert.equal(a.status(b).state, "Idle");
  assert.notEqual(b.status(a).state, "Established");
});

test("route refresh, both ways", () => {
  const { world, a, raw, address } = withRaw();
  a.originate("10.0.1.0/24");
  world.advance(5);
  raw.forget();
  assert.ok(a.speaker.routeRefresh(address));
  world.advance(5);
  assert.deepEqual(raw.hex(5), [`${"ff".repeat(16)}0017 05 0001 00 01`.replaceAll(" ", "")]);
  raw.forget();
  raw.send(hex(`${"ff".repeat(16)} 0017 05 0001 00 01`));
  world.advance(5);
  assert.equal(raw.names, "UPDATE");
  raw.forget();
  assert.ok(a.speaker.resetPeer(address, "soft"));
  world.advance(5);
  assert.equal(raw.names, "ROUTE-REFRESH UPDATE");
  assert.equal(a.speaker.routeRefresh(ip("192.0.2.77")), false);
});

test("two peers of one address: the first one counts", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.speaker.setPeers([a.peerTo(b, { name: "one" }), a.peerTo(b, { name: "two" })]);
  assert.deepEqual(
    a.speaker.peers().map(({ name }) => name),
    ["one"],
  );
});

test("who waits for the peer, or for its next dial, does so by new settings at once", () => {
  const world = new World();
  const [a, b] = [world.node("192.0.2.1"), world.node("192.0.2.2")];
  a.peers([b], { passive: true }).speaker.start();
  b.peers([a], { passive: true }).speaker.start();
  world.advance(300_000);
  a.peers([b], { passive: false });
  world.until(() => a.isUp(b) && b.isUp(a), "the dial", 1_000);
  assert.deepEqual([a.status(b).established, a.status(b).flaps], [1, 0]);
  a.peers([b], { passive: false, holdSeconds: 30, port: 1790 });
  world.advance(300_000);
  assert.ok(!a.isUp(b), "nobody listens there");
  a.peers([b], { passive: false, holdSeconds: 30 });
  world.until(() => a.isUp(b), "the dial of the right port", 1_000);
  a.peers([b], { passive: false, holdSeconds: 30, port: 1790 });
  assert.ok(a.isUp(b), "what stands is not dialled");
});

test("who is to wait for the peer from now on dials no more", () => {
  const world = new World();
  const [a, b] = [world.node("192.0.2.1"), world.node("192.0.2.2")];
  a.peers([b]).speaker.start();
  world.advance(60_000);
  a.peers([b], { passive: true });
  b.peers([a], { passive: true }).speaker.start();
  world.advance(300_000);
  assert.ok(!a.isUp(b));
});

test("nor does who has only just begun a dial that nobody answers", () => {
  const world = new World();
  const [a, b] = [world.node("192.0.2.1"), world.node("192.0.2.2")];
  world.network.cut(a.address, b.address);
  a.peers([b]).speaker.start();
  world.until(() => world.network.dials > 0, "a dial", 60_000);
  a.peers([b], { port: 1790 });
  assert.equal(world.network.dials, 2, "another port is dialled at once");
  a.peers([b], { passive: true });
  world.advance(600_000);
  assert.equal(world.network.dials, 2);
});

test("some peers are changed, the others stay as they are", () => {
  const world = new World();
  const [a, b, c, d] = [1, 2, 3, 4].map((n) => world.node(`192.0.2.${n}`)) as [N, N, N, N];
  for (const other of [b, c, d]) {
    other.peers([a]);
    other.speaker.start();
  }
  a.speaker.setPeers([a.peerTo(b), a.peerTo(c)]);
  a.speaker.start();
  world.until(() => a.isUp(b) && a.isUp(c), "sessions");
  a.speaker.changePeers([a.peerTo(d), a.peerTo(d, { name: "twin" })], [c.address]);
  world.until(() => a.isUp(d), "the new session");
  const names = () => a.speaker.peers().map(({ address, name }) => `${address} ${name}`);
  assert.deepEqual(names(), [
    `${b.address} ${a.peerTo(b).name}`,
    `${d.address} ${a.peerTo(d).name}`,
  ]);
  assert.equal(a.status(b).established, 1);
  assert.match(c.status(a).lastError!.reason, /De-configured/);
  // What is wanted is not gone, and who is unknown cannot go.
  a.speaker.changePeers([a.peerTo(b, { name: "renamed" })], [b.address, c.address]);
  assert.equal(a.status(b).name, "renamed");
  assert.equal(a.status(b).established, 1);
});

test("a new AS or identifier resets all sessions, and the next OPEN has it", () => {
  const { world, a, b } = pair({ remoteAs: undefined });
  a.speaker.setConfig({ ...a.speaker.config, routerId: ip("198.51.100.1") });
  world.advance(10);
  assert.match(b.status(a).lastError!.reason, /Other Configuration Change/);
  world.until(() => a.isUp(b) && b.isUp(a), "session", 3_000);
  assert.equal(b.status(a).remoteRouterId, "198.51.100.1");
  a.speaker.setConfig({ ...a.speaker.config, as: 65001 });
  world.until(() => a.isUp(b) && b.isUp(a) && !b.status(a).internal, "session", 5_000);
  assert.equal(b.status(a).remoteAs, 65001);
});

test("a new AS before the start is the one that the peers are told", () => {
  const world = new World();
  const [a, b] = [world.node("192.0.2.1"), world.node("192.0.2.2")];
  a.peers([b], { remoteAs: undefined });
  b.peers([a], { remoteAs: 65001 });
  a.speaker.setConfig({ ...a.speaker.config, as: 65001 });
  assert.equal(a.status(b).localAs, 65001);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.isUp(b) && b.isUp(a), "session", 3_000);
  assert.equal(b.status(a).remoteAs, 65001);
});

test("other settings change nothing of a session", () => {
  const { world, a, b } = pair();
  a.speaker.setConfig({ ...a.speaker.config, hostName: "new", maximumPaths: 4 });
  world.advance(100);
  assert.equal(a.status(b).established, 1);
});

test("after stop no listener is called, and start begins again", () => {
  const { world, a, b } = pair();
  let calls = 0;
  a.speaker.onBestChange(() => calls++);
  a.speaker.onPeerChange(() => calls++);
  a.speaker.stop({ notify: true });
  world.advance(10);
  assert.match(b.status(a).lastError!.reason, /Administrative Shutdown/);
  world.advance(1_000);
  assert.equal(calls, 0);
  a.speaker.start();
  world.until(() => a.isUp(b) && b.isUp(a), "session", 1_000);
  assert.ok(calls > 0);
});
