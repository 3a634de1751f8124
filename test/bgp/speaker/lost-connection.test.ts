/** A connection is lost, or given up for another one, between two speakers that both live on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageType } from "../../../src/bgp/message/types.ts";
import { hex, message, openOf, RawPeer, restartCapability } from "../../support/raw-peer.ts";
import { ip, World } from "../../support/speakers.ts";

const PREFIX_A = "10.0.1.0/24";

test("F bits alone: after a session of which the peer may have kept our routes", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const raw = new RawPeer(world.network.host(ip("192.0.2.9")), ip("192.0.2.9")).listen();
  const capabilities = [{ kind: "fourOctetAs", as: 64512 } as const, restartCapability()];
  raw.autoOpen = openOf(raw.address, { capabilities });
  raw.keepalives = true;
  const config = { ...a.peerTo(a), address: raw.address };
  a.speaker.setPeers([config]);
  a.originate(PREFIX_A);
  a.speaker.start();
  const bits = () => {
    world.until(() => a.speaker.peer(raw.address)?.state === "Established", "session");
    const { capabilities, restarting } = a.speaker.peer(raw.address)!;
    const restart = capabilities.local.find(({ kind }) => kind === "gracefulRestart");
    assert.ok(restart?.kind === "gracefulRestart");
    assert.equal(restart.restarted, false);
    assert.equal(restarting, false);
    world.advance(5_000);
    return restart.families[0]!.forwardingPreserved;
  };
  assert.equal(bits(), false, "the first one: nothing was there before");
  raw.connection!.reset();
  world.advance(10);
  assert.equal(bits(), true, "only the connection was lost");
  raw.send(message(MessageType.notification, hex("0604")));
  world.advance(10);
  assert.equal(bits(), false, "after a NOTIFICATION nothing is kept (RFC 4724 §4)");
  raw.connection!.reset();
  world.advance(10);
  a.speaker.setPeers([]);
  a.speaker.setPeers([config]);
  assert.equal(bits(), false, "a peer that was taken out is a new one");
});
