/** What the agent says while BGP has nothing to do, or not all that it should have. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BgpPart } from "../../src/agent/bgp-part.ts";
import { ACCEPT_ALL, peerConfig, speakerConfig } from "../../src/bgp/defaults.ts";
import type { NextHopMetric } from "../../src/bgp/rib/next-hop-table.ts";
import type { Policy } from "../../src/bgp/rib/policy-types.ts";
import type { Transport } from "../../src/bgp/session/transport.ts";
import { NO_UNDERLAY } from "../../src/bgp/speaker/underlay.ts";
import { Speaker } from "../../src/bgp/speaker.ts";
import type { OriginatedRoute, PeerConfig } from "../../src/bgp/types.ts";
import { parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryNetwork } from "../support/memory-network.ts";
import { recordingLog } from "../support/recording-log.ts";

const US = parseAddress("192.0.2.1")!;

const part = (
  clock = new FakeClock(),
  network = new MemoryNetwork(clock),
  transport: Transport = network.host(US),
  nextHopMetric: NextHopMetric = () => 0,
) => {
  const nothing = () => undefined;
  return new BgpPart(
    {
      ...{ clock, transport, log: recordingLog().log, random: () => 0.5 },
      underlay: { ...NO_UNDERLAY, nextHopMetric },
    },
    { onChangesWait: undefined, onTableChange: nothing, onConverged: nothing },
  );
};

test("what only a change of the configuration can mend is a condition", () => {
  const bgp = part();
  bgp.update({ ok: false, reason: "global.routerId is needed", fault: true });
  assert.equal(bgp.notReady(), "global.routerId is needed");
  assert.deepEqual(bgp.conditions(), [
    {
      name: "configuration #1",
      severity: "error",
      message: "BGP does nothing: global.routerId is needed",
    },
  ]);
  bgp.update({ ok: false, reason: "Node node1 has no usable address yet" });
  assert.equal(bgp.notReady(), "Node node1 has no usable address yet");
  assert.deepEqual(bgp.conditions(), [], "what passes by itself is not");
});

test("sessions that are refused for want of something are a condition, as the transport says", () => {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock);
  let short: string | undefined;
  const transport = Object.assign(network.host(US), { shortage: () => short });
  const bgp = part(clock, network, transport);
  assert.deepEqual(bgp.conditions(), []);
  short = "sessions are refused for want of file descriptors";
  assert.deepEqual(bgp.conditions(), [{ name: "descriptors", severity: "error", message: short }]);
});

/**
 * A part with sessions, all up, to this many external routers, and that originates these routes;
 * each router tells `told`.
 */
function withRouters(
  changes: Partial<PeerConfig>,
  routes: readonly OriginatedRoute[],
  count = 1,
  told: readonly OriginatedRoute[] = [],
  nextHopMetric?: NextHopMetric,
): BgpPart {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock);
  const bgp = part(clock, network, undefined, nextHopMetric);
  const open = { importPolicy: ACCEPT_ALL, exportPolicy: ACCEPT_ALL, ...changes };
  const peers = Array.from({ length: count }, (_, i) => {
    const own = parseAddress(`192.0.2.${2 + i}`)!;
    const config = speakerConfig({
      as: 65001,
      routerId: own,
      listen: [{ address: own, port: 179 }],
    });
    const services = { clock, random: () => 0.5, log: silentLog, transport: network.host(own) };
    const router = new Speaker(services, config);
    router.originate(told);
    router.setPeers([peerConfig({ address: US, remoteAs: 64512, localAddress: own, ...open })]);
    router.start();
    const name = i === 0 ? "tor" : `tor${i + 1}`;
    return peerConfig({ name, address: own, remoteAs: 65001, localAddress: US, ...open });
  });
  const plan = {
    speaker: speakerConfig({ as: 64512, routerId: US, listen: [{ address: US, port: 179 }] }),
    peers,
    named: [],
    routes,
    problems: [],
    warnings: [],
    nodePeers: undefined,
  };
  bgp.update({ ok: true, plan });
  clock.advance(30_000);
  assert.equal(bgp.summary()?.peersUp, count);
  return bgp;
}

