/** A connection is lost, or given up for another one, between two speakers that both live on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeKeepalive } from "../../../src/bgp/message/keepalive.ts";
import { encodeOpen } from "../../../src/bgp/message/open.ts";
import { MessageType } from "../../../src/bgp/message/types.ts";
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
  raw.connection!.close();
  world.advance(10);
  assert.equal(bits(), false, "it may have restarted: to the byte what kube-router sends");
  raw.connection!.reset();
  world.advance(10);
  assert.equal(bits(), true, "lost again");
  raw.connection!.reset();
  world.until(() => a.speaker.peer(raw.address)?.state !== "Established", "the loss");
  a.speaker.setPeers([{ ...config, shutdown: { message: "" } }]);
  a.speaker.setPeers([config]);
  assert.equal(bits(), false, "lost, and shut down meanwhile");
  raw.send(message(MessageType.notification, hex("0604")));
  world.advance(10);
  assert.equal(bits(), false, "after a NOTIFICATION nothing is kept (RFC 4724 §4)");
  raw.connection!.reset();
  world.advance(10);
  a.speaker.setPeers([]);
  a.speaker.setPeers([config]);
  assert.equal(bits(), false, "a peer that was taken out is a new one");
});

test("F bits alone: also towards a peer that keeps routes and forwards none itself", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  // RFC 4724 §3, as BIRD's `graceful restart aware`, its default.
  const helper = restartCapability({ restartSeconds: 0, families: [] });
  raw.autoOpen = openOf(address, { capabilities: [{ kind: "fourOctetAs", as: 64512 }, helper] });
  a.speaker.setPeers([{ ...a.peerTo(a), address }]);
  a.originate(PREFIX_A).speaker.start();
  const isUp = () => a.speaker.peer(address)?.state === "Established";
  world.until(isUp, "session");
  raw.connection!.reset();
  world.advance(10);
  world.until(isUp, "session again");
  const { local } = a.speaker.peer(address)!.capabilities;
  const restart = local.find(({ kind }) => kind === "gracefulRestart");
  assert.ok(restart?.kind === "gracefulRestart");
  assert.deepEqual([restart.restarted, restart.families[0]!.forwardingPreserved], [false, true]);
});

test("F bits alone: after a session whose peer read nothing, and was told nothing", () => {
  const world = new World({ windowBytes: 8_192 });
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  const capabilities = [{ kind: "fourOctetAs", as: 64512 } as const, restartCapability()];
  raw.autoOpen = openOf(address, { capabilities });
  raw.keepalives = true;
  a.speaker.setPeers([{ ...a.peerTo(a), address }]);
  a.originate(...Array.from({ length: 4_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`));
  a.speaker.start();
  const isUp = () => a.speaker.peer(address)?.state === "Established";
  world.until(isUp, "session");
  raw.connection!.pause();
  const stillThere = () => {
    if (a.speaker.peer(address)?.established === 1) raw.send(encodeKeepalive());
    world.clock.after(20_000, stillThere);
  };
  stillThere();
  world.until(() => !isUp(), "send hold", 700_000);
  assert.match(a.speaker.peer(address)!.lastError!.reason, /^sent Send Hold Timer Expired/);
  assert.ok(!raw.names.includes("NOTIFICATION"), raw.names);
  world.until(isUp, "session again", 100_000);
  const { local } = a.speaker.peer(address)!.capabilities;
  const restart = local.find(({ kind }) => kind === "gracefulRestart");
  assert.ok(restart?.kind === "gracefulRestart");
  assert.deepEqual([restart.restarted, restart.families[0]!.forwardingPreserved], [false, true]);
});

test("F bits alone: beside a session that only the peer knows to be lost", () => {
  const world = new World();
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const host = world.network.host(address);
  const capabilities = [{ kind: "fourOctetAs", as: 64512 } as const, restartCapability()];
  const [before, after] = [new RawPeer(host, address).listen(), new RawPeer(host, address)];
  for (const raw of [before, after]) raw.autoOpen = openOf(address, { capabilities });
  a.speaker.setPeers([{ ...a.peerTo(a), address }]);
  a.speaker.start();
  world.until(() => a.speaker.peer(address)?.state === "Established", "session");
  world.advance(5_000);
  after.keepalives = true;
  after.dial(a.address);
  world.until(() => a.speaker.peer(address)?.established === 2, "a session on the other one");
  const { local } = a.speaker.peer(address)!.capabilities;
  const restart = local.find(({ kind }) => kind === "gracefulRestart");
  assert.ok(restart?.kind === "gracefulRestart");
  assert.deepEqual([restart.restarted, restart.families[0]!.forwardingPreserved], [false, true]);
});

/** Two dials that cross; what the peer says on its own one comes late. It has the higher identifier. */
function crossing(world: World, before: (raw: RawPeer) => void, forwardingPreserved = true) {
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const host = world.network.host(address);
  const [ours, theirs] = [new RawPeer(host, address).listen(), new RawPeer(host, address)];
  const restart = restartCapability({ families: [{ family: 4, forwardingPreserved }] });
  const capabilities = [{ kind: "fourOctetAs", as: 64512 } as const, restart];
  const open = encodeOpen(openOf(address, { capabilities }));
  const isUp = () => a.speaker.peer(address)?.state === "Established";
  const up = (raw: RawPeer, ...more: Uint8Array[]) => {
    raw.send(open, encodeKeepalive(), ...more);
    world.until(isUp, "session");
    world.advance(100);
  };
  a.speaker.setPeers([{ ...a.peerTo(a), address }]);
  a.speaker.start();
  world.until(() => ours.names === "OPEN", "our OPEN");
  before(ours);
  const gone: string[] = [];
  a.speaker.onBestChange((routes) => {
    gone.push(...routes.filter(({ nextHops }) => nextHops.length === 0).map((one) => one.prefix));
  });
  return { a, ours, theirs, up, gone };
}

