/** Peers that read nothing, that flood, that break: the others do not notice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { QUEUE_BYTES_HIGH } from "../../../src/bgp/session/transport.ts";
import type { OriginatedRoute } from "../../../src/bgp/types.ts";
import { announce, hex, message, openOf, RawPeer } from "../../support/raw-peer.ts";
import { ip, route, type TestNode, World } from "../../support/speakers.ts";

function rawPeers(world: World, a: TestNode, count: number, holdSeconds = 90): RawPeer[] {
  const raws = Array.from({ length: count }, (_, i) => {
    const address = ip(`192.0.2.${100 + i}`);
    const raw = new RawPeer(world.network.host(address), address).listen();
    raw.autoOpen = openOf(address, { holdSeconds });
    raw.keepalives = true;
    return raw;
  });
  a.speaker.setPeers(raws.map((raw) => ({ ...a.peerTo(a), address: raw.address })));
  a.speaker.start();
  world.until(() => raws.every((raw) => raw.names.includes("UPDATE")), "sessions");
  return raws;
}

/** Routes that each need an UPDATE of their own: `count` different attribute sets. */
function routes(a: TestNode, count: number): OriginatedRoute[] {
  return Array.from({ length: count }, (_, i) => ({
    ...route(`10.${(i >> 8) & 255}.${i & 255}.0/24`, a.address),
    med: i,
  }));
}

const hexOctet = (value: number) => value.toString(16).padStart(2, "0");

const stateOf = (a: TestNode, raw: RawPeer) => a.speaker.peer(raw.address)!.state;

test("a peer that reads nothing: a bounded queue, others get all, and it ends by the send hold timer", () => {
  const world = new World({ windowBytes: 8_192 });
  const a = world.node("192.0.2.1");
  const [deaf, fine] = rawPeers(world, a, 2) as [RawPeer, RawPeer];
  deaf.connection!.pause();
  fine.forget();
  // It still shows that it lives.
  const stillThere = () => {
    deaf.send(message(4, new Uint8Array(0)));
    world.clock.after(20_000, stillThere);
  };
  stillThere();
  a.speaker.originate(routes(a, 20_000));
  let most = 0;
  for (let i = 0; i < 4_000; i++) {
    world.advance(100);
    const queue = a.speaker.peer(deaf.address)!.outputQueueBytes;
    most = Math.max(most, queue);
    if (i === 50) {
      assert.ok(queue > 100_000, `it does not fill: ${queue}`);
      const updates = fine.heard.filter(({ type }) => type === 2);
      assert.ok(updates.length >= 20_000, `the other peer got ${updates.length}`);
    }
  }
  assert.ok(most <= QUEUE_BYTES_HIGH + 64 * 1024 + 4_096, `queue of ${most}`);
  assert.equal(stateOf(a, deaf), "Established", "eight minutes are not over");
  const left = world.until(() => stateOf(a, deaf) !== "Established", "send hold", 200_000);
  assert.ok(left > 0);
  const { reason } = a.speaker.peer(deaf.address)!.lastError!;
  assert.match(reason, /^sent Send Hold Timer Expired/);
  assert.equal(stateOf(a, fine), "Established");
});

test("a peer that reads slowly gets everything, however long it takes", () => {
  const world = new World({ windowBytes: 8_192 });
  const a = world.node("192.0.2.1");
  const [slow] = rawPeers(world, a, 1) as [RawPeer];
  slow.forget();
  a.speaker.originate(routes(a, 12_000));
  const seen = new Set<string>();
  for (let i = 0; i < 3_000 && seen.size < 12_000; i++) {
    slow.connection!.pause();
    world.advance(300);
    slow.connection!.resume();
    world.advance(2);
    for (const { type, bytes } of slow.heard) {
      if (type === 2) seen.add(Buffer.from(bytes.subarray(-4)).toString("hex"));
    }
    slow.heard = [];
  }
  assert.equal(seen.size, 12_000);
  assert.equal(stateOf(a, slow), "Established");
});

