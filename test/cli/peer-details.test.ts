/** The long form of one peer, where the golden file of `peers node2` does not go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPeer } from "../../src/cli/peer-details.ts";
import { NOW, peer } from "./fixtures.ts";

test("a restart of ours is told as ours: the peer did not restart, and nothing of it is stale", () => {
  const text = formatPeer(peer({ state: "Established", since: NOW, restarting: true }), NOW);
  assert.match(text, /^ {2}We restarted, as our OPEN tells the peer \(R bit\)$/m);
  assert.doesNotMatch(text, /Peer is restarting|stale/i);
  assert.doesNotMatch(formatPeer(peer({}), NOW), /restart/);
});
