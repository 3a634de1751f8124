/** Speakers over the machine's TCP: keys, TTL security, IPv6, real floods and real time. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { encodeKeepalive } from "../../../src/bgp/message/keepalive.ts";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import { Speaker } from "../../../src/bgp/speaker.ts";
import type { PeerConfig } from "../../../src/bgp/types.ts";
import type { IpAddress } from "../../../src/ip/address.ts";
import { silentLog } from "../../../src/runtime/log.ts";
import { systemClock } from "../../../src/runtime/system-clock.ts";
import { freePort } from "../../support/free-port.ts";
import { announce, openOf, RawPeer } from "../../support/raw-peer.ts";
import { ip, peerConfig, route, speakerConfig } from "../../support/speakers.ts";
import { ThreadTime, type Turn } from "../../support/yardstick.ts";

const transport = new TcpTransport();
const services = { clock: systemClock, random: Math.random, log: silentLog, transport };

const LOOK_MS = 2;

/** The ms it took, without those in which the machine let others run instead of the speakers. */
async function until(condition: () => boolean, what: string, maxMs = 5_000): Promise<number> {
  const start = performance.now();
  const thread = new ThreadTime();
  let took = 0;
  for (let lostMs = 0; !condition(); ) {
    if (took > maxMs) assert.fail(`waited in vain for ${what}`);
    await sleep(LOOK_MS);
    const turn = thread.turn(LOOK_MS);
    lostMs += turn.lostMs;
    took = turn.at - start - lostMs;
  }
  return took;
}

interface Node {
  readonly speaker: Speaker;
  readonly address: IpAddress;
  readonly port: number;
}

async function node(t: TestContext, address: string, routerId: string): Promise<Node> {
  const own = ip(address);
  const port = await freePort(address);
  const config = speakerConfig(own, { routerId: ip(routerId), listen: [{ address: own, port }] });
  const speaker = new Speaker(services, config);
  t.after(() => speaker.stop({ notify: false }));
  return { speaker, address: own, port };
}

function peer(from: Node, to: Node, changes: Partial<PeerConfig> = {}): void {
  from.speaker.setPeers([peerConfig(from.address, to.address, { port: to.port, ...changes })]);
}

const isUp = (a: Node, b: Node) => a.speaker.peer(b.address)?.state === "Established";

async function pair(
  t: TestContext,
  changes: Partial<PeerConfig>,
  addresses = ["127.0.0.1", "127.0.0.2"],
) {
  const a = await node(t, addresses[0]!, "192.0.2.1");
  const b = await node(t, addresses[1]!, "192.0.2.2");
  peer(a, b, changes);
  peer(b, a, changes);
  a.speaker.originate([route("10.0.1.0/24", ip("192.0.2.1"))]);
  b.speaker.originate([route("10.0.2.0/24", ip("192.0.2.2"))]);
  a.speaker.start();
  b.speaker.start();
  const took = await until(() => isUp(a, b) && isUp(b, a), JSON.stringify(changes));
  return { a, b, took };
}

const learned = (from: Node) =>
  [...from.speaker.bestRoutes()].filter(({ nextHops }) => nextHops.length > 0).length;

const variants: readonly [string, Partial<PeerConfig>, string[]?][] = [
  ["plain", {}],
  ["MD5", { password: "secret of both" }],
  ["TTL security", { ttlSecurity: true }],
  ["MD5 and TTL security", { password: "secret of both", ttlSecurity: true }],
  ["bound to the interface", { bindInterface: "lo" }],
  ["IPv6", {}, ["::1", "::1"]],
  ["IPv6 with MD5", { password: "secret of both" }, ["::1", "::1"]],
];

for (const [what, changes, addresses] of variants) {
  test(`a session over TCP: ${what}`, async (t) => {
    const { a, b, took } = await pair(t, changes, addresses);
    assert.ok(took < 1_500, `${took} ms`);
    await until(() => learned(a) === 1 && learned(b) === 1, "routes");
    assert.equal(a.speaker.peer(b.address)!.localAddress, a.address);
    assert.equal(a.speaker.refusedConnections + b.speaker.refusedConnections, 0);
  });
}

test("keys can be changed while running, on one side after the other", async (t) => {
  const { a, b } = await pair(t, { password: "old" });
  peer(a, b, { password: "new" });
  peer(b, a, { password: "new" });
  await until(() => isUp(a, b) && isUp(b, a), "session with the new key", 8_000);
  peer(a, b);
  peer(b, a);
  await until(() => isUp(a, b) && isUp(b, a), "session without a key", 8_000);
});

test("a port that is taken is told, and taken over when it is free", async (t) => {
  const blocker = createServer().listen(0, "127.0.0.1");
  t.after(() => blocker.close());
  await once(blocker, "listening");
  const { port } = blocker.address() as { port: number };
  const address = ip("127.0.0.1");
  const config = speakerConfig(address, { listen: [{ address, port }] });
  const speaker = new Speaker(services, config);
  t.after(() => speaker.stop({ notify: false }));
  speaker.start();
  await until(() => speaker.listening()[0]?.problem !== undefined, "problem");
  assert.match(speaker.listening()[0]!.problem!, /another program listens there \(EADDRINUSE\)/);
  blocker.close();
  await until(() => speaker.listening()[0]?.listening === true, "listening", 3_000);
  assert.equal(speaker.listening()[0]!.problem, undefined);
});

