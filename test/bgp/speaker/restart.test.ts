/** Graceful restart in both roles: RFC 4724, 8538, 9494; and what happens without it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Capability } from "../../../src/bgp/message/types.ts";
import type { GracefulRestartConfig, PeerConfig } from "../../../src/bgp/types.ts";
import { announce, endOfRib, openOf, RawPeer, restartCapability } from "../../support/raw-peer.ts";
import { ip, type TestNode, World } from "../../support/speakers.ts";

const PREFIX_A = "10.0.1.0/24";
const PREFIX_B = "10.0.2.0/24";

function pair(changes: Partial<PeerConfig> = {}, world = new World({ latencyMs: 5 })) {
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b], changes).originate(PREFIX_A);
  b.peers([a], changes).originate(PREFIX_B);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.routes().length === 1 && b.routes().length === 1, "routes");
  world.advance(5_000);
  return { world, a, b };
}

/** A new process of `node` with the same settings. */
function again(node: TestNode, other: TestNode, restarted: boolean, prefixes: string[]): void {
  node.restart({ restarted });
  node.peers([other]).originate(...prefixes);
  node.speaker.start();
}

const withTimes = (restart: Partial<GracefulRestartConfig>): Partial<PeerConfig> => ({
  gracefulRestart: {
    restartSeconds: 90,
    notification: false,
    longLivedSeconds: undefined,
    ...restart,
  },
});

test("a process that stops quietly and comes back: its routes never go", () => {
  const { world, a, b } = pair();
  const changes: string[] = [];
  a.speaker.onBestChange((routes) => {
    for (const { prefix, nextHops, stale } of routes) {
      changes.push(`${prefix} ${nextHops.length} ${stale}`);
    }
  });
  b.speaker.stop({ notify: false });
  world.advance(2_000);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2 stale`]);
  assert.equal(a.status(b).families[0]!.stale, 1);
  again(b, a, true, [PREFIX_B]);
  const took = world.until(() => a.isUp(b), "session");
  assert.ok(took < 1_000, `${took} ms`);
  world.advance(1_500);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2`]);
  assert.deepEqual(b.routes(), [`${PREFIX_A} via 192.0.2.1`]);
  assert.ok(changes.every((change) => !change.includes(" 0 ")));
  assert.equal(a.status(b).flaps, 1);
});

test("what the peer no longer has goes with its End-of-RIB", () => {
  const { world, a, b } = pair();
  b.originate(PREFIX_B, "10.0.3.0/24");
  world.until(() => a.routes().length === 2, "two routes");
  b.speaker.stop({ notify: false });
  world.advance(1_000);
  again(b, a, true, [PREFIX_B]);
  world.until(() => a.isUp(b), "session");
  world.advance(2_000);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2`]);
});

test("a peer that comes back with the F bit clear has lost its forwarding: stale routes go", () => {
  const { world, a, b } = pair();
  b.speaker.stop({ notify: false });
  world.advance(1_000);
  b.restart({ restarted: false });
  b.peers([a]);
  b.speaker.start();
  world.until(() => a.isUp(b), "session");
  world.advance(1);
  assert.deepEqual(a.routes(), []);
});

test("the restart time bounds the wait", () => {
  const { world, a, b } = pair(withTimes({ restartSeconds: 30 }));
  b.speaker.stop({ notify: false });
  world.advance(29_900);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2 stale`]);
  world.advance(200);
  assert.deepEqual(a.routes(), []);
  assert.deepEqual(a.status(b).families, []);
});

test("without graceful restart the routes go with the session", () => {
  const { world, a, b } = pair({ gracefulRestart: undefined });
  b.speaker.stop({ notify: false });
  world.advance(20);
  assert.deepEqual(a.routes(), []);
});

