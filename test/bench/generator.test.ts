/** The load generator's streams are what they are said to be, and its receivers count right. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FeedOrder, makeFeed, PrefixPlan } from "../../bench/generator/feed.ts";
import { addressText, addressWord } from "../../bench/generator/messages.ts";
import { PrefixTable } from "../../bench/generator/prefix-table.ts";
import { UpdateDecoder } from "../../src/bgp/message/update-decoder.ts";
import { negotiatedSession } from "../support/negotiated-session.ts";

const ORDER: FeedOrder = {
  ...{ prefixes: 20_000, sets: 2000, prefixesPerUpdate: 5, nextHop: "198.19.0.3", as: 65_001 },
  ...{ firstPrefix: 0, lengths: "mixed", seed: 1 },
};

const SESSION = negotiatedSession({ remoteAs: 65_001, internal: false });

/** Decodes with the product's own codec; prefixes announced and withdrawn, attribute sets. */
function decoded(stream: Uint8Array) {
  const decoder = new UpdateDecoder(SESSION);
  const counts = { messages: 0, announced: 0, withdrawn: 0, most: 0, sets: new Set<string>() };
  for (let at = 0; at < stream.length; ) {
    const length = (stream[at + 16]! << 8) | stream[at + 17]!;
    const update = decoder.decode(stream, at + 19, at + length);
    assert.ok("treatment" in update && update.treatment === "none", JSON.stringify(update));
    counts.messages++;
    counts.announced += update.announced.count;
    counts.withdrawn += update.withdrawn.count;
    counts.most = Math.max(counts.most, update.announced.count);
    const attributes = (stream[at + 21]! << 8) | stream[at + 22]!;
    if (attributes > 0) {
      counts.sets.add(Buffer.from(stream.subarray(at + 23, at + 23 + attributes)).toString("hex"));
    }
    at += length;
  }
  return counts;
}

test("a feed has the prefixes and attribute sets that were ordered", () => {
  const feed = makeFeed(ORDER);
  const announced = decoded(feed.announce);
  assert.equal(announced.announced, ORDER.prefixes);
  assert.equal(announced.messages, feed.updates);
  assert.equal(announced.most, ORDER.prefixesPerUpdate);
  assert.equal(announced.sets.size, ORDER.sets);
  const withdrawn = decoded(feed.withdraw);
  assert.deepEqual([withdrawn.announced, withdrawn.withdrawn], [0, ORDER.prefixes]);
  assert.deepEqual(makeFeed(ORDER).announce, feed.announce, "the same every time");
});

test("no two prefixes are the same, of a sender or of several", () => {
  const plan = new PrefixPlan("mixed");
  const seen = new Set<string>();
  const lengths = new Map<number, number>();
  for (let i = 0; i < 200_000; i++) {
    plan.next();
    seen.add(`${plan.address}/${plan.length}`);
    lengths.set(plan.length, (lengths.get(plan.length) ?? 0) + 1);
    assert.ok(plan.address >= addressWord("20.0.0.0") && plan.address < addressWord("127.0.0.0"));
  }
  assert.equal(seen.size, 200_000);
  assert.deepEqual([...lengths.keys()].sort(), [16, 17, 18, 19, 20, 21, 22, 23, 24]);
});

test("a receiver counts each prefix once, whatever is said of it and however it is cut", () => {
  const table = new PrefixTable();
  const { announce, withdraw, updates } = makeFeed(ORDER);
  table.take(announce, 0, announce.length);
  assert.equal(table.live, ORDER.prefixes);
  table.take(announce, 0, announce.length);
  assert.deepEqual([table.live, table.updates], [ORDER.prefixes, 2 * updates]);
  const other = makeFeed({ ...ORDER, firstPrefix: ORDER.prefixes });
  table.take(other.announce, 0, other.announce.length);
  assert.equal(table.live, 2 * ORDER.prefixes);
  table.take(withdraw, 0, withdraw.length);
  table.take(other.withdraw, 0, other.withdraw.length);
  assert.equal(table.live, 0);
});

test("a feed of an internal session has an empty path and a LOCAL_PREF", () => {
  const { announce } = makeFeed({ ...ORDER, as: undefined, prefixes: 1, sets: 1, lengths: "24" });
  const hex = Buffer.from(announce).toString("hex");
  assert.match(hex, /400101004002004003 ?04/);
  assert.match(hex, /40050400000064/);
  assert.equal(addressText(addressWord("198.19.0.3")), "198.19.0.3");
});
