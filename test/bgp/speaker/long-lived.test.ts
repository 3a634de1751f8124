/** Long-lived graceful restart between speakers, as helper: RFC 9494 §4.2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GracefulRestartConfig, PeerConfig } from "../../../src/bgp/types.ts";
import { announce, endOfRib, openOf, RawPeer, restartCapability } from "../../support/raw-peer.ts";
import { ip, World } from "../../support/speakers.ts";

const PREFIX_B = "10.0.2.0/24";

function longLived(times: Omit<GracefulRestartConfig, "notification">): Partial<PeerConfig> {
  return { gracefulRestart: { notification: false, ...times } };
}

test("long-lived: after the restart time the routes stay on as a last resort (RFC 9494)", () => {
  const world = new World({ latencyMs: 5 });
  const [a, b] = [world.node("192.0.2.1"), world.node("192.0.2.2")];
  const changes = longLived({ restartSeconds: 30, longLivedSeconds: 600 });
  a.peers([b], changes);
  b.peers([a], changes).originate(PREFIX_B);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.routes().length === 1, "routes");
  world.advance(5_000);
  b.speaker.stop({ notify: false });
  world.advance(31_000);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2 stale`]);
  const [path] = a.speaker.ribPaths({ view: "loc", peer: b.address });
  // LLGR_STALE, RFC 9494 §4.2.
  assert.deepEqual(path?.communities, ["65535:6"]);
  world.advance(600_000);
  assert.deepEqual(a.routes(), []);
});

test("back in that time: the F bits are set, and no route goes before it is told again", () => {
  const world = new World();
  const [a, b] = [world.node("192.0.2.1"), world.node("192.0.2.2")];
  const changes = longLived({ restartSeconds: 30, longLivedSeconds: 600 });
  a.peers([b], changes);
  b.peers([a], changes).originate(PREFIX_B);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.routes().length === 1, "routes");
  const told = new Set<string>();
  a.speaker.onBestChange((routes) => {
    for (const { prefix, nextHops } of routes) told.add(`${prefix} via ${nextHops}`);
  });
  b.speaker.stop({ notify: false });
  world.advance(100);
  world.network.cut(a.address, b.address);
  b.restart({ restarted: true });
  b.peers([a], changes).originate(PREFIX_B).speaker.start();
  world.advance(300_000);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2 stale`]);
  world.network.heal(a.address, b.address);
  world.until(() => a.isUp(b), "session", 60_000);
  const { remote } = a.status(b).capabilities;
  const flags = remote.flatMap((one) => ("families" in one ? [one.families[0]] : []));
  assert.deepEqual(flags, [
    { family: 4, forwardingPreserved: true },
    { family: 4, forwardingPreserved: true, staleSeconds: 600 },
  ]);
  world.advance(1_000);
  assert.deepEqual(a.routes(), [`${PREFIX_B} via 192.0.2.2`]);
  assert.deepEqual([...told], [`${PREFIX_B} via 192.0.2.2`]);
});

/**
 * A peer with a restart time of 20 s and a long-lived one of 120 s is lost at 0 s, and back at 60 s,
 * with one of its two routes told again.
 */
function partlyTold() {
  const world = new World();
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  const family = { family: 4, forwardingPreserved: true, staleSeconds: 120 } as const;
  raw.autoOpen = openOf(address, {
    capabilities: [
      { kind: "fourOctetAs", as: 64512 },
      restartCapability({ restartSeconds: 20 }),
      { kind: "longLivedGracefulRestart", families: [family] },
    ],
  });
  raw.keepalives = true;
  a.speaker.setPeers([
    { ...a.peerTo(a), ...longLived({ restartSeconds: 90, longLivedSeconds: 1 }), address },
  ]);
  a.speaker.start();
  world.until(() => raw.names.includes("KEEPALIVE"), "session");
  raw.send(announce(address, 1, 2), endOfRib);
  world.until(() => a.routes().length === 2, "routes");
  raw.stop();
  const lostAt = world.clock.now();
  const at = (seconds: number) => world.advance(lostAt + seconds * 1000 - world.clock.now());
  at(60);
  raw.listen();
  world.until(() => raw.connections === 2, "session");
  world.advance(100);
  // It has told a part of its table when it is lost again.
  raw.send(announce(address, 2));
  return { world, a, raw, at };
}

test("long-lived stale routes go at their time, in the restart time of a further loss too", () => {
  const { a, raw, at } = partlyTold();
  at(130);
  raw.connection!.reset();
  raw.stop();
  const marked = "10.0.1.0/24 via 192.0.2.9 stale";
  const retold = "10.0.2.0/24 via 192.0.2.9 stale";
  at(139);
  assert.deepEqual(a.routes(), [marked, retold]);
  at(141);
  assert.deepEqual(a.routes(), [], "20 s and 120 s after the first loss: all that is stale");
});

test("a peer lost after that time, before its End-of-RIB, leaves nothing (RFC 9494 §4.2)", () => {
  const { world, a, raw, at } = partlyTold();
  at(141);
  assert.deepEqual(a.routes(), ["10.0.2.0/24 via 192.0.2.9"], "what it has told again");
  raw.connection!.reset();
  world.advance(5);
  assert.deepEqual(a.routes(), []);
  const synchronized = partlyTold();
  synchronized.at(141);
  synchronized.raw.send(endOfRib);
  synchronized.world.advance(5);
  synchronized.raw.connection!.reset();
  synchronized.world.advance(5);
  assert.deepEqual(synchronized.a.routes(), ["10.0.2.0/24 via 192.0.2.9 stale"]);
});