test("a flood of UPDATEs delays no KEEPALIVE of the others", () => {
  const world = new World({ windowBytes: 4_000_000 });
  const a = world.node("192.0.2.1");
  const [flooder, ...others] = rawPeers(world, a, 4, 9) as [RawPeer, ...RawPeer[]];
  for (const other of others) other.forget();
  const numbers = Array.from({ length: 30 }, (_, i) => i);
  const burst = announce(flooder.address, ...numbers);
  for (let i = 0; i < 60; i++) {
    flooder.send(...Array.from({ length: 2_000 }, () => burst));
    world.advance(1_000);
  }
  assert.equal(a.speaker.peer(flooder.address)!.received.update, 120_000);
  for (const other of others) {
    const beats = other.heard.filter(({ type }) => type === 4).map(({ at }) => at);
    assert.ok(beats.length >= 19, `${beats.length} KEEPALIVEs in a minute`);
    const gaps = beats.slice(1).map((at, i) => at - beats[i]!);
    assert.ok(Math.max(...gaps) <= 3_005, `${gaps}`);
    assert.equal(stateOf(a, other), "Established");
  }
  assert.equal(stateOf(a, flooder), "Established");
});

test("what one peer breaks ends its own session alone", () => {
  const cases: readonly [string, Uint8Array, string][] = [
    ["marker", hex(`${"fe".repeat(16)}001304`), "1/1"],
    ["length", message(2, new Uint8Array(4), 18), "1/2"],
    ["too long", message(2, new Uint8Array(4), 4097), "1/2"],
    ["type", message(9, new Uint8Array(0)), "1/3"],
    ["keepalive with a body", message(4, new Uint8Array(1)), "1/2"],
    ["second OPEN", hex(`${"ff".repeat(16)} 001d 01 04 fc00 005a c0000264 00`), "5/3"],
    ["attributes run over", message(2, hex("0000 0010 400101")), "3/1"],
    ["a prefix of 33 bits", message(2, hex("0000 0000 21 0a000000 00")), "3/10"],
  ];
  for (const [what, bytes, notification] of cases) {
    const world = new World();
    const a = world.node("192.0.2.1");
    const [bad, good] = rawPeers(world, a, 2) as [RawPeer, RawPeer];
    good.send(announce(good.address, 1));
    bad.send(announce(bad.address, 2));
    world.until(() => a.routes().length === 2, "routes");
    bad.autoOpen = undefined;
    bad.send(bytes, announce(bad.address, 3));
    world.advance(5);
    assert.equal(bad.notification, notification, what);
    assert.deepEqual(a.routes(), [`10.0.1.0/24 via ${good.address}`], what);
    assert.equal(stateOf(a, good), "Established", what);
    assert.equal(Object.values(a.speaker.peer(bad.address)!.errors).length, 1, what);
  }
});

test("a malformed attribute is treated as withdraw: counted, and the session goes on", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const [raw] = rawPeers(world, a, 1) as [RawPeer];
  raw.send(announce(raw.address, 1, 2));
  world.until(() => a.routes().length === 2, "routes");
  const badOrigin = "40010109 400200 400304c0000264 40050400000064";
  raw.send(message(2, hex(`0000 0015 ${badOrigin} 180a0001`)), announce(raw.address, 3));
  world.until(() => a.routes().some((text) => text.startsWith("10.0.3.0")), "the route behind it");
  assert.deepEqual(
    a.routes().map((text) => text.split(" ")[0]),
    ["10.0.2.0/24", "10.0.3.0/24"],
  );
  const status = a.speaker.peer(raw.address)!;
  assert.equal(status.state, "Established");
  assert.equal(Object.values(status.errors)[0], 1);
});

