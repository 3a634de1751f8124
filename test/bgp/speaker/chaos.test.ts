/**
 * Whatever a peer does, in whatever order: nothing throws, the other peer does not notice, and who
 * is missing is known.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeKeepalive } from "../../../src/bgp/message/keepalive.ts";
import { encodeNotification } from "../../../src/bgp/message/notification.ts";
import { encodeOpen } from "../../../src/bgp/message/open.ts";
import type { PeerStatus } from "../../../src/bgp/types.ts";
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

const bad = ip("192.0.2.8");
const good = ip("192.0.2.9");
const graceful = {
  capabilities: [{ kind: "fourOctetAs", as: 64512 }, restartCapability()],
} as const;

const sendable = fc.oneof(
  fc.constantFrom(
    encodeOpen(openOf(bad)),
    encodeOpen(openOf(bad, graceful)),
    encodeOpen(openOf(bad, { holdSeconds: 0 })),
    encodeOpen(openOf(bad, { as2: 65000, capabilities: [] })),
    encodeKeepalive(),
    announce(bad, 1, 2, 3),
    endOfRib,
    message(2, hex("0000 0010 400101")),
    message(5, hex("00010001")),
    encodeNotification({ code: 6, subcode: 4, data: new Uint8Array(0) }),
    encodeNotification({ code: 6, subcode: 7, data: new Uint8Array(0) }),
  ),
  fc.uint8Array({ maxLength: 60 }),
  fc.tuple(fc.nat(6), fc.uint8Array({ maxLength: 40 })).map(([type, body]) => message(type, body)),
);

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant("send" as const), bytes: sendable }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("wait" as const), ms: fc.nat(4_000) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("wait" as const), ms: fc.nat(100_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constantFrom("dial", "close", "reset") }),
  },
  { weight: 4, arbitrary: fc.record({ what: fc.constant("handshake" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constantFrom("hard", "soft", "down", "forget") }),
  },
);

test("a peer out of its mind", () => {
  let runsWithSession = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), fc.nat(), (steps, seed) => {
      const world = new World({ seed, chunkBytes: seed % 3 === 0 ? 7 : 0 });
      const a = world.node("192.0.2.1");
      const madman = new RawPeer(world.network.host(bad), bad).listen();
      const other = new RawPeer(world.network.host(good), good).listen();
      other.autoOpen = openOf(good, { holdSeconds: 0 });
      const to = (address: typeof bad, changes = {}) => ({ ...a.peerTo(a, changes), address });
      const peers = (changes = {}) => a.speaker.setPeers([to(good), to(bad, changes)]);
      peers();
      a.speaker.start();
      world.until(() => a.speaker.peer(good)!.state === "Established", "the sane peer");
      other.send(announce(good, 9));
      world.advance(200);
      let established = false;
      for (const next of steps) {
        if (next.what === "send") madman.connection?.write([next.bytes]);
        else if (next.what === "wait") world.advance(next.ms);
        else if (next.what === "dial") madman.dial(a.address);
        else if (next.what === "close") madman.connection?.close();
        else if (next.what === "reset") madman.connection?.reset();
        else if (next.what === "handshake") {
          madman.connection?.write([encodeOpen(openOf(bad, graceful)), encodeKeepalive()]);
        } else if (next.what === "hard" || next.what === "soft")
          a.speaker.resetPeer(bad, next.what);
        else {
          if (next.what === "down") peers({ shutdown: { message: "enough" } });
          else a.speaker.setPeers([to(good)]);
          world.advance(50);
          peers();
        }
        world.advance(2);
        if (a.speaker.peer(bad)?.state === "Established") established = true;
        const missing = a.speaker.troubles().missing.map(({ address }) => address);
        const isMissing = (peer: PeerStatus) =>
          peer.state !== "Established" && peer.adminState !== "down";
        const expected = a.speaker.peers().filter(isMissing);
        assert.deepEqual(missing.sort(), expected.map(({ address }) => address).sort());
      }
      if (established) runsWithSession++;
      assert.equal(a.speaker.peer(good)!.state, "Established");
      assert.equal(a.speaker.peer(good)!.established, 1);
      assert.ok(a.routes().some((text) => text.startsWith("10.0.9.0/24")));
      // And it can always come back to its senses.
      a.speaker.setPeers([to(good)]);
      peers();
      madman.connection?.reset();
      madman.autoOpen = openOf(bad);
      const sane = () => a.speaker.peer(bad)!.state === "Established";
      world.until(sane, "a sane session", 10_000);
      world.advance(50);
      assert.deepEqual(a.routes(), [`10.0.9.0/24 via ${good}`]);
    }),
    { numRuns: 1_000 },
  );
  assert.ok(runsWithSession > 300, `only ${runsWithSession} runs came to a session`);
});
