/** A peer is told of every change, also after one that another peer of its group has used up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { announce, hex, message, openOf, RawPeer } from "../../support/raw-peer.ts";
import { ip, World } from "../../support/speakers.ts";

test("a change that came to nothing leaves no peer asleep", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const raws = ["192.0.2.10", "192.0.2.11", "192.0.2.20"].map((text) => {
    const raw = new RawPeer(world.network.host(ip(text)), ip(text)).listen();
    raw.autoOpen = openOf(raw.address);
    raw.keepalives = true;
    return raw;
  });
  const [first, second, client] = raws as [RawPeer, RawPeer, RawPeer];
  a.speaker.setPeers(
    raws.map((raw) => ({
      ...a.peerTo(a),
      address: raw.address,
      routeReflectorClient: raw === client,
    })),
  );
  a.speaker.start();
  world.until(() => raws.every((raw) => raw.names.includes("UPDATE")), "sessions");
  // In one piece, so that nobody looks in between.
  const withdrawal = message(2, hex("0004 180a0001 0000"));
  client.send(new Uint8Array(Buffer.concat([announce(client.address, 1), withdrawal])));
  world.advance(20);
  first.forget();
  second.forget();
  client.send(announce(client.address, 2));
  world.advance(20);
  assert.match(first.names, /UPDATE/);
  assert.match(second.names, /UPDATE/);
});
