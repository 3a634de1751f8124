/** When the speaker says that it knows all routes; and its listeners. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkQueue } from "../../../src/bgp/session/work-queue.ts";
import { Convergence } from "../../../src/bgp/speaker/convergence.ts";
import type { Speaker } from "../../../src/bgp/speaker.ts";
import { NextHopBatch } from "../../../src/ip/next-hop-batch.ts";
import { announce, endOfRib, openOf, RawPeer, restartCapability } from "../../support/raw-peer.ts";
import { ip, speakerConfig, type TestNode, World } from "../../support/speakers.ts";

function rawPeer(world: World, n: number, graceful: boolean): RawPeer {
  const address = ip(`192.0.2.${n}`);
  const raw = new RawPeer(world.network.host(address), address).listen();
  raw.autoOpen = openOf(address, {
    capabilities: [{ kind: "fourOctetAs", as: 64512 }, ...(graceful ? [restartCapability()] : [])],
  });
  return raw;
}

function start(a: TestNode, raws: readonly RawPeer[]): { told: number; routesThen: number } {
  const result = { told: 0, routesThen: -1 };
  let routes = 0;
  a.speaker.onBestChange((changes) => {
    routes += changes.length;
  });
  a.speaker.onConverged(() => {
    result.told++;
    result.routesThen = routes;
  });
  a.speaker.setPeers(raws.map((raw) => ({ ...a.peerTo(a), address: raw.address })));
  a.speaker.start();
  return result;
}

test("converged with the last End-of-RIB, once, after all best routes were told", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const [first, second] = [rawPeer(world, 8, true), rawPeer(world, 9, true)];
  const result = start(a, [first, second]);
  world.advance(400);
  first.send(announce(first.address, 1), endOfRib);
  world.advance(100);
  assert.equal(a.speaker.converged(), false);
  second.send(announce(second.address, 2, 3, 4), endOfRib);
  world.advance(5);
  assert.deepEqual([a.speaker.converged(), result.told, result.routesThen], [true, 1, 4]);
  second.connection!.reset();
  world.advance(60_000);
  assert.deepEqual([a.speaker.converged(), result.told], [true, 1]);
});

test("peers that stay away are waited for fifteen seconds; those configured as down not at all", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const raw = rawPeer(world, 8, true);
  const away = { ...a.peerTo(a), address: ip("192.0.2.77") };
  a.speaker.setPeers([{ ...away, address: raw.address }, away]);
  a.speaker.start();
  world.advance(300);
  raw.send(endOfRib);
  world.advance(14_000);
  assert.equal(a.speaker.converged(), false);
  world.advance(1_300);
  assert.equal(a.speaker.converged(), true);

  const b = world.node("192.0.2.2");
  b.speaker.setPeers([{ ...b.peerTo(b), address: away.address, shutdown: { message: "" } }]);
  b.speaker.start();
  world.advance(10);
  assert.equal(b.speaker.converged(), true);
});

test("after a restart a peer that is away has the restart time to tell what is its", () => {
  const restart = { notification: false, longLivedSeconds: undefined };
  for (const [restarted, gracefulRestart, expected] of [
    [true, { ...restart, restartSeconds: 70 }, 70],
    [true, { ...restart, restartSeconds: 5 }, 15],
    [true, undefined, 15],
    [false, { ...restart, restartSeconds: 70 }, 15],
  ] as const) {
    const world = new World();
    const a = world.node("192.0.2.1", { restarted });
    const raw = rawPeer(world, 8, true);
    raw.keepalives = true;
    const away = { ...a.peerTo(a), address: ip("192.0.2.77"), gracefulRestart };
    a.speaker.setPeers([{ ...away, address: raw.address }, away]);
    a.speaker.start();
    const startedAt = world.clock.now();
    world.advance(300);
    raw.send(endOfRib);
    world.until(() => a.speaker.converged(), "fifteen seconds", 16_000);
    assert.equal(a.speaker.complete(), expected === 15);
    world.until(() => a.speaker.complete(), "its time", 600_000);
    assert.equal(Math.round((world.clock.now() - startedAt) / 1000), expected);
  }
});

test("peers that were not known at the start have their time from then on", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { restarted: true });
  a.speaker.setPeers([]);
  a.speaker.start();
  world.advance(600_000);
  assert.equal(a.speaker.complete(), true);
  const gracefulRestart = { notification: false, longLivedSeconds: undefined, restartSeconds: 70 };
  a.speaker.setPeers([{ ...a.peerTo(a), address: ip("192.0.2.77"), gracefulRestart }]);
  const since = world.clock.now();
  assert.equal(a.speaker.complete(since), false);
  const took = world.until(() => a.speaker.complete(since), "its time", 600_000);
  assert.equal(Math.round(took / 1000), 70);
});

test("a peer that comes late in that time has its own to tell its table", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { restarted: true });
  a.speaker.setPeers([{ ...a.peerTo(a), address: ip("192.0.2.8") }]);
  a.speaker.start();
  world.advance(85_000);
  const raw = rawPeer(world, 8, true);
  raw.keepalives = true;
  world.until(() => a.speaker.peer(raw.address)?.state === "Established", "session", 5_000);
  world.advance(10_000);
  assert.equal(a.speaker.complete(), false, "95 s, and its table is on its way");
  raw.send(endOfRib);
  world.advance(5);
  assert.equal(a.speaker.complete(), true);
});

test("after a restart a peer that owes its End-of-RIB has the deferral time for it", () => {
  for (const [deferralSeconds, expected] of [
    [60, 60],
    [10, 15],
  ] as const) {
    const world = new World();
    const a = world.node("192.0.2.1", { restarted: true, deferralSeconds });
    const raw = rawPeer(world, 8, true);
    raw.keepalives = true;
    a.speaker.setPeers([{ ...a.peerTo(a), address: raw.address }]);
    a.speaker.start();
    const took = world.until(() => a.speaker.complete(), "its time", 600_000);
    assert.ok(took >= expected * 1000 && took <= expected * 1000 + 1_500, `${took} ms`);
  }
});

test("a peer without graceful restart is believed after a KEEPALIVE, or three seconds", () => {
  for (const keepalive of [true, false]) {
    const world = new World();
    const a = world.node("192.0.2.1");
    const raw = rawPeer(world, 8, false);
    start(a, [raw]);
    world.until(() => a.speaker.peer(raw.address)?.state === "Established", "session");
    world.advance(1_000);
    assert.equal(a.speaker.converged(), false);
    if (keepalive) raw.keepalives = true;
    if (keepalive) raw.send(Uint8Array.from([...new Uint8Array(16).fill(255), 0, 19, 4]));
    world.advance(keepalive ? 5 : 2_600);
    assert.equal(a.speaker.converged(), true);
  }
});

test("nobody is converged before it was told its peers; with none it is at once", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { restarted: true });
  const known = () => [a.speaker.converged(), a.speaker.complete()];
  assert.deepEqual(known(), [false, false], "before the start");
  a.speaker.start();
  world.advance(60_000);
  assert.deepEqual(known(), [false, false]);
  a.speaker.setPeers([]);
  world.advance(1);
  assert.deepEqual(known(), [true, true]);
});

test("a speaker that is stopped comes to know nothing, and looks no more once it knows", () => {
  const world = new World();
  const a = world.node("192.0.2.1", { listen: [] });
  a.speaker.start();
  a.speaker.setPeers([]);
  a.speaker.stop({ notify: true });
  assert.equal(world.clock.pendingCount, 1, "what was to be looked at in the next turn");
  world.advance(1);
  assert.deepEqual([a.speaker.converged(), world.clock.pendingCount], [false, 0]);
  a.speaker.start();
  world.advance(2_000);
  assert.deepEqual([a.speaker.converged(), world.clock.pendingCount], [true, 0]);
});

test("the best routes are told before it is told that they are all", () => {
  const { clock, network } = new World();
  const own = ip("192.0.2.1");
  const work = new WorkQueue(clock, network.host(own));
  const told: string[] = [];
  const convergence = new Convergence(clock, work, {
    config: () => speakerConfig(own),
    peers: () => [],
    released: () => told.push("released"),
    converged: () => told.push("flushed"),
  });
  convergence.listen(() => told.push("converged"));
  convergence.start();
  convergence.peersTold();
  clock.advance(0);
  assert.deepEqual(told, ["flushed", "converged"]);
});

test("a listener that cannot stand is named, tried again, and does not stop the rest", () => {
  const world = new World();
  const port = 179;
  const a = world.node("192.0.2.1", {
    listen: [
      { address: ip("192.0.2.1"), port },
      { address: ip("203.0.113.5"), port },
    ],
  });
  const blocker = a.host.listen(
    { address: a.address, port, passwords: new Map() },
    { listening() {}, accepted: () => undefined, failed() {} },
  );
  const b = world.node("192.0.2.2");
  a.peers([b]);
  b.peers([a]);
  let changes = 0;
  a.speaker.onPeerChange(() => changes++);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.isUp(b), "session by dialling", 3_000);
  const [taken, foreign] = a.speaker.listening();
  assert.match(taken!.problem!, /192\.0\.2\.1 port 179.*EADDRINUSE/);
  assert.match(foreign!.problem!, /203\.0\.113\.5 port 179.*EADDRNOTAVAIL/);
  assert.ok(changes > 0);
  blocker.close();
  world.advance(31_000);
  assert.deepEqual(
    a.speaker.listening().map(({ listening }) => listening),
    [true, false],
  );
});

test("listen addresses change while running; sessions of others stay", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b], { passive: true });
  b.peers([a]);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.isUp(b), "session");
  a.speaker.setConfig({ ...a.speaker.config, listen: [{ address: a.address, port: 1179 }] });
  world.advance(100);
  assert.ok(a.isUp(b));
  assert.deepEqual(a.speaker.listening(), [
    { address: a.address, port: 1179, listening: true, problem: undefined },
  ]);
  b.peers([a], { port: 1179 });
  b.speaker.resetPeer(a.address, "hard");
  world.until(() => !a.isUp(b), "down");
  world.until(() => a.isUp(b), "session on the new port", 3_000);
});

test("a table listener hears that routes changed, though nobody is told which", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const raw = rawPeer(world, 8, true);
  let changes = 0;
  a.speaker.onTableChange(() => changes++);
  a.speaker.setPeers([{ ...a.peerTo(a), address: raw.address }]);
  a.speaker.start();
  world.advance(400);
  assert.equal(changes, 0);
  raw.send(announce(raw.address, 1));
  world.advance(5);
  assert.equal(changes, 1);
  raw.send(announce(raw.address, 1));
  world.advance(5);
  assert.equal(changes, 1, "the same again is no change");
  // Who listens from here on is told what comes, not what was there.
  const told: string[] = [];
  a.speaker.onBestChange((routes) => told.push(...routes.map((route) => route.prefix)));
  raw.send(announce(raw.address, 2));
  world.advance(5);
  assert.equal(changes, 2);
  assert.equal(told.length, 1);
});

/** What a listener has heard of, and how it listens. */
const LISTENERS: Readonly<Record<string, (speaker: Speaker) => () => readonly string[]>> = {
  "is told of": (speaker) => {
    const heard: string[] = [];
    speaker.onBestChange((routes) => heard.push(...routes.map(({ prefix }) => prefix)));
    return () => heard;
  },
  "takes when they wait": (speaker) => {
    const heard: string[] = [];
    let wait = false;
    const changes = speaker.bestInColumns(() => {
      wait = true;
    });
    return () => {
      const batch = new NextHopBatch(10);
      batch.prefixes.reset(4);
      if (wait) changes.takeChanged(batch, 10);
      wait = false;
      for (let i = 0; i < batch.prefixes.count; i++) heard.push(batch.prefixes.prefixAt(i));
      return heard;
    };
  },
};
for (const [what, listen] of Object.entries(LISTENERS)) {
  test(`changes from before the start and after it, which a listener ${what}`, () => {
    const world = new World();
    const [a, b] = [world.node("192.0.2.1"), world.node("192.0.2.2")];
    const heard = listen(a.speaker);
    // One peer stays away: nothing converges, and no other event tells that there are routes.
    a.peers([b, world.node("192.0.2.3")]).originate("10.0.1.0/24");
    world.advance(10);
    assert.deepEqual(heard(), [], "nothing is told before the start");
    a.speaker.start();
    b.peers([a]).originate("10.0.2.0/24");
    b.speaker.start();
    world.until(() => a.routes().length > 0, "the route");
    world.advance(100);
    assert.deepEqual(heard(), ["10.0.1.0/24", "10.0.2.0/24"]);
    b.speaker.originate([]);
    world.advance(100);
    assert.deepEqual(heard(), ["10.0.1.0/24", "10.0.2.0/24", "10.0.2.0/24"]);
    a.speaker.stop({ notify: true });
    world.advance(100);
    assert.equal(heard().length, 3);
  });
}