test("a NOTIFICATION ends graceful restart, unless both sides said otherwise (RFC 8538)", () => {
  for (const [notification, left] of [
    [false, []],
    [true, [`${PREFIX_B} via 192.0.2.2 stale`]],
  ] as const) {
    const { world, a, b } = pair(withTimes({ notification }));
    // A changed hold time resets the session with Cease / Other Configuration Change.
    b.peers([a], { ...withTimes({ notification }), holdSeconds: 60 });
    world.advance(20);
    assert.deepEqual(a.routes(), left);
    assert.match(a.status(b).lastError!.reason, /received Cease \/ Other Configuration Change/);
    world.until(() => a.isUp(b) && b.isUp(a), "session", 2_000);
    assert.equal(a.status(b).timers.holdSeconds, 60);
  }
});

test("a shutdown is a Hard Reset where a plain Cease would be graceful", () => {
  const { world, a, b } = pair(withTimes({ notification: true }));
  b.speaker.stop({ notify: true });
  world.advance(20);
  assert.deepEqual(a.routes(), []);
  assert.match(a.status(b).lastError!.reason, /Hard Reset.*Administrative Shutdown/);
});

test("hold timer: silence is no restart; without the N bit the routes go", () => {
  for (const [notification, left] of [
    [false, []],
    [true, [`${PREFIX_B} via 192.0.2.2 stale`]],
  ] as const) {
    const { world, a, b } = pair(withTimes({ notification, restartSeconds: 300 }));
    world.network.cut(a.address, b.address);
    const took = world.until(() => !a.isUp(b), "hold timer", 91_000);
    assert.ok(took > 59_000, `${took} ms`);
    assert.deepEqual(a.routes(), left);
    assert.match(a.status(b).lastError!.reason, /^sent Hold Timer Expired/);
    world.network.heal(a.address, b.address);
    world.until(() => a.isUp(b) && b.isUp(a), "session", 10_000);
    world.advance(3_000);
    assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2`]);
  }
});

test("power loss and a quick reboot: the new connection replaces the old session (RFC 4724 §4.2)", () => {
  const { world, a, b } = pair();
  b.host.vanish();
  world.advance(10_000);
  assert.ok(a.isUp(b), "nobody knows yet");
  b.reboot({ restarted: true });
  b.peers([a]).originate(PREFIX_B);
  b.speaker.start();
  const took = world.until(() => b.isUp(a) && a.isUp(b), "session");
  assert.ok(took < 1_500, `${took} ms`);
  assert.equal(a.status(b).established, 2);
  world.advance(1_500);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2`]);
  assert.equal(a.status(b).sent.notification, 0);
});

test("the same without graceful restart: a probe finds the old session dead", () => {
  const { world, a, b } = pair({ gracefulRestart: undefined });
  b.host.vanish();
  world.advance(10_000);
  b.reboot({});
  b.peers([a], { gracefulRestart: undefined }).originate(PREFIX_B);
  b.speaker.start();
  const took = world.until(() => b.isUp(a) && a.isUp(b), "session");
  assert.ok(took < 3_000, `${took} ms`);
});

test("a restarted speaker waits for its peers' tables before it advertises", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { restarted: true, deferralSeconds: 10 });
  const raws = [8, 9].map((n) => {
    const address = ip(`192.0.2.${n}`);
    const raw = new RawPeer(world.network.host(address), address).listen();
    raw.autoOpen = openOf(address, {
      capabilities: [{ kind: "fourOctetAs", as: 64512 }, restartCapability()],
    });
    return raw;
  });
  const client = { ...a.peerTo(a), routeReflectorClient: true };
  a.speaker.setPeers(raws.map(({ address }) => ({ ...client, address })));
  a.originate(PREFIX_A);
  a.speaker.start();
  world.advance(500);
  const [first, second] = raws as [RawPeer, RawPeer];
  assert.equal(first.names, "OPEN KEEPALIVE");
  first.send(announce(first.address, 5), endOfRib);
  world.advance(3_000);
  assert.equal(first.names, "OPEN KEEPALIVE", "the second peer has not told its table");
  second.send(endOfRib);
  world.advance(5);
  assert.equal(first.names, "OPEN KEEPALIVE UPDATE UPDATE");
  assert.equal(second.names, "OPEN KEEPALIVE UPDATE UPDATE UPDATE", "with what is reflected");
});