test("what tunnels lead to otherwise is asked for, and nothing else", () => {
  const asked: string[] = [];
  const metric = (nextHop: string) => {
    asked.push(nextHop);
    return 0;
  };
  const own = { nextHop: undefined, communities: [], med: undefined };
  const told = [{ prefix: prefix("10.99.0.0/16"), ...own }];
  const bgp = withRouters({}, [], 3, told, metric);
  asked.length = 0;
  bgp.waysChanged(new Set([parseAddress("192.0.2.3")!]));
  assert.deepEqual(asked, ["192.0.2.3"]);
  asked.length = 0;
  bgp.waysChanged("all");
  assert.deepEqual(asked.sort(), ["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
});

test("a peer that routes of a family cannot be announced to is a warning that names both", () => {
  const own = { nextHop: undefined, communities: [], med: undefined };
  const of = (count: number) =>
    withRouters({ families: [4, 6] }, [{ prefix: prefix("2001:db8:99::/64"), ...own }], count);
  const why =
    "no IPv6 address of ours is known for next hops, " +
    "neither on the session's interface nor from the configuration";
  assert.deepEqual(of(1).conditions(), [
    {
      name: "next hop IPv6 192.0.2.2",
      severity: "warning",
      message: `IPv6 routes are not announced to tor (192.0.2.2): ${why}`,
    },
  ]);
  // Of a mesh of a thousand the warnings would leave no room for others.
  const some = "tor, tor2, tor3, tor4, tor5";
  assert.deepEqual(of(7).conditions(), [
    {
      name: "next hop IPv6",
      severity: "warning",
      message: `IPv6 routes are not announced to ${some} and 2 more: ${why}`,
    },
  ]);
});

test("routes that no message to a peer has room for are a warning that names one of them", () => {
  const communities = Array.from({ length: 1100 }, (_, i) => 0x1_0000 + i);
  const large = { nextHop: undefined, communities, med: undefined };
  const routes = ["10.1.0.0/24", "10.2.0.0/24"].map((of) => ({ prefix: prefix(of), ...large }));
  const of = (count: number) => withRouters({ extendedMessage: false }, routes.slice(0, count));
  const name = "oversized routes 192.0.2.2";
  const why = "no message of 4096 octets has room for the attributes";
  assert.deepEqual(of(1).conditions(), [
    {
      name,
      severity: "warning",
      message: `the route 10.1.0.0/24 is not announced to tor (192.0.2.2): ${why}`,
    },
  ]);
  assert.deepEqual(of(2).conditions(), [
    {
      name,
      severity: "warning",
      message: `2 routes, as 10.1.0.0/24, are not announced to tor (192.0.2.2): ${why}`,
    },
  ]);
  assert.deepEqual(withRouters({}, routes).conditions(), []);
  assert.deepEqual(withRouters({ extendedMessage: false }, routes, 7).conditions(), [
    {
      name: "oversized routes",
      severity: "warning",
      message:
        "2 routes, as 10.1.0.0/24, are not announced to tor, tor2, tor3, tor4, tor5 and 2 more: " +
        why,
    },
  ]);
});

/** This many peers of a mesh, none of which is there. */
function absent(count: number): readonly PeerConfig[] {
  return Array.from({ length: count }, (_, i) =>
    peerConfig({
      name: `node${i + 2}`,
      address: parseAddress(`192.0.2.${i + 2}`)!,
      remoteAs: 64512,
      localAddress: US,
    }),
  );
}

test("an address is asked for: the prefix that leads there, and longer ones that do not", () => {
  const rejected = [
    { prefix: prefix("10.99.5.0/24"), ge: 24, le: 24 },
    { prefix: prefix("0.0.0.0/0"), ge: 0, le: 0 },
  ];
  const importPolicy: Policy = {
    name: "in",
    statements: [{ name: "no", match: { prefixes: rejected }, set: {}, result: "reject" }],
    defaultResult: "accept",
  };
  const plain = { nextHop: undefined, communities: [], med: undefined };
  const prefixes = ["0.0.0.0/0", "10.0.0.0/8", "10.99.0.0/16", "10.99.5.0/24"];
  const told = prefixes.map((of) => ({ prefix: prefix(of), ...plain }));
  const bgp = withRouters({ importPolicy }, [], 1, told);
  const found = (address: string) =>
    [...bgp.pathsCovering(parseAddress(address)!)].map((path) => [path.prefix, path.best]);
  assert.deepEqual(found("10.99.5.1"), [
    ["10.99.0.0/16", true],
    ["10.99.5.0/24", false],
  ]);
  assert.deepEqual(found("10.99.6.1"), [["10.99.0.0/16", true]]);
  assert.deepEqual(found("10.1.2.3"), [["10.0.0.0/8", true]]);
  assert.deepEqual(found("192.0.2.9"), [["0.0.0.0/0", false]], "nothing leads there, and why");
  assert.deepEqual(found("2001:db8::1"), []);
});

test("a session that is not up is a warning, many of them are one", () => {
  const clock = new FakeClock();
  const bgp = part(clock);
  const down = (count: number, peers = absent(count)) => {
    const speaker = speakerConfig({ as: 64512, routerId: US, listen: [] });
    const nothing = { named: [], routes: [], problems: [], warnings: [], nodePeers: undefined };
    bgp.update({ ok: true, plan: { speaker, peers, ...nothing } });
    bgp.conditions();
    clock.advance(20_000);
    return bgp.conditions();
  };
  assert.deepEqual(down(1), [
    {
      name: "session 192.0.2.2",
      severity: "warning",
      message: "the session with node2 (192.0.2.2) is not up",
    },
  ]);
  const [unnamed] = down(
    1,
    absent(1).map((peer) => ({ ...peer, name: peer.address })),
  );
  assert.equal(unnamed?.message, "the session with 192.0.2.2 is not up");
  assert.equal(down(20).length, 20);
  // Of a node that is cut off from a mesh of a thousand they would leave no room for others.
  const some = "node2, node3, node4, node5, node6";
  assert.deepEqual(down(200), [
    {
      name: "sessions",
      severity: "warning",
      message: `200 sessions are not up: with ${some} and 195 more`,
    },
  ]);
});

test("who is waited for is named, of many the first ones, and nobody who is meant to be down", () => {
  const clock = new FakeClock();
  const bgp = part(clock);
  const waitsFor = (count: number) => {
    const peers = absent(count).map((peer, i) =>
      i === 1 ? { ...peer, shutdown: { message: "" } } : peer,
    );
    const speaker = speakerConfig({ as: 64512, routerId: US, listen: [] });
    const nothing = { named: [], routes: [], problems: [], warnings: [], nodePeers: undefined };
    bgp.update({ ok: true, plan: { speaker, peers, ...nothing } });
    return bgp.notReady();
  };
  assert.equal(waitsFor(3), "no complete table yet from node2, node4");
  const first = "node2, node4, node5, node6, node7";
  assert.equal(waitsFor(6), `no complete table yet from ${first}`);
  assert.equal(waitsFor(200), `no complete table yet from ${first} and 194 more`);
  assert.equal(waitsFor(0), "no complete table yet from anybody");
});