for (const bit of [true, false]) {
  test(`a collision that is decided when a session stands takes no route away, F bit ${bit}`, () => {
    const world = new World();
    // An OPEN that went out before there was a session says nothing of how that one ended.
    const { a, ours, theirs, up, gone } = crossing(world, () => undefined, bit);
    theirs.dial(a.address);
    world.until(() => theirs.names === "OPEN", "our OPEN on the other connection");
    up(ours, announce(ours.address, 1, 2), endOfRib);
    assert.equal(a.routes().length, 2);
    up(theirs);
    assert.equal(ours.closed, "closed by peer");
    assert.equal(ours.notification, undefined, "RFC 4724 §5");
    assert.equal(a.speaker.peer(theirs.address)!.established, 2);
    assert.deepEqual(gone, []);
    theirs.send(announce(theirs.address, 2), endOfRib);
    world.advance(100);
    assert.deepEqual(gone, ["10.0.1.0/24"], "only what is not told again");
  });
}

test("on a third connection the F bit counts again", () => {
  const world = new World();
  const { a, ours, theirs, up, gone } = crossing(world, () => undefined, false);
  theirs.dial(a.address);
  world.until(() => theirs.names === "OPEN", "our OPEN on the other connection");
  up(ours, announce(ours.address, 1), endOfRib);
  ours.connection!.close();
  world.advance(100);
  theirs.connection!.reset();
  ours.forget();
  world.until(() => ours.names === "OPEN", "our OPEN on a third connection");
  assert.deepEqual([a.routes(), gone], [["10.0.1.0/24 via 192.0.2.9 stale"], []]);
  up(ours);
  assert.deepEqual([a.routes(), gone], [[], ["10.0.1.0/24"]]);
});

test("nor does it, when the peer was the first to decide", () => {
  for (const end of ["close", "notification"] as const) {
    const world = new World();
    const { a, ours, theirs, up, gone } = crossing(world, () => undefined);
    theirs.dial(a.address);
    world.until(() => theirs.names === "OPEN", "our OPEN on the other connection");
    up(ours, announce(ours.address, 1), endOfRib);
    if (end === "notification") ours.send(message(MessageType.notification, hex("0607")));
    ours.connection!.close();
    world.advance(100);
    up(theirs, announce(theirs.address, 1), endOfRib);
    assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9"], end);
    assert.deepEqual(gone, [], end);
  }
});

test("what a restarted peer has not told again stays over a collision, too", () => {
  const world = new World();
  const { a, ours, theirs, up, gone } = crossing(world, (raw) => {
    raw.send(encodeOpen(openOf(raw.address, { capabilities: [restartCapability()] })));
    raw.send(encodeKeepalive(), announce(raw.address, 1), endOfRib);
    world.advance(5_000);
    raw.connection!.reset();
    raw.forget();
    world.until(() => raw.names === "OPEN", "our OPEN again");
  });
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9 stale"]);
  theirs.dial(a.address);
  world.until(() => theirs.names === "OPEN", "our OPEN on the other connection");
  up(ours);
  up(theirs);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9 stale"]);
  theirs.send(announce(theirs.address, 1), endOfRib);
  world.advance(100);
  assert.deepEqual(a.routes(), ["10.0.1.0/24 via 192.0.2.9"]);
  assert.deepEqual(gone, []);
});