test("the wait ends: by its cap, for peers that stay away, for those that promise nothing", () => {
  const cases = [
    ["silent", restartCapability(), 10_000],
    ["silent, and what we know has long been told", restartCapability(), 60_000],
    ["restarted too", restartCapability({ restarted: true }), 0],
    ["no graceful restart", undefined, 0],
    ["away", undefined, 3_000],
    ["silent, at a first start", restartCapability(), 0],
  ] as const;
  for (const [what, capability, expected] of cases) {
    const world = new World();
    const restarted = !what.endsWith("first start");
    const deferralSeconds = expected === 60_000 ? 60 : 10;
    const a = world.node("192.0.2.1", { restarted, deferralSeconds });
    let converged = 0;
    a.speaker.onConverged(() => converged++);
    const address = ip("192.0.2.9");
    const raw = new RawPeer(world.network.host(address), address).listen();
    raw.autoOpen = openOf(address, {
      capabilities: [
        { kind: "fourOctetAs", as: 64512 },
        ...(capability === undefined ? [] : [capability]),
      ],
    });
    const client = { ...a.peerTo(a), routeReflectorClient: true };
    const peers = [{ ...client, address }];
    if (what === "away") peers.push({ ...client, address: ip("192.0.2.10") });
    a.speaker.setPeers(peers);
    a.originate(PREFIX_A);
    a.speaker.start();
    const took = world.until(() => raw.names.includes("UPDATE"), what, 70_000);
    assert.ok(took >= expected && took <= expected + 600, `${what}: ${took} ms`);
    assert.equal(converged, expected < 15_000 ? 0 : 1, what);
  }
});

test("a restarted speaker that passes nothing on advertises at once, whoever is away", () => {
  const { world, a, b } = pair();
  b.speaker.stop({ notify: false });
  world.advance(1_000);
  again(b, a, true, [PREFIX_B]);
  b.speaker.setPeers([b.peerTo(a), { ...b.peerTo(a), address: ip("192.0.2.77") }]);
  const took = world.until(() => a.routes().some((line) => !line.includes("stale")), "its route");
  assert.ok(took < 1_000, `${took} ms`);
});

/** R bit, and F bit of the first family. */
function restartBits(capabilities: readonly Capability[]): readonly boolean[] {
  const restart = capabilities.find(({ kind }) => kind === "gracefulRestart");
  assert.ok(restart?.kind === "gracefulRestart");
  return [restart.restarted, restart.families[0]!.forwardingPreserved];
}

test("R and F bits: in the first session after a restart alone, and only in the restart time", () => {
  const bits = (node: TestNode, other: TestNode) =>
    restartBits(node.status(other).capabilities.remote);
  const { world, a, b } = pair();
  assert.deepEqual(bits(a, b), [false, false]);
  b.speaker.stop({ notify: false });
  world.advance(1_000);
  again(b, a, true, [PREFIX_B]);
  world.until(() => a.isUp(b) && b.isUp(a), "session");
  assert.deepEqual(bits(a, b), [true, true]);
  assert.equal(b.status(a).restarting, true);
  a.speaker.resetPeer(b.address, "hard");
  world.until(() => !b.isUp(a), "down");
  world.until(() => a.isUp(b) && b.isUp(a), "session", 3_000);
  assert.deepEqual(bits(a, b), [false, false]);

  b.speaker.stop({ notify: false });
  a.speaker.stop({ notify: false });
  world.advance(1_000);
  again(b, a, true, [PREFIX_B]);
  world.advance(91_000);
  again(a, b, false, [PREFIX_A]);
  world.until(() => a.isUp(b), "session");
  assert.deepEqual(bits(a, b), [false, false], "the restart time is over");
});