test("a peer that comes up, breaks and comes back at once is held off longer and longer", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const [raw] = rawPeers(world, a, 1) as [RawPeer];
  const ups: number[] = [];
  let established = 0;
  for (let i = 0; i < 6_000; i++) {
    const status = a.speaker.peer(raw.address)!;
    if (status.established > established) {
      established = status.established;
      ups.push(world.clock.now());
      raw.send(message(2, hex("0000 0010 400101")));
    } else if (raw.closed !== undefined && i % 10 === 0) {
      raw.dial(a.address);
    }
    world.advance(100);
  }
  assert.ok(ups.length >= 6 && ups.length <= 14, `${ups.length} sessions in ten minutes`);
  const gaps = ups.slice(1).map((at, i) => at - ups[i]!);
  assert.ok(gaps.at(-1)! > 40_000, `${gaps}`);
  assert.ok(gaps[0]! < 3_000, `${gaps}`);
});

test("after a quiet while the same peer is let in quickly again", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const [raw] = rawPeers(world, a, 1) as [RawPeer];
  for (let i = 0; i < 4; i++) {
    world.until(() => stateOf(a, raw) === "Established", "session", 20_000);
    raw.send(message(2, hex("0000 0010 400101")));
    world.advance(10);
  }
  world.until(() => stateOf(a, raw) === "Established", "session", 20_000);
  world.advance(600_000);
  raw.connection!.reset();
  world.advance(10);
  assert.equal(stateOf(a, raw), "Active");
  world.until(() => stateOf(a, raw) === "Established", "session", 1_500);
});

test("more paths of a prefix than are kept are counted; the limit of prefixes is another", () => {
  // At 64 of 80 the warning of the limit is given, too.
  for (const limit of [undefined, 100, 80]) {
    const world = new World();
    const a = world.node("192.0.2.1");
    const raw = new RawPeer(world.network.host(ip("192.0.2.9")), ip("192.0.2.9")).listen();
    const addPath = { kind: "addPath", families: [{ family: 4, mode: 2 }] } as const;
    raw.autoOpen = openOf(raw.address, {
      capabilities: [{ kind: "fourOctetAs", as: 64512 }, addPath],
    });
    const maximumPrefixes =
      limit === undefined ? undefined : { limit, warningPercent: 75, restartSeconds: 0 };
    const config = { ...a.peerTo(a), address: raw.address, maximumPrefixes };
    a.speaker.setPeers([{ ...config, addPath: "receive" }]);
    a.speaker.start();
    world.until(() => stateOf(a, raw) === "Established", "session");
    const nlri = Array.from({ length: 70 }, (_, i) => `000000${hexOctet(i)} 180a0001`).join("");
    const attributes = "40010100 400200 400304c0000209 40050400000064";
    raw.send(message(2, hex(`0000 0015 ${attributes} ${nlri}`)));
    world.advance(1000);
    const status = a.speaker.peer(raw.address)!;
    assert.equal(status.state, "Established", `limit ${limit}`);
    assert.equal(status.families[0]!.received, 64);
    assert.deepEqual(status.errors, { "paths beyond what is kept of a prefix, or of all": 1 });
  }
});

test("strangers are refused before any state is made, a thousand a second", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const [raw] = rawPeers(world, a, 1) as [RawPeer];
  const stranger = new RawPeer(world.network.host(ip("203.0.113.9")), ip("203.0.113.9"));
  for (let i = 0; i < 5_000; i++) {
    stranger.dial(a.address);
    if (i % 10 === 9) world.advance(10);
  }
  world.advance(10);
  assert.equal(stranger.names, "");
  assert.equal(a.speaker.refusedConnections, 5_000);
  assert.equal(stateOf(a, raw), "Established");
  assert.equal(a.speaker.peers().length, 1);
});

test("a thousand connections from a peer's own address cost nothing but themselves", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const [raw] = rawPeers(world, a, 1) as [RawPeer];
  const other = new RawPeer(raw.host, raw.address);
  for (let i = 0; i < 1_000; i++) {
    other.dial(a.address);
    world.advance(1);
  }
  assert.equal(stateOf(a, raw), "Established");
  assert.equal(a.speaker.peer(raw.address)!.established, 1);
  const probes = raw.heard.filter(({ type }) => type === 4).length;
  assert.ok(probes <= 4, `${probes} KEEPALIVEs`);
});
