/** One OPEN for all peers of like settings, and never a wrong one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openMessage } from "../../../src/bgp/message/negotiate.ts";
import { encodeOpen } from "../../../src/bgp/message/open.ts";
import { Introductions } from "../../../src/bgp/speaker/introductions.ts";
import { INTRODUCTIONS_MAX } from "../../../src/bgp/speaker/limits.ts";
import { type Forwarding, localIdentity, localSide } from "../../../src/bgp/speaker/local-side.ts";
import type { PeerConfig, SpeakerConfig } from "../../../src/bgp/types.ts";
import { ip, peerConfig, speakerConfig } from "../../support/speakers.ts";

const OWN = ip("192.0.2.1");

/** Few values of each setting, so that equal ones come again. */
const speakers = fc.record({
  as: fc.constantFrom(64512, 4_200_000_000),
  routerId: fc.constantFrom(OWN, ip("192.0.2.2")),
  hostName: fc.constantFrom("node", "other"),
  domainName: fc.constantFrom("", "example.org"),
});
const restart = fc.record({
  restartSeconds: fc.constantFrom(90, 120),
  notification: fc.boolean(),
  longLivedSeconds: fc.constantFrom(undefined, 3600),
});
const peers = fc.record({
  localAs: fc.constantFrom(undefined, 65001),
  holdSeconds: fc.constantFrom(0, 90),
  families: fc.constantFrom<PeerConfig["families"]>([4], [6], [4, 6], [6, 4]),
  gracefulRestart: fc.oneof(fc.constant(undefined), restart),
  extendedMessage: fc.boolean(),
  enhancedRouteRefresh: fc.boolean(),
  addPath: fc.constantFrom<PeerConfig["addPath"]>("none", "receive", "send", "both"),
});

function settings(
  speakerChanges: Partial<SpeakerConfig>,
  peerChanges: Partial<PeerConfig>,
  last = 9,
) {
  const speaker = speakerConfig(OWN, speakerChanges);
  const peer = peerConfig(OWN, ip(`192.0.2.${last}`), peerChanges);
  return [localIdentity(speaker, peer), speaker, peer] as const;
}

test("an introduction is what its settings say, whatever was asked for before", () => {
  const ask = fc.tuple(speakers, peers, fc.constantFrom<Forwarding>("restarted", "kept", "none"));
  fc.assert(
    fc.property(fc.array(ask, { minLength: 1, maxLength: 40 }), (asks) => {
      const introductions = new Introductions();
      for (const [speakerChanges, peerChanges, forwarding] of asks) {
        const [identity, speaker, peer] = settings(speakerChanges, peerChanges);
        const side = localSide(identity, speaker, peer, forwarding);
        const found = introductions.of(identity, speaker, peer, forwarding);
        assert.deepEqual(found.side, side);
        assert.deepEqual(found.open, encodeOpen(openMessage(side)));
      }
    }),
  );
});

test("one setting that differs makes another introduction", () => {
  const introductions = new Introductions();
  const before = introductions.of(...settings({}, {}), "none");
  const gracefulRestart = { restartSeconds: 90, notification: false, longLivedSeconds: undefined };
  const others = [
    settings({ as: 64513 }, {}),
    settings({ routerId: ip("192.0.2.7") }, {}),
    settings({ hostName: "other" }, {}),
    settings({ domainName: "example.org" }, {}),
    settings({}, { localAs: 65001 }),
    settings({}, { holdSeconds: 30 }),
    settings({}, { families: [4, 6] }),
    settings({}, { gracefulRestart: undefined }),
    settings({}, { gracefulRestart: { ...gracefulRestart, restartSeconds: 120 } }),
    settings({}, { gracefulRestart: { ...gracefulRestart, notification: true } }),
    settings({}, { gracefulRestart: { ...gracefulRestart, longLivedSeconds: 60 } }),
    settings({}, { extendedMessage: true }),
    settings({}, { enhancedRouteRefresh: true }),
    settings({}, { addPath: "both" }),
  ];
  for (const other of others) {
    const fresh = new Introductions();
    fresh.of(...settings({}, {}), "none");
    assert.notDeepEqual(fresh.of(...other, "none"), before);
  }
  const opens = (["none", "kept", "restarted"] as const).map((forwarding) => {
    return introductions.of(...settings({}, {}), forwarding).open.join();
  });
  assert.equal(new Set(opens).size, 3);
});

test("peers of like settings share one, beyond the bound it is made again", () => {
  const introductions = new Introductions();
  const first = introductions.of(...settings({}, {}), "none");
  const families: PeerConfig["families"] = [4];
  const unlike = { name: "b", password: "key", passive: true };
  assert.equal(introductions.of(...settings({}, { families, ...unlike }, 10), "none"), first);
  for (let index = 0; index < INTRODUCTIONS_MAX; index++) {
    introductions.of(...settings({}, { holdSeconds: 100 + index }), "none");
  }
  const again = introductions.of(...settings({}, {}), "none");
  assert.notEqual(again, first);
  assert.deepEqual(again.open, first.open);
});