/** The ms from one moment to another, without those in which the machine let others run. */
function ownTime(turns: readonly Turn[], from: number, to: number): number {
  const within = turns.filter(({ at }) => at > from && at <= to);
  return to - from - within.reduce((sum, { lostMs }) => sum + lostMs, 0);
}

test("a real flood: the other peer's KEEPALIVEs stay on time, with a hold time of 3 s", async (t) => {
  const a = await node(t, "127.0.0.1", "192.0.2.1");
  const raw = async (address: string) => {
    const made = new RawPeer(transport, ip(address), await freePort(address)).listen();
    made.autoOpen = openOf(ip(address), { holdSeconds: 3 });
    made.keepalives = true;
    t.after(() => made.stop());
    return made;
  };
  const flooder = await raw("127.0.0.3");
  const other = await raw("127.0.0.4");
  a.speaker.setPeers(
    [flooder, other].map(({ address, port }) => peerConfig(a.address, address, { port })),
  );
  a.speaker.start();
  const state = ({ address }: RawPeer) => a.speaker.peer(address)!.state;
  await until(() => state(flooder) === "Established" && state(other) === "Established", "sessions");
  const updates = Array.from({ length: 256 }, (_, n) =>
    announce(ip("192.0.2.9"), ...Array.from({ length: 100 }, (_, i) => (n * 100 + i) & 0xffff)),
  );
  other.forget();
  const begun = performance.now();
  const thread = new ThreadTime();
  const turns: Turn[] = [];
  const heard = () => other.heard.filter(({ type }) => type === 4).map(({ at }) => at);
  const received = () => a.speaker.peer(flooder.address)!.received.update;
  // Four seconds, and until there was enough to be seen: a busy machine gives us less of each.
  const isEnough = () =>
    performance.now() - begun > 4_000 && heard().length >= 5 && received() > 2_000;
  while (!isEnough() && performance.now() - begun < 30_000) {
    if (flooder.connection!.queuedBytes < 8_000_000) flooder.send(...updates);
    await new Promise(setImmediate);
    turns.push(thread.turn());
  }
  const beats = heard();
  const gaps = beats.slice(1).map((at, i) => ownTime(turns, beats[i]!, at));
  assert.ok(beats.length >= 5, `${beats.length} KEEPALIVEs`);
  assert.ok(Math.max(...gaps) < 1_300, `${gaps.map(Math.round)}`);
  assert.equal(state(other), "Established");
  assert.equal(state(flooder), "Established");
  assert.ok(received() > 2_000, `${received()} UPDATEs`);
  const longest = turns.reduce((most, { cpuMs }) => Math.max(most, cpuMs), 0);
  assert.ok(longest < 400, `the loop stood still for ${longest} ms`);
});

test("a process that stood still reads what came in before it judges a peer", async (t) => {
  const a = await node(t, "127.0.0.1", "192.0.2.1");
  const raw = new RawPeer(transport, ip("127.0.0.2"), await freePort("127.0.0.2")).listen();
  t.after(() => raw.stop());
  raw.autoOpen = openOf(raw.address, { holdSeconds: 3 });
  raw.keepalives = true;
  a.speaker.setPeers([peerConfig(a.address, raw.address, { port: raw.port })]);
  a.speaker.start();
  const status = () => a.speaker.peer(raw.address)!;
  await until(() => status().state === "Established", "session");
  // Behind the reading of this turn: timers are next.
  await nextTurn();
  raw.send(encodeKeepalive());
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_700);
  await sleep(50);
  assert.deepEqual([status().state, raw.notification], ["Established", undefined]);
});

/** Who connects there, counted. */
async function knocks(t: TestContext, address: string) {
  const knocked = { count: 0, port: 0 };
  const server = createServer((socket) => {
    knocked.count++;
    socket.on("error", () => undefined).destroy();
  }).listen(0, address);
  t.after(() => server.close());
  await once(server, "listening");
  knocked.port = (server.address() as { port: number }).port;
  return knocked;
}

test("a port that another program has is known before the first dial", async (t) => {
  const [here, there] = [ip("127.0.0.1"), ip("127.0.0.2")];
  const [owner, peer] = [await knocks(t, here), await knocks(t, there)];
  const listen = [{ address: here, port: owner.port }];
  const config = speakerConfig(here, { routerId: there, listen, dialsNeedPort: true });
  // The dial of the higher identifier is due before it can be waited for.
  const speaker = new Speaker({ ...services, random: () => 1e-6 }, config);
  t.after(() => speaker.stop({ notify: false }));
  speaker.setPeers([peerConfig(here, there, { port: peer.port })]);
  speaker.start();
  await until(() => speaker.peers()[0]!.lastError !== undefined, "an error");
  assert.match(speaker.peers()[0]!.lastError!.reason, /^not dialled: another program listens/);
  assert.equal(peer.count, 0);
});

test("listeners of our own in each other's way keep nobody from being dialled", async (t) => {
  const [here, there, port] = [ip("127.0.0.1"), ip("127.0.0.2"), await freePort("0.0.0.0")];
  const peer = await knocks(t, there);
  const listen = [ip("0.0.0.0"), here].map((address) => ({ address, port }));
  const config = speakerConfig(here, { listen, dialsNeedPort: true });
  const speaker = new Speaker(services, config);
  t.after(() => speaker.stop({ notify: false }));
  speaker.setPeers([peerConfig(here, there, { port: peer.port })]);
  speaker.start();
  await until(() => peer.count > 0, "a dial");
  assert.deepEqual(
    speaker.listening().map(({ listening }) => listening),
    [true, false],
  );
});
