/** Draining: packing, order, End-of-RIB, refresh, slow members, callbacks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACCEPT_ALL, address, type LabPeer, RibLab, route } from "../../support/rib-lab.ts";

function many(count: number, second = 1): string[] {
  return Array.from({ length: count }, (_, i) => `10.${second}.${i >> 8}.${i & 255}/32`);
}

function pair(lab: RibLab): [LabPeer, LabPeer] {
  const a = lab.peer("10.0.0.2", { remoteAs: 65001 }).up();
  const b = lab.peer("10.0.0.3", { remoteAs: 65002 }).up();
  a.receive();
  b.receive();
  return [a, b];
}

test("prefixes of one attribute set share messages, however they came", () => {
  const lab = new RibLab();
  const [a, b] = pair(lab);
  const first = route({ path: [65001, 1] });
  const second = route({ path: [65001, 2] });
  for (const [i, text] of many(400).entries()) a.announce([text], i % 2 === 0 ? first : second);
  const messages = b.receive();
  assert.deepEqual(
    messages.map((m) => m.announced.length),
    [200, 200],
  );
  a.withdraw(many(400));
  assert.equal(b.receive().length, 1);
  assert.deepEqual(b.held(), []);
});

test("what changes back before it is fetched is told once, or not at all", () => {
  const lab = new RibLab();
  const [a, b] = pair(lab);
  const old = route({ path: [65001, 1] });
  a.announce(["10.1.0.0/16", "10.2.0.0/16", "10.4.0.0/16"], old);
  b.receive();
  a.withdraw(["10.1.0.0/16"]);
  a.announce(["10.1.0.0/16"], old);
  a.withdraw(["10.2.0.0/16"]);
  a.announce(["10.2.0.0/16"], route({ path: [65001, 2] }));
  a.announce(["10.3.0.0/16"], old);
  a.withdraw(["10.3.0.0/16"]);
  a.announce(["10.4.0.0/16"], old);
  const messages = b.receive();
  assert.deepEqual(
    messages.map((m) => [m.announced, m.withdrawn]),
    [[["10.2.0.0/16"], []]],
  );
  a.receive();
  assert.equal(lab.rib.sizes().prefixes, 3);
});

test("told ready once until fetched, then again", () => {
  const lab = new RibLab();
  const [a, b] = pair(lab);
  b.readyCount = 0;
  a.announce(["10.1.0.0/16"], route({ path: [65001] }));
  a.announce(["10.2.0.0/16"], route({ path: [65001] }));
  assert.equal(b.readyCount, 1);
  assert.equal(lab.rib.hasOutput(b.id), true);
  b.receive();
  assert.equal(lab.rib.hasOutput(b.id), false);
  a.announce(["10.3.0.0/16"], route({ path: [65001] }));
  assert.equal(b.readyCount, 1);
});

test("a change that cannot concern a group wakes none of its members", () => {
  const lab = new RibLab();
  const peers = ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map((text) => lab.peer(text).up());
  for (const peer of peers) peer.receive();
  for (const peer of peers) peer.readyCount = 0;
  peers[0]!.announce(["10.1.0.0/16"]);
  assert.deepEqual(
    peers.map((peer) => peer.readyCount),
    [0, 0, 0],
  );
  assert.deepEqual(
    peers.map((peer) => lab.rib.hasOutput(peer.id)),
    [false, false, false],
  );
});

test("a path that is not the best wakes nobody but those that are told all paths", () => {
  const lab = new RibLab();
  const [a, b] = pair(lab);
  const plain = lab.peer("10.0.0.4").up();
  const all = lab.peer("10.0.0.5", { session: { addPathSend: [4] } }).up();
  a.announce(["10.1.0.0/16"], route({ path: [65001] }));
  for (const peer of [a, b, plain, all]) peer.receive();
  for (const peer of [plain, all]) peer.readyCount = 0;
  b.announce(["10.1.0.0/16"], route({ path: [65002, 65003] }));
  assert.deepEqual([plain.readyCount, all.readyCount], [0, 1]);
});

test("members of a group read the same bytes", () => {
  const lab = new RibLab();
  const peers = ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map((text) => lab.peer(text).up());
  const a = lab.peer("10.0.0.9", { remoteAs: 65001 }).up();
  for (const peer of peers) peer.receive();
  a.announce(many(10), route({ path: [65001] }));
  const buffers = peers.map((peer) => lab.rib.drainOutput(peer.id, 65536));
  assert.equal(buffers[0]!.length, 1);
  assert.equal(buffers[1]![0]!.buffer, buffers[0]![0]!.buffer);
  assert.equal(buffers[2]![0]!.buffer, buffers[0]![0]!.buffer);
});

test("End-of-RIB: behind the initial table, for each family, once", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001 }).up();
  a.announce(many(1500), route({ path: [65001] }));
  const b = lab.peer("10.0.0.3", { session: { families: [4, 6] } }).up();
  const messages = b.receive(100);
  const ends = messages.map((m) => m.endOfRib).filter((family) => family !== undefined);
  assert.deepEqual(ends.sort(), [4, 6]);
  assert.equal(messages.at(-1)!.endOfRib, 4);
  assert.equal(b.view.size, 1500);
  assert.deepEqual(
    lab.rib.counters(b.id).map((c) => c.endOfRibSent),
    [true, true],
  );
  a.announce(["10.9.0.0/16"], route({ path: [65001] }));
  assert.deepEqual(
    b.receive().map((m) => m.endOfRib),
    [undefined],
  );
});

test("drainOutput keeps to whole messages and to the octets that it may give", () => {
  const lab = new RibLab();
  const [a, b] = pair(lab);
  for (let i = 0; i < 50; i++) a.announce(many(500, i), route({ path: [65001, i + 1] }));
  let calls = 0;
  while (lab.rib.hasOutput(b.id)) {
    const parts = lab.rib.drainOutput(b.id, 10_000);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    assert.ok(bytes <= 10_000 || parts.length === 1);
    calls++;
  }
  assert.ok(calls > 1);
});

test("however long the attributes are, a peer that catches up is given no more at a time", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.9", { remoteAs: 65001 }).up();
  const path = Array.from({ length: 250 }, (_, i) => 65001 + i);
  for (let i = 0; i < 250; i++) a.announce(many(1, i), route({ path: [...path, i + 1] }));
  const late = lab.peer("10.0.0.2").up();
  let total = 0;
  while (lab.rib.hasOutput(late.id)) {
    const parts = lab.rib.drainOutput(late.id, 65_536);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    assert.ok(bytes <= 65_536, `${bytes} octets`);
    total += bytes;
  }
  assert.ok(total > 200_000);
});

test("output is held back, End-of-RIB too, until it is released", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001 }).up();
  const b = lab.peer("10.0.0.3").up();
  lab.rib.holdOutput(b.id, true);
  a.announce(["10.1.0.0/16"], route({ path: [65001] }));
  assert.equal(lab.rib.hasOutput(b.id), false);
  assert.deepEqual(lab.rib.drainOutput(b.id, 65536), []);
  b.readyCount = 0;
  lab.rib.holdOutput(b.id, false);
  assert.equal(b.readyCount, 1);
  assert.deepEqual(
    b.receive().map((m) => m.announced.length),
    [1, 0],
  );
});

test("route refresh: everything again; enhanced, between its two marks", () => {
  const lab = new RibLab();
  const [a, b] = pair(lab);
  a.announce(many(20), route({ path: [65001] }));
  b.receive();
  lab.rib.refreshOut(b.id, 4, { enhanced: false });
  const plain = b.receive();
  assert.deepEqual(
    plain.map((m) => [m.announced.length, m.refresh]),
    [[20, undefined]],
  );
  lab.rib.refreshOut(b.id, 4, { enhanced: true });
  const marked = b.receive();
  assert.deepEqual(
    marked.map((m) => [m.announced.length, m.refresh]),
    [
      [0, 1],
      [20, undefined],
      [0, 2],
    ],
  );
  // A family that was not negotiated is nothing to answer.
  lab.rib.refreshOut(b.id, 6, { enhanced: true });
  assert.deepEqual(b.receive(), []);
  assert.deepEqual(b.needless, []);
});

test("a refresh asked for before the initial table is out comes behind End-of-RIB", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001 }).up();
  a.announce(many(3), route({ path: [65001] }));
  const b = lab.peer("10.0.0.3").up();
  lab.rib.refreshOut(b.id, 4, { enhanced: true });
  assert.deepEqual(
    b.receive().map((m) => m.endOfRib ?? m.refresh ?? m.announced.length),
    [3, 4, 1, 3, 2],
  );
});

test("what is withdrawn while a refresh is being answered is withdrawn", () => {
  const groupLimits = { chunkRowsMax: 4, chunkBucketsMax: 4, sharedBytesMax: 1_000_000 };
  const lab = new RibLab({ groupLimits });
  const [a, b] = pair(lab);
  a.announce(many(20), route({ path: [65001] }));
  b.receive();
  lab.rib.refreshOut(b.id, 4, { enhanced: false });
  b.receiveSome(1);
  a.withdraw(many(20).slice(10, 15));
  b.receive();
  assert.equal(b.view.size, 15);
});

test("a member that reads slowly leaves the shared stream, catches up and misses nothing", () => {
  const groupLimits = { chunkRowsMax: 64, chunkBucketsMax: 64, sharedBytesMax: 2000 };
  const lab = new RibLab({ groupLimits });
  const a = lab.peer("10.0.0.9", { remoteAs: 65001 }).up();
  const fast = lab.peer("10.0.0.2").up();
  const slow = lab.peer("10.0.0.3").up();
  for (const peer of [a, fast, slow]) peer.receive();
  for (let i = 0; i < 50; i++) {
    a.announce(many(100, i % 10), route({ path: [65001, i + 1] }));
    if (i % 3 === 2) a.withdraw(many(50, i % 10));
    fast.receive();
  }
  a.withdraw(many(100, 7));
  fast.receive();
  assert.equal(slow.view.size, 0);
  slow.receive();
  assert.deepEqual(slow.held(), fast.held());
  assert.ok(fast.view.size > 500);
  assert.deepEqual(fast.needless, []);
  // Both read along again.
  a.announce(["10.200.0.0/16"], route({ path: [65001] }));
  const buffers = [fast, slow].map((peer) => lab.rib.drainOutput(peer.id, 65536));
  assert.equal(buffers[0]![0]!.buffer, buffers[1]![0]!.buffer);
});

test("a prefix withdrawn in a block that a slow member never reads is still withdrawn", () => {
  const groupLimits = { chunkRowsMax: 64, chunkBucketsMax: 64, sharedBytesMax: 200 };
  const lab = new RibLab({ groupLimits });
  const a = lab.peer("10.0.0.9", { remoteAs: 65001 }).up();
  const fast = lab.peer("10.0.0.2").up();
  const slow = lab.peer("10.0.0.3").up();
  a.announce(["10.77.0.0/16"], route({ path: [65001] }));
  for (const peer of [fast, slow]) peer.receive();
  a.withdraw(["10.77.0.0/16"]);
  for (let i = 0; i < 30; i++) {
    fast.receive();
    // The announcer reads too, so that nothing else holds the prefix's row.
    a.receive();
    a.announce(many(30, i), route({ path: [65001, i + 1] }));
  }
  fast.receive();
  slow.receive();
  assert.deepEqual(slow.held(), fast.held());
});

test("1,000 members of one group, and each change is encoded once", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001 }).up();
  const members = Array.from({ length: 1000 }, (_, i) =>
    lab.peer(`10.1.${i >> 8}.${i & 255}`).up(),
  );
  for (const member of members) member.receive();
  a.announce(["10.9.0.0/16"], route({ path: [65001] }));
  const buffers = new Set(members.map((m) => lab.rib.drainOutput(m.id, 65536)[0]!.buffer));
  assert.equal(buffers.size, 1);
});

test("a family with much to say does not keep another one waiting", () => {
  const groupLimits = { chunkRowsMax: 8, chunkBucketsMax: 8, sharedBytesMax: 1_000_000 };
  const lab = new RibLab({ groupLimits });
  const session = { families: [4 as const, 6 as const] };
  const a = lab.peer("10.0.0.2", { remoteAs: 65001, session }).up();
  const b = lab.peer("10.0.0.3", { session }).up();
  b.receive();
  const attributes = route({ path: [65001], nextHop: address("2001:db8::2") });
  a.announce(["2001:db8:9::/48"], attributes);
  for (let i = 0; i < 5; i++) {
    a.announce(many(100, i), route({ path: [65001, i + 1] }));
    b.receiveSome(100);
  }
  assert.equal(b.view.has("2001:db8:9::/48"), true);
  assert.ok(b.view.size < 400);
});

test("ADD-PATH: paths beyond what a peer can be told are told when others go", () => {
  const lab = new RibLab();
  const session = { addPathReceive: [4 as const], addPathSend: [4 as const] };
  const peer = (i: number) =>
    lab.peer(`10.0.0.${i}`, { remoteAs: 65000 + i, exportPolicy: ACCEPT_ALL, session }).up();
  const sources = [2, 3, 4, 5, 6].map(peer);
  const receiver = peer(7);
  const paths = Array.from({ length: 64 }, (_, i) => `10.1.0.0/32#${i + 1}`);
  for (const [i, source] of sources.entries()) {
    source.announce(paths, route({ path: [65002 + i] }));
  }
  const told = () => {
    for (const each of [...sources, receiver]) each.receive();
    const origins = [...receiver.view.values()].map(({ asPath }) => asPath[0]!.asns.at(-1));
    const counts = sources.map((_, i) => origins.filter((as) => as === 65002 + i).length);
    // Each of them knows what the receiver knows, but for what it said itself.
    for (const [i, source] of sources.entries()) {
      assert.equal(source.view.size, receiver.view.size - counts[i]!);
    }
    return counts;
  };
  const first = told();
  assert.deepEqual(
    [...first].sort((a, b) => a - b),
    [0, 63, 64, 64, 64],
  );
  const [all, none] = [first.indexOf(64), first.indexOf(0)];
  sources[all]!.withdraw(paths.slice(0, 1));
  assert.equal(told()[all], 63);
  assert.equal(receiver.view.size, 255);
  for (const [i, source] of sources.entries()) if (i !== none) source.withdraw(paths);
  const rest = sources.map((_, i) => (i === none ? 64 : 0));
  assert.deepEqual(told(), rest);
  assert.deepEqual(receiver.needless, []);
});

test("ADD-PATH: who comes late is told what there is, and withdrawn nothing", () => {
  const lab = new RibLab();
  const session = { addPathSend: [4 as const] };
  const peer = (i: number) => lab.peer(`10.0.0.${i}`, { remoteAs: 65000 + i, session }).up();
  const [a, b, first] = [peer(2), peer(3), peer(4)];
  const all = [a, b, first];
  a.announce(["10.1.0.0/16"], route({ path: [65002] }));
  b.announce(["10.1.0.0/16", "10.2.0.0/16"], route({ path: [65003] }));
  for (const each of all) each.receive();
  assert.deepEqual([first.view.size, a.view.size, b.view.size], [3, 2, 1]);
  // The row stays, and with it the knowledge that two were told.
  b.withdraw(["10.1.0.0/16", "10.2.0.0/16"]);
  for (const each of all) each.receive();
  all.push(peer(5));
  for (const each of all) {
    lab.rib.refreshOut(each.id, 4, { enhanced: false });
    each.receive();
    assert.equal(each.view.size, each === a ? 0 : 1);
    assert.deepEqual(each.needless, [], each.config.name);
  }
});