test("R and F bits: in each session while routes are held back, whatever the restart time", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { restarted: true, deferralSeconds: 200 });
  const [told, silent] = [8, 9].map((n) => {
    const address = ip(`192.0.2.${n}`);
    const raw = new RawPeer(world.network.host(address), address).listen();
    raw.autoOpen = openOf(address, {
      capabilities: [{ kind: "fourOctetAs", as: 64512 }, restartCapability()],
    });
    raw.keepalives = true;
    return raw;
  }) as [RawPeer, RawPeer];
  const client = { ...a.peerTo(a), routeReflectorClient: true };
  a.speaker.setPeers([told, silent].map(({ address }) => ({ ...client, address })));
  a.originate(PREFIX_A);
  a.speaker.start();
  const bits = () => {
    world.until(() => a.speaker.peer(told.address)?.state === "Established", "session");
    return restartBits(a.speaker.peer(told.address)!.capabilities.local);
  };
  assert.deepEqual(bits(), [true, true]);
  told.send(endOfRib);
  world.advance(100_000);
  // It keeps what it had of us before; we have told it nothing that could take its place.
  told.connection!.reset();
  world.advance(10);
  assert.deepEqual(bits(), [true, true]);
  told.send(endOfRib);
  silent.send(endOfRib);
  world.advance(5);
  assert.match(told.names, /UPDATE UPDATE$/, "its route and the End-of-RIB");
  told.connection!.reset();
  world.advance(10);
  // The connection is lost and nothing else: what is forwarded stays.
  assert.deepEqual(bits(), [false, true]);
});

test("stale routes that are never replaced go in the end, though the session is up", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  raw.autoOpen = openOf(address, {
    capabilities: [{ kind: "fourOctetAs", as: 64512 }, restartCapability()],
  });
  raw.keepalives = true;
  a.speaker.setPeers([{ ...a.peerTo(a), address }]);
  a.speaker.start();
  world.until(() => raw.names.includes("KEEPALIVE"), "session");
  raw.send(announce(address, 1, 2));
  world.until(() => a.routes().length === 2, "routes");
  raw.connection!.reset();
  world.advance(3_000);
  assert.equal(raw.connections, 2);
  raw.send(announce(address, 1));
  world.advance(380_000);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9", "10.0.2.0/24 via 192.0.2.9 stale"]);
  world.advance(15_000);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9"]);
});

test("peers without routes that come back in another order are told all that changes", () => {
  const world = new World({ latencyMs: 5 });
  const a = world.node("192.0.2.1").originate(PREFIX_A);
  const others = [world.node("192.0.2.2"), world.node("192.0.2.3")];
  a.peers(others);
  for (const node of others) node.peers([a]);
  for (const node of [a, ...others]) node.speaker.start();
  world.until(() => others.every((node) => node.routes().length === 1), "routes");
  world.advance(5_000);
  for (const node of others) {
    node.speaker.stop({ notify: false });
    world.advance(100);
  }
  for (const node of others) {
    again(node, a, true, []);
    world.until(() => a.isUp(node), "session");
  }
  world.advance(5_000);
  a.originate(PREFIX_A, PREFIX_B);
  world.advance(1_000);
  for (const node of others) assert.equal(node.routes().length, 2, node.address);
});

test("the restart time of a peer without routes ends no routes of another", () => {
  const world = new World({ latencyMs: 5 });
  const a = world.node("192.0.2.1");
  const [empty, full] = [world.node("192.0.2.2"), world.node("192.0.2.3").originate(PREFIX_B)];
  a.peers([empty, full]);
  for (const node of [empty, full]) node.peers([a]);
  a.speaker.start();
  empty.speaker.start();
  world.until(() => a.isUp(empty), "session");
  world.advance(5_000);
  empty.speaker.stop({ notify: false });
  world.advance(1_000);
  full.speaker.start();
  world.until(() => a.routes().length === 1, "route");
  world.advance(60_000);
  full.speaker.stop({ notify: false });
  world.advance(40_000);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.3 stale`]);
});
