/** The End-of-RIB of a peer that came back ends its times of before: RFC 4724 §4.2, RFC 9494 §4.2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { STALE_ROUTES_MS } from "../../../src/bgp/speaker/limits.ts";
import {
  announce,
  endOfRib,
  hex,
  message,
  openOf,
  RawPeer,
  restartCapability,
} from "../../support/raw-peer.ts";
import { ip, World } from "../../support/speakers.ts";

/** A peer that was lost at the time 0, is back after 60 s and has told all of its table. */
function backAgain() {
  const world = new World();
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  const family = { family: 4, forwardingPreserved: true, staleSeconds: 600 } as const;
  raw.autoOpen = openOf(address, {
    capabilities: [
      { kind: "fourOctetAs", as: 64512 },
      { kind: "enhancedRouteRefresh" },
      restartCapability({ restartSeconds: 20 }),
      { kind: "longLivedGracefulRestart", families: [family] },
    ],
  });
  raw.keepalives = true;
  const gracefulRestart = { restartSeconds: 90, notification: false, longLivedSeconds: 1 };
  a.speaker.setPeers([{ ...a.peerTo(a), address, gracefulRestart, enhancedRouteRefresh: true }]);
  a.speaker.start();
  world.until(() => raw.names.includes("KEEPALIVE"), "session");
  raw.send(announce(address, 1), endOfRib);
  world.until(() => a.routes().length === 1, "route");
  raw.stop();
  const lostAt = world.clock.now();
  const at = (seconds: number) => world.advance(lostAt + seconds * 1000 - world.clock.now());
  at(60);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9 stale"]);
  raw.listen();
  world.until(() => raw.connections === 2, "session");
  const backAt = (world.clock.now() - lostAt) / 1000;
  world.advance(100);
  raw.send(announce(address, 1), endOfRib);
  world.advance(100);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9"]);
  return { a, raw, at, backAt };
}

test("a loss after the End-of-RIB has all of its long-lived stale time", () => {
  const { a, raw, at } = backAgain();
  at(300);
  raw.stop();
  at(300 + 20 + 599);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9 stale"]);
  at(300 + 20 + 601);
  assert.deepEqual(a.routes(), []);
});

test("a route refresh under way is not cut short by the bound for a peer that came back", () => {
  const { a, raw, at, backAt } = backAgain();
  const bound = backAt + STALE_ROUTES_MS / 1000;
  at(bound - 1);
  const beginRefresh = message(5, hex("0001 01 01"));
  raw.send(beginRefresh);
  at(bound + 10);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9"]);
  const endRefresh = message(5, hex("0001 02 01"));
  raw.send(endRefresh);
  at(bound + 11);
  assert.deepEqual(a.routes(), [], "that it has not sent again");
});
