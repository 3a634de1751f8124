/** How sessions come up: who dials when, collisions, refusals, retries. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeOpen } from "../../../src/bgp/message/open.ts";
import { dialDelayMs } from "../../../src/bgp/speaker/dial-delay.ts";
import { wordOfAddress } from "../../../src/ip/address.ts";
import { openOf, RawPeer } from "../../support/raw-peer.ts";
import { ip, World } from "../../support/speakers.ts";

test("two speakers are up at once in either order of starting", () => {
  for (const order of ["a then b", "b then a", "together"]) {
    for (const gap of [0, 1, 50, 149, 150, 151, 400, 2_000]) {
      const world = new World({ latencyMs: 5 });
      const a = world.node("192.0.2.1");
      const b = world.node("192.0.2.2");
      a.peers([b]);
      b.peers([a]);
      const [first, second] = order === "b then a" ? [b, a] : [a, b];
      first.speaker.start();
      if (order !== "together") world.advance(gap);
      second.speaker.start();
      const took = world.until(() => a.isUp(b) && b.isUp(a), `${order}, gap ${gap}`);
      assert.ok(took < 250, `${order}, gap ${gap}: ${took} ms`);
      assert.equal(a.status(b).flaps + b.status(a).flaps, 0);
      world.advance(20_000);
      assert.ok(a.isUp(b) && b.isUp(a));
      assert.equal(a.status(b).established, 1);
      assert.equal(b.status(a).established, 1);
    }
  }
});

test("dials that cross resolve without a wait, whatever the timing and the identifiers", () => {
  for (const [idA, idB] of [
    ["250.0.0.1", "250.0.0.2"],
    ["250.0.0.2", "250.0.0.1"],
  ] as const) {
    for (let gap = 0; gap <= 14; gap++) {
      // Identifiers above both addresses: neither side waits for the other to dial first.
      const world = new World({ latencyMs: 5, seed: gap });
      const a = world.node("192.0.2.1", { routerId: ip(idA) });
      const b = world.node("192.0.2.2", { routerId: ip(idB) });
      a.peers([b]);
      b.peers([a]);
      a.speaker.start();
      world.advance(gap);
      b.speaker.start();
      const took = world.until(() => a.isUp(b) && b.isUp(a), `gap ${gap}`);
      assert.ok(took < 60, `gap ${gap}: ${took} ms`);
      world.advance(30_000);
      assert.ok(a.isUp(b) && b.isUp(a), `gap ${gap}: stays up`);
    }
  }
});

test("simultaneous dials cost one connection more and no second", () => {
  let crossed = 0;
  for (let offset = -11; offset <= 12; offset++) {
    const world = new World({ latencyMs: 5 });
    const a = world.node("192.0.2.1");
    const b = world.node("192.0.2.2");
    a.peers([b]);
    b.peers([a]);
    // The lower identifier waits 11 ms: so both dial within a few ms.
    a.speaker.start();
    world.advance(11 + offset);
    b.speaker.start();
    const took = world.until(() => a.isUp(b) && b.isUp(a), `offset ${offset}`);
    assert.ok(took <= 40, `offset ${offset}: ${took} ms`);
    if (world.network.dials > 1) crossed++;
    world.advance(60_000);
    assert.ok(a.isUp(b) && b.isUp(a));
    assert.ok(world.network.dials <= 2);
  }
  assert.ok(crossed >= 5, `only ${crossed} runs had a collision`);
});

test("of two that start together over IPv6 one alone dials, whatever the identifiers", () => {
  for (const [idA, idB] of [
    ["250.0.0.1", "250.0.0.2"],
    ["250.0.0.2", "250.0.0.1"],
  ] as const) {
    const world = new World();
    const a = world.node("fd00::1", { routerId: ip(idA) });
    const b = world.node("fd00::2", { routerId: ip(idB) });
    a.peers([b], { families: [6] });
    b.peers([a], { families: [6] });
    a.speaker.start();
    b.speaker.start();
    world.until(() => a.isUp(b) && b.isUp(a), `${idA} and ${idB}`, 500);
    assert.equal(world.network.dials, 1);
  }
});

test("how long first dials wait grows with their number, up to a bound", () => {
  const config = { address: ip("192.0.2.5"), localAddress: undefined, passive: false };
  const waits = (own: string, dials: number) => {
    const id = wordOfAddress(ip(own));
    return [0, 0.999].map((draw) => Math.round(dialDelayMs(config, id, dials, () => draw))).join();
  };
  assert.deepEqual(
    [1, 100, 1000, 8000].map((dials) => waits("192.0.2.9", dials)),
    ["0,0", "0,15", "0,150", "0,999"],
  );
  assert.deepEqual(
    [1, 100, 1000, 8000].map((dials) => waits("192.0.2.1", dials)),
    ["11,11", "110,125", "150,300", "150,1149"],
  );
});

test("a passive peer is never dialled, and comes up when the other side dials", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b], { passive: true });
  b.peers([a]);
  a.speaker.start();
  world.advance(60_000);
  assert.equal(world.network.dials, 0);
  assert.equal(a.status(b).state, "Active");
  b.speaker.start();
  world.until(() => a.isUp(b) && b.isUp(a), "session", 500);
});

test("nobody there: tried after a second, then less often, at least each half minute", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b]);
  a.speaker.start();
  const times: number[] = [];
  for (let dials = 0; times.length < 9; world.advance(5)) {
    if (world.network.dials === dials) continue;
    dials = world.network.dials;
    times.push(world.clock.now());
  }
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  const full = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
  gaps.forEach((gap, i) => {
    assert.ok(gap > full[i]! * 0.75 - 10 && gap <= full[i]! + 20, `gap ${i}: ${gap} ms`);
  });
  assert.deepEqual(a.status(b).lastError?.reason, "connection refused");
  assert.equal(a.status(b).since, undefined);
});

test("a peer that starts late is up at once, for it dials itself", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b]);
  b.peers([a]);
  a.speaker.start();
  world.advance(300_000);
  b.speaker.start();
  world.until(() => a.isUp(b) && b.isUp(a), "session", 250);
});

test("a dead address: the dial is given up after seconds, and the reason says so", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  b.host.vanish();
  a.peers([b]);
  a.speaker.start();
  world.advance(4_900);
  assert.equal(a.status(b).state, "Connect");
  assert.equal(a.status(b).lastError, undefined);
  world.advance(300);
  assert.equal(a.status(b).lastError?.reason, "connect timed out");
  world.advance(60_000);
  assert.ok(world.network.dials >= 4 && world.network.dials <= 8, `${world.network.dials} dials`);
});

test("a wrong password shows as what it may be", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const b = world.node("192.0.2.2");
  a.peers([b], { password: "right" });
  b.peers([a], { password: "wrong" });
  a.speaker.start();
  b.speaker.start();
  world.advance(7_000);
  for (const status of [a.status(b), b.status(a)]) {
    assert.match(status.lastError?.reason ?? "", /timed out.*same password/);
    assert.equal(status.passwordSet, true);
    assert.ok(!JSON.stringify(status).includes("right"));
  }
  b.peers([a], { password: "right" });
  world.until(() => a.isUp(b) && b.isUp(a), "session", 40_000);
});

test("a peer that hangs up on every OPEN is dialled less and less often", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const raw = new RawPeer(world.network.host(ip("192.0.2.9")), ip("192.0.2.9")).listen();
  a.speaker.setPeers([{ ...a.peerTo(a), address: raw.address, name: "raw" }]);
  a.speaker.start();
  for (let i = 0; i < 600; i++) {
    world.advance(100);
    raw.connection?.reset();
  }
  assert.ok(raw.connections >= 4 && raw.connections <= 9, `${raw.connections} connections`);
});

test("a peer that never says OPEN is given up after four minutes", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const raw = new RawPeer(world.network.host(ip("192.0.2.9")), ip("192.0.2.9")).listen();
  a.speaker.setPeers([{ ...a.peerTo(a), address: raw.address, name: "raw" }]);
  a.speaker.start();
  world.advance(239_000);
  assert.equal(raw.names, "OPEN");
  world.advance(3_000);
  assert.equal(raw.notification, "4/0");
  assert.equal(raw.connections, 2);
});

test("nor for ever one of hold time 0 that says OPEN and never KEEPALIVE", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const raw = new RawPeer(world.network.host(ip("192.0.2.9")), ip("192.0.2.9")).listen();
  a.speaker.setPeers([{ ...a.peerTo(a), address: raw.address, name: "raw" }]);
  a.speaker.start();
  world.until(() => raw.names === "OPEN", "OPEN");
  raw.send(encodeOpen(openOf(raw.address, { holdSeconds: 0 })));
  world.advance(239_000);
  assert.equal(raw.names, "OPEN KEEPALIVE");
  assert.equal(a.speaker.peer(raw.address)?.state, "OpenConfirm");
  world.advance(3_000);
  assert.equal(raw.notification, "4/0");
  assert.equal(raw.connections, 2);
});

test("a peer with a wrong AS or our own identifier is told so", () => {
  const cases = [
    [{ as2: 64999, capabilities: [] }, "2/2", /AS 64999, expected AS 64512/],
    [{ routerId: 0xc0000201 }, "2/3", /our own BGP identifier/],
  ] as const;
  for (const [open, notification, reason] of cases) {
    const world = new World();
    const a = world.node("192.0.2.1");
    const raw = new RawPeer(world.network.host(ip("192.0.2.9")), ip("192.0.2.9")).listen();
    raw.autoOpen = openOf(raw.address, open);
    a.speaker.setPeers([{ ...a.peerTo(a), address: raw.address, name: "raw" }]);
    a.speaker.start();
    world.advance(300);
    assert.equal(raw.notification, notification);
    const status = a.speaker.peer(raw.address)!;
    assert.match(status.lastError!.reason, reason);
    assert.match(status.lastError!.reason, /^sent OPEN Message Error/);
    assert.equal(Object.values(status.errors)[0], 1);
  }
});

test("after an outage who waits for its next dial, or for an answer, is dialled at once", () => {
  for (const outageMs of [20_000, 40_000, 61_000, 83_000]) {
    const world = new World({ seed: outageMs });
    const a = world.node("192.0.2.1");
    const b = world.node("192.0.2.2");
    a.peers([b]);
    b.peers([a], { passive: true });
    // A SYN is lost: a dial finds out by its timeout alone.
    world.network.hosts.delete(b.address);
    a.speaker.start();
    b.speaker.start();
    world.advance(outageMs);
    const before = a.status(b).lastError;
    a.speaker.dialWaiting();
    world.advance(100);
    assert.deepEqual(a.status(b).lastError, before);
    // The neighbour takes a moment: that dial is in vain as well.
    world.network.hosts.set(b.address, b.host);
    const took = world.until(() => a.isUp(b), `session after ${outageMs} ms`);
    assert.ok(took < 7_000, `${took} ms after ${outageMs} ms`);
  }
});
